"""The Venus driver where the bridge or a device behind it fails."""

from __future__ import annotations

import pytest

from exporter.drivers.venus import site_reader
from exporter.drivers.venus.http_driver import VenusHttpDriver
from exporter.model.snapshot import Outcome, ScrapeError
from tests.drivers.bridge import (
    BATTERY,
    GRID,
    HEAD,
    SYSTEM,
    VEBUS,
    Bridge,
    Manner,
    answers,
    cut_at,
    driver_for,
    hangs_after,
    replies,
    resets,
    sends,
    unused_url,
)
from tests.drivers.venus.scrapes import active, settled

pytestmark = pytest.mark.usefixtures("short_patience")


HANGS = [hangs_after(b""), hangs_after(HEAD[:9]), hangs_after(HEAD + b'{"value": {"Soc"')]


@pytest.mark.parametrize("manner", HANGS, ids=["at once", "in headers", "in body"])
async def test_a_battery_that_hangs_leaves_a_partial_reading(
    bridge: Bridge, driver: VenusHttpDriver, manner: Manner
) -> None:
    await settled(driver, bridge)
    bridge.manners[BATTERY] = manner
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.PARTIAL
    assert "gave up waiting" in snapshot.detail
    assert snapshot.readings["load_power_w"] == 600.0
    # What the system tree has of the battery are its last values.
    assert snapshot.batteries == ()
    # What hangs keeps the bridge's one thread: nothing else is asked behind it.
    assert bridge.asked() == ["system", "battery.ttyO0"]
    assert "grid_connected" not in snapshot.readings
    bridge.manners.clear()
    await bridge.idle()
    assert (await driver.scrape()).outcome is Outcome.OK


async def test_the_sites_time_runs_out_after_the_system_tree(
    bridge: Bridge, driver: VenusHttpDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_reader, "SITE_SECONDS", 2.5)
    bridge.manners[BATTERY] = hangs_after(b"")
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.PARTIAL
    assert "in all" in snapshot.detail
    assert snapshot.readings["load_power_w"] == 600.0


async def test_the_sites_time_runs_out_at_once(
    bridge: Bridge, driver: VenusHttpDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_reader, "SITE_SECONDS", 2.5)
    bridge.manners["services"] = hangs_after(b"")
    with pytest.raises(ScrapeError, match="in all") as caught:
        await driver.scrape()
    assert caught.value.outcome is Outcome.TIMEOUT
    assert bridge.asked() == ["services"]


SICK = {
    "500": answers("500 Internal Server Error", b"{}"),
    "html": sends(HEAD + b"<html>"),
    "cut": cut_at(40),
    "reset": resets,
    "list": replies([]),
    "null": replies(None),
    "no value": replies({"success": True}),
    "null value": replies({"value": None}),
    "empty value": replies({"value": []}),
    "text value": replies({"value": "{}"}),
    "true": replies(True),
}


@pytest.mark.parametrize("manner", SICK.values(), ids=SICK.keys())
@pytest.mark.parametrize("service", [BATTERY, VEBUS, GRID])
async def test_one_sick_device_leaves_the_rest(
    bridge: Bridge, driver: VenusHttpDriver, service: str, manner: Manner
) -> None:
    if service == GRID:
        await driver.scrape()
    bridge.manners[service] = manner
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.PARTIAL
    assert snapshot.detail
    assert snapshot.readings["load_power_w"] == 600.0
    assert active(snapshot).readings["soc_percent"] == (74.0 if service == BATTERY else 75.0)
    assert ("grid_frequency_hz" in snapshot.readings) == (service != VEBUS)


SYSTEM_FAILURES = {
    "500": (SICK["500"], Outcome.HTTP_STATUS),
    "html": (SICK["html"], Outcome.MALFORMED),
    "cut": (SICK["cut"], Outcome.TRUNCATED),
    "reset": (resets, Outcome.TRUNCATED),
    "list": (SICK["list"], Outcome.MALFORMED),
    "empty value": (SICK["empty value"], Outcome.MALFORMED),
    "closed": (sends(b""), Outcome.REFUSED),
    "hangs": (hangs_after(b""), Outcome.TIMEOUT),
}


@pytest.mark.parametrize(
    ("manner", "outcome"), SYSTEM_FAILURES.values(), ids=SYSTEM_FAILURES.keys()
)
async def test_without_the_system_tree_nothing_was_read(
    bridge: Bridge, driver: VenusHttpDriver, manner: Manner, outcome: Outcome
) -> None:
    bridge.manners[SYSTEM] = manner
    with pytest.raises(ScrapeError) as caught:
        await driver.scrape()
    assert caught.value.outcome is outcome
    assert len(bridge.asked()) == 2
    bridge.manners.clear()
    await bridge.idle()
    assert (await driver.scrape()).outcome is Outcome.OK


async def test_nobody_listens() -> None:
    async with driver_for(unused_url()) as driver:
        with pytest.raises(ScrapeError) as caught:
            await driver.scrape()
    assert caught.value.outcome is Outcome.REFUSED
