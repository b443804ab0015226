"""Answers that compare sites or groups of sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.ask import promql
from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, Builder, capital, figure
from exporter.ask.catalogue import METRICS, Metric
from exporter.ask.lookup import attribute_values, group_values
from exporter.ask.view import reading
from exporter.model.figures import digits
from exporter.model.text import sites_word
from scoring.outliers import OUTLIER_METRICS, OutlierMetric, Outliers

FloatArray = NDArray[np.float64]
_COMPARED = (
    "score",
    "battery_score",
    "grid_score",
    "solar_score",
    "connectivity_score",
    "soh",
    "soc",
    "temperature",
    "cell_spread",
    "battery_power",
    "grid_frequency",
    "grid_power",
    "pv_power",
    "pv_performance",
    "load_power",
    "coverage",
)
_GROUPINGS = ("battery_type", "region", "whole fleet")
_THRESHOLD = 3.5
OUTLIER_OF = {
    "soh": "soh",
    "temperature": "temperature",
    "cell_spread": "cell_spread",
    "pv_performance": "pv_performance",
    "pv_power": "pv_performance",
    "solar_score": "pv_performance",
}


def compare_sites(b: Builder, rows: list[int]) -> Answer:
    """Sites side by side: a row for each metric, a column for each site."""
    names = b.query.metrics or _COMPARED
    sites = [b.view.sites[row] for row in rows]
    lines = []
    for name in names:
        metric = METRICS[name]
        values = b.view.values(metric)
        line: dict[str, Any] = {"metric": capital(metric.label), "unit": metric.unit}
        numbers = [b.view.number(values, row) for row in rows]
        if not b.query.metrics and all(number is None for number in numbers):
            continue
        for row, site, number in zip(rows, sites, numbers, strict=True):
            line[site.id] = None if number is None else round(number, metric.decimals + 3)
            b.metric_evidence(row, metric, number)
        line["decimals"] = max(
            [metric.decimals]
            + [
                digits(number, metric.decimals, b.view.limit_of(row, number))
                for row, number in zip(rows, numbers, strict=True)
                if number is not None
            ]
        )
        known = [(v, s) for v, s in zip(numbers, sites, strict=True) if v is not None]
        if metric.worse and known:
            pick = min if metric.worse == "high" else max
            value = pick(v for v, _ in known)
            best = [s.title for v, s in known if v == value]
            line["better"] = best[0] if len(best) == 1 else "equal" if len(known) > 1 else ""
        lines.append(line)
        b.show(promql.metric(name))
    columns = (
        Column("metric", "Metric"),
        *(Column(site.id, site.title, "number", decimals=3) for site in sites),
        Column("unit", "Unit"),
        Column("better", "Better"),
    )
    tables = [Table("Comparison", columns, lines, len(lines))]
    metric = METRICS[names[0]]
    values = b.view.values(metric)
    parts = []
    for row, site in zip(rows, sites, strict=True):
        now = b.view.number(values, row)
        parts.append(f"{site.title} {figure(now, metric, b.view.limit_of(row, now))}")
    issues = [
        b.view.identity(row) | {"sentence": issue.sentence, "severity": issue.severity}
        for row in rows
        for issue in b.view.issues(row)
    ]
    if issues and not b.query.metrics:
        columns = (
            Column("name", "Site"),
            Column("severity", "Severity", "severity"),
            Column("sentence", "Issue"),
        )
        tables.append(Table("Issues", columns, issues, len(issues)))
    return b.answer(f"{capital(metric.label)}: {', '.join(parts)}.", tables, rows)


def members(b: Builder, attribute: str) -> dict[str, list[int]]:
    """Rows of the sites of each group."""
    wanted = {f.value for f in b.query.filters if f.attribute == attribute and not f.negate}
    found: dict[str, list[int]] = {}
    for row in np.flatnonzero(b.mask & b.view.tests(b.query)).tolist():
        if attribute == "status":
            values = [b.view.status(row)]
        else:
            of = attribute_values if wanted else group_values
            values = of(b.view.sites[row], attribute)
        for value in values:
            if not wanted or value in wanted:
                found.setdefault(value, []).append(row)
    if not found:
        raise CannotAnswerError(f"no site has a {attribute.replace('_', ' ')} in the fleet file")
    return found


def group_table(b: Builder, metrics: list[Metric]) -> Table:
    """Groups of sites side by side, worst first.

    Raises
    ------
    CannotAnswerError
        If no site has the attribute.
    """
    attribute = b.query.group_by or "region"
    groups = members(b, attribute)
    score = b.view.values(METRICS["score"])
    lines = []
    for value, rows in groups.items():
        line: dict[str, Any] = {
            "group": value,
            "sites": len(rows),
            "attention": len(b.view.needing_attention(rows)),
        }
        for metric in metrics:
            found = b.view.values(metric)[rows]
            known = found[~np.isnan(found)]
            total = known.sum() if metric.fleet == "sum" else known.mean() if known.size else 0
            line[metric.name] = float(total) if known.size else None
            if known.size < len(rows):
                b.evidence.missing.append(
                    f"{metric.label} of {len(rows) - known.size} of {len(rows)} in {value}"
                )
        lines.append(line)
    first = metrics[0]
    sign = 1 if first.worse == "low" else -1
    lines.sort(key=lambda g: (g[first.name] is None, sign * (g[first.name] or 0), g["group"]))
    for metric in metrics:
        show = promql.metric(metric.name)
        if show and attribute in ("region", "battery_type", "vendor", "priority"):
            fold = "sum" if metric.fleet == "sum" else "avg"
            b.evidence.promql.append(
                f"{fold} by ({attribute}) (({show}) * on (site) group_left ({attribute}) "
                "fleetscope_site_info)"
            )
    if not score.size:
        raise CannotAnswerError("the fleet has no sites")
    columns = (
        Column("group", attribute.replace("_", " ").capitalize()),
        Column("sites", "Sites", "number"),
        Column("attention", "Need attention", "number"),
        *(
            Column(
                m.name,
                ("Total " if m.fleet == "sum" else "Mean ") + m.label,
                "number",
                m.unit,
                max(1, m.decimals),
            )
            for m in metrics
        ),
    )
    return Table(f"By {attribute.replace('_', ' ')}", columns, lines, len(lines))


def outlier_metrics(b: Builder) -> list[OutlierMetric]:
    """The metrics in which the query wants sites compared.

    Raises
    ------
    CannotAnswerError
        If sites are not compared in a metric that it names.
    """
    wanted = {OUTLIER_OF.get(name) for name in b.query.metrics}
    if None in wanted:
        raise CannotAnswerError(
            "sites are compared in " + ", ".join(METRICS[m.name].label for m in OUTLIER_METRICS)
        )
    return [metric for metric in OUTLIER_METRICS if not wanted or metric.name in wanted]


def outliers_answer(b: Builder) -> Answer:
    """Sites beyond 3.5 robust standard deviations of comparable ones now, the farthest first."""
    compared = outlier_metrics(b)
    selector = "|".join(sorted(m.name for m in compared)) if b.query.metrics else ""
    matcher = f'{{metric=~"{selector}"}}' if selector else ""
    b.show(f"abs(fleetscope_site_outlier_score{matcher}) > {_THRESHOLD}")
    scores = b.view.assessment.scores.outliers
    values = {m.name: b.view.values(METRICS[m.name]) for m in compared}
    return answer_of_outliers(b, scores, values)


def answer_of_outliers(
    b: Builder, of_metric: Mapping[str, Outliers], values_of: Mapping[str, FloatArray]
) -> Answer:
    """The answer for scores and values by metric, each of shape (N,).

    Raises
    ------
    CannotAnswerError
        If no site has peers enough.
    """
    found = []
    compared: set[int] = set()
    for metric in OUTLIER_METRICS:
        if metric.name not in values_of:
            continue
        scores, values = of_metric[metric.name], values_of[metric.name]
        concerns = metric.concerns(scores)
        compared.update(np.flatnonzero(b.mask & ~np.isnan(scores.z)).tolist())
        unknown = int((b.mask & np.isnan(scores.z)).sum())
        if unknown:
            b.evidence.missing.append(
                f"{METRICS[metric.name].label} of {sites_word(unknown)}: no value, or fewer than "
                "five comparable sites"
            )
        for row in np.flatnonzero(b.mask & scores.flagged).tolist():
            label = METRICS[metric.name]
            value = b.view.number(values, row)
            found.append(
                (
                    row,
                    b.view.identity(row)
                    | {
                        "metric": label.label,
                        "value": value,
                        "unit": label.unit,
                        "median": float(scores.median[row]),
                        "z": float(scores.z[row]),
                        "peers": int(scores.members[row]),
                        "group": _group_words(b, row, int(scores.grouping[row])),
                        "bad": bool(concerns[row]),
                    },
                )
            )
            b.evidence.readings.append(
                reading(
                    b.view.sites[row].id,
                    metric.name,
                    value,
                    label.unit,
                    b.view.taken(label, row)
                    if b.query.period is None
                    else b.period.end.timestamp(),
                )
            )
    found.sort(key=lambda item: (not item[1]["bad"], -abs(item[1]["z"]), item[1]["site"]))
    shown = found[: b.query.limit or 20]
    bad = len({row for row, line in found if line["bad"]})
    b.evidence.notes.append(
        "Robust z = 0.6745 (value - median) / MAD against the narrowest of battery type, region "
        f"and fleet with at least five values; beyond {_THRESHOLD} is an outlier"
    )
    if not compared:
        raise CannotAnswerError(
            "no site can be compared: a group needs at least five sites with a value"
        )
    count = len({row for row, _ in found})
    whole = len(compared) == len(b.chosen)
    headline = f"{capital(sites_word(count) if count else 'no sites')} of {b.of_sites()} "
    if b.query.period is None:
        headline += f"differ{'s' if count == 1 else ''} from comparable ones"
    else:
        headline += f"differed from comparable ones, {b.period.words or 'in the period'}"
    headline += f", {bad} for the worse." if count else "."
    if b.query.period is not None and not whole:
        headline += f" {capital(sites_word(len(compared)))} could be compared."
    if b.coverage is not None and b.coverage.below(MOSTLY):
        headline = f"{b.coverage.sentence()} {headline}"
    columns = (
        Column("status", "Status", "status"),
        Column("name", "Site"),
        Column("site", "Id"),
        Column("metric", "In"),
        Column("value", "Value" if b.query.period is None else "Mean", "number", decimals=2),
        Column("median", "Peers' median", "number", decimals=2),
        Column("unit", "Unit"),
        Column("z", "Robust z", "number", decimals=1),
        Column("group", "Compared with"),
    )
    table = Table("Outliers", columns, [line for _, line in shown], len(found))
    return b.answer(headline, [table], dict.fromkeys(row for row, _ in shown))


def _group_words(b: Builder, row: int, grouping: int) -> str:
    name = _GROUPINGS[grouping]
    value = getattr(b.view.sites[row], name, None)
    return f"{name.replace('_', ' ')} {value}" if value else name
