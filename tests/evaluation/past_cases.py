"""Cases that show only over hours or weeks, each with what a right monitor says of it.

:data:`HOURS_LONG` fit into the fleets of a day and a half; :data:`WEEKS_LONG` need five weeks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.evaluation.labels import Paging
from simulator.faults import FaultName
from simulator.scenario import FaultPlan, Site
from tests.evaluation.cases import HOUR, MINUTE, NO, Case, Plan, ramp

MAY = Paging.ALLOWED


def again(fault: FaultName, params: dict[str, Any], seconds: float, every: float) -> Plan:
    """A fault that comes and goes."""

    def plan(begin: float, duration: float) -> list[FaultPlan]:
        times = [begin + n * every for n in range(int(duration // every))]
        return [
            FaultPlan(fault=fault, params=params, start_seconds=t, end_seconds=t + seconds)
            for t in times
        ]

    return plan


def together(faults: Sequence[tuple[FaultName, dict[str, Any]]]) -> Plan:
    """Several faults at once."""

    def plan(begin: float, duration: float) -> list[FaultPlan]:
        return [
            FaultPlan(fault=f, params=p, start_seconds=begin, end_seconds=begin + duration)
            for f, p in faults
        ]

    return plan


def snow(begin: float, duration: float) -> list[FaultPlan]:
    """A roof that is covered for two thirds of the time, and free bit by bit in the last one."""
    covered = begin + duration * 2 / 3
    return [
        FaultPlan(
            fault="pv_shaded", params={"factor": 0.02}, start_seconds=begin, end_seconds=covered
        ),
        *ramp("pv_shaded", "factor", 0.02, 1.0, 8)(covered, duration / 3),
    ]


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


CHARGE = _codes("soc_stuck", "soc_contradicted", "energy_gap", "battery_soc")
CURRENTS = _codes("charge_refused", "discharge_refused", "energy_gap", "battery_soc")

HOURS_LONG: tuple[Case, ...] = (
    Case(
        "charge that stands still",
        "at 55 %",
        "soc_shown",
        {"value": 55},
        hours=14,
        paging=NO,
        # The BMS goes on counting, and refuses what the cells cannot take or give.
        tolerated=CURRENTS,
    ),
    Case(
        "charge that cells contradict",
        "80 % shown, 3 % held",
        "soc_shown",
        {"value": 80},
        hours=6,
        paging=MAY,
        plan=together([("soc_shown", {"value": 80}), ("low_soc", {"value": 3})]),
        codes=_codes("soc_contradicted"),
        tolerated=CHARGE | CURRENTS | {"device_alarm", "device_warning"},
    ),
    *(
        Case(
            f"BMS refuses to {direction}",
            "",
            "current_refused",
            {"direction": direction},
            hours=10,
            paging=MAY,
            tolerated=_codes("battery_soc", "pv_underperforming", "pv_low"),
        )
        for direction in ("charge", "discharge")
    ),
    Case("module offline", "1", "modules_offline", {"count": 1}, paging=NO),
    *(
        Case(
            "modules that block",
            f"1, no {direction}",
            "modules_blocking",
            {"direction": direction},
            paging=NO,
        )
        for direction in ("charge", "discharge")
    ),
    Case(
        "frequency leaves its band",
        "2 min in 30",
        "frequency",
        {"value": 49.3},
        hours=6,
        paging=NO,
        plan=again("frequency", {"value": 49.3}, 2 * MINUTE, 30 * MINUTE),
        codes=_codes("grid_excursions"),
        tolerated=_codes("grid_frequency", "grid_frequency_deviation", "grid_unsteady"),
    ),
    Case(
        "short outages",
        "4 of 3 min",
        "grid_lost",
        hours=6,
        paging=MAY,
        plan=again("grid_lost", {}, 3 * MINUTE, 1.5 * HOUR),
        codes=_codes("grid_outages"),
        tolerated=_codes("grid_lost", "device_alarm", "device_warning", "grid_unsteady"),
    ),
    Case("phases apart", "10 %", "unbalance", {"ratio": 0.10}, 14, NO, phases=3),
    Case(
        "warm for long",
        "42 °C for 10 h",
        "temperature",
        {"celsius": 42},
        hours=10,
        paging=NO,
        codes=_codes("battery_hot_long"),
    ),
    Case(
        "voltage sensor stuck",
        "231 V",
        "voltage",
        {"value": 231},
        hours=12,
        paging=NO,
        codes=_codes("sensor_stuck"),
    ),
    Case("controller restarts", "every 2 h", "restarts", {"every_seconds": 7200}, 14, NO),
)

HOURS_INNOCENT: tuple[Case, ...] = tuple(
    Case(
        name,
        strength,
        fault,
        params,
        hours,
        MAY,
        innocent=True,
        plan=plan,
        tolerated=_codes("grid_lost") if fault == "grid_lost" else frozenset(),
    )
    for name, strength, fault, params, hours, plan in (
        ("charge that rests", "held at 50 %", "low_soc", {"value": 50}, 12, None),
        ("two short outages", "3 min", "grid_lost", {}, 3, again("grid_lost", {}, 180, 5400)),
        ("warm for an hour", "42 °C", "temperature", {"celsius": 42}, 1, None),
        ("phases a little apart", "2 %", "unbalance", {"ratio": 0.02}, 14, None),
    )
)

LOW_PV = _codes("pv_low", "pv_underperforming")
PV = LOW_PV | {"pv_soiled", "pv_shifted"}


def _east(degrees: float) -> dict[str, Any]:
    def longitude(site: Site) -> float:
        return (site.longitude + degrees + 180.0) % 360.0 - 180.0

    return {"longitude": longitude}


WEEKS_LONG: tuple[Case, ...] = (
    *(
        Case(
            "SOH falls",
            f"{per_month:g} % a month",
            "soh",
            {"value": 92},
            hours=32 * 24,
            paging=NO,
            plan=ramp("soh", "value", 95, 95 - per_month * 32 / 30.44, 64),
            codes=_codes("soh_falling"),
        )
        for per_month in (0.7, 1.5, 3.0)
    ),
    *(
        Case(
            "soiling",
            f"{per_day:g} % a day",
            "pv_shaded",
            {"factor": 0.9},
            hours=30 * 24,
            paging=NO,
            plan=ramp("pv_shaded", "factor", 1.0, 1.0 - 0.30 * per_day, 60),
            codes=_codes("pv_soiled", "pv_low"),
            tolerated=PV,
        )
        for per_day in (0.4, 0.8, 1.5)
    ),
    *(
        Case(
            "wrong coordinates",
            f"{abs(degrees):g}° {'east' if degrees > 0 else 'west'}",
            "pv_shaded",
            {"factor": 1.0},
            # They stay wrong to the end.
            hours=35 * 24,
            paging=NO,
            codes=_codes("pv_shifted"),
            tolerated=_codes("pv_low", "pv_soiled"),
            fleet_file=_east(degrees),
        )
        for degrees in (22.5, -22.5, 60.0, 180.0)
    ),
    # Two days, since a day is judged, in which a battery seldom does more than one cycle.
    Case("counters count too little", "a third", "counter_factor", {"factor": 0.33}, 48, NO),
    Case(
        "snow on the roof",
        "2 days, and one to slide off",
        "pv_shaded",
        {"factor": 0.02},
        hours=72,
        paging=NO,
        plan=snow,
        by_day=True,
        codes=LOW_PV,
        after_hours=10 * 24,
    ),
    Case(
        "slower link",
        "2.4 s instead of 0.3 s",
        "slow",
        {"seconds": 0.6},
        hours=48,
        paging=NO,
        codes=_codes("scrapes_slow"),
        after_hours=6 * 24,
    ),
)

WEEKS_INNOCENT: tuple[Case, ...] = (
    Case(
        "SOH falls as it should",
        "0.2 % a month",
        "soh",
        {"value": 95},
        hours=32 * 24,
        paging=NO,
        innocent=True,
        plan=ramp("soh", "value", 95, 95 - 0.2 * 32 / 30.44, 64),
    ),
    Case(
        "coordinates of the town",
        "1° off",
        "pv_shaded",
        {"factor": 1.0},
        hours=20 * 24,
        paging=NO,
        innocent=True,
        fleet_file=_east(1.0),
    ),
    Case(
        "shade of a tree",
        "half, from 9 to 12",
        "pv_shaded",
        {"factor": 0.5},
        hours=20 * 24,
        paging=NO,
        innocent=True,
        plan=again("pv_shaded", {"factor": 0.5}, 3 * HOUR, 24 * HOUR),
        by_day=True,
        # It is low then; neither the clock nor dirt is to blame.
        tolerated=LOW_PV,
    ),
)

MONTH_HOURS = 30.44 * 24

YEAR_LONG: tuple[Case, ...] = (
    Case(
        "SOH falls in a year",
        "0.8 % a month",
        "soh",
        {"value": 92},
        hours=11 * MONTH_HOURS,
        paging=NO,
        plan=ramp("soh", "value", 98, 98 - 11 * 0.8, 600),
        codes=_codes("soh_falling"),
        tolerated=_codes("battery_soh"),
    ),
    Case(
        "soiling in a year",
        "1.2 % a day for a month",
        "pv_shaded",
        {"factor": 0.9},
        hours=MONTH_HOURS,
        paging=NO,
        plan=ramp("pv_shaded", "factor", 1.0, 0.64, 60),
        codes=_codes("pv_soiled", "pv_low"),
        tolerated=PV,
        after_hours=5 * MONTH_HOURS,
    ),
    Case(
        "wrong coordinates for a year",
        "30° east",
        "pv_shaded",
        {"factor": 1.0},
        hours=12 * MONTH_HOURS,
        paging=NO,
        codes=_codes("pv_shifted"),
        tolerated=_codes("pv_low", "pv_soiled"),
        fleet_file=_east(30.0),
    ),
    Case(
        "no PV in a year",
        "5 days",
        "pv_dead",
        {},
        hours=5 * 24,
        paging=NO,
        after_hours=3 * MONTH_HOURS,
        by_day=True,
    ),
    Case(
        "weak cell in a year",
        "200 mV for a week",
        "cell_spread",
        {"volts": 0.2},
        hours=7 * 24,
        paging=MAY,
        after_hours=7 * MONTH_HOURS,
    ),
    Case(
        "SOH falls as it should in a year",
        "0.2 % a month",
        "soh",
        {"value": 95},
        hours=11 * MONTH_HOURS,
        paging=NO,
        innocent=True,
        plan=ramp("soh", "value", 98, 98 - 11 * 0.2, 600),
    ),
)
