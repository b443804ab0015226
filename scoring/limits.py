"""The limits that readings are compared with: a row each."""

from __future__ import annotations

import math

from scoring.rule import Limit

SETTLE_SECONDS = 300.0
"""For how long a grid or a generator must stay inside its limits until an issue of it ends. EN
50160 counts events of voltage by the minute, and frequency by means of ten seconds; a source that
leaves its band every few minutes has one fault."""
PV_SETTLE_SECONDS = 86400.0
"""For how long an array that was low must make enough until the issue ends: a day, since neighbours
that face otherwise make a dirty array look low in the morning and well at noon."""

FALLEN_BELOW, MUCH_FALLEN_BELOW = 0.80, 0.55
"""Of what is usual: the best of three days beside one of the worse of before, which lies higher
than a string of three that is lost, or half of an array, leave of a mean day."""

_OF_THE_PAST = (
    # name, default, unit, highest, release, less than, note
    (
        "temperature_long",
        40.0,
        "°C",
        100.0,
        0.0,
        "",
        "Battery temperature in °C for long stays; see `hot_hours`",
    ),
    ("hot_hours", 6.0, "h", 24.0, 1.0, "", ""),
    ("soh_fall_info", 0.5, "%", 10.0, 0.05, "soh_fall_warning", ""),
    ("soh_fall_warning", 1.0, "%", 10.0, 0.1, "", ""),
    ("soc_stuck_ratio", 0.15, "", 1.0, 0.0, "", ""),
    ("energy_gap_ratio", 0.25, "", 5.0, 0.02, "", ""),
    ("charge_refused_seconds", 900.0, "s", 86400.0, 0.0, "", ""),
    ("grid_excursions", 3.0, "", 1000.0, 0.0, "", ""),
    ("voltage_outside_ratio", 0.05, "", 1.0, 0.005, "", ""),
    ("grid_outages", 2.0, "", 1000.0, 0.0, "", ""),
    ("voltage_unbalance_ratio", 0.03, "", 1.0, 0.002, "", ""),
    ("pv_shift_hours", 1.0, "h", 12.0, 0.0, "", ""),
    (
        "pv_night_ratio",
        0.05,
        "",
        1.0,
        0.0,
        "",
        "Share of PV energy made while the sun is down; above it for information",
    ),
    ("latency_ratio", 3.0, "", 1000.0, 0.5, "", ""),
    ("controller_restarts", 2.0, "", 1000.0, 0.0, "", ""),
)
"""Limits of what the recent past says; their sources stand with their rules."""

LIMITS: dict[str, Limit] = {
    limit.name: limit
    for limit in (
        Limit(
            "battery_soh_warning",
            85.0,
            "%",
            lowest=0,
            highest=100,
            above_lowest=True,
            configurable=True,
            release=0.5,
        ),
        Limit(
            "battery_soh_critical",
            70.0,
            "%",
            lowest=0,
            highest=100,
            above_lowest=True,
            configurable=True,
            less_than="battery_soh_warning",
            release=0.5,
        ),
        Limit(
            "grid_frequency_min",
            49.5,
            "Hz",
            lowest=40,
            highest=70,
            configurable=True,
            less_than="grid_frequency_max",
            release=0.05,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit(
            "grid_frequency_max",
            50.5,
            "Hz",
            lowest=40,
            highest=70,
            configurable=True,
            release=0.05,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit(
            "temperature_max", 45.0, "°C", lowest=-20, highest=100, configurable=True, release=1.0
        ),
        Limit(
            "cell_spread_warning",
            0.10,
            "V",
            lowest=0,
            highest=2,
            above_lowest=True,
            configurable=True,
            less_than="cell_spread_critical",
            release=0.005,
            comes_back=True,
        ),
        Limit(
            "cell_spread_critical",
            0.15,
            "V",
            lowest=0,
            highest=2,
            above_lowest=True,
            configurable=True,
            release=0.005,
            comes_back=True,
        ),
        Limit(
            "soc_critical",
            10.0,
            "%",
            lowest=0,
            highest=100,
            configurable=True,
            note="its alert is a page on a site without grid, else a ticket; a minimum that the "
            "device keeps may lower it, see `battery_soc`",
            release=2.0,
            comes_back=True,
        ),
        Limit("soc_without_grid", math.nan, "%", release=2.0),
        Limit(
            "grid_frequency_low",
            math.nan,
            "Hz",
            release=0.02,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit(
            "grid_frequency_high",
            math.nan,
            "Hz",
            release=0.02,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit(
            "grid_voltage_low",
            math.nan,
            "V",
            release=2.0,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit(
            "grid_voltage_high",
            math.nan,
            "V",
            release=2.0,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit("grid_unsteady", 0.05, "Hz", release=0.005),
        Limit(
            "ac_input_frequency_low",
            math.nan,
            "Hz",
            release=0.2,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit(
            "ac_input_frequency_high",
            math.nan,
            "Hz",
            release=0.2,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit(
            "ac_input_voltage_low",
            math.nan,
            "V",
            release=2.0,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit(
            "ac_input_voltage_high",
            math.nan,
            "V",
            release=2.0,
            settle_seconds=SETTLE_SECONDS,
            comes_back=True,
        ),
        Limit("pv_underperforming", 0.50, release=0.05),
        Limit("pv_low", 0.75, release=0.05, settle_seconds=PV_SETTLE_SECONDS),
        Limit("offline_after_seconds", math.nan, "s"),
        Limit("scrapes_worked_warning", 0.50, release=0.05),
        Limit("scrapes_worked_info", 0.95, release=0.02),
        *(
            Limit(
                name,
                default,
                unit,
                lowest=0,
                highest=highest,
                above_lowest=True,
                configurable=True,
                release=release,
                less_than=less_than,
                note=note,
            )
            for name, default, unit, highest, release, less_than, note in _OF_THE_PAST
        ),
        Limit(
            "pv_soiling_ratio",
            0.08,
            lowest=0,
            highest=1.0,
            above_lowest=True,
            configurable=True,
            release=0.02,
            settle_seconds=PV_SETTLE_SECONDS,
        ),
        Limit("modules_offline", 0.0),
        Limit("modules_blocking", 0.0),
        Limit("alarm_level", 2.0),
        Limit("warning_level", 1.0),
    )
}

CONFIGURABLE: tuple[Limit, ...] = tuple(x for x in LIMITS.values() if x.configurable)
"""The keys of ``thresholds`` in the fleet file."""
