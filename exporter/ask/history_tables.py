"""Tables of how a metric went over a period."""

from __future__ import annotations

from exporter.ask.answer import Column, Table
from exporter.ask.builder import capital
from exporter.ask.catalogue import Metric
from exporter.ask.metric_history import History

MOST_POINTS = 20_000


def history_columns(metric: Metric) -> tuple[Column, ...]:
    """Columns of a metric over a period, by how it is summed up."""

    def number(key: str, label: str, unit: str = metric.unit) -> Column:
        return Column(key, label, "number", unit, metric.decimals)

    site = (Column("status", "Now", "status"), Column("name", "Site"), Column("site", "Id"))
    covered = Column("observed", "Observed", "number", "%", 1)
    if metric.sums_up:
        return (*site, number("total", "Total"), covered)
    if metric.over_time == "share":
        return (*site, number("mean", "Mean"), Column("trend", "Trend"), covered)
    return (
        *site,
        number("first", "First"),
        number("last", "Last"),
        number("mean", "Mean"),
        number("lowest", "Lowest"),
        number("highest", "Highest"),
        Column("per_day", "Per day", "number", metric.unit, metric.decimals + 1),
        Column("trend", "Trend"),
        covered,
    )


def course_table(courses: dict[str, History], metric: Metric) -> Table:
    """The course of some sites, a row for each point."""
    rows = [
        {"site": site, "time": float(time), "value": float(value)}
        for site, history in courses.items()
        for time, value in zip(history.times, history.values, strict=True)
    ]
    columns = (
        Column("site", "Site"),
        Column("time", "Time", "time"),
        Column("value", capital(metric.label), "number", metric.unit, metric.decimals),
    )
    return Table("Course", columns, rows[:MOST_POINTS], len(rows))
