"""Since when a cell drifts, and how fast since then.

The span over which a slope is taken begins where it begins: with weeks of health in it the slope
is too small, and with weeks of drift before it the drift seems younger than it is.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from scoring.cells.rest import FloatArray, Floats
from scoring.cells.trend import Trend, theil_sen


def drift_onset(
    day: FloatArray, deviation_v: Floats, slope: float, *, min_points: int = 4
) -> float:
    """The day on which one cell left its level, if its course is level first and straight then.

    Of all courses that are level up to one of the points and straight from there on, the one with
    the least sum of squares; a cell that drifted all the time gives the first point.

    Parameters
    ----------
    day : float array, shape (D,)
        Days, ascending.
    deviation_v : float array, shape (D,)
        One point a day, V; NaN where missing.
    slope : float
        Which way it drifts; only the sign counts.
    min_points : int
        Points that the straight part must have behind its first.

    Returns
    -------
    float
        A day; NaN with too few points, or if no such course goes that way.
    """
    known = np.isfinite(deviation_v)
    x, y = day[known], deviation_v[known].astype(np.float64)
    if x.size <= min_points:
        return float("nan")
    begins = x[: x.size - min_points]
    run = np.maximum(x - begins[:, None], 0.0)
    run -= run.mean(axis=1, keepdims=True)
    along = run @ (y - y.mean())
    # What a straight part explains of the sum of squares.
    explained = np.where(along * slope > 0, along**2 / (run**2).sum(axis=1), 0.0)
    best = int(explained.argmax())
    return float(begins[best]) if explained[best] > 0 else float("nan")


def from_onset(
    trend: Trend, day: FloatArray, deviation_v: Floats, *, resolution_v: float = 0.001
) -> tuple[Trend, FloatArray]:
    """The trend with the slope since an onset within its span, if that is a trend, and the onsets.

    Parameters
    ----------
    trend : Trend
        From :func:`scoring.cells.trend.current_trend`.
    day, deviation_v, resolution_v
        What it was made of.

    Returns
    -------
    trend : Trend
    onset : float array, shape (C,)
        Days; the beginning of the span where no onset can be found, NaN without a trend.
    """
    columns = {field.name: getattr(trend, field.name).copy() for field in fields(Trend)}
    onset = np.full(trend.carried.shape, np.nan)
    for cell in np.flatnonzero(trend.carried).tolist():
        begin = day[-1] - trend.span_days[cell]
        found = drift_onset(day, deviation_v[:, cell], float(trend.slope_v_per_day[cell]))
        onset[cell] = begin if np.isnan(found) else found
        # A span within the drift was chosen because the course has bent since.
        if not found > begin:
            continue
        since = day >= found
        own = theil_sen(day[since], deviation_v[since, cell : cell + 1], resolution_v=resolution_v)
        if own.carried[0] and own.slope_v_per_day[0] * trend.slope_v_per_day[cell] > 0:
            for name, values in columns.items():
                values[cell] = getattr(own, name)[0]
    return Trend(**columns), onset
