"""What tests of the Venus driver ask of a scrape."""

from __future__ import annotations

from exporter.drivers.venus.http_driver import VenusHttpDriver
from exporter.model.snapshot import BatterySnapshot, Snapshot
from tests.drivers.bridge import Bridge


def active(snapshot: Snapshot) -> BatterySnapshot:
    """The battery that decides."""
    (battery,) = (b for b in snapshot.batteries if b.active)
    return battery


async def settled(driver: VenusHttpDriver, bridge: Bridge) -> None:
    """Scrape until every device has been read once, so that no other one is due."""
    for _ in range(6):
        await driver.scrape()
    bridge.asked()
