"""A site behind a real listener, and its driver with little patience."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from exporter.drivers.transport.http import json_client
from exporter.drivers.venus.http_driver import VenusHttpDriver
from tests.drivers.bridge import Bridge, Clock, driver_for, site_trees


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for what answers on a machine that is busy, short enough to wait for what hangs.
    monkeypatch.setattr(json_client, "REQUEST_SECONDS", 3.0)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    bridge = Bridge(site_trees())
    async with bridge.running():
        yield bridge
    assert bridge.overlaps == 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def driver(bridge: Bridge, clock: Clock) -> AsyncIterator[VenusHttpDriver]:
    async with driver_for(bridge.url, clock) as driver:
        yield driver
