"""The past, from a real InfluxDB: thinned without losing extremes, gaps kept as gaps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.history import series
from exporter.history.influxql import InfluxQL
from exporter.serve.api import schemas
from tests.serve.api.influx import influx
from tests.serve.api.replies import check
from tests.serve.api.served import START, ServedFleet, plan

STEP = 10
COUNT = 20_000
GAP = range(9000, 9600)
SPIKE, DIP = 12_345, 3_333


def level(n: int) -> float:
    return {SPIKE: 99.5, DIP: 1.5}.get(n, 50 + 30 * math.sin(n / 900))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    with influx(tmp_path_factory.mktemp("influx")) as server:
        lines = []
        for n in set(range(COUNT)) - set(GAP):
            stamp = round((START + n * STEP) * 1000)
            lines.append(f"battery,site=s0000,device=battery/1 soc_percent={level(n)} {stamp}")
            if n < 100:
                lines.append(f"battery,site=s0000,device=battery/2 soc_percent=50 {stamp}")
                cells = "cell,site=s0000,pack=battery/1,cell="
                lines += [f"{cells}{c} voltage_v={3.2 + c / 1000} {stamp}" for c in (1, 2, 3)]
                lines.append(f"health,site=s0000,component=overall score=77 {stamp}")
                lines.append(f"health,site=s0000,component=battery score=66 {stamp}")
        server.write(lines)
        fleet = ServedFleet(plan(2), InfluxQL(server.url, "fleet", {}))
        with fleet.serving():
            yield fleet


def ask(served: ServedFleet, query: str) -> Any:
    span = f"since={START}&until={START + COUNT * STEP}"
    return served.json(f"/api/v1/history?site=s0000&{span}&{query}")


def known(series: dict[str, Any]) -> dict[float, float]:
    pairs = zip(series["times"], series["values"], strict=True)
    return {time: value for time, value in pairs if value is not None}


def check_thinned(series: dict[str, Any], points: int) -> None:
    """What holds however the past was read."""
    assert (series["minimum"], series["maximum"]) == (1.5, 99.5)
    shown = known(series)
    assert (min(shown.values()), max(shown.values())) == (1.5, 99.5)
    assert len(shown) <= points + 4
    assert series["times"] == sorted(series["times"])
    gaps = [t for t, v in zip(series["times"], series["values"], strict=True) if v is None]
    assert len(gaps) == 1
    assert START + GAP.start * STEP < gaps[0] < START + GAP.stop * STEP


@pytest.mark.stack
def test_thinning_keeps_extremes_and_gaps(served: ServedFleet) -> None:
    found = ask(served, "metric=soc_percent&device=battery/1&points=200")
    (series,) = found["series"]
    assert series["read"] == COUNT - len(GAP)
    assert found["stretch_seconds"] == 0
    check_thinned(series, 200)
    shown = known(series)
    assert shown[START + SPIKE * STEP] == 99.5
    assert shown[START + DIP * STEP] == 1.5
    # The last sample before the gap and the first after it.
    assert {START + (GAP.start - 1) * STEP, START + GAP.stop * STEP} <= shown.keys()


@pytest.mark.stack
def test_what_is_too_much_to_read_is_asked_as_extremes(
    served: ServedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "MOST_SAMPLES", 1000)
    found = ask(served, "metric=soc_percent&device=battery/1&points=200")
    assert found["stretch_seconds"] >= 100
    check_thinned(found["series"][0], 200)


@pytest.mark.stack
def test_a_long_range_is_read_from_the_roll_up_that_holds_all_of_it(tmp_path: Path) -> None:
    hour, day = 3600, 86400
    start = 20_000 * day
    with influx(tmp_path) as server:
        server.query('CREATE RETENTION POLICY "rollup_1h" ON "fleet" DURATION INF REPLICATION 1')
        begun = start + 10 * day
        stamps = range(begun, start + 70 * day, hour)
        server.write(
            [
                f"site,site=s0000 pv_power_w_min=1,pv_power_w_max={9 if t > begun else 7} {t}000"
                for t in stamps
            ],
            "rollup_1h",
        )
        fleet = ServedFleet(plan(1), InfluxQL(server.url, "fleet", {}))
        with fleet.serving():
            ask = "/api/v1/history?site=s0000&metric=pv_power_w&points=500"
            whole = f"{ask}&since={start}&until={start + 70 * day}"
            (rolled,) = fleet.json(whole)["series"]
            assert (rolled["minimum"], rolled["maximum"]) == (1, 9)
            assert fleet.json(whole)["stretch_seconds"] == hour
            short = f"{ask}&since={begun}&until={begun + day}"
            assert fleet.json(short)["series"] == []
            server.write([f"site,site=s0000 pv_power_w=123 {start + day}000"])
            (detail,) = fleet.json(whole)["series"]
            assert (detail["minimum"], detail["maximum"]) == (123, 123)


@pytest.mark.stack
def test_little_comes_as_it_is(served: ServedFleet) -> None:
    found = ask(served, f"metric=soc_percent&until={START + 500}")
    assert [s["tags"]["device"] for s in found["series"]] == ["battery/1", "battery/2"]
    assert found["series"][0]["values"] == [pytest.approx(level(n)) for n in range(50)]
    cells = ask(served, "metric=cell_voltage_v&pack=battery/1")
    assert [s["tags"]["cell"] for s in cells["series"]] == ["1", "2", "3"]
    assert {s["maximum"] for s in ask(served, "metric=score")["series"]} == {77}
    assert {s["maximum"] for s in ask(served, "metric=battery_score")["series"]} == {66}
    assert ask(served, "metric=soc_percent&device=it's \\".replace(" ", "%20"))["series"] == []


@pytest.mark.stack
def test_the_reply_is_what_openapi_says(served: ServedFleet) -> None:
    found = ask(served, "metric=soc_percent")
    check(schemas.HistoryReply, found)
    # As questions call it.
    assert ask(served, "metric=SOC")["metric"] == found["metric"]


@pytest.mark.stack
def test_a_store_that_is_gone_is_said(served: ServedFleet, tmp_path: Path) -> None:
    with influx(tmp_path) as server:
        gone = server.url
    other = ServedFleet(plan(1), InfluxQL(gone, "fleet", {}))
    with other.serving():
        status, _, body = other.ask("/api/v1/history?site=s0000&metric=score")
    assert status == 503
    assert b"InfluxDB does not answer" in body
    assert gone.encode() not in body
