"""The figures of a site with several batteries: which battery decides, and how old it may be."""

from __future__ import annotations

import math
from typing import Any

import pytest

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.model.snapshot import BatterySnapshot, Outcome, Snapshot
from tests.assess.test_assessment import WALL, fleet

nan = math.nan


def scraped(*batteries: tuple[str, bool, dict[str, float]]) -> Snapshot:
    found = tuple(BatterySnapshot(*battery) for battery in batteries)
    return Snapshot("a", WALL, 0.1, Outcome.OK, batteries=found)


def site_after(*scrapes: tuple[float, Snapshot], now: float) -> Any:
    state = FleetState(fleet("a"), 10.0)
    for time, snapshot in scrapes:
        state.apply(snapshot, time)
    return assess(state, now, WALL).site(0)


def test_the_worst_battery_decides_and_the_active_one_gives_the_rest() -> None:
    site = site_after(
        (
            1000.0,
            scraped(
                ("battery/1", False, {"soc_percent": 20.0, "soh_percent": 60.0, "cell_min_v": 3.2}),
                ("battery/2", True, {"soc_percent": 70.0, "soh_percent": 95.0, "cell_min_v": 3.3}),
                ("battery/3", False, {"soc_percent": 30.0, "soh_percent": nan}),
            ),
        ),
        now=1001.0,
    )
    assert site.readings["soc_percent"] == 70.0
    assert site.readings["battery_lowest_soh_percent"] == site.readings["soh_percent"] == 60.0
    assert site.readings["cell_lowest_v"] == site.readings["cell_min_v"] == 3.2
    assert site.issues[0].sentence == "State of health is 60.0 %, below 70 % (battery/1)"


@pytest.mark.parametrize(
    ("sensor", "cell", "hottest", "where"),
    [
        (50.0, 40.0, 50.0, ""),
        (40.0, 50.0, 50.0, " (a cell)"),
        (nan, 50.0, 50.0, " (a cell)"),
        (50.0, nan, 50.0, ""),
    ],
)
def test_the_hottest_place_is_a_battery_or_a_cell(
    sensor: float, cell: float, hottest: float, where: str
) -> None:
    readings = {"temperature_c": sensor, "cell_max_temperature_c": cell}
    site = site_after((1000.0, scraped(("battery/1", True, readings))), now=1001.0)
    assert site.readings["battery_hottest_c"] == hottest
    assert site.issues[0].sentence == f"Battery is at 50.0 °C, above 45 °C{where}"


def test_an_old_reading_does_not_hide_a_fresh_one() -> None:
    """The battery's own sensor fell silent at 50 °C; its cells are known and cooler."""
    site = site_after(
        (1000.0, scraped(("battery/1", True, {"temperature_c": 50.0}))),
        (1100.0, scraped(("battery/1", True, {"cell_max_temperature_c": 30.0}))),
        now=1101.0,
    )
    assert site.readings["battery_hottest_c"] == 30.0
    assert "battery_temperature" not in {issue.code for issue in site.issues}


def test_other_batteries_are_read_in_turn_and_count_until_they_are_gone() -> None:
    first = scraped(
        ("battery/1", True, {"soh_percent": 95.0}), ("battery/2", False, {"soh_percent": 60.0})
    )
    alone = scraped(("battery/1", True, {"soh_percent": 95.0}))
    later = [(1000.0 + 10.0 * n, alone) for n in range(1, 60)]
    site = site_after((1000.0, first), *later, now=1591.0)
    assert site.readings["battery_lowest_soh_percent"] == 60.0
    gone = [(1000.0 + 10.0 * n, alone) for n in range(1, 100)]
    assert (
        site_after((1000.0, first), *gone, now=1991.0).readings["battery_lowest_soh_percent"]
        == 95.0
    )
