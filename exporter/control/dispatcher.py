"""The dispatcher: takes requests, judges them site by site, and sees to it that orders end.

It runs in the process that polls, whose drivers it uses. What it knows is in the journal first.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from exporter.config.fleet import Fleet
from exporter.control.admission import Admission, judged
from exporter.control.foreign_setpoints import ForeignSetpoints
from exporter.control.gate import DispatchMode, WriteGate
from exporter.control.in_force import Surroundings
from exporter.control.journal import Journal, JournalError, KeyReusedError, Remembered
from exporter.control.order_views import OrderBook, SiteOrders, view_of
from exporter.control.records import OnRow, Records
from exporter.control.requests import (
    ApproveRequest,
    CancelRequest,
    DispatchOffError,
    DispatchRequest,
    OrderRequest,
    ReleaseRequest,
)
from exporter.control.setpoints import setpoint_for
from exporter.control.site_control import SiteControl
from exporter.control.site_inputs import InputReader
from exporter.drivers.base import Driver, Writable
from exporter.model.orders import (
    LIMIT_CODES,
    LONGEST_SECONDS,
    Order,
    OrderAction,
    OrderEvent,
    OrderSource,
    OrderState,
    OrderStatus,
)

log = logging.getLogger(__name__)

# Containers are killed ten seconds after they are asked to stop.
STOP_SECONDS = 5.0
CHANGE_SECONDS = 5.0
CLOCK_BACK_SECONDS = 60.0


class Dispatcher:
    """All orders of one exporter.

    Parameters
    ----------
    path : Path
        The journal.
    mode : DispatchMode
    inputs : InputReader
    driver_of : callable
        The driver of a site, by its id; None for one that is not polled.
    on_row : callable
        Called for each row that took effect.
    wall, monotonic : callables

    Raises
    ------
    JournalError
    """

    def __init__(
        self,
        path: Path,
        mode: DispatchMode,
        inputs: InputReader,
        driver_of: Callable[[str], Driver | None],
        on_row: OnRow = lambda _status, _event: None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mode = mode
        self._inputs = inputs
        self._wall = wall
        self._monotonic = monotonic
        self._driver_of = driver_of
        self._on_row = on_row
        self._journal = Journal(path)
        self._records = Records(self._journal, self._took_effect)
        self._counts: dict[str, int] = {state.value: 0 for state in OrderState}
        self._limits: Counter[str] = Counter()
        self._sent: dict[str, float] = {}
        self._response_seconds = 0.0
        self._controls: dict[str, SiteControl] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._foreign = ForeignSetpoints(inputs.enabled, driver_of, self._controls.__contains__)
        self._around = Surroundings(
            records=self._records,
            gate=WriteGate(mode, self._is_enabled),
            driver_of=driver_of,
            inputs_of=inputs.of,
            wall=wall,
            monotonic=monotonic,
        )

    async def start(self) -> None:
        """Take up what an earlier run left: what is overdue is released first.

        Drivers must be there already.
        """
        self._records.start()
        now = self._wall()
        behind = now < self._journal.latest_time - CLOCK_BACK_SECONDS
        left = self._records.open
        for status in left:
            if behind and status.end is None:
                # By a clock that ran back nobody knows how long it would stay in force.
                reason = {"reason": "the system clock is behind the journal"}
                event = OrderEvent(status.order.id, OrderState.CANCELLED, now, "start", reason)
                status = self._records.note(event)  # noqa: PLW2901 - its status from here on
            if status.end is None or status.owes_release:
                self._control(status.order.site).take(status)
        if left:
            log.warning("%d orders of an earlier run are taken up or released", len(left))
        for site in list(self._controls):
            self._work(site)
        if self.mode is not DispatchMode.OFF:
            self._watching = asyncio.create_task(self._foreign.watch())

    async def stop(self) -> None:
        """End every order and release every device, in some seconds."""
        await self._end(self._controls, "the exporter stopped", STOP_SECONDS)
        for task in (*self._tasks.values(), *filter(None, [self._watching])):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        await self._records.stop(1.0)

    async def prepare(self, fleet: Fleet) -> None:
        """End the orders of sites that a new fleet file removes, changes or excludes, while their
        drivers are still there."""
        after = {site.id: site for site in fleet.sites}
        ending = []
        for name, control in self._controls.items():
            old, new = self._inputs.site(name), after.get(name)
            same = new is not None and old is not None and new.identity == old.identity
            if not (same and new is not None and new.dispatch.enabled):
                ending.append(control.site)
        await self._end(ending, "the fleet file changed", CHANGE_SECONDS)

    def open_orders(self, site: str) -> list[OrderStatus]:
        """Orders of a site that have not ended or owe a release."""
        control = self._controls.get(site)
        return [] if control is None else control.statuses

    def observe(self, site: str) -> None:
        """A Snapshot of a site was taken into the fleet state."""
        control = self._controls.get(site)
        if control is not None:
            control.wake()

    # -- requests -------------------------------------------------------------------------------

    async def dispatch(self, request: DispatchRequest) -> dict[str, Any]:
        """Judge a request, write its orders to the journal and begin to carry them out.

        The entry for all who order, the API and plans. A plan's request has the source ``plan``,
        one power for each of its sites until ``expires``, and ``key`` and ``digest`` of its slot,
        so that a planner that starts again sends nothing twice. With ``needs_approval`` it waits
        for :meth:`approve`; without, ``reason`` names the mandate that covers it. Where an order
        of a person or a fallback is in force the site is refused (``lower_source``). A later
        request takes a site over without a gap. What becomes of each order reaches ``on_row``.

        Returns
        -------
        dict
            As ``POST /api/v1/dispatch`` answers.

        Raises
        ------
        DispatchOffError, KeyReusedError, JournalError
        """
        if self.mode is DispatchMode.OFF:
            raise DispatchOffError
        known = await self._known(request)
        if known is not None:
            return known
        dry = request.dry_run or self.mode is DispatchMode.DRY
        now = self._wall()
        found = judged(request, self._inputs.of, self._driver_of, self._controls.get, now)
        dispatch = f"d-{secrets.token_hex(6)}"
        made = [self._order(request, dispatch, one, now, dry=dry) for one in found]
        orders = [
            (order, _first_rows(order, one, request, now))
            for order, one in zip(made, found, strict=True)
        ]
        answer = _answer(dispatch, self.mode, orders, found, now, dry=dry)
        statuses = await self._records.make(orders, _remembered(request, answer))
        self._carry_out(statuses)
        return answer

    async def release(self, request: ReleaseRequest) -> dict[str, Any]:
        """Release sites; those of which nothing is known to be in force as well, where the
        switches allow it.

        Raises
        ------
        DispatchOffError, KeyReusedError, JournalError
        """
        known = await self._known(request)
        if known is not None:
            return known
        now = self._wall()
        dispatch = f"d-{secrets.token_hex(6)}"
        found = []
        for site in request.sites:
            control = self._controls.get(site)
            forced = control is not None and not control.at_rest
            if forced or (self._around.gate.allows(site) and self._may_hold_one(site)):
                found.append(self._release_order(request, dispatch, site, now))
            elif control is not None:
                for status in control.statuses:
                    control.cancel(status.order.id, request.issuer, request.reason)
        rows = [(o, [_row(o, s, now) for s in _ACCEPTED]) for o in found]
        answer = {
            "dispatch": dispatch,
            "mode": self.mode.value,
            "orders": [{"id": o.id, "site": o.site, "state": "accepted"} for o in found],
            "nothing_to_release": sorted(set(request.sites) - {o.site for o in found}),
        }
        statuses = await self._records.make(rows, _remembered(request, answer))
        self._carry_out(statuses)
        return answer

    def cancel(self, request: CancelRequest) -> dict[str, Any]:
        """End orders before their time; answers which were found."""
        found = []
        for name in request.orders:
            status = self._records.status(name)
            if status is not None and status.end is None:
                control = self._control(status.order.site)
                control.cancel(name, request.issuer, request.reason)
                self._work(status.order.site)
                found.append(name)
        return {"cancelled": found}

    async def approve(self, request: ApproveRequest) -> dict[str, Any]:
        """Accept orders that wait for it; answers which did.

        Raises
        ------
        JournalError
        """
        waiting = [
            status
            for name in request.orders
            if (status := self._records.status(name)) is not None
            and status.state is OrderState.AWAITING_APPROVAL
        ]
        now = self._wall()
        evidence = {"role": request.role, "reason": request.reason}
        rows = [
            OrderEvent(s.order.id, OrderState.ACCEPTED, now, request.issuer, evidence)
            for s in waiting
        ]
        if rows:
            await self._records.add(*rows)
        self._carry_out([s for r in rows if (s := self._records.status(r.order)) is not None])
        return {"approved": [row.order for row in rows]}

    async def answer(self, request: OrderRequest) -> tuple[int, dict[str, Any]]:
        """The HTTP status and body for any request; raises nothing that a caller can cause."""
        try:
            if isinstance(request, DispatchRequest):
                return 200, await self.dispatch(request)
            if isinstance(request, ReleaseRequest):
                return 200, await self.release(request)
            if isinstance(request, CancelRequest):
                return 200, self.cancel(request)
            return 200, await self.approve(request)
        except DispatchOffError as error:
            return 403, {"detail": str(error)}
        except KeyReusedError:
            detail = "this Idempotency-Key came before with another request"
            return 409, {"detail": detail}
        except JournalError as error:
            return 503, {"detail": f"{error}; nothing was sent"}

    def book(self) -> OrderBook:
        """What is known of all orders, to be published."""
        sites: list[SiteOrders] = []
        for name, control in self._controls.items():
            if not control.idle:
                sites.append(view_of(name, control, self._inputs.of(name)))
        return OrderBook(
            mode=self.mode.value,
            journal_failure=self._records.failure,
            counts=dict(self._counts),
            sites=tuple(sites),
            writes=self._around.gate.writes,
            # From 0 on, so that a rate shows the first one as well.
            limits=dict.fromkeys(LIMIT_CODES, 0) | self._limits,
            response_seconds=self._response_seconds,
            foreign=dict(self._foreign.found),
            persistent=tuple(self._inputs.persistent()),
        )

    # -- the rest -------------------------------------------------------------------------------

    def _is_enabled(self, site: str) -> bool:
        found = self._inputs.site(site)
        return found is not None and found.dispatch.enabled

    def _may_hold_one(self, site: str) -> bool:
        """Whether a device may have a set-point in force that nobody here knows of. One that
        outlives a restart is the site's own setting as well, and stays."""
        driver = self._driver_of(site)
        if not isinstance(driver, Writable):
            return False
        known = driver.capabilities()
        name = setpoint_for(OrderAction.RELEASE, known)
        return name is not None and known[name].volatile

    def _took_effect(self, status: OrderStatus, event: OrderEvent) -> None:
        self._counts[event.state.value] += 1
        if event.state in _JUDGED:
            self._limits.update(limit["code"] for limit in event.evidence.get("limits", ()))
        elif event.state is OrderState.SENT:
            self._sent[event.order] = event.time
        elif event.state is OrderState.EFFECTIVE and event.order in self._sent:
            # The wall clock may have stepped back.
            self._response_seconds += max(0.0, event.time - self._sent.pop(event.order))
        elif status.end is not None:
            self._sent.pop(event.order, None)
        self._on_row(status, event)

    async def _known(self, request: DispatchRequest | ReleaseRequest) -> dict[str, Any] | None:
        if not request.key:
            return None
        found = await self._records.remembered(request.issuer, request.key, request.digest)
        return None if found is None else dict(found)

    def _control(self, site: str) -> SiteControl:
        control = self._controls.get(site)
        if control is None:
            control = self._controls[site] = SiteControl(site, self._around)
        return control

    def _carry_out(self, statuses: Sequence[OrderStatus]) -> None:
        for status in statuses:
            if status.end is None:
                self._control(status.order.site).take(status)
                self._work(status.order.site)

    def _work(self, site: str) -> None:
        """Have the control of a site run while it has something to do."""
        task = self._tasks.get(site)
        if task is not None and not task.done():
            return
        self._tasks[site] = asyncio.create_task(self._run(site))

    async def _run(self, site: str) -> None:
        control = self._controls[site]
        while not control.idle:
            await control.run()
        # Nothing is awaited between the last look and this, so that no order is lost.
        if control.idle:
            del self._controls[site]
            del self._tasks[site]

    async def _end(self, sites: Iterable[str], reason: str, seconds: float) -> None:
        """Cancel the orders of sites and wait until their devices are free, or the time is over."""
        controls = [self._controls[site] for site in sites if site in self._controls]
        for control in controls:
            for status in control.statuses:
                control.cancel(status.order.id, "dispatcher", reason)
        end = self._monotonic() + seconds
        while self._monotonic() < end and not all(c.idle for c in controls):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        forced = [c.site for c in controls if not c.at_rest]
        if forced:
            log.error("%s: not known to be released: %s", ", ".join(forced[:20]), reason)

    def _order(
        self, request: DispatchRequest, dispatch: str, one: Admission, now: float, *, dry: bool
    ) -> Order:
        return Order(
            id=f"o-{secrets.token_hex(6)}",
            dispatch=dispatch,
            sequence=self._records.take_sequence(),
            site=one.site,
            action=request.action,
            power_w=one.wanted_w,
            start=request.start if request.start is not None else now,
            expires=request.expires if one.expires is None else one.expires,
            ramp_w_per_s=request.ramp_w_per_s,
            source=request.source,
            issuer=request.issuer,
            role=request.role,
            address=request.address,
            reason=request.reason,
            dry_run=dry,
        )

    def _release_order(
        self, request: ReleaseRequest, dispatch: str, site: str, now: float
    ) -> Order:
        return Order(
            id=f"o-{secrets.token_hex(6)}",
            dispatch=dispatch,
            sequence=self._records.take_sequence(),
            site=site,
            action=OrderAction.RELEASE,
            power_w=0.0,
            start=now,
            expires=now + LONGEST_SECONDS,
            ramp_w_per_s=None,
            source=OrderSource.FALLBACK,
            issuer=request.issuer,
            role=request.role,
            address=request.address,
            reason=request.reason,
            dry_run=False,
        )


# Limits of these rows are those that a request met; later ones belong to an order in force.
_JUDGED = frozenset({OrderState.ACCEPTED, OrderState.AWAITING_APPROVAL, OrderState.REFUSED})
_ACCEPTED = (OrderState.DRAFTED, OrderState.ACCEPTED)


def _row(order: Order, state: OrderState, now: float, **evidence: Any) -> OrderEvent:
    return OrderEvent(order.id, state, now, order.issuer, evidence)


def _first_rows(
    order: Order, one: Admission, request: DispatchRequest, now: float
) -> list[OrderEvent]:
    """The rows with which an order begins."""
    rows = [_row(order, OrderState.DRAFTED, now)]
    if one.refusals:
        return [*rows, _row(order, OrderState.REFUSED, now, **one.evidence())]
    if order.dry_run:
        return [*rows, _row(order, OrderState.DRY, now, **one.evidence())]
    if request.needs_approval:
        return [*rows, _row(order, OrderState.AWAITING_APPROVAL, now, **one.evidence())]
    return [*rows, _row(order, OrderState.ACCEPTED, now, **one.evidence())]


def _answer(
    dispatch: str,
    mode: DispatchMode,
    orders: Sequence[tuple[Order, Sequence[OrderEvent]]],
    found: Sequence[Admission],
    now: float,
    *,
    dry: bool,
) -> dict[str, Any]:
    return {
        "dispatch": dispatch,
        "time": now,
        "mode": mode.value,
        "dry_run": dry,
        "wanted_w": sum(one.wanted_w for one in found),
        "allowed_w": sum(one.allowed_w for one in found),
        "orders": [
            {"id": order.id, "site": order.site, "state": rows[-1].state.value, **one.shown()}
            for (order, rows), one in zip(orders, found, strict=True)
        ],
    }


def _remembered(
    request: DispatchRequest | ReleaseRequest, answer: dict[str, Any]
) -> Remembered | None:
    if not request.key:
        return None
    return Remembered(request.issuer, request.key, request.digest, answer)
