"""One site over each protocol of registers, at a Modbus server of another make."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from pymodbus.server import ModbusTcpServer

from tests.drivers.modbus_peers import Registers, simulated
from tests.drivers.sunspec.test_sunspec import BATTERY, COMMON, INVERTER, registers
from tests.faults.protocols import SOC, SiteClock, SiteUnderTest, opened, template_file

URL = "modbus://127.0.0.1:{port}"
_HOLDING, _WRITE_ONE = 3, 6
_SOC_REGISTER = 100
# State of charge of a GX's battery unit, in tenths.
_GX_BATTERY, _GX_SOC = 225, 266


@contextlib.asynccontextmanager
async def template_modbus(folder: Path) -> AsyncIterator[SiteUnderTest]:
    """A device that a template describes."""
    rows = f"readings:\n  - {{quantity: soc_percent, register: {_SOC_REGISTER}, scale: 0.1}}\n"
    template = template_file(folder, "modbus", rows)
    units = {1: {_SOC_REGISTER: int(10 * SOC)}}
    async with _site_at("template", units, 1, _SOC_REGISTER, template=template) as site:
        yield site


@contextlib.asynccontextmanager
async def gx_modbus(folder: Path) -> AsyncIterator[SiteUnderTest]:
    """A GX whose system says nothing of its battery, so that the battery alone does."""
    del folder
    serial = {800 + n: int.from_bytes(b"c0619ab00001"[2 * n : 2 * n + 2]) for n in range(6)}
    system = dict.fromkeys(range(808, 827), 0) | {817: 400, 820: 65036, 826: 1}
    system |= dict.fromkeys(range(840, 847), 0) | {850: 900}
    battery = {259: 5250, 261: 65431, 262: 0, _GX_SOC: int(10 * SOC), 304: 0}
    vebus = dict.fromkeys(range(3, 37), 0) | {3: 2310, 9: 5002, 28: 1, 29: 0, 31: 3, 33: 3}
    units = {100: serial | system, _GX_BATTERY: battery, 227: vebus}
    async with _site_at("modbus-tcp", units, _GX_BATTERY, _GX_SOC) as site:
        yield site


@contextlib.asynccontextmanager
async def sunspec(folder: Path) -> AsyncIterator[SiteUnderTest]:
    """A hybrid inverter, encoded by the SunSpec Alliance's own package."""
    del folder
    values = {**BATTERY[1], "SoC": int(10 * SOC)}
    held = registers(COMMON, INVERTER, (BATTERY[0], values))
    without = registers(COMMON, INVERTER, (BATTERY[0], {**values, "SoC": 0}))
    (at,) = (number for number, word in held.items() if without[number] != word)
    async with _site_at("sunspec", {1: held}, 1, at) as site:
        yield site


@contextlib.asynccontextmanager
async def _site_at(
    driver: str, units: Mapping[int, Registers], unit: int, at: int, **options: Any
) -> AsyncIterator[SiteUnderTest]:
    """A site at pymodbus's server, whose state of charge is in one register of a unit."""
    devices = [simulated(number, words) for number, words in units.items()]
    server = ModbusTcpServer(devices, address=("127.0.0.1", 0))
    await server.listen()
    assert server.transport is not None
    port = int(server.transport.sockets[0].getsockname()[1])
    writing: set[asyncio.Task[None]] = set()

    def put(value: Any) -> None:
        raw = int(10 * SOC) if value == SOC else value
        task = asyncio.create_task(server.async_setValues(unit, _WRITE_ONE, at, [raw]))
        writing.add(task)
        task.add_done_callback(lambda done: (writing.discard(done), done.result()))

    try:
        async with opened(driver, port, SiteClock(), URL, put, **options) as site:
            yield site
    finally:
        await server.shutdown()
