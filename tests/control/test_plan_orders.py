"""Plans become orders of the one dispatcher: approved, mandated, suspended."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.control.gate import DispatchMode
from exporter.control.requests import PlanRequest
from exporter.energy.plan_orders import LIFE_SECONDS, PlanOrders, PlanStanding, at_risk, not_covered
from exporter.energy.plans import SitePlan
from exporter.energy.tariff_file import Mandate
from exporter.model.orders import OrderState
from scoring.plan import Battery, Goal, Mode, Outlook, Plan, bill_of, run
from simulator.controlled import ControlledSite
from tests.control.world import World, heard, listening, modbus_site, until, world_of

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("short_times")]
BATTERY = Battery(10.0, 5.0, 5.0, 1.0, 10.0)
SLOTS = 144
UNTIL = datetime(2100, 1, 1, tzinfo=UTC)


def made(
    site: str = "alpha",
    charge_kw: float = 2.0,
    slots: int = 8,
    *,
    buy: float = 0.1,
    soc: float = 5.0,
) -> SitePlan:
    """A plan that charges from the present quarter hour on, and discharges later."""
    first = int(time.time() // 900)
    modes = [Mode.AUTO] * SLOTS
    power = np.zeros(SLOTS)
    modes[:8], power[:8] = [Mode.CHARGE] * 8, charge_kw
    modes[40:44], power[40:44] = [Mode.DISCHARGE] * 4, -1.5
    ahead = Outlook(
        0.25, np.full(SLOTS, 0.5), np.zeros(SLOTS), np.full(SLOTS, buy), np.full(SLOTS, 0.08)
    )
    course = run(BATTERY, ahead, 5.0, tuple(modes), power)
    bill = bill_of(BATTERY, ahead, course, 5.0)
    reasons = tuple(f"because {mode.value}" for mode in modes)
    plan = Plan(Goal().strategy, tuple(modes), power, reasons, course, bill, bill)
    return SitePlan("alpha", first, plan, ahead, 10.0, "EUR")


class Way:
    """The way of plans to a device, and what the test needs of it."""

    def __init__(self, world: World, played: ControlledSite, folder: Path) -> None:
        self.world = world
        self.played = played
        self.journal = folder / "orders.sqlite"
        self.orders = PlanOrders((), world.wall)

    async def start(self, mode: DispatchMode = DispatchMode.ON, *mandates: Mandate) -> None:
        dispatcher = self.world.begin(self.journal, mode)
        await dispatcher.start()
        self.orders.mandates = mandates
        self.orders.dispatcher = dispatcher

    async def stop(self) -> None:
        assert self.orders.dispatcher is not None
        await self.orders.dispatcher.stop()

    async def ask(self, *, withdraw: bool = False) -> tuple[int, dict[str, Any]]:
        request = PlanRequest(
            issuer="boss",
            role="operator",
            address="192.0.2.9",
            reason="looks right",
            sites=("alpha",),
            withdraw=withdraw,
        )
        return await self.orders.answer(request)

    @property
    def standing(self) -> PlanStanding:
        return self.orders.standings["alpha"].standing

    def ends(self, state: OrderState) -> int:
        return sum(event.state is state for _, event in self.world.rows)

    def note(self, state: OrderState) -> None:
        """Play a row of the journal again, as the dispatcher reports it."""
        status, event = next(r for r in self.world.rows if r[0].order.action == "charge")
        self.orders.note(status, replace(event, state=state))


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[Way]:
    played = ControlledSite(soc_percent=50)
    async with AsyncExitStack() as opened:
        port = await opened.enter_async_context(listening(played))
        world = await opened.enter_async_context(world_of([modbus_site(port, "alpha")]))
        await heard(world)
        yield Way(world, played, tmp_path)


async def test_a_plan_is_a_proposal_until_somebody_approves_it(way: Way) -> None:
    await way.start()
    await way.orders.take(made())
    assert way.standing is PlanStanding.PROPOSED
    assert not way.world.rows
    status, answer = await way.ask()
    assert status == 200
    assert [order["state"] for order in answer["plans"][0]["orders"]] == ["accepted"] * 2
    first = answer["plans"][0]["orders"][0]["id"]
    await way.world.comes_to(first, OrderState.EFFECTIVE)
    order = next(s.order for s, _ in way.world.rows if s.order.id == first)
    assert (order.issuer, order.role, order.source) == ("boss", "operator", "plan")
    assert order.reason == "looks right: because charge"
    assert order.power_w == 2000
    # The next plan waits for an approval of its own, and what was approved goes on.
    await way.orders.take(made(charge_kw=3.0))
    assert way.standing is PlanStanding.APPROVED
    assert way.world.states(first)[-1] == "effective"
    assert (await way.ask(withdraw=True))[0] == 200
    await way.world.comes_to(first, OrderState.RELEASED)
    # It may be followed again.
    again = (await way.ask())[1]["plans"][0]["orders"]
    assert first not in [order["id"] for order in again]
    await way.world.comes_to(again[0]["id"], OrderState.EFFECTIVE)
    await way.stop()
    assert not way.played.forced


async def test_the_switches_of_the_dispatcher_decide(way: Way) -> None:
    await way.start(DispatchMode.DRY, Mandate(until=UNTIL))
    await way.orders.take(made())
    assert way.standing is PlanStanding.MANDATED
    assert way.orders.standings["alpha"].why == "orders: 2 dry"
    await way.stop()
    assert not way.played.writes


async def test_off_is_a_refusal_and_leaves_a_proposal(way: Way) -> None:
    await way.start(DispatchMode.OFF, Mandate(until=UNTIL))
    await way.orders.take(made())
    assert way.standing is PlanStanding.PROPOSED
    assert (await way.ask())[0] == 403
    await way.stop()


async def test_a_mandate_follows_each_plan_and_leaves_what_is_the_same_alone(way: Way) -> None:
    await way.start(DispatchMode.ON, Mandate(sites=("alpha",), until=UNTIL))
    await way.orders.take(made())
    first = way.world.rows[0][1].order
    await way.world.comes_to(first, OrderState.EFFECTIVE)
    await way.orders.take(made(charge_kw=2.05))
    assert way.standing is PlanStanding.MANDATED
    assert way.world.states(first)[-1] == "effective"
    # It was never released in between.
    assert all(value is not None for _, value in way.played.writes)
    # Another power takes its place, and is released in the end.
    await way.orders.take(made(charge_kw=3.0))
    await until(lambda: way.world.states(first)[-1] in ("superseded", "cancelled", "released"))
    await until(lambda: abs(way.played.battery_w - 3000) < 200)
    await way.stop()
    assert not way.played.forced


@pytest.mark.parametrize("trouble", ["silence", "charge", "effect"])
async def test_trouble_suspends_a_plan_and_frees_the_site(way: Way, trouble: str) -> None:
    await way.start(DispatchMode.ON, Mandate(until=UNTIL))
    await way.orders.take(made())
    await way.world.comes_to(way.world.rows[0][1].order, OrderState.EFFECTIVE)
    await way.orders.watch({"alpha": 52.0})
    assert way.standing is PlanStanding.MANDATED
    charge = 52.0
    if trouble == "silence":
        way.orders.standings["alpha"].since -= LIFE_SECONDS
    elif trouble == "charge":
        charge = 20.0
    else:
        way.note(OrderState.INEFFECTIVE)
        way.note(OrderState.EFFECTIVE)
        way.note(OrderState.INEFFECTIVE)
        await way.orders.watch({"alpha": 52.0})
        assert way.standing is PlanStanding.MANDATED
        way.note(OrderState.INEFFECTIVE)
    await way.orders.watch({"alpha": charge})
    assert way.standing is PlanStanding.SUSPENDED
    assert way.orders.standings["alpha"].why
    await until(lambda: way.ends(OrderState.CANCELLED) >= 2)
    await until(lambda: not way.played.forced)
    # A mandate does not lift that; somebody's approval does.
    await way.orders.take(made())
    assert way.standing is PlanStanding.SUSPENDED
    assert (await way.ask())[0] == 200
    assert way.standing is PlanStanding.APPROVED
    stored = [line for _, line in way.orders.lines()]
    assert any('standing="suspended"' in line for line in stored)
    await way.stop()


async def test_orders_without_a_price_are_not_sent(way: Way) -> None:
    await way.start(DispatchMode.ON, Mandate(until=UNTIL))
    await way.orders.take(made(buy=float("nan")))
    assert way.standing is PlanStanding.PROPOSED
    assert "price is unknown" in way.orders.standings["alpha"].why
    assert not way.world.rows
    await way.stop()


def test_what_a_mandate_covers() -> None:
    plan, now = made(), time.time()
    risk = at_risk(plan)
    # Eight quarter hours at 2 kW at 10 ct, and wear of what is discharged.
    assert risk == pytest.approx(0.4 + plan.plan.bill.wear)
    assert not_covered(Mandate(until=UNTIL, most_kw=2.0, most_at_risk=risk), plan, now) == ""
    for mandate, word in (
        (Mandate(until=datetime(2020, 1, 1, tzinfo=UTC)), "ended"),
        (Mandate(until=UNTIL, most_kw=1.9), "2.0 kW"),
        (Mandate(until=UNTIL, most_at_risk=risk - 0.01), "at risk"),
        (Mandate(until=UNTIL, strategy="co2"), "co2"),
    ):
        assert word in not_covered(mandate, plan, now)
