"""From an outlook to a plan that anyone can check: modes, powers, a reason for each slot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scoring.plan import (
    CLOSE_KW,
    LEAST_SAVING,
    LEAST_SAVING_SHARE,
    Battery,
    Bill,
    Course,
    Goal,
    Mode,
    Outlook,
    Plan,
    Strategy,
    bill_of,
    optimise,
    run,
)

FloatArray = NDArray[np.float64]

FOLLOWS = "follows load and sun"
FLEET_LIMIT = "keeps the fleet below its limit"
_MOST_KW = 1e6
_MOST_PRICE = 1e4
_LEAST_CO2_SHARE = 0.005


def make_plan(
    battery: Battery,
    ahead: Outlook,
    stored_kwh: float,
    goal: Goal,
    labels: Sequence[str],
    surcharge: FloatArray | None = None,
) -> Plan:
    """The best plan for a goal, or plain self-consumption and why.

    Whatever comes in gives a plan: what is missing or impossible is replaced, and said in the note.

    Parameters
    ----------
    battery : Battery
    ahead : Outlook
        May hold NaN.
    stored_kwh : float
        In the battery now; NaN is unknown.
    goal : Goal
    labels : sequence of str
        When each slot begins, in words.
    surcharge : float array, shape (N,), optional
        On the price of energy from the grid, for deciding alone: what nobody pays, so that a fleet
        keeps below a limit.
    """
    ahead, notes = _sound(ahead)
    priced = ahead if surcharge is None else replace(ahead, buy=ahead.buy + surcharge)
    battery, battery_note = _possible(battery)
    notes += battery_note
    known = math.isfinite(stored_kwh)
    stored = min(max(stored_kwh, 0.0), battery.capacity_kwh) if known else battery.floor_kwh
    if not known:
        notes.append("the charge of the battery is unknown: the site follows load and sun")
    plain_course = run(battery, ahead, stored)
    plain = bill_of(battery, ahead, plain_course, stored)

    def follows(why: str) -> Plan:
        count = len(ahead.load_kw)
        note = "; ".join([*notes, *([why] if why else []), *_limits(battery, plain_course)])
        return Plan(
            goal.strategy,
            (Mode.AUTO,) * count,
            np.zeros(count),
            (FOLLOWS,) * count,
            plain_course,
            plain,
            plain,
            note,
        )

    if not known or battery_note or not len(ahead.load_kw):
        return follows("")
    if goal.strategy is Strategy.SELF_CONSUMPTION:
        return follows("")
    target = optimise(battery, priced, stored, goal)
    if target is None:
        return follows("no better course was found in the time allowed")
    modes, power = _modes(battery, ahead, stored, target)
    modes, power = _fewest(battery, priced, stored, goal, modes, power)
    course = run(battery, ahead, stored, modes, power)
    decisive = [bill_of(battery, priced, one, stored) for one in (course, plain_course)]
    if not _worth_it(goal, *decisive):
        return follows("nothing better than following load and sun")
    bill = bill_of(battery, ahead, course, stored)
    reasons = _reasons(battery, ahead, goal, modes, course, labels)
    if surcharge is not None:
        reasons = tuple(
            FLEET_LIMIT if extra > 0 and mode in (Mode.DISCHARGE, Mode.HOLD) else reason
            for reason, mode, extra in zip(reasons, modes, surcharge.tolist(), strict=True)
        )
    note = "; ".join([*notes, *_limits(battery, course)])
    return Plan(goal.strategy, modes, power, reasons, course, bill, plain, note)


def _sound(ahead: Outlook) -> tuple[Outlook, list[str]]:
    """The outlook without NaN and beyond-physics, and what was replaced."""
    notes = []

    def filled(values: FloatArray, what: str, usual: float, most: float, low: float) -> FloatArray:
        bad = ~np.isfinite(values)
        if bad.any():
            notes.append(f"{what} is unknown in {int(bad.sum())} of {len(values)} slots")
        return np.clip(np.where(bad, usual, values), low, most)

    def middle(values: FloatArray) -> float:
        known = values[np.isfinite(values)]
        return float(np.median(known)) if known.size else 0.0

    load, pv = ahead.load_kw, ahead.pv_kw
    made = replace(
        ahead,
        load_kw=filled(load, "the load", max(middle(load), 0.0), _MOST_KW, 0.0),
        pv_kw=filled(pv, "PV", 0.0, _MOST_KW, 0.0),
        buy=filled(ahead.buy, "the price", middle(ahead.buy), _MOST_PRICE, -_MOST_PRICE),
        sell=filled(ahead.sell, "the price of feed-in", 0.0, _MOST_PRICE, -_MOST_PRICE),
        grams=None
        if ahead.grams is None
        else filled(ahead.grams, "CO2", middle(ahead.grams), 1e5, 0.0),
    )
    return made, notes


def _possible(battery: Battery) -> tuple[Battery, list[str]]:
    """The battery within physics; the note says why it cannot be planned for."""

    def size(value: float, most: float = _MOST_KW) -> float:
        return min(max(value, 0.0), most) if not math.isnan(value) else 0.0

    capacity = size(battery.capacity_kwh)
    ceiling = min(size(battery.ceiling_kwh), capacity)
    limits = [
        math.inf if math.isnan(x) else max(x, 0.0) for x in (battery.import_kw, battery.export_kw)
    ]
    efficiencies = [
        min(max(x, 0.5), 1.0) if math.isfinite(x) else 0.95
        for x in (battery.charge_efficiency, battery.discharge_efficiency)
    ]
    made = Battery(
        capacity_kwh=capacity,
        charge_kw=size(battery.charge_kw),
        discharge_kw=size(battery.discharge_kw),
        floor_kwh=min(size(battery.floor_kwh), ceiling),
        ceiling_kwh=ceiling,
        charge_efficiency=efficiencies[0],
        discharge_efficiency=efficiencies[1],
        wear_per_kwh=size(battery.wear_per_kwh),
        import_kw=limits[0],
        export_kw=limits[1],
    )
    if capacity == 0 or (made.charge_kw == 0 and made.discharge_kw == 0):
        return made, ["the battery has no capacity or no power: there is nothing to plan"]
    return made, []


def _modes(
    battery: Battery, ahead: Outlook, stored: float, target: FloatArray
) -> tuple[tuple[Mode, ...], FloatArray]:
    """Modes that give the target; where self-consumption would do the same, it is left to it."""
    modes: list[Mode] = []
    power = np.zeros(len(target))
    for n, wanted in enumerate(target.tolist()):
        one = Outlook(
            ahead.hours,
            *(v[n : n + 1] for v in (ahead.load_kw, ahead.pv_kw, ahead.buy, ahead.sell)),
        )
        own = run(battery, one, stored)
        close = max(CLOSE_KW, 0.02 * abs(wanted))
        if abs(float(own.battery_kw[0]) - wanted) <= close:
            modes.append(Mode.AUTO)
        elif abs(wanted) <= CLOSE_KW:
            modes.append(Mode.HOLD)
        else:
            modes.append(Mode.CHARGE if wanted > 0 else Mode.DISCHARGE)
            power[n] = wanted
        done = run(battery, one, stored, (modes[-1],), power[n : n + 1])
        stored = float(done.stored_kwh[0])
    return tuple(modes), power


def _fewest(
    battery: Battery,
    ahead: Outlook,
    stored: float,
    goal: Goal,
    modes: tuple[Mode, ...],
    power: FloatArray,
) -> tuple[tuple[Mode, ...], FloatArray]:
    """The same plan without stretches that are hardly worth their orders: an order that is sure to
    come and a saving that hangs on a forecast are no fair exchange."""
    if goal.strategy is not Strategy.COST:
        return modes, power
    best = bill_of(battery, ahead, run(battery, ahead, stored, modes, power), stored).total
    starts = [n for n in range(len(modes)) if n == 0 or modes[n] is not modes[n - 1]]
    for start, stop in zip(starts, [*starts[1:], len(modes)], strict=True):
        if modes[start] is Mode.AUTO:
            continue
        tried = (*modes[:start], *[Mode.AUTO] * (stop - start), *modes[stop:])
        without = np.concatenate((power[:start], np.zeros(stop - start), power[stop:]))
        total = bill_of(battery, ahead, run(battery, ahead, stored, tried, without), stored).total
        if total <= best + LEAST_SAVING * (stop - start) ** 0.5:
            modes, power, best = tried, without, total
    return modes, power


def _worth_it(goal: Goal, bill: Bill, plain: Bill) -> bool:
    """Whether a plan is better than plain self-consumption in what it aims at."""
    saving = plain.total - bill.total
    least = max(LEAST_SAVING, LEAST_SAVING_SHARE * abs(plain.energy))
    if goal.strategy is Strategy.CO2:
        return plain.co2_kg - bill.co2_kg > _LEAST_CO2_SHARE * max(plain.co2_kg, 0.1)
    if goal.strategy is Strategy.PEAK_SHAVING:
        lower = max(plain.peak_kw, goal.peak_kw) - max(bill.peak_kw, goal.peak_kw)
        return saving + goal.peak_price * lower > least
    if goal.strategy is Strategy.BACKUP_RESERVE:
        return True
    return saving > least


def _limits(battery: Battery, course: Course) -> list[str]:
    """What cannot be held."""
    found = []
    if (worst := float(course.unserved_kw.max(initial=0.0))) > CLOSE_KW:
        found.append(f"the load exceeds what the connection and the battery give by {worst:.1f} kW")
    if (worst := float(course.spilled_kw.max(initial=0.0))) > CLOSE_KW:
        found.append(f"PV exceeds what can be used, stored and fed in by {worst:.1f} kW")
    low = battery.floor_kwh - float(course.stored_kwh.min(initial=math.inf))
    if low > 1e-3:
        found.append(f"the charge is {low:.1f} kWh below its floor for a while")
    return found


def _reasons(
    battery: Battery,
    ahead: Outlook,
    goal: Goal,
    modes: Sequence[Mode],
    course: Course,
    labels: Sequence[str],
) -> tuple[str, ...]:
    """Why each slot is as it is, by what is bought, sold and kept."""
    buy = ahead.buy
    unit = "a kWh costs"
    if goal.strategy is Strategy.CO2 and ahead.grams is not None:
        buy, unit = ahead.grams, "grams of CO2 a kWh are"
    uses = np.flatnonzero(course.battery_kw < -CLOSE_KW)
    found = []
    for n, mode in enumerate(modes):
        later = uses[uses > n]
        best = int(later[np.argmax(buy[later])]) if later.size else None
        then = (
            f"{labels[best]}, when {unit} {buy[best]:.3g}" if best is not None else "after the plan"
        )
        found.append(_reason(battery, ahead, goal, mode, course, n, then, buy[n]))
    return tuple(found)


def _reason(
    battery: Battery,
    ahead: Outlook,
    goal: Goal,
    mode: Mode,
    course: Course,
    n: int,
    then: str,
    price: float,
) -> str:
    if mode is Mode.AUTO:
        return FOLLOWS
    surplus = float(ahead.pv_kw[n] - ahead.load_kw[n])
    reserve = max(goal.reserve_kwh, battery.floor_kwh)
    if goal.strategy is Strategy.PEAK_SHAVING and mode is not Mode.CHARGE:
        return f"keeps the import at {course.import_kw.max():.1f} kW or below"
    if goal.strategy is Strategy.BACKUP_RESERVE and course.stored_kwh[n] <= reserve + 0.05:
        return f"keeps the reserve of {goal.reserve_kwh:.1f} kWh"
    of_mode = {
        Mode.CHARGE: (
            f"stores part of the sun and feeds in the rest at {ahead.sell[n]:.3g}"
            if surplus >= float(course.battery_kw[n]) - CLOSE_KW
            else f"charges at {price:.3g} for {then}"
        ),
        Mode.DISCHARGE: (
            f"feeds in at {ahead.sell[n]:.3g}"
            if float(course.export_kw[n]) > CLOSE_KW
            else f"covers part of the load and keeps the rest for {then}"
        ),
        Mode.HOLD: (
            f"feeds the sun in at {ahead.sell[n]:.3g} and leaves room in the battery"
            if surplus > CLOSE_KW
            else f"keeps the charge for {then}"
        ),
    }
    return of_mode[mode]
