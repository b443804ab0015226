"""The one way to a device: switches are asked there, and nothing else writes."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from exporter.control.gate import DispatchMode, NotAllowedError, WriteGate
from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.ways_in import Way, WaysIn
from tests.drivers.toy import ToyOptions, ToyPolled, ToySubscribed

EXPORTER = Path(__file__).parents[2] / "exporter"
NAME = "grid_setpoint_w"


async def toy() -> ToyPolled:
    async with HttpClient() as http:
        context = DriverContext(Transports(HttpTransport(http)), lambda: 0.0, lambda: 0.0)
        return ToyPolled.open(Endpoint("a", "toy://192.0.2.1", ToyOptions(unit=1)), context)


@pytest.mark.parametrize("mode", [DispatchMode.OFF, DispatchMode.DRY])
async def test_a_switch_forbids_every_write(mode: DispatchMode) -> None:
    driver = await toy()
    gate = WriteGate(mode, lambda _: True)
    with pytest.raises(NotAllowedError):
        await gate.write("a", driver, NAME, 1.0)
    with pytest.raises(NotAllowedError):
        await gate.release("a", driver, NAME, math.nan, owed=False)
    assert not driver.setpoints
    assert gate.writes == 0


async def test_a_site_that_is_not_enabled_is_not_written() -> None:
    driver = await toy()
    gate = WriteGate(DispatchMode.ON, lambda site: site == "b")
    with pytest.raises(NotAllowedError):
        await gate.write("a", driver, NAME, 1.0)
    await gate.write("b", driver, NAME, 1.0)
    assert driver.setpoints == {NAME: 1.0}


@pytest.mark.parametrize("value", [math.nan, math.inf])
async def test_no_number_is_no_set_point(value: float) -> None:
    driver = await toy()
    with pytest.raises(NotAllowedError, match="is no set-point"):
        await WriteGate(DispatchMode.ON, lambda _: True).write("a", driver, NAME, value)


async def test_a_site_is_written_by_the_way_that_can_whichever_is_read() -> None:
    async with HttpClient() as http:
        context = DriverContext(Transports(HttpTransport(http)), lambda: 0.0, lambda: 0.0)
        reads = ToySubscribed.open(Endpoint("a", "toy://192.0.2.1", ToyOptions(unit=1)), context)
    writes = await toy()
    ways = [Way("reads", reads), Way("writes", writes)]
    both = WaysIn("a", ways, None, context)
    assert both.current is reads
    assert both.writer is writes
    assert WaysIn("a", ways[:1], None, context).writer is reads


async def test_what_is_owed_is_released_whatever_the_switches_say() -> None:
    driver = await toy()
    driver.setpoints[NAME] = 5.0
    gate = WriteGate(DispatchMode.OFF, lambda _: False)
    await gate.release("a", driver, NAME, math.nan, owed=True)
    assert not driver.setpoints


def test_nothing_else_writes_to_drivers() -> None:
    calling = re.compile(r"\bdriver\.(?:write|release)\(")
    found = {
        str(path.relative_to(EXPORTER))
        for path in EXPORTER.rglob("*.py")
        if calling.search(path.read_text("utf-8"))
    }
    assert found == {"control/gate.py"}


def test_only_set_points_write_registers_and_topics() -> None:
    calls = (
        r" WriteRequest\(",
        r"\.write\(WriteRequest",
        r"_publish\(\"W\"",
        r"http\.send_json\(",
        r"mqtt\.request\(",
        r"messages\.publish\(",
    )
    writing = re.compile("|".join(calls))
    found = {
        path.name for path in EXPORTER.rglob("*.py") if writing.search(path.read_text("utf-8"))
    }
    kinds = ("gx", "http", "model", "mqtt", "node", "template")
    assert found == {f"{kind}_setpoint.py" for kind in kinds}
