"""A controlled site behind each protocol over which orders are written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulator.controlled import VOLTAGE_V, ControlledSite, Healthy
from simulator.controlled_bridge import ControlledBridge
from simulator.controlled_sunspec import sunspec_server
from simulator.modbus.server import ModbusServer
from tests.control.world import DISPATCH

TICK_SECONDS = 0.05


@dataclass
class Wired:
    """A site on a wire: how the fleet file has it, and what the device was sent.

    Attributes
    ----------
    described : dict
        The site of the fleet file.
    left : callable
        What is left at the device of what orders write; the same as before any, once it is free.
    sent : list
        Writes as they came.
    """

    described: dict[str, Any]
    left: Callable[[], Any]
    sent: list[Any] = field(default_factory=list)


def described(driver: str, url: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "alpha",
        "driver": driver,
        "api_endpoint": url,
        "capacity_kwh": 10,
        "dispatch": {**DISPATCH, **more.pop("dispatch", {})},
        **more,
    }


@contextlib.asynccontextmanager
async def sunspec(
    site: ControlledSite, *, der: bool = False, **changed: int
) -> AsyncIterator[Wired]:
    """A hybrid inverter with model 124, or with 704."""
    server, units = sunspec_server(site, der=der, **changed)
    port = await server.start()
    url = f"modbus://127.0.0.1:{port}"
    try:
        yield Wired(described("sunspec", url), lambda: units.control)
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def bridge(site: ControlledSite, **dispatch: Any) -> AsyncIterator[Wired]:
    """A Venus HTTP bridge, whose set-point outlives everything."""
    site.persistent_w = 50.0
    played = ControlledBridge(site)
    port = await played.start()
    sent: list[Any] = []
    block = {"allow_persistent": True, **dispatch}
    wired = Wired(
        described("venus-http", f"http://127.0.0.1:{port}", dispatch=block),
        lambda: site.persistent_w,
        sent,
    )
    try:
        yield wired
    finally:
        sent += [body for method, _, body in played.requests if method == "POST"]
        await played.stop()


def _after(site: ControlledSite, value: Any) -> Any:
    site.advance()
    return value


class Node:
    """A node at a broker, by another MQTT client: sends telemetry, takes orders, sends receipts.

    Attributes
    ----------
    orders : list of dict
    silent : bool
        Whether it takes orders and sends no receipts.
    """

    def __init__(self, site: ControlledSite, port: int, name: str = "alpha") -> None:
        site.of_battery = True
        self.site = site
        self.orders: list[dict[str, Any]] = []
        self.silent = False
        self._name = name
        self._newest = 0
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(f"fleet/{name}/order", qos=1)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._thread = threading.Thread(target=self._send, daemon=True)

    def start(self) -> None:
        self._client.loop_start()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._client.disconnect()
        self._client.loop_stop()

    def _send(self) -> None:
        import time

        while not self._stop.wait(TICK_SECONDS):
            with self._turn:
                self.site.advance()
                battery = {
                    "soc_percent": self.site.soc_percent,
                    "power_w": self.site.battery_w,
                    "voltage_v": VOLTAGE_V,
                    "temperature_c": self.site.temperature_c,
                }
                readings = {"load_power_w": self.site.load_w, "grid_power_w": self.site.grid_w}
            point = {
                "measured": time.time(),
                "readings": readings,
                "batteries": [{"device": "battery/0", "active": True, "readings": battery}],
            }
            self._client.publish(f"fleet/{self._name}/telemetry", json.dumps(point), qos=1)

    def _take(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        order = json.loads(message.payload)
        with self._turn:
            self.orders.append(order)
            answer: dict[str, Any] = {"sequence": order["sequence"]}
            if order["sequence"] <= self._newest:
                answer["refused"] = "a later order came before"
            else:
                self._newest = order["sequence"]
                answer |= self._carry_out(order)
            self.site.advance()
            answer["battery_power_w"] = self.site.setpoint_w
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = message.properties.CorrelationData  # type: ignore[union-attr]
        topic = message.properties.ResponseTopic  # type: ignore[union-attr]
        if not self.silent:
            self._client.publish(topic, json.dumps(answer), qos=1, properties=properties)

    def _carry_out(self, order: Mapping[str, Any]) -> dict[str, Any]:
        if "battery_power_w" not in order:
            return {}
        value = order["battery_power_w"]
        if value is not None:
            self.site.reversion_seconds = order["lease_seconds"]
        taken = self.site.write(None if value is None else float(value))
        return {} if taken else {"refused": "the operator holds the key"}


@contextlib.contextmanager
def running_node(site: ControlledSite, port: int, name: str = "alpha") -> Iterator[Node]:
    node = Node(site, port, name)
    node.start()
    try:
        yield node
    finally:
        node.stop()


@contextlib.asynccontextmanager
async def node_at(site: ControlledSite, port: int, name: str = "alpha") -> AsyncIterator[Wired]:
    """A node that pushes telemetry and takes orders over MQTT."""
    with running_node(site, port, name) as node:
        more = {"setpoints": ["battery_power_w"]}
        wired = Wired(
            described("push", f"mqtt://127.0.0.1:{port}", **more),
            lambda: _after(site, site.setpoint_w),
            node.orders,
        )
        yield wired


MODBUS_TEMPLATE = """template: my-battery
title: A battery of our own
gives: battery, consumption
transport: modbus
source: its manual
switch_on: nothing
readings:
  - {quantity: soc_percent, register: 0}
  - {quantity: power_w, register: 1, type: i16}
  - {quantity: load_power_w, register: 2}
  - {quantity: voltage_v, register: 3, scale: 0.1}
setpoints:
  - name: battery_power_w
    minimum: -5000
    maximum: 5000
    step: 10
    reversion_seconds: REVERSION
    in_force: {register: 10}
    held: {register: 11, type: i16, scale: 10}
    write:
      - {register: 12, value: REVERSION}
      - {register: 11, type: i16, scale: 10}
      - {register: 10, value: 1}
    release:
      - {register: 10, value: 0}
"""


class TemplateUnits:
    """The registers of that battery."""

    def __init__(self, site: ControlledSite) -> None:
        site.of_battery = True
        self._site = site
        self.registers_set = {10: 0, 11: 0, 12: 0}

    def registers(self, unit: int, address: int, count: int) -> Mapping[int, int] | None:
        site = self._site
        if not site.forced:
            self.registers_set[10] = 0
        words = (round(site.soc_percent), round(site.battery_w) & 0xFFFF, round(site.load_w))
        return {**dict(enumerate(words)), 3: round(VOLTAGE_V * 10), **self.registers_set}

    def write(self, unit: int, address: int, words: Sequence[int]) -> int:
        if self._site.refuses:
            return 4
        for register, word in enumerate(words, address):
            self.registers_set[register] = word
        if self.registers_set[10]:
            (tens,) = struct.unpack(">h", struct.pack(">H", self.registers_set[11]))
            self._site.reversion_seconds = float(self.registers_set[12])
            self._site.write(10.0 * tens)
        elif address == 10:
            self._site.write(None)
        return 0


@contextlib.asynccontextmanager
async def modbus_template(
    site: ControlledSite, folder: Path, reversion: float
) -> AsyncIterator[Wired]:
    """A battery that a template describes, over Modbus."""
    units = TemplateUnits(site)
    server = ModbusServer(Healthy(), site.portal, units)  # type: ignore[arg-type]
    port = await server.start()
    path = folder / "battery.yaml"
    path.write_text(MODBUS_TEMPLATE.replace("REVERSION", f"{reversion:g}"), "utf-8")
    url = f"modbus://127.0.0.1:{port}"
    try:
        yield Wired(
            described("template", url, template=str(path)),
            lambda: _after(site, units.registers(1, 10, 1)[10]),  # type: ignore[index]
        )
    finally:
        await server.stop()


HTTP_TEMPLATE = """template: my-http-battery
title: A battery of our own
gives: battery, consumption
transport: http
source: its manual
switch_on: nothing
requests: {status: /status}
readings:
  - {quantity: soc_percent, path: soc}
  - {quantity: power_w, path: kw, scale: 1000}
  - {quantity: load_power_w, path: load}
setpoints:
  - name: battery_power_w
    minimum: -5000
    maximum: 5000
    reversion_seconds: REVERSION
    held: {path: forced, scale: 1000}
    write:
      - {target: "/force?seconds=REVERSION", scale: 1000, body: {kw: "${setpoint}"}}
    release:
      - {method: PUT, target: /auto}
"""


@contextlib.asynccontextmanager
async def http_template(
    site: ControlledSite, folder: Path, reversion: float
) -> AsyncIterator[Wired]:
    """A battery that a template describes, over HTTP."""
    site.of_battery, site.reversion_seconds = True, reversion
    sent: list[Any] = []

    def answer(method: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        site.advance()
        if method == "GET":
            forced = None if site.setpoint_w is None else site.setpoint_w / 1000
            kw = site.battery_w / 1000
            return 200, {"soc": site.soc_percent, "kw": kw, "load": site.load_w, "forced": forced}
        sent.append((method, target, body))
        value = 1000.0 * json.loads(body)["kw"] if method == "POST" else None
        return (200, {}) if site.write(value) else (409, {"error": "it is locked by its owner"})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (line.split(":")[1] for line in head.lower().split("\r\n") if "-length:" in line),
                "0",
            )
            body = await reader.readexactly(int(length))
            method, target, _ = head.split("\r\n")[0].split()
            status, document = answer(method, target, body)
            raw = json.dumps(document).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    path = folder / "battery.yaml"
    path.write_text(HTTP_TEMPLATE.replace("REVERSION", f"{reversion:g}"), "utf-8")
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield Wired(
            described("template", url, template=str(path)),
            lambda: _after(site, site.setpoint_w),
            sent,
        )
    finally:
        server.close()
        await server.wait_closed()


MQTT_TEMPLATE = """template: my-mqtt-battery
title: A battery of our own
gives: battery, consumption
transport: mqtt
source: its manual
switch_on: nothing
expires_seconds: 5
topics: {state: battery/state}
readings:
  - {quantity: soc_percent, path: soc}
  - {quantity: power_w, path: power}
  - {quantity: load_power_w, path: load}
setpoints:
  - name: battery_power_w
    minimum: -5000
    maximum: 5000
    reversion_seconds: REVERSION
    held: {path: forced}
    write:
      - {topic: battery/force}
    release:
      - {topic: battery/force, body: auto}
"""


@contextlib.asynccontextmanager
async def mqtt_template(
    site: ControlledSite, folder: Path, reversion: float, port: int
) -> AsyncIterator[Wired]:
    """A battery that a template describes, at a broker."""
    site.of_battery, site.reversion_seconds = True, reversion
    sent: list[Any] = []
    turn, stop = threading.Lock(), threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda one, *_: one.subscribe("battery/force")

    def take(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        sent.append(message.payload)
        with turn:
            site.write(None if message.payload == b"auto" else float(message.payload))

    def send() -> None:
        while not stop.wait(TICK_SECONDS):
            with turn:
                site.advance()
                state = {
                    "soc": site.soc_percent,
                    "power": site.battery_w,
                    "load": site.load_w,
                    "forced": site.setpoint_w,
                }
            client.publish("battery/state", json.dumps(state))

    client.on_message = take
    client.connect("127.0.0.1", port)
    client.loop_start()
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    path = folder / "battery.yaml"
    path.write_text(MQTT_TEMPLATE.replace("REVERSION", f"{reversion:g}"), "utf-8")
    try:
        yield Wired(
            described("template-mqtt", f"mqtt://127.0.0.1:{port}", template=str(path)),
            lambda: _after(site, site.setpoint_w),
            sent,
        )
    finally:
        stop.set()
        thread.join(10)
        client.disconnect()
        client.loop_stop()
