"""``/api/v1/energy`` and ``fleetscope energy`` over a real InfluxDB."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.energy.tariff_file import TariffFile
from exporter.history.influxql import InfluxQL
from exporter.serve.api.energy_schemas import EnergyReply
from tests.serve.api.influx import influx
from tests.serve.api.replies import check
from tests.serve.api.served import START, ServedFleet, plan

pytestmark = pytest.mark.stack
HOURS = 30
TARIFFS = TariffFile.model_validate(
    {
        "currency": "EUR",
        "default": "night",
        "tariffs": {
            "night": {
                "grid": {
                    "price": 0.3217,
                    "windows": [{"price": 0.2109, "start": "22:00", "end": "05:30"}],
                },
                "feed_in": {"price": 0.0811},
                "standing_per_day": 0.4321,
            }
        },
    }
)


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
        fleet = ServedFleet(
            plan(3, timezone="Asia/Kolkata"),
            InfluxQL(server.url, "fleet", {}),
            tariffs=TARIFFS,
            now=HOURS * 3600.0,
        )
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


def test_cost_is_the_same_to_the_last_digit_on_every_face(served: ServedFleet) -> None:
    end = served.latest.time
    span = f"since={START}&until={end}"
    cost = served.json(f"/api/v1/energy?{span}&tz=UTC")["cost"]
    assert cost["unpriced_kwh"] == 0
    # By hand: 3 kW of load by day and night, and 15 kW of sun for a half of each 24 h.
    assert cost["net"] == pytest.approx(
        cost["import_cost"] + cost["standing"] - cost["feed_in_income"], abs=2e-4
    )
    of_report = served.json(f"/api/v1/report?since={START}")["tariff"]
    for name, value in cost.items():
        if name in of_report:
            shown = of_report[name]
            assert value == (round(shown, 4) if isinstance(shown, float) else shown), name
    assert set(cost) - set(of_report) == {"average_price"}
    runner = CliRunner()
    command = ["energy", "--since", str(START), "--until", str(end), "--url", served.url]
    listed = runner.invoke(app, [*command, "--tz", "UTC", "--json"])
    assert json.loads(listed.stdout)["cost"] == cost
    shown = runner.invoke(app, [*command, "--tz", "UTC"])
    assert f"Cost {cost['net']:,.2f} EUR" in shown.output
    page = served.ask(f"/api/v1/report?since={START}&format=html")[2].decode()
    assert f"Energy by tariff (night): {cost['net']:,.2f} EUR" in page
    # The steps add up to the whole, less what is charged by the day.
    course = served.json(f"/api/v1/energy?{span}&tz=UTC&step=hour")["course"]["cost"]
    known = sum(value for value in course if value is not None)
    assert known == pytest.approx(cost["net"] - cost["standing"], abs=0.01)


def test_what_is_asked_again_within_a_minute_is_not_read_again(served: ServedFleet) -> None:
    # Nothing is stored of the last hours: what is kept is that.
    now = time.time()
    span = f"since={now - 7200}&until={now - 3600}"
    first = served.ask(f"/api/v1/energy?site=s0001&{span}")
    assert "fwd=miss" in first[1]["cache-status"]
    # Each that comes within a minute after one that was read anew.
    replies = (served.ask(f"/api/v1/energy?site=s0001&{span}") for _ in range(10))
    second = next(reply for reply in replies if "; hit; ttl=" in reply[1]["cache-status"])
    assert first[2] == second[2]
    other = served.ask(f"/api/v1/energy?site=s0000&{span}")
    assert "fwd=miss" in other[1]["cache-status"]
    assert "cache-status" not in served.ask(f"/api/v1/energy?{SPAN}")[1]
