"""Of the owner's five: lifecycle and pipeline."""

from __future__ import annotations

from grafana_foundation_sdk.builders import trend
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.boards.portfolio.figures import (
    DATE,
    HOURS,
    ODD,
    PERCENT,
    board,
    by_band,
    by_day,
    cumulative,
    marked,
    of_rows,
    site,
    to,
)
from grafana.kit import look
from grafana.kit.panels import Spec, bars, colour, curve, without
from grafana.kit.portfolio import (
    EVERYTHING,
    IN_RANGE,
    UNTIL,
    empty,
    newest,
    rows,
)
from grafana.kit.queries import influx
from grafana.kit.tables import Column, joined, ordered, transform

SLIPPED = look.limits(look.FINE, (1, ODD)).build()


def lifecycle() -> Dashboard:
    """4: how long the batteries last."""
    made = board("lifecycle", currency=False)
    made.with_panel(
        of_rows(
            "When to augment",
            "Each plant by the end of the newest month that is published, the first to be "
            "augmented first. Early and late are bounds that one of twenty would pass; a dash "
            "is a trend that allows none. Of budget is the month's cycles as a share of the "
            "warranty's.",
            "state of health",
            [
                newest(
                    (
                        *("soh_percent", "fade_percent_a_year", "end_of_life_soh_percent"),
                        *("years_left", "cycles_counted", "cycles_used_percent"),
                    ),
                    "lifecycle",
                ),
                rows(
                    'last("augmentation") * 1000 AS "expected", '
                    'last("augmentation_early") * 1000 AS "early", '
                    'last("augmentation_late") * 1000 AS "late"',
                    "lifecycle",
                    when=UNTIL,
                    by=("site",),
                ),
            ],
            [
                site("stress"),
                Column("soh_percent", "Health", 80, PERCENT, 2),
                Column("fade_percent_a_year", "Fade a year", 96, PERCENT, 2),
                Column("end_of_life_soh_percent", "Augment at", 92, PERCENT, 0),
                Column("years_left", "Years left", 84, decimals=1),
                Column("early", "Early", 110, DATE),
                Column("expected", "Expected", 110, DATE),
                Column("late", "Late", 110, DATE),
                Column("cycles_counted", "Cycles", 80, decimals=0),
                Column("cycles_used_percent", "Of budget", 92, PERCENT, 0),
            ],
            size=(24, 7),
            join="site",
            order="years_left",
            descending=False,
        )
    )
    made.with_panel(_health())
    made.with_panel(
        by_day(
            "Cycles against the warranty's budget",
            "Equivalent full cycles of the chosen plants, and what their warranties allow, both "
            "added up since the time range began.",
            "cycles",
            [
                (cumulative("cycles", "plant_day"), "Used"),
                (cumulative("cycle_budget", "plant_day"), "Allowed"),
            ],
            unit=look.NUMBER,
            decimals=1,
            line=True,
            overrides={
                "Used": colour(look.ACCENT),
                "Allowed": colour(look.SECOND) | look.DASHED,
            },
        )
    )
    return made.with_panel(
        by_band(
            "Hours by temperature",
            "Hours of the hottest cell in each band of 5 °C, added up over the chosen plants.",
            *("hours", "temperature", HOURS, (12, 8)),
        )
    )


AHEAD = "time > ${__to}ms - 730d AND time < ${__to}ms + 4000d"


def _health() -> trend.Panel:
    """State of health as it was and as it is expected: the time range ends before the forecast, so
    time is the number that the lines are drawn over."""
    measured = rows('last("soh_percent")', "plant_day", when=AHEAD, by=("site",), every="1d")
    of_plant = {"displayName": "${__field.labels.site}"} | without("legend")
    spec = Spec(
        title="State of health, and what is expected",
        description="Measured over up to two years before the end of the time range (medians of "
        "days), and expected by the trend until augmentation, dashed; nineteen of twenty should "
        "keep to the band that the thin lines bound. Each plant has one colour.",
        size=(24, 10),
        unit="suffix: %",
        empty=empty("state of health"),
        decimals=1,
        colour=look.by_name(),
        targets=[
            influx(measured, "$tag_site", "A"),
            *(
                influx(
                    rows(f'"{name}_percent"', "soh_forecast", when=AHEAD, by=("site",)),
                    f"$tag_site {word}",
                    ref,
                )
                for ref, name, word in (
                    ("B", "soh", "expected"),
                    ("C", "low", "low"),
                    ("D", "high", "high"),
                )
            ),
        ],
        transformations=[
            joined("Time"),
            transform(
                "convertFieldType",
                fields={},
                conversions=[{"targetField": "Time", "destinationType": "number"}],
            ),
            ordered("Time"),
        ],
        overrides={
            "Time": {"unit": "time:YYYY-MM"},
            "/ expected$/": look.DASHED | {"custom.lineWidth": 2} | of_plant,
            "/ (low|high)$/": {"custom.lineWidth": 1} | of_plant,
        },
    )
    return curve(spec, over="Time", joined_up=True)


def pipeline() -> Dashboard:
    """5: what is being built, and how late it is."""
    made = board("pipeline", currency=False)
    made.with_panel(
        of_rows(
            "Projects",
            "The newest version of each project, the one that slips most first.",
            "pipeline",
            [
                rows(
                    'last("region") AS "region", last("stage") AS "stage", last("mw") AS "mw", '
                    'last("mwh") AS "mwh", last("slip_days") AS "slip_days", '
                    'last("planned") * 1000 AS "planned", last("expected") * 1000 AS "expected"',
                    "project",
                    where="",
                    when=EVERYTHING,
                    by=("project",),
                ),
            ],
            [
                Column("project", "Project"),
                Column("region", "Region", 130),
                Column("stage", "Stage", 140),
                Column("mw", "MW", 76, decimals=0),
                Column("mwh", "MWh", 76, decimals=0),
                Column("planned", "Planned", 110, DATE),
                Column("expected", "Expected", 110, DATE),
                marked("slip_days", "Slip", SLIPPED, to("pipeline"), unit="suffix: d", decimals=0),
            ],
            order="slip_days",
        )
    )
    spec = Spec(
        title="Slip by project",
        description="Days between the date that was planned and the one that is expected now.",
        size=(12, 8),
        unit="suffix: d",
        # A bar gauge has little room for a text; the panels around it say what to do.
        empty="No project is imported",
        low=0,
        decimals=0,
        colour=look.fixed(look.ACCENT),
        targets=[
            influx(
                rows(
                    'last("slip_days")',
                    "project",
                    where="",
                    when=EVERYTHING,
                    by=("project",),
                ),
                "$tag_project",
            )
        ],
    )
    made.with_panel(bars(spec))
    return made.with_panel(
        by_day(
            "How dates slipped",
            "Slip of each project at each import of the pipeline, within the time range.",
            "import of the pipeline",
            [
                (
                    rows('"slip_days"', "project", where="", when=IN_RANGE, by=("project",)),
                    "$tag_project",
                )
            ],
            unit="suffix: d",
            line=True,
        )
    )
