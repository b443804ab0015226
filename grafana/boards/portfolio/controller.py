"""Of the controller's five: operations, controller, faults."""

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.boards.portfolio.figures import (
    ABOVE_ZERO,
    EVENT_URL,
    FIGURES_WIDTH,
    HOURS,
    MONEY,
    ODD,
    PERCENT,
    board,
    by_day,
    figures,
    marked,
    money,
    month,
    of_rows,
    site,
    to,
)
from grafana.kit import look
from grafana.kit.panels import Spec, bars_in_order, colour, lines, timeline
from grafana.kit.portfolio import IN_RANGE, PLANTS, daily, empty, rows, summed
from grafana.kit.queries import influx, influx_table
from grafana.kit.tables import Column, ordered, organized, running, time_column, transform

LEAST = "1m"
INCOMPLETE = look.limits(look.FINE, (0, ODD), (99, look.FINE)).build()


def _readings(how: str, field: str, measurement: str = "telemetry") -> str:
    """Over the time range, each plant by itself; a gap stays a gap."""
    asked = rows(f'{how}("{field}")', measurement, when=IN_RANGE, by=("site",), every="$__interval")
    return asked.replace("fill(none)", "fill(null)")


def _course(
    title: str, description: str, field: str, unit: str, decimals: int, *, how: str = "mean"
) -> timeseries.Panel:
    spec = Spec(
        title=title,
        description=description,
        size=(8, 7),
        unit=unit,
        empty=empty("telemetry"),
        decimals=decimals,
        interval=LEAST,
        low=0 if unit == PERCENT else None,
        high=100 if unit == PERCENT else None,
        colour=look.by_series(),
        targets=[influx(_readings(how, field), "$tag_site")],
    )
    return lines(spec)


def operations() -> Dashboard:
    """6: what the plants do, against what was ordered."""
    made = board("operations", since="now-24h", currency=False)
    state = [look.as_text({"1": "On"}), look.as_text({"0": "Off"}, ODD)]
    made.with_panel(
        of_rows(
            "Plants at the end of the time range",
            "The newest readings within the time range. Power is positive on discharge.",
            "telemetry",
            [
                rows(
                    ", ".join(
                        f'last("{name}") AS "{name}"'
                        for name in (
                            *("power_kw", "reactive_kvar", "voltage_pu", "frequency_hz"),
                            *("soc_percent", "temperature_max_c", "controller_status"),
                            *("cooling_status", "latency_ms"),
                        )
                    ),
                    "telemetry",
                    when=IN_RANGE,
                    by=("site",),
                ),
                rows('last("allowed_kw") AS "allowed"', "dispatch", when=IN_RANGE, by=("site",)),
            ],
            [
                site(),
                Column("power_kw", "Power", 96, "kwatt", 1),
                Column("allowed", "Set-point", 96, "kwatt", 1),
                Column("reactive_kvar", "Reactive", 100, "suffix: kvar", 0),
                Column("voltage_pu", "Voltage", 90, "suffix: pu", 3),
                Column("frequency_hz", "Frequency", 90, "suffix: Hz", 2),
                Column("soc_percent", "Charge", 80, PERCENT, 1),
                Column("temperature_max_c", "Hottest cell", 100, "celsius", 1),
                Column("controller_status", "Controller", 90, mappings=state),
                Column("cooling_status", "Cooling", 80, mappings=state),
                Column("latency_ms", "Latency", 84, "ms", 0, url=to("controller", "Site")),
            ],
            size=(24, 6),
            join="site",
        )
    )
    spec = Spec(
        title="Power against set-point",
        description="Measured power of each plant, and what limits left of its order (dashed), "
        "positive on discharge.",
        size=(24, 9),
        unit="kwatt",
        empty=empty("telemetry"),
        interval=LEAST,
        colour=look.by_series(),
        targets=[
            influx(_readings("mean", "power_kw"), "$tag_site", "A"),
            influx(
                # Orders are rows of their own: without one the set-point before holds.
                rows(
                    'last("allowed_kw")',
                    "dispatch",
                    when=IN_RANGE,
                    by=("site",),
                    every="$__interval",
                ),
                "$tag_site set-point",
                "B",
            ),
        ],
        overrides={"/set-point$/": look.DASHED | {"custom.lineInterpolation": "stepAfter"}},
    )
    made.with_panel(lines(spec))
    made.with_panel(
        _course(
            "Reactive power",
            "Of each plant, as its controller measures it.",
            "reactive_kvar",
            "suffix: kvar",
            0,
        )
    )
    made.with_panel(
        _course("Voltage", "Of the nominal voltage, by plant.", "voltage_pu", "suffix: pu", 3)
    )
    made.with_panel(
        _course(
            "Frequency", "Of the grid, as each plant measures it.", "frequency_hz", "suffix: Hz", 3
        )
    )
    made.with_panel(
        _course("Charge", "State of charge of each plant.", "soc_percent", PERCENT, 1, how="last")
    )
    spec = Spec(
        title="Controller and cooling",
        description="On or off as each plant reports it, the worst of each interval; blank where "
        "no reading came.",
        size=(16, 7),
        unit=look.NUMBER,
        empty=empty("telemetry"),
        interval="5m",
        colour=look.fixed(look.SECOND),
        mappings=state,
        targets=[
            influx(_readings("min", "controller_status"), "$tag_site controller", "A"),
            influx(_readings("min", "cooling_status"), "$tag_site cooling", "B"),
        ],
    )
    made.with_panel(timeline(spec))
    return made.with_panel(_events("Events", "", "event", (24, 7)))


def _pareto() -> barchart.Panel:
    spec = Spec(
        title="Hours by code, added up",
        description="The ten codes that took most hours at the chosen plants, and what these hours "
        "add up to from the top down: where the second bars level out, the rest matters little.",
        size=(24 - FIGURES_WIDTH, 9),
        unit=HOURS,
        empty=empty("event"),
        decimals=1,
        low=0,
        colour=look.fixed(look.ACCENT),
        targets=[],
        overrides={"Added up": colour(look.SECOND)},
    )
    return bars_in_order(
        spec,
        [influx_table(rows('sum("hours") AS "hours"', "event", when=IN_RANGE, by=("code",)))],
        [
            ordered("hours", descending=True),
            transform("limit", limitField=10),
            running("hours", "Added up"),
            organized({"code": "code", "hours": "Hours", "Added up": "Added up"}, ["Time"]),
        ],
        over="code",
        longest=24,
        lying=True,
    )


def _events(title: str, where: str, what: str, size: tuple[int, int]) -> table.Panel:
    chosen = f"{PLANTS} AND {where}" if where else PLANTS
    return of_rows(
        title,
        "Events that began in the time range, the newest first. A click on the device opens the "
        "readings of that event.",
        what,
        [
            rows(
                '"site", "device", "code", "category", "severity", "end" * 1000 AS "end", "hours", '
                '"lost", "restoration_hours", "repair_hours", "repeat", "ticket"',
                "event",
                where=chosen,
                when=IN_RANGE,
                more="ORDER BY time DESC LIMIT 500",
            )
        ],
        [
            time_column(),
            site("faults"),
            Column("device", "Device", 120, url=EVENT_URL),
            Column("code", "Code", 140),
            Column("category", "Category", 116),
            Column("severity", "Severity", 80),
            time_column("end", "Until"),
            Column("hours", "Hours", 70, decimals=2),
            money("lost", "Lost", 90),
            Column("restoration_hours", "To service", 84, HOURS, 1),
            Column("repair_hours", "Repair", 76, HOURS, 1),
            Column("repeat", "Times in 30 d", 84, decimals=0),
            Column("ticket", "Ticket", 80),
        ],
        size=size,
    )


_MINUTES = "suffix: min"
_COURSES = (
    ("Median latency by day", "Half of them are slower.", "latency_p50_ms", "ms", "mean", True),
    (
        "95th percentile of latency by day",
        "One reading of twenty is slower.",
        "latency_p95_ms",
        "ms",
        "max",
        True,
    ),
    ("Messages lost by day", "Mean share of each day.", "drop_ratio", look.RATIO, "mean", True),
    (
        "Minutes without readings by day",
        "The length of all gaps.",
        "gap_minutes",
        _MINUTES,
        "sum",
        False,
    ),
)
"""Title, description, field, unit, how sites are put together, and whether it is a line."""


def controller() -> Dashboard:
    """7: whether the plants can be reached."""
    made = board("controller", currency=False)
    made.with_panel(
        figures(
            "Reach",
            "Over the time range and the chosen plants: readings that came of those that should, "
            "stretches without any, their length, and minutes that controllers were off.",
            "telemetry",
            [
                (
                    "Complete",
                    rows('100 * sum("received") / sum("expected")', "quality"),
                    *(PERCENT, 2, "controller", INCOMPLETE),
                ),
                ("Gaps", summed("gaps", "plant_day"), look.NUMBER, 0, "faults", None),
                ("In gaps", summed("gap_minutes", "plant_day"), "suffix: min", 0, "faults", None),
                (
                    "Controller off",
                    summed("controller_down_minutes", "plant_day"),
                    *("suffix: min", 0, "faults", ABOVE_ZERO),
                ),
                (
                    "Cooling off",
                    summed("cooling_down_minutes", "plant_day"),
                    *("suffix: min", 0, "faults", ABOVE_ZERO),
                ),
            ],
            8,
        )
    )
    made.with_panel(
        of_rows(
            "Plants",
            "Mean of the daily medians of latency, the worst day's 95th percentile, messages lost, "
            "gaps, and how complete readings are, the least complete first.",
            "telemetry",
            [
                rows(
                    'mean("latency_p50_ms") AS "p50", max("latency_p95_ms") AS "p95", '
                    'mean("drop_ratio") AS "drop", sum("gaps") AS "gaps", '
                    'sum("gap_minutes") AS "minutes"',
                    "plant_day",
                    by=("site",),
                ),
                rows('100 * sum("received") / sum("expected") AS "whole"', "quality", by=("site",)),
            ],
            [
                site("operations"),
                Column("p50", "Median latency", 110, "ms", 0),
                Column("p95", "Worst p95", 100, "ms", 0),
                Column("drop", "Messages lost", 110, look.RATIO, 2),
                Column("gaps", "Gaps", 76, decimals=0),
                Column("minutes", "In gaps", 90, "suffix: min", 0),
                marked(
                    "whole", "Complete", INCOMPLETE, to("faults", "Site"), unit=PERCENT, decimals=2
                ),
            ],
            size=(24 - FIGURES_WIDTH, 8),
            join="site",
            order="whole",
            descending=False,
        )
    )
    for title, description, field, unit, how, is_line in _COURSES:
        made.with_panel(
            by_day(
                title,
                description,
                "telemetry",
                [(daily(f'{how}("{field}")', "plant_day", by=("site",)), "$tag_site")],
                size=(12, 7),
                unit=unit,
                decimals=2 if unit == look.RATIO else 0,
                line=is_line,
            )
        )
    return made.with_panel(
        _events(
            "Losses of communication",
            "\"category\" = 'communication'",
            "loss of communication",
            (24, 8),
        )
    )


def faults() -> Dashboard:
    """8: what fails, how often, and how long until it is back."""
    made = board("faults")
    forced = f"{PLANTS} AND \"category\" = 'forced'"
    made.with_panel(
        figures(
            "Failures",
            "Events that began in the time range: all, forced outages, their mean time to service "
            "and of the repair alone, hours down whatever the cause, and what they took.",
            "event",
            [
                (
                    "Events",
                    rows('sum("one")', "event", when=IN_RANGE),
                    look.NUMBER,
                    0,
                    "faults",
                    None,
                ),
                (
                    "Forced",
                    rows('sum("one")', "event", where=forced, when=IN_RANGE),
                    *(look.NUMBER, 0, "faults", None),
                ),
                (
                    "To service",
                    rows('mean("restoration_hours")', "event", where=forced, when=IN_RANGE),
                    *(HOURS, 1, "faults", None),
                ),
                (
                    "Repair",
                    rows('mean("repair_hours")', "event", where=forced, when=IN_RANGE),
                    *(HOURS, 1, "faults", None),
                ),
                ("Down", summed("hours", "down"), HOURS, 1, "evidence", None),
                ("Lost", rows('sum("lost")', "event", when=IN_RANGE), MONEY, 0, "losses", None),
            ],
            9,
        )
    )
    made.with_panel(_pareto())
    made.with_panel(
        of_rows(
            "What takes most",
            "Codes by the hours that they took, with how often they came and what they cost: the "
            "first few are most of it.",
            "event",
            [
                rows(
                    'sum("one") AS "events", sum("hours") AS "hours", sum("lost") AS "lost", '
                    'max("repeat") AS "repeat"',
                    "event",
                    when=IN_RANGE,
                    by=("code", "device", "site"),
                )
            ],
            [
                Column("code", "Code", more={"custom.minWidth": 140}),
                Column("device", "Device", 120),
                site("faults"),
                Column("events", "Events", 72, decimals=0),
                Column("repeat", "Most in 30 d", 90, decimals=0),
                Column("hours", "Hours", 80, decimals=1),
                money("lost", "Lost", 90),
            ],
            size=(14, 9),
            order="hours",
        )
    )
    made.with_panel(
        of_rows(
            "Reliability by month",
            "Operating hours for each failure, from failure to service, and the repair alone. The "
            "difference of the last two is detection and waiting.",
            "month with events",
            [
                rows(
                    '"site", "failures", "mtbf_hours", "restoration_hours", "repair_hours"',
                    "plant_month",
                )
            ],
            [
                month(),
                site("faults"),
                Column("failures", "Failures", 76, decimals=0),
                Column("mtbf_hours", "Between", 82, HOURS, 0),
                Column("restoration_hours", "To service", 84, HOURS, 1),
                Column("repair_hours", "Repair", 74, HOURS, 1),
            ],
            size=(10, 9),
        )
    )
    made.with_panel(
        by_day(
            "Hours down by category",
            "Each moment counts once, under the first category that holds.",
            "down time",
            [(daily('sum("hours")', "down", by=("category",)), "$tag_category")],
            size=(24, 7),
            unit=HOURS,
            decimals=1,
            low=0,
            stacked=True,
        )
    )
    return made.with_panel(_events("Timeline", "", "event", (24, 10)))
