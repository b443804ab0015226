"""The order that is at a device, and what its control needs around it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exporter.control.gate import WriteGate
from exporter.control.records import Records
from exporter.control.setpoints import (
    PERSISTENT_SECONDS,
    deadband_w,
    is_clear,
    matches,
    resolved_w,
    setpoint_for,
    value_for,
)
from exporter.control.site_inputs import SiteInputs
from exporter.drivers.base import Capability, Driver, Writable
from exporter.model.orders import Order, OrderAction, OrderEvent, OrderState, OrderStatus
from exporter.model.snapshot import Outcome, ScrapeError
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
MOST_FAILURES = 3
"""Tries in a row that may fail, and times that a device may hold another set-point."""
SILENCE_SECONDS = 30.0
"""For so long a site may give no readings, or its device no answers about its set-point."""
UNLIKE_SECONDS = 4.0
"""A set-point that is not read back is written again after this time: some devices show it late."""
REPLACED_SECONDS = 600.0
"""Another writer may replace the set-point less than MOST_FAILURES times in this time."""
_SAME = 1e-3
# A refusal in the device's own words does not change by asking again.
REFUSING = frozenset({Outcome.HTTP_STATUS, Outcome.MALFORMED})


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
    is_read_back: bool = False
    unlike: int = 0
    replaced: list[float] = field(default_factory=list)
    errors: int = 0
    failing_since: float = math.inf
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

    def erred(self, now: float) -> bool:
        """Take in that the device did not answer; returns whether it has not for too long."""
        self.errors += 1
        self.failing_since = min(self.failing_since, now)
        # The next try is soon, not a whole lease later.
        self.written_at = now - self.lease_seconds + 1.0
        return self.errors >= MOST_FAILURES and now - self.failing_since >= SILENCE_SECONDS

    def answered(self) -> None:
        """Take in that the device answered."""
        self.errors, self.failing_since = 0, math.inf

    def looks(self, held: float, now: float) -> str:
        """Take in what the device holds some time after a write; returns why the order must end,
        empty where it need not."""
        if matches(self.written, held):
            self.is_read_back, self.unlike = True, 0
        elif self.is_read_back:
            self.is_read_back = False
            self.replaced = [at for at in self.replaced if now - at < REPLACED_SECONDS]
            self.replaced.append(now)
            if len(self.replaced) >= MOST_FAILURES:
                seconds = now - self.replaced[0]
                return f"{self._unlike(held)}, {MOST_FAILURES} times in {seconds:.0f} s"
        return ""

    def reads_back(self, held: float) -> str:
        """Take in what the device holds right after a write; returns as :meth:`looks`."""
        self.is_read_back = matches(self.written, held)
        self.unlike = 0 if self.is_read_back else self.unlike + 1
        if self.unlike >= MOST_FAILURES:
            return self._unlike(held)
        if self.unlike:
            self.written_at -= max(0.0, self.lease_seconds - UNLIKE_SECONDS)
        return ""

    def _unlike(self, held: float) -> str:
        what = "none" if math.isnan(held) else f"{held:.0f} W"
        return f"the device holds {what} in place of the {self.written:.0f} W written"

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
    lost = ""
    try:
        if always or not await _is_free(around, driver, name, before):
            try:
                await around.gate.release(site, driver, name, before, owed=owed)
            except ScrapeError as error:
                if error.outcome in REFUSING:
                    raise
                # It may have been carried out: what the device holds says so.
                lost = error.detail
        held = await around.gate.read(driver, name)
    except ScrapeError as error:
        return error.detail
    return "" if is_clear(held, before) else lost or f"the device still holds {held:.0f} W"


async def _is_free(around: Surroundings, driver: Writable, name: str, before: float) -> bool:
    """Whether a device is known to be free; raises ScrapeError."""
    try:
        return is_clear(await around.gate.read(driver, name), before)
    except ScrapeError:
        # What cannot be read is released unseen, but where each write wears flash memory.
        if not math.isnan(before):
            raise
        return False


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
