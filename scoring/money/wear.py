"""What running a battery takes out of it: equivalent cycles, its warranty's budget, round trip."""

from __future__ import annotations

import math

SECONDS_A_YEAR = 365.25 * 86_400.0


def equivalent_cycles(charged_kwh: float, discharged_kwh: float, usable_kwh: float) -> float:
    """(E_in + E_out) / (2·E_usable): full cycles that the energy put through equals.

    The convention of the contracts, at the meter: half of the throughput, so that what is lost in
    between counts as half a discharge. Warranties that count discharged energy alone give a little
    less; rainflow counting by depth is :func:`scoring.cells.cycles.rainflow_cycles`.

    Parameters
    ----------
    charged_kwh, discharged_kwh : float
        0 or more; NaN where not known.
    usable_kwh : float
        Above 0.

    Raises
    ------
    ValueError
    """
    if not usable_kwh > 0:
        raise ValueError("usable energy must be above 0")
    return (charged_kwh + discharged_kwh) / (2 * usable_kwh)


def cycle_budget(cycles_a_year: float, seconds: float) -> float:
    """Cycles that a warranty allows for a part of a year: by time, a year being 365.25 days.

    Parameters
    ----------
    cycles_a_year : float
        Above 0.
    seconds : float
        0 or more.
    """
    return cycles_a_year * seconds / SECONDS_A_YEAR


def round_trip_efficiency(
    charged_kwh: float, discharged_kwh: float, soc_change: float, usable_kwh: float
) -> float:
    """E_out / (E_in - ΔSOC·E_usable): over many cycles, with ΔSOC at the edges.

    After the Federal Energy Management Program (FEMP), "Battery Energy Storage System Evaluation
    Method", 2024: energy out over energy in; what is left in the battery is ours to take off.

    Parameters
    ----------
    charged_kwh, discharged_kwh : float
        At the same point of measurement; whether it includes auxiliaries is the caller's to say.
    soc_change : float
        State of charge at the end minus that at the start, -1 to 1.
    usable_kwh : float
        Above 0.

    Returns
    -------
    float
        NaN where what was put through is less than a tenth of the usable energy, of which a change
        of the state of charge by a few percent would make any figure.
    """
    put_in = charged_kwh - soc_change * usable_kwh
    if math.isnan(put_in) or put_in < 0.1 * usable_kwh:
        return math.nan
    return discharged_kwh / put_in
