"""Variables that look like settings and are none: a mistyped name changes nothing, in silence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from exporter.config.dotenv_file import read_dotenv
from exporter.config.settings import PREFIX, Settings

# What the commands, the demo, the compose file and the provisioning beside the exporter read.
_OTHERS = frozenset(
    PREFIX + name
    for name in (
        *("URL", "API_USERNAME", "API_PASSWORD", "API_PASSWORD_FILE", "API_CA_FILE"),
        *("API_TOKEN", "API_TOKEN_FILE", "EVIDENCE_KEY_FILE", "EVIDENCE_PUBLIC_KEY_FILE"),
        *("DEMO_DIR", "FLEET_DIR", "SCREENSHOTS", "CAPTURES", "COMPLETE"),
        *("INFLUXDB_ADMIN_PASSWORD", "DASHBOARDS_PATH", "RUNBOOKS_URL"),
    )
)
_FAMILIES = tuple(
    PREFIX + name for name in ("ALERT_", "TICKET_", "SMTP_", "ALERTMANAGER_", "GRAFANA_")
)


def mistyped() -> list[str]:
    """A sentence for each such variable of the environment and of ``.env``."""
    names = {name.upper() for name in os.environ}
    names |= {name.upper() for name in read_dotenv(Path(".env"), os.environ)}
    return list(_sentences(sorted(name for name in names if name.startswith(PREFIX))))


def _sentences(names: Iterable[str]) -> Iterator[str]:
    settings = [field.upper() for field in Settings.model_fields]
    for name in names:
        own = name.removeprefix(PREFIX)
        if own in settings or name in _OTHERS or name.startswith(_FAMILIES):
            continue
        meant = get_close_matches(own, settings, n=1, cutoff=0.75)
        rest = f"; {PREFIX}{meant[0]} is" if meant else ""
        yield f"{name} is no setting and changes nothing{rest}"
