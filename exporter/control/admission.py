"""Judges a request site by site, before anything of it is written to the journal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exporter.control.requests import DispatchRequest
from exporter.control.setpoints import (
    GRID,
    LONGEST_PERSISTENT_SECONDS,
    bounds_at,
    setpoint_for,
    unattended,
)
from exporter.control.site_control import SiteControl
from exporter.control.site_inputs import SiteInputs
from exporter.drivers.base import Capability, Driver, Writable
from exporter.model.orders import LIVE, OrderAction
from scoring.orders.envelope import Limit, allowed_power, refusals
from scoring.orders.sharing import shared_power

_SIGNS: Mapping[OrderAction, float] = {
    OrderAction.CHARGE: 1.0,
    OrderAction.DISCHARGE: -1.0,
    OrderAction.HOLD: 0.0,
    OrderAction.DEFER_LOAD: 1.0,
}


@dataclass(frozen=True, slots=True)
class Admission:
    """What a site was asked for, and what is left of it.

    Attributes
    ----------
    site : str
    wanted_w, allowed_w : float
        Battery power, positive when charging; or the load that is put off.
    refusals : tuple of Limit
        Why nothing is done; then ``allowed_w`` is 0.
    limits : tuple of Limit
        Why less is done.
    unchecked : tuple of str
        What could not be checked.
    expires : float or None
        Unix seconds at which the order ends where that is before the request's end.
    unattended : str
        See :func:`exporter.control.setpoints.unattended`.
    """

    site: str
    wanted_w: float
    allowed_w: float = 0.0
    refusals: tuple[Limit, ...] = ()
    limits: tuple[Limit, ...] = ()
    unchecked: tuple[str, ...] = ()
    expires: float | None = None
    unattended: str = ""

    def evidence(self) -> dict[str, Any]:
        """It as evidence of a row."""
        found: dict[str, Any] = {"allowed_w": self.allowed_w}
        if self.refusals:
            found["reason"] = "; ".join(one.sentence for one in self.refusals)
        if limits := self._limits():
            found["limits"] = limits
        if self.unchecked:
            found["unchecked"] = list(self.unchecked)
        if self.unattended:
            found["unattended"] = self.unattended
        return found

    def shown(self) -> dict[str, Any]:
        """It as an answer of the API."""
        return {
            "wanted_w": self.wanted_w,
            "allowed_w": self.allowed_w,
            "limits": self._limits(),
            "unchecked": list(self.unchecked),
            "unattended": self.unattended or None,
        }

    def _limits(self) -> list[dict[str, Any]]:
        return [
            {
                "code": one.code,
                "sentence": one.sentence,
                "limit_w": None if math.isnan(one.limit_w) else one.limit_w,
            }
            for one in (*self.refusals, *self.limits)
        ]


@dataclass(frozen=True, slots=True)
class _Candidate:
    site: str
    inputs: SiteInputs | None
    refusals: tuple[Limit, ...]
    rated_w: float
    name: str = ""
    capability: Capability | None = None


def judged(
    request: DispatchRequest,
    inputs_of: Callable[[str], SiteInputs | None],
    driver_of: Callable[[str], Driver | None],
    control_of: Callable[[str], SiteControl | None],
    now: float,
) -> list[Admission]:
    """What becomes of a request at each of its sites, in their order.

    Parameters
    ----------
    request : DispatchRequest
    inputs_of, driver_of, control_of : callables
        By site id.
    now : float
        Unix seconds.
    """
    found = []
    for site in request.sites:
        inputs, driver = inputs_of(site), driver_of(site)
        refused = _refusals(request, inputs, driver, control_of(site), now)
        rated_w = _rated_w(request, inputs)
        if refused or not isinstance(driver, Writable):
            found.append(_Candidate(site, inputs, refused, rated_w))
            continue
        capabilities = driver.capabilities()
        name = setpoint_for(request.action, capabilities) or ""
        found.append(_Candidate(site, inputs, refused, rated_w, name, capabilities.get(name)))
    sign = _SIGNS[request.action]
    if not request.in_total:
        return [_one(request, one, sign * request.power_w, now) for one in found]
    # What each could do at most, then its share of the total.
    able = [_one(request, one, sign * one.rated_w, now) for one in found]
    most = np.array([abs(a.allowed_w) for a in able])
    room = np.array([c.inputs.room_kwh(charging=sign > 0) if c.inputs else math.nan for c in found])
    shares = shared_power(request.power_w, most, room)
    return [
        _shared(request, one, before, sign * float(share), now)
        for one, before, share in zip(found, able, shares, strict=True)
    ]


def _shared(
    request: DispatchRequest, one: _Candidate, able: Admission, wanted_w: float, now: float
) -> Admission:
    if able.refusals:
        return replace(able, wanted_w=0.0)
    return _one(request, one, wanted_w, now)


def _rated_w(request: DispatchRequest, inputs: SiteInputs | None) -> float:
    if inputs is None:
        return 0.0
    bounds = inputs.bounds
    discharging = request.action is OrderAction.DISCHARGE
    return bounds.max_discharge_w if discharging else bounds.max_charge_w


def _one(request: DispatchRequest, one: _Candidate, wanted_w: float, now: float) -> Admission:
    if one.refusals or one.inputs is None:
        return Admission(one.site, wanted_w, 0.0, one.refusals)
    if request.action is OrderAction.DEFER_LOAD or one.capability is None:
        return Admission(one.site, wanted_w, wanted_w)
    bounds = bounds_at(one.inputs.bounds, one.name, one.capability)
    left = allowed_power(wanted_w, bounds, one.inputs.readings)
    expires, limits = None, left.limits
    longest = (request.start or now) + LONGEST_PERSISTENT_SECONDS
    if not one.capability.volatile and request.expires > longest:
        expires = longest
        hours = LONGEST_PERSISTENT_SECONDS / 3600
        sentence = f"nothing but a write ends its set-point, so the order ends after {hours:g} h"
        limits = (*limits, Limit("persistent_time", sentence))
    return Admission(
        one.site,
        wanted_w,
        left.allowed_w,
        limits=limits,
        unchecked=left.unchecked,
        expires=expires,
        unattended=unattended(one.capability),
    )


def _refusals(
    request: DispatchRequest,
    inputs: SiteInputs | None,
    driver: Driver | None,
    control: SiteControl | None,
    now: float,
) -> tuple[Limit, ...]:
    if inputs is None:
        return (Limit("unknown_site", "the fleet file has no such site"),)
    if not inputs.site.dispatch.enabled:
        return (Limit("not_enabled", "dispatch.enabled of the site is not set"),)
    if not isinstance(driver, Writable):
        return (Limit("not_writable", f"the driver {inputs.site.driver} writes no set-points"),)
    name = setpoint_for(request.action, driver.capabilities())
    if name is None:
        return (Limit("no_setpoint", f"the device has no set-point to {request.action}"),)
    found = list(refusals(inputs.condition))
    if not driver.capabilities()[name].volatile and not inputs.site.dispatch.allow_persistent:
        sentence = "its set-point wears flash memory; dispatch.allow_persistent is not set"
        found.append(Limit("persistent", sentence))
    if name == GRID and math.isnan(inputs.readings.load_w) and not found:
        found.append(Limit("load_unknown", "the load of the site is not known"))
    starts_now = request.start is None or request.start <= now
    for status in control.statuses if control is not None and starts_now else ():
        higher = status.order.source.rank > request.source.rank
        if status.state in LIVE and higher and status.order.start <= now:
            sentence = f"an order of {status.order.source} is in force ({status.order.id})"
            found.append(Limit("lower_source", sentence))
            break
    return tuple(found)
