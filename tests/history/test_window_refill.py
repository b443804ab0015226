"""After a restart the window of the recent past holds what a real InfluxDB kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.collect.state import FleetState
from exporter.history.influxql import InfluxQL
from exporter.history.window_refill import read_window
from exporter.model.levels import DAY
from tests.assess.test_assessment import fleet
from tests.serve.api.influx import influx

NOW = 20_400.0 * DAY + 7200


@pytest.mark.stack
async def test_what_was_stored_is_what_was_seen(tmp_path: Path) -> None:
    def line(measurement: str, tags: str, fields: str, age: float) -> str:
        return f"{measurement},{tags} {fields} {round((NOW - age) * 1000)}"

    lines = []
    for minute in range(20 * 60):
        age = 60.0 * minute
        # Two outages of half an hour in the last twelve hours.
        lost = 60 < minute < 720 and minute % 240 < 30
        connected = f"online=1,scrape_seconds=0.4,grid_connected={0 if lost else 1}"
        volts = "" if lost else ",grid_voltage_v=231,grid_voltage_min_v=230,grid_voltage_max_v=232"
        lines.append(line("site", "site=a", connected + volts, age))
        heat = 42.0 if minute < 8 * 60 else 25.0
        battery = f"soc_percent=60,soh_percent=95,temperature_c={heat}"
        lines.append(line("battery", "site=a,device=battery/0", battery, age))
        lines.append(line("site", "site=removed", "online=1", age))
    with influx(tmp_path) as server:
        server.write(lines)
        stored = InfluxQL(server.url, "fleet", {})
        state = FleetState(fleet("new", "a"), 10.0)
        try:
            window = await read_window(stored, state.ids, state.constants, NOW)
        finally:
            await stored.close()
    state.window.adopt(window)
    readings = {
        "battery_lowest_soh_percent": np.array([np.nan, 95.0]),
        "soc_percent": np.array([np.nan, 60.0]),
    }
    found = state.window.figures(NOW, readings, state.constants)
    assert found["grid_outages"][1] == 2
    assert found["hot_h"][1] == pytest.approx(8, abs=0.3)
    assert found["observed_ratio"][1] == pytest.approx(20 / 24, abs=0.02)
    assert found["latency_s"][1] == pytest.approx(0.4)
    assert np.isnan(found["grid_outages"][0]), "a new site has no past"


@pytest.mark.stack
async def test_starts_of_a_controller_are_counted_on_after_a_restart(tmp_path: Path) -> None:
    """Once a day, of which the last one is in full detail and the others in the roll-up."""
    starts = [NOW - age * 3600.0 for age in (150, 126, 102, 78, 54, 30, 6)]

    def uptime_h(moment: float) -> float:
        return min(moment - start for start in starts if start <= moment) / 3600

    hours = [NOW - age * 3600.0 for age in range(148, 25, -1)]
    minutes = [NOW - age * 60.0 for age in range(26 * 60, 0, -1)]
    with influx(tmp_path) as server:
        server.query('CREATE RETENTION POLICY "rollup_1h" ON "fleet" DURATION INF REPLICATION 1')
        rolled = "online_max=1,uptime_h_min"
        server.write(
            [f"site,site=a {rolled}={uptime_h(t):.1f} {t * 1000:.0f}" for t in hours], "rollup_1h"
        )
        server.write(
            [f"site,site=a online=1,uptime_h={uptime_h(t):.1f} {t * 1000:.0f}" for t in minutes]
        )
        stored = InfluxQL(server.url, "fleet", {})
        state = FleetState(fleet("a"), 10.0)
        try:
            window = await read_window(stored, state.ids, state.constants, NOW)
        finally:
            await stored.close()
    state.window.adopt(window)
    none = dict.fromkeys(("battery_lowest_soh_percent", "soc_percent"), np.array([np.nan]))
    found = state.window.figures(NOW, none, state.constants)
    assert found["controller_restarts"][0] == 1
    # The first of the seven began before the past that is known.
    assert found["controller_restarts_week"][0] == 6
