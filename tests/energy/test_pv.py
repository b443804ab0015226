"""PV against the sun from a stored past to API and command, over a real InfluxDB.

``s0000`` has two inverters, of which one fails on the last day but one, and measured irradiance;
``s0001`` knows only a clear sky.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.config.fleet import Fleet, Site
from exporter.deliver.report.gather import pv_against_sun
from exporter.energy.pv_days import KEPT_AT, SLOTS_KEPT_AT
from exporter.energy.pv_expected import expected_slots
from exporter.energy.pv_job import PvJob, PvTask
from exporter.energy.tariff_file import TariffFile
from exporter.energy.weather import KEPT_AT as WEATHER_KEPT_AT
from exporter.energy.weather import parse_weather, weather_lines
from exporter.history.influxql import InfluxQL
from exporter.serve.api.energy_schemas import EnergyReply
from exporter.store.connection import Connection
from scoring.pv_power import Sky
from tests.serve.api.influx import Influx, influx
from tests.serve.api.replies import check
from tests.serve.api.served import ServedFleet, plan

pytestmark = pytest.mark.stack

DAY = 86_400
MIDNIGHT = time.time() // DAY * DAY
DAYS = 12
FIRST = int(MIDNIGHT - DAYS * DAY) // 900
FAILED = MIDNIGHT - DAY
"""The day on which an inverter fails: yesterday."""
TARIFFS = TariffFile.model_validate(
    {
        "currency": "EUR",
        "default": "flat",
        "tariffs": {"flat": {"grid": {"price": 0.3}, "feed_in": {"price": 0.08}}},
    }
)


def fleet() -> Fleet:
    # On the equator, so that every day of the year is long enough.
    return plan(2, latitude=0.0, longitude=0.0, timezone="UTC")


def sky(count: int) -> Sky:
    """Each day another cloudiness; a clear sky's irradiance times it."""
    clear = expected_slots(fleet().sites[0], FIRST, count, None)
    day = np.arange(count) // 96
    share = 0.55 + 0.4 * np.abs(np.sin(2.0 * day))
    return Sky.of(count, poa_w_m2=np.maximum(clear.poa_w_m2, 0.0) * share)


def past(site: Site) -> Iterator[str]:
    count = DAYS * 96
    model = expected_slots(site, FIRST, count, sky(count))
    for n in range(count):
        stamp = (FIRST + n) * 900
        if site.id == "s0000" and stamp == FAILED + 3600 * 9:
            # A quarter of an hour that nobody saw.
            continue
        watts = 0.95 * max(float(model.power_w[n]), 0.0)
        east = 0.5 * watts
        west = 0.0 if stamp >= FAILED and site.id == "s0000" else 0.5 * watts
        for part in range(3):
            at = (stamp + 300 * part) * 1000
            made = east + west
            yield (
                f"site,site={site.id} online=1,pv_power_w={made!r},load_power_w=500.0,"
                f"grid_power_w={500 - made!r},grid_connected=1 {at}"
            )
            if site.id == "s0000":
                for name, power in (("20", east), ("21", west)):
                    yield f"meter,site=s0000,meter=pvinverter/{name} active_power_w={power!r} {at}"


def judge(server: Influx, job: PvJob, now: float) -> list[str]:
    connection = Connection(server.url, "fleet", {})
    tasks = [
        PvTask(site, None, "roof" if site.id == "s0000" else None, TARIFFS)
        for site in fleet().sites
    ]
    days, slots = asyncio.run(job.judge(connection, connection, tasks, now))
    server.write(days, KEPT_AT)
    server.write(slots, SLOTS_KEPT_AT)
    return days


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as server:
        for policy in (KEPT_AT, SLOTS_KEPT_AT):
            server.query(
                f'CREATE RETENTION POLICY "{policy}" ON "fleet" DURATION inf REPLICATION 1'
            )
        for site in fleet().sites:
            server.write(list(past(site)))
        irradiance = sky(DAYS * 96).poa_w_m2.tolist()
        rows = [f"{(FIRST + n) * 900},{poa!r}" for n, poa in enumerate(irradiance)]
        weather = parse_weather("\n".join(["time,poa", *rows]).encode(), None)
        server.write(weather_lines("roof", weather, set()), WEATHER_KEPT_AT)
        job = PvJob()
        assert judge(server, job, MIDNIGHT - 12 * 3600)
        assert judge(server, job, MIDNIGHT)
        yield server


@pytest.fixture(scope="module")
def served(server: Influx) -> Iterator[ServedFleet]:
    made = ServedFleet(fleet(), InfluxQL(server.url, "fleet", {}), tariffs=TARIFFS)
    with made.serving():
        yield made


def asked(served: ServedFleet, site: str, since: float, until: float) -> dict[str, Any]:
    found = served.json(f"/api/v1/energy?site={site}&since={since}&until={until}")
    check(EnergyReply, found)
    return dict(found["pv"])


def test_days_before_the_fault_are_as_expected(served: ServedFleet) -> None:
    found = asked(served, "s0000", FIRST * 900, FAILED)
    assert found["by_weather"]
    assert len(found["days"]) == DAYS - 1
    assert found["measured_kwh"] == pytest.approx(0.95 * found["expected_kwh"], rel=0.01)
    assert found["lost_kwh"] == pytest.approx(
        found["expected_kwh"] - found["measured_kwh"], abs=0.001
    )
    by_cause = {one["cause"]: one["kwh"] for one in found["losses"]}
    assert sum(by_cause.values()) == pytest.approx(found["lost_kwh"], abs=0.01)
    assert by_cause["rest"] == pytest.approx(found["lost_kwh"], rel=0.02)
    # 14 % losses, 96 % of the inverter, 95 % made; warm cells take a little more.
    assert 0.6 < found["performance_ratio"] < found["performance_ratio_25c"]
    assert found["performance_ratio_25c"] == pytest.approx(0.95 * 0.86 * 0.96, rel=0.01)


def test_the_failed_inverter_is_named_with_its_loss_and_what_it_is_worth(
    served: ServedFleet,
) -> None:
    found = asked(served, "s0000", FAILED, MIDNIGHT)
    by_cause = {one["cause"]: one for one in found["losses"]}
    inverters = {one["inverter"]: one for one in found["inverters"]}
    west, east = inverters["pvinverter/21"], inverters["pvinverter/20"]
    assert west["kwh"] == 0
    assert east["lost_kwh"] == 0
    assert west["lost_kwh"] == pytest.approx(east["kwh"], rel=0.02)
    assert by_cause["inverter"]["kwh"] == pytest.approx(west["lost_kwh"], rel=0.01)
    assert by_cause["inverter"]["fault"]
    # In the sun it would have been fed in, at 8 ct.
    assert by_cause["inverter"]["value"] == pytest.approx(0.08 * west["lost_kwh"], rel=0.1)
    total = sum(one["kwh"] for one in found["losses"])
    assert total == pytest.approx(found["expected_kwh"] - found["measured_kwh"], abs=0.01)
    day = found["days"][0]
    assert day["own_band"]
    assert day["measured_kwh"] < day["low_kwh"] < day["high_kwh"]


def test_what_nobody_saw_is_no_loss(served: ServedFleet) -> None:
    found = asked(served, "s0000", FAILED, MIDNIGHT)
    model = expected_slots(fleet().sites[0], FIRST, DAYS * 96, sky(DAYS * 96))
    unseen = model.power_w[(DAYS - 1) * 96 + 36] * 900 / 3.6e6
    assert found["unobserved_kwh"] == pytest.approx(unseen, rel=0.35)
    whole = model.power_w[(DAYS - 1) * 96 :].sum() / 4000
    assert found["expected_kwh"] + found["unobserved_kwh"] == pytest.approx(whole, rel=0.01)


def test_a_clear_sky_has_no_ratio_after_the_standard(served: ServedFleet) -> None:
    found = asked(served, "s0001", FIRST * 900, MIDNIGHT)
    assert not found["by_weather"]
    assert found["performance_ratio"] is None
    by_cause = {one["cause"]: one["kwh"] for one in found["losses"]}
    assert by_cause["outage"] == by_cause["inverter"] == 0
    assert sum(by_cause.values()) == pytest.approx(found["lost_kwh"], abs=0.01)


def test_the_measured_energy_is_that_of_the_account(served: ServedFleet) -> None:
    found = served.json(f"/api/v1/energy?site=s0000&since={FIRST * 900}&until={MIDNIGHT}")
    assert found["pv"]["measured_kwh"] == pytest.approx(found["flows"]["pv"]["kwh"], rel=1e-4)
    both = served.json(f"/api/v1/energy?since={FIRST * 900}&until={MIDNIGHT}&tz=UTC")
    parts = [asked(served, s, FIRST * 900, MIDNIGHT) for s in ("s0000", "s0001")]
    for name in ("measured_kwh", "expected_kwh", "lost_kwh", "lost_value"):
        assert both["pv"][name] == pytest.approx(sum(part[name] for part in parts), abs=0.01)
    assert both["pv"]["days"] == []


def test_days_that_are_over_are_judged_once(server: Influx) -> None:
    # After a restart, what was learned is gone and what is stored stays.
    lines = judge(server, PvJob(), MIDNIGHT)
    stamps = {int(line.rsplit(" ", 1)[1]) / 1000 for line in lines}
    assert min(stamps) == FAILED - DAY


def test_the_command(served: ServedFleet) -> None:
    span = ["--since", str(FAILED), "--until", str(MIDNIGHT), "--url", served.url]
    shown = CliRunner().invoke(app, ["energy", "s0000", "--pv", *span])
    assert shown.exit_code == 0, shown.output
    assert "an inverter or string below the others" in shown.output
    assert "pvinverter/21" in shown.output
    assert "EUR" in shown.output


def test_the_report_gives_the_same_figures(server: Influx, served: ServedFleet) -> None:
    both = asked_of_all(served, FIRST * 900, MIDNIGHT)
    stored = InfluxQL(server.url, "fleet", {})
    found = asyncio.run(pv_against_sun(stored, ["s0000", "s0001"], FIRST * 900, MIDNIGHT))
    assert found is not None
    assert found.currency == "EUR"
    for name in ("measured_kwh", "expected_kwh", "clipped_kwh", "unobserved_kwh"):
        assert both[name] == round(getattr(found, name), 4)
    assert [(one["cause"], one["kwh"], one["value"]) for one in both["losses"]] == [
        (one.cause, round(one.kwh, 4), None if one.value is None else round(one.value, 4))
        for one in found.losses
    ]


def asked_of_all(served: ServedFleet, since: float, until: float) -> dict[str, Any]:
    found = served.json(f"/api/v1/energy?since={since}&until={until}&tz=UTC")
    return dict(found["pv"])
