"""VictoriaMetrics takes what Prometheus writes on, and readings as line protocol."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.store.connection import Connection
from exporter.store.influx_v1 import InfluxV1
from exporter.store.queue import compress
from provisioning.local.ports import Ports
from tests.server_process import server_process

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary = shutil.which("victoria-metrics")
    if binary is None:
        pytest.skip("victoria-metrics is not installed")
    folder = tmp_path_factory.mktemp("victoria")
    url = f"http://127.0.0.1:{Ports(usual=False).pick(0)}"
    arguments = [binary, f"-storageDataPath={folder}/data", f"-httpListenAddr={url[7:]}"]
    with server_process(arguments, f"{url}/health", folder):
        yield url


def example() -> dict[str, Any]:
    """The configuration that docs/scaling.md shows."""
    text = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    (block,) = re.findall(r"```yaml\n# prometheus\.yml.*?\n(remote_write:.*?)```", text, re.S)
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def stored(url: str, query: str) -> list[dict[str, Any]]:
    """The result of an instant query, once there is one."""
    end = time.monotonic() + PATIENCE_SECONDS
    asked = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    while True:
        with urllib.request.urlopen(asked, timeout=30) as reply:
            found: list[dict[str, Any]] = json.load(reply)["data"]["result"]
        if found:
            return found
        assert time.monotonic() < end, f"{query} has no value"
        time.sleep(0.5)


async def test_readings_are_written_as_line_protocol(victoria: str) -> None:
    target = InfluxV1(Connection(victoria, "fleet"), "90d")
    try:
        await target.prepare()
        now = int(time.time() * 1000)
        lines = [
            f"site,site=alpha grid_power_w=-512.5,online=1 {now}",
            f"cell,site=alpha,pack=battery/1,cell=17 voltage_v=3.301 {now}",
        ]
        await target.write(compress(lines, 0.0).body)
    finally:
        await target.close()
    (power,) = stored(victoria, 'site_grid_power_w{site="alpha"}')
    assert float(power["value"][1]) == -512.5
    (cell,) = stored(victoria, 'cell_voltage_v{pack="battery/1",cell="17"}')
    assert float(cell["value"][1]) == 3.301


def test_the_example_is_a_configuration_and_prometheus_writes_on(
    victoria: str, tmp_path: Path
) -> None:
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if prometheus is None or promtool is None:
        pytest.skip("prometheus is not installed")
    config = example()
    config["remote_write"][0]["url"] = f"{victoria}/api/v1/write"
    address = f"127.0.0.1:{Ports(usual=False).pick(0)}"
    job = {"job_name": "fleetscope", "static_configs": [{"targets": [address]}]}
    config |= {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), "utf-8")
    done = subprocess.run(
        [promtool, "check", "config", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    arguments = [
        *(prometheus, f"--config.file={file}", f"--storage.tsdb.path={tmp_path}/data"),
        f"--web.listen-address={address}",
    ]
    with server_process(arguments, f"http://{address}/-/ready", tmp_path):
        (up,) = stored(victoria, 'up{job="fleetscope"}')
    assert float(up["value"][1]) == 1.0
