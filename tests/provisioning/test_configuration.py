"""The files of provisioning/ as the servers' own tools and Grafana read them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "provisioning"


def tool(name: str) -> str:
    """Path of a server's tool; CI may not do without it."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed: make servers")
    return found


def load(path: str) -> Any:
    """A YAML file of provisioning/."""
    return yaml.safe_load((PROVISIONING / path).read_text("utf-8"))


@pytest.mark.stack
def test_promtool_accepts_the_configuration() -> None:
    done = subprocess.run(
        [tool("promtool"), "check", "config", str(PROVISIONING / "prometheus/prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.stack
def test_amtool_accepts_the_configuration() -> None:
    path = str(PROVISIONING / "alertmanager/alertmanager.yml")
    done = subprocess.run(
        [tool("amtool"), "check-config", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.stack
def test_a_page_reaches_the_receiver() -> None:
    path = str(PROVISIONING / "alertmanager/alertmanager.yml")
    done = subprocess.run(
        [
            *(tool("amtool"), "config", "routes", "test", f"--config.file={path}"),
            *("alertname=FleetscopeSiteOffline", "severity=page", "region=iberia"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["on-call"]


def test_receivers_need_no_network() -> None:
    receivers = load("alertmanager/alertmanager.yml")["receivers"]
    assert receivers
    assert all(set(receiver) == {"name"} for receiver in receivers)


def test_prometheus_has_no_address_of_its_own() -> None:
    text = (PROVISIONING / "prometheus/prometheus.yml").read_text("utf-8")
    assert "static_configs" not in text
    for section in load("prometheus/prometheus.yml")["alerting"]["alertmanagers"]:
        assert section["file_sd_configs"]
    (job,) = load("prometheus/prometheus.yml")["scrape_configs"]
    assert job["job_name"] == "fleetscope"
    assert job["file_sd_configs"]


def test_data_sources_have_their_stable_ids_and_no_address() -> None:
    sources = load("grafana/datasources/fleetscope.yml")["datasources"]
    assert {source["uid"] for source in sources} == {
        "fleetscope-prometheus",
        "fleetscope-influxdb",
        "fleetscope-alertmanager",
    }
    assert all(source["url"].startswith("$FLEETSCOPE_") for source in sources)
    assert sum(source.get("isDefault", False) for source in sources) == 1
