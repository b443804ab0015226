"""What a battery lost against what it could have earned, by cause.

Sequential counterfactual: the best value at the prices that came is worked out by one linear
program, each time with one more limit that held; what a limit takes is the loss of its cause. The
order is part of the figure (a day that is both without communication and derated is a loss by
derating first), so it is fixed and published here: outage, derating, state of charge,
communication; then what the orders as given were worth, what was done, and what was paid. The order
and the program are ours; no standard has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from scoring.issues import FloatArray
from scoring.money.amounts import rounded


class LossCause(StrEnum):
    """Where revenue went, in the order in which causes are charged."""

    OUTAGE = "outage"
    DERATING = "derating"
    SOC = "soc"
    COMMUNICATION = "communication"
    FORECAST = "forecast"
    NOT_FOLLOWED = "not_followed"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Plant:
    """A battery as it was bought.

    ``power_kw`` and ``usable_kwh`` are above 0; the efficiencies, one way each, above 0 to 1;
    ``wear_per_kwh`` is what each discharged kWh costs, 0 or more.
    """

    power_kw: float
    usable_kwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    wear_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """What happened, by interval.

    Parameters
    ----------
    price_per_kwh : array of shape (N,)
        No NaN: an interval without a price is left out.
    hours : array of shape (N,)
        Lengths.
    down : array of bool, shape (N,)
        The plant was out.
    available_kw : array of shape (N,)
        Power that it could give; NaN where that is not known, which limits nothing.
    lowest_kwh, highest_kwh : array of shape (N,)
        Energy that it could go down and up to by the end of the interval; NaN as above.
    unreachable : array of bool, shape (N,)
        No order could reach it.
    ordered_kw, actual_kw : array of shape (N,)
        Discharge positive; NaN where not known, which earns nothing.
    first_kwh : float
        Energy at the start.
    """

    price_per_kwh: FloatArray
    hours: FloatArray
    down: NDArray[np.bool_]
    available_kw: FloatArray
    lowest_kwh: FloatArray
    highest_kwh: FloatArray
    unreachable: NDArray[np.bool_]
    ordered_kw: FloatArray
    actual_kw: FloatArray
    first_kwh: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """The best value, what was paid, and the difference by cause, which adds up exactly.

    A negative part is a gain, such as of an order that was not followed and better for it.
    """

    best: Decimal
    paid: Decimal
    losses: Mapping[LossCause, Decimal]


def best_value(
    plant: Plant,
    course: Course,
    most_kw: FloatArray,
    lowest_kwh: FloatArray,
    highest_kwh: FloatArray,
) -> float:
    """The most that a battery could earn within limits, knowing all prices.

    Where the limits cannot all be kept (less energy at the start than they ask for), they are
    widened to what can be reached.

    Parameters
    ----------
    plant : Plant
    course : Course
        Of which prices, lengths and the first energy are used.
    most_kw, lowest_kwh, highest_kwh : array of shape (N,)
        Limits of each interval, without NaN.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, diags_array, hstack, vstack

    count = len(course.hours)
    if not count:
        return 0.0
    hours, price = course.hours, course.price_per_kwh
    into, out = plant.charge_efficiency * hours, hours / plant.discharge_efficiency
    # Charging and discharging at once would burn energy at negative prices.
    one = diags_array(np.ones(count))
    both = hstack([one, one, csr_array((count, count))])
    level = diags_array([np.ones(count), -np.ones(count - 1)], offsets=[0, -1])
    balance = hstack([diags_array(-into), diags_array(out), level])
    start = np.zeros(count)
    start[0] = course.first_kwh
    reach_up = course.first_kwh + np.cumsum(into * most_kw)
    reach_down = course.first_kwh - np.cumsum(out * most_kw)
    low = np.minimum(np.maximum(lowest_kwh, 0.0), reach_up)
    high = np.maximum(np.minimum(highest_kwh, plant.usable_kwh), reach_down)
    high = np.maximum(high, low)
    bounds = np.column_stack(
        [
            np.concatenate([np.zeros(2 * count), low]),
            np.concatenate([most_kw, most_kw, high]),
        ]
    )
    cost = np.concatenate([price * hours, (plant.wear_per_kwh - price) * hours, np.zeros(count)])
    found = linprog(
        cost,
        A_ub=vstack([both]),
        b_ub=most_kw,
        A_eq=balance,
        b_eq=start,
        bounds=bounds,
        method="highs",
    )
    return -float(found.fun) if found.status == 0 else float("nan")


def attribution(plant: Plant, course: Course, paid: Decimal) -> Attribution:
    """The difference between the best value and what was paid, by cause.

    Parameters
    ----------
    plant : Plant
    course : Course
    paid : Decimal
        What the statement paid for the same intervals.

    Raises
    ------
    ValueError
        If a limit can be kept by no course at all.
    """
    rated = np.full(len(course.hours), plant.power_kw)
    floor, ceiling = np.zeros_like(rated), np.full_like(rated, plant.usable_kwh)
    up = np.where(course.down, 0.0, rated)
    derated = np.fmin(up, course.available_kw)
    low = np.fmax(floor, course.lowest_kwh)
    high = np.fmin(ceiling, course.highest_kwh)
    reachable = np.where(course.unreachable, 0.0, derated)
    values = [
        best_value(plant, course, rated, floor, ceiling),
        best_value(plant, course, up, floor, ceiling),
        best_value(plant, course, derated, floor, ceiling),
        best_value(plant, course, derated, low, high),
        best_value(plant, course, reachable, low, high),
        _worth(plant, course, course.ordered_kw),
        _worth(plant, course, course.actual_kw),
    ]
    if not np.isfinite(values).all():
        raise ValueError("the limits of some interval can be kept by no course")
    marks = [rounded(Decimal(f"{value:.9f}")) for value in values] + [rounded(paid)]
    losses = {
        cause: before - after
        for cause, before, after in zip(LossCause, marks[:-1], marks[1:], strict=True)
    }
    return Attribution(best=marks[0], paid=marks[-1], losses=losses)


def _worth(plant: Plant, course: Course, power_kw: FloatArray) -> float:
    energy = np.nan_to_num(power_kw) * course.hours
    return float((course.price_per_kwh * energy - plant.wear_per_kwh * energy.clip(0.0)).sum())
