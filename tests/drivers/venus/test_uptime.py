"""The time since the controller's start: asked seldom, counted on, and never at others' cost."""

from __future__ import annotations

import pytest

from exporter.drivers.venus.http_driver import VenusHttpDriver
from exporter.drivers.venus.uptime import EVERY_SECONDS
from exporter.model.snapshot import Outcome, ScrapeError
from tests.drivers.bridge import (
    GRID,
    SYSTEM,
    VEBUS,
    Bridge,
    Clock,
    answers,
    hangs_after,
    replies,
)

pytestmark = pytest.mark.usefixtures("short_patience")


async def uptimes(driver: VenusHttpDriver, clock: Clock, *steps: float) -> list[float | None]:
    found = []
    for step in steps:
        clock.advance(step)
        snapshot = await driver.scrape()
        assert snapshot.outcome is Outcome.OK
        found.append(snapshot.readings.get("uptime_h"))
    return found


async def test_it_is_asked_every_five_minutes_and_counts_on_between(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock
) -> None:
    bridge.manners["health"] = replies({"uptime_seconds": 36_000})
    assert await uptimes(driver, clock, 0, 10) == [None, None]
    assert "health" not in bridge.asked()
    assert await uptimes(driver, clock, EVERY_SECONDS, 120) == [10.0, 10.0]
    assert bridge.asked().count("health") == 1
    assert await uptimes(driver, clock, 170) == [10.1]
    assert "health" not in bridge.asked()
    bridge.manners["health"] = replies({"uptime_seconds": 60})
    assert await uptimes(driver, clock, 20) == [0.0]


@pytest.mark.parametrize(
    "manner",
    [answers("404 Not Found"), answers("200 OK", b"[]"), replies({"uptime_seconds": "long"})],
    ids=["no such route", "no object", "no number"],
)
async def test_a_bridge_that_does_not_say_loses_nothing_else(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock, manner: object
) -> None:
    bridge.manners["health"] = manner  # type: ignore[assignment]
    assert (await uptimes(driver, clock, EVERY_SECONDS, 10))[-1] is None


async def test_no_scrape_asks_more_than_four_times_for_it_and_none_that_failed_does(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock
) -> None:
    bridge.manners["health"] = replies({"uptime_seconds": 36_000})
    for _ in range(5):
        clock.advance(EVERY_SECONDS)
        await driver.scrape()
        assert len(bridge.asked()) <= 4
    bridge.manners[SYSTEM] = answers("500 Oh")
    clock.advance(EVERY_SECONDS)
    with pytest.raises(ScrapeError):
        await driver.scrape()
    assert "health" not in bridge.asked()


async def test_nothing_else_is_asked_of_a_bridge_that_does_not_answer_it(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock
) -> None:
    # Without inverter and meter a request is left over for a charger, which is due as well.
    gone = (VEBUS, GRID)
    bridge.trees = {name: tree for name, tree in bridge.trees.items() if name not in gone}
    system = bridge.trees[SYSTEM]
    bridge.trees[SYSTEM] = {path: value for path, value in system.items() if value not in gone}
    await uptimes(driver, clock, 0)
    bridge.asked()
    bridge.manners["health"] = hangs_after(b"")
    assert await uptimes(driver, clock, EVERY_SECONDS) == [None]
    assert bridge.asked() == ["system", "battery.ttyO0", "health"]
