"""From a stored past to forecasts, plans, API and commands, over a real InfluxDB.

``s0000`` has a battery, PV and ten days of past; ``s0001`` has PV and no past; ``s0002`` has a load
that was measured for three hours, and no PV.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.cli.main import parse
from exporter.cli.question_commands import run
from exporter.config.fleet import Fleet
from exporter.energy import outlook_process
from exporter.energy.forecasts import KEPT_AT
from exporter.energy.outlook_process import SiteNow
from exporter.energy.plans import order_drafts
from exporter.energy.tariff_file import TariffFile
from exporter.energy.weather import AHEAD_KEPT_AT
from exporter.history.influxql import InfluxQL
from exporter.model.orders import OrderAction, OrderSource
from exporter.serve.api.energy_schemas import (
    FleetForecastReply,
    ForecastReply,
    PlanReply,
    SavingsReply,
)
from exporter.store.connection import Connection
from scoring.forecast import WEATHER_HOURS
from tests.serve.api.influx import influx
from tests.serve.api.replies import check
from tests.serve.api.served import ServedFleet, plan

pytestmark = pytest.mark.stack

NOW = time.time()
HOUR = NOW // 3600 * 3600
TARIFFS = TariffFile.model_validate(
    {
        "currency": "EUR",
        "default": "night",
        "tariffs": {
            "night": {
                "grid": {
                    "price": 0.40,
                    "windows": [{"price": 0.10, "start": "00:00", "end": "05:00"}],
                },
                "feed_in": {"price": 0.08},
            }
        },
    }
)


def fleet() -> Fleet:
    made = plan(3, latitude=48.1, longitude=11.6, timezone="UTC")
    without = made.sites[2].model_copy(update={"solar_capacity_kw": None, "capacity_kwh": None})
    return made.model_copy(update={"sites": (*made.sites[:2], without)})


def lines() -> Iterator[str]:
    for stamp in range(int(HOUR) - 10 * 86_400, int(HOUR) + 1, 300):
        hour = stamp % 86_400 / 3600
        pv = 3000 * max(0.0, math.sin((hour - 6) / 12 * math.pi)) * (0.6 + 0.4 * math.sin(stamp))
        load = 500.0 + 2000 * (17 <= hour < 21)
        yield (
            f"site,site=s0000 online=1,pv_power_w={max(pv, 0)!r},load_power_w={load!r},"
            f"grid_power_w={load - pv!r} {round(stamp * 1000)}"
        )
        # A battery that nobody uses.
        idle = "battery,site=s0000,device=battery/1 soc_percent=50.0,power_w=0.0"
        yield f"{idle} {round(stamp * 1000)}"
        if stamp >= HOUR - 3 * 3600:
            yield f"site,site=s0002 online=1,load_power_w=400.0 {stamp * 1000}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    with influx(tmp_path_factory.mktemp("influx")) as server:
        server.query(f'CREATE RETENTION POLICY "{KEPT_AT}" ON "fleet" DURATION inf REPLICATION 1')
        server.write(list(lines()))
        found = fleet()
        connection = Connection(server.url, "fleet", {})
        sites = [SiteNow(site, None, 50.0, "roof") for site in found.sites]
        # What was forecast a day before yesterday's evening, by hand.
        yesterday = HOUR // 86_400 * 86_400 - 86_400
        server.write(
            [
                f"forecast,site=s0000,quantity=load,lead=24h p10_w=200,p50_w=250,p90_w=300,"
                f'method="28-day median" {round((yesterday + 900 * n) * 1000)}'
                for n in range(96)
            ],
            KEPT_AT,
        )
        # Plans of two days, by hand: one that charges at night, and one that follows load and sun.
        server.write(
            [
                f"plan,site=s0000 mode=2.0,power_w=2000.0 "
                f"{round((yesterday - 86_400 + 900 * n) * 1000)}"
                for n in range(12)
            ]
            + [
                f"plan,site=s0000 mode=0.0,power_w=0.0 {round((yesterday + 900 * n) * 1000)}"
                for n in range(-84, 96)
            ],
            KEPT_AT,
        )
        memory = outlook_process._memory
        for kept in (memory.pasts, memory.issued, memory.measured, memory.forecaster.learned):
            kept.clear()
        memory.settled.clear()
        # What was said of the sun six hours before and so on, over ten days and ahead.
        server.write(
            [
                f"weather_ahead,place=roof,lead={lead}h seconds=3600,"
                f"ghi_w_m2={500 * max(0.0, math.sin((stamp % 86_400 / 3600 - 6) / 12 * math.pi))} "
                f"{stamp * 1000}"
                for lead in WEATHER_HOURS
                for stamp in range(int(HOUR) - 10 * 86_400, int(HOUR) + 36 * 3600, 3600)
            ],
            AHEAD_KEPT_AT,
        )
        earlier = outlook_process._forecasts(connection, connection, sites, HOUR - 3600)
        server.write(earlier, KEPT_AT)
        # The hour after takes in what is new.
        made = outlook_process._forecasts(connection, connection, sites, NOW)
        made += outlook_process._neighbours(sites)
        made += outlook_process._plans(connection, sites, NOW, TARIFFS)[0]
        made += outlook_process._savings(connection, connection, sites, NOW, TARIFFS)
        assert outlook_process._savings(connection, connection, sites, NOW, TARIFFS) == []
        server.write(made, KEPT_AT)
        fleet_served = ServedFleet(found, InfluxQL(server.url, "fleet", {}), tariffs=TARIFFS)
        with fleet_served.serving():
            yield fleet_served


def test_a_forecast_of_what_comes_with_its_scores(served: ServedFleet) -> None:
    found = served.json("/api/v1/forecast?site=s0000&quantity=load")
    check(ForecastReply, found)
    assert len(found["starts"]) >= 140
    for start, p10, p50, p90 in zip(
        *(found[name] for name in ("starts", "p10_w", "p50_w", "p90_w")), strict=True
    ):
        assert p10 <= p50 <= p90
        assert p50 == pytest.approx(500 + 2000 * (17 <= start % 86_400 / 3600 < 21), abs=600)
    serving = {row["method"] for row in found["scores"] if row["serves"]}
    assert set(found["methods"]) == serving
    assert {row["lead"] for row in found["scores"]} >= {"all", "1h"}


def test_each_lead_is_kept_for_its_hour(served: ServedFleet) -> None:
    since = f"since={HOUR - 3600}&until={HOUR + 30 * 3600}"
    for hours in (1, 6, 24):
        kept = served.json(f"/api/v1/forecast?site=s0000&lead={hours}h&{since}")
        issues = [HOUR - 3600, HOUR]
        slots = [issue + hours * 3600 + n * 900 for issue in issues for n in range(4)]
        assert kept["starts"] == slots


def test_no_sun_at_night_and_no_pv_where_there_is_none(served: ServedFleet) -> None:
    found = served.json("/api/v1/forecast?site=s0000&quantity=pv")
    night = [w for t, w in zip(found["starts"], found["p90_w"], strict=True) if t % 86_400 < 7200]
    assert night
    assert not any(night)
    assert served.json("/api/v1/forecast?site=s0002&quantity=pv")["starts"] == []
    # Where weather is configured, its forecasts are played like any other method.
    scored = {row["method"] for row in found["scores"] if row["slots"] > 0}
    assert {"yesterday", "clear-sky index", "weather forecast"} <= scored


def test_misses_of_the_day_that_is_over_are_kept_and_shown(served: ServedFleet) -> None:
    found = served.json("/api/v1/forecast?site=s0000&quantity=load")["misses"]
    # Of the day before, an evening was forecast as a tenth of what came.
    assert [one["beyond_w"] for one in found] == sorted(
        (one["beyond_w"] for one in found), reverse=True
    )
    assert 1 <= len(found) <= 5
    worst = found[0]
    assert worst["forecast_w"] == 250.0
    assert worst["measured_w"] == pytest.approx(2500, abs=1)
    assert worst["beyond_w"] == pytest.approx(2200, abs=1)
    assert worst["method"] == "28-day median"
    stamps = sorted(one["start"] for one in found)
    assert all(b - a >= 3600 for a, b in itertools.pairwise(stamps))


def test_the_fleet_together(served: ServedFleet) -> None:
    found = served.json("/api/v1/forecast/fleet?quantity=pv")
    check(FleetForecastReply, found)
    one, other = (
        served.json(f"/api/v1/forecast?site={name}&quantity=pv") for name in ("s0000", "s0001")
    )
    assert (found["sites"], found["without"]) == (2, ["s0002"])
    middle = dict(zip(found["starts"], found["p50_w"], strict=True))
    for start, a, b in zip(one["starts"], one["p50_w"], other["p50_w"], strict=False):
        if start in middle and middle[start] is not None:
            assert middle[start] == pytest.approx(a + b, abs=0.2)
    shown = parse(["forecast", "load", "--url", served.url])
    assert shown is not None
    assert run(*shown) == 0


def test_a_new_site_starts_with_its_neighbours_and_says_so(served: ServedFleet) -> None:
    own = served.json("/api/v1/forecast?site=s0000&quantity=pv")
    new = served.json("/api/v1/forecast?site=s0001&quantity=pv")
    assert new["methods"] == ["neighbours"]
    assert new["scores"] == []
    assert new["p50_w"] == pytest.approx(own["p50_w"][-len(new["p50_w"]) :], abs=1)


def test_neighbours_teach_a_load_only_where_one_is_measured(served: ServedFleet) -> None:
    of_load = {
        name: served.json(f"/api/v1/forecast?site={name}&quantity=load")
        for name in ("s0000", "s0001", "s0002")
    }
    assert of_load["s0002"]["methods"] == ["neighbours"]
    # PV without a reading of a load.
    assert of_load["s0001"]["starts"] == []
    assert served.json("/api/v1/forecast/fleet?quantity=load")["without"] == ["s0001"]


def test_a_plan_with_reasons_and_what_it_saves(served: ServedFleet) -> None:
    found = served.json("/api/v1/plan?site=s0000")
    check(PlanReply, found)
    assert found["summary"]["saving"] > 0.3
    assert found["summary"]["strategy"] == "cost"
    charges = [slot for slot in found["slots"] if slot["action"] == "charge"]
    assert charges
    bought = [slot for slot in charges if slot["import_w"] > 600]
    assert bought
    assert all(slot["start"] % 86_400 < 5 * 3600 for slot in bought)
    assert all("charges at 0.1 for" in slot["reason"] for slot in bought)
    assert all(10 <= slot["soc_percent"] + 1e-6 <= 100.1 for slot in found["slots"])
    assert served.json("/api/v1/plan?site=s0002")["summary"] is None


def test_a_plan_becomes_orders_that_end_by_themselves_and_wait_for_approval() -> None:
    one = SiteNow(fleet().sites[0], None, 50.0)
    (made,) = outlook_process.plans_now([one], TARIFFS, {})
    drafts = order_drafts(made, "planner", "operator")
    assert drafts
    for draft in drafts:
        assert draft.source is OrderSource.PLAN
        assert draft.needs_approval
        assert draft.needs_approval
        assert not draft.dry_run
        assert draft.reason
        assert draft.start is not None
        assert draft.start < draft.expires
        assert draft.action in (OrderAction.CHARGE, OrderAction.DISCHARGE, OrderAction.HOLD)
    starts = [draft.start for draft in drafts if draft.start is not None]
    ends = [draft.expires for draft in drafts]
    assert all(end <= start for end, start in zip(ends[:-1], starts[1:], strict=True))


def test_savings_are_measured_and_may_be_negative(served: ServedFleet) -> None:
    found = served.json("/api/v1/savings?site=s0000&period=yesterday")
    check(SavingsReply, found)
    assert found["coverage"] > 0.95
    # Plain self-consumption would have stored the sun; a battery that does nothing has cost that.
    assert found["saved"] < -0.3
    assert found["measured"]["wear"] == found["measured"]["stored"] == 0
    assert found["best"]["total"] <= found["plain"]["total"] + 0.01
    assert found["missed"] == pytest.approx(
        found["measured"]["total"] - found["best"]["total"], abs=1e-3
    )
    # The plans of that day followed load and sun: all of what was possible, forecasts have cost.
    assert found["planned"] == found["plain"]
    assert found["forecast_errors"] == pytest.approx(
        found["plain"]["total"] - found["best"]["total"], abs=1e-3
    )
    assert found["not_followed"] == pytest.approx(-found["saved"], abs=1e-3)
    empty = served.json("/api/v1/savings?site=s0001&period=yesterday")
    check(SavingsReply, empty)
    assert empty["saved"] is None
    assert "0 % of the period was observed" in empty["why"]


def test_what_forecast_errors_cost_is_apart_from_what_was_not_done(served: ServedFleet) -> None:
    midnight = HOUR // 86_400 * 86_400 - 2 * 86_400
    span = f"since={midnight}&until={midnight + 86_400}"
    found = served.json(f"/api/v1/savings?site=s0000&{span}")
    check(SavingsReply, found)
    # The other half of the battery was to be filled at night, at 0.10, for an evening at 0.40.
    assert found["planned"]["total"] < found["plain"]["total"] - 0.02
    assert found["best"]["total"] <= found["planned"]["total"] + 0.01
    assert found["missed"] == pytest.approx(
        found["forecast_errors"] + found["not_followed"], abs=2e-4
    )
    unplanned = served.json(
        f"/api/v1/savings?site=s0000&since={midnight - 86_400}&until={midnight}"
    )
    assert unplanned["planned"] is unplanned["forecast_errors"] is None
    assert unplanned["missed"] > 0


def test_what_a_day_has_saved_is_stored_once(served: ServedFleet) -> None:
    found = served.json("/api/v1/savings?site=s0000&period=yesterday")
    assert served.stored is not None
    reader = InfluxQL(served.stored.connection.url, "fleet", {})
    (stored,) = asyncio.run(
        reader.select(
            f'SELECT "saved", "forecast_errors", "not_followed" FROM "{KEPT_AT}"."plan_result" '
            "WHERE \"site\" = 's0000'"
        )
    )
    assert [row[1:] for row in stored.rows] == [
        [
            pytest.approx(found[name], abs=1e-4)
            for name in ("saved", "forecast_errors", "not_followed")
        ]
    ]
    shown = CliRunner().invoke(app, ["plan", "s0000", "--saved", "yesterday", "--url", served.url])
    assert shown.exit_code == 0, shown.output
    assert f"{found['forecast_errors']:.2f} because forecasts were wrong" in shown.output


def test_commands(served: ServedFleet, capsys: pytest.CaptureFixture[str]) -> None:
    shown = CliRunner().invoke(app, ["plan", "s0000", "--url", served.url])
    assert shown.exit_code == 0, shown.output
    assert "against plain self-consumption" in shown.output
    assert "charge" in shown.output
    read = parse(["forecast", "load", "--site", "s0000", "--url", served.url])
    assert read is not None
    assert run(*read) == 0
    assert "(serves)" in capsys.readouterr().out
    shown = CliRunner().invoke(app, ["plan", "s0002", "--url", served.url])
    assert "There is no plan" in shown.output
