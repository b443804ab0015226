"""Fills the window of the recent past from what is stored, so that a restart does not begin blind.

The last day is read in full detail by five minutes, what is before it from the roll-up of an hour,
slice by slice, so that memory stays bounded whatever the number of sites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from exporter.collect.moment import Moment, SiteConstants
from exporter.collect.site_window import SiteWindow
from exporter.history.influxql import InfluxQL, NoAnswerError, between, name
from exporter.history.level_choice import table
from exporter.model.levels import DAY, LEVELS, Level
from scoring.pv_power import Expected
from scoring.window import DAYS

FloatArray = NDArray[np.float64]

HOUR = 3600
FINE_SECONDS, COARSE_SECONDS = 300, 900
MANY_SITES = 2000
"""Above it the last day is read by quarters of an hour."""
LEVEL = next(level for level in LEVELS if level.seconds == HOUR)
DAY_ELEVATION_DEG, NIGHT_ELEVATION_DEG = 45.0, -20.0
"""The elevation of the sun is not stored: it is day while a clear sky allows any power."""

SITE_FIELDS: Mapping[str, str] = {
    "online": "max",
    "scrape_seconds": "mean",
    "grid_frequency_hz": "mean",
    "grid_voltage_v": "mean",
    "grid_voltage_min_v": "min",
    "grid_voltage_max_v": "max",
    "grid_connected": "min",
    "pv_power_w": "mean",
    "pv_expected_w": "mean",
    "pv_disabled": "max",
    # What it fell to shows a start anew, whatever it was before.
    "uptime_h": "min",
}
BATTERY_FIELDS: Mapping[str, str] = {
    "soc_percent": "mean",
    "soh_percent": "min",
    "temperature_c": "max",
    "cell_max_temperature_c": "max",
    "cell_max_v": "max",
    "power_w": "mean",
    "current_a": "mean",
    "voltage_v": "mean",
    "charged_kwh": "max",
    "discharged_kwh": "max",
}
ROLLED_SITE = ("online", "grid_connected", "pv_power_w", "pv_expected_w", "pv_disabled", "uptime_h")
ROLLED_BATTERY = ("soc_percent", "soh_percent", "temperature_c")
Values = dict[int, dict[str, FloatArray]]
"""Beginning of a bucket, Unix seconds, to readings of all sites by name."""


async def read_window(
    stored: InfluxQL, sites: Sequence[str], constants: SiteConstants, now: float
) -> SiteWindow:
    """The window of sites as far as the database knows it, up to ``now``, Unix seconds.

    Means of minutes hide what is shorter: a frequency that left its band for seconds is not
    counted again after a restart.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    window = SiteWindow(len(sites))
    rows = {site: row for row, site in enumerate(sites)}
    today = int(now - DAY) // HOUR * HOUR
    try:
        for begin in range(today - (DAYS - 1) * DAY, today, DAY):
            values = await _slice(stored, rows, begin, min(begin + DAY, today), HOUR, LEVEL)
            _observe(window, values, len(sites), HOUR, constants)
    except NoAnswerError:
        # A database without roll-ups has no such policy; one that is away says so below.
        pass
    seconds = FINE_SECONDS if len(sites) <= MANY_SITES else COARSE_SECONDS
    for begin in range(today, int(now), HOUR):
        values = await _slice(stored, rows, begin, min(begin + HOUR, now), seconds, None)
        _observe(window, values, len(sites), seconds, constants)
    return window


async def _slice(
    stored: InfluxQL,
    rows: Mapping[str, int],
    begin: float,
    end: float,
    seconds: int,
    level: Level | None,
) -> Values:
    found: Values = {}
    for measurement, fields, rolled in (
        ("site", SITE_FIELDS, ROLLED_SITE),
        ("battery", BATTERY_FIELDS, ROLLED_BATTERY),
    ):
        wanted = tuple(fields) if level is None else rolled
        columns = ", ".join(
            f"{fields[field]}({name(_column(field, fields[field], level))}) AS {name(field)}"
            for field in wanted
        )
        statement = (
            f"SELECT {columns} FROM {table(level, measurement)} "  # noqa: S608 - names of ours
            f'WHERE {between(begin, end)} GROUP BY time({seconds}s), "site" fill(none)'
        )
        for series in await stored.select(statement):
            row = rows.get(series.tags["site"])
            if row is None:
                continue
            for time_ms, *values in series.rows:
                bucket = found.setdefault(int(time_ms) // 1000, {})
                for field, value in zip(series.columns[1:], values, strict=True):
                    if value is not None:
                        known = bucket.get(field)
                        if known is None:
                            known = bucket[field] = np.full(len(rows), np.nan)
                        known[row] = value
    return found


def _column(field: str, extreme: str, level: Level | None) -> str:
    return field if level is None else f"{field}_{extreme}"


def _observe(
    window: SiteWindow, values: Values, count: int, seconds: int, constants: SiteConstants
) -> None:
    nothing = np.full(count, np.nan)
    for begin in sorted(values):
        bucket = values[begin]
        soh, temperature = bucket.pop("soh_percent", nothing), bucket.get("temperature_c", nothing)
        readings = bucket | {
            "battery_lowest_soh_percent": soh,
            "battery_hottest_c": np.fmax(
                temperature, bucket.get("cell_max_temperature_c", nothing)
            ),
        }
        allowed = bucket.get("pv_expected_w", nothing)
        elevation = np.where(allowed > 0, DAY_ELEVATION_DEG, NIGHT_ELEVATION_DEG)
        elevation[np.isnan(allowed)] = np.nan
        moment = Moment(
            wall=float(begin),
            seconds=float(seconds),
            answering=bucket.get("online", nothing) == 1,
            readings=readings,
            durations=bucket.get("scrape_seconds", nothing),
            expected=Expected(allowed, elevation, nothing),
        )
        window.observe(moment, constants)
