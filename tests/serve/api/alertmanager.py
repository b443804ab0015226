"""A real Alertmanager on a free port, with the configuration that is provisioned."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioning.alertmanager.render import BASE
from provisioning.local.ports import LOOPBACK, Ports

ENOUGH_SECONDS = 180.0
PROGRAMS = tuple(filter(None, ("prometheus-alertmanager", os.environ.get("ALERTMANAGER_BIN"))))
"""Debian's, and another release where ALERTMANAGER_BIN names one."""


@dataclass(frozen=True, slots=True)
class Running:
    """Its address."""

    url: str

    def post(self, *alerts: dict[str, object]) -> None:
        """Send alerts as Prometheus does."""
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts",
            json.dumps(alerts).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=30).close()


@contextlib.contextmanager
def alertmanager(folder: Path, program: str = PROGRAMS[0]) -> Iterator[Running]:
    """Start it, or skip where it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program} in PATH; `make servers` installs one")
    address = f"{LOOPBACK}:{Ports(usual=False).pick(0)}"
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(
            [
                found,
                f"--config.file={BASE / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={address}",
                f"--web.external-url=http://{address}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + ENOUGH_SECONDS
        while True:
            assert process.poll() is None, (folder / "alertmanager.log").read_text("utf-8")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
                break
            assert time.monotonic() < end, "Alertmanager does not answer"
            time.sleep(0.1)
        yield Running(f"http://{address}")
    finally:
        process.terminate()
        process.wait(ENOUGH_SECONDS)
