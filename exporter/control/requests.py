"""What callers ask of the dispatcher, signed in and checked already."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.model.orders import OrderAction, OrderSource


class DispatchOffError(Exception):
    """FLEETSCOPE_DISPATCH is off."""

    def __init__(self) -> None:
        super().__init__("orders are off: FLEETSCOPE_DISPATCH is not set to dry or on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who asks.

    Attributes
    ----------
    issuer, role, address : str
        The caller's name, its role, and where the request came from.
    reason : str
        Why, in its own words.
    key, digest : str
        ``Idempotency-Key`` and a hash of the request; empty without one.
    """

    issuer: str
    role: str
    address: str
    reason: str
    key: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchRequest(Issuer):
    """An order for some sites.

    Attributes
    ----------
    sites : tuple of str
        In all of which the caller may order.
    action : OrderAction
        Not ``release``.
    power_w : float
        For each site, or for all together; above 0, its direction is the action's. 0 to hold.
    in_total : bool
        Whether ``power_w`` is shared out over the sites.
    start : float or None
        Unix seconds; None for now.
    expires : float
        Unix seconds.
    ramp_w_per_s : float or None
    source : OrderSource
    dry_run : bool
    needs_approval : bool
        Whether somebody has to approve the orders before they are carried out.
    """

    sites: tuple[str, ...]
    action: OrderAction
    power_w: float
    in_total: bool
    start: float | None
    expires: float
    ramp_w_per_s: float | None = None
    source: OrderSource = OrderSource.MANUAL
    dry_run: bool = True
    needs_approval: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest(Issuer):
    """Give sites back to their own control, whatever is in force there."""

    sites: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest(Issuer):
    """End orders before their time."""

    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveRequest(Issuer):
    """Accept orders that wait for it."""

    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest(Issuer):
    """Follow the newest plans of some sites, or withdraw what is followed there."""

    sites: tuple[str, ...]
    withdraw: bool = False


OrderRequest = DispatchRequest | ReleaseRequest | CancelRequest | ApproveRequest
ControlRequest = OrderRequest | PlanRequest
"""Everything that the server may ask of the collector about orders."""
