"""A site with several ways in: which one is used, when, and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.state import FleetState
from exporter.config.fleet_file import parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.base import Driver, DriverContext, Subscribed, read_snapshot
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.push import PushTransport
from exporter.drivers.ways_in import LONGEST_RETRY_SECONDS, WaysIn, open_driver, read_alike
from exporter.intake.telemetry import Point
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from tests.drivers.bridge import Clock
from tests.drivers.json_peer import JsonPeer

INTERVAL = 10.0


def meter(watts: float) -> dict[str, Any]:
    phase = {"voltage": 230.0, "total": 1000.0, "total_returned": 10.0}
    return {"/status": {"total_power": watts, "emeters": [phase] * 3, "mac": "A1"}}


@dataclass
class World:
    """A site with two meters' web servers as its ways in, and a clock that the test moves."""

    peers: list[JsonPeer]
    driver: Driver
    clock: Clock
    push: PushTransport

    async def read(self, turns: int = 1) -> Snapshot:
        """Read so many turns, an interval apart; trials in between end."""
        for _ in range(turns):
            self.clock.advance(INTERVAL)
            found = await read_snapshot(self.driver)
            assert isinstance(self.driver, WaysIn)
            if self.driver._trial is not None:
                await asyncio.wait({self.driver._trial})
        assert found is not None
        return found

    def silence(self, index: int) -> None:
        self.peers[index].documents = {}

    def wake(self, index: int) -> None:
        self.peers[index].documents = meter(100.0 * (index + 1))


@contextlib.asynccontextmanager
async def world(*more: str) -> AsyncIterator[World]:
    clock, push = Clock(), PushTransport()
    async with contextlib.AsyncExitStack() as stack:
        peers = [JsonPeer(meter(100.0 * n)) for n in (1, 2)]
        for peer in peers:
            await stack.enter_async_context(peer.running())
        http = await stack.enter_async_context(HttpClient())
        ways = [
            f"{{driver: template, template: shelly-3em, api_endpoint: '{p.url}'}}" for p in peers
        ]
        lines = "".join(f"      - {way}\n" for way in (*ways, *more))
        text = f"sites:\n  - id: a\n    drivers:\n{lines}"
        (site,) = parse_fleet(text, Path("f.yaml"), DRIVERS).sites
        transports = Transports(HttpTransport(http), push=push)
        context = DriverContext(transports, clock.wall, clock.monotonic)
        driver = open_driver(site, DRIVERS, context)
        yield World(peers, driver, clock, push)
        await driver.close()


async def test_the_first_way_that_answers_is_used() -> None:
    async with world() as site:
        found = await site.read()
        assert (found.way, found.readings["grid_power_w"], found.notices) == (
            "template-1",
            100.0,
            (),
        )
        assert site.peers[1].requests == []
        site.silence(0)
        # No scrape is lost by the change.
        found = await site.read()
        assert (found.way, found.readings["grid_power_w"]) == ("template-2", 200.0)
        (notice,) = found.notices
        assert notice.code == "other_way_in"
        assert "template-1 is not in use (" in notice.detail
        assert "404" in notice.detail


async def test_a_way_that_never_answered_is_no_reason_to_wait() -> None:
    async with world() as site:
        site.silence(0)
        assert (await site.read()).way == "template-2"


async def test_the_better_way_is_used_again_once_it_answered_three_times() -> None:
    async with world() as site:
        site.silence(0)
        await site.read(3)
        site.wake(0)
        ways = [(await site.read()).way for _ in range(20)]
        back = ways.index("template-1")
        assert set(ways[:back]) == {"template-2"}
        assert set(ways[back:]) == {"template-1"}
        assert back >= 3
        assert (await site.read()).notices == ()


async def test_a_way_that_comes_and_goes_is_left_alone_for_longer_and_longer() -> None:
    async with world() as site:
        turns: list[int] = []
        for _ in range(4):
            site.silence(0)
            assert (await site.read()).way == "template-2"
            site.wake(0)
            turns.append(0)
            while (await site.read()).way == "template-2":
                turns[-1] += 1
        assert turns[1] > turns[0]
        assert turns[2] >= turns[1] + 5
        assert turns[3] >= turns[2] + 10


async def test_a_dead_way_is_asked_rarely() -> None:
    async with world() as site:
        site.silence(0)
        await site.read(60)
        asked = len(site.peers[0].requests)
        await site.read(60)
        assert len(site.peers[0].requests) - asked <= 60 * INTERVAL / LONGEST_RETRY_SECONDS + 1


async def test_a_site_without_any_way_says_what_each_of_them_said() -> None:
    async with world() as site:
        site.silence(0)
        site.silence(1)
        with pytest.raises(ScrapeError) as caught:
            await site.read()
        assert caught.value.outcome is Outcome.HTTP_STATUS
        assert "template-1: " in caught.value.detail
        assert "template-2: " in caught.value.detail
        site.wake(1)
        assert (await site.read()).way == "template-2"


async def test_what_a_node_sends_is_used_where_nothing_answers_and_never_lost() -> None:
    async with world("{driver: push}") as site:
        assert isinstance(site.driver, Subscribed)
        receiving = asyncio.create_task(site.driver.subscribe())
        await asyncio.sleep(0)

        def send(watts: float) -> None:
            now = site.clock.wall()
            site.push.deliver((Point("a", now, {"grid_power_w": watts}),), now)

        assert (await site.read()).way == "template-1"
        site.silence(0)
        site.silence(1)
        send(5.0)
        found = await site.read()
        assert (found.way, found.readings["grid_power_w"]) == ("push", 5.0)
        site.wake(1)
        site.clock.advance(LONGEST_RETRY_SECONDS)
        for _ in range(20):
            send(6.0)
            if (await site.read()).way == "template-2":
                break
        assert isinstance(site.driver, WaysIn)
        assert site.driver.in_use == "template-2"
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


async def test_the_state_counts_changes_and_knows_the_way() -> None:
    async with world() as site:
        state = FleetState(
            parse_fleet(
                "sites:\n  - {id: a, api_endpoint: 'http://192.0.2.1'}\n", Path("f"), DRIVERS
            ),
            10.0,
        )
        for step in ("", "silence", "", "wake", *[""] * 8):
            if step:
                getattr(site, step)(0)
            state.apply(await site.read(), site.clock.seconds)
        assert state.way_of("a") == "template-1"
        assert state.records[0].way_changes == 2


def test_another_way_in_is_another_way_to_read_a_site() -> None:
    def site(*ways: str) -> Any:
        lines = "".join(f"      - {{driver: venus-http, api_endpoint: '{w}'}}\n" for w in ways)
        text = f"sites:\n  - id: a\n    drivers:\n{lines}"
        return parse_fleet(text, Path("f"), DRIVERS).sites[0]

    both = site("http://192.0.2.1", "http://192.0.2.2")
    assert read_alike(both, site("http://192.0.2.1", "http://192.0.2.2"), DRIVERS)
    assert not read_alike(both, site("http://192.0.2.1"), DRIVERS)
    assert both.identity == site("http://192.0.2.1").identity
