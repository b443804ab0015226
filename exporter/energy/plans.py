"""Plans of sites: the battery and the prices of a site become a plan, and a plan becomes orders.

A plan is a proposal. :func:`order_drafts` gives what the dispatcher takes once it is approved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from exporter.config.fleet import Site
from exporter.control.requests import DispatchRequest
from exporter.energy.forecasts import Issued
from exporter.energy.market_prices import Prices
from exporter.energy.tariff_file import Planning, TariffFile, zone_of_site
from exporter.model.orders import LONGEST_SECONDS, OrderAction, OrderSource
from exporter.store.line_protocol import tag, text
from scoring.fleet_cap import PlanInputs, planned
from scoring.forecast import HORIZON_SLOTS, SLOT_SECONDS
from scoring.plan import Battery, Goal, Mode, Outlook, Plan, Strategy

FloatArray = NDArray[np.float64]

MEASUREMENT = "plan"
SUMMARY = "plan_summary"
HOURS = SLOT_SECONDS / 3600
USUAL_HOURS = 2.0
"""Of a battery whose power nobody gives: so long it takes from full to empty."""
MODES = {Mode.AUTO: 0.0, Mode.HOLD: 1.0, Mode.CHARGE: 2.0, Mode.DISCHARGE: 3.0}
_ACTIONS = {
    Mode.CHARGE: OrderAction.CHARGE,
    Mode.DISCHARGE: OrderAction.DISCHARGE,
    Mode.HOLD: OrderAction.HOLD,
}


@dataclass(frozen=True, slots=True)
class SitePlan:
    """A plan of one site, from ``first`` on, and what it was made of."""

    site: str
    first: int
    plan: Plan
    ahead: Outlook
    capacity_kwh: float
    currency: str


def battery_of(site: Site, planning: Planning) -> Battery | None:
    """The battery of a site as the fleet file describes it; None without one."""
    usable = site.bess.usable_kwh if site.bess is not None else None
    capacity = usable or site.capacity_kwh
    if not capacity:
        return None
    rated = site.bess.rated_kw if site.bess is not None else None
    block = site.dispatch
    low, high = block.soc_floor, block.soc_ceiling
    if site.bess is not None:
        low = max(low, site.bess.soc_min or 0.0)
        high = min(high, site.bess.soc_max or 100.0)
    usual = rated or capacity / USUAL_HOURS
    efficiency = math.sqrt(planning.round_trip_efficiency)
    return Battery(
        capacity_kwh=capacity,
        charge_kw=min(block.max_charge_kw or usual, usual),
        discharge_kw=min(block.max_discharge_kw or usual, usual),
        floor_kwh=capacity * low / 100,
        ceiling_kwh=capacity * high / 100,
        charge_efficiency=efficiency,
        discharge_efficiency=efficiency,
        wear_per_kwh=planning.wear_per_kwh,
        import_kw=math.inf if block.import_limit_kw is None else block.import_limit_kw,
        export_kw=math.inf if block.export_limit_kw is None else block.export_limit_kw,
    )


def inputs_of(
    site: Site,
    forecasts: Mapping[str, Issued],
    soc_percent: float,
    tariffs: TariffFile,
    prices: Mapping[str, Prices],
) -> PlanInputs | None:
    """What the plan of a site is made of; None without a battery, a tariff, a load
    or a grid.

    Parameters
    ----------
    site : Site
    forecasts : mapping of "pv" or "load" to Issued
        A site without PV has none of it.
    soc_percent : float
        NaN is unknown.
    tariffs : TariffFile
    prices : mapping of series name to Prices
    """
    named, load = tariffs.of(site), forecasts.get("load")
    planning = tariffs.planning
    battery = battery_of(site, planning)
    # Off the grid nothing is bought, so that no hour is better than another.
    if named is None or load is None or battery is None or site.off_grid:
        return None
    times = SLOT_SECONDS * np.arange(load.first, load.first + HORIZON_SLOTS, dtype=np.float64)
    zone = zone_of_site(site)
    known = {name: series.at(times) for name, series in prices.items()}
    pv = forecasts.get("pv")
    same = pv is not None and pv.first == load.first
    ahead = Outlook(
        HOURS,
        load_kw=load.watts[:, 1] / 1000,
        pv_kw=pv.watts[:, 1] / 1000 if pv is not None and same else np.zeros(HORIZON_SLOTS),
        buy=named[1].grid.at(times, zone, known),
        sell=named[1].feed_in.at(times, zone, known),
        grams=tariffs.co2.rate.at(times, zone, known) if tariffs.co2 is not None else None,
    )
    goal = Goal(
        Strategy(planning.strategy_of(site.id)),
        reserve_kwh=battery.capacity_kwh * planning.reserve_percent / 100,
        peak_price=planning.peak_price_per_kw,
    )
    labels = [f"{datetime.fromtimestamp(t, UTC).astimezone(zone):%H:%M}" for t in times.tolist()]
    stored = battery.capacity_kwh * soc_percent / 100
    return PlanInputs(battery, ahead, stored, goal, labels)


def plan_site(
    site: Site,
    forecasts: Mapping[str, Issued],
    soc_percent: float,
    tariffs: TariffFile,
    prices: Mapping[str, Prices],
) -> SitePlan | None:
    """The plan of a site by itself from its forecasts on; see :func:`inputs_of`."""
    made = inputs_of(site, forecasts, soc_percent, tariffs, prices)
    if made is None:
        return None
    return site_plan(site, forecasts["load"].first, made, planned(made), tariffs)


def site_plan(
    site: Site, first: int, made: PlanInputs, plan: Plan, tariffs: TariffFile
) -> SitePlan:
    """A plan as that of a site."""
    return SitePlan(site.id, first, plan, made.ahead, made.battery.capacity_kwh, tariffs.currency)


def plan_lines(made: SitePlan) -> list[str]:
    """Lines of a plan, one for each slot, and its summary at the time of its issue."""
    plan, site = made.plan, tag(made.site)
    lines = []
    for n, mode in enumerate(plan.modes):
        course = plan.course
        fields = {
            "mode": MODES[mode],
            "power_w": 1000 * plan.power_kw[n],
            "battery_w": 1000 * course.battery_kw[n],
            "import_w": 1000 * course.import_kw[n],
            "export_w": 1000 * course.export_kw[n],
            "soc_percent": 100 * course.stored_kwh[n] / made.capacity_kwh,
            "buy": made.ahead.buy[n],
            "sell": made.ahead.sell[n],
        }
        shown = ",".join(
            f"{name}={round(float(value), 5)!r}"
            for name, value in fields.items()
            if np.isfinite(value)
        )
        stamp = (made.first + n) * SLOT_SECONDS * 1000
        lines.append(
            f"{MEASUREMENT},site={site} {shown},action={text(mode.value)},"
            f"reason={text(plan.reasons[n])} {stamp}"
        )
    bill, plain = plan.bill, plan.plain
    summary = {
        "saving": plan.saving,
        "cost": bill.energy,
        "plain_cost": plain.energy,
        "wear": bill.wear,
        "plain_wear": plain.wear,
        "stored": bill.stored,
        "plain_stored": plain.stored,
        "co2_kg": bill.co2_kg,
        "plain_co2_kg": plain.co2_kg,
        "orders": float(sum(mode is not Mode.AUTO for mode in plan.modes)),
    }
    shown = ",".join(f"{name}={round(float(value), 5)!r}" for name, value in summary.items())
    lines.append(
        f"{SUMMARY},site={site} {shown},strategy={text(plan.strategy.value)},"
        f"note={text(plan.note)},currency={text(made.currency)} "
        f"{made.first * SLOT_SECONDS * 1000}"
    )
    return lines


def order_drafts(
    made: SitePlan, issuer: str, role: str, *, approved: bool = False
) -> Sequence[DispatchRequest]:
    """What the dispatcher is asked for: one order for each stretch of slots of one mode.

    Slots in which the site follows load and sun are no orders. Each ends by itself; none lasts
    longer than the slots that it was planned for.

    Parameters
    ----------
    made : SitePlan
    issuer, role : str
        Who asks.
    approved : bool
        Whether the plan, or a mandate that covers it, was approved; else each order waits for it.
    """
    plan = made.plan
    drafts = []
    start = 0
    for n in range(1, len(plan.modes) + 1):
        same = (
            n < len(plan.modes)
            and plan.modes[n] is plan.modes[start]
            and abs(plan.power_kw[n] - plan.power_kw[start]) < 0.05
        )
        if same:
            continue
        mode = plan.modes[start]
        if mode in _ACTIONS:
            begin = float((made.first + start) * SLOT_SECONDS)
            drafts.append(
                DispatchRequest(
                    issuer=issuer,
                    role=role,
                    address="",
                    reason=plan.reasons[start],
                    key=f"plan-{made.site}-{made.first + start}",
                    sites=(made.site,),
                    action=_ACTIONS[mode],
                    power_w=abs(round(1000 * float(plan.power_kw[start]))),
                    in_total=False,
                    start=begin,
                    expires=min(float((made.first + n) * SLOT_SECONDS), begin + LONGEST_SECONDS),
                    source=OrderSource.PLAN,
                    dry_run=False,
                    needs_approval=not approved,
                )
            )
        start = n
    return drafts
