"""PV of whole days beside the neighbours, against a site's own past: dirt, and losses that came at
once.

What an array makes beside its neighbours depends on its direction, its shade and its inverter, of
which a fleet file often knows nothing. A site's own days know all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.slopes import CERTAIN_Z, slope_interval
from scoring.sun_timing import SUNNY_RATIO

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FEWEST_NEIGHBOURS = 3
SOILING_DAYS = 5
AT_ONCE = 0.1
"""Share of a loss that each half of the window must have at least; else it came at once."""
RECENT_DAYS, RECENT_WITHIN = 3, 7
"""Days that must all be low, of so many past ones at most: weather and snow pass sooner."""
USUAL_DAYS, LEAST_USUAL_DAYS = 14, 5
"""The oldest days of the window that say what is usual, so that a loss does not soon become so."""
USUAL_QUANTILE = 0.25
"""Of those days: a site whose days differ much must fall below its worse ones."""
ALIKE = 0.6
"""Days are alike of which the sun allowed as much, to this factor: of a battery that is full by
noon only the morning counts, and an array to the west is low on every morning."""
RELEASE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class PvPast:
    """Energy by day, arrays of shape (N, D), the oldest day first.

    Attributes
    ----------
    expected_wh : float array
        What a clear sky allowed while nothing held PV back, Wh.
    ratio : float array
        Made of that, at least 0; NaN where nothing was counted.
    level : float array
        Median ratio of the neighbourhood; NaN where it has too few values.
    """

    expected_wh: FloatArray
    ratio: FloatArray
    level: FloatArray

    @classmethod
    def of(cls, made_wh: FloatArray, expected_wh: FloatArray, neighbourhood: IntArray) -> PvPast:
        """From sums by day and the number of each site's region, -1 in none."""
        ratio = np.full(made_wh.shape, np.nan)
        np.divide(made_wh, expected_wh, out=ratio, where=expected_wh >= 1.0)
        # A day with little light says nothing, and neither does an array that makes nothing.
        lit = np.where(ratio < SUNNY_RATIO, np.nan, ratio)
        return cls(expected_wh, ratio, neighbour_median(lit, neighbourhood))

    def before(self, days: int) -> PvPast:
        """The first so many days."""
        return PvPast(self.expected_wh[:, :days], self.ratio[:, :days], self.level[:, :days])

    def soiling(self) -> FloatArray:
        """Share of the yield lost beside the neighbours over the window, by its trend, (N,).

        A loss that came at once is no soiling: the middle of the window must lie between its ends.
        A trend is believed whose 99 % interval leaves at least half of it. NaN with too few days.
        """
        relative = np.where(self.ratio < SUNNY_RATIO, np.nan, self.ratio) / self.level
        lost = np.full(len(relative), np.nan)
        for row in np.flatnonzero((~np.isnan(relative)).sum(axis=1) >= 4 * SOILING_DAYS).tolist():
            lost[row] = _slow_loss(relative[row][~np.isnan(relative[row])])
        return lost

    def fallen(self, usual: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """The yield of the last days beside the neighbours, of what is usual at the site itself.

        Parameters
        ----------
        usual : float array, shape (N,), optional
            What is usual where that was found before, so that a loss that lasts for weeks does not
            become it; NaN elsewhere.

        Returns
        -------
        tuple of two float arrays, shape (N,)
            The best of the last three days that say something, of what is usual, at least 0; and
            what is usual, as a ratio to the neighbours. NaN with fewer days, or with fewer than
            five older ones that are like them.
        """
        count, days = self.ratio.shape
        nothing = np.full(count, np.nan)
        if not days:
            return nothing, nothing
        relative = self.ratio / self.level
        known = ~np.isnan(relative)
        to_come = known[:, ::-1].cumsum(axis=1)[:, ::-1]
        recent = known & (to_come <= RECENT_DAYS)
        recent[:, : max(days - RECENT_WITHIN, 0)] = False
        enough = recent.sum(axis=1) == RECENT_DAYS
        best = np.where(recent, relative, -np.inf).max(axis=1)
        light = np.where(recent, self.expected_wh, 0.0).sum(axis=1) / RECENT_DAYS
        alike = (self.expected_wh >= ALIKE * light[:, None]) & (
            ALIKE * self.expected_wh <= light[:, None]
        )
        older = known & alike & (to_come > RECENT_DAYS)
        older &= older.cumsum(axis=1) <= USUAL_DAYS
        of_usual = older.sum(axis=1)
        place = (USUAL_QUANTILE * np.maximum(of_usual - 1, 0)).astype(np.intp)
        # Sorting puts what is not known last.
        ordered = np.sort(np.where(older, relative, np.nan), axis=1)
        found = np.where(of_usual >= LEAST_USUAL_DAYS, ordered[np.arange(count), place], np.nan)
        if usual is not None:
            found = np.where(np.isnan(usual), found, usual)
        now = nothing.copy()
        np.divide(best, found, out=now, where=enough & (found > 0))
        return now, found


def neighbour_median(values: FloatArray, neighbourhood: IntArray) -> FloatArray:
    """Median of the neighbours with a value, shape (N, D), the site itself among them; NaN with
    fewer than three others."""
    median = np.full(values.shape, np.nan)
    for group in np.unique(neighbourhood[neighbourhood >= 0]).tolist():
        members = np.flatnonzero(neighbourhood == group)
        own = values[members]
        enough = (~np.isnan(own)).sum(axis=0) > FEWEST_NEIGHBOURS
        if enough.any():
            median[np.ix_(members, np.flatnonzero(enough))] = np.nanmedian(own[:, enough], axis=0)
    return median


def _slow_loss(series: FloatArray) -> float:
    """Share lost from the first to the last day of a series, 0 without a slow and certain loss."""
    middle = series.size // 2
    early = float(np.median(series[:SOILING_DAYS]))
    between = float(np.median(series[middle - SOILING_DAYS // 2 :][:SOILING_DAYS]))
    late = float(np.median(series[-SOILING_DAYS:]))
    if not AT_ONCE * (early - late) < early - between < (1.0 - AT_ONCE) * (early - late):
        return 0.0
    days = np.arange(series.size, dtype=np.float64)
    slope, _, slowest = slope_interval(days, series, CERTAIN_Z)
    clean = float(np.median(series - slope * days))
    if not clean > 0 or slowest > slope / 2:
        return 0.0
    return -slope * float(days[-1]) / clean
