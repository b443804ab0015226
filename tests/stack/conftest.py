"""Real InfluxDB, Prometheus and Alertmanager, the simulator and the exporter, on free ports."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from provisioning.local import servers
from provisioning.local.checks import Checks, expected
from provisioning.local.run import Run
from provisioning.local.stack import Stack
from simulator.scenario import SCENARIOS


def write_scenario(path: Path, *, interval_seconds: int, sites: int | None = None) -> str:
    """The demo scenario with another polling interval, cut to its first sites if wanted."""
    scenario = yaml.safe_load((SCENARIOS / "demo.yaml").read_text("utf-8"))
    scenario["sites"] = [
        {**site, "interval_seconds": interval_seconds} for site in scenario["sites"][:sites]
    ]
    kept = {site["id"] for site in scenario["sites"]}
    scenario["companions"] = [one for one in scenario["companions"] if one["of"] in kept]
    path.write_text(yaml.safe_dump(scenario, allow_unicode=True), "utf-8")
    return str(path)


@pytest.fixture(scope="session")
def found_servers() -> dict[str, Path]:
    """The installed servers by name; CI may not do without them."""
    found = servers.find_all()
    absent = [s.name for s in servers.SERVERS if s.name not in found and not s.optional]
    if absent:
        sentence = f"not installed: {', '.join(absent)}; `make servers` installs them"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


@pytest.fixture(scope="session")
def stack(
    found_servers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The demo fleet and everything around it, polled every 5 s."""
    folder = tmp_path_factory.mktemp("stack")
    scenario = write_scenario(folder / "scenario.yaml", interval_seconds=5)
    told = io.StringIO()
    run = Run(folder / "run", Console(file=told))
    with run.stack(found_servers, scenario=scenario, usual_ports=False) as running:
        yield running
        running.supervisor.check()
    assert "Nothing is left running" in told.getvalue()


@pytest.fixture(scope="session")
def checks(stack: Stack) -> Checks:
    """The checks of ``make smoke`` on that stack."""
    return Checks(stack, expected(stack))
