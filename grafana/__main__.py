"""``python -m grafana``: write the dashboards; ``--check`` compares them with what is committed."""

from grafana.generate import main

raise SystemExit(main())
