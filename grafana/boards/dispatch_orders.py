"""Dispatch · Orders: which orders are in force, who follows them, and what they left behind."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit import look
from grafana.kit.dashboard import dashboard
from grafana.kit.panels import Spec, colour, lines, tiles
from grafana.kit.queries import (
    Target,
    influx_table,
    never_empty,
    prom,
    prom_now,
    prom_table,
)
from grafana.kit.tables import Column, joined, listing, only_with, ordered, site_column, time_column
from scoring.status import Status

NONE = "No order is in force"
OFF = "No exporter has a journal of orders: it needs FLEETSCOPE_DISPATCH_JOURNAL"
WATTS = "watt"
POWER = "fleetscope_order_power_watts"
SITE_OF_ROW = "/d/fleetscope-site/?${__url_time_range}&var-site=${__data.fields.Site}"
# Lends the row of nobody a site that its link finds.
ANY_SITE = "max by (site) (fleetscope_site_info)"
BAD = look.STATUS_COLOURS[Status.CRITICAL]
ODD = look.STATUS_COLOURS[Status.WARNING]
_WRITES = "sum(increase(fleetscope_dispatch_writes_total[$__range])) or vector(0)"
_INFO = "fleetscope_order_info * on (job, instance, site) group_left (name) fleetscope_site_info"


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-dispatch-orders", [])
    made.with_panel(_counts()).with_panel(_switches())
    made.with_panel(_powers()).with_panel(_rows())
    made.with_panel(_without_effect()).with_panel(_in_force())
    made.with_panel(_response()).with_panel(_limits())
    return made.with_panel(_journal())


def _counts() -> stat.Panel:
    ended = 'sum(increase(fleetscope_orders_total{state=~"ineffective|failed"}[$__range]))'
    owed = "count(fleetscope_order_release_owed_timestamp_seconds) or vector(0)"
    foreign = "count(fleetscope_site_foreign_setpoint_watts) or vector(0)"
    return _tiles(
        "Orders now",
        "Sites with an order in force, those that follow it, those that are to be "
        "released and are not known to be, set-points that nobody ordered here, and orders of the "
        "time range that failed or had no effect.",
        15,
        [
            ("In force", "count(fleetscope_order_info) or vector(0)", None),
            ("Followed", 'count(fleetscope_order_info{state="effective"}) or vector(0)', None),
            ("Not released", owed, BAD),
            ("Foreign", foreign, ODD),
            ("Without effect", ended, ODD),
        ],
    )


def _switches() -> stat.Panel:
    unwritable = "count(fleetscope_dispatch_journal_writable == 0) or vector(0)"
    return _tiles(
        "Switches",
        "Exporters by FLEETSCOPE_DISPATCH (on, dry or off), those whose journal cannot "
        "be written, and writes sent to devices in the time range.",
        9,
        [
            ("{{mode}}", "sum by (mode) (fleetscope_dispatch_mode)", None),
            ("No journal", unwritable, BAD),
            ("Writes", _WRITES, None),
        ],
    )


def _tiles(
    title: str, description: str, width: int, counts: Sequence[tuple[str, str, str | None]]
) -> stat.Panel:
    """Counts by name and PromQL, each with the colour that it has from 1 on."""
    spec = Spec(
        title=title,
        description=description,
        size=(width, 4),
        unit=look.NUMBER,
        empty=OFF,
        low=0,
        decimals=0,
        colour=look.by_threshold(),
        thresholds=look.limits(look.FINE),
        targets=[
            prom_now(expr, name, chr(ord("A") + place))
            for place, (name, expr, _) in enumerate(counts)
        ],
        overrides={
            name: {"thresholds": look.limits(look.FINE, (1, shade)).build()}
            for name, _, shade in counts
            if shade is not None
        },
    )
    return tiles(spec, background=True, columns=True, value=26, title=13)


def _powers() -> timeseries.Panel:
    spec = Spec(
        title="Wanted, allowed, measured",
        description="Battery power of all sites with an order in force, positive when charging: "
        "what was ordered, what limits left of it, and what the batteries do.",
        size=(12, 9),
        unit=WATTS,
        empty=NONE,
        targets=[
            prom(f'sum({POWER}{{kind="wanted"}})', "Wanted", "A"),
            prom(f'sum({POWER}{{kind="allowed"}})', "Allowed", "B"),
            prom(f'sum({POWER}{{kind="measured"}})', "Measured", "C"),
        ],
        overrides={
            "Wanted": colour(look.SECOND) | look.DASHED,
            "Allowed": colour(look.SECOND),
            "Measured": colour(look.ACCENT),
        },
    )
    return lines(spec)


def _rows() -> timeseries.Panel:
    spec = Spec(
        title="What became of orders",
        description="Orders that came to each state, a second, over all sites.",
        size=(12, 9),
        unit=look.PER_SECOND,
        empty="No order came to another state",
        overrides={state.value: colour(c) for state, c in look.ORDER_COLOURS.items()},
        low=0,
        targets=[
            prom(
                "sum by (state) (rate(fleetscope_orders_total[$__rate_interval])) > 0", "{{state}}"
            )
        ],
    )
    return lines(spec, bars=True, fill=80, stacked=True)


def _response() -> timeseries.Panel:
    effective = 'sum(increase(fleetscope_orders_total{state="effective"}[$__rate_interval]))'
    spec = Spec(
        title="Response time",
        description="Mean time from a set-point sent to a battery that was measured to follow, of "
        "the orders that came to it. Polling adds up to two intervals.",
        size=(12, 7),
        unit=look.SECONDS,
        empty="No order has come into effect",
        low=0,
        targets=[
            prom(
                "sum(increase(fleetscope_order_response_seconds_total[$__rate_interval])) / "
                f"({effective} > 0)",
                "Sent to effective",
            )
        ],
    )
    return lines(spec)


def _limits() -> timeseries.Panel:
    spec = Spec(
        title="Limits by reason",
        description="Orders a second that a limit lowered or refused, by its code; "
        "docs/dispatch.md says what each means.",
        size=(12, 7),
        unit=look.PER_SECOND,
        empty="No order was limited",
        low=0,
        targets=[
            prom(
                "sum by (reason) (rate(fleetscope_order_limits_total[$__rate_interval])) > 0",
                "{{reason}}",
            )
        ],
    )
    return lines(spec, bars=True, fill=80, stacked=True)


def _without_effect() -> table.Panel:
    spec = Spec(
        title="Orders without effect",
        description="Orders of the time range that ended as ineffective or failed, with what was "
        "allowed, what the battery did, and the reason.",
        size=(24, 6),
        unit=look.NUMBER,
        empty="No order failed or was without effect in this time range",
        targets=[_journal_rows('AND "state" =~ /^(ineffective|failed)$/ ')],
    )
    return listing(spec, _JOURNAL_COLUMNS)


def _in_force() -> table.Panel:
    off = (
        f'abs(max by (site) ({POWER}{{kind="allowed"}}) - max by (site) '
        f'({POWER}{{kind="measured"}}))'
    )
    nothing = {"name": NONE, "action": "-", "source": "-", "state": "-"}
    info = never_empty(f"max by (site, name, action, source, state) ({_INFO})", nothing, ANY_SITE)
    age = "max by (site) (fleetscope_order_write_age_seconds)"
    kept = "max by (site) (fleetscope_order_reversion_seconds)"
    spec = Spec(
        title="Orders in force",
        description="Each site with an order, the one furthest from its allowed power first. "
        "Written is the age of the set-point; beyond what the device keeps it for, the site has "
        "fallen back to its own control.",
        size=(24, 10),
        unit=look.NUMBER,
        empty=NONE,
        targets=[
            prom_table(info, "A"),
            _of_site(f'max by (site) ({POWER}{{kind="wanted"}})', "B"),
            _of_site(f'max by (site) ({POWER}{{kind="allowed"}})', "C"),
            _of_site(f'max by (site) ({POWER}{{kind="measured"}})', "D"),
            _of_site(off, "E"),
            _of_site("max by (site) (fleetscope_order_expires_timestamp_seconds) * 1000", "F"),
            _of_site(age, "G"),
            _of_site(kept, "H"),
        ],
        transformations=[
            joined("site"),
            only_with("name"),
            ordered("Value #E", descending=True),
        ],
    )
    columns = [
        *site_column(),
        Column("action", "Order", 100),
        Column("source", "By", 90),
        Column("state", "State", 120),
        Column("Value #B", "Wanted", 100, WATTS, 2),
        Column("Value #C", "Allowed", 100, WATTS, 2),
        Column("Value #D", "Measured", 100, WATTS, 2),
        Column("Value #E", "Off by", 100, WATTS, 2),
        time_column("Value #F", "Until"),
        Column("Value #G", "Written", 80, look.SECONDS, 0),
        Column("Value #H", "Kept for", 80, look.SECONDS, 0),
    ]
    drop = ["Time", "Value #A", *(f"Time {n}" for n in range(1, 9))]
    return listing(spec, columns, drop=drop)


def _of_site(expr: str, ref: str) -> Target:
    return prom_table(never_empty(expr, {}, ANY_SITE), ref)


def _journal() -> table.Panel:
    spec = Spec(
        title="Who ordered what",
        description="The latest rows of the journal in the time range, with who ordered, why, and "
        "the reason of a refusal or an end.",
        size=(24, 10),
        unit=look.NUMBER,
        empty="No order in this time range, or InfluxDB gives no answer",
        targets=[_journal_rows()],
    )
    return listing(spec, _JOURNAL_COLUMNS)


def _journal_rows(condition: str = "") -> Target:
    rows = 'SELECT "site", "action", "state", "issuer", "wanted_w", "allowed_w", "measured_w", '
    rows += '"reason" FROM "raw"."order" WHERE $timeFilter '
    return influx_table(rows + condition + "ORDER BY time DESC LIMIT 200")


_JOURNAL_COLUMNS = (
    time_column(),
    Column("site", "Site", 140, url=SITE_OF_ROW),
    Column("action", "Order", 100),
    Column("state", "State", 120),
    Column("issuer", "Ordered by", 120),
    Column("wanted_w", "Wanted", 100, WATTS, 2),
    Column("allowed_w", "Allowed", 100, WATTS, 2),
    Column("measured_w", "Measured", 100, WATTS, 2),
    Column("reason", "Why"),
)
