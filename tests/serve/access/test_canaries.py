"""Secrets in every place that takes one, trouble everywhere, and none of them in any output."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.serve.access.conftest import hashed
from tests.service_process import command, environment, serving, until, write_fleet
from tests.test_app import site

__all__ = ["site"]
pytestmark = pytest.mark.stack
CANARIES = {name: f"canary-{name}-4711" for name in ("influx", "change", "site", "password", "web")}


def nowhere() -> str:
    """A place at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_in_any_output(log_format: str, site: str, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site, "gone": f"http://{nowhere()}"}, interval_seconds=1)
    secrets = {
        "a": {"endpoint": site, "token": CANARIES["site"]},
        "gone": {
            "endpoint": "http://192.0.2.1",
            "username": "ops",
            "password": CANARIES["password"],
        },
    }
    (tmp_path / "secrets.yaml").write_text(yaml.safe_dump(secrets), "utf-8")
    web = {"basic_auth_users": {"ops": hashed(CANARIES["web"])}}
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(web), "utf-8")
    settings = {
        **{"influxdb_url": f"http://{nowhere()}", "influxdb_token": CANARIES["influx"]},
        **{"change_token": CANARIES["change"], "web_config": str(tmp_path / "web.yaml")},
        **{"site_secrets_file": str(tmp_path / "secrets.yaml"), "log_level": "debug"},
        **{"queue_dir": str(tmp_path / "queue"), "log_format": log_format},
    }
    outputs: list[str] = []

    def ask(*words: str) -> None:
        variables = environment(**settings) | {
            "FLEETSCOPE_API_USERNAME": "ops",
            "FLEETSCOPE_API_PASSWORD": CANARIES["web"] + "-wrong",
            "FLEETSCOPE_INFLUXDB_PASSWORD": CANARIES["influx"],
        }
        done = subprocess.run(
            command(*words),
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env=variables,
            cwd=tmp_path,
        )
        outputs.extend((done.stdout, done.stderr))

    with serving(fleet, **settings) as service:
        until(lambda: "its secret is for another endpoint" in service.log)
        until(lambda: "does not accept points" in service.log)
        for path in ("/metrics", "/healthz", "/readyz", "/api/v1/sites", "/openapi.json"):
            outputs.append(service.get(path)[1])
        # Each file wrong in a way that quotes its secret.
        broken = {
            "secrets.yaml": f"a: {{endpoint: '{site}', token: [{CANARIES['site']}",
            "web.yaml": f"basic_auth_users: {{ops: {CANARIES['web']}}}",
            "fleet.json": json.dumps(
                {
                    "sites": [
                        {"id": "a", "api_endpoint": f"http://ops:{CANARIES['password']}@a"},
                        {"id": "b", "api_endpoint": "http://b", "token": CANARIES["site"]},
                    ]
                }
            ),
        }
        for name, text in broken.items():
            (tmp_path / name).write_text(text, "utf-8")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "site secrets refused" in service.log)
        until(lambda: "web configuration refused" in service.log)
        until(lambda: "fleet file refused" in service.log)
        ask("check-config", str(fleet))
        ask("status", "--url", service.url, "--json")
        ask("rank", "--url", service.url, "--json")
        ask("verify", "--from", "2026-01-01T00:00")
        ask("rollup", "--check")
        assert service.stop() == 0
        log = service.log
    outputs.append(log)
    for url in (f"http://u:{CANARIES['influx']}@x", f"http://x?{CANARIES['influx']}", "x"):
        settings["influxdb_url"] = url
        ask("run", "--fleet", str(fleet))
    for text in log.splitlines():
        assert text.isprintable()
        assert text.startswith("{" if log_format == "json" else "20"), text
        if log_format == "json":
            json.loads(text)
    everything = "".join(outputs)
    assert "Traceback" not in everything
    for name, canary in CANARIES.items():
        assert canary not in everything, name
