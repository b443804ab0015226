"""Where the energy went that PV should have made: each watt below the expectation has one cause.

Causes are judged in the order of :class:`Cause`, each takes what is left of the gap, and what
nothing explains is the rest, which is negative where more was made than expected. So losses always
add up to expected less measured. What was not observed is in neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

DAY_QUARTERS = 96
AT_LIMIT = 0.97
"""From this share of a limit on, power counts as being at it: meters differ by some percent."""
LITTLE_EXPORT = 0.02
FULL_PERCENT = 98.0
DEAD_BELOW = 0.02
SNOW_BELOW = 0.2
SNOW_AIR_C = 2.0
SNOW_DEPTH_M = 0.01
INVERTER_BELOW = 0.8
SHADE_BELOW = 0.75
SHADE_DAYS = 4
BRIGHT_SHARE = 0.6
"""Of the irradiance of a clear sky: below it all directions give the same light."""
CLIPPED_SLOTS = 8
CLIPPED_WITHIN = 0.01
CLIPPED_SHARE = 0.5
BEYOND = 0.03
BRIGHT_W_M2 = 200.0


class Cause(StrEnum):
    """What took energy, in the order in which it is judged."""

    GRID_LOST = "grid_lost"
    CURTAILED = "curtailed"
    BATTERY_FULL = "battery_full"
    SNOW = "snow"
    OUTAGE = "outage"
    INVERTER = "inverter"
    SHADE = "shade"
    SOILING = "soiling"
    REST = "rest"


CAUSE_LABELS: Mapping[Cause, str] = {
    Cause.GRID_LOST: "grid lost",
    Cause.CURTAILED: "curtailed",
    Cause.BATTERY_FULL: "battery full, nothing fed in",
    Cause.SNOW: "possibly snow",
    Cause.OUTAGE: "no production in the sun",
    Cause.INVERTER: "an inverter or string below the others",
    Cause.SHADE: "possibly shade",
    Cause.SOILING: "possibly dirt",
    Cause.REST: "weather and what nothing explains",
}
FAULTS = (Cause.OUTAGE, Cause.INVERTER)
"""What somebody has to mend; the others are weather, the grid, or somebody's will."""


@dataclass(frozen=True, slots=True, eq=False)
class PvSlots:
    """One site in quarter hours; arrays of shape (N,), NaN where unknown.

    Attributes
    ----------
    possible_w, expected_w : float array
        What the arrays should give, without and with the limit of their inverters.
    measured_w : float array
        Mean over the observed part.
    observed : float array
        Share of the slot that was observed, 0 to 1.
    poa_w_m2, clear_poa_w_m2 : float array
        Irradiance in the plane, and that of a clear sky.
    export_w, load_w, soc_percent : float array
    held_back, grid_lost : bool array
        Its controller holds the PV back; it has lost the grid.
    air_c, snow_m : float array
    quarter : int array
        Quarter hour of the local day, 0 to 95.
    inverters_w : dict of name to float array
        Power of each inverter that has a meter of its own.
    export_limit_w : float
        NaN without one.
    by_weather : bool
        Whether irradiance was measured or forecast; else a clear sky is taken.
    """

    possible_w: FloatArray
    expected_w: FloatArray
    measured_w: FloatArray
    observed: FloatArray
    poa_w_m2: FloatArray
    clear_poa_w_m2: FloatArray
    export_w: FloatArray
    load_w: FloatArray
    soc_percent: FloatArray
    held_back: BoolArray
    grid_lost: BoolArray
    air_c: FloatArray
    snow_m: FloatArray
    quarter: IntArray
    inverters_w: Mapping[str, FloatArray] = field(default_factory=dict)
    export_limit_w: float = np.nan
    by_weather: bool = False

    @property
    def judged(self) -> BoolArray:
        """Slots of which both expectation and power are known."""
        return np.isfinite(self.expected_w) & np.isfinite(self.measured_w) & (self.observed > 0)


@dataclass(frozen=True, slots=True, eq=False)
class PvHabits:
    """What the past of a site teaches of its losses.

    Attributes
    ----------
    shade : float array, shape (96,)
        Share that is missing in each quarter of the day while the sky is clear; 0 where nothing is.
    shares : dict of inverter to float array, shape (96,)
        Usual share of each inverter by quarter of the day; NaN where unknown.
    soiled : float
        Share that dirt takes now, 0 to 1.
    """

    shade: FloatArray = field(default_factory=lambda: np.zeros(DAY_QUARTERS))
    shares: Mapping[str, FloatArray] = field(default_factory=dict)
    soiled: float = 0.0


def curtailed(slots: PvSlots) -> tuple[BoolArray, BoolArray]:
    """Slots in which PV is held back on purpose, and those in which a full battery does it.

    Held back is where the controller says so, or the export stands at its limit. A battery is what
    holds it back where it is full and next to nothing is fed in.
    """
    at_limit = slots.export_w >= AT_LIMIT * slots.export_limit_w
    held = slots.held_back | at_limit
    full = slots.soc_percent >= FULL_PERCENT
    kept = full & ~(slots.export_w > LITTLE_EXPORT * slots.measured_w) & (slots.measured_w > 0)
    return held, kept & ~held


def split_losses(slots: PvSlots, habits: PvHabits) -> dict[Cause, FloatArray]:
    """Watts that each cause took, averaged over the observed part of each slot.

    Returns
    -------
    dict of Cause to float array, shape (N,)
        At least 0 but for the rest. They add up to ``expected_w - measured_w`` where
        :attr:`PvSlots.judged`, and are 0 elsewhere.
    """
    judged = slots.judged
    expected = np.where(judged, slots.expected_w, 0.0)
    gap = np.where(judged, slots.expected_w - slots.measured_w, 0.0)
    left = np.maximum(gap, 0.0)
    held, full = curtailed(slots)
    lit = judged & (expected > 1.0)
    dead = lit & (slots.measured_w < DEAD_BELOW * expected)
    deficit, _ = inverter_deficits(slots, habits)
    bright = slots.poa_w_m2 >= BRIGHT_SHARE * slots.clear_poa_w_m2
    shade = habits.shade[slots.quarter] * np.where(bright, expected, 0.0)
    wanted: dict[Cause, FloatArray] = {
        Cause.GRID_LOST: np.where(slots.grid_lost, left, 0.0),
        Cause.CURTAILED: np.where(held, left, 0.0),
        Cause.BATTERY_FULL: np.where(full, left, 0.0),
        Cause.SNOW: np.where(snowed_in(slots), left, 0.0),
        Cause.OUTAGE: np.where(dead, left, 0.0),
        Cause.INVERTER: deficit,
        Cause.SHADE: shade,
        Cause.SOILING: habits.soiled * expected,
    }
    found: dict[Cause, FloatArray] = {}
    for cause, watts in wanted.items():
        taken = np.minimum(np.nan_to_num(watts), left)
        found[cause] = taken
        left = left - taken
    found[Cause.REST] = gap - sum(found.values())
    return found


def snowed_in(slots: PvSlots) -> BoolArray:
    """Slots that snow may explain: it lies, or a day is freezing, and next to nothing is made.

    Of a slot alone nobody can tell, so the whole of the given time must have made little.
    """
    cold = (slots.snow_m >= SNOW_DEPTH_M) | (np.isnan(slots.snow_m) & (slots.air_c <= SNOW_AIR_C))
    found = np.zeros(len(cold), dtype=np.bool_)
    judged = slots.judged & (slots.expected_w > 0)
    days = np.cumsum(np.append(0, np.diff(slots.quarter) < 0))
    for day in np.unique(days[judged & cold]).tolist():
        here = judged & (days == day)
        expected = float((slots.expected_w * slots.observed)[here].sum())
        made = float((slots.measured_w * slots.observed)[here].sum())
        lying = float(cold[here].mean()) > 0.5
        if lying and made < SNOW_BELOW * expected:
            found |= here & (slots.measured_w < SNOW_BELOW * slots.expected_w)
    return found


def inverter_deficits(slots: PvSlots, habits: PvHabits) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Watts that inverters make less than the others, by their usual shares: all, and by inverter.

    The level is that of the median inverter, or the better one of two. Nothing is found with one.
    """
    count = len(slots.quarter)
    names = [name for name in slots.inverters_w if name in habits.shares]
    nothing = np.zeros(count)
    if len(names) < 2:
        return nothing, dict.fromkeys(names, nothing)
    power = np.stack([slots.inverters_w[name] for name in names])
    share = np.stack([habits.shares[name][slots.quarter] for name in names])
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.where(share > 0.02, power / share, np.nan)
    known = np.isfinite(level).sum(axis=0) >= 2
    usual = np.zeros(count)
    middle = np.nanmax if len(names) == 2 else np.nanmedian
    if known.any():
        usual[known] = middle(level[:, known], axis=0)
    should = share * usual
    low = power < INVERTER_BELOW * should
    deficit = np.where(known & low, should - power, 0.0)
    by_name = dict(zip(names, np.nan_to_num(deficit), strict=True))
    return np.nan_to_num(deficit).sum(axis=0), by_name


def learn_habits(slots: PvSlots, soiled: float = 0.0) -> PvHabits:
    """Shade and shares of inverters by quarter of the day, from some weeks of a site."""
    held, full = curtailed(slots)
    # More than the night's standby, less than what clouds edges do.
    fair = slots.judged & ~held & ~full & ~slots.grid_lost & (slots.poa_w_m2 >= BRIGHT_W_M2)
    return PvHabits(_shade(slots, fair), _shares(slots, fair), soiled)


def _shade(slots: PvSlots, fair: BoolArray) -> FloatArray:
    found = np.zeros(DAY_QUARTERS)
    bright = fair & (slots.poa_w_m2 >= BRIGHT_SHARE * slots.clear_poa_w_m2)
    if not slots.by_weather:
        # Without irradiance only slots that the site itself shows to be clear say anything.
        bright &= slots.measured_w >= 0.25 * slots.expected_w
    bright &= slots.expected_w > 1.0
    if not bright.any():
        return found
    ratio = slots.measured_w[bright] / slots.expected_w[bright]
    quarter = slots.quarter[bright]
    high = float(np.quantile(ratio, 0.75)) if not slots.by_weather else float(np.median(ratio))
    if not high > 0:
        return found
    for place in np.unique(quarter).tolist():
        of_place = ratio[quarter == place]
        if of_place.size >= SHADE_DAYS and np.median(of_place) < SHADE_BELOW * high:
            # The better half of the days: clouds do not come at the same time every day.
            found[place] = max(0.0, 1.0 - float(np.quantile(of_place, 0.75)) / high)
    # Shade lasts: one quarter hour alone is chance.
    beside = np.maximum(np.roll(found, 1), np.roll(found, -1))
    return np.where((found >= 1 - SHADE_BELOW) & (beside >= 1 - SHADE_BELOW), found, 0.0)


def _shares(slots: PvSlots, fair: BoolArray) -> dict[str, FloatArray]:
    if len(slots.inverters_w) < 2:
        return {}
    power = np.stack(list(slots.inverters_w.values()))
    total = power.sum(axis=0)
    used = fair & np.isfinite(total) & (total > 0)
    shares = np.full((len(power), DAY_QUARTERS), np.nan)
    if used.any():
        of_all = power[:, used] / total[used]
        usual = np.median(of_all, axis=1)
        quarter = slots.quarter[used]
        shares[:] = usual[:, None]
        for place in np.unique(quarter).tolist():
            here = quarter == place
            if here.sum() >= SHADE_DAYS:
                shares[:, place] = np.median(of_all[:, here], axis=1)
    return dict(zip(slots.inverters_w, shares, strict=True))


def inferred_limit_w(possible_w: FloatArray, measured_w: FloatArray) -> float:
    """The inverters' limit as the past shows it: power that stands at its highest in many slots
    while the sun would allow more; NaN where it does not.

    Parameters
    ----------
    possible_w, measured_w : float arrays, shape (N,)
    """
    known = np.isfinite(possible_w) & np.isfinite(measured_w)
    if known.sum() < CLIPPED_SLOTS:
        return float("nan")
    highest = float(measured_w[known].max())
    beyond = known & (possible_w > (1 + BEYOND) * highest)
    stands = beyond & (measured_w >= (1 - CLIPPED_WITHIN) * highest)
    # A plant that always makes less than expected has no flat top.
    if highest > 0 and stands.sum() >= max(CLIPPED_SLOTS, CLIPPED_SHARE * beyond.sum()):
        return highest
    return float("nan")


def values_of(
    losses: Mapping[Cause, FloatArray],
    import_w: FloatArray,
    buy: FloatArray,
    sell: FloatArray,
    hours: FloatArray,
) -> dict[Cause, float]:
    """What lost energy would have been worth: it would first have replaced what was bought.

    Parameters
    ----------
    losses : mapping of Cause to float array, shape (N,)
        Of :func:`split_losses`, W. What an earlier cause would have replaced, a later one cannot.
    import_w, buy, sell : float arrays, shape (N,)
        An unknown import replaces nothing; an unknown price is worth nothing.
    hours : float array, shape (N,)
        Observed time of each slot.
    """
    bought = np.nan_to_num(np.maximum(import_w, 0.0))
    price, feed_in = np.nan_to_num(buy), np.nan_to_num(sell)
    found = {}
    for cause, watts in losses.items():
        own = np.minimum(np.maximum(watts, 0.0), bought)
        bought = bought - own
        worth = own * price + (watts - own) * feed_in
        found[cause] = float((worth * hours).sum()) / 1000.0
    return found
