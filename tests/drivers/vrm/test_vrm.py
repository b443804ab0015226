"""Sites through VRM, against a stand-in of its documented API on a real socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.vrm.vrm_driver import VrmDriver, VrmOptions
from exporter.model.snapshot import Outcome, ScrapeError
from exporter.store.line_protocol import snapshot_lines
from tests.drivers.bridge import BATTERY, SYSTEM, VEBUS, Clock, site_trees
from tests.drivers.json_peer import JsonPeer

TARGET = "/v2/installations/4711/diagnostics?count=1000"
INSTANCES = {SYSTEM: 0, BATTERY: 256, VEBUS: 257}


def records(time: float) -> dict[str, Any]:
    """The diagnostics of a site, all measured at one time."""
    trees, found = site_trees(), []
    for service, instance in INSTANCES.items():
        for path, value in trees[service].items():
            if path.startswith("ServiceMapping/") or path in ("VebusService", "Serial"):
                continue
            found.append(
                {
                    "idSite": 4711,
                    "timestamp": time,
                    "Device": service,
                    "instance": instance,
                    "dbusServiceType": service.split(".")[2],
                    "dbusPath": f"/{path}",
                    "rawValue": None if value == [] else value,
                    "formattedValue": str(value),
                }
            )
    gateway = {"Device": "Gateway", "instance": 0, "dbusServiceType": None, "dbusPath": None}
    return {"success": True, "records": [gateway | {"timestamp": time}, *found]}


@contextlib.asynccontextmanager
async def driver_at(url: str, clock: Clock) -> AsyncIterator[VrmDriver]:
    async with HttpClient() as http:
        transport = HttpTransport(http, lambda site, endpoint: "Bearer abc123")
        context = DriverContext(Transports(transport), clock.wall, clock.monotonic)
        options = VrmOptions.model_validate({"vrm": {"installation": 4711}})
        yield VrmDriver.open(Endpoint("alpha", f"{url}/v2", options), context)


async def test_values_have_the_time_at_which_they_were_measured(clock: Clock) -> None:
    measured = clock.wall() - 600
    peer = JsonPeer({TARGET: records(measured)})
    async with peer.running(), driver_at(peer.url, clock) as driver:
        snapshot = await driver.scrape()
    assert (snapshot.outcome, snapshot.time) == (Outcome.OK, measured)
    assert snapshot.readings["grid_power_w"] == 77.5
    assert snapshot.readings["grid_frequency_hz"] == 50.02
    (pack,) = snapshot.batteries
    assert (pack.device, pack.active) == ("battery/256", True)
    assert pack.readings["soh_percent"] == 95
    assert snapshot.alarms["battery/256"]["HighTemperature"] == 1
    assert "x-authorization: token abc123" in peer.headers[0].lower()
    assert "\nauthorization:" not in peer.headers[0].lower()


async def test_slow_values_are_not_stale_and_vrm_is_asked_rarely(clock: Clock) -> None:
    site = {"id": "alpha", "api_endpoint": "https://192.0.2.1"}
    state = FleetState(Fleet.model_validate({"sites": [site]}), 10.0)
    documents = {TARGET: records(clock.wall())}
    peer = JsonPeer(documents)
    stored = 0
    async with peer.running(), driver_at(peer.url, clock) as driver:
        for turn in range(180):
            if turn == 100:
                documents[TARGET] = records(clock.wall())
            snapshot = await driver.scrape()
            stored += bool(snapshot_lines(snapshot))
            state.apply(snapshot, clock.monotonic())
            clock.advance(10)
            known = state.records[0].batteries["battery/256"]
            assert clock.monotonic() - known.seen <= state.stale_after[0]
    # Half an hour, asked every five minutes; each of two reports is stored once.
    assert len(peer.requests) == 6
    assert stored == 2


async def test_a_site_that_stopped_sending_is_a_timeout(clock: Clock) -> None:
    peer = JsonPeer({TARGET: records(clock.wall())})
    async with peer.running(), driver_at(peer.url, clock) as driver:
        assert (await driver.scrape()).outcome is Outcome.OK
        clock.advance(1790)
        assert (await driver.scrape()).outcome is Outcome.OK
        clock.advance(20)
        with pytest.raises(ScrapeError) as caught:
            await driver.scrape()
    assert caught.value.outcome is Outcome.TIMEOUT
    assert caught.value.detail == "VRM's newest value of the site is 30 min old"


async def test_a_limit_is_respected(clock: Clock) -> None:
    peer = JsonPeer({}, status="429 Too Many Requests")
    async with peer.running(), driver_at(peer.url, clock) as driver:
        for _ in range(80):
            with pytest.raises(ScrapeError):
                await driver.scrape()
            clock.advance(10)
        assert len(peer.requests) == 1
        clock.advance(100)
        with pytest.raises(ScrapeError):
            await driver.scrape()
        assert len(peer.requests) == 2


async def test_the_sites_of_a_token_share_its_requests(clock: Clock) -> None:
    """200 sites ask at the start: what is beyond the budget waits, and nobody is refused."""
    peer = JsonPeer({TARGET: records(clock.wall())})
    async with peer.running(), HttpClient() as http:
        transport = HttpTransport(http, lambda site, _: f"Bearer {site[:1]}")
        transports = Transports(transport)
        context = DriverContext(transports, clock.wall, clock.monotonic)
        options = VrmOptions.model_validate({"vrm": {"installation": 4711}})

        def opened(site: str) -> VrmDriver:
            return VrmDriver.open(Endpoint(site, f"{peer.url}/v2", options), context)

        drivers = [opened(f"a{n}") for n in range(200)]
        waiting = [driver for driver in drivers if not await answers(driver)]
        assert len(peer.requests) == transports.vrm.at_once == 130
        assert len(waiting) == 70
        # Another token has a budget of its own.
        assert await answers(opened("b1"))
        turns = 0
        while waiting:
            clock.advance(10)
            turns += 1
            waiting = [driver for driver in waiting if not await answers(driver)]
        assert turns == 70 / (10 * transports.vrm.per_second) + 0.5


async def answers(driver: VrmDriver) -> bool:
    """Whether a site is read; if not, it waits for its turn."""
    try:
        return (await driver.scrape()).outcome is Outcome.OK
    except ScrapeError as error:
        if "waits for its turn" not in error.detail:
            raise
        return False


@pytest.mark.parametrize("body", [b"[]", b'{"records": 3}', b'{"records": [1, {"timestamp": []}]}'])
async def test_other_documents_are_no_values(body: bytes, clock: Clock) -> None:
    peer = JsonPeer({}, raw={TARGET: body})
    async with peer.running(), driver_at(peer.url, clock) as driver:
        with pytest.raises(ScrapeError):
            await driver.scrape()


def test_the_installation_is_required() -> None:
    text = "sites:\n  - {id: a, driver: vrm, api_endpoint: 'https://vrmapi.victronenergy.com/v2'}\n"
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path("fleet.yaml"), DRIVERS)
    assert "sites[0].vrm: is missing; it is required" in str(caught.value)
