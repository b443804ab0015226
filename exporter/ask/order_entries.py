"""Orders in a timeline: what became of them in a period, and which stood when it began."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from exporter.ask.metric_history import where
from exporter.ask.query import Period
from exporter.ask.timeline_entries import Entry, Open, Timeline
from exporter.history.influxql import Series
from exporter.model.orders import LIVE, LONGEST_SECONDS, OrderState

WORDS: Mapping[OrderState, str] = MappingProxyType(
    {
        OrderState.AWAITING_APPROVAL: "waits for approval",
        OrderState.ACCEPTED: "was accepted",
        OrderState.EFFECTIVE: "took effect",
        OrderState.RELEASED: "ended; the device is under its own control",
        OrderState.REFUSED: "was refused",
        OrderState.EXPIRED: "reached its end",
        OrderState.SUPERSEDED: "gave way to another one",
        OrderState.CANCELLED: "was cancelled",
        OrderState.FAILED: "failed",
        OrderState.INEFFECTIVE: "has no effect",
    }
)
"""The states that a timeline lists; those between are steps of one exchange with the device."""
_WITH_REASON = frozenset({OrderState.ACCEPTED, OrderState.AWAITING_APPROVAL, OrderState.REFUSED})
_WARNED = frozenset({OrderState.FAILED, OrderState.INEFFECTIVE})
# Nothing of an order is open in these; a device that is still to be released is not free.
_OVER = frozenset(OrderState) - LIVE - {OrderState.EXPIRED, OrderState.CANCELLED} - _WARNED
_ACTIONS = {"defer_load": "put off load", "hold": "hold", "release": "release"}


def orders_statement(period: Period, sites: list[str] | None) -> str:
    """What is asked of InfluxDB: every state of an order, from so long before the period on as an
    order may be in force."""
    earlier = datetime.fromtimestamp(period.start.timestamp() - LONGEST_SECONDS, UTC)
    fields = '"order", "action", "issuer", "reason", "wanted_w"'
    span = where(Period(earlier, period.end), sites)
    return f'SELECT {fields} FROM "order" WHERE {span} GROUP BY "site", "state"'


def add_orders(found: Timeline, orders: list[Series], wanted: set[str], start: float) -> None:
    """Add what became of orders since ``start``, and those that stood then.

    Parameters
    ----------
    found : Timeline
    orders : list of Series
        From :func:`orders_statement`.
    wanted : set of str
        Ids of sites.
    start : float
        Unix seconds of the beginning of the period.
    """
    standing: dict[str, tuple[float, float, OrderState, Open]] = {}
    for series in orders:
        site, state = series.tags["site"], OrderState(series.tags["state"])
        if site not in wanted:
            continue
        for time, order, action, issuer, reason, wanted_w in series.rows:
            what = f"Order of {issuer} to {_does(action, wanted_w)}"
            if time < start:
                before = standing.get(order)
                began = time if before is None else min(time, before[0])
                latest = before is None or time >= before[1]
                stands = Open(site, order, "info", f"{what} stands", began)
                at, last = (time, state) if latest or before is None else before[1:3]
                standing[order] = began, at, last, stands
            elif state in WORDS:
                gives = state in _WITH_REASON | _WARNED | {OrderState.CANCELLED}
                why = f": {reason}" if reason and gives else ""
                severity = "warning" if state in _WARNED else ""
                said = f"{what} {WORDS[state]}{why}"
                found.entries.append(Entry(time, site, "order", said, severity, order))
    found.before += [stands for _, _, state, stands in standing.values() if state not in _OVER]


def _does(action: str, wanted_w: float | None) -> str:
    word = _ACTIONS.get(action, action)
    if action in ("hold", "release") or wanted_w is None:
        return word
    return f"{word} {'with ' if action != 'defer_load' else 'of '}{abs(wanted_w) / 1000:.1f} kW"
