"""What the dispatcher publishes: orders in force and how they do, for metrics and API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.control.site_control import SiteControl
from exporter.control.site_inputs import SiteInputs
from exporter.model.orders import OrderStatus


@dataclass(frozen=True, slots=True)
class SiteOrders:
    """The orders of a site that have not ended or owe a release.

    Attributes
    ----------
    site : str
    statuses : tuple of OrderStatus
        In their sequence.
    in_force : str
        Id of the order that is at the device; empty without one.
    wanted_w, allowed_w, measured_w, setpoint_w : float
        Of the order in force; NaN without one.
    failure : str
        Why the device could not be written to or released at the latest try.
    release_owed_since : float
        Unix seconds of the oldest end whose device is not known to be free; NaN without one.
    written_seconds : float
        Age of the latest write; NaN before the first.
    lease_seconds : float
        The device's own reversion time; NaN where it has none.
    """

    site: str
    statuses: tuple[OrderStatus, ...]
    in_force: str = ""
    wanted_w: float = math.nan
    allowed_w: float = math.nan
    measured_w: float = math.nan
    setpoint_w: float = math.nan
    failure: str = ""
    release_owed_since: float = math.nan
    written_seconds: float = math.nan
    lease_seconds: float = math.nan


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
    """

    mode: str
    journal_failure: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    sites: tuple[SiteOrders, ...] = ()
    writes: int = 0


def view_of(site: str, control: SiteControl, inputs: SiteInputs | None) -> SiteOrders:
    """The orders of one site."""
    statuses = tuple(control.statuses)
    owed = [status.since for status in statuses if status.owes_release]
    current = control.in_force
    measured_w = inputs.power_w if inputs is not None else math.nan
    if current is None:
        return SiteOrders(
            site,
            statuses,
            failure=control.failure,
            measured_w=measured_w,
            release_owed_since=min(owed, default=math.nan),
        )
    reversion = current.capability.reversion_seconds
    age = control.around.monotonic() - current.written_at
    return SiteOrders(
        site=site,
        statuses=statuses,
        in_force=current.order.id,
        wanted_w=current.order.power_w,
        allowed_w=current.allowed_w,
        measured_w=measured_w,
        setpoint_w=current.written,
        failure=control.failure,
        release_owed_since=min(owed, default=math.nan),
        written_seconds=age if math.isfinite(age) else math.nan,
        lease_seconds=math.nan if reversion is None else reversion,
    )
