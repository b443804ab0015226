"""The service as a process of its own, asked over HTTP and by signals only."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ENOUGH_SECONDS = 180.0


def until(condition: Callable[[], Any], enough: float = ENOUGH_SECONDS) -> Any:
    """Ask again and again; what it answers once that is true."""
    end = time.monotonic() + enough
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


class ServiceProcess:
    """A running ``fleetscope run`` whose output goes to files."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    @property
    def url(self) -> str:
        found = until(lambda: re.search(r"listening on (http://[^\s\"]+)", self.log))
        return str(found[1])

    def get(self, path: str, timeout: float = 30.0) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, series: str) -> float | None:
        """The value of one series of ``/metrics``, None where it is absent."""
        for line in self.get("/metrics")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == "fleetscope_" + series:
                return float(value)
        return None

    def scrapes(self, site: str) -> float:
        """Scrapes of a site that gave everything."""
        return self.metric(f'site_scrapes_total{{outcome="ok",site="{site}"}}') or 0.0

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ENOUGH_SECONDS)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "exporter", *arguments]


def environment(**settings: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FLEETSCOPE_")}
    named = {f"FLEETSCOPE_{name.upper()}": value for name, value in settings.items()}
    return kept | {"PYTHONPATH": os.getcwd()} | named


@contextlib.contextmanager
def serving(
    fleet: Path,
    *,
    listen: str = "127.0.0.1:0",
    log: str = "log",
    also: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[ServiceProcess]:
    """Start the service in the folder of its fleet file; killed at the end if it still runs.

    ``also`` are further variables of its environment.
    """
    path = fleet.parent / log
    with path.open("wb") as output:
        process = subprocess.Popen(
            command("run", "--fleet", str(fleet), "--listen", listen),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=fleet.parent,
            env=environment(**{"interval_seconds": "1"} | settings) | dict(also or {}),
        )
    try:
        yield ServiceProcess(process, path)
    finally:
        process.kill()
        process.wait()


def write_fleet(path: Path, endpoints: dict[str, str], **common: Any) -> None:
    """A fleet file, put in place in one step."""
    sites = [{"id": i, "api_endpoint": url} | common for i, url in endpoints.items()]
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"sites": sites}), "utf-8")
    new.replace(path)
