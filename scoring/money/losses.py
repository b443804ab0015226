"""What a battery lost against what it could have earned, by cause and by event.

Sequential counterfactual. The best value at the prices that came is one linear program, knowing all
prices. Then the orders as they were given are played through the plant, first one without any
trouble, then with one more limit at a time; what a limit takes is the loss of its cause. The order
is part of the figure (a plant that is derated while it is out has lost by the outage alone), so it
is fixed and published here: forecast (the best less what the orders could earn), outage, derating,
state of charge, communication, orders not followed, and the rest (what was done less what was
paid).
Within a cause, events are charged in the order in which they began. The order is ours; no standard
has one.

Orders are played, and not planned anew under each limit: a plan that knew of an outage beforehand
would trade around it, and understate what the outage took from those who did not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from scoring.issues import FloatArray
from scoring.money.amounts import rounded

IntArray = NDArray[np.int64]


class LossCause(StrEnum):
    """Where revenue went, in the order in which causes are charged."""

    FORECAST = "forecast"
    OUTAGE = "outage"
    DERATING = "derating"
    SOC = "soc"
    COMMUNICATION = "communication"
    NOT_FOLLOWED = "not_followed"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Plant:
    """A battery as it was bought.

    ``power_kw`` and ``usable_kwh`` are above 0; the efficiencies, one way each, above 0 to 1;
    ``wear_per_kwh`` is what each discharged kWh costs, 0 or more: the best course keeps it in mind,
    and no value contains it. ``lowest_kwh`` and ``highest_kwh`` bound what the plant may hold.
    """

    power_kw: float
    usable_kwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    wear_per_kwh: float = 0.0
    lowest_kwh: float = 0.0
    highest_kwh: float = float("inf")


@dataclass(frozen=True, slots=True)
class Course:
    """What was asked and done, by interval.

    Parameters
    ----------
    price_per_kwh : array of shape (N,)
        No NaN.
    hours : array of shape (N,)
        Lengths.
    ordered_kw, actual_kw : array of shape (N,)
        Discharge positive; NaN where not known, which earns nothing.
    allowed_kw : array of shape (N,)
        Orders after limits that no event explains, of the same sign; NaN where not known, which
        limits nothing.
    first_kwh : float
        Energy at the start.
    """

    price_per_kwh: FloatArray
    hours: FloatArray
    ordered_kw: FloatArray
    actual_kw: FloatArray
    allowed_kw: FloatArray
    first_kwh: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """An event that limited the plant.

    Parameters
    ----------
    cause : LossCause
        OUTAGE or DERATING, which limit power; or COMMUNICATION, in which no order arrives and the
        plant holds at 0.
    first : int
        The first interval that it touches.
    left : array of shape (K,)
        Of that and the following intervals: the share of power, or of orders, that was left, 0
        to 1.
    """

    cause: LossCause
    first: int
    left: FloatArray


@dataclass(frozen=True, slots=True)
class Attribution:
    """One day: the best value, that of the orders, what was paid, and the difference by cause.

    ``losses`` adds up to ``best - paid`` exactly; ``events`` has what each trouble took, in the
    order in which they were given, and is part of ``losses``. A negative part is a gain, such as of
    an order that was not followed and better for it.
    """

    best: Decimal
    planned: Decimal
    paid: Decimal
    losses: Mapping[LossCause, Decimal]
    events: tuple[Decimal, ...]


def best_course(plant: Plant, course: Course) -> FloatArray:
    """The power with which a plant without trouble could have earned most, knowing all prices.

    Returns
    -------
    array of shape (N,)
        kW, discharge positive; NaN where the program has no solution.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, diags_array, hstack

    count = len(course.hours)
    if not count:
        return np.zeros(0)
    hours, price = course.hours, course.price_per_kwh
    into, out = plant.charge_efficiency * hours, hours / plant.discharge_efficiency
    # Charging and discharging at once would burn energy at negative prices.
    one = diags_array(np.ones(count))
    both = hstack([one, one, csr_array((count, count))])
    level = diags_array([np.ones(count), -np.ones(count - 1)], offsets=[0, -1])
    balance = hstack([diags_array(-into), diags_array(out), level])
    start = np.zeros(count)
    start[0] = min(max(course.first_kwh, 0.0), plant.usable_kwh)
    most = np.full(count, plant.power_kw)
    bounds = np.column_stack(
        [
            np.zeros(3 * count),
            np.concatenate([most, most, np.full(count, plant.usable_kwh)]),
        ]
    )
    cost = np.concatenate([price * hours, (plant.wear_per_kwh - price) * hours, np.zeros(count)])
    found = linprog(
        cost,
        A_ub=both,
        b_ub=most,
        A_eq=balance,
        b_eq=start,
        bounds=bounds,
        method="highs",
    )
    if found.status != 0:
        return np.full(count, np.nan)
    power: FloatArray = found.x[count : 2 * count] - found.x[:count]
    return power


def played(
    plant: Plant, course: Course, asked_kw: FloatArray, lowest: FloatArray, highest: FloatArray
) -> FloatArray:
    """Power of a plant that follows orders as far as what it holds allows.

    Parameters
    ----------
    asked_kw : array of shape (S, N)
        Orders within the limits of power, of S cases.
    lowest, highest : array of shape (S,)
        What the plant may hold in each case, kWh. Energy outside may leave towards the limit.

    Returns
    -------
    array of shape (S, N)
        kW, discharge positive.
    """
    level = np.full(len(asked_kw), float(np.clip(course.first_kwh, 0.0, plant.usable_kwh)))
    found = np.zeros_like(asked_kw)
    into = plant.charge_efficiency * course.hours
    out = course.hours / plant.discharge_efficiency
    for n in range(asked_kw.shape[1]):
        asked = asked_kw[:, n]
        room = np.maximum(highest - level, 0.0)
        held = np.maximum(level - lowest, 0.0)
        taken = np.minimum(np.maximum(-asked, 0.0) * into[n], room)
        given = np.minimum(np.maximum(asked, 0.0) * out[n], held)
        level = level + taken - given
        found[:, n] = given / out[n] - taken / into[n]
    return found


def attribution(
    plant: Plant,
    course: Course,
    troubles: Sequence[Trouble],
    day: IntArray,
    paid: Sequence[Decimal],
) -> list[Attribution]:
    """The difference between the best value and what was paid, by day, cause and event.

    Parameters
    ----------
    plant : Plant
    course : Course
    troubles : sequence of Trouble
        Of one cause in the order in which they began.
    day : array of shape (N,)
        The day of each interval, from 0.
    paid : sequence of Decimal, length D
        What was paid for each day.

    Raises
    ------
    ValueError
        If the best course cannot be found.
    """
    steps = list(_steps(plant, course, troubles))
    best = best_course(plant, course)
    if not np.isfinite(best).all():
        raise ValueError("the best course cannot be found")
    lowest = np.array([plant.lowest_kwh if step.window else 0.0 for step in steps])
    top = min(plant.highest_kwh, plant.usable_kwh)
    highest = np.array([top if step.window else plant.usable_kwh for step in steps])
    courses = played(plant, course, np.array([step.asked_kw for step in steps]), lowest, highest)
    power = np.vstack([best, courses, np.nan_to_num(course.actual_kw)])
    worth = power * course.price_per_kwh * course.hours
    by_day = np.array([np.bincount(day, weights=row, minlength=len(paid)) for row in worth])
    return [
        _of_day([rounded(Decimal(f"{v:.9f}")) for v in by_day[:, n]], paid[n], steps, len(troubles))
        for n in range(len(paid))
    ]


@dataclass(frozen=True, slots=True)
class _Step:
    """Orders with one more limit than in the step before, and whose limit that is."""

    cause: LossCause
    trouble: int | None
    asked_kw: FloatArray
    window: bool


def _steps(plant: Plant, course: Course, troubles: Sequence[Trouble]) -> Iterator[_Step]:
    wanted = np.clip(np.nan_to_num(course.ordered_kw), -plant.power_kw, plant.power_kw)
    yield _Step(LossCause.FORECAST, None, wanted, False)
    left = np.ones_like(wanted)
    asked = wanted
    for cause in (LossCause.OUTAGE, LossCause.DERATING):
        for number, trouble in enumerate(troubles):
            if trouble.cause is cause:
                left = _lowered(left, trouble)
                most = plant.power_kw * left
                asked = np.clip(wanted, -most, most)
                yield _Step(cause, number, asked, False)
    bound = np.abs(np.where(np.isnan(course.allowed_kw), asked, course.allowed_kw))
    asked = np.clip(asked, -bound, bound)
    yield _Step(LossCause.DERATING, None, asked, False)
    yield _Step(LossCause.SOC, None, asked, True)
    heard, limited = np.ones_like(wanted), asked
    for number, trouble in enumerate(troubles):
        if trouble.cause is LossCause.COMMUNICATION:
            heard = _lowered(heard, trouble)
            asked = limited * heard
            yield _Step(LossCause.COMMUNICATION, number, asked, True)


def _lowered(left: FloatArray, trouble: Trouble) -> FloatArray:
    lowered = left.copy()
    here = slice(trouble.first, trouble.first + len(trouble.left))
    lowered[here] = np.minimum(lowered[here], trouble.left)
    return lowered


def _of_day(
    marks: Sequence[Decimal], paid: Decimal, steps: Sequence[_Step], troubles: int
) -> Attribution:
    """Differences of the marks of one day: the best, each step, what was done, what was paid."""
    losses = dict.fromkeys(LossCause, Decimal(0))
    events = [Decimal(0)] * troubles
    for step, before, after in zip(steps, marks[:-2], marks[1:-1], strict=True):
        losses[step.cause] += before - after
        if step.trouble is not None:
            events[step.trouble] += before - after
    losses[LossCause.NOT_FOLLOWED] = marks[-2] - marks[-1]
    whole = rounded(paid)
    losses[LossCause.REST] = marks[-1] - whole
    return Attribution(marks[0], marks[1], whole, losses, tuple(events))
