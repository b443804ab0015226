"""Orders to devices over a real broker and over Modbus: written, read back, measured, ended."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from exporter.control import in_force
from exporter.control.journal import JournalReader
from exporter.drivers.transport.modbus.frames import WRITE_MULTIPLE
from exporter.drivers.venus import mqtt_setpoint
from exporter.model.orders import OrderState
from simulator.controlled import ControlledSite, modbus_server
from tests.control.conftest import REVERSION_SECONDS, SOON_SECONDS
from tests.control.world import (
    Pace,
    World,
    heard,
    killed,
    listening,
    modbus_site,
    mqtt_site,
    published,
    until,
    world_of,
)
from tests.drivers.mosquitto import Mosquitto, mosquitto, needs_mosquitto

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("short_times")]
S = OrderState
PROTOCOLS = [pytest.param("mqtt", marks=needs_mosquitto), "modbus"]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


@contextlib.asynccontextmanager
async def one_site(
    protocol: str, broker: Mosquitto, site: ControlledSite, **changed: float
) -> AsyncIterator[World]:
    """A world of one site over a protocol."""
    async with contextlib.AsyncExitStack() as opened:
        if protocol == "mqtt":
            await opened.enter_async_context(published(broker.port, site))
            described = mqtt_site(broker.port, **changed)
        else:
            port = await opened.enter_async_context(listening(site))
            described = modbus_site(port, **changed)
        world = await opened.enter_async_context(world_of([described]))
        await heard(world)
        yield world


@contextlib.asynccontextmanager
async def controlled(
    protocol: str, broker: Mosquitto, site: ControlledSite, folder: Path, **changed: float
) -> AsyncIterator[World]:
    """The same with a dispatcher that is on."""
    async with one_site(protocol, broker, site, **changed) as world:
        dispatcher = world.begin(folder / "orders.sqlite")
        await dispatcher.start()
        try:
            yield world
        finally:
            await dispatcher.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_order_is_followed_and_released(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite()
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 2.0)
        await world.comes_to(order, S.EFFECTIVE)
        await until(lambda: abs(site.battery_w - 2000) <= 100)
        answer = await world.release()
        await world.comes_to(answer["orders"][0]["id"], S.RELEASED)
        assert world.states(order) == [
            *("drafted", "accepted", "sent", "acknowledged", "effective", "superseded")
        ]
        assert not site.forced
        assert site.writes[-1][1] is None
    reader = JournalReader(tmp_path / "orders.sqlite")
    assert reader.broken_at() is None
    assert not reader.orders(live=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("action", "power"), [("discharge", -1500), ("hold", 0)])
async def test_each_action(
    protocol: str, action: str, power: float, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(load_w=900, pv_w=3000)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order(action, abs(power) / 1000)
        await world.comes_to(order, S.EFFECTIVE)
        await until(lambda: abs(site.battery_w - power) <= 100)
    # The exporter stopped.
    assert not site.forced
    assert world.states(order)[-2:] == ["cancelled", "released"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_order_expires_and_is_released(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    # Without a reversion of its own, so that only a release ends it.
    site = ControlledSite(reversion_seconds=None)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0, seconds=3600.0)
        await world.comes_to(order, S.EFFECTIVE)
        world.wall.seconds += 3600.0
        await world.comes_to(order, S.RELEASED)
        assert world.states(order)[-2:] == ["expired", "released"]
        assert not site.forced


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_later_order_takes_over_without_a_release_between(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite()
    async with controlled(protocol, broker, site, tmp_path) as world:
        first = await world.order("charge", 1.0)
        await world.comes_to(first, S.ACKNOWLEDGED)
        second = await world.order("discharge", 1.0)
        await world.comes_to(second, S.EFFECTIVE)
        assert world.states(first)[-1] == "superseded"
        assert all(value is not None for _, value in site.writes)
        assert world.evidence(second, S.SENT)["takes_over"] == first


@pytest.mark.usefixtures("soon_given_up")
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_limit_that_nobody_published_makes_it_ineffective(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(max_charge_w=700, reversion_seconds=None)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 3.0)
        await world.comes_to(order, S.INEFFECTIVE)
        evidence = world.evidence(order, S.INEFFECTIVE)
        assert evidence["measured_w"] == 700
        assert "700 W, 3000 W are wanted" in evidence["reason"]
        await world.comes_to(order, S.RELEASED)
        assert not site.forced


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_limits_of_the_battery_lower_the_order(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(charge_limit_a=20, discharge_limit_a=40)
    async with controlled(protocol, broker, site, tmp_path) as world:
        answer = await world.dispatch("charge", 3.0)
        (found,) = answer["orders"]
        assert found["allowed_w"] == pytest.approx(20 * 52)
        assert [limit["code"] for limit in found["limits"]] == ["battery_limit"]
        await world.comes_to(found["id"], S.EFFECTIVE)


@pytest.mark.usefixtures("soon_given_up")
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_local_schedule_that_overrides_is_named(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(schedule_w=-400.0)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.INEFFECTIVE)
        await world.comes_to(order, S.RELEASED)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_set_point_of_somebody_else_ends_the_order(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(own_setpoint_w=-2500.0)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await until(lambda: {"failed", "ineffective"} & set(world.states(order)))
        reasons = [e.evidence.get("reason", "") for _, e in world.rows]
        assert any("the device holds -2500 W" in reason for reason in reasons)
        site.own_setpoint_w = None
        await world.comes_to(order, S.RELEASED)
        assert not site.forced


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_set_point_that_somebody_replaces_now_and_then_ends_the_order(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(reversion_seconds=None)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.EFFECTIVE)
        # Each time the order's set-point is back, and was read back, before the next.
        for _ in range(3):
            control = world.dispatcher._controls["alpha"]  # type: ignore[union-attr]
            await until(lambda: control.in_force and control.in_force.is_read_back)  # noqa: B023
            site.setpoint_w = -700.0
            await until(lambda: site.setpoint_w != -700.0)
        await world.comes_to(order, S.RELEASED)
        reason = world.evidence(order, S.INEFFECTIVE)["reason"]
        assert "the device holds -700 W in place of" in reason
        assert "3 times in" in reason
        assert not site.forced


async def test_a_device_whose_replies_to_writes_are_lost_is_read(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite()
    server = modbus_server(site)
    answer = server._answer

    def lost(unit: int, body: bytes) -> bytes:
        found = answer(unit, body)
        if body[0] == WRITE_MULTIPLE:
            raise ConnectionError
        return found

    server._answer = lost  # type: ignore[method-assign]
    port = await server.start()
    try:
        async with world_of([modbus_site(port)]) as world:
            await heard(world)
            dispatcher = world.begin(tmp_path / "orders.sqlite")
            await dispatcher.start()
            order = await world.order("charge", 1.0)
            await world.comes_to(order, S.EFFECTIVE)
            answered = await world.release()
            await world.comes_to(answered["orders"][0]["id"], S.RELEASED)
            assert not site.forced
            await dispatcher.stop()
    finally:
        await server.stop()


@needs_mosquitto
async def test_a_device_that_shows_no_set_point_fails_the_order_and_is_released_unseen(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_setpoint, "READ_SECONDS", SOON_SECONDS)
    site = ControlledSite(reversion_seconds=None)
    async with controlled("mqtt", broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.EFFECTIVE)
        monkeypatch.setattr(in_force, "SILENCE_SECONDS", SOON_SECONDS)
        # Its other readings go on, so that the site is not silent.
        site.shows_setpoint = False
        await world.comes_to(order, S.FAILED)
        assert "does not publish" in world.evidence(order, S.FAILED)["reason"]
        await until(lambda: not site.forced)
        assert not world.has(order, S.RELEASED)
        site.shows_setpoint = True
        await world.comes_to(order, S.RELEASED)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_device_that_restarts_once_gets_its_set_point_again(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(reversion_seconds=None)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.EFFECTIVE)
        site.setpoint_w = None
        await until(lambda: site.forced)
        assert world.states(order)[-1] == "effective"


async def test_a_device_that_refuses_is_quoted(broker: Mosquitto, tmp_path: Path) -> None:
    site = ControlledSite(refuses=True)
    async with controlled("modbus", broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.RELEASED)
        assert "exception 4 (device failure)" in world.evidence(order, S.FAILED)["reason"]


@needs_mosquitto
async def test_a_device_that_ignores_a_write_fails_the_order(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(refuses=True)
    async with controlled("mqtt", broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.RELEASED)
        assert "the device holds none" in world.evidence(order, S.FAILED)["reason"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_release_that_is_ignored_is_tried_until_the_device_is_free(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(keeps=True, reversion_seconds=None)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 1.0, seconds=3600.0)
        await world.comes_to(order, S.EFFECTIVE)
        world.wall.seconds += 3600.0
        await world.comes_to(order, S.EXPIRED)
        assert world.dispatcher is not None
        dispatcher = world.dispatcher
        await until(lambda: "still holds" in dispatcher.book().sites[0].failure)
        assert not world.has(order, S.RELEASED)
        site.keeps = False
        await world.comes_to(order, S.RELEASED)
        assert not site.forced


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_lease_is_kept_up_and_lapses_without_a_dispatcher(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    pace = Pace()
    site = ControlledSite(reversion_seconds=REVERSION_SECONDS, clock=pace)
    async with one_site(protocol, broker, site) as world:
        dispatcher = world.begin(tmp_path / "orders.sqlite")
        await dispatcher.start()
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.EFFECTIVE)
        writes = len(site.writes)
        await until(lambda: len(site.writes) > writes + 1)
        assert site.lapses == 0
        await killed(world)
        pace.go()
        await until(lambda: not site.forced)
        assert site.lapses == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_ramp_is_walked(protocol: str, broker: Mosquitto, tmp_path: Path) -> None:
    site = ControlledSite(load_w=0, pv_w=0)
    async with controlled(protocol, broker, site, tmp_path) as world:
        order = await world.order("charge", 2.0, ramp_w_per_s=1000.0)
        await world.comes_to(order, S.EFFECTIVE)
        values = [value for _, value in site.writes if value is not None]
        assert values[0] < 700
        assert values[-1] > 1900


@needs_mosquitto
async def test_a_broker_that_dies_leaves_nothing_forced_and_the_end_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Pace()
    site = ControlledSite(reversion_seconds=REVERSION_SECONDS, clock=pace)
    with mosquitto(tmp_path) as broker:
        async with controlled("mqtt", broker, site, tmp_path) as world:
            order = await world.order("charge", 1.0)
            await world.comes_to(order, S.EFFECTIVE)
            monkeypatch.setattr(in_force, "SILENCE_SECONDS", SOON_SECONDS)
            broker.stop()
            pace.go()
            # The device falls back by itself, long before anybody can reach it.
            await until(lambda: not site.forced)
            await world.comes_to(order, S.FAILED)
            assert not world.has(order, S.RELEASED)
            assert world.dispatcher is not None
            answer = await world.release()
            late = answer["orders"][0]["id"]
            broker.start()
            await world.comes_to(order, S.RELEASED)
            await world.comes_to(late, S.RELEASED)
            assert not site.forced
