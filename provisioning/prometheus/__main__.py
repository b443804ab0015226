import sys

from provisioning.prometheus.generate import main

sys.exit(main(sys.argv[1:]))
