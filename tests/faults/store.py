"""A real InfluxDB for the tests here, and every point in it by its index."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from provisioning.local.ports import Ports
from tests.server_process import server_process

TOKEN = "operator-token-of-a-test"
# Stamps of points count up from here, so that all lie in the retention, by a millisecond each.
BASE = int(time.time()) // 86400 * 86_400_000 - 86_400_000


class Store:
    """One server. ``api`` is ``v1`` or ``v2``."""

    def __init__(self, url: str, api: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.api = api
        self.process = process

    def request(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        headers = {"Authorization": f"Token {TOKEN}"} if self.api == "v2" else {}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return bytes(reply.read())

    def query(self, statement: str) -> list[dict[str, Any]]:
        parameters = urllib.parse.urlencode({"db": "fleet", "q": statement, "epoch": "ms"})
        answer = json.loads(self.request("/query?" + parameters, b"" if self.api == "v1" else None))
        result: dict[str, Any] = answer["results"][0]
        assert "error" not in result, result
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def empty(self) -> None:
        """Take everything out of the store."""
        if self.api == "v1":
            self.request("/query?q=DROP+DATABASE+fleet", b"")
            return
        predicate = {"start": "1970-01-01T00:00:00Z", "stop": "2100-01-01T00:00:00Z"}
        with contextlib.suppress(urllib.error.HTTPError):
            self.request(
                "/api/v2/delete?org=fleetscope&bucket=fleet%2Fraw", json.dumps(predicate).encode()
            )

    def take_out(self, measurement: str, index: int) -> None:
        """Remove the points of one millisecond."""
        stamp = (BASE + index) * 1_000_000
        if self.api == "v1":
            self.query(f'DELETE FROM "{measurement}" WHERE time = {stamp}')
            return
        time_ = datetime.fromtimestamp(stamp / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        predicate = {
            **{"start": time_, "stop": time_},
            "predicate": f'_measurement="{measurement}"',
        }
        self.request(
            "/api/v2/delete?org=fleetscope&bucket=fleet%2Fraw", json.dumps(predicate).encode()
        )

    def indices(self, measurement: str) -> list[int]:
        """The index of every point, in order; each must be the number that was put into it."""
        with contextlib.suppress(AssertionError):
            found = self.query(f'SELECT n FROM "raw"."{measurement}"')
            rows = found[0]["values"] if found else []
            assert all(stamp - BASE == n for stamp, n in rows), "a point was changed"
            return [int(n) for _, n in rows]
        return []


def line(index: int, measurement: str = "scrape", size: int = 0) -> str:
    """The point of that index; ``size`` makes it longer by what does not compress."""
    filling = f',filling="{os.urandom(size).hex()}"' if size else ""
    return f"{measurement},site=a n={float(index)}{filling} {BASE + index}"


@contextlib.contextmanager
def influxdb1(folder: Path) -> Iterator[Store]:
    """InfluxDB 1.x."""
    binary = shutil.which("influxd")
    told = binary and subprocess.run([binary, "version"], check=False, capture_output=True).stdout
    if not binary or b"InfluxDB v1." not in (told or b""):
        pytest.skip("InfluxDB 1.x is not installed; `make servers` installs it")
    ports = Ports(usual=False)
    url = f"http://127.0.0.1:{ports.pick(0)}"
    (folder / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{ports.pick(0)}"\n'
        f'[meta]\ndir = "{folder}/meta"\n'
        f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\nquery-log-enabled = false\n'
        f'[http]\nbind-address = "{url[7:]}"\nlog-enabled = false\nmax-body-size = 100000\n'
        "[monitor]\nstore-enabled = false\n",
        "utf-8",
    )
    with server_process([binary, "-config", "influxdb.conf"], f"{url}/ping", folder) as process:
        yield Store(url, "v1", process)


@contextlib.contextmanager
def influxdb2(folder: Path) -> Iterator[Store]:
    """InfluxDB 2.x, as named by INFLUXDB2_BIN."""
    binary = os.environ.get("INFLUXDB2_BIN")
    if not binary:
        pytest.skip("INFLUXDB2_BIN does not name an influxd of InfluxDB 2.x")
    url = f"http://127.0.0.1:{Ports(usual=False).pick(0)}"
    arguments = [
        *(binary, f"--bolt-path={folder}/bolt", f"--engine-path={folder}/engine"),
        *(f"--sqlite-path={folder}/sqlite", f"--http-bind-address={url[7:]}"),
        "--reporting-disabled",
    ]
    with server_process(arguments, f"{url}/health", folder) as process:
        setup = {
            **{"username": "admin", "password": "password-of-a-test", "org": "fleetscope"},
            **{"bucket": "other", "token": TOKEN},
        }
        request = urllib.request.Request(f"{url}/api/v2/setup", json.dumps(setup).encode())
        urllib.request.urlopen(request, timeout=30).close()
        yield Store(url, "v2", process)
