"""Orders while devices die, networks are cut and disks are full: what is left at every device."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from exporter.control import gate, in_force
from exporter.control.gate import DispatchMode
from exporter.control.journal import JournalError, JournalReader
from exporter.model.orders import OrderState
from simulator.controlled import ControlledSite
from tests.control import devices
from tests.control.conftest import SOON_SECONDS
from tests.control.test_writing_drivers import short_leases
from tests.control.world import (
    Pace,
    World,
    heard,
    listening,
    modbus_site,
    mqtt_site,
    published,
    until,
    world_of,
)
from tests.drivers.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.faults.disks import fill_up, small_disk
from tests.faults.line import Line, Trouble

__all__ = ["short_leases"]
pytestmark = [
    pytest.mark.stack,
    needs_mosquitto,
    pytest.mark.usefixtures("short_times", "short_leases"),
]
S = OrderState
REVERSION_SECONDS = 3


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


@dataclass
class Mixed:
    """One site of each protocol, each behind a line of its own; their clocks go at one pace."""

    world: World
    pace: Pace
    played: dict[str, ControlledSite] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    left: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def held(self) -> dict[str, Any]:
        """What is left at every device."""
        return {name: read() for name, read in self.left.items()}


@contextlib.asynccontextmanager
async def mixed(folder: Path, broker: Mosquitto) -> AsyncIterator[Mixed]:
    """A fleet over six protocols with a dispatcher that is on."""
    pace = Pace()
    names = ("gx", "venus", "sunspec", "bridge", "node", "template")
    played = {
        name: ControlledSite(
            portal=f"c0619ab0000{number}", reversion_seconds=REVERSION_SECONDS, clock=pace
        )
        for number, name in enumerate(names)
    }
    lines: dict[str, Line] = {}
    left: dict[str, Callable[[], Any]] = {}
    described = []
    async with contextlib.AsyncExitStack() as opened:

        async def behind(name: str, site: dict[str, Any]) -> None:
            scheme, _, rest = site["api_endpoint"].partition("://")
            line = Line(int(rest.rsplit(":", 1)[1]))
            await opened.enter_async_context(line.running())
            lines[name] = line
            address = f"{scheme}://127.0.0.1:{line.port}"
            described.append({**site, "id": name, "api_endpoint": address})

        port = await opened.enter_async_context(listening(played["gx"]))
        await behind("gx", modbus_site(port))
        await opened.enter_async_context(published(broker.port, played["venus"]))
        await behind("venus", mqtt_site(broker.port, portal=played["venus"].portal))
        for name, device in (
            ("sunspec", devices.sunspec(played["sunspec"])),
            ("bridge", devices.bridge(played["bridge"])),
            ("node", devices.node_at(played["node"], broker.port, "node")),
            ("template", devices.http_template(played["template"], folder, REVERSION_SECONDS)),
        ):
            found = await opened.enter_async_context(device)
            left[name] = found.left
            await behind(name, found.described)
        for name in ("gx", "venus"):
            left[name] = _setpoint_of(played[name])
        world = await opened.enter_async_context(world_of(described))
        await heard(world)
        dispatcher = world.begin(folder / "orders.sqlite")
        await dispatcher.start()
        try:
            yield Mixed(world, pace, played, lines, left)
        finally:
            await dispatcher.stop()


def _setpoint_of(site: ControlledSite) -> Callable[[], Any]:
    def read() -> Any:
        site.advance()
        return site.setpoint_w

    return read


async def charged(fleet: Mixed) -> dict[str, str]:
    """Charge every site; ids of the orders, all of them effective."""
    answer = await fleet.world.dispatch("charge", 1.0, sites=list(fleet.played))
    ids = {order["site"]: str(order["id"]) for order in answer["orders"]}
    for order in ids.values():
        await fleet.world.comes_to(order, S.EFFECTIVE)
    return ids


@pytest.mark.parametrize("trouble", [Trouble.HANG, Trouble.REFUSE])
async def test_a_network_that_is_cut_and_heals_leaves_nothing_behind(
    trouble: Trouble, broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mixed(tmp_path, broker) as fleet:
        before = fleet.held()
        ids = await charged(fleet)
        forced = fleet.held()
        assert all(forced[name] != before[name] for name in forced)
        monkeypatch.setattr(in_force, "SILENCE_SECONDS", SOON_SECONDS)
        monkeypatch.setattr(gate, "IO_SECONDS", 3.0)
        await asyncio.gather(*(line.set(trouble) for line in fleet.lines.values()))
        fleet.pace.go()
        # Each falls back by itself, but the one over the bridge, whose set-point is persistent.
        leased = [name for name in fleet.played if name != "bridge"]
        await until(lambda: not any(fleet.played[name].forced for name in leased))
        for order in ids.values():
            await fleet.world.comes_to(order, S.FAILED)
            assert not fleet.world.has(order, S.RELEASED)
        writes = {name: len(site.writes) for name, site in fleet.played.items()}
        await asyncio.gather(*(line.set(Trouble.NONE) for line in fleet.lines.values()))
        for order in ids.values():
            await fleet.world.comes_to(order, S.RELEASED)
            # Once, and not again after the network healed.
            assert fleet.world.states(order).count("sent") == 1
        assert fleet.held() == before
        for name, site in fleet.played.items():
            later = [value for _, value in site.writes[writes[name] :]]
            assert later in ([], [None], [50.0]), name
    reader = JournalReader(tmp_path / "orders.sqlite")
    assert reader.broken_at() is None
    assert {one.end for one in reader.orders()} == {S.FAILED}
    assert not reader.orders(live=True)


async def test_a_device_that_dies_during_an_order_comes_back_free(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gx = ControlledSite(reversion_seconds=None)
    site = ControlledSite(clock=Pace())
    async with contextlib.AsyncExitStack() as opened:
        alive = await opened.enter_async_context(contextlib.AsyncExitStack())
        port = await alive.enter_async_context(listening(gx))
        node = await alive.enter_async_context(devices.node_at(site, broker.port, "node"))
        world = await opened.enter_async_context(
            world_of([modbus_site(port, "gx"), {**node.described, "id": "node"}])
        )
        await heard(world)
        dispatcher = world.begin(tmp_path / "orders.sqlite")
        await dispatcher.start()
        answer = await world.dispatch("discharge", 1.0, sites=["gx", "node"])
        ids = [order["id"] for order in answer["orders"]]
        for order in ids:
            await world.comes_to(order, S.EFFECTIVE)
        monkeypatch.setattr(in_force, "SILENCE_SECONDS", SOON_SECONDS)
        await alive.aclose()
        # Without power they remember nothing.
        gx.setpoint_w = site.setpoint_w = None
        for order in ids:
            await world.comes_to(order, S.FAILED)
        await opened.enter_async_context(listening(gx, port))
        await opened.enter_async_context(devices.node_at(site, broker.port, "node"))
        for order in ids:
            await world.comes_to(order, S.RELEASED)
            assert world.states(order).count("sent") == 1
        assert (gx.forced, site.forced) == (False, False)
        assert {value for _, value in site.writes[-1:]} <= {None, -1000.0}
        await dispatcher.stop()


async def test_a_cut_that_is_short_ends_nothing(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long this machine takes to heal it, the cut is shorter than what ends an order.
    monkeypatch.setattr(in_force, "MOST_FAILURES", 1_000_000)
    site = ControlledSite(reversion_seconds=30.0, clock=Pace())
    async with contextlib.AsyncExitStack() as opened:
        port = await opened.enter_async_context(listening(site))
        line = await opened.enter_async_context(Line(port).running())
        world = await opened.enter_async_context(world_of([modbus_site(line.port)]))
        await heard(world)
        dispatcher = world.begin(tmp_path / "orders.sqlite")
        await dispatcher.start()
        order = await world.order("charge", 1.0)
        await world.comes_to(order, S.EFFECTIVE)
        control = dispatcher._controls["alpha"]
        await line.set(Trouble.REFUSE)
        await until(lambda: control._silent_since is not None or control.failure)
        await line.set(Trouble.NONE)
        await until(lambda: control._silent_since is None and not control.failure)
        writes = len(site.writes)
        await until(lambda: len(site.writes) > writes)
        assert world.states(order)[-1] == "effective"
        await until(lambda: abs(site.battery_w - 1000) <= 100)
        await dispatcher.stop()
    assert not site.forced


async def test_a_journal_on_a_full_disk_ends_orders_and_is_whole_afterwards(
    tmp_path: Path,
) -> None:
    site, other = ControlledSite(), ControlledSite(portal="c0619ab00002")
    with small_disk(tmp_path / "disk", "1m") as disk:
        async with contextlib.AsyncExitStack() as opened:
            ports = [await opened.enter_async_context(listening(one)) for one in (site, other)]
            described = [modbus_site(ports[0]), modbus_site(ports[1], "beta")]
            world = await opened.enter_async_context(world_of(described))
            await heard(world)
            dispatcher = world.begin(disk / "orders.sqlite")
            await dispatcher.start()
            order = await world.order("charge", 1.0)
            await world.comes_to(order, S.EFFECTIVE)
            fill_up(disk / "ballast")
            full = False
            while not full:
                try:
                    await world.dispatch("charge", 1.0, sites=["beta"], dry_run=True)
                except JournalError:
                    full = True
            await until(lambda: not site.forced)
            with pytest.raises(JournalError):
                await world.order("charge", 1.0, sites=["beta"])
            assert other.writes == []
            (disk / "ballast").unlink()
            await until(lambda: dispatcher.book().journal_failure is None)
            again = await world.order("charge", 1.0)
            await world.comes_to(again, S.EFFECTIVE)
            await dispatcher.stop()
        reader = JournalReader(disk / "orders.sqlite")
        assert [e.state for e in reader.history(order)][-2:] == [S.FAILED, S.RELEASED]
        assert reader.broken_at() is None
    assert (site.forced, other.forced) == (False, False)


async def test_a_dry_run_sends_no_order_over_mqtt(broker: Mosquitto, tmp_path: Path) -> None:
    wire: list[str] = []
    recorder = mqtt.Client(CallbackAPIVersion.VERSION2)
    recorder.on_connect = lambda one, *_: one.subscribe("#")
    recorder.on_message = lambda _client, _data, message: wire.append(message.topic)
    recorder.connect("127.0.0.1", broker.port)
    recorder.loop_start()
    venus, site = ControlledSite(portal="c0619ab0000d"), ControlledSite()
    try:
        async with contextlib.AsyncExitStack() as opened:
            await opened.enter_async_context(published(broker.port, venus))
            node = await opened.enter_async_context(devices.node_at(site, broker.port, "node"))
            template = await opened.enter_async_context(
                devices.mqtt_template(ControlledSite(), tmp_path, 3, broker.port)
            )
            described = [
                mqtt_site(broker.port, "venus", portal=venus.portal),
                {**node.described, "id": "node"},
                {**template.described, "id": "template"},
            ]
            world = await opened.enter_async_context(world_of(described))
            await heard(world)
            dispatcher = world.begin(tmp_path / "orders.sqlite", DispatchMode.DRY)
            await dispatcher.start()
            names = ["venus", "node", "template"]
            answer = await world.dispatch("charge", 1.0, sites=names, dry_run=False)
            assert {order["state"] for order in answer["orders"]} == {"dry"}
            assert (await world.release(*names))["orders"] == []
            await dispatcher.stop()
            # What came after it shows that everything before was heard.
            recorder.publish("the/end", b"")
            await until(lambda: "the/end" in wire)
    finally:
        recorder.disconnect()
        recorder.loop_stop()
    assert any(topic.startswith("N/c0619ab0000d/") for topic in wire)
    written = [t for t in wire if t.startswith("W/") or t.endswith(("/order", "/force"))]
    # A set-point that nobody ordered is looked for, which asks and sets nothing.
    assert [t for t in written if t != "fleet/node/order"] == []
    assert all(set(order) == {"sequence"} for order in node.sent)
    assert (venus.writes, site.writes) == ([], [])
