"""Where each cell is heading: a robust slope of its resting deviation, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from scoring.cells.imbalance import DEFAULT_LIMITS
from scoring.cells.rest import BoolArray, FloatArray, Floats, IntArray
from scoring.cells.windows import Windows, medians
from scoring.slopes import pair_slopes

DAY_SECONDS = 86400.0
WARNING_V, CRITICAL_V = DEFAULT_LIMITS.plateau_rest
SPANS_DAYS = (90.0, 30.0, 14.0, 10.0)
LEVEL_POINTS = 5
MIN_PEERS = 5


@dataclass(frozen=True, eq=False)
class Trend:
    """Slope of each of C cells, every array of shape (C,).

    Attributes
    ----------
    slope_v_per_day, low, high : float array
        Slope and its confidence interval, V/day; NaN with too few points.
    level_v : float array
        Deviation at the last point: the line, and the median of what the last five points are off
        it by, V.
    error_v : float array
        Half width of the level's interval, V.
    bend_v : float array
        What the last five points are off the line, V; part of the level.
    points : int array
        Points that the slope rests on.
    span_days : float array
        Days from the first to the last of them.
    carried : bool array
        Whether the data carry a trend at all; where not, nothing may be forecast.
    """

    slope_v_per_day: FloatArray
    low: FloatArray
    high: FloatArray
    level_v: FloatArray
    error_v: FloatArray
    bend_v: FloatArray
    points: IntArray
    span_days: FloatArray
    carried: BoolArray


@dataclass(frozen=True, eq=False)
class Forecast:
    """Days until each of C cells reaches a limit, every array of shape (C,).

    Attributes
    ----------
    days, earliest, latest : float array
        From the last point. 0 where the limit is reached already, infinite where the cell is
        heading for the median or the interval allows that it never gets there, NaN without a trend.
    """

    days: FloatArray
    earliest: FloatArray
    latest: FloatArray


def like_windows(windows: Windows, *, width_v: float = 0.010, min_share: float = 0.8) -> Windows:
    """The windows at the state of charge at which the pack rests on most days, if there is one.

    A cell that holds less charge than the others lies further off at one state of charge than at
    another, which a trend should not take for a change.

    Parameters
    ----------
    windows : Windows
        Of one kind, such as at rest on the plateau.
    width_v : float, above 0
        Width of the band of the pack's median voltage, V.
    min_share : float, 0 to 1
        Share of the days that the band must appear on; otherwise all windows are returned.
    """
    known = np.flatnonzero(np.isfinite(windows.median_v))
    if known.size == 0:
        return windows
    volts = windows.median_v[known]
    day = np.floor(windows.start[known] / DAY_SECONDS)
    best, most = np.zeros(0, dtype=np.intp), (0, 0)
    for centre in np.unique(np.round(volts / (0.2 * width_v))) * 0.2 * width_v:
        inside = np.flatnonzero(np.abs(volts - centre) <= 0.5 * width_v)
        count = (int(np.unique(day[inside]).size), int(inside.size))
        if count > most:
            best, most = inside, count
    if most[0] < min_share * np.unique(day).size:
        return windows
    keep = np.zeros(windows.start.size, dtype=np.bool_)
    keep[known[best]] = True
    return windows.only(keep)


def daily_deviation(
    windows: Windows, *, day_seconds: float = DAY_SECONDS
) -> tuple[FloatArray, FloatArray]:
    """One point a day for each cell: the median of its windows of that day.

    Parameters
    ----------
    windows : Windows
        Those that are comparable with each other, as a rule :func:`like_windows` of
        ``windows.only(windows.resting & windows.usual)``.
    day_seconds : float
        Length of a day, s; days begin at multiples of it (UTC).

    Returns
    -------
    day : float array, shape (D,)
        Mean start of the windows of each day that has any, in days (s / 86400).
    deviation_v : float array, shape (D, C)
        V; NaN where a cell has no window.
    """
    day = np.floor(windows.start / day_seconds)
    first = np.flatnonzero(np.diff(day, prepend=-np.inf))
    stop = first + np.diff(first, append=day.size)
    values = np.full((first.size, windows.deviation_v.shape[1]), np.nan)
    for row, (a, b) in enumerate(zip(first.tolist(), stop.tolist(), strict=True)):
        values[row] = medians(np.ascontiguousarray(windows.deviation_v[a:b].T))
    if first.size == 0:
        return np.zeros(0), values
    mean = np.add.reduceat(windows.start, first) / (stop - first)
    return mean / DAY_SECONDS, values


def _scatter(residual: FloatArray) -> FloatArray:
    """Robust standard deviation (1.4826 MAD) of each column, shape (C,)."""
    middle = medians(np.ascontiguousarray(residual.T)).astype(np.float64)
    distance = np.abs(residual - middle)
    result: FloatArray = 1.4826 * medians(np.ascontiguousarray(distance.T)).astype(np.float64)
    return result


def _persistence(residual: FloatArray) -> FloatArray:
    """(1 + r) / (1 - r) of each column's lag-1 autocorrelation r, 1 to 19, shape (C,)."""
    known = np.where(np.isfinite(residual), residual, 0.0)
    power = (known**2).sum(axis=0)
    product = (known[1:] * known[:-1]).sum(axis=0)
    r = np.divide(product, power, out=np.zeros_like(power), where=power > 0)
    r = np.clip(r, 0.0, 0.9)
    result: FloatArray = (1.0 + r) / (1.0 - r)
    return result


def theil_sen(
    day: FloatArray,
    deviation_v: Floats,
    *,
    z: float = 3.29,
    min_points: int = 7,
    min_span_days: float = 6.0,
    min_change_v: float = 0.003,
    certain_change_v: float = 0.010,
    min_share: float = 4.0,
    peer_factor: float = 5.0,
    resolution_v: float = 0.001,
) -> Trend:
    """Robust slope of every cell with an interval that knows about persistence.

    The slope is the median of the slopes of all pairs of points (Theil 1950, Sen 1968), which up
    to 29 % of wild points cannot move far. Its interval is Sen's: the slopes of rank
    (N ± z·sigma)/2, with sigma² = n (n-1) (2n+5) / 18 the variance of Kendall's S. As days are not
    independent of each other, sigma² is multiplied by (1+r)/(1-r) for the lag-1 autocorrelation r
    of the residuals (Bayley and Hammersley 1946), and the ends are moved apart by one step of the
    resolution over the span.

    A trend is carried if the interval excludes 0 and the change over the span is at least
    ``min_change_v`` and ``min_share`` times the scatter of the points about the line. Otherwise
    the honest answer is that there is no trend. A course that bends looks persistent; from a change
    of ``certain_change_v`` on, which is more than sound cells wander, it is enough that Sen's plain
    interval excludes 0, which then is the interval given. Last, the slope has to stand out from
    those of the other cells by ``peer_factor`` times their robust scatter: how far sound cells
    wander shows best in the cells of the same pack.

    Parameters
    ----------
    day : float array, shape (D,)
        Days, ascending.
    deviation_v : float array, shape (D, C)
        V; NaN where missing.
    z : float
        Quantile of the normal distribution: 3.29 is 99.9 %, since a system has hundreds of cells.
    min_points : int, at least 3
        Points that a slope needs.
    min_span_days : float
        Days that they have to span.
    min_change_v : float
        Least change over the span, V: three steps of a BMS that reports millivolts.
    certain_change_v : float
        Change over the span for which persistence is no objection, V.
    min_share : float
        Least change over the span as a multiple of the scatter.
    peer_factor : float
        Least distance from the median slope of the pack as a multiple of 1.4826 MAD of its slopes;
        not asked for with fewer than five cells.
    resolution_v : float
        Step of the readings, V.

    Raises
    ------
    ValueError
        If the shapes do not fit or the days do not ascend.

    References
    ----------
    P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", Journal of the
    American Statistical Association 63, 1968, pp. 1379-1389.
    G. V. Bayley and J. M. Hammersley, "The 'effective' number of independent observations in an
    autocorrelated time series", Supplement to the J. Royal Statistical Society 8(2), 1946.
    """
    if deviation_v.ndim != 2 or deviation_v.shape[0] != day.size:
        raise ValueError(f"deviation must have shape ({day.size}, C), not {deviation_v.shape}")
    if (np.diff(day) <= 0).any():
        raise ValueError("days must ascend")
    cells = deviation_v.shape[1]
    y = deviation_v.astype(np.float64)
    known = np.isfinite(y)
    points = known.sum(axis=0)
    slope, low, high, plain_low, plain_high = np.full((5, cells), np.nan)
    level, error, bend, noise = np.full((4, cells), np.nan)
    span = np.full(cells, np.nan)
    usable = points >= min_points
    if usable.any():
        stamps = np.where(known, day[:, None], np.nan)
        span[usable] = np.nanmax(stamps[:, usable], axis=0) - np.nanmin(stamps[:, usable], axis=0)
    usable &= span >= min_span_days
    # Some 250,000 pairs of two years of days times all cells would need too much memory at once.
    batch = max(1, 4_000_000 // max(1, day.size * (day.size - 1) // 2))
    chosen = np.flatnonzero(usable)
    last = day[-1] if day.size else 0.0
    for begin in range(0, chosen.size, batch):
        columns = chosen[begin : begin + batch]
        y_part = y[:, columns]
        pairs = pair_slopes(day, y_part).T
        pairs.sort(axis=1)
        n = points[columns]
        total = n * (n - 1) // 2
        row = np.arange(columns.size)
        middle = 0.5 * (pairs[row, (total - 1) // 2] + pairs[row, total // 2])
        line = y_part - middle * (day[:, None] - last)
        offset = medians(np.ascontiguousarray(line.T))
        residual = line - offset
        widening = _persistence(residual)
        scatter = _scatter(residual)
        sigma = np.sqrt(n * (n - 1) * (2 * n + 5) / 18.0)
        step = resolution_v / span[columns]
        # The line may lag behind a course that has bent.
        ends = medians(np.ascontiguousarray(residual[-LEVEL_POINTS:].T))
        bend[columns] = np.nan_to_num(ends)
        slope[columns], noise[columns] = middle, scatter
        level[columns] = offset + bend[columns]
        plain_low[columns], plain_high[columns] = _interval(pairs, total, z * sigma)
        lower, upper = _interval(pairs, total, z * sigma * np.sqrt(widening))
        low[columns], high[columns] = lower - step, upper + step
        # The standard error of a median is sqrt(pi / 2) times that of a mean.
        error[columns] = z * scatter * np.sqrt(0.5 * np.pi / LEVEL_POINTS) + 0.5 * resolution_v
    change = np.abs(slope) * span
    sure = ((low > 0) | (high < 0)) & (change >= min_change_v)
    large = ((plain_low > 0) | (plain_high < 0)) & (change >= certain_change_v)
    carried = (sure | large) & (change >= min_share * noise) & _apart(slope, peer_factor)
    bent = carried & ~sure
    step_v = np.divide(resolution_v, span, out=np.full(cells, np.nan), where=usable)
    low = np.where(bent, plain_low - step_v, low)
    high = np.where(bent, plain_high + step_v, high)
    return Trend(slope, low, high, level, error, bend, points, span, carried)


def _apart(slope: FloatArray, factor: float) -> BoolArray:
    """Cells whose slope stands out from those of the pack's other cells."""
    if np.isfinite(slope).sum() < MIN_PEERS:
        return np.ones(slope.shape, dtype=np.bool_)
    distance = np.abs(slope - medians(slope))
    apart: BoolArray = distance >= factor * 1.4826 * medians(distance)
    return apart


def _interval(
    pairs: FloatArray, total: IntArray, half: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Slopes of rank (total ± half) / 2 of each row of ascending pairs, infinite beyond them."""
    row = np.arange(total.size)
    lower = np.floor((total - half) / 2.0).astype(np.intp) - 1
    upper = np.ceil((total + half) / 2.0).astype(np.intp)
    low = np.where(lower < 0, -np.inf, pairs[row, np.maximum(lower, 0)])
    high = np.where(upper >= total, np.inf, pairs[row, np.minimum(upper, total - 1)])
    return low, high


def current_trend(
    day: FloatArray,
    deviation_v: Floats,
    *,
    spans_days: Sequence[float] = SPANS_DAYS,
    z: float = 3.29,
    min_points: int = 7,
    min_change_v: float = 0.003,
    min_span_days: float = 6.0,
    resolution_v: float = 0.001,
) -> Trend:
    """Trend of each cell over the longest of several spans that no shorter one contradicts.

    A cell that began to drift two weeks ago has no trend in 90 days yet, and one that was balanced
    two weeks ago has one no longer. So the spans are tried from the longest to the shortest, and a
    shorter one takes over where its interval excludes the slope found so far, or where the last
    points have left the longer line by more than ``min_change_v`` and the error of its level.

    Parameters
    ----------
    day, deviation_v, z, min_points, min_change_v, min_span_days, resolution_v
        As in :func:`theil_sen`; with coarse readings the changes that it asks for are larger.
    spans_days : sequence of float
        Days to look back from the last point, longest first.
    """
    chosen: dict[str, FloatArray] = {}
    least = max(min_change_v, 1.5 * resolution_v)
    for span in spans_days:
        recent = day >= (day[-1] - span if day.size else 0.0)
        trend = theil_sen(
            day[recent],
            deviation_v[recent],
            z=z,
            min_points=min_points,
            min_span_days=min_span_days,
            min_change_v=least,
            certain_change_v=max(0.010, 2.5 * resolution_v),
            resolution_v=resolution_v,
        )
        columns = {field.name: getattr(trend, field.name) for field in fields(Trend)}
        if not chosen:
            chosen = columns
            continue
        found = chosen["slope_v_per_day"]
        bent = np.abs(chosen["bend_v"]) > np.maximum(chosen["error_v"], least)
        takes = (trend.low > found) | (trend.high < found) | np.isnan(found)
        takes |= bent & np.isfinite(trend.slope_v_per_day)
        chosen = {name: np.where(takes, columns[name], chosen[name]) for name in columns}
    return Trend(
        slope_v_per_day=chosen["slope_v_per_day"],
        low=chosen["low"],
        high=chosen["high"],
        level_v=chosen["level_v"],
        error_v=chosen["error_v"],
        bend_v=chosen["bend_v"],
        points=chosen["points"].astype(np.intp),
        span_days=chosen["span_days"],
        carried=chosen["carried"].astype(np.bool_),
    )


def days_until(trend: Trend, limit_v: float, *, away_v: float = 0.002) -> Forecast:
    """Days until each cell's distance from the median reaches a limit, if it goes on like this.

    A straight line is right while the cell stays on the plateau. A cell that loses charge falls
    off its lower end some day and then reaches any limit sooner: take the forecast for the longest
    time left, not for the shortest.

    Parameters
    ----------
    trend : Trend
        From :func:`current_trend` or :func:`theil_sen`.
    limit_v : float, above 0
        Distance from the median, V.
    away_v : float
        Nothing is forecast before the cell is this far beyond the median on the side that it is
        heading for, V: one that is being balanced stops there.

    Raises
    ------
    ValueError
        If the limit is not positive.
    """
    if not limit_v > 0:
        raise ValueError(f"limit must be positive, not {limit_v}")
    sign = np.sign(trend.slope_v_per_day)
    ahead = limit_v - sign * trend.level_v
    fast = np.where(sign > 0, trend.high, -trend.low)
    slow = np.where(sign > 0, trend.low, -trend.high)
    reached = np.abs(trend.level_v) >= limit_v

    def days(distance: FloatArray, speed: FloatArray) -> FloatArray:
        result = np.full(distance.shape, np.inf)
        moving = speed > 0
        np.divide(np.maximum(distance, 0.0), speed, out=result, where=moving)
        result[reached] = 0.0
        result[~trend.carried] = np.nan
        return result

    speed = np.abs(trend.slope_v_per_day)
    back = (sign * trend.level_v < away_v) & trend.carried
    forecast = (
        days(ahead, speed),
        days(ahead - trend.error_v, fast),
        days(ahead + trend.error_v, slow),
    )
    for part in forecast:
        part[back] = np.inf
    return Forecast(*forecast)
