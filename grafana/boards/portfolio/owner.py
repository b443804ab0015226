"""Of the owner's five: cockpit, partners, settlement."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, geomap, stat, table
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import GridPos

from grafana.boards.portfolio.figures import (
    ABOVE_ZERO,
    BELOW_ZERO,
    FIGURES_WIDTH,
    IN_MONTH,
    MONEY,
    MONTH,
    ODD,
    PERCENT,
    board,
    by_day,
    cumulative,
    figures,
    marked,
    money,
    month,
    of_rows,
    site,
    to,
)
from grafana.kit import look
from grafana.kit.header import HEIGHT
from grafana.kit.panels import Spec, colour, stacked_bars, tiles, world_map
from grafana.kit.portfolio import (
    IN_RANGE,
    PLANTS,
    UNTIL,
    daily,
    empty,
    newest,
    rows,
    summed,
)
from grafana.kit.queries import influx, influx_table
from grafana.kit.tables import Column, joined, organized, time_column
from scoring.status import Status

UP = '100 * sum("up_hours") / (sum("up_hours") + sum("down_hours"))'
ROUGHLY = look.limits(look.FINE, (0, ODD), (97, look.FINE)).build()
MISSED = look.limits(look.FINE, (1, ODD)).build()


def cockpit() -> Dashboard:
    """1: what was earned against the budget, and where it was lost."""
    made = board("cockpit")
    made.with_panel(
        figures(
            "Money and duty",
            "Over the time range and the chosen plants: revenue (the settlement run in force, else "
            "our own figure), budget, their difference, what was lost against the best that could "
            "be earned, what guarantees owe, and availability of observed time. Click for where "
            "each comes from.",
            "revenue",
            [
                ("Revenue", summed("amount", "revenue"), MONEY, 0, "settlement", None),
                ("Budget", summed("budget", "revenue"), MONEY, 0, "settlement", None),
                (
                    "Against budget",
                    rows('sum("amount") - sum("budget")', "revenue"),
                    *(MONEY, 0, "losses", BELOW_ZERO),
                ),
                ("Lost", summed("lost", "potential"), MONEY, 0, "losses", None),
                ("Owed", summed("owed", "sla"), MONEY, 0, "evidence", ABOVE_ZERO),
                ("Available", rows(UP, "availability"), PERCENT, 2, "faults", ROUGHLY),
            ],
            9,
        )
    )
    made.with_panel(
        of_rows(
            "Plants",
            "Each plant over the time range, the one furthest below its budget first. Observed is "
            "the share of time that was seen at all: what nobody saw is not availability.",
            "revenue",
            [
                rows(
                    'sum("amount") AS "amount", sum("budget") AS "budget", '
                    'sum("amount") - sum("budget") AS "off"',
                    "revenue",
                    by=("site",),
                ),
                rows('sum("lost") AS "lost"', "potential", by=("site",)),
                rows(
                    f'{UP} AS "up", mean("coverage_percent") AS "seen"',
                    "availability",
                    by=("site",),
                ),
                rows('sum("owed") AS "owed"', "sla", by=("site",)),
            ],
            [
                site(),
                money("amount", "Revenue"),
                money("budget", "Budget"),
                marked(
                    "off", "Off budget", BELOW_ZERO, to("losses", "Site"), unit=MONEY, decimals=0
                ),
                money("lost", "Lost", url=to("losses", "Site")),
                marked("up", "Available", ROUGHLY, to("faults", "Site"), unit=PERCENT, decimals=2),
                Column("seen", "Observed", 92, PERCENT, 1, url=to("controller", "Site")),
                marked("owed", "Owed", ABOVE_ZERO, to("evidence", "Site"), unit=MONEY, decimals=0),
            ],
            size=(24 - FIGURES_WIDTH, 9),
            join="site",
            order="off",
            descending=False,
        )
    )
    made.with_panel(_worst_losses())
    made.with_panel(
        by_day(
            "Revenue against budget",
            "Both added up since the time range began.",
            "revenue",
            [
                (cumulative("amount", "revenue"), "Revenue"),
                (cumulative("budget", "revenue"), "Budget"),
            ],
            size=(6, 9),
            line=True,
            overrides={
                "Revenue": colour(look.ACCENT),
                "Budget": colour(look.SECOND) | look.DASHED,
            },
        )
    )
    made.with_panel(
        by_day(
            "Revenue by service",
            "What each service earned on each day.",
            "revenue",
            [(daily('sum("amount")', "revenue", by=("service",)), "$tag_service")],
            size=(6, 9),
            stacked=True,
        )
    )
    # A map has no text of its own for the case that it is empty.
    below = HEIGHT + 9
    made.with_panel(_placed().grid_pos(GridPos(x=19, y=below, w=5, h=3)))
    return made.with_panel(_where().grid_pos(GridPos(x=19, y=below + 3, w=5, h=6)))


def _placed() -> stat.Panel:
    each = rows('last("latitude") AS "place"', "plant", when=UNTIL, by=("site",))
    spec = Spec(
        title="Plants on the map",
        description="Plants that the contracts or the fleet file give coordinates to. Where there "
        "are none, add latitude and longitude to the contracts, then run fleetscope portfolio "
        "--publish.",
        size=(5, 3),
        unit=look.NUMBER,
        empty="No plant has coordinates",
        decimals=0,
        colour=look.fixed("text"),
        targets=[influx(f'SELECT count("place") FROM ({each})', "Plants", "A")],
    )
    return tiles(spec, small=True, value=18)


def _where() -> geomap.Panel:
    spec = Spec(
        title="Where",
        description="Plants with coordinates, on the colour of their availability over the newest "
        "month that is published.",
        size=(5, 6),
        unit=PERCENT,
        empty=empty("plant with coordinates"),
        decimals=1,
        colour=look.by_threshold(),
        thresholds=look.limits(ODD, (97, look.STATUS_COLOURS[Status.HEALTHY])),
        targets=[
            influx_table(newest(("latitude", "longitude"), "plant"), "A"),
            influx_table(newest(("availability_percent",), "plant_month"), "B"),
        ],
        transformations=[joined("site")],
    )
    return world_map(
        spec, latitude="latitude", longitude="longitude", colour="availability_percent"
    )


def _worst_losses() -> table.Panel:
    worst = rows('sum("amount") AS "a"', "loss", by=("site", "cause"))
    return of_rows(
        "Worst five losses",
        "The five largest sums of a plant and a cause over the time range.",
        "losses",
        [f'SELECT top("a", 5) AS "lost", "site", "cause" FROM ({worst})'],
        [site("losses"), Column("cause", "Cause", 120), money("lost", "Lost")],
        size=(7, 9),
        order="lost",
    )


def partners() -> Dashboard:
    """2: who gets what, and what guarantees owe."""
    made = board("partners")
    total = rows('sum("total")', "payout", where="")
    made.with_panel(
        figures(
            "Shared and owed",
            "Over the months of the time range: what is shared out (all plants of the contracts, "
            "whatever is chosen above), what minima move, and what guarantees owe at the chosen "
            "plants.",
            "contracts with partners",
            [
                ("Shared out", total, MONEY, 0, "settlement", None),
                (
                    "Not settled yet",
                    rows('sum("provisional")', "revenue"),
                    *("suffix: d", 0, "settlement", None),
                ),
                ("Owed", summed("owed", "sla"), MONEY, 0, "evidence", ABOVE_ZERO),
                ("Terms met", summed("met", "sla"), look.NUMBER, 0, "evidence", None),
            ],
            8,
        )
    )
    made.with_panel(
        of_rows(
            "Payouts by partner",
            "Over the months of the time range: by the steps of the waterfall, what guaranteed "
            "minima add or take, and both.",
            "contracts with partners",
            [
                rows(
                    'sum("by_steps") AS "steps", sum("by_minima") AS "minima", '
                    'sum("total") AS "total"',
                    "payout",
                    where="",
                    by=("partner",),
                )
            ],
            [
                Column("partner", "Partner"),
                money("steps", "By steps"),
                money("minima", "By minima"),
                money("total", "Total"),
            ],
            size=(9, 8),
            order="total",
        )
    )
    made.with_panel(_payouts())
    made.with_panel(
        of_rows(
            "Payouts, month by month",
            "Each month and partner, with the share of that month's revenue.",
            "contracts with partners",
            [
                rows(
                    '"partner", "by_steps", "by_minima", "total", "share_percent"',
                    "payout",
                    where="",
                )
            ],
            [
                month(),
                Column("partner", "Partner"),
                money("by_steps", "By steps"),
                money("by_minima", "By minima"),
                money("total", "Total"),
                Column("share_percent", "Share", 80, PERCENT, 1),
            ],
            size=(12, 8),
        )
    )
    return made.with_panel(_credits((12, 8)))


def _payouts() -> barchart.Panel:
    spec = Spec(
        title="Payouts by month",
        description="What each partner gets of each month.",
        size=(10, 8),
        unit=MONEY,
        empty=empty("contracts with partners"),
        decimals=0,
        colour=look.by_series(),
        targets=[],
        transformations=[joined("Time"), IN_MONTH, organized({"month": "Month"}, ["Time"])],
    )
    query = daily('sum("total")', "payout", where="", by=("partner",))
    return stacked_bars(spec, [influx(query, "$tag_partner")], over="Month", names={"unit": MONTH})


def _credits(size: tuple[int, int]) -> table.Panel:
    return of_rows(
        "Credits for guarantees",
        "What each guarantee owes for each month, before and after its cap.",
        "guarantees",
        [rows('"site", "term", "owed_before_cap", "cap", "owed"', "sla")],
        [
            month(),
            site("evidence"),
            Column("term", "Term", 110),
            money("owed_before_cap", "By tiers", 90),
            money("cap", "Cap", 90),
            marked("owed", "Owed", ABOVE_ZERO, to("evidence", "Site"), unit=MONEY, decimals=0),
        ],
        size=size,
    )


def settlement() -> Dashboard:
    """3: the statement beside our own figures."""
    made = board("settlement")
    force = f'{PLANTS} AND "in_force" = 1'
    still = f'{PLANTS} AND "open" = 1'
    made.with_panel(
        figures(
            "Statement against our own",
            "Runs in force over the time range: what they pay, what should be paid, the "
            "difference, differences that are open, and what could not be judged for want of "
            "measured power or a price.",
            "settlement",
            [
                (
                    "Stated",
                    summed("stated", "settlement", where=force),
                    *(MONEY, 2, "settlement", None),
                ),
                ("Own", summed("own", "settlement", where=force), MONEY, 2, "settlement", None),
                (
                    "Difference",
                    summed("difference", "settlement", where=force),
                    *(MONEY, 2, "settlement", BELOW_ZERO),
                ),
                (
                    "Open disputes",
                    rows('sum("open")', "dispute", when=IN_RANGE),
                    *(look.NUMBER, 0, "settlement", MISSED),
                ),
                (
                    "Not judged",
                    summed("unjudged", "settlement", where=force),
                    *(MONEY, 2, "controller", None),
                ),
            ],
            9,
        )
    )
    made.with_panel(
        of_rows(
            "Runs",
            "Every run stays: what each said of each plant, and in how many lines it differed. In "
            "force is the number of service days for which it is the latest.",
            "settlement",
            [
                rows(
                    'sum("stated") AS "stated", sum("own") AS "own", '
                    'sum("difference") AS "difference", sum("penalty") AS "penalty", '
                    'sum("lines") AS "lines", sum("differing") AS "differing", '
                    'max("in_force") AS "force"',
                    "settlement",
                    by=("site", "run"),
                )
            ],
            [
                site("settlement"),
                Column("run", "Run", 70),
                money("stated", "Stated"),
                money("own", "Own"),
                Column("difference", "Difference", 110, MONEY, 2),
                money("penalty", "Penalties", 90),
                Column("lines", "Lines", 76, "locale", 0),
                Column("differing", "Differing", 86, "locale", 0),
                Column(
                    "force",
                    "In force",
                    80,
                    mappings=[look.as_text({"1": "Yes", "0": "No"})],
                ),
            ],
            size=(24 - FIGURES_WIDTH, 9),
        )
    )
    made.with_panel(_causes(still))
    made.with_panel(
        by_day(
            "Difference by day",
            "Stated less own, each run by itself.",
            "settlement",
            [(daily('sum("difference")', "settlement", by=("run",)), "$tag_run")],
            size=(15, 9),
        )
    )
    return made.with_panel(
        of_rows(
            "Open disputes, line by line",
            "Each difference that the run in force still has, the dearest for us first. Below zero "
            "the statement pays too little.",
            "open difference",
            [
                rows(
                    '"site", "service", "run", "cause", "amount", "stated_volume", "own_volume", '
                    '"stated_price", "own_price"',
                    "dispute",
                    where=still,
                    when=IN_RANGE,
                    more="LIMIT 1000",
                )
            ],
            [
                time_column(title="Period"),
                site("settlement"),
                Column("service", "Service", 100),
                Column("run", "Run", 60),
                Column("cause", "Cause", 100),
                Column("amount", "Amount", 100, MONEY, 2),
                Column("stated_volume", "Stated volume", 110, decimals=3),
                Column("own_volume", "Own volume", 110, decimals=3),
                Column("stated_price", "Stated price", 100, decimals=2),
                Column("own_price", "Own price", 100, decimals=2),
            ],
            size=(24, 9),
            order="amount",
            descending=False,
        )
    )


def _causes(still: str) -> table.Panel:
    return of_rows(
        "Open by cause",
        "Differences of the runs in force, by what brought them about.",
        "open difference",
        [
            rows(
                'sum("amount") AS "amount", sum("open") AS "open"',
                "dispute",
                where=still,
                when=IN_RANGE,
                by=("cause",),
            )
        ],
        [
            Column("cause", "Cause"),
            Column("open", "Disputes", 84, decimals=0),
            Column("amount", "Amount", 110, MONEY, 2),
        ],
        size=(9, 9),
        order="amount",
        descending=False,
    )
