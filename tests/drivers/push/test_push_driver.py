"""A node's points: which is the state, which are late, whose clock is wrong; over real MQTT."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.push.push_driver import PushDriver, PushOptions
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.push import PushTransport
from exporter.intake.telemetry import Point, parse
from exporter.model.snapshot import Outcome, ScrapeError
from simulator.mqtt_client import connected
from tests.drivers.bridge import Clock
from tests.drivers.mosquitto import mosquitto, needs_mosquitto, subscribed

NAN = float("nan")


class Node:
    """A driver, and what is sent to it."""

    def __init__(self, driver: PushDriver, push: PushTransport, clock: Clock) -> None:
        self.driver, self.push, self.clock = driver, push, clock

    def send(self, *ages: float, sent: float = NAN) -> None:
        """Send points of so many seconds ago; the reading is the age."""
        now = self.clock.wall()
        points = [Point("a", now - age, {"grid_power_w": age}) for age in ages]
        self.push.deliver(tuple(points), sent)

    async def latest(self) -> float | None:
        """The age that the state's Snapshot had when it was sent; None without one."""
        snapshot = await self.driver.latest()
        return None if snapshot is None else snapshot.readings["grid_power_w"]

    def stored(self) -> list[tuple[float, float]]:
        """Ages and times before now of what is stored alone."""
        drained = self.driver.drain()
        assert not any(s.current for s in drained)
        return [(s.readings["grid_power_w"], self.clock.wall() - s.time) for s in drained]


@contextlib.asynccontextmanager
async def node(url: str = "", clock: Any = None, **options: Any) -> AsyncIterator[Node]:
    push, clock = PushTransport(), clock or Clock()
    async with HttpClient() as http:
        transports = Transports(HttpTransport(http), push=push)
        context = DriverContext(transports, clock.wall, clock.monotonic)
        driver = PushDriver.open(Endpoint("a", url, PushOptions(**options)), context)
        task = asyncio.create_task(driver.subscribe())
        await asyncio.sleep(0)
        try:
            yield Node(driver, push, clock)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_the_newest_is_the_state_and_the_others_are_stored() -> None:
    async with node() as one:
        one.send(9, 5, 1)
        assert one.stored() == [(9, 9), (5, 5)]
        assert await one.latest() == 1
        assert await one.latest() is None


async def test_the_same_point_is_taken_once() -> None:
    async with node() as one:
        one.send(1)
        one.send(1)
        assert await one.latest() == 1
        assert one.stored() == []
        one.send(1)
        assert await one.latest() is None


async def test_late_points_never_reach_the_state() -> None:
    async with node() as one:
        one.send(1)
        assert await one.latest() == 1
        one.send(7200, 3600, 30)
        assert await one.latest() is None
        assert one.stored() == [(7200, 7200), (3600, 3600), (30, 30)]


async def test_three_intervals_of_silence_are_a_timeout() -> None:
    async with node() as one:
        one.send(0)
        assert await one.latest() == 0
        assert [await one.latest(), await one.latest()] == [None, None]
        with pytest.raises(ScrapeError) as caught:
            await one.latest()
        assert caught.value.outcome is Outcome.TIMEOUT
        assert "sent nothing for 3 intervals" in caught.value.detail
        one.clock.advance(30)
        one.send(0)
        assert await one.latest() == 0


@pytest.mark.parametrize("offset", [-3600.0, 3600.0])
async def test_a_clock_that_is_off_is_not_believed_where_it_says_when_it_sent(
    offset: float,
) -> None:
    async with node() as one:
        for _ in range(3):
            one.clock.advance(10)
            one.send(-offset, -offset + 60, sent=one.clock.wall() + offset)
            snapshot = await one.driver.latest()
            assert snapshot is not None
            assert snapshot.time == pytest.approx(one.clock.wall())
            assert snapshot.measured == pytest.approx(one.clock.wall() + offset)
            ((notice,),) = (snapshot.notices,)
            assert notice.code == "device_clock"
            assert f"60 min {'ahead' if offset > 0 else 'behind'}" in notice.detail


async def test_a_clock_that_is_behind_shows_by_its_pace() -> None:
    async with node() as one:
        found = []
        for _ in range(4):
            one.clock.advance(10)
            one.send(3600)
            snapshot = await one.driver.latest()
            found.append(snapshot is not None)
        assert found == [False, True, True, True]
        assert snapshot is not None
        assert snapshot.time == pytest.approx(one.clock.wall())


async def test_a_backlog_is_late_and_no_wrong_clock() -> None:
    async with node() as one:
        # Ten hours of minutes, ten a second, oldest first.
        for minute in range(600, 6, -1):
            one.clock.advance(0.1)
            one.send(60.0 * minute)
        assert await one.latest() is None
        assert len(one.stored()) == 594
        one.clock.advance(10)
        one.send(0)
        snapshot = await one.driver.latest()
        assert snapshot is not None
        assert snapshot.notices == ()


async def test_a_clock_that_is_set_right_is_believed_again() -> None:
    async with node() as one:
        one.send(-3600)
        assert await one.latest() == -3600
        one.clock.advance(10)
        one.send(0)
        snapshot = await one.driver.latest()
        assert snapshot is not None
        assert snapshot.notices == ()


async def test_what_waits_is_bounded() -> None:
    async with node() as one:
        for second in range(12_000):
            one.send(20_000 - second)
        assert len(one.driver.drain()) == 10_000
        assert len(one.driver._known) <= 4096


class RealClock:
    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


@needs_mosquitto
async def test_telemetry_over_a_real_broker(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with node(broker.url, RealClock()) as one:
            while one.driver._broker is None:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
            await subscribed(one.driver._broker)

            async def send(topic: str, document: Any) -> None:
                async with connected("127.0.0.1", broker.port, "n", lambda *_: None) as (sender, _):
                    sender.publish(topic, json.dumps(document).encode())
                    await asyncio.sleep(0.05)

            await send("fleet/b/telemetry", {"measured": time.time()})
            await send("fleet/a/telemetry", {"measured": time.time(), "site": "b"})
            await send(
                "fleet/a/telemetry", {"measured": time.time(), "readings": {"grid_power_w": 7}}
            )
            async with asyncio.timeout(120):
                while (found := await one.driver.latest()) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
            assert found.readings == {"grid_power_w": 7}


@needs_mosquitto
async def test_wrong_telemetry_is_the_reason_of_the_silence(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with node(broker.url, RealClock()) as one:
            while not one.driver._refused:
                async with connected("127.0.0.1", broker.port, "n", lambda *_: None) as (sender, _):
                    sender.publish("fleet/a/telemetry", b'{"measured": "2026-03-01T08:00:00"}')
                    await asyncio.sleep(0.05)
            for _ in range(2):
                assert await one.driver.latest() is None
            with pytest.raises(ScrapeError, match="no time zone") as caught:
                await one.driver.latest()
            assert caught.value.outcome is Outcome.MALFORMED


async def test_raw_values_are_what_the_node_sent() -> None:
    async with node() as one:
        assert one.driver.raw_values() == []
        battery = {"device": "battery/1", "readings": {"soc_percent": 7500, "soh_percent": None}}
        readings = {"grid_power_w": -12.5}
        point = {"measured": one.clock.wall(), "readings": readings, "batteries": [battery]}
        batch = parse(json.dumps(point).encode(), "a")
        one.push.deliver(batch.points, batch.sent)
        assert {(r.device, r.quantity, r.place, r.raw) for r in one.driver.raw_values()} == {
            ("site", "grid_power_w", "readings grid_power_w", "-12.5"),
            ("battery/1", "soc_percent", "batteries battery/1 readings soc_percent", "7500"),
            ("battery/1", "soh_percent", "batteries battery/1 readings soh_percent", "null"),
        }
        flat = {"dc_id": "a", "timestamp": one.clock.wall() + 1, "power_kw": 12.25, "soc": 50}
        batch = parse(json.dumps(flat).encode(), "a")
        one.push.deliver(batch.points, batch.sent)
        assert {(r.quantity, r.place, r.raw) for r in one.driver.raw_values()} == {
            ("load_power_w", "power_kw", "12.25"),
            ("soc_percent", "soc", "50"),
        }
