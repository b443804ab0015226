"""The time since the controller's start: asked seldom, counted on, and never at others' cost."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate

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
    Manner,
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


def dated(ahead_seconds: float, document: object, clock: Clock) -> Manner:
    """Answers by a clock that is ahead."""

    async def manner(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
        date = formatdate(clock.wall() + ahead_seconds, usegmt=True)
        head = f"HTTP/1.0 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\n\r\n"
        writer.write(head.encode() + json.dumps(document).encode())

    return manner


@pytest.mark.parametrize(
    ("ahead_seconds", "said"),
    [
        (0, None),
        (-290, None),
        (-420, "7 min behind; times of receipt are used"),
        (7200, "120 min ahead; times of receipt are used"),
    ],
)
async def test_the_clock_of_the_bridge_is_compared(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock, ahead_seconds: float, said: str | None
) -> None:
    bridge.manners["health"] = dated(ahead_seconds, {"uptime_seconds": 60}, clock)
    for step in (0, EVERY_SECONDS, 10):
        clock.advance(step)
        snapshot = await driver.scrape()
    notices = [notice.detail for notice in snapshot.notices if notice.code == "device_clock"]
    assert notices == ([] if said is None else [said])


async def test_a_bridge_without_a_date_has_no_clock_that_is_wrong(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock
) -> None:
    bridge.manners["health"] = dated(7200, {"uptime_seconds": 60}, clock)
    clock.advance(EVERY_SECONDS)
    await driver.scrape()
    clock.advance(EVERY_SECONDS)
    assert [n.code for n in (await driver.scrape()).notices] == ["device_clock"]
    bridge.manners["health"] = replies({"uptime_seconds": 60})
    clock.advance(EVERY_SECONDS)
    assert not (await driver.scrape()).notices
