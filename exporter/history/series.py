"""The past of one value, from InfluxDB, thinned to what a plot can show.

Extremes survive: MinMaxLTTB keeps the lowest and highest sample of every stretch before it chooses
what shows the shape best (Van Der Donckt et al., 2023, after Steinarsson, 2013). Long ranges are
read from the roll-up that is meant for them; where there is none and more than can be read at once,
InfluxDB itself gives the extremes of every stretch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.history.influxql import InfluxQL, between, name, quoted
from exporter.history.level_choice import beginning, level_of, table
from exporter.history.rollups.fields import FIELDS
from exporter.model.quantities import KEPT, ROWS
from scoring.weights import WEIGHTS

MOST_SAMPLES = 300_000
MOST_SERIES = 300
MOST_GAPS = 500
GAP_FACTOR = 5.0
_STRETCHES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)


@dataclass(frozen=True, slots=True)
class Metric:
    """Where the past of a value is stored; the tags in ``by`` identify a series."""

    name: str
    measurement: str
    field: str
    unit: str
    by: tuple[str, ...] = ()
    where: str = ""


def _metrics() -> dict[str, Metric]:
    found = {
        q.name: Metric(
            q.name,
            q.measurement.value,
            q.name,
            q.unit,
            ("device",) if q.measurement.value == "battery" else (),
        )
        for q in ROWS
        if q.measurement is not None
    }
    for part in ("overall", *WEIGHTS):
        key = "score" if part == "overall" else f"{part}_score"
        where = f'"component" = {quoted(part)}'
        found[key] = Metric(key, "health", "score", "points", where=where)
    found["online"] = Metric("online", "site", "online", "")
    found["scrape_seconds"] = Metric("scrape_seconds", "site", "scrape_seconds", "s")
    by = ("pack", "cell")
    found["cell_voltage_v"] = Metric("cell_voltage_v", "cell", "voltage_v", "V", by)
    found["cell_temperature_c"] = Metric("cell_temperature_c", "cell", "temperature_c", "°C", by)
    return found


METRICS: dict[str, Metric] = _metrics()


async def read(
    stored: InfluxQL,
    metric: Metric,
    site: str,
    since: float,
    until: float,
    points: int,
    tags: dict[str, str],
) -> dict[str, Any]:
    """The past of one value of one site.

    Parameters
    ----------
    stored : InfluxQL
    metric : Metric
    site : str
    since, until : float
        Unix seconds, the latter not included.
    points : int
        Most points of a series, not counting the nulls that mark gaps.
    tags : dict
        Values that the tags of the metric must have, for those that are given.

    Returns
    -------
    dict
        With ``series``: times in Unix seconds, and values, where None marks a gap that no line
        should cross; and the InfluxQL that gives the same.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    chosen = [f'"site" = {quoted(site)}', *([metric.where] if metric.where else [])]
    condition = " AND ".join(
        chosen + [f"{name(tag)} = {quoted(value)}" for tag, value in tags.items()]
    )
    kind = FIELDS.get(metric.measurement, {}).get(metric.field)
    level = None
    if kind is not None and {"min", "max"} <= set(KEPT[kind]):
        level = await level_of(stored, metric.measurement, metric.field, since, until, condition)
    source = f"FROM {table(level, metric.measurement)} WHERE {condition} AND "
    source += between(beginning(level, since), until)
    by = ", ".join(name(tag) for tag in metric.by)
    grouped = f" GROUP BY {by}" if by else ""
    if level is not None:
        stretch = level.seconds
        extremes = ", ".join(name(f"{metric.field}_{what}") for what in ("min", "max"))
        statement = f"SELECT {extremes} {source}{grouped}"
    else:
        statement, stretch = await _detail(stored, metric, source, (until - since) / (2 * points))
    found = (await stored.select(statement))[:MOST_SERIES]
    return {
        "metric": metric.name,
        "site": site,
        "unit": metric.unit,
        "since": since,
        "until": until,
        "query": statement,
        "stretch_seconds": stretch,
        "series": [
            {"tags": series.tags, **_thinned(*_samples(series.rows, stretch), points, stretch)}
            for series in found
        ],
    }


async def _detail(stored: InfluxQL, metric: Metric, source: str, wanted: float) -> tuple[str, int]:
    """The statement that reads full detail, and its stretch in seconds, 0 for every sample."""
    by = ", ".join(name(tag) for tag in metric.by)
    grouped = f" GROUP BY {by}" if by else ""
    counted = await stored.select(f"SELECT count({name(metric.field)}) {source}{grouped}")
    if sum(int(series.rows[0][1]) for series in counted) <= MOST_SAMPLES:
        return f"SELECT {name(metric.field)} {source}{grouped}", 0
    stretch = stretch_seconds(wanted)
    each = ", ".join(filter(None, (f"time({stretch}s)", by)))
    extremes = ", ".join(f"{what}({name(metric.field)})" for what in ("min", "max"))
    return f"SELECT {extremes} {source} GROUP BY {each} fill(none)", stretch


def stretch_seconds(wanted: float) -> int:
    """The least round number of seconds that is not below what is wanted, a day at most."""
    return next((s for s in _STRETCHES if s >= wanted), 86400)


def _samples(
    rows: list[list[Any]], stretch: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (ms) and values; of stretches their lowest and highest, half a stretch apart."""
    table = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    if not stretch:
        keep = ~np.isnan(table[:, 1])
        return table[keep, 0], table[keep, 1]
    times = np.column_stack((table[:, 0], table[:, 0] + stretch * 500.0)).ravel()
    return times, table[:, 1:3].ravel()


def _thinned(
    times: NDArray[np.float64], values: NDArray[np.float64], points: int, stretch: int
) -> dict[str, Any]:
    count = len(times)
    between = np.diff(times)
    usual = float(np.median(between)) if count > 1 else 0.0
    gaps = np.flatnonzero(between > GAP_FACTOR * max(usual, 1000.0 * stretch))[:MOST_GAPS]
    kept = np.arange(count)
    if count > points:
        kept = _chosen(times, values, points)
        # Both edges of a gap stay, so that the plot does not change its length.
        kept = np.union1d(kept, np.concatenate((gaps, gaps + 1)))
    shown_times = (times[kept] / 1000.0).tolist()
    shown: list[float | None] = values[kept].tolist()
    if len(gaps):
        marks = np.searchsorted(kept, gaps, side="right")
        for place, gap in zip(marks[::-1].tolist(), gaps[::-1].tolist(), strict=True):
            shown_times.insert(place, float(times[gap] + between[gap] / 2) / 1000.0)
            shown.insert(place, None)
    return {
        "read": count,
        "times": shown_times,
        "values": shown,
        "minimum": _bound(values, np.min),
        "maximum": _bound(values, np.max),
    }


def _chosen(
    times: NDArray[np.float64], values: NDArray[np.float64], points: int
) -> NDArray[np.int64]:
    from tsdownsample import MinMaxLTTBDownsampler

    return np.asarray(
        MinMaxLTTBDownsampler().downsample(times.astype(np.int64), values, n_out=points),
        dtype=np.int64,
    )


def _bound(values: NDArray[np.float64], which: Any) -> float | None:
    return float(which(values)) if len(values) and not math.isnan(values[0]) else None
