"""Carries out the orders of one site, one step at a time.

Every row of an order after ``accepted`` is written here, so that nothing else changes an order
while its device is being written to. The journal names an order as ``sent`` before the first
write, and a device that may have been written to is released whatever becomes of the order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from exporter.control import in_force
from exporter.control.gate import NotAllowedError
from exporter.control.in_force import (
    DISPATCHER,
    REFUSING,
    InForce,
    Surroundings,
    precedence,
    row,
    set_free,
    shown,
)
from exporter.control.journal import JournalError
from exporter.control.setpoints import bounds_at, matches, setpoint_for
from exporter.control.site_inputs import SiteInputs
from exporter.drivers.base import Capability, Writable
from exporter.model.orders import (
    AT_DEVICE,
    LIVE,
    TAKES_OVER,
    Order,
    OrderAction,
    OrderEvent,
    OrderState,
    OrderStatus,
)
from exporter.model.snapshot import Outcome, ScrapeError
from scoring.orders.envelope import Envelope, Limit, allowed_power, refusals
from scoring.orders.following import Verdict

log = logging.getLogger(__name__)

RAMP_STEP_SECONDS = 1.0
SHORTEST_STEP_SECONDS = 0.2
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_SILENT = frozenset({"offline", "stale", "unknown_site"})


class _UnfitError(Exception):
    """An order cannot be carried out."""

    def __init__(self, reason: str = "", limits: tuple[Limit, ...] = ()) -> None:
        super().__init__(reason)
        self.limits = limits


@dataclass(slots=True, eq=False)
class SiteControl:
    """The orders of one site.

    Parameters
    ----------
    site : str
    around : Surroundings

    Attributes
    ----------
    failure : str
        Why the latest try to write or release failed; empty where it did not.
    in_force : InForce or None
    """

    site: str
    around: Surroundings
    failure: str = ""
    in_force: InForce | None = None
    _orders: dict[str, OrderStatus] = field(default_factory=dict)
    _deadlines: dict[str, float] = field(default_factory=dict)
    _cancelled: dict[str, tuple[str, str]] = field(default_factory=dict)
    _held: frozenset[str] = frozenset()
    _silent_since: float | None = None
    _tries: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, status: OrderStatus) -> None:
        """Take over an order that is accepted, or that an earlier run left."""
        order = status.order
        self._orders[order.id] = status
        left = order.expires - self.around.wall()
        self._deadlines[order.id] = self.around.monotonic() + left
        self._news.set()

    def cancel(self, order: str, actor: str, reason: str) -> None:
        """End an order before its time, as soon as the device is not being written to."""
        if order in self._orders:
            self._cancelled[order] = (actor, reason)
            self._news.set()

    def wake(self) -> None:
        """Look again: a Snapshot has come, or something else has changed."""
        self._news.set()

    @property
    def statuses(self) -> list[OrderStatus]:
        """Orders that have not ended or owe a release, in their sequence."""
        return sorted(self._orders.values(), key=lambda s: s.order.sequence)

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done."""
        return not self._orders

    @property
    def at_rest(self) -> bool:
        """Whether nothing of ours is at the device, as far as is known."""
        return not any(s.state in AT_DEVICE or s.owes_release for s in self._orders.values())

    async def run(self) -> None:
        """Work until there is nothing to do any more."""
        while not self.idle:
            self._news.clear()
            try:
                wait = await self.step()
            except JournalError as error:
                self.failure = str(error)
                wait = self._next_try()
            except Exception:
                log.exception("site %s: a step of its orders failed", self.site)
                self.failure = "an error of the exporter; its log says which"
                wait = self._next_try()
            if wait > 0 and not self.idle:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._news.wait()

    async def step(self) -> float:
        """Do what is due; returns the seconds until something is due again, 0 for at once."""
        self._end_by_command()
        self._end_by_time()
        owing = [status for status in self.statuses if status.owes_release]
        # Before anything else: what has ended must not stay in force.
        if owing and not await self._release(owing):
            return self._next_try()
        chosen = self._chosen()
        if chosen is None:
            self._tries = 0
            return self._until_next()
        if chosen.order.action is OrderAction.RELEASE:
            done = await self._carry_out_release(chosen)
            return 0.0 if done else self._next_try()
        current = self.in_force
        if current is None or current.order.id != chosen.order.id:
            try:
                current = await self._begin(chosen)
            except _UnfitError as error:
                self._fail(chosen, str(error), error.limits)
                return 0.0
        if current is None:
            return RAMP_STEP_SECONDS
        await self._keep(current)
        if self.in_force is None:
            return 0.0
        due = current.written_at + current.lease_seconds - self.around.monotonic()
        if current.target_w != current.allowed_w:
            due = min(due, RAMP_STEP_SECONDS)
        return max(SHORTEST_STEP_SECONDS, min(due, self._until_next()))

    # -- which order ----------------------------------------------------------------------------

    def _end_by_command(self) -> None:
        for order, (actor, reason) in list(self._cancelled.items()):
            del self._cancelled[order]
            status = self._orders.get(order)
            if status is not None and status.state in LIVE:
                self._note(status, OrderState.CANCELLED, {"reason": reason}, actor)

    def _end_by_time(self) -> None:
        """The wall clock may step; the earlier of both clocks ends an order."""
        wall, now = self.around.wall(), self.around.monotonic()
        for status in self.statuses:
            late = wall >= status.order.expires or now >= self._deadlines[status.order.id]
            if status.state in LIVE and late:
                self._note(status, OrderState.EXPIRED, {"expires": status.order.expires})

    def _chosen(self) -> OrderStatus | None:
        """The order to be in force, of those that have started."""
        return max(self._started(), key=precedence, default=None)

    def _started(self) -> list[OrderStatus]:
        wall = self.around.wall()
        return [
            status
            for status in self._orders.values()
            if status.state in LIVE
            and status.state is not OrderState.AWAITING_APPROVAL
            # What was sent has started, though the clock may have stepped back since.
            and (status.was_sent or status.order.start <= wall)
        ]

    def _until_next(self) -> float:
        """Seconds until an order begins or ends, a minute at most."""
        wall, now = self.around.wall(), self.around.monotonic()
        waits = [60.0]
        for status in self._orders.values():
            waits += [status.order.expires - wall, self._deadlines[status.order.id] - now]
            if status.order.start > wall:
                waits.append(status.order.start - wall)
        return max(0.05, min(w for w in waits if w > 0))

    def _next_try(self) -> float:
        wait = RETRY_SECONDS[min(self._tries, len(RETRY_SECONDS) - 1)]
        self._tries += 1
        return wait

    # -- carrying out ---------------------------------------------------------------------------

    async def _begin(self, status: OrderStatus) -> InForce | None:
        """Judge an order once more and name it as sent; None where it is not written yet.

        Raises
        ------
        _UnfitError
        """
        around, order = self.around, status.order
        inputs, driver = around.inputs_of(self.site), around.driver_of(self.site)
        if inputs is None or not isinstance(driver, Writable):
            raise _UnfitError("the site takes no set-points")
        refused = refusals(inputs.condition)
        if refused:
            if status.was_sent and self._may_be_silent(refused):
                # An earlier run wrote it; the site has not been heard since the start.
                return None
            raise _UnfitError(limits=refused)
        self._silent_since = None
        if not around.gate.allows(self.site):
            raise _UnfitError("FLEETSCOPE_DISPATCH or dispatch.enabled is off")
        capabilities = driver.capabilities()
        name = setpoint_for(order.action, capabilities)
        if name is None:
            raise _UnfitError(f"the device has no set-point for {order.action}")
        envelope = self._envelope(order, inputs, name, capabilities[name])
        replaced = [s for s in self._started() if s.order.id != order.id]
        at_device = next((s for s in replaced if s.state in AT_DEVICE), None)
        try:
            before = await self._before(driver, name, status, at_device)
        except ScrapeError as error:
            raise _UnfitError(error.detail) from error
        evidence = {"allowed_w": envelope.allowed_w, "setpoint": name, **shown(envelope)}
        if not math.isnan(before):
            evidence["before"] = before
        if at_device is not None:
            evidence[TAKES_OVER] = at_device.order.id
        # From here on the journal owes a release.
        rows = [row(s, OrderState.SUPERSEDED, {"by": order.id}, around.wall()) for s in replaced]
        if status.state is OrderState.ACCEPTED:
            rows.append(row(status, OrderState.SENT, evidence, around.wall()))
        await self._add(rows)
        self.in_force = InForce(
            order=order,
            driver=driver,
            name=name,
            capability=capabilities[name],
            began=around.monotonic(),
            began_w=inputs.power_w,
            allowed_w=envelope.allowed_w,
        )
        return self.in_force

    async def _before(
        self, driver: Writable, name: str, status: OrderStatus, at_device: OrderStatus | None
    ) -> float:
        """The set-point from before any order of ours, where the device cannot forget one."""
        if driver.capabilities()[name].volatile:
            return math.nan
        if status.was_sent:
            return status.before
        if at_device is not None:
            return at_device.before
        return await self.around.gate.read(driver, name)

    async def _keep(self, current: InForce) -> None:
        """Renew the set-point where it is due, and judge what was measured."""
        status = self._orders[current.order.id]
        inputs = self.around.inputs_of(self.site)
        if self.around.records.failure is not None:
            # After a crash nothing would be known of what is written from here on.
            self._fail(status, self.around.records.failure)
            return
        refused = refusals(inputs.condition) if inputs is not None else ()
        if inputs is None or refused:
            if inputs is None or not self._may_be_silent(refused):
                self._fail(status, "the site is not polled any more", limits=refused)
            return
        self._silent_since = None
        try:
            has_answered = await self._renew(current, inputs)
        except ScrapeError as error:
            self.failure = error.detail
            if current.erred(self.around.monotonic()) or error.outcome in REFUSING:
                self._fail(status, error.detail)
            return
        except NotAllowedError as error:
            self._fail(status, str(error))
            return
        if has_answered:
            current.answered()
            self.failure = ""
        self._judge(current, inputs)

    async def _renew(self, current: InForce, inputs: SiteInputs) -> bool:
        """Whether the set-point was due and the device answered; raises ScrapeError."""
        now = self.around.monotonic()
        found = self._envelope(current.order, inputs, current.name, current.capability)
        value = current.aim(found.allowed_w, inputs, now)
        if math.isnan(value):
            raise ScrapeError(Outcome.PARTIAL, "the site's load is not known")
        moved = current.moves(value, now)
        if not moved and now - current.written_at < current.lease_seconds:
            return False
        gate = self.around.gate
        # What holds right after a write says nothing of who else writes there.
        if not math.isnan(current.written):
            held = await gate.read(current.driver, current.name)
            if why := current.looks(held, self.around.monotonic()):
                self._end_unlike(current, why)
                return True
        if moved or current.capability.volatile:
            await self._write(current, value)
        current.written_at = self.around.monotonic()
        self._acknowledge(current, inputs, await gate.read(current.driver, current.name))
        return True

    async def _write(self, current: InForce, value: float) -> None:
        """Write a set-point; one without a reply counts where the device holds it."""
        gate = self.around.gate
        try:
            await gate.write(self.site, current.driver, current.name, value)
        except ScrapeError as error:
            if error.outcome in REFUSING:
                raise
            if not matches(value, await gate.read(current.driver, current.name)):
                raise
        current.written = value

    def _acknowledge(self, current: InForce, inputs: SiteInputs, read_back: float) -> None:
        status = self._orders[current.order.id]
        if why := current.reads_back(read_back):
            self._end_unlike(current, why)
        if not current.is_read_back:
            return
        if current.observation is None:
            current.acknowledged = self.around.monotonic()
            current.settle(inputs, current.acknowledged)
        if status.state is OrderState.SENT:
            evidence = {"written_w": current.written, "read_back_w": read_back}
            self._note(status, OrderState.ACKNOWLEDGED, evidence)

    def _end_unlike(self, current: InForce, reason: str) -> None:
        """End an order whose device holds another set-point."""
        status = self._orders[current.order.id]
        state = OrderState.FAILED if status.state is OrderState.SENT else OrderState.INEFFECTIVE
        self._end(status, state, {"reason": reason})

    def _judge(self, current: InForce, inputs: SiteInputs) -> None:
        """Take a new Snapshot into the verdict."""
        # Load that is put off is not measured by itself.
        measurable = current.order.action is not OrderAction.DEFER_LOAD
        if not measurable or self.in_force is not current:
            return
        after = current.observe(inputs, self.around.monotonic())
        if after is None:
            return
        status = self._orders[current.order.id]
        figures = {"allowed_w": current.allowed_w, "written_w": current.written}
        if not math.isnan(inputs.power_w):
            figures["measured_w"] = inputs.power_w
        if after.verdict is Verdict.EFFECTIVE and status.state is OrderState.ACKNOWLEDGED:
            self._note(status, OrderState.EFFECTIVE, figures)
        elif after.verdict is Verdict.INEFFECTIVE:
            power = inputs.power_w
            measured = "is not measured" if math.isnan(power) else f"is {power:.0f} W"
            reason = f"battery power {measured}, {current.target_w:.0f} W are wanted"
            self._end(status, OrderState.INEFFECTIVE, {"reason": reason, **figures})

    # -- releasing ------------------------------------------------------------------------------

    async def _release(self, owing: list[OrderStatus]) -> bool:
        """Give the device back to its own control for orders that have ended."""
        self.in_force = None
        last = owing[-1]
        if not await self._free(last.setpoint, last.before, owed=True, always=False):
            return False
        for status in owing:
            self._note(status, OrderState.RELEASED, {})
        return True

    async def _carry_out_release(self, status: OrderStatus) -> bool:
        """Carry out an order to release."""
        driver = self.around.driver_of(self.site)
        others = [s for s in self._started() if s.order.id != status.order.id]
        at_device = next((s for s in others if s.state in AT_DEVICE), None)
        if status.state is OrderState.ACCEPTED:
            evidence: dict[str, Any] = {}
            if at_device is not None:
                evidence = {"setpoint": at_device.setpoint, TAKES_OVER: at_device.order.id}
                if not math.isnan(at_device.before):
                    evidence["before"] = at_device.before
            elif isinstance(driver, Writable):
                name = setpoint_for(OrderAction.RELEASE, driver.capabilities())
                evidence = {"setpoint": name or ""}
            wall = self.around.wall()
            rows = [row(s, OrderState.SUPERSEDED, {"by": status.order.id}, wall) for s in others]
            await self._add([*rows, row(status, OrderState.SENT, evidence, wall)])
            status = self._orders[status.order.id]
        self.in_force = None
        owed = TAKES_OVER in status.evidence
        try:
            if not await self._free(status.setpoint, status.before, owed=owed, always=True):
                return False
        except NotAllowedError as error:
            self._note(status, OrderState.FAILED, {"reason": str(error)})
            self._note(self._orders[status.order.id], OrderState.RELEASED, {"written": False})
            return True
        self._note(status, OrderState.ACKNOWLEDGED, {})
        self._note(self._orders[status.order.id], OrderState.RELEASED, {})
        return True

    async def _free(self, name: str, before: float, *, owed: bool, always: bool) -> bool:
        self.failure = await set_free(
            self.around, self.site, name, before, owed=owed, always=always
        )
        if not self.failure:
            self._tries = 0
        return not self.failure

    # -- rows -----------------------------------------------------------------------------------

    def _fail(self, status: OrderStatus, reason: str = "", limits: Iterable[Limit] = ()) -> None:
        listed = [{"code": limit.code, "sentence": limit.sentence} for limit in limits]
        reason = "; ".join(one["sentence"] for one in listed) or reason
        evidence: dict[str, Any] = {"reason": reason}
        self._end(status, OrderState.FAILED, evidence | ({"limits": listed} if listed else {}))

    def _end(self, status: OrderStatus, state: OrderState, evidence: dict[str, Any]) -> None:
        self.in_force = None
        self._note(status, state, evidence)

    def _note(
        self,
        status: OrderStatus,
        state: OrderState,
        evidence: dict[str, Any],
        actor: str = DISPATCHER,
    ) -> None:
        event = OrderEvent(status.order.id, state, self.around.wall(), actor, evidence)
        self._replace(self.around.records.note(event))

    async def _add(self, rows: list[OrderEvent]) -> None:
        if rows:
            await self.around.records.add(*rows)
        for event in rows:
            status = self.around.records.status(event.order)
            self._replace(status or self._orders[event.order].after(event))

    def _replace(self, status: OrderStatus) -> None:
        name = status.order.id
        if status.end is None or status.owes_release:
            self._orders[name] = status
            return
        self._orders.pop(name, None)
        self._deadlines.pop(name, None)

    def _envelope(
        self, order: Order, inputs: SiteInputs, name: str, capability: Capability
    ) -> Envelope:
        bounds = bounds_at(inputs.bounds, name, capability)
        found = allowed_power(order.power_w, bounds, inputs.readings, self._held)
        self._held = found.held
        return found

    def _may_be_silent(self, refused: Iterable[Limit]) -> bool:
        """Whether only silence stands against an order, and not for long yet."""
        if not {limit.code for limit in refused} <= _SILENT:
            return False
        now = self.around.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        return now - self._silent_since < in_force.SILENCE_SECONDS
