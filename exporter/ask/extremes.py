"""When a metric was highest or lowest in a period, out of the buckets of its history."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import datetime

import numpy as np

from exporter.ask.builder import figure
from exporter.ask.catalogue import Metric
from exporter.ask.metric_history import History
from exporter.ask.query import Period
from exporter.model.text import duration_words

HOUR_SECONDS = 3600
_HOURS_UP_TO_SECONDS = 2 * 86_400
ORDERS = ("highest", "lowest")


def extreme_words(
    history: History, metric: Metric, period: Period, order: str, subject: str = "it"
) -> str:
    """A sentence on when it was highest or lowest; empty where there is too little of it.

    Parameters
    ----------
    history : History
        Of one site, or the sum of several; of an energy in buckets of an hour at most.
    metric : Metric
    period : Period
        Times are those of its zone.
    order : str
        One of :data:`ORDERS`.
    subject : str
        What the history is of, in the sentence.
    """
    if history.times.size < 2:
        return ""
    if math.isnan(history.total):
        place = int(np.argmax(history.values) if order == "highest" else np.argmin(history.values))
        seconds = float(np.diff(history.times).min())
        start = datetime.fromtimestamp(float(history.times[place]), period.start.tzinfo)
        value = figure(float(history.values[place]), metric)
        if metric.combine not in ("min", "max"):
            return (
                f"Averaged over {duration_words(seconds)} {subject} was {order} from "
                f"{start:%Y-%m-%d %H:%M} on: {value}."
            )
        return (
            f"It was {order} in the {duration_words(seconds)} from {start:%Y-%m-%d %H:%M}: {value}."
        )
    return _energy_words(history, metric, period, order)


def _energy_words(history: History, metric: Metric, period: Period, order: str) -> str:
    """By the hour up to two days, else by the day; the least only of whole ones."""
    hourly = period.seconds <= _HOURS_UP_TO_SECONDS
    sums: dict[datetime, float] = defaultdict(float)
    for time, value in zip(history.times, history.values, strict=True):
        start = datetime.fromtimestamp(float(time), period.start.tzinfo)
        midnight = start.replace(minute=0, second=0, microsecond=0)
        sums[midnight if hourly else midnight.replace(hour=0)] += float(value)
    if order == "lowest":
        length = HOUR_SECONDS if hourly else 86_400
        sums = {
            start: kwh
            for start, kwh in sums.items()
            if start >= period.start and start.timestamp() + length <= period.end.timestamp()
        }
    if len(sums) < 2:
        return ""
    pick = max if order == "highest" else min
    start, kwh = pick(sums.items(), key=lambda one: one[1])
    when = f"in the hour from {start:%Y-%m-%d %H:%M}" if hourly else f"on {start:%A, %Y-%m-%d}"
    return f"It was {order} {when}: {figure(kwh, metric, 0.0)}."
