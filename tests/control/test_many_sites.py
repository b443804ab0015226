"""A thousand sites in one dispatch: each is written, read back and released; none is forgotten."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.control.dispatcher import Dispatcher
from exporter.control.gate import DispatchMode
from exporter.control.journal import JournalReader
from exporter.control.requests import DispatchRequest, ReleaseRequest
from exporter.control.site_inputs import InputReader
from exporter.drivers.base import Capability
from exporter.model.orders import OrderAction, OrderState
from exporter.model.snapshot import BatterySnapshot, Outcome, Snapshot
from tests.control.world import until

COUNT = 1000
NAME = "battery_power_w"


class Device:
    """Takes set-points and follows them."""

    def __init__(self) -> None:
        self.value = math.nan

    def capabilities(self) -> Mapping[str, Capability]:
        return {NAME: Capability("W", -1e5, 1e5, True, 60.0)}

    async def write(self, name: str, value: float) -> None:
        await asyncio.sleep(0)
        self.value = value

    async def release(self, name: str, before: float = math.nan) -> None:
        self.value = math.nan

    async def read_setpoint(self, name: str) -> float:
        await asyncio.sleep(0)
        return self.value


def snapshot(site: str, power_w: float) -> Snapshot:
    readings = {"soc_percent": 50.0, "power_w": power_w, "voltage_v": 52.0, "temperature_c": 20.0}
    return Snapshot(
        site,
        time.time(),
        0.01,
        Outcome.OK,
        readings={"load_power_w": 500.0, "pv_power_w": 0.0, "grid_connected": 1.0},
        batteries=(BatterySnapshot("battery/1", True, readings),),
    )


@pytest.mark.stack
async def test_a_thousand_sites_in_one_dispatch(tmp_path: Path) -> None:
    block = {"enabled": True, "max_charge_kw": 5, "max_discharge_kw": 5}
    sites = [
        {
            "id": f"s{n:04}",
            "api_endpoint": "http://192.0.2.1",
            "dispatch": block,
            "capacity_kwh": 10,
        }
        for n in range(COUNT)
    ]
    fleet = Fleet.model_validate({"sites": sites})
    names = tuple(site.id for site in fleet.sites)
    devices = {name: Device() for name in names}
    state = FleetState(fleet, 60.0)
    latest = assess(state, time.monotonic(), time.time())

    def scrape(dispatcher: Dispatcher | None = None) -> None:
        for name, device in devices.items():
            power = 0.0 if math.isnan(device.value) else device.value
            state.apply(snapshot(name, power), time.monotonic())
            if dispatcher is not None:
                dispatcher.observe(name)

    scrape()
    path = tmp_path / "orders.sqlite"
    reader = InputReader(state, lambda: latest, time.time, time.monotonic)
    dispatcher = Dispatcher(path, DispatchMode.ON, reader, devices.get)  # type: ignore[arg-type]
    await dispatcher.start()
    who = {"issuer": "ops", "role": "operator", "address": "", "reason": "peak"}
    answer = await dispatcher.dispatch(
        DispatchRequest(
            **who,
            sites=names,
            action=OrderAction.DISCHARGE,
            power_w=2_000_000.0,
            in_total=True,
            start=None,
            expires=time.time() + 600,
            dry_run=False,
        )
    )
    assert len(answer["orders"]) == COUNT
    assert answer["allowed_w"] == pytest.approx(-2_000_000)
    await until(lambda: all(device.value == -2000 for device in devices.values()))
    await until(lambda: dispatcher.book().counts["acknowledged"] == COUNT)

    def followed() -> bool:
        scrape(dispatcher)
        return dispatcher.book().counts["effective"] == COUNT

    # Two Snapshots are needed; how many are taken until each control has seen two is of no matter.
    await until(followed)
    await dispatcher.release(ReleaseRequest(**who, sites=names))
    await until(lambda: dispatcher.book().counts["released"] == COUNT)
    assert all(math.isnan(device.value) for device in devices.values())
    await dispatcher.stop()
    journal = JournalReader(path)
    assert journal.broken_at() is None
    found = journal.orders(limit=3 * COUNT)
    ends = {(status.order.action, status.end) for status in found}
    assert len(found) == 2 * COUNT
    assert ends == {
        (OrderAction.DISCHARGE, OrderState.SUPERSEDED),
        (OrderAction.RELEASE, OrderState.RELEASED),
    }
