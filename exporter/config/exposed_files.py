"""Files with secrets that other users of the machine can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from exporter.config.dotenv_file import read_dotenv
from exporter.config.settings import PREFIX

_SECRET = ("TOKEN", "PASSWORD", "SECRETS")


def exposed_files() -> list[str]:
    """A sentence for ``.env`` in the working directory, if it holds a secret that others can read.

    Secrets that an orchestrator mounts are readable by all as a rule, inside their container, so
    the files that settings name are not looked at.
    """
    path = Path(".env")
    try:
        mode = path.stat().st_mode
    except OSError:
        return []
    if not mode & (stat.S_IRGRP | stat.S_IROTH):
        return []
    names = sorted(
        name
        for name, value in read_dotenv(path, os.environ).items()
        if value and name.upper().startswith(PREFIX) and name.upper().endswith(_SECRET)
    )
    if not names:
        return []
    return [
        f".env holds {names[0]} and can be read by other users (mode {stat.S_IMODE(mode):04o}): "
        "chmod 600 .env"
    ]
