"""The four of owner and manufacturer together: losses, stress, evidence, vendors."""

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, table, text
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.boards.portfolio.figures import (
    ABOVE_ZERO,
    CAUSES,
    EVENT_URL,
    FIGURES_WIDTH,
    MONEY,
    ODD,
    PERCENT,
    board,
    by_band,
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
from grafana.kit.dashboard import page_variable
from grafana.kit.panels import Spec, colour, dense, note, stacked_bars
from grafana.kit.portfolio import IN_RANGE, PLANTS, daily, empty, rows, summed
from grafana.kit.queries import influx_table
from grafana.kit.tables import Column, absolute, computed, filled, ordered, organized, time_column
from scoring.money.losses import LossCause
from scoring.status import Status

USED = '100 * sum("cycles") / sum("cycle_budget")'
OVER = look.limits(look.FINE, (100, ODD)).build()
Z = look.limits(look.FINE, (-1e6, ODD), (-look.OUTLIER_Z, look.FINE)).build()
MET = [look.as_text({"1": "Met"}, look.FINE), look.as_text({"0": "Missed"}, ODD)]


def losses() -> Dashboard:
    """11: where the money went, from the best that could be earned down to what was paid."""
    made = board("losses")
    steps = [
        (
            CAUSES[cause][0],
            summed("amount", "loss", where=f"{PLANTS} AND \"cause\" = '{cause.value}'"),
            *(MONEY, 0, "losses", None),
        )
        for cause in LossCause
    ]
    made.with_panel(
        figures(
            "From the best to what was paid",
            "From top to bottom, in the order in which causes are charged: the most that could "
            "have been earned, what each cause took of it (below zero it gained), and what was "
            "paid. They add up exactly.",
            "losses",
            [
                ("Best", summed("best", "potential"), MONEY, 0, "losses", None),
                *steps,
                ("Paid", summed("paid", "potential"), MONEY, 0, "settlement", None),
            ],
            12,
        )
    )
    made.with_panel(_waterfall())
    made.with_panel(_cause_by_site())
    made.with_panel(
        by_day(
            "Losses by day",
            "What each cause took on each day; below zero it gained.",
            "losses",
            [(daily('sum("amount")', "loss", by=("cause",)), "$tag_cause")],
            size=(24, 8),
            stacked=True,
            overrides={
                cause.value: {"displayName": name} | colour(shade)
                for cause, (name, shade) in CAUSES.items()
            },
        )
    )
    return made.with_panel(
        of_rows(
            "Dearest events",
            "The twenty events of the time range that took most. A click on the device opens the "
            "readings of that event.",
            "event",
            [
                rows(
                    'top("lost", 20) AS "lost", "site", "device", "code", "category", "hours", '
                    '"end" * 1000 AS "end"',
                    "event",
                    when=IN_RANGE,
                )
            ],
            [
                time_column(),
                site("faults"),
                Column("device", "Device", 140, url=EVENT_URL),
                Column("code", "Code"),
                Column("category", "Category", 130),
                time_column("end", "Until"),
                Column("hours", "Hours", 80, decimals=2),
                money("lost", "Lost"),
            ],
            size=(24, 9),
            order="lost",
        )
    )


def _waterfall() -> barchart.Panel:
    steps = {cause.value: name for cause, (name, _) in CAUSES.items()}
    spec = Spec(
        title="Where it went",
        description="The same as a drawing: each cause takes from what the one before it left, and "
        "one that gained lifts it.",
        size=(24 - FIGURES_WIDTH, 12),
        unit=MONEY,
        empty=empty("losses"),
        decimals=0,
        low=0,
        colour=look.fixed(ODD),
        targets=[],
        transformations=[
            ordered("place"),
            computed("before", "left", "+", "amount"),
            absolute("amount", "size"),
            computed("edges", "left", "+", "before"),
            computed("twice", "edges", "-", "size"),
            computed("Below", "twice", "/", "2"),
            computed("up", "size", "+", "amount"),
            computed("Taken", "up", "/", "2"),
            computed("down", "size", "-", "amount"),
            computed("Gained", "down", "/", "2"),
            organized(
                {"step": "Step", "Below": "Below", "total": "Whole", "Taken": "Taken"}
                | {"Gained": "Gained"},
                [
                    *("Time", "place", "amount", "left", "before", "size", "edges", "twice"),
                    *("up", "down"),
                ],
            ),
        ],
        overrides={
            "Whole": colour(look.ACCENT),
            "Taken": colour(ODD),
            "Gained": colour(look.STATUS_COLOURS[Status.HEALTHY]),
        },
    )
    fields = ", ".join(
        f'{how}("{name}") AS "{name}"'
        for name, how in (("place", "last"), ("total", "sum"), ("amount", "sum"), ("left", "sum"))
    )
    return stacked_bars(
        spec,
        [influx_table(rows(fields, "waterfall", by=("step",)))],
        over="Step",
        hidden="Below",
        names={"mappings": [look.as_text({"best": "Best", **steps, "paid": "Paid"})]},
    )


def _cause_by_site() -> table.Panel:
    def of(cause: LossCause) -> str:
        chosen = f"{PLANTS} AND \"cause\" = '{cause.value}'"
        return rows(f'sum("amount") AS "{cause.value}"', "loss", where=chosen, by=("site",))

    return of_rows(
        "Causes by plant",
        "What each cause took from each plant over the time range.",
        "losses",
        [of(cause) for cause in LossCause],
        [
            site(),
            *(money(cause.value, CAUSES[cause][0], 130) for cause in LossCause),
        ],
        size=(24, 6),
        join="site",
    )


def stress() -> Dashboard:
    """12: what cycles earn, and what they take out of the battery."""
    made = board("stress")
    made.with_panel(
        figures(
            "Duty",
            "Over the time range and the chosen plants: equivalent full cycles, what warranties "
            "allow, the share that is used, and what these cycles cost where contracts price one.",
            "cycles",
            [
                ("Cycles", summed("cycles", "plant_day"), look.NUMBER, 1, "stress", None),
                ("Allowed", summed("cycle_budget", "plant_day"), look.NUMBER, 1, "stress", None),
                ("Used", rows(USED, "plant_day"), PERCENT, 0, "lifecycle", OVER),
                ("Wear", summed("wear", "plant_day"), MONEY, 0, "lifecycle", None),
                ("Margin", summed("margin", "plant_day"), MONEY, 0, "losses", None),
            ],
            8,
        )
    )
    made.with_panel(
        of_rows(
            "What a cycle earns, by month",
            "Energy revenue for each equivalent full cycle, beside cycles and their budget.",
            "cycles",
            [
                rows(
                    '"site", "energy_margin_per_cycle", "cycles", "cycle_budget", '
                    '"round_trip_percent", "revenue_per_mw"',
                    "plant_month",
                )
            ],
            [
                month(),
                site("lifecycle"),
                money("energy_margin_per_cycle", "A cycle earns", 110),
                Column("cycles", "Cycles", 80, decimals=1),
                Column("cycle_budget", "Allowed", 80, decimals=1),
                Column("round_trip_percent", "Round trip", 90, PERCENT, 2),
                money("revenue_per_mw", "Revenue a MW"),
            ],
            size=(12, 8),
        )
    )
    made.with_panel(
        by_band(
            "Cycles by depth",
            "Cycles in each band of depth, counted by rainflow and added up over the chosen "
            "plants; deep ones wear most.",
            *("cycles", "depth", look.NUMBER, (12 - FIGURES_WIDTH, 8)),
        )
    )
    made.with_panel(
        by_day(
            "What a cycle earns, by day",
            "Energy revenue for each equivalent full cycle of that day.",
            "cycles",
            [(daily('last("margin_per_cycle")', "plant_day", by=("site",)), "$tag_site")],
            line=True,
        )
    )
    made.with_panel(
        by_day(
            "Cycles by day",
            "Equivalent full cycles of each plant.",
            "cycles",
            [(daily('sum("cycles")', "plant_day", by=("site",)), "$tag_site")],
            unit=look.NUMBER,
            decimals=2,
        )
    )
    made.with_panel(
        by_day(
            "Hottest cell by day",
            "The highest temperature of each day.",
            "telemetry",
            [(daily('max("temperature_max_c")', "plant_day", by=("site",)), "$tag_site")],
            unit="celsius",
            decimals=1,
            line=True,
        )
    )
    return made.with_panel(
        by_day(
            "Highest and lowest charge by day",
            "The range of charge that each day went through.",
            "telemetry",
            [
                (daily('max("soc_highest_percent")', "plant_day", by=("site",)), "$tag_site high"),
                (daily('min("soc_lowest_percent")', "plant_day", by=("site",)), "$tag_site low"),
            ],
            unit=PERCENT,
            decimals=0,
            line=True,
            low=0,
            high=100,
        )
    )


def evidence() -> Dashboard:
    """13: what was guaranteed, what was reached, and what that rests on."""
    made = board("evidence")
    made.with_variable(page_variable())
    made.with_panel(_document())
    made.with_panel(
        of_rows(
            "Terms, month by month",
            "What each guarantee asks for and what was reached after exclusions. Without enough "
            "observed time there is no verdict: a dash, and nothing owed.",
            "guarantees",
            [
                rows(
                    '"site", "term", "target_percent", "actual_percent", "coverage_percent", '
                    '"least_coverage_percent", "met", "shortfall", "down_hours", '
                    '"excluded_hours", "owed_before_cap", "cap", "owed"',
                    "sla",
                )
            ],
            [
                month(),
                site("faults"),
                Column("term", "Term", 110),
                Column("target_percent", "Target", 80, PERCENT, 2),
                Column("actual_percent", "Reached", 84, PERCENT, 2),
                Column("coverage_percent", "Observed", 84, PERCENT, 1),
                Column("least_coverage_percent", "Needed", 76, PERCENT, 0),
                Column(
                    "met",
                    "Verdict",
                    84,
                    mappings=MET,
                    url=to("faults", "Site"),
                    more=filled(look.limits(look.FINE)),
                ),
                Column("shortfall", "Short by", 84, "suffix: pt", 2),
                Column("down_hours", "Down", 72, "suffix: h", 1),
                Column("excluded_hours", "Excluded", 82, "suffix: h", 1),
                money("owed_before_cap", "By tiers", 84),
                money("cap", "Cap", 84),
                marked("owed", "Owed", ABOVE_ZERO, to("partners", "Site"), unit=MONEY, decimals=0),
            ],
            size=(24, 8),
        )
    )
    made.with_panel(
        of_rows(
            "Hours down, with what is excluded",
            "All down time by plant and category; the contract says which categories are taken "
            "out.",
            "down time",
            [rows('sum("hours") AS "hours"', "down", by=("site", "category"))],
            [
                site("faults"),
                Column("category", "Category"),
                Column("hours", "Hours", 90, decimals=2),
            ],
            size=(8, 8),
            order="hours",
        )
    )
    made.with_panel(
        of_rows(
            "Events counted",
            "How many events of each category began in the time range, and how long they took.",
            "event",
            [
                rows(
                    'sum("one") AS "events", sum("hours") AS "hours"',
                    "event",
                    when=IN_RANGE,
                    by=("site", "category"),
                )
            ],
            [
                site("faults"),
                Column("category", "Category"),
                Column("events", "Events", 80, decimals=0),
                Column("hours", "Hours", 80, decimals=1),
            ],
            size=(8, 8),
            order="events",
        )
    )
    return made.with_panel(
        of_rows(
            "Minutes observed",
            "Minutes that should have a measured power, and those that have.",
            "telemetry",
            [
                rows(
                    'sum("expected") AS "expected", sum("received") AS "received"',
                    "quality",
                    by=("site",),
                )
            ],
            [
                site("controller"),
                Column("expected", "Expected", 100, "locale", 0),
                Column("received", "Received", 100, "locale", 0),
            ],
            size=(8, 8),
        )
    )


def _document() -> text.Panel:
    api = "${page}/api/v1/portfolio/sla?since=${__from:date:iso}&until=${__to:date:iso}"
    return note(
        "",
        "The signed document holds terms, exclusions, counts, figures and hashes of the rows; "
        "fleetscope evidence verify FILE checks it.",
        (24, 2),
        dense(
            "The signed document: <b>fleetscope evidence --period ${__from:date:YYYY-MM} "
            f'--site ID</b>. Formulas and sources: <a href="{api}">API</a>',
            "13px",
        ),
    )


def vendors() -> Dashboard:
    """14: which vendor's plants do better, and on how many plants that rests."""
    made = board("vendors", currency=False)
    made.with_panel(
        of_rows(
            "Vendors by figure",
            "Each vendor's median beside that of all plants, month by month. Score is a robust z, "
            "better above zero; with fewer than three plants there is none, and n says on how "
            "many plants a figure rests.",
            "benchmark",
            [
                rows(
                    '"vendor", "label", "unit", "value", "fleet", "score", "sites", "of_sites"',
                    "benchmark",
                    where="",
                )
            ],
            [
                month(),
                Column("vendor", "Vendor", 150),
                Column("label", "Figure"),
                Column("value", "Vendor's median", 120, decimals=2),
                Column("fleet", "All plants", 110, decimals=2),
                Column("unit", "Unit", 110),
                marked("score", "Score", Z, to("faults"), unit=look.NUMBER, decimals=2),
                Column("sites", "n", 60, decimals=0),
                Column("of_sites", "of", 60, decimals=0),
            ],
            size=(24, 12),
            order="score",
            descending=False,
        )
    )
    return made.with_panel(
        of_rows(
            "Plants by month",
            "The figures of each plant that medians are taken of.",
            "month",
            [
                rows(
                    '"site", "availability_percent", "coverage_percent", "mtbf_hours", '
                    '"restoration_hours", "round_trip_percent", "lost", "revenue_per_mw"',
                    "plant_month",
                )
            ],
            [
                month(),
                site("faults"),
                Column("availability_percent", "Available", 96, PERCENT, 2),
                Column("coverage_percent", "Observed", 90, PERCENT, 1),
                Column("mtbf_hours", "Between failures", 110, "suffix: h", 0),
                Column("restoration_hours", "To service", 96, "suffix: h", 1),
                Column("round_trip_percent", "Round trip", 96, PERCENT, 2),
                money("lost", "Lost"),
                money("revenue_per_mw", "Revenue a MW", 118),
            ],
            size=(24, 8),
        )
    )
