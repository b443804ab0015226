"""Every query of the portfolio's dashboards, on a real InfluxDB with a simulated month."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from exporter.portfolio.measurements import MEASUREMENTS, Combine
from grafana.generate import all_panels, dashboards
from provisioning.local.web import get_json
from tests.portfolio.simulated_month import publish_month
from tests.store.test_influx_targets import Server, influx1  # noqa: F401

BEGIN, END = 1_772_323_200.0, 1_774_998_000.0  # March 2026 in London
MADE = {uid: made for uid, made in dashboards().items() if uid.startswith("fleetscope-portfolio")}
QUERIES = [
    pytest.param(panel["title"], target["query"], id=f"{uid}: {panel['title']}: {target['refId']}")
    for uid, made in MADE.items()
    for panel in all_panels(made)
    for target in panel.get("targets", [])
    if "query" in target
] + [
    pytest.param(variable["name"], variable["query"], id=f"{uid}: variable {variable['name']}")
    for uid, made in MADE.items()
    for variable in made["templating"]["list"]
    if variable["type"] == "query" and variable["datasource"]["type"] == "influxdb"
]
OUTSIDE = {"How dates slipped": "projects are stamped with their import, which is today"}
ALLOWED = {
    "sum": {Combine.SUM},
    "mean": {Combine.MEAN},
    # The worst or best of several rows is one of them.
    "min": {Combine.MIN, Combine.LAST, Combine.NONE},
    "max": {Combine.MAX, Combine.LAST, Combine.NONE},
    # One row, not several put together.
    "last": set(Combine),
    "first": set(Combine),
    "top": {Combine.SUM},
}


def filled(query: str, begin: float = BEGIN, end: float = END, interval: str = "1h") -> str:
    """A query as Grafana sends it: all plants and, by default, the simulated month."""
    first_ms, last_ms = round(1000 * begin), round(1000 * end) - 1
    values = {
        "timeFilter": f"time >= {first_ms}ms AND time <= {last_ms}ms",
        "{__from}": f"{first_ms}",
        "{__to}": f"{last_ms}",
        "__interval": interval,
        "site": ".*",
        "how": "mean",
        "first": "power_kw",
        "second": "soc_percent",
    }
    for name, value in values.items():
        query = query.replace(f"${name}", value)
    assert "$" not in query.replace("/$", "").replace(".*$", ""), query
    return query


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_a_panel_puts_rows_together_only_as_the_table_allows(title: str, query: str) -> None:
    del title
    for aggregate, name, measurement in re.findall(
        r'(\w+)\("(\w+)"[^)]*\)(?=(?:(?!FROM).)*? FROM "portfolio"\."(\w+)")', query
    ):
        field = MEASUREMENTS[measurement].fields.get(name)
        if field is not None:
            assert field.combine in ALLOWED[aggregate], f"{aggregate} of {measurement}.{name}"


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, influx1: Server) -> str:  # noqa: F811
    """The address of an InfluxDB 1.x in which a simulated month of three plants is published."""
    publish_month(influx1.url, tmp_path_factory.mktemp("month"), "2026-03")
    return influx1.url


@pytest.mark.stack
def test_every_query_has_data(month: str) -> None:
    silent = []
    for param in QUERIES:
        title, query = param.values
        answer: dict[str, Any] = get_json(f"{month}/query", {"db": "fleet", "q": filled(query)})
        (result,) = answer["results"]
        assert "error" not in result, f"{param.id}: {result['error']}"
        rows = [row for series in result.get("series", []) for row in series["values"]]
        if not any(value is not None for row in rows for value in row[1:]) and (
            title not in OUTSIDE
        ):
            silent.append(param.id)
    assert silent == []


@pytest.mark.stack
def test_the_tiles_of_the_losses_add_up(month: str) -> None:
    (panel,) = [
        one
        for one in all_panels(MADE["fleetscope-portfolio-losses"])
        if one.get("title") == "From the best to what was paid"
    ]
    shown = {}
    for target in panel["targets"]:
        answer = get_json(f"{month}/query", {"db": "fleet", "q": filled(target["query"])})
        shown[target["alias"]] = float(answer["results"][0]["series"][0]["values"][0][1])
    causes = sum(value for name, value in shown.items() if name not in ("Best", "Paid"))
    assert shown["Best"] - causes == pytest.approx(shown["Paid"], abs=0.01)


def test_every_link_to_a_row_names_a_column_that_its_table_has() -> None:
    for uid, made in MADE.items():
        for panel in all_panels(made):
            if panel["type"] != "table":
                continue
            columns = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}
            named = set(re.findall(r"__data\.fields\.(\w+)", json.dumps(panel)))
            assert named <= columns, f"{uid}: {panel['title']}"
