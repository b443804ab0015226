"""Orders of plans: a plan that was approved, or that a mandate covers, goes through the dispatcher.

Everything else stays a proposal. What follows a plan is watched: it is suspended, and the site is
given back to its own control, where no newer plan comes, the charge leaves the plan, or
two orders in a row had no effect.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from exporter.control.dispatcher import Dispatcher
from exporter.control.gate import DispatchMode
from exporter.control.requests import CancelRequest, DispatchRequest, PlanRequest
from exporter.energy.plans import HOURS, SitePlan, order_drafts
from exporter.energy.tariff_file import Mandate
from exporter.model.orders import AT_DEVICE, OrderEvent, OrderSource, OrderState, OrderStatus
from exporter.store.line_protocol import tag, text
from scoring.forecast import SLOT_SECONDS
from scoring.plan import Mode

log = logging.getLogger(__name__)

MEASUREMENT = "plan_state"
PLANNER = "planner"
LIFE_SECONDS = 2.5 * 3600
"""Plans are renewed each hour: two renewals may fail."""
DEVIATION_PERCENT = 15.0
"""Of charge: beyond it what comes is not what was planned for."""
MOST_INEFFECTIVE = 2
SUSPENDED_SECONDS = 86_400.0
_SAME_W = 100.0
_SAME_SHARE = 0.05
_SHORTEST_SECONDS = 30.0


class PlanStanding(StrEnum):
    """Where a plan stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    MANDATED = "mandated"
    SUSPENDED = "suspended"


@dataclass(slots=True)
class Standing:
    """Where the plans of a site stand.

    Attributes
    ----------
    standing : PlanStanding
    why : str
    plan : SitePlan or None
        Which is followed; None after a restart, until the next one.
    since : float
        Unix seconds.
    ineffective : int
        Orders in a row without effect.
    """

    standing: PlanStanding = PlanStanding.PROPOSED
    why: str = ""
    plan: SitePlan | None = None
    since: float = -math.inf
    ineffective: int = 0

    @property
    def followed(self) -> bool:
        """Whether orders of a plan are out."""
        return self.standing in (PlanStanding.APPROVED, PlanStanding.MANDATED)


def at_risk(made: SitePlan) -> float:
    """What is lost if nothing that a plan buys for the battery is ever used: its cost, and wear."""
    plan, ahead = made.plan, made.ahead
    charge = np.array([mode is Mode.CHARGE for mode in plan.modes])
    surplus = np.maximum(np.nan_to_num(ahead.pv_kw - ahead.load_kw), 0.0)
    bought = np.where(charge, np.maximum(plan.course.battery_kw - surplus, 0.0), 0.0)
    cost = np.maximum(np.nan_to_num(ahead.buy), 0.0) * bought * HOURS
    return float(cost.sum()) + max(plan.bill.wear, 0.0)


def not_covered(mandate: Mandate, made: SitePlan, now: float) -> str:
    """Why a mandate does not cover a plan; empty where it does."""
    if now >= mandate.until.timestamp():
        return f"the mandate ended {mandate.until:%Y-%m-%d %H:%M}"
    strategy = made.plan.strategy.value
    if mandate.strategy is not None and strategy != mandate.strategy:
        return f"the mandate is for {mandate.strategy}, the plan for {strategy}"
    most_kw = float(np.abs(made.plan.power_kw).max(initial=0.0))
    if mandate.most_kw is not None and most_kw > mandate.most_kw:
        return f"the plan needs {most_kw:.1f} kW, the mandate allows {mandate.most_kw:g}"
    risk = at_risk(made)
    if mandate.most_at_risk is not None and risk > mandate.most_at_risk:
        return (
            f"{risk:.2f} {made.currency} are at risk, the mandate allows {mandate.most_at_risk:.2f}"
        )
    return ""


def unknown_prices(made: SitePlan) -> str:
    """Why a plan cannot be followed although it is allowed: prices of its orders are unknown."""
    ordered = np.array([mode is not Mode.AUTO for mode in made.plan.modes])
    if (ordered & ~np.isfinite(made.ahead.buy)).any():
        return "the price is unknown in a quarter hour with an order"
    return ""


@dataclass(slots=True)
class PlanOrders:
    """The way of plans to the dispatcher.

    Parameters
    ----------
    mandates : sequence of Mandate
    wall : callable
        Unix seconds.
    dispatcher : Dispatcher or None
        None where no orders are taken.
    """

    mandates: Sequence[Mandate]
    wall: Callable[[], float]
    dispatcher: Dispatcher | None = None
    plans: dict[str, SitePlan] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _lines: list[tuple[str, str]] = field(default_factory=list)

    async def take(self, made: SitePlan) -> None:
        """Take a new plan of a site: follow it where a mandate covers it."""
        async with self._lock:
            await self._take(made)

    async def _take(self, made: SitePlan) -> None:
        self.plans[made.site] = made
        now = self.wall()
        before = self.standings.get(made.site)
        if before is None:
            before = self.standings[made.site] = self._left_by_earlier_run(made.site)
        if before.standing is PlanStanding.SUSPENDED and now < before.since + SUSPENDED_SECONDS:
            return
        why = self._uncovered(made, now)
        if not why:
            await self._follow(made, PlanStanding.MANDATED, PLANNER, "")
        elif before.standing is PlanStanding.MANDATED:
            await self._withdraw(made.site, PlanStanding.PROPOSED, why)
        elif before.standing is PlanStanding.APPROVED and self._open(made.site):
            # What was approved goes on; this one waits for its own approval.
            before.since = now
        else:
            self._set(made.site, PlanStanding.PROPOSED, why)

    async def answer(self, request: PlanRequest) -> tuple[int, dict[str, Any]]:
        """Approve the newest plans of sites, or withdraw what is followed; an HTTP answer."""
        if self.dispatcher is None or self.dispatcher.mode is DispatchMode.OFF:
            return 403, {"detail": "orders are off: FLEETSCOPE_DISPATCH is not set to dry or on"}
        async with self._lock:
            return await self._answer(request, self.dispatcher.mode)

    async def _answer(self, request: PlanRequest, mode: DispatchMode) -> tuple[int, dict[str, Any]]:
        found = []
        for site in request.sites:
            made = self.plans.get(site)
            if request.withdraw:
                await self._withdraw(site, PlanStanding.PROPOSED, f"withdrawn: {request.reason}")
                found.append(self._shown(site, []))
            elif made is None or self.wall() > made.first * SLOT_SECONDS + LIFE_SECONDS:
                return 409, {"detail": f"there is no plan of {site} that is not too old"}
            else:
                orders = await self._follow(
                    made, PlanStanding.APPROVED, request.issuer, request.reason, request
                )
                found.append(self._shown(site, orders))
        return 200, {"mode": mode.value, "plans": found}

    async def watch(self, charge: Mapping[str, float]) -> None:
        """Suspend what must not go on.

        Parameters
        ----------
        charge : mapping of site id to float
            State of charge now, %; NaN is unknown.
        """
        async with self._lock:
            for site, standing in list(self.standings.items()):
                if standing.followed:
                    why = self._trouble(standing, charge.get(site, math.nan))
                    if why:
                        log.warning("the plan of %s is suspended: %s", site, why)
                        await self._withdraw(site, PlanStanding.SUSPENDED, why)

    def note(self, status: OrderStatus, event: OrderEvent) -> None:
        """A row of the journal took effect."""
        standing = self.standings.get(status.order.site)
        if standing is None or status.order.source is not OrderSource.PLAN:
            return
        if event.state is OrderState.EFFECTIVE:
            standing.ineffective = 0
        elif event.state is OrderState.INEFFECTIVE:
            standing.ineffective += 1

    def lines(self) -> list[tuple[str, str]]:
        """Site and line protocol of each change since it was asked last."""
        found, self._lines = self._lines, []
        return found

    # -- the rest -------------------------------------------------------------------------------

    def _uncovered(self, made: SitePlan, now: float) -> str:
        """Why no mandate covers a plan; empty where one does."""
        if self.dispatcher is None or self.dispatcher.mode is DispatchMode.OFF:
            return "orders are off"
        reasons = [
            not_covered(one, made, now)
            for one in self.mandates
            if not one.sites or made.site in one.sites
        ]
        if not reasons:
            return "it waits for approval"
        return min(reasons, key=len) if all(reasons) else unknown_prices(made)

    def _trouble(self, standing: Standing, charge: float) -> str:
        now = self.wall()
        if standing.ineffective >= MOST_INEFFECTIVE:
            return f"{standing.ineffective} orders in a row had no effect"
        if now > standing.since + LIFE_SECONDS:
            return "no newer plan came: forecasts or prices fail"
        made = standing.plan
        if made is None:
            return ""
        slot = int(now // SLOT_SECONDS) - made.first
        if not 0 <= slot < len(made.plan.modes):
            return ""
        share = now / SLOT_SECONDS % 1.0
        stored = made.plan.course.stored_kwh
        end = float(stored[slot])
        begin = float(stored[slot - 1]) if slot else end
        planned = 100.0 * (begin + share * (end - begin)) / made.capacity_kwh
        if abs(charge - planned) > DEVIATION_PERCENT:
            return f"the charge is {charge:.0f} %, the plan has {planned:.0f} %"
        return ""

    def _open(self, site: str) -> list[OrderStatus]:
        """Orders of plans that have not ended."""
        if self.dispatcher is None:
            return []
        return [
            status
            for status in self.dispatcher.open_orders(site)
            if status.order.source is OrderSource.PLAN and status.end is None
        ]

    def _left_by_earlier_run(self, site: str) -> Standing:
        if self._open(site):
            why = "orders of an earlier run"
            return Standing(PlanStanding.APPROVED, why, since=self.wall())
        return Standing()

    async def _follow(
        self,
        made: SitePlan,
        standing: PlanStanding,
        issuer: str,
        reason: str,
        request: PlanRequest | None = None,
    ) -> list[dict[str, Any]]:
        """Order what a plan says, then end what an older one said; answers the orders."""
        assert self.dispatcher is not None  # only with a dispatcher is anything followed
        now = self.wall()
        open_before = self._open(made.site)
        role = request.role if request is not None else "mandate"
        address = request.address if request is not None else ""
        kept: set[str] = set()
        found: list[dict[str, Any]] = []
        for draft in order_drafts(made, issuer, role, approved=True):
            left = self._still_ahead(draft, open_before, kept, now)
            if left is None:
                continue
            why = f"{reason}: {left.reason}" if reason else left.reason
            # Without a key: the same plan may be followed again after it was withdrawn.
            asked = replace(left, address=address, reason=why[:500], key="")
            status, body = await self.dispatcher.answer(asked)
            found += body.get("orders", []) if status == 200 else []
            if status != 200:
                log.error("an order of the plan of %s: %s", made.site, body.get("detail"))
        ended = tuple(s.order.id for s in open_before if s.order.id not in kept)
        if ended:
            self._cancel(ended, issuer, "a newer plan")
        entry = self._set(made.site, standing, _outcome(found, kept))
        entry.plan, entry.since = made, now
        if request is not None:
            entry.ineffective = 0
        return found

    def _still_ahead(
        self,
        draft: DispatchRequest,
        open_before: Sequence[OrderStatus],
        kept: set[str],
        now: float,
    ) -> DispatchRequest | None:
        """What of a draft is to be ordered: not its past, and not what is in force already."""
        assert draft.start is not None  # slots have a beginning
        if draft.expires <= now + _SHORTEST_SECONDS:
            return None
        if draft.start > now:
            return draft
        for status in open_before:
            order = status.order
            near = abs(abs(order.power_w) - draft.power_w) <= max(
                _SAME_W, _SAME_SHARE * draft.power_w
            )
            alike = order.action is draft.action and near and status.state in AT_DEVICE
            if alike and order.start <= now and now < order.expires <= draft.expires:
                # It stays as it is, and what follows it begins at its end.
                kept.add(order.id)
                if draft.expires - order.expires < _SHORTEST_SECONDS:
                    return None
                return replace(draft, start=order.expires)
        return replace(draft, start=None)

    async def _withdraw(self, site: str, standing: PlanStanding, why: str) -> None:
        ended = tuple(status.order.id for status in self._open(site))
        if ended:
            self._cancel(ended, PLANNER, why)
        entry = self._set(site, standing, why)
        entry.plan, entry.since, entry.ineffective = None, self.wall(), 0

    def _cancel(self, orders: tuple[str, ...], issuer: str, reason: str) -> None:
        assert self.dispatcher is not None  # orders are open
        request = CancelRequest(
            issuer=issuer, role="", address="", reason=reason[:500], orders=orders
        )
        self.dispatcher.cancel(request)

    def _set(self, site: str, standing: PlanStanding, why: str) -> Standing:
        entry = self.standings.setdefault(site, Standing())
        if (entry.standing, entry.why) != (standing, why) or not entry.since > -math.inf:
            stamp = round(self.wall() * 1000)
            fields = f"standing={text(standing.value)},why={text(why)}"
            self._lines.append((site, f"{MEASUREMENT},site={tag(site)} {fields} {stamp}"))
        entry.standing, entry.why = standing, why
        return entry

    def _shown(self, site: str, orders: Sequence[dict[str, Any]]) -> dict[str, Any]:
        entry = self.standings.get(site, Standing())
        return {
            "site": site,
            "standing": entry.standing.value,
            "why": entry.why,
            "orders": [{"id": one["id"], "state": one["state"]} for one in orders],
        }


def _outcome(orders: Sequence[dict[str, Any]], kept: set[str]) -> str:
    """What became of the orders of a plan, in words."""
    if not orders and not kept:
        return "it follows load and sun: no orders"
    counts: dict[str, int] = {}
    for one in orders:
        counts[one["state"]] = counts.get(one["state"], 0) + 1
    parts = [f"{count} {state}" for state, count in sorted(counts.items())]
    refused = next((one for one in orders if one["state"] == "refused"), None)
    if refused is not None and refused.get("limits"):
        parts.append(str(refused["limits"][0]["sentence"]))
    if kept:
        parts.append(f"{len(kept)} kept")
    return "orders: " + ", ".join(parts)
