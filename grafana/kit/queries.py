"""Data sources and queries. Every uid stands here and in provisioning/grafana, nowhere else."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.prometheus import Dataquery as PrometheusBuilder
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from exporter.history.rollups.plot_level import MEASUREMENT, PLACE

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="fleetscope-prometheus")
INFLUXDB = DataSourceRef(type_val="influxdb", uid="fleetscope-influxdb")
ALERTMANAGER = DataSourceRef(type_val="alertmanager", uid="fleetscope-alertmanager")
MIXED = DataSourceRef(type_val="datasource", uid="-- Mixed --")

INFO_LABELS = ("kind", "region", "vendor", "battery_type", "priority")
CHOSEN_INFO = ",".join(f'{label}=~"${label}"' for label in INFO_LABELS)
CHOSEN = f'{CHOSEN_INFO},status=~"$status"'
SITES = f"fleet:health_score:by_site{{{CHOSEN}}}"
ON_SITE = "on (job, instance, site)"
# Polls are 10 s apart by default; a bucket of three never runs empty between two of them, and a
# poll that is lost still shows as a gap at the longer intervals of up to a minute.
BUCKET = "30s"
# The newest rows of what every assessment writes, wherever the time range ends.
AT_THE_END = "time > ${__to}ms - 5m AND time <= ${__to}ms"


@dataclass
class InfluxQuery(Dataquery):
    """An InfluxQL query, as Grafana's InfluxDB data source reads it."""

    query: str
    ref_id: str
    alias: str
    result_format: str

    def to_json(self) -> dict[str, object]:
        """The JSON of a target."""
        return {
            "datasource": INFLUXDB,
            "refId": self.ref_id,
            "query": self.query,
            "rawQuery": True,
            "alias": self.alias,
            "resultFormat": self.result_format,
        }


@dataclass(frozen=True)
class Target(Builder[Dataquery]):
    """A query and the data source that it goes to."""

    source: DataSourceRef
    made: Dataquery

    def build(self) -> Dataquery:
        """The query."""
        return self.made


def prom(expr: str, legend: str = "", ref: str = "A") -> Target:
    """A PromQL query over the time range."""
    query = PrometheusBuilder().expr(squeeze(expr)).ref_id(ref).range().datasource(PROMETHEUS)
    return Target(PROMETHEUS, query.legend_format(legend or "__auto").build())


def prom_now(expr: str, legend: str = "", ref: str = "A") -> Target:
    """A PromQL query at the end of the time range, one value for each series."""
    query = PrometheusBuilder().expr(squeeze(expr)).ref_id(ref).instant().datasource(PROMETHEUS)
    return Target(PROMETHEUS, query.legend_format(legend or "__auto").build())


def prom_table(expr: str, ref: str = "A") -> Target:
    """A PromQL query at the end of the time range, with a column for each label."""
    query = PrometheusBuilder().expr(squeeze(expr)).ref_id(ref).instant().datasource(PROMETHEUS)
    return Target(PROMETHEUS, query.format(PromQueryFormat.TABLE).build())


def influx(query: str, alias: str = "", ref: str = "A") -> Target:
    """An InfluxQL query as time series."""
    return Target(INFLUXDB, InfluxQuery(squeeze(query), ref, alias, "time_series"))


def influx_table(query: str, ref: str = "A") -> Target:
    """An InfluxQL query as one table."""
    return Target(INFLUXDB, InfluxQuery(squeeze(query), ref, "", "table"))


def or_missing(expr: str, wanted: str) -> str:
    """PromQL: ``expr``, and NaN for what only ``wanted`` has, so that its column never vanishes.

    Both must have the same labels. Tables show NaN as missing.
    """
    return f"{expr} or (0 / 0) * {wanted}"


def never_empty(expr: str, labels: Mapping[str, str], like: str = "") -> str:
    """PromQL: ``expr``, or one row without a value, so that a table keeps its headings.

    Parameters
    ----------
    expr : str
        With at most the labels named.
    labels : mapping
        Label to its text in that row; one of them says why there is nothing else.
    like : str
        PromQL of a series that lends that row its labels where it has them, so that its links lead
        to a site that exists.
    """
    row = "vector(0) / 0"
    if like:
        row = f"topk(1, {like}) * (0 / 0) or on () {row}"
    for label, text in labels.items():
        # The pattern of a label that is absent.
        given = f'"{label}", ""' if like else '"", ""'
        row = f'label_replace({row}, "{label}", "{text}", {given})'
    return f"{expr} or on () {row}"


def with_columns(
    query: str, by: str, *, texts: Sequence[str] = (), numbers: Sequence[str] = ()
) -> str:
    """InfluxQL: the rows of a query, and one of nobody, so that no column vanishes.

    That row lacks the tag, and a table drops it by what it joins. It has a value of the right type
    in every column, since Grafana takes the type of a column from its first row.

    Parameters
    ----------
    query : str
        Ordered by time, the newest first, and grouped by the tag.
    by : str
        The tag.
    texts, numbers : sequence of str
        Its columns.
    """
    values = [f'"choice" AS "{name}"' for name in texts]
    values += [f'"seconds" AS "{name}"' for name in numbers]
    chosen = ", ".join(f'"{name}"' for name in (*texts, *numbers))
    nobody = (
        f'SELECT {", ".join(values)} FROM "{PLACE}"."{MEASUREMENT}" WHERE "level" = \'{PLACE}\' '
        "ORDER BY time DESC LIMIT 1"
    )
    return f'SELECT {chosen} FROM ({query}), ({nobody}) GROUP BY "{by}" ORDER BY time DESC'


def squeeze(text: str) -> str:
    """A query on one line."""
    return " ".join(text.split())


def latest(fields: str, measurement: str, where: str, by: str) -> str:
    """InfluxQL for the newest row of each group within the time range, with its own time."""
    return (
        f'SELECT {fields} FROM "raw"."{measurement}" WHERE {where} AND $timeFilter '
        f"GROUP BY {by} ORDER BY time DESC LIMIT 1"
    )
