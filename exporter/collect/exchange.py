"""The last exchange with a site of the running service: each value, what became of it, and why."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from exporter.collect.state import COLUMN, FleetState
from exporter.drivers.base import Driver, Explaining, Recording
from exporter.drivers.explaining import explain
from exporter.model.quantities import SITE_QUANTITIES


def exchange_of(
    state: FleetState,
    site_id: str,
    driver: Driver | None,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, Any] | None:
    """What is known of the last exchange, as plain JSON values; nothing is asked of the site.

    None for a site that is not polled.

    Parameters
    ----------
    state : FleetState
    site_id : str
    driver : Driver or None
        The one that reads the site at present. One that keeps raw values only when somebody asks
        for them does so from now on, for some minutes.
    monotonic : callable
        Seconds that never jump, as the state counts them.
    """
    if driver is None or site_id not in state.row:
        return None
    now = monotonic()
    row = state.row[site_id]
    record, site = state.records[row], state.fleet.sites[row]
    way = record.way or site.way_names[0]
    name = site.ways[site.way_names.index(way)].driver
    if isinstance(driver, Recording):
        driver.keep_raw()
    raws = driver.raw_values() if isinstance(driver, Explaining) else []
    values, times = state.values[row], state.times[row]
    of_site = {
        quantity: float(values[COLUMN[quantity]])
        for quantity in SITE_QUANTITIES
        if not math.isnan(times[COLUMN[quantity]])
    }
    ages = {("site", q): now - float(times[COLUMN[q]]) for q in of_site}
    readings = [("site", of_site)]
    for battery in sorted(record.batteries.values(), key=lambda b: (not b.active, b.device)):
        readings.append((battery.device, dict(battery.readings)))
        ages |= {(battery.device, q): now - battery.time_of(q) for q in battery.readings}
    stale_after = float(state.stale_after[row])
    found = explain(name, readings, record.implausible.values(), raws, ages, stale_after)
    return {
        "site": site_id,
        "way_in": way,
        "driver": name,
        "outcome": record.outcome.value if record.outcome else None,
        "detail": record.detail,
        "scrape_seconds": _number(float(state.duration[row])),
        "last_success": _number(float(state.last_success_time[row])),
        "interval_seconds": float(state.interval[row]),
        "raw_values": bool(raws),
        "raw_values_follow": isinstance(driver, Recording) and not raws,
        "readings": [
            asdict(one) | {"value": _number(one.value), "age_seconds": _number(one.age_seconds)}
            for one in found
        ],
        "notices": [f"{notice.code}: {notice.detail}" for notice in record.notices],
    }


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 3)
