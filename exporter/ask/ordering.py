"""Sites in the order of a metric."""

from __future__ import annotations

import numpy as np

from exporter.ask.answer import CannotAnswerError
from exporter.ask.catalogue import Metric
from exporter.ask.view import FloatArray, View


def descending(metric: Metric, order: str) -> bool:
    """Whether the largest value comes first.

    Raises
    ------
    CannotAnswerError
        For best or worst of a metric that has neither.
    """
    if order in ("highest", "lowest"):
        return order == "highest"
    if metric.worse == "":
        raise CannotAnswerError(
            f"{metric.label} has no better or worse; ask for the highest or the lowest"
        )
    return (metric.worse == "high") == (order == "worst")


def ordered(view: View, values: FloatArray, metric: Metric, order: str) -> list[int]:
    """Rows with a value in order; ties by priority, then by id.

    Raises
    ------
    CannotAnswerError
        For best or worst of a metric that has neither.
    """
    sign = -1.0 if descending(metric, order) else 1.0
    priority = {"high": 0, "medium": 1, "low": 2}
    known = [int(row) for row in np.flatnonzero(~np.isnan(values))]
    return sorted(
        known, key=lambda r: (sign * values[r], priority[view.sites[r].priority], view.sites[r].id)
    )
