"""An InfluxDB 1.x of a benchmark's own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provisioning.local.ports import Ports


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@dataclass(frozen=True, slots=True)
class Influx:
    """A server that runs."""

    url: str
    pid: int
    folder: Path

    def data_bytes(self) -> int:
        """What its data takes on disk."""
        return sum(f.stat().st_size for f in Path(self.folder, "data").rglob("*") if f.is_file())

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[Influx]:
        """Start one in a folder that is removed afterwards."""
        ports = Ports(usual=False)
        binary = shutil.which("influxd")
        assert binary is not None, "influxd is not installed"
        with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
            port = ports.pick(0)
            Path(folder, "influxdb.conf").write_text(
                f'reporting-disabled = true\nbind-address = "127.0.0.1:{ports.pick(0)}"\n'
                f'[meta]\ndir = "{folder}/meta"\n'
                f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
                "query-log-enabled = false\n"
                f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
                "[monitor]\nstore-enabled = false\n",
                "utf-8",
            )
            server = subprocess.Popen(
                [binary, "-config", f"{folder}/influxdb.conf"], stdout=log, stderr=log
            )
            url = f"http://127.0.0.1:{port}"
            try:
                while True:
                    assert server.poll() is None, Path(folder, "log").read_text("utf-8")
                    try:
                        urllib.request.urlopen(f"{url}/ping", timeout=2).close()
                        break
                    except OSError:
                        time.sleep(0.2)
                yield cls(url, server.pid, Path(folder))
            finally:
                server.kill()
                server.wait()
