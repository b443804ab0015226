"""The order that is at a device, and what its control needs around it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporter.control.gate import WriteGate
from exporter.control.records import Records
from exporter.control.setpoints import (
    PERSISTENT_SECONDS,
    deadband_w,
    is_clear,
    resolved_w,
    setpoint_for,
    value_for,
)
from exporter.control.site_inputs import SiteInputs
from exporter.drivers.base import Capability, Driver, Writable
from exporter.model.orders import Order, OrderAction, OrderEvent, OrderState, OrderStatus
from exporter.model.snapshot import ScrapeError
from scoring.orders.envelope import Envelope
from scoring.orders.following import (
    Observation,
    ramped_w,
    settling_seconds,
    tolerance_w,
    trimmed,
)

DISPATCHER = "dispatcher"
LEASE_PARTS = 3.0
"""Of the device's own reversion time: two rewrites may fail before it falls back."""
RENEW_SECONDS = 60.0
"""Between two looks at a device that does not fall back by itself."""
_SAME = 1e-3


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the controls of all sites share.

    Attributes
    ----------
    records : Records
    gate : WriteGate
    driver_of, inputs_of : callables
        By site id; None for a site that is not polled.
    wall, monotonic : callables
    """

    records: Records
    gate: WriteGate
    driver_of: Callable[[str], Driver | None]
    inputs_of: Callable[[str], SiteInputs | None]
    wall: Callable[[], float]
    monotonic: Callable[[], float]


@dataclass(slots=True)
class InForce:
    """The order that is at the device, and what was written for it; times are monotonic."""

    order: Order
    driver: Writable
    name: str
    capability: Capability
    began: float
    began_w: float
    allowed_w: float
    target_w: float = math.nan
    written: float = math.nan
    written_at: float = -math.inf
    trim_w: float = 0.0
    trimmed_at: float = -math.inf
    observation: Observation | None = None
    unlike: int = 0
    errors: int = 0
    acknowledged: float = math.inf
    seen: float = -math.inf

    @property
    def lease_seconds(self) -> float:
        """Time between two rewrites."""
        reversion = self.capability.reversion_seconds
        return RENEW_SECONDS if reversion is None else reversion / LEASE_PARTS

    def aim(self, allowed_w: float, inputs: SiteInputs, now: float) -> float:
        """Take a new allowed power, and the step that the ramp has come to; returns the value of
        the set-point, NaN where the load of the site is not known."""
        allowed_w = resolved_w(self.name, allowed_w, self.capability)
        if abs(allowed_w - self.allowed_w) > tolerance_w(allowed_w):
            self.allowed_w = allowed_w
            self.settle(inputs, now)
        self.allowed_w = allowed_w
        ramp = ramp_of(self.order, inputs)
        target_w = ramped_w(self._from_w, allowed_w, ramp, now - self.began)
        self.target_w = resolved_w(self.name, target_w, self.capability)
        value = value_for(self.name, self.target_w, inputs, self.trim_w)
        return max(self.capability.minimum, min(self.capability.maximum, value))

    def settle(self, inputs: SiteInputs, now: float) -> None:
        """Observe from now on whether the site follows; it has some time to."""
        ramp = ramp_of(self.order, inputs)
        ramping = abs(self.allowed_w - self._from_w) / ramp if ramp else 0.0
        self.observation = Observation(now + self._settling_seconds(inputs) + ramping)

    def observe(self, inputs: SiteInputs, now: float) -> Observation | None:
        """Take in a Snapshot that came after the set-point was read back; None for any other."""
        measured_at = now - inputs.condition.age_seconds
        if self.observation is None or measured_at <= max(self.seen, self.acknowledged) + _SAME:
            return None
        self.seen = measured_at
        settling = self._settling_seconds(inputs)
        self.observation = self.observation.after(now, self.target_w, inputs.power_w, settling)
        if self.target_w == self.allowed_w and self._corrects(measured_at):
            self.trim_w = trimmed(self.trim_w, self.target_w, inputs.power_w)
            self.trimmed_at = measured_at
        return self.observation

    def moves(self, value: float, now: float) -> bool:
        """Whether a value is to be written, as far as it differs from the one before."""
        if math.isnan(self.written):
            return True
        if not self.capability.volatile and now - self.written_at < PERSISTENT_SECONDS:
            return False
        return not abs(value - self.written) <= deadband_w(self.capability, self.target_w)

    def _corrects(self, measured_at: float) -> bool:
        """Whether a measurement may correct the set-point: where one is written seldom, once after
        each write or look at it, or the correction would swing."""
        return self.capability.volatile or self.trimmed_at <= self.written_at < measured_at

    def _settling_seconds(self, inputs: SiteInputs) -> float:
        """How long the site may take; one that is written seldom follows its load late."""
        late = 0.0 if self.capability.volatile else PERSISTENT_SECONDS
        return settling_seconds(inputs.interval_seconds) + late

    @property
    def _from_w(self) -> float:
        return 0.0 if math.isnan(self.began_w) else self.began_w


def ramp_of(order: Order, inputs: SiteInputs) -> float | None:
    """The slower of the ramps of order and site, W/s; None without any."""
    own = inputs.site.dispatch.ramp_kw_per_s
    both = [ramp for ramp in (order.ramp_w_per_s, own and own * 1000.0) if ramp]
    return min(both, default=None)


async def set_free(
    around: Surroundings, site: str, name: str, before: float, *, owed: bool, always: bool
) -> str:
    """Release a device and read that it is free.

    Parameters
    ----------
    around : Surroundings
    site : str
    name : str
        Set-point that was written; empty where none is known.
    before : float
        Its value before the first write, NaN without one.
    owed : bool
        See :meth:`WriteGate.release`.
    always : bool
        Whether to write although the device is free.

    Returns
    -------
    str
        Why it is not known to be free; empty where it is.

    Raises
    ------
    NotAllowedError
    """
    driver = around.driver_of(site)
    if not isinstance(driver, Writable):
        return "the site is not polled, or takes no set-points"
    name = name or setpoint_for(OrderAction.RELEASE, driver.capabilities()) or ""
    if not name:
        return "the device has no set-point"
    try:
        if always or not is_clear(await around.gate.read(driver, name), before):
            await around.gate.release(site, driver, name, before, owed=owed)
        held = await around.gate.read(driver, name)
    except ScrapeError as error:
        return error.detail
    return "" if is_clear(held, before) else f"the device still holds {held:.0f} W"


def precedence(status: OrderStatus) -> tuple[bool, int, int]:
    """Of two orders the one with more is in force: a release, then the source, then the later."""
    order = status.order
    return order.action is OrderAction.RELEASE, order.source.rank, order.sequence


def row(
    status: OrderStatus, state: OrderState, evidence: dict[str, Any], time: float
) -> OrderEvent:
    """A row of the dispatcher's own."""
    return OrderEvent(status.order.id, state, time, DISPATCHER, evidence)


def shown(envelope: Envelope) -> dict[str, Any]:
    """Limits of an envelope as evidence."""
    found: dict[str, Any] = {}
    if envelope.limits:
        found["limits"] = [
            {"code": one.code, "sentence": one.sentence, "limit_w": one.limit_w}
            for one in envelope.limits
        ]
    if envelope.unchecked:
        found["unchecked"] = list(envelope.unchecked)
    return found
