"""The same physics over SunSpec and over the Venus HTTP bridge: the same issues and score."""

from __future__ import annotations

import pytest

from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.sunspec.sunspec_driver import SunSpecDriver, SunSpecOptions
from exporter.drivers.transport import Transports
from exporter.model.snapshot import Outcome
from simulator.modbus.server import ModbusServer
from simulator.modbus.sunspec import SunSpecUnits
from tests.drivers.bridge import Clock
from tests.drivers.modbus_tcp.test_gx_site import (
    DEMO,
    active,
    drivers,
    judged,
    simulation,
    snapshots,
)

# A SunSpec site with a meter and a BMS gives what a GX site gives; where a generator feeds it,
# only a GX says so.
SITES = [
    site.id
    for site in DEMO.sites
    if site.grid_meter
    and site.kind != "multiplus-bmv"
    and site.solar.coupling != "on_genset"
    and not any(fault.fault in ("offline", "grid_loss") for fault in site.faults)
]


@pytest.mark.parametrize("site", SITES)
async def test_the_score_is_that_of_the_http_bridge(site: str) -> None:
    clock, simulator = Clock(), simulation()
    server = ModbusServer(simulator, site, SunSpecUnits(simulator, site))
    context = DriverContext(Transports(None), clock.wall, clock.monotonic)  # type: ignore[arg-type]
    coupling = next(s.solar.coupling for s in DEMO.sites if s.id == site)
    units = (1,) if coupling == "dc" else (1, 2)
    options = SunSpecOptions.model_validate({"sunspec": {"units": units}})
    endpoint = Endpoint(site, f"modbus://127.0.0.1:{await server.start()}", options)
    driver = SunSpecDriver.open(endpoint, context)
    try:
        async with drivers(simulator, site, clock) as (http, _):
            by_http = await snapshots(http, clock)
        by_sunspec = await snapshots(driver, clock)
    finally:
        await driver.close()
        await server.stop()
    assert {s.outcome for s in by_sunspec} == {Outcome.OK}
    there, here = active(by_http).readings, active(by_sunspec).readings
    for name, step in (("soc_percent", 0.06), ("soh_percent", 0.06), ("cell_spread_v", 0.0011)):
        assert here[name] == pytest.approx(there[name], abs=step)
    assert here["power_w"] == pytest.approx(there["power_w"], abs=5.1)
    for name in ("pv_power_w", "grid_power_w", "load_power_w"):
        expected = by_http[-1].readings[name]
        assert by_sunspec[-1].readings[name] == pytest.approx(expected, abs=400), name
    first, second = judged(site, by_http), judged(site, by_sunspec)
    assert {i.code for i in second.issues} == {i.code for i in first.issues}
    assert second.score == first.score
