"""What the dispatcher publishes: orders in force and how they do, for metrics and API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from exporter.control.site_control import SiteControl
from exporter.control.site_inputs import SiteInputs
from exporter.model.orders import AT_DEVICE, OrderAction, OrderStatus


@dataclass(frozen=True, slots=True)
class SiteOrders:
    """What is open at a site: orders that have not ended or owe a release.

    Attributes
    ----------
    site : str
    open : int
        How many there are.
    forced : bool
        Whether its device may hold a set-point of ours.
    order, action, source, state : str
        The order that is at the device; empty without one.
    since, expires : float
        Unix seconds at which it came to its state, and at which it ends; NaN without one.
    wanted_w, allowed_w, setpoint_w : float
        Of the order at the device; NaN without one.
    measured_w : float
        Battery power, positive when charging; NaN where it is missing.
    failure : str
        Why the device could not be written to or released at the latest try.
    release_owed_since : float
        Unix seconds since which the device is to be free and is not known to be; NaN without.
    persistent_end : float
        Unix seconds at which the order ends, or ended, whose set-point no lease of the device
        ends; NaN without one.
    written_seconds : float
        Age of the latest write; NaN before the first.
    reversion_seconds : float
        Time after which the device falls back by itself; NaN where it does not.
    """

    site: str
    open: int
    forced: bool = False
    order: str = ""
    action: str = ""
    source: str = ""
    state: str = ""
    since: float = math.nan
    expires: float = math.nan
    wanted_w: float = math.nan
    allowed_w: float = math.nan
    setpoint_w: float = math.nan
    measured_w: float = math.nan
    failure: str = ""
    release_owed_since: float = math.nan
    persistent_end: float = math.nan
    written_seconds: float = math.nan
    reversion_seconds: float = math.nan


@dataclass(frozen=True, slots=True)
class OrderBook:
    """All that is open.

    Attributes
    ----------
    mode : str
    journal_failure : str or None
        Why the journal cannot be written.
    counts : mapping
        Rows since the start, by state.
    sites : tuple of SiteOrders
        Sites with something open.
    writes : int
        Writes and releases sent to devices since the start.
    limits : mapping
        Orders since the start that a limit lowered or refused, by its code.
    response_seconds : float
        From ``sent`` to ``effective``, summed over the orders that came to it.
    foreign : mapping
        Set-points in force that nobody ordered here, W by site id.
    persistent : tuple of str
        Ids of the sites with ``dispatch.allow_persistent``.
    """

    mode: str
    journal_failure: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    sites: tuple[SiteOrders, ...] = ()
    writes: int = 0
    limits: Mapping[str, int] = field(default_factory=dict)
    response_seconds: float = 0.0
    foreign: Mapping[str, float] = field(default_factory=dict)
    persistent: tuple[str, ...] = ()


def _owed_since(status: OrderStatus) -> float:
    """Since when the device is to be free; a release that was sent has not ended until it is."""
    if status.owes_release:
        return status.since
    releasing = status.order.action is OrderAction.RELEASE and status.state in AT_DEVICE
    return status.order.start if releasing else math.nan


def _persistent_end(status: OrderStatus) -> float:
    """End of an order that may be at a device which cannot forget it."""
    if math.isnan(status.before):
        return math.nan
    owed_since = _owed_since(status)
    if math.isnan(owed_since) and status.state in AT_DEVICE:
        return status.order.expires
    return owed_since


def view_of(site: str, control: SiteControl, inputs: SiteInputs | None) -> SiteOrders:
    """The orders of one site."""
    statuses = control.statuses
    owed = [since for status in statuses if not math.isnan(since := _owed_since(status))]
    kept = [end for status in statuses if not math.isnan(end := _persistent_end(status))]
    found = SiteOrders(
        site=site,
        open=len(statuses),
        forced=not control.at_rest,
        measured_w=inputs.power_w if inputs is not None else math.nan,
        failure=control.failure,
        release_owed_since=min(owed, default=math.nan),
        persistent_end=min(kept, default=math.nan),
    )
    current = control.in_force
    status = next((s for s in statuses if current and s.order.id == current.order.id), None)
    if current is None or status is None:
        return found
    reversion = current.capability.reversion_seconds
    age = control.around.monotonic() - current.written_at
    return replace(
        found,
        order=current.order.id,
        action=current.order.action.value,
        source=current.order.source.value,
        state=status.state.value,
        since=status.since,
        expires=current.order.expires,
        wanted_w=current.order.power_w,
        allowed_w=current.allowed_w,
        setpoint_w=current.written,
        written_seconds=age if math.isfinite(age) else math.nan,
        reversion_seconds=math.nan if reversion is None else reversion,
    )
