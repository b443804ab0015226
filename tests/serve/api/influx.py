"""A real InfluxDB 1.x on a free port, for what is asked of the past."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ENOUGH_SECONDS = 180.0
_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Influx:
    """The database ``fleet`` with its retention policy ``raw``."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid
        self.rolled = False

    def query(self, statement: str) -> None:
        data = urllib.parse.urlencode({"q": statement}).encode()
        with urllib.request.urlopen(f"{self.url}/query", data, timeout=30) as reply:
            assert b'"error"' not in reply.read()

    def write(self, lines: list[str], policy: str = "raw") -> None:
        """Write lines with stamps in milliseconds."""
        for start in range(0, len(lines), 20_000):
            body = "\n".join(lines[start : start + 20_000]).encode()
            url = f"{self.url}/write?db=fleet&rp={policy}&precision=ms"
            with urllib.request.urlopen(url, body, timeout=60) as reply:
                assert reply.status == 204


@contextlib.contextmanager
def influx(folder: Path) -> Iterator[Influx]:
    """Start it, or skip where it is not installed."""
    program = shutil.which("influxd") or shutil.which("influxd", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("no influxd in PATH; `make servers` installs it")
    port = _free()
    config = folder / "influxdb.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port, rpc=_free()), "utf-8")
    with (folder / "influxd.log").open("wb") as log:
        process = subprocess.Popen([program, "-config", str(config)], stdout=log, stderr=log)
    try:
        server = Influx(f"http://127.0.0.1:{port}", process.pid)
        _wait(server.url, process)
        server.query('CREATE DATABASE "fleet" WITH DURATION inf NAME "raw"')
        yield server
    finally:
        process.terminate()
        process.wait(ENOUGH_SECONDS)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + ENOUGH_SECONDS
    while process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{url}/ping", timeout=5).close()
            return
        assert time.monotonic() < end, "InfluxDB does not answer"
        time.sleep(0.1)
    raise AssertionError(f"influxd ended with {process.returncode}")
