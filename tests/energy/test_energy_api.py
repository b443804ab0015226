"""``/api/v1/energy`` and ``fleetscope energy`` over a real InfluxDB."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.history.influxql import InfluxQL
from exporter.serve.api.energy_schemas import EnergyReply
from tests.serve.api.influx import influx
from tests.serve.api.replies import check
from tests.serve.api.served import START, ServedFleet, plan

pytestmark = pytest.mark.stack
HOURS = 30


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    with influx(tmp_path_factory.mktemp("influx")) as server:
        lines = []
        for n in range(HOURS * 60):
            stamp = round((START + n * 60) * 1000)
            sun = max(0.0, math.sin(n / 720 * math.pi))
            for site, size in (("s0000", 1.0), ("s0001", 2.0)):
                lines.append(
                    f"site,site={site} online=1,pv_power_w={5000 * size * sun},"
                    f"load_power_w={1000 * size},grid_power_w={size * (1000 - 5000 * sun)} {stamp}"
                )
        server.write(lines)
        fleet = ServedFleet(plan(3, timezone="Asia/Kolkata"), InfluxQL(server.url, "fleet", {}))
        fleet.scrape()
        with fleet.serving():
            yield fleet


SPAN = f"since={START}&until={START + HOURS * 3600}"


def test_the_reply_is_as_described_and_adds_up(served: ServedFleet) -> None:
    found = served.json(f"/api/v1/energy?site=s0000&{SPAN}&step=hour")
    check(EnergyReply, found)
    assert (found["tz"], found["step"], found["sites"]) == ("Asia/Kolkata", "hour", ["s0000"])
    flows = found["flows"]
    assert set(flows) == {"pv", "load", "grid_import", "grid_export"}
    assert flows["load"]["kwh"] == pytest.approx(HOURS, abs=0.05)
    assert flows["load"]["average_w"] == pytest.approx(1000, abs=1)
    assert flows["pv"]["peak_w"] == pytest.approx(5000, rel=0.01)
    assert {flow["source"] for flow in flows.values()} == {"power"}
    for name, flow in flows.items():
        known = [kwh for kwh in found["course"]["kwh"][name] if kwh is not None]
        assert sum(known) == pytest.approx(flow["kwh"], abs=0.01)
    # Hours begin at half past in UTC there.
    assert {start % 3600 for start in found["course"]["starts"]} == {1800.0}
    used = flows["pv"]["kwh"] - flows["grid_export"]["kwh"]
    assert found["self_consumption_percent"] == pytest.approx(
        100 * used / flows["pv"]["kwh"], abs=0.1
    )
    into_load = sum(link["kwh"] for link in found["links"] if link["target"] == "load")
    assert into_load == pytest.approx(flows["load"]["kwh"], abs=0.01)


def test_all_sites_are_what_each_is_together(served: ServedFleet) -> None:
    whole = served.json(f"/api/v1/energy?{SPAN}&step=day&tz=UTC")
    parts = [
        served.json(f"/api/v1/energy?site={s}&{SPAN}&step=day&tz=UTC") for s in ("s0000", "s0001")
    ]
    assert whole["sites"] == ["s0000", "s0001", "s0002"]
    for name, flow in whole["flows"].items():
        assert flow["kwh"] == pytest.approx(sum(part["flows"][name]["kwh"] for part in parts))
        assert flow["sites"] == 2
    assert whole["by_site"][2]["kwh"] == {}
    assert whole["flows"]["load"]["average_w"] == pytest.approx(3000, abs=2)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("site=nobody", 404),
        ("period=10y&step=15m", 422),
        ("period=soon", 422),
        ("step=week", 422),
        ("tz=Mars/Olympus", 422),
        ("since=tomorrow", 422),
    ],
)
def test_refusals(served: ServedFleet, query: str, status: int) -> None:
    assert served.ask(f"/api/v1/energy?{query}")[0] == status


def test_the_command_gives_the_same_figures(served: ServedFleet) -> None:
    runner = CliRunner()
    span = ["--since", str(START), "--until", str(START + HOURS * 3600), "--url", served.url]
    shown = runner.invoke(app, ["energy", "s0000", *span, "--course"])
    assert shown.exit_code == 0, shown.output
    assert "load" in shown.output
    assert "30.0 kWh" in shown.output
    assert "of the PV energy was used here" in shown.output
    listed = runner.invoke(app, ["energy", "s0000", *span, "--csv"])
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert sum(float(row["load"]) for row in rows if row["load"]) == pytest.approx(HOURS, abs=0.05)
    assert runner.invoke(app, ["energy", "nobody", *span]).exit_code == 2
