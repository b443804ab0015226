"""Energy accounts out of a real InfluxDB: a meter's reset, a gap, a clock change, prices, roll-ups.

Local days of Europe/Berlin around 29 March 2026, which has 23 hours. ``alpha`` has counters,
``beta`` has powers alone, ``gamma`` has nothing. ``delta`` has meters that are read exactly on the
hour and on the quarter hour, as files of utilities have them.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from exporter.config.fleet import Site
from exporter.energy.accounts import Account, account
from exporter.energy.buckets import Step
from exporter.energy.market_prices import KEPT_AT, parse_prices, price_lines
from exporter.energy.tariff_file import TariffFile
from exporter.history.energy import Energy, Question, energy_of_counter
from exporter.history.influxql import InfluxQL
from tests.serve.api.influx import Influx, influx
from tests.service_process import command, environment

pytestmark = pytest.mark.stack

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 28, tzinfo=BERLIN).timestamp()
CHANGE = datetime(2026, 3, 29, tzinfo=BERLIN).timestamp()
LAST = datetime(2026, 3, 30, tzinfo=BERLIN).timestamp()
END = datetime(2026, 3, 31, tzinfo=BERLIN).timestamp()
EVERY = 30
GAP = (CHANGE + 6 * 3600, CHANGE + 9 * 3600)
RESET = CHANGE + 12 * 3600
SITES = [Site(id=name, timezone="Europe/Berlin") for name in ("alpha", "beta", "gamma")]
HOURLY = Site(id="delta", timezone="Europe/Berlin")
HOURS = round((END - START) / 3600)
BY_HOUR = [(hour % 7) / 4 for hour in range(HOURS)]
BY_QUARTER = [(quarter % 5) / 8 for quarter in range(4 * HOURS)]
UNREAD = (20, 21, 22)
"""Hours at which nobody read the meter."""
RESTARTED = 40
"""It was reset right after the reading before this one, which so shows one hour."""
TARIFFS = TariffFile.model_validate(
    {
        "currency": "EUR",
        "series": {"spot": {"file": "prices.csv"}},
        "co2": {"grams_per_kwh": 400, "assumption": "an example"},
        "sites": {"alpha": "market", "beta": "night"},
        "tariffs": {
            "market": {"grid": {"series": "spot", "add": 0.1}, "feed_in": {"price": 0.08}},
            "night": {
                "grid": {
                    "price": 0.3,
                    "windows": [{"price": 0.2, "start": "22:00", "end": "06:00"}],
                },
                "standing_per_day": 0.5,
            },
        },
    }
)


def lines() -> Iterator[str]:
    """1.2 kW from the grid all the time; PV of 3 kW and an export of 2 kW for 6 h from 09:00."""
    imported = exported = 5000.0
    for time in np.arange(START, END, EVERY):
        hour = datetime.fromtimestamp(time, BERLIN).hour
        sunny = 9 <= hour < 15
        if time == RESET:
            imported = 0.0
        if not GAP[0] <= time < GAP[1]:
            stamp = round(time * 1000)
            yield (
                f"site,site=alpha online=1,pv_power_w={3000.0 * sunny},load_power_w=1500.0,"
                f"grid_import_kwh={imported!r},grid_export_kwh={exported!r} {stamp}"
            )
            power = -2000.0 if sunny else 1200.0
            # A battery that turns within each minute: its two sides do not cancel.
            battery = 600.0 if time % 60 else -600.0
            yield f"site,site=beta online=1,grid_power_w={power} {stamp}"
            yield f"battery,site=beta,device=battery/1 power_w={battery} {stamp}"
        imported += 1.2 * EVERY / 3600
        exported += 2.0 * sunny * EVERY / 3600
    for hour in range(HOURS + 1):
        if hour not in UNREAD:
            counted = sum(BY_HOUR[:hour]) + 700
            if hour >= RESTARTED:
                counted = sum(BY_HOUR[RESTARTED - 1 : hour])
            stamp = round((START + 3600 * hour) * 1000)
            yield f"site,site=delta grid_import_kwh={counted!r} {stamp}"
    for quarter in range(4 * HOURS + 1):
        stamp = round((START + 900 * quarter) * 1000)
        yield f"site,site=delta grid_export_kwh={sum(BY_QUARTER[:quarter])!r} {stamp}"


@pytest.fixture(scope="module", params=["detail", "rolled"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write(list(lines()))
        made.rolled = request.param == "rolled"
        if made.rolled:
            settings = {f"influxdb_retention{which}": "inf" for which in ("", "_5m", "_15m")}
            subprocess.run(
                command("rollup"),
                env=environment(influxdb_url=made.url, influxdb_api="v1", **settings),
                capture_output=True,
                check=True,
            )
        else:
            made.query(f'CREATE RETENTION POLICY "{KEPT_AT}" ON "fleet" DURATION inf REPLICATION 1')
        rows = [f"{START + n * 3600},{50 + 50 * (n % 2)}" for n in range(48)]
        prices = parse_prices("\n".join(["time,price", *rows]).encode(), 1e-3)
        made.write(price_lines("spot", prices), KEPT_AT)
        yield made


def read(server: Influx, start: float, end: float, step: Step = "day", **given: Any) -> Account:
    async def ask() -> Account:
        stored = InfluxQL(server.url, "fleet", {})
        sites = given.pop("sites", SITES)
        try:
            return await account(stored, sites, {}, start, end, BERLIN, step, TARIFFS, **given)
        finally:
            await stored.close()

    return asyncio.run(ask())


def test_counters_are_exact_to_the_watt_hour_over_a_reset_and_a_gap(server: Influx) -> None:
    found = read(server, START, END, sites=SITES[:1])
    flow = found.flows["grid_import"]
    assert (flow.sources, flow.resets) == (("counter",), 0 if server.rolled else 1)
    # From the first reading to the last; a reset hides what the counter grew by in its interval.
    seconds = END - START - EVERY
    assert flow.kwh == pytest.approx(1.2 * (seconds - EVERY) / 3600, abs=1e-3)
    assert found.course_kwh["grid_import"][:3] == pytest.approx([28.79, 27.59, 28.79], abs=0.03)
    assert found.flows["grid_export"].kwh == pytest.approx(2.0 * 6 * 3, abs=1e-3)
    # The meter was read again after three hours: that is no peak of 3.6 kWh in a quarter hour.
    assert flow.peak_w == pytest.approx(1200, rel=0.1)


def test_a_meter_read_on_the_edge_counts_in_the_hour_before(server: Influx) -> None:
    found = read(server, START, END, "hour", sites=[HOURLY])
    wanted = np.array(BY_HOUR)
    # The reading at 23 shows what came since that at 19.
    wanted[22], wanted[19:22] = wanted[19:23].sum(), np.nan
    assert found.course_kwh["grid_import"] == pytest.approx(wanted, abs=1e-9, nan_ok=True)
    exported = np.reshape(BY_QUARTER, (-1, 4)).sum(axis=1)
    assert found.course_kwh["grid_export"] == pytest.approx(exported, abs=1e-9)
    assert found.flows["grid_import"].kwh == pytest.approx(sum(BY_HOUR))
    days = read(server, START, END, sites=[HOURLY]).course_kwh["grid_import"]
    parts = [sum(BY_HOUR[:24]), sum(BY_HOUR[24:47]), sum(BY_HOUR[47:])]
    assert days == pytest.approx(parts, abs=1e-9)
    for begin, end, part in zip((START, CHANGE, LAST), (CHANGE, LAST, END), parts, strict=True):
        alone = read(server, begin, end, sites=[HOURLY])
        assert alone.flows["grid_import"].kwh == pytest.approx(part, abs=1e-9)
    quarters = read(server, CHANGE, LAST, "15m", sites=[HOURLY]).course_kwh["grid_export"]
    assert quarters == pytest.approx(BY_QUARTER[4 * 24 : 4 * 47], abs=1e-9)


def test_an_hour_between_two_readings_on_its_edges_is_whole(server: Influx) -> None:
    begin = START + 50 * 3600
    found = read(server, begin, begin + 3600, "15m", sites=[HOURLY])
    assert found.flows["grid_import"].kwh == pytest.approx(BY_HOUR[50], abs=1e-9)
    assert found.course_kwh["grid_export"] == pytest.approx(BY_QUARTER[200:204], abs=1e-9)


def test_detail_that_is_thinned_to_minutes_keeps_the_edges(server: Influx) -> None:
    async def ask(count: int) -> Energy:
        stored = InfluxQL(server.url, "fleet", {})
        question = Question("site", "grid_export_kwh", CHANGE, LAST, ["delta"], count, 900)
        try:
            return (await energy_of_counter(stored, question))[0]["delta", ""]
        finally:
            await stored.close()

    many, one = asyncio.run(ask(1_000_000)), asyncio.run(ask(1))
    assert many.times.tolist() == one.times.tolist()
    assert many.steps_kwh == pytest.approx(one.steps_kwh)
    assert many.kwh == pytest.approx(sum(BY_QUARTER[4 * 24 : 4 * 47]), abs=1e-9)


def test_days_are_those_of_the_zone_and_add_up(server: Influx) -> None:
    whole = read(server, START, END, sites=SITES[:1])
    assert np.diff(whole.bounds).tolist() == [86_400, 23 * 3600, 86_400]
    pv = whole.course_kwh["pv"]
    # The gap lies at 07:00 to 10:00 local: an hour of sun was not seen, and is not made up.
    assert pv == pytest.approx([18.0, 15.0, 18.0], abs=0.06)
    hours = read(server, START, END, "hour", sites=SITES[:1]).course_kwh["pv"]
    assert len(hours) == 24 + 23 + 24
    assert np.nansum(hours) == pytest.approx(whole.flows["pv"].kwh)
    quarters = read(server, CHANGE, LAST, "15m", sites=SITES[:1]).course_kwh["pv"]
    assert len(quarters) == 92
    assert np.isnan(quarters[25:34]).all()
    assert np.nansum(quarters) == pytest.approx(pv[1], abs=1e-6)


def test_powers_stand_in_where_there_is_no_counter(server: Influx) -> None:
    found = read(server, START, CHANGE, sites=SITES[1:2])
    assert found.flows["grid_import"].sources == ("power",)
    assert found.flows["grid_import"].kwh == pytest.approx(1.2 * 18, abs=0.02)
    assert found.flows["grid_export"].kwh == pytest.approx(2.0 * 6, abs=0.02)
    if not server.rolled:
        # In full detail both directions count; within a roll-up's window they are netted.
        assert found.flows["charged"].kwh == pytest.approx(0.6 * 12, abs=0.02)
        assert found.flows["discharged"].kwh == pytest.approx(0.6 * 12, abs=0.02)
    assert "load" not in found.flows
    assert found.unaccounted_kwh is None
    assert not found.links


def test_cost_by_time_of_use_and_by_market_price(server: Influx) -> None:
    night = read(server, START, CHANGE, sites=SITES[1:2]).money
    assert night is not None
    # Eight hours of the day at night's price, ten of the other sixteen without sun.
    assert night.import_cost == pytest.approx(1.2 * (8 * 0.2 + 10 * 0.3), abs=0.01)
    assert (night.standing, night.feed_in_income) == (0.5, 0.0)
    market = read(server, START, CHANGE, sites=SITES[:1]).money
    assert market is not None
    # Prices of 0.05 and 0.10 in turn, and 0.10 on top.
    assert market.import_cost == pytest.approx(28.8 * (0.1 + 0.075), abs=0.01)
    assert market.feed_in_income == pytest.approx(12 * 0.08, abs=1e-3)
    assert market.unpriced_kwh == 0
    both = read(server, START, CHANGE)
    assert both.money is not None
    assert both.money.net == pytest.approx(night.net + market.net)
    assert both.co2 is not None
    assert both.co2.import_kg == pytest.approx(0.4 * both.flows["grid_import"].kwh, abs=0.01)


def test_energy_without_a_price_is_named_and_counts_nowhere(server: Influx) -> None:
    found = read(server, LAST, END, sites=SITES[:1]).money
    assert found is not None
    # Prices end one hour into that day, since the day before has 23 hours.
    assert found.unpriced_kwh == pytest.approx(1.2 * 23, abs=0.05)
    assert found.priced_import_kwh == pytest.approx(1.2, abs=0.05)


def test_a_site_without_readings_is_unknown_and_not_zero(server: Influx) -> None:
    found = read(server, START, END, sites=SITES[2:])
    assert (found.flows, found.links, found.by_site, found.money) == ({}, {}, {}, None)
    assert found.self_consumption is None
