"""Sites that differed from comparable ones in a period, by their means over it."""

from __future__ import annotations

import numpy as np

from exporter.ask import metric_history as histories
from exporter.ask.answer import Answer, CannotAnswerError
from exporter.ask.builder import Builder
from exporter.ask.catalogue import METRICS
from exporter.ask.comparisons import FloatArray, answer_of_outliers, outlier_metrics
from exporter.history.coverage import LEAST_SHARE
from exporter.history.influxql import InfluxQL
from scoring.outliers import Labels, believed, robust_scores

_PEERS = ("battery_type", "region", "project")


async def past_outliers(b: Builder, stored: InfluxQL, active: dict[str, str]) -> Answer:
    """Compare the means that sites had over the period of the query, as the present is compared.

    Peers are all sites that the asker sees, whichever of them are asked about. A site whose metric
    is known for too little of the period is not judged by it.

    Raises
    ------
    CannotAnswerError
    """
    values: dict[str, FloatArray] = {}
    asked_for = outlier_metrics(b)
    for metric in asked_for:
        if METRICS[metric.name].measurement:
            values[metric.name] = await _means(b, stored, metric.name, active)
        else:
            b.evidence.missing.append(f"{METRICS[metric.name].label} is not stored")
    if not values:
        raise CannotAnswerError(
            f"{METRICS[asked_for[0].name].label} is not stored; outliers in it are known for now "
            "only"
        )
    b.evidence.notes.append(
        "Means over the period are compared; a short time far off its peers may not show in them"
    )
    groupings = [_labels(b, attribute) for attribute in _PEERS]
    scores = {
        metric.name: robust_scores(values[metric.name], groupings, floor=metric.floor)
        for metric in asked_for
        if metric.name in values
    }
    return answer_of_outliers(b, believed(scores), values)


async def _means(b: Builder, stored: InfluxQL, name: str, active: dict[str, str]) -> FloatArray:
    """The mean of a metric over the period, shape (N,); NaN where too little of it is known."""
    found, asked, _ = await histories.fetch(
        stored, METRICS[name], b.period, None, b.view.count, active
    )
    b.evidence.influxql.extend(asked)
    means = np.full(b.view.count, np.nan)
    for row, site in enumerate(b.view.sites):
        history = found.get(site.id)
        if history is not None and history.covered >= LEAST_SHARE:
            means[row] = history.mean
    return means


def _labels(b: Builder, attribute: str) -> Labels:
    """The group of each site by an attribute, shape (N,); -1 without one."""
    given = [getattr(site, attribute, None) or "" for site in b.view.sites]
    _, labels = np.unique(np.array(given, dtype=str), return_inverse=True)
    if attribute == "project":
        # Sites without a project are peers of each other.
        return labels
    return np.where(np.array([bool(value) for value in given]), labels, -1)
