"""A limit on what a fleet draws from the grid together: plans of sites give way to it, one by one.

Sites are independent but for the limit, which works as a price: where it is tight, energy from the
grid costs more for deciding, and what a site would still charge there is cut to the room that all
others leave. Nothing is paid for it, and bills are at the real prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scoring.plan import CLOSE_KW, Battery, Goal, Mode, Outlook, Plan, bill_of, run
from scoring.planning import make_plan

FloatArray = NDArray[np.float64]

SURCHARGE = 0.5
"""Per kWh, beyond what a day's prices differ by: who can do without the grid there does."""


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """What the plan of one site is made of; see :func:`scoring.planning.make_plan`."""

    battery: Battery
    ahead: Outlook
    stored_kwh: float
    goal: Goal
    labels: Sequence[str]


def planned(one: PlanInputs, surcharge: FloatArray | None = None) -> Plan:
    """Its plan by itself."""
    return make_plan(one.battery, one.ahead, one.stored_kwh, one.goal, one.labels, surcharge)


def below_limit(
    inputs: Sequence[PlanInputs], plans: Sequence[Plan], limit_kw: float
) -> tuple[list[Plan], FloatArray]:
    """Plans that draw no more than a limit together where batteries can do that.

    Parameters
    ----------
    inputs, plans : sequences of S
        Of sites, and their plans by themselves, over the same slots.
    limit_kw : float

    Returns
    -------
    list of S Plan, and float array, shape (N,)
        The latter is what is drawn above the limit all the same, kW: load beyond what batteries
        hold.
    """
    found = list(plans)
    if not found:
        return found, np.zeros(0)
    total = np.sum([plan.course.import_kw for plan in found], axis=0)
    if (total <= limit_kw).all():
        return found, np.zeros(len(total))
    # Those that draw most where it is tight give way first.
    tight = total > limit_kw
    order = np.argsort([-float(plan.course.import_kw[tight].sum()) for plan in found])
    for place in order.tolist():
        one, plan = inputs[place], found[place]
        others = total - plan.course.import_kw
        if (total <= limit_kw + CLOSE_KW).all():
            break
        # What fills the room that is left must not fill it twice.
        full = others + one.battery.charge_kw > limit_kw
        again = planned(one, np.where(full | (total > limit_kw), SURCHARGE, 0.0))
        again = _within(one, again, np.maximum(limit_kw - others, 0.0))
        before = np.maximum(total - limit_kw, 0.0).sum()
        after = np.maximum(others + again.course.import_kw - limit_kw, 0.0).sum()
        if after < before:
            found[place] = again
            total = others + again.course.import_kw
    return found, np.maximum(total - limit_kw, 0.0)


def _within(one: PlanInputs, plan: Plan, room_kw: FloatArray) -> Plan:
    """The plan with no more charging from the grid than there is room for."""
    if np.isnan(one.stored_kwh):
        return plan
    excess = np.maximum(plan.course.import_kw - room_kw, 0.0)
    charges = np.array([mode is Mode.CHARGE for mode in plan.modes])
    cut = charges & (excess > CLOSE_KW)
    if not cut.any():
        return plan
    power = np.where(cut, np.maximum(plan.course.battery_kw - excess, 0.0), plan.power_kw)
    course = run(one.battery, one.ahead, one.stored_kwh, plan.modes, power)
    bill = bill_of(one.battery, one.ahead, course, one.stored_kwh)
    return replace(plan, power_kw=power, course=course, bill=bill)
