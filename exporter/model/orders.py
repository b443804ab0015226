"""Orders to sites: what is wanted, the states of an order, and what is known of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

SHORTEST_SECONDS = 10.0
USUAL_SECONDS = 15 * 60.0
LONGEST_SECONDS = 24 * 3600.0


class OrderAction(StrEnum):
    """What a site is asked to do."""

    CHARGE = "charge"
    DISCHARGE = "discharge"
    HOLD = "hold"
    DEFER_LOAD = "defer_load"
    RELEASE = "release"


class OrderSource(StrEnum):
    """Who thought of it. A higher one is not replaced by a lower one: fallback, manual, plan."""

    FALLBACK = "fallback"
    MANUAL = "manual"
    PLAN = "plan"

    @property
    def rank(self) -> int:
        """Higher wins."""
        return {OrderSource.FALLBACK: 2, OrderSource.MANUAL: 1, OrderSource.PLAN: 0}[self]


class OrderState(StrEnum):
    """Where an order is. docs/dispatch.md explains each."""

    DRAFTED = "drafted"
    AWAITING_APPROVAL = "awaiting_approval"
    ACCEPTED = "accepted"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    EFFECTIVE = "effective"
    RELEASED = "released"
    REFUSED = "refused"
    DRY = "dry"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INEFFECTIVE = "ineffective"


_S = OrderState
_ENDED_AFTER_SENDING = frozenset(
    {_S.EXPIRED, _S.SUPERSEDED, _S.CANCELLED, _S.FAILED, _S.INEFFECTIVE}
)
NEXT: Mapping[OrderState, frozenset[OrderState]] = MappingProxyType(
    {
        _S.DRAFTED: frozenset({_S.AWAITING_APPROVAL, _S.ACCEPTED, _S.REFUSED, _S.DRY}),
        _S.AWAITING_APPROVAL: frozenset(
            {_S.ACCEPTED, _S.REFUSED, _S.EXPIRED, _S.CANCELLED, _S.SUPERSEDED}
        ),
        _S.ACCEPTED: frozenset({_S.SENT, _S.EXPIRED, _S.SUPERSEDED, _S.CANCELLED, _S.FAILED}),
        _S.SENT: _ENDED_AFTER_SENDING | {_S.ACKNOWLEDGED},
        _S.ACKNOWLEDGED: _ENDED_AFTER_SENDING | {_S.EFFECTIVE, _S.RELEASED},
        _S.EFFECTIVE: _ENDED_AFTER_SENDING,
        _S.EXPIRED: frozenset({_S.RELEASED}),
        _S.CANCELLED: frozenset({_S.RELEASED}),
        _S.FAILED: frozenset({_S.RELEASED}),
        _S.INEFFECTIVE: frozenset({_S.RELEASED}),
        # Whoever took over releases the device.
        _S.SUPERSEDED: frozenset(),
        _S.REFUSED: frozenset(),
        _S.DRY: frozenset(),
        _S.RELEASED: frozenset(),
    }
)
"""The states that may follow each state. ``released`` follows an end once the device is back under
its own control, and only where it was written to."""

LIMIT_CODES = (
    *("offline", "stale", "unknown_site", "maintenance", "critical_issue", "not_enabled"),
    *("not_writable", "no_setpoint", "persistent", "persistent_time", "load_unknown"),
    *("lower_source", "rated", "battery_limit", "soc_floor", "soc_ceiling", "soc_unknown"),
    *("heat", "cold", "import_limit", "export_limit"),
)
"""Codes of what lowers or refuses an order. docs/dispatch.md explains each."""

TAKES_OVER = "takes_over"
"""Key of the evidence of an order that finds the device under another order: it owes the release
from then on."""

LIVE = frozenset({_S.AWAITING_APPROVAL, _S.ACCEPTED, _S.SENT, _S.ACKNOWLEDGED, _S.EFFECTIVE})
"""States of an order that has not ended."""
AT_DEVICE = frozenset({_S.SENT, _S.ACKNOWLEDGED, _S.EFFECTIVE})
"""States in which the device may hold the set-point."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one site is asked for. It never changes; what becomes of it is in its rows.

    Attributes
    ----------
    id, dispatch : str
        Its own id, and that of the request that it came with.
    sequence : int
        Grows with each order of the installation; of two for one site the higher one counts.
    site : str
    action : OrderAction
    power_w : float
        Battery power, positive when charging; for ``defer_load`` the load that is put off, W.
    start, expires : float
        Unix seconds.
    ramp_w_per_s : float or None
        Largest change of power; None for none.
    source : OrderSource
    issuer, role, address : str
        Who ordered it, with which role, from which address.
    reason : str
    dry_run : bool
        Whether nothing may be written for it.
    """

    id: str
    dispatch: str
    sequence: int
    site: str
    action: OrderAction
    power_w: float
    start: float
    expires: float
    ramp_w_per_s: float | None
    source: OrderSource
    issuer: str
    role: str
    address: str
    reason: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One row of the journal: an order has come to a state.

    Attributes
    ----------
    order : str
        Its id.
    state : OrderState
    time : float
        Unix seconds.
    actor : str
        Who or what brought it there: a user, or ``dispatcher``.
    evidence : mapping
        Why and by what: limits, values written and read back, measured power, a device's words.
    """

    order: str
    state: OrderState
    time: float
    actor: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """An order and where it is.

    Attributes
    ----------
    order : Order
    state : OrderState
        Its latest state; for an order that ended and was released, ``released``.
    end : OrderState or None
        How it ended; None while it has not. A release that was carried out ends as ``released``.
    since : float
        Unix seconds at which it came to its state.
    allowed_w : float
        Power that the latest envelope left of it, W; NaN before the first.
    was_sent : bool
        Whether something may have been written to the device for it.
    evidence : mapping
        Of the latest row.
    before : float
        Set-point of the device before the first write, where the device cannot forget one; else
        NaN.
    setpoint : str
        Name of the set-point that was written; empty before.
    unattended : str
        What becomes of the set-point while nobody can write, where no lease of the device ends it.
    end_reason : str
        Why it ended; empty while it has not, and where its time was over.
    """

    order: Order
    state: OrderState
    end: OrderState | None
    since: float
    allowed_w: float = math.nan
    was_sent: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    before: float = math.nan
    setpoint: str = ""
    unattended: str = ""
    end_reason: str = ""

    @property
    def owes_release(self) -> bool:
        """Whether it has ended and its device is not known to be back under its own control."""
        return (
            self.was_sent
            and self.end is not None
            and self.end is not OrderState.SUPERSEDED
            and self.state is not OrderState.RELEASED
        )

    def after(self, event: OrderEvent) -> OrderStatus:
        """Its status after one more row.

        Raises
        ------
        ValueError
            If that state cannot follow.
        """
        if event.state not in NEXT[self.state]:
            raise ValueError(f"{self.order.id}: {event.state} cannot follow {self.state}")
        ends = event.state not in LIVE and self.end is None
        return OrderStatus(
            order=self.order,
            state=event.state,
            end=event.state if ends else self.end,
            since=event.time,
            allowed_w=float(event.evidence.get("allowed_w", self.allowed_w)),
            was_sent=self.was_sent
            or event.state is OrderState.SENT
            or TAKES_OVER in event.evidence,
            evidence=event.evidence,
            before=float(event.evidence.get("before", self.before)),
            setpoint=str(event.evidence.get("setpoint", self.setpoint)),
            unattended=str(event.evidence.get("unattended", self.unattended)),
            end_reason=str(event.evidence.get("reason", "")) if ends else self.end_reason,
        )


def drafted(order: Order, time: float) -> OrderStatus:
    """The status of an order that was just made."""
    return OrderStatus(order, OrderState.DRAFTED, None, time)
