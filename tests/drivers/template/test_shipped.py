"""Every template that ships, against a peer on a real socket."""

from __future__ import annotations

import math

import pytest

from exporter.drivers.template.template_file import shipped
from exporter.model.snapshot import Outcome
from tests.drivers.bridge import Clock
from tests.drivers.json_peer import JsonPeer
from tests.drivers.modbus_peers import pymodbus_server
from tests.drivers.template.opened import driver_at
from tests.drivers.template.replies import RECORDED


def test_each_template_has_a_reply() -> None:
    assert sorted(RECORDED) == shipped()
    assert len(shipped()) >= 10


@pytest.mark.parametrize("name", shipped())
async def test_a_template_reads_its_device(name: str, clock: Clock) -> None:
    recorded = RECORDED[name]
    options = {"template": name, "parameters": recorded.parameters}
    if recorded.documents:
        peer = JsonPeer(recorded.documents)
        async with peer.running(), driver_at(peer.url, clock, **options) as driver:
            snapshot = await driver.scrape()
        assert len(peer.requests) == len(recorded.documents)
    else:
        async with (
            pymodbus_server({recorded.unit: recorded.registers}) as port,
            driver_at(f"modbus://127.0.0.1:{port}", clock, **options) as driver,
        ):
            snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.OK, snapshot.detail
    assert snapshot.implausible == ()
    given = {n: v for n, v in snapshot.readings.items() if not math.isnan(v)}
    for quantity, value in recorded.readings.items():
        assert given.get(quantity) == pytest.approx(value, abs=1e-6), quantity
    if not recorded.battery:
        assert snapshot.batteries == ()
        return
    (pack,) = snapshot.batteries
    assert (pack.device, pack.active) == ("battery/0", True)
    known = {n: v for n, v in pack.readings.items() if not math.isnan(v)}
    assert known == pytest.approx(recorded.battery, abs=1e-6)
