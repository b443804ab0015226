"""A real Prometheus gets in over TLS with its password, by the configuration in the docs."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.faults.plant import until
from tests.serve.access.conftest import Certificates, hashed
from tests.serve.access.test_guard import configured, serving
from tests.serve.access.test_tls import tls

pytestmark = pytest.mark.stack
DOCS = Path(__file__).parents[3] / "docs" / "security.md"


def documented(place: str, folder: Path) -> str:
    """The scrape configuration of the docs, with this test's target and files."""
    (found,) = re.findall(r"```yaml\n(scrape_configs:\n.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    text = found.replace("exporter.example.com:9797", place).replace("/etc/prometheus", str(folder))
    return text.replace("interval: 15s", "interval: 1s")


@pytest.mark.parametrize("password", ["right", "wrong"])
async def test_prometheus_signs_in(
    password: str, tmp_path: Path, certificates: Certificates
) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("Prometheus is not installed; `make servers` installs it")
    config = tls(certificates.issue("server.pem", "exporter.example.com"))
    config["basic_auth_users"] = {"prometheus": hashed("right")}
    certificates.file.rename(tmp_path / "fleetscope-ca.crt")
    (tmp_path / "fleetscope-password").write_text(password, "ascii")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        own = f"127.0.0.1:{probe.getsockname()[1]}"
    async with serving(configured(tmp_path, config)) as (url, _):
        written = documented(url.partition("://")[2], tmp_path)
        # The small application here has no /metrics; what is tested is the door.
        written = written.replace("scheme: https", "scheme: https\n    metrics_path: /who")
        (tmp_path / "prometheus.yml").write_text(written, "utf-8")
        process = subprocess.Popen(  # noqa: ASYNC220
            [
                *(prometheus, "--config.file=prometheus.yml", f"--web.listen-address={own}"),
                "--storage.tsdb.path=data",
            ],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def last_error() -> str | None:
            try:
                with urllib.request.urlopen(f"http://{own}/api/v1/targets", timeout=5) as reply:
                    found = json.load(reply)["data"]["activeTargets"]
            except OSError:
                return None
            return found[0]["lastError"] or found[0]["health"] if found else None

        try:
            told = await until(lambda: (e := last_error()) not in (None, "unknown") and e)
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)
    if password == "wrong":
        assert "401" in told
    else:
        assert "401" not in told
        assert "certificate" not in told
