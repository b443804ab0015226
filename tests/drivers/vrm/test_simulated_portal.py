"""The same physics through a simulated portal and over the bridge: the same issues and score."""

from __future__ import annotations

import pytest

from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.vrm.vrm_bridge import ASK_SECONDS
from exporter.drivers.vrm.vrm_driver import VrmDriver, VrmOptions
from exporter.model.snapshot import Outcome, ScrapeError
from simulator import BridgeServer, Scenario, Simulator
from simulator.devices.names import installation_of
from simulator.vrm import REPORT_SECONDS, REQUESTS, VrmPortal
from tests.drivers.bridge import Clock
from tests.drivers.modbus_tcp.test_gx_site import (
    DEMO,
    NOON,
    SITES,
    active,
    drivers,
    judged,
    snapshots,
)

TOKEN = "a-token"


def in_vrm(site: str) -> Scenario:
    """The demo, with one site in VRM."""
    sites = [s.model_copy(update={"protocol": "vrm"}) if s.id == site else s for s in DEMO.sites]
    return DEMO.model_copy(update={"sites": sites})


class Portal:
    """A simulated portal with one site, and a driver that reads it there."""

    def __init__(self, site: str, token: str = TOKEN) -> None:
        self.site, self.token = site, token
        self.clock = clock = Clock(epoch=NOON.timestamp() - 1000.0)
        self.simulator = Simulator(in_vrm(site), clock=clock.wall, start=NOON)
        self.portal = VrmPortal(self.simulator, TOKEN, clock.monotonic)
        self.bridge = BridgeServer(self.simulator, self.portal)

    async def __aenter__(self) -> VrmDriver:
        url = f"http://127.0.0.1:{await self.bridge.start()}"
        self._http = HttpClient()
        session = await self._http.__aenter__()
        transport = HttpTransport(session, lambda *_: f"Bearer {self.token}")
        context = DriverContext(Transports(transport), self.clock.wall, self.clock.monotonic)
        number = installation_of(next(s for s in DEMO.sites if s.id == self.site))
        options = VrmOptions.model_validate({"vrm": {"installation": number}})
        return VrmDriver.open(Endpoint(self.site, f"{url}/v2", options), context)

    async def __aexit__(self, *_: object) -> None:
        await self._http.__aexit__(None, None, None)
        await self.bridge.stop()


@pytest.mark.parametrize("site", SITES)
async def test_the_score_is_that_of_the_http_bridge(site: str) -> None:
    there = Clock()
    async with drivers(Simulator(DEMO, clock=lambda: 1000.0, start=NOON), site, there) as (http, _):
        by_http = await snapshots(http, there)
    async with Portal(site) as driver:
        by_vrm = [await driver.scrape()]
    assert by_vrm[0].outcome is Outcome.OK, by_vrm[0].detail
    assert active(by_vrm).readings["soc_percent"] == pytest.approx(
        active(by_http).readings["soc_percent"], abs=0.1
    )
    first, second = judged(site, by_http), judged(site, by_vrm)
    assert {i.code for i in second.issues} == {i.code for i in first.issues}
    assert second.score == first.score


async def test_values_are_those_of_the_last_report() -> None:
    portal = Portal("site_iota")
    clock = portal.clock
    async with portal as driver:
        first = await driver.scrape()
        clock.advance(REPORT_SECONDS - 1)
        portal.simulator.advance()
        portal.portal.keep_up()
        between = await driver.scrape()
        clock.advance(ASK_SECONDS)
        portal.simulator.advance()
        portal.portal.keep_up()
        second = await driver.scrape()
    assert first.time == pytest.approx(NOON.timestamp(), abs=1)
    assert (between.time, between.readings) == (first.time, {})
    assert second.time >= first.time + REPORT_SECONDS
    assert second.readings["load_power_w"] != first.readings["load_power_w"]


async def test_a_site_that_reports_no_more_is_known_no_more() -> None:
    portal = Portal("site_iota")
    clock = portal.clock
    async with portal as driver:
        await driver.scrape()
        portal.simulator.inject("site_iota", "offline")
        clock.advance(3 * REPORT_SECONDS)
        portal.simulator.advance()
        portal.portal.keep_up()
        with pytest.raises(ScrapeError, match="45 min old") as caught:
            await driver.scrape()
    assert caught.value.outcome is Outcome.TIMEOUT


async def test_another_token_is_refused() -> None:
    async with Portal("site_iota", token="another") as driver:
        with pytest.raises(ScrapeError, match="401") as caught:
            await driver.scrape()
    assert caught.value.outcome is Outcome.HTTP_STATUS


def test_the_portal_s_other_routes_and_its_limit() -> None:
    here = Portal("site_iota")
    portal, clock = here.portal, here.clock
    signed_in = {"x-authorization": f"Token {TOKEN}"}
    status, me = portal.answer("/users/me", "", signed_in)
    assert (status, me["success"]) == (200, True)
    status, listed = portal.answer(f"/users/{me['user']['id']}/installations", "", signed_in)
    (site,) = listed["records"]
    path = f"/installations/{site['idSite']}/diagnostics"
    status, found = portal.answer(path, "count=3", signed_in)
    assert (status, len(found["records"])) == (200, 3)
    assert found["num_records"] < 1000
    assert portal.answer("/installations/1/diagnostics", "", signed_in)[0] == 403
    assert portal.answer("/nothing", "", signed_in)[0] == 404
    for _ in range(REQUESTS):
        status, _found = portal.answer(path, "", signed_in)
    assert status == 429
    clock.advance(1)
    assert portal.answer(path, "", signed_in)[0] == 200
