"""Each driver that writes, against a device of its kind: followed, read back, released, lapsed."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.control import in_force, setpoints
from exporter.control.dispatcher import Dispatcher
from exporter.control.gate import DispatchMode
from exporter.control.journal import JournalReader
from exporter.control.site_control import SiteControl
from exporter.drivers.push import node_setpoint
from exporter.drivers.sunspec import der_setpoint, storage_setpoint
from exporter.model.orders import OrderState
from exporter.serve.order_metrics import order_metrics
from simulator.controlled import ControlledSite
from tests.control import devices
from tests.control.devices import Wired
from tests.control.world import Pace, World, heard, killed, until, world_of
from tests.drivers.mosquitto import Mosquitto, mosquitto, needs_mosquitto

pytestmark = [
    pytest.mark.stack,
    pytest.mark.usefixtures("short_times", "short_leases"),
]
S = OrderState
REVERSION_SECONDS = 3
LEASED = [
    "sunspec",
    "sunspec-der",
    pytest.param("node", marks=needs_mosquitto),
    "modbus-template",
    "http-template",
    pytest.param("mqtt-template", marks=needs_mosquitto),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_setpoint, "REVERSION_SECONDS", REVERSION_SECONDS)
    monkeypatch.setattr(der_setpoint, "REVERSION_SECONDS", REVERSION_SECONDS)
    short = replace(der_setpoint.CAPABILITY, reversion_seconds=float(REVERSION_SECONDS))
    monkeypatch.setattr(der_setpoint, "CAPABILITY", short)
    monkeypatch.setattr(node_setpoint, "LEASE_SECONDS", float(REVERSION_SECONDS))
    monkeypatch.setattr(in_force, "PERSISTENT_SECONDS", 0.5)
    monkeypatch.setattr(in_force, "RENEW_SECONDS", 1.0)


@contextlib.asynccontextmanager
async def wired(
    protocol: str, site: ControlledSite, folder: Path, broker: Mosquitto
) -> AsyncIterator[Wired]:
    opened = {
        "sunspec": lambda: devices.sunspec(site),
        "sunspec-der": lambda: devices.sunspec(site, der=True),
        "bridge": lambda: devices.bridge(site),
        "node": lambda: devices.node_at(site, broker.port),
        "modbus-template": lambda: devices.modbus_template(site, folder, REVERSION_SECONDS),
        "http-template": lambda: devices.http_template(site, folder, REVERSION_SECONDS),
        "mqtt-template": lambda: devices.mqtt_template(
            site, folder, REVERSION_SECONDS, broker.port
        ),
    }[protocol]()
    async with opened as found:
        yield found


@contextlib.asynccontextmanager
async def dispatched(
    found: Wired, folder: Path, mode: DispatchMode = DispatchMode.ON
) -> AsyncIterator[World]:
    """A world of that site, with a dispatcher."""
    async with world_of([found.described]) as world:
        await heard(world)
        await until(world.drivers["alpha"].capabilities)  # type: ignore[attr-defined]
        dispatcher = world.begin(folder / "orders.sqlite", mode)
        await dispatcher.start()
        try:
            yield world
        finally:
            if world.dispatcher is dispatcher:
                await dispatcher.stop()


async def _released(world: World) -> None:
    """Release the site, and wait until that is done."""
    answer = await world.release()
    await world.comes_to(answer["orders"][0]["id"], S.RELEASED)


@pytest.mark.parametrize("protocol", LEASED)
async def test_an_order_is_followed_released_and_lapses_without_a_dispatcher(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    pace = Pace()
    site = ControlledSite(clock=pace)
    async with (
        wired(protocol, site, tmp_path, broker) as found,
        dispatched(found, tmp_path) as world,
    ):
        before = found.left()
        charge = await world.order("charge", 2.0)
        await world.comes_to(charge, S.EFFECTIVE)
        await until(lambda: abs(site.battery_w - 2000) <= 100)
        discharge = await world.order("discharge", 1.234)
        await world.comes_to(discharge, S.EFFECTIVE)
        await until(lambda: abs(site.battery_w + 1234) <= 100)
        assert world.states(charge)[-1] == "superseded"
        await _released(world)
        assert world.states(discharge)[-1] == "superseded"
        assert (site.forced, found.left()) == (False, before)
        writes, lapses = len(site.writes), site.lapses
        hold = await world.order("hold")
        await world.comes_to(hold, S.EFFECTIVE)
        # Renewed at a third of its time, and read back each time.
        await until(lambda: len(site.writes) > writes + 2)
        assert site.lapses == lapses
        await killed(world)
        pace.go()
        await until(lambda: not site.forced)
        assert site.lapses == lapses + 1
        assert found.left() == before
        assert world.states(hold)[-1] == "effective"


@pytest.mark.parametrize("protocol", LEASED)
async def test_a_device_that_refuses_is_quoted_and_a_dry_order_writes_nothing(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    quoted = {
        "sunspec": "exception 4 (device failure)",
        "sunspec-der": "exception 4 (device failure)",
        "node": "the node refuses: the operator holds the key",
        "modbus-template": "exception 4 (device failure)",
        "http-template": "status 409: it is locked by its owner",
        "mqtt-template": "the device holds none",
    }
    site = ControlledSite(refuses=True)
    async with wired(protocol, site, tmp_path, broker) as found:
        before = found.left()
        async with dispatched(found, tmp_path) as world:
            dry = await world.order("charge", 1.0, dry_run=True)
            assert world.states(dry) == ["drafted", "dry"]
            assert site.writes == []
            order = await world.order("charge", 1.0)
            await world.comes_to(order, S.RELEASED)
            assert quoted[protocol] in world.evidence(order, S.FAILED)["reason"]
        assert found.left() == before
        assert not site.forced


@pytest.mark.usefixtures("soon_given_up")
@pytest.mark.parametrize("protocol", [*LEASED, "bridge"])
async def test_a_local_schedule_that_overrides_is_named_and_nothing_is_left(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(schedule_w=-400.0, clock=Pace())
    async with wired(protocol, site, tmp_path, broker) as found:
        before = found.left()
        async with dispatched(found, tmp_path) as world:
            order = await world.order("charge", 1.0)
            await world.comes_to(order, S.INEFFECTIVE)
            evidence = world.evidence(order, S.INEFFECTIVE)
            assert evidence["measured_w"] == pytest.approx(-400, abs=20)
            assert "1000 W are wanted" in evidence["reason"]
            # The device held what was written, and did something else.
            assert world.has(order, S.ACKNOWLEDGED)
            await world.comes_to(order, S.RELEASED)
            assert found.left() == before
            assert not site.forced


@pytest.mark.parametrize("protocol", [*LEASED, "bridge"])
async def test_a_battery_that_ramps_is_waited_for(
    protocol: str, broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(load_w=0.0, pv_w=0.0, ramp_w_per_s=2000.0)
    async with wired(protocol, site, tmp_path, broker) as found:
        before = found.left()
        async with dispatched(found, tmp_path) as world:
            order = await world.order("charge", 2.0)
            await world.comes_to(order, S.ACKNOWLEDGED)
            # Equality is not asked of it: the set-point is held, the power follows.
            await world.comes_to(order, S.EFFECTIVE)
            assert world.states(order)[-2:] == ["acknowledged", "effective"]
            await _released(world)
        assert found.left() == before


async def test_over_the_bridge_what_was_there_before_comes_back(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite()
    async with wired("bridge", site, tmp_path, broker) as found:
        async with dispatched(found, tmp_path) as world:
            answer = await world.dispatch("charge", 2.0, seconds=6 * 3600)
            limits = [limit["code"] for limit in answer["orders"][0]["limits"]]
            assert limits == ["persistent_time"]
            assert "stays forced until the exporter" in answer["orders"][0]["unattended"]
            order = answer["orders"][0]["id"]
            await world.comes_to(order, S.EFFECTIVE)
            sent = next(s for s, e in world.rows if e.order == order and e.state is S.SENT)
            assert sent.before == 50
            hours = setpoints.LONGEST_PERSISTENT_SECONDS
            assert sent.order.expires - sent.order.start == pytest.approx(hours, abs=5)
            # While nothing changes nothing is written: it wears flash memory.
            await until(lambda: site.writes)
            renewed = world.dispatcher._controls["alpha"].in_force  # type: ignore[union-attr]
            assert renewed is not None
            first = renewed.written_at
            writes = len(site.writes)
            await until(lambda: renewed.written_at > first + 1.0)
            assert len(site.writes) <= writes + 1
            site.load_w += 1500
            await until(lambda: abs(site.battery_w - 2000) <= 250)
            await _released(world)
            assert found.left() == 50
            assert world.has(order, S.SUPERSEDED)
            # With nothing of ours in force its set-point is the owner's.
            site.persistent_w = 70.0
            again = await world.release()
            assert again["nothing_to_release"] == ["alpha"]
        assert site.persistent_w == 70
    # Null is not writable over the bridge, and is not tried.
    assert all(isinstance(json.loads(body)["value"], int) for body in found.sent)


async def test_over_the_bridge_a_kill_leaves_it_and_the_next_start_restores_it(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite()
    async with (
        wired("bridge", site, tmp_path, broker) as found,
        world_of([found.described]) as world,
    ):
        await heard(world)
        first = world.begin(tmp_path / "orders.sqlite")
        await first.start()
        order = await world.order("charge", 2.0, seconds=1800.0)
        await world.comes_to(order, S.EFFECTIVE)
        # What a Prometheus keeps of it says that nothing but a write will end it, and when it must.
        ends = persistent_ends(first)
        assert ends == {"alpha": pytest.approx(world.wall() + 1800, abs=1000)}
        await killed(world)
        assert found.left() != 50
        world.wall.seconds = 3600.0
        again = world.begin(tmp_path / "orders.sqlite")
        await again.start()
        assert persistent_ends(again) == ends
        await world.comes_to(order, S.RELEASED)
        assert found.left() == 50
        assert persistent_ends(again) == {"alpha": 0.0}
        status = JournalReader(tmp_path / "orders.sqlite").order(order)
        assert status is not None
        assert "without a lease" in status.unattended
        await again.stop()


def persistent_ends(dispatcher: Dispatcher) -> dict[str, float]:
    """What ``/metrics`` shows of orders whose set-point no lease ends."""
    name = "fleetscope_order_persistent_end_timestamp_seconds"
    (family,) = (found for found in order_metrics(dispatcher.book()) if found.name == name)
    return {sample.labels["site"]: sample.value for sample in family.samples}


async def test_over_the_bridge_switch_and_permission_are_asked(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(switch_on=False)
    async with (
        wired("bridge", site, tmp_path, broker) as found,
        dispatched(found, tmp_path) as world,
    ):
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.RELEASED)
        reason = world.evidence(order, S.FAILED)["reason"]
        assert "403: AI write is disabled: The switch ai_write is off" in reason
        # A writable switch that flips meanwhile: the order ends, and what is left is named
        # until it can be given back.
        site.switch_on = True
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.EFFECTIVE)
        site.switch_on = False
        site.load_w += 2000
        await world.comes_to(order, S.FAILED)
        assert found.left() != 50
        control: SiteControl = world.dispatcher._controls["alpha"]  # type: ignore[union-attr]
        await until(lambda: "AI write is disabled" in control.failure)
        site.switch_on = True
        await world.comes_to(order, S.RELEASED)
        assert found.left() == 50
    async with devices.bridge(ControlledSite(), allow_persistent=False) as found:
        async with dispatched(found, tmp_path) as world:
            answer = await world.dispatch("charge", 1.0)
            assert answer["orders"][0]["state"] == "refused"
            assert [one["code"] for one in answer["orders"][0]["limits"]] == ["persistent"]
        assert found.sent == []


async def test_rates_of_whole_percents_are_met_from_below(tmp_path: Path) -> None:
    site = ControlledSite(clock=Pace())
    async with (
        devices.sunspec(site, rated_w=4000, rate_scale=0) as found,
        dispatched(found, tmp_path) as world,
    ):
        answer = await world.dispatch("charge", 5.0)
        (made,) = answer["orders"]
        # WChaMax is below what the fleet file allows.
        assert (made["allowed_w"], made["limits"][0]["code"]) == (4000, "rated")
        order = await world.order("discharge", 1.039)
        await world.comes_to(order, S.EFFECTIVE)
        assert site.setpoint_w == -1000
        assert world.evidence(order, S.ACKNOWLEDGED)["read_back_w"] == -1000


async def test_watts_in_hundreds_are_met_from_below(tmp_path: Path) -> None:
    site = ControlledSite(clock=Pace())
    async with (
        devices.sunspec(site, der=True, scale=2) as found,
        dispatched(found, tmp_path) as world,
    ):
        order = await world.order("charge", 2.068)
        await world.comes_to(order, S.EFFECTIVE)
        # A device that rounds would have taken more than was allowed.
        assert {value for _, value in site.writes} == {2000}


@pytest.mark.parametrize(("held", "words"), [(0, "holds none"), (300, "holds 300 s")])
async def test_a_device_that_keeps_another_time_of_reversion_is_released(
    held: int, words: str, tmp_path: Path
) -> None:
    site = ControlledSite(clock=Pace())
    async with (
        devices.sunspec(site, der=True, lease_seconds=held) as found,
        dispatched(found, tmp_path) as world,
    ):
        order = await world.order("charge", 2.0)
        await world.comes_to(order, S.RELEASED)
        assert words in world.evidence(order, S.FAILED)["reason"]
        assert (site.forced, found.left()) == (False, 0)
        assert [value for _, value in site.writes] == [2000, None]


async def test_a_limit_that_somebody_set_is_not_taken_away(tmp_path: Path) -> None:
    site = ControlledSite(clock=Pace())
    async with devices.sunspec(site) as found, dispatched(found, tmp_path) as world:
        storage = _storage_of(world)
        await storage._model.put(*storage._model.place(), 5, (1,))
        order = await world.order("charge", 1.0)
        await until(lambda: world.has(order, S.FAILED))
        assert "limited already (StorCtl_Mod 1)" in world.evidence(order, S.FAILED)["reason"]
        assert site.writes == []


async def test_release_leaves_rates_at_100_percent_and_no_control(tmp_path: Path) -> None:
    site = ControlledSite(clock=Pace())
    async with devices.sunspec(site) as found, dispatched(found, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.ACKNOWLEDGED)
        storage = _storage_of(world)
        words = await storage._read(*storage._model.place())
        assert (words[5], words[15]) == (3, REVERSION_SECONDS)
        assert (words[12], words[13]) == ((-2000) & 0xFFFF, 2000)
        await _released(world)
        assert not site.forced
        words = await storage._read(*storage._model.place())
        assert (words[5], words[12], words[13], words[15]) == (0, 10_000, 10_000, 0)
        assert math.isnan(await storage.read())


def _storage_of(world: World) -> storage_setpoint.StorageSetpoint:
    found: storage_setpoint.StorageSetpoint = world.drivers["alpha"]._storage  # type: ignore[attr-defined]
    return found


@needs_mosquitto
async def test_orders_to_a_node_that_come_late_or_reordered_change_nothing(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site = ControlledSite(clock=Pace())
    async with wired("node", site, tmp_path, broker) as found, dispatched(found, tmp_path) as world:
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.EFFECTIVE)
        writes = len(site.writes)
        setpoint = world.drivers["alpha"]._setpoints  # type: ignore[attr-defined]
        setpoint._sequence, now = 0, setpoint.wall_clock
        # An order of a minute ago, as a bridge that lagged would bring it.
        setpoint.wall_clock = lambda: now() - 60.0
        with pytest.raises(Exception, match="a later order came before"):
            await setpoint.write("battery_power_w", -4000.0)
        setpoint.wall_clock = now
        assert all(value != -4000.0 for _, value in site.writes)
        assert len(site.writes) >= writes
    assert not site.forced


@needs_mosquitto
async def test_a_node_that_is_away_is_not_asked_later(broker: Mosquitto, tmp_path: Path) -> None:
    site = ControlledSite()
    with devices.running_node(site, broker.port):
        described = devices.described(
            "push", broker.url.replace("localhost", "127.0.0.1"), setpoints=["battery_power_w"]
        )
        async with world_of([described]) as world:
            await heard(world)
            driver = world.drivers["alpha"]
    # The node is gone: the broker says so at once.
    async with world_of([described]) as world:
        driver = world.drivers["alpha"]
        with pytest.raises(Exception, match="nobody listens to fleet/alpha/order"):
            await driver.write("battery_power_w", 1000.0)  # type: ignore[attr-defined]
    with devices.running_node(site, broker.port) as node:
        async with world_of([described]) as world:
            await heard(world)
            assert node.orders == []
