"""How a metric went over a period, from InfluxDB: one History for each site."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporter.ask.catalogue import Metric
from exporter.ask.query import Period
from exporter.ask.statements import ask, no_answer
from exporter.energy.accounts import base_seconds
from exporter.energy.measured import BY_COUNTER, energies_of_flow
from exporter.history.energy import Question, energy_of_counter, energy_of_power, of_site
from exporter.history.influxql import InfluxQL, NoAnswerError, Series
from exporter.history.level_choice import beginning, enough_for, level_of, table
from exporter.history.rollups.fields import FIELDS
from exporter.model.levels import LEVELS, Level
from exporter.model.quantities import KEPT
from scoring.slopes import median_slope

FloatArray = NDArray[np.float64]

STEPS = (10, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 604800)
FEW_SITES = 6
POINTS_OF_FEW = 200
POINTS_OF_MANY = 48
MOST_NAMED = 50
MOST_FOR_SLOPE = 240
HOURLY = LEVELS[2]
STRETCH_SECONDS = 600
"""A site that does not answer is polled less often, a slow one every ten minutes: shares of time
and energies are made of stretches of this length."""


@dataclass(slots=True)
class History:
    """A metric of one site over a period.

    Attributes
    ----------
    times : float array, shape (K,)
        Unix seconds of the beginning of each bucket that has readings.
    values : float array, shape (K,)
        The metric in its unit: its mean in the bucket, or the worst one of several batteries; for
        energies what the bucket adds.
    mean, lowest, highest : float
        Over all readings of the period; NaN without any.
    total : float
        For energies and counters the sum; NaN otherwise.
    covered : float
        Observed share of the period, 0 to 1: of energies and shares the time of which they are
        known, else the share of the buckets that have readings.
    resets, glitches : int
        Of a counter: starts from zero, and bad samples, which add nothing.
    """

    times: FloatArray
    values: FloatArray
    mean: float
    lowest: float
    highest: float
    total: float
    covered: float
    resets: int = 0
    glitches: int = 0

    @property
    def per_day(self) -> float:
        """Slope per day: the median of the slopes between all pairs (Theil 1950, Sen 1968)."""
        return slope_per_day(self.times, self.values)

    @property
    def change(self) -> float:
        """What the slope adds up to from the first bucket to the last."""
        if self.times.size < 2:
            return math.nan
        return self.per_day * float(self.times[-1] - self.times[0]) / 86400.0


def slope_per_day(times: FloatArray, values: FloatArray) -> float:
    """Median slope between all pairs, per day; NaN below three points.

    Parameters
    ----------
    times : float array, shape (K,)
        Unix seconds, ascending.
    values : float array, shape (K,)
    """
    return 86400.0 * median_slope(times, values, most_points=MOST_FOR_SLOPE)


def step_seconds(period: Period, sites: int) -> int:
    """Length of a bucket: short enough to show a course, long enough to be answered soon."""
    wanted = period.seconds / (POINTS_OF_FEW if sites <= FEW_SITES else POINTS_OF_MANY)
    return next((step for step in STEPS if step >= wanted), STEPS[-1])


async def level_for(stored: InfluxQL, metric: Metric, period: Period, clause: str) -> Level | None:
    """The roll-up that holds a metric over a period, None for full detail.

    Raises
    ------
    CannotAnswerError
    """
    needed = set[str]() if metric.over_time == "share" else {"min", "max"}
    kinds = [FIELDS.get(metric.measurement, {}).get(name) for name in metric.fields]
    if not all(kind is not None and needed <= set(KEPT[kind]) for kind in kinds):
        return None
    since, until = period.start.timestamp(), period.end.timestamp()
    levels = list(enough_for(until - since))
    try:
        return await level_of(
            stored, metric.measurement, metric.fields[0], since, until, clause, levels
        )
    except NoAnswerError as error:
        raise no_answer(error) from error


def tagged(sites: list[str] | None, extra: str = "") -> str:
    """The condition of a statement without its time.

    Parameters
    ----------
    sites : list of str, optional
        Site ids, which hold neither quotes nor backslashes; None for all.
    extra : str
        Another condition.
    """
    parts = []
    if sites is not None and len(sites) <= MOST_NAMED:
        parts.append("(" + " OR ".join(f"\"site\" = '{site}'" for site in sites) + ")")
    if extra:
        parts.append(extra)
    return " AND ".join(parts)


def where(
    period: Period, sites: list[str] | None, extra: str = "", level: Level | None = None
) -> str:
    """The condition of a statement, of a roll-up from the first window on that the period touches.

    The parameters are those of :func:`tagged`.
    """
    start = int(beginning(level, period.start.timestamp()) * 1000)
    time = f"time >= {start}ms AND time < {int(period.end.timestamp() * 1000)}ms"
    return " AND ".join(filter(None, (time, tagged(sites, extra))))


def statements(
    metric: Metric, period: Period, sites: list[str] | None, step: int, level: Level | None = None
) -> list[str]:
    """What is asked of InfluxDB: the course in buckets, and the figures of the whole period."""
    clause = where(period, sites, metric.where, level)
    device = ', "device"' if metric.measurement == "battery" else ""
    by_step = f'GROUP BY time({step}s), "site"{device} fill(none)'
    if level is not None:
        course, whole = _rolled(metric)
        source = f"FROM {table(level, metric.measurement)} WHERE {clause}"
        return [
            f"SELECT {course} {source} {by_step}",
            f'SELECT {whole} {source} GROUP BY "site"{device}',
        ]
    inner = {"min": "min", "max": "max"}.get(metric.combine, "mean")
    course = ", ".join(f'{inner}("{f}") AS "v{n}"' for n, f in enumerate(metric.fields))
    whole = ", ".join(
        f'{fn}("{f}") AS "{fn}{n}"'
        for n, f in enumerate(metric.fields)
        for fn in ("mean", "min", "max", "first", "count")
    )
    stored = f'"{metric.measurement}"'
    source = f"{stored} WHERE {clause}"
    if metric.over_time == "share":
        pieces = (
            f'(SELECT mean("{metric.fields[0]}") AS "w" FROM {stored} WHERE {clause} '
            f'GROUP BY time({STRETCH_SECONDS}s), "site" fill(none))'
        )
        # Without a time of its own the outer statement takes all stretches, the first one too,
        # which begins before the period.
        return [
            f'SELECT mean("w") AS "v0" FROM {pieces} WHERE {clause} {by_step}',
            f'SELECT mean("w") AS "mean0", count("w") AS "count0" FROM {pieces} GROUP BY "site"',
        ]
    return [
        f"SELECT {course} FROM {source} {by_step}",
        f'SELECT {whole} FROM {stored} WHERE {clause} GROUP BY "site"{device}',
    ]


def _rolled(metric: Metric) -> tuple[str, str]:
    """The columns of both statements out of a roll-up; what it keeps depends on the kind."""
    course, whole = [], []
    for n, name in enumerate(metric.fields):
        kind = FIELDS[metric.measurement][name]
        # A temperature has no mean: it lies in the middle of the lowest and the highest.
        mean = (
            f'mean("{name}_mean")'
            if "mean" in KEPT[kind]
            else f'(mean("{name}_min") + mean("{name}_max")) / 2'
        )
        if metric.over_time == "share":
            seconds = f'sum("{name}_1_s") AS "on", sum("{name}_0_s") AS "off"'
            course.append(seconds)
            whole.append(seconds)
        else:
            if metric.combine == "active":
                course.append(f'{mean} AS "v{n}"')
            else:
                course.append(f'{metric.combine}("{name}_{metric.combine}") AS "v{n}"')
            whole.append(
                f'{mean} AS "mean{n}", min("{name}_min") AS "min{n}", max("{name}_max") AS "max{n}"'
                f', count("{name}_max") AS "count{n}"'
            )
    return ", ".join(course), ", ".join(whole)


@dataclass(slots=True)
class _Device:
    """What one battery, or the site itself, gave."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    seconds: float = math.nan
    mean: float = math.nan
    lowest: float = math.nan
    highest: float = math.nan
    first: float = math.nan
    count: int = 0


async def fetch(
    stored: InfluxQL,
    metric: Metric,
    period: Period,
    sites: list[str] | None,
    count: int,
    active: dict[str, str],
    longest_step: int = STEPS[-1],
) -> tuple[dict[str, History], list[str], Level | None]:
    """History of every site that has any, the statements that gave it, and the level they read.

    Parameters
    ----------
    stored : InfluxQL
    metric : Metric
    period : Period
    sites : list of str, optional
        Site ids; None for all.
    count : int
        Number of sites that are asked about.
    active : dict of site id to device
        The battery that counts where a site has several.
    longest_step : int
        Seconds that a bucket lasts at most.

    Raises
    ------
    CannotAnswerError
    """
    step = min(step_seconds(period, count), longest_step)
    if metric.sums_up:
        return await _energies(stored, metric, period, sites, count, active, step)
    level = await level_for(stored, metric, period, tagged(sites, metric.where))
    asked = statements(metric, period, sites, step, level)
    course, whole = await ask(stored, asked)
    devices: dict[str, dict[str, _Device]] = defaultdict(lambda: defaultdict(_Device))
    wanted = None if sites is None else set(sites)
    for series in course:
        if wanted is None or series.tags.get("site") in wanted:
            _course(devices[series.tags["site"]][series.tags.get("device", "")], series, metric)
    for series in whole:
        if wanted is None or series.tags.get("site") in wanted:
            _whole(devices[series.tags["site"]][series.tags.get("device", "")], series, metric)
    buckets = max(1, math.ceil(period.seconds / step))
    found = {
        site: _history(_of_site(parts, metric, active.get(site)), metric, period, buckets)
        for site, parts in devices.items()
    }
    return {site: history for site, history in found.items() if history.times.size}, asked, level


async def _energies(
    stored: InfluxQL,
    metric: Metric,
    period: Period,
    sites: list[str] | None,
    count: int,
    active: dict[str, str],
    step: int,
) -> tuple[dict[str, History], list[str], Level | None]:
    """As :func:`fetch`, for energies and counters; exact on gaps and part windows.

    Where a counter is absent, the energy account's rule gives the energy of the power
    (:func:`exporter.energy.measured.energies_of_flow`).
    """
    start, end = period.start.timestamp(), period.end.timestamp()
    asked: list[str] = []
    level = None
    flow = BY_COUNTER.get((metric.measurement, metric.fields[0]))
    try:
        if flow is not None:
            base = base_seconds(count, end - start)
            best, level = await energies_of_flow(
                stored, flow, sites, count, start, end, step, active, asked, base
            )
            found = {site: energy for site, (_, energy) in best.items()}
        else:
            source, name = metric.measurement, metric.fields[0]
            question = Question(source, name, start, end, sites, count, step, metric.where)
            read = energy_of_counter if metric.over_time == "counter" else energy_of_power
            energies, level = await read(stored, question, asked)
            found = of_site(energies, sites, active)
    except NoAnswerError as error:
        raise no_answer(error) from error
    histories = {
        site: History(
            energy.times,
            energy.steps_kwh,
            *(math.nan, math.nan, math.nan),
            total=energy.kwh,
            covered=min(1.0, energy.seconds / period.seconds),
            resets=energy.resets,
            glitches=energy.glitches,
        )
        for site, energy in found.items()
    }
    return histories, asked, level


def _worst(metric: Metric, values: list[float | None]) -> float:
    known = [v for v in values if v is not None]
    if not known:
        return math.nan
    return min(known) if metric.combine == "min" else max(known)


def _share(on: float | None, off: float | None) -> float:
    """Share of the time that is known, of the seconds that a roll-up has for each state."""
    seconds = (on or 0.0) + (off or 0.0)
    return (on or 0.0) / seconds if seconds else math.nan


def _course(device: _Device, series: Series, metric: Metric) -> None:
    shares = series.columns[1:] == ["on", "off"]
    for row in series.rows:
        value = _share(*row[1:]) if shares else _worst(metric, row[1 : 1 + len(metric.fields)])
        if not math.isnan(value):
            device.times.append(row[0])
            device.values.append(value)


def _whole(device: _Device, series: Series, metric: Metric) -> None:
    row = dict(zip(series.columns, series.rows[0], strict=True))

    def of(name: str) -> list[float | None]:
        return [row.get(f"{name}{n}") for n in range(len(metric.fields))]

    device.mean = _share(row["on"], row["off"]) if "on" in row else _worst(metric, of("mean"))
    if metric.over_time == "share":
        in_state = (row.get("on") or 0.0) + (row.get("off") or 0.0)
        device.seconds = in_state if "on" in row else row["count0"] * STRETCH_SECONDS
    device.lowest = min((v for v in of("min") if v is not None), default=math.nan)
    device.highest = max((v for v in of("max") if v is not None), default=math.nan)
    device.first = _worst(metric, of("first"))
    device.count = int(sum(v or 0 for v in of("count")))


def _of_site(devices: dict[str, _Device], metric: Metric, active: str | None) -> _Device:
    """One course of several batteries: that of the active one, or the worst at each time."""
    if len(devices) == 1 or metric.measurement != "battery":
        return next(iter(devices.values()))
    if metric.combine == "active":
        # Without a known active one: the battery that said most.
        return devices.get(active or "") or max(devices.values(), key=lambda d: d.count)
    pick = min if metric.combine == "min" else max
    by_time: dict[float, list[float]] = defaultdict(list)
    for device in devices.values():
        for time, value in zip(device.times, device.values, strict=True):
            by_time[time].append(value)
    times = sorted(by_time)
    return _Device(
        times=times,
        values=[pick(by_time[time]) for time in times],
        mean=pick(d.mean for d in devices.values()),
        lowest=min(d.lowest for d in devices.values()),
        highest=max(d.highest for d in devices.values()),
        count=sum(d.count for d in devices.values()),
    )


def _history(device: _Device, metric: Metric, period: Period, buckets: int) -> History:
    times, values = np.array(device.times), np.array(device.values)
    covered = min(1.0, times.size / buckets)
    mean, lowest, highest = device.mean, device.lowest, device.highest
    if metric.over_time == "share":
        values, mean, lowest, highest = 100 * values, 100 * mean, 100 * lowest, 100 * highest
        covered = min(1.0, device.seconds / period.seconds)
    return History(times, values, mean, lowest, highest, math.nan, covered)
