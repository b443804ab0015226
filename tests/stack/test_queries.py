"""Every query of dashboards and rules is asked of the real servers, with variables filled in."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import yaml

from exporter.energy.forecasts import KEPT_AT
from exporter.energy.pv_days import KEPT_AT as DAYS_KEPT_AT
from exporter.model.levels import RAW
from exporter.model.quantities import QUANTITIES
from grafana.generate import all_panels
from grafana.kit.levels import CADENCE, DETAILS
from provisioning.local.orders import order_both_ways
from provisioning.local.stack import ROOT, Stack
from provisioning.local.web import get_json
from simulator.scenario import SCENARIOS

pytestmark = pytest.mark.stack

LIMIT = 180.0
RANGE_SECONDS = 600
DEMO = yaml.safe_load((SCENARIOS / "demo.yaml").read_text("utf-8"))
SITES = tuple(site["id"] for site in DEMO["sites"])
COMPANIONS = tuple(site["id"] for site in DEMO["companions"])

# (dashboard, panel, refId or * for all of them): why the demo may have no answer.
MAY_BE_EMPTY = {
    ("collection", "Queues of projects", "*"): "no project of the demo has a database of its own",
    ("collection", "Energy accounts that were kept", "A"): "nobody need ask for one meanwhile",
    ("energy-plan", "What was saved, day by day", "*"): "of days with plans that have ended",
    ("energy-plan", "Battery: planned and measured", "B"): "a plan begins with the next quarter",
    ("energy-plan", "Orders of the plan", "*"): "no plan of the demo is approved or mandated",
    ("dispatch-orders", "Wanted, allowed, measured", "*"): "the demo's orders are dry",
    ("dispatch-orders", "Response time", "A"): "the demo's orders are dry",
    ("dispatch-orders", "Orders without effect", "A"): "the demo's orders are dry",
    ("dispatch-orders", "Limits by reason", "A"): "no order need be limited while the test runs",
    **{
        ("energy-forecast", f"{what} as forecast 1, 6 and 24 h before", ref): "a forecast takes "
        "hours until what it was for has come"
        for what in ("PV", "Load")
        for ref in "BCD"
    },
    ("energy-forecast", "Worst misses", "A"): "misses are of days that have ended",
    ("energy-home", "PV production", "E"): "the demo has no weather",
    ("energy-home", "PV production", "G"): "no inverter of the demo has a meter of its own",
    ("energy-home", "PV against the sun", "*"): "a day is judged minutes after the start at best",
    ("dispatch-orders", "What became of orders", "A"): "no order need end while the test runs",
    ("collection", "Backlog", "A"): "nothing waits while InfluxDB accepts everything",
    ("site-readings", "Device alarms over time", "A"): "no device of the demo has an alarm",
    ("site", "Power: where it comes from and where it goes", "D"): "no site has a generator",
    ("site-readings", "Power: where it comes from and where it goes", "D"): "no site has a "
    "generator",
    ("site-readings", "Scrapes by outcome", "B"): "no device of the demo gives an implausible "
    "value",
    ("fleet-wall", "PV energy today", "A"): "the test may run for less than a minute",
    ("compare", "${metric:text}", "*"): "PV performance takes an hour of daylight",
    ("compare", "${quantity:text}", "A"): "no simulated device gives every reading",
    ("meters", "*", "*"): "the demo imports nothing; tests/grafana asks for meters",
    **{
        ("pack", title, "*"): "what is said of cells takes days of history"
        for title in (
            *("State of health reported", "Measured", "Estimated, not measured"),
            *("Cycles by depth", "Hours by temperature in °C"),
        )
    },
    ("pack", "State of health over time", "A"): "what is said of cells takes days of history",
    ("pack", "State of health over time", "B"): "what is said of cells takes days of history",
    ("cells", "variable cell_cadence", "A"): "simulated cells come often enough",
    ("pack", "variable cell_cadence", "A"): "simulated cells come often enough",
    ("collection", "Room in the queue", "B"): "nothing waits while InfluxDB accepts everything",
    ("pack", "Out over in", "A"): "no counter need move while the test runs",
    ("site", "annotation Status changes", "A"): "no status need change while the test runs",
    ("site", "annotation Alerts", "A"): "alerts wait longer than the test",
    ("site", "annotation Maintenance", "A"): "nothing is being worked on in the demo",
}
# Which way power flows is up to the hour; without its side the query must answer.
ONE_SIDE = re.compile(r'WHERE "device" [<>] 0')
# What is let off above only for one value of a variable must answer for the others.
MUST_ANSWER = ("fleetscope_site_health_score", "fleetscope_battery_soc_ratio", "soc_percent")


@dataclass(frozen=True)
class Query:
    """One query with the place it stands in."""

    dashboard: str
    panel: str
    ref: str
    source: str
    text: str
    instant: bool
    span: tuple[float, float] = (RANGE_SECONDS, 0.0)
    """Seconds before and after now that are asked about."""

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.ref}"

    @property
    def excuse(self) -> str | None:
        """Why it may be empty."""
        places = [(self.dashboard, self.panel, ref) for ref in (self.ref, "*")]
        places.append((self.dashboard, "*", "*"))
        return next((MAY_BE_EMPTY[place] for place in places if place in MAY_BE_EMPTY), None)


def span_of(pack: str, opened: dict[str, str], panel: dict[str, Any]) -> tuple[float, float]:
    """What is asked about: of energy, which has a past and what is ahead, the range that the
    dashboard or the panel opens with; of all else what the demo has seen."""
    if ahead := re.fullmatch(r"\+(\d+)h", panel.get("timeFrom") or ""):
        return (0.0, 3600.0 * int(ahead[1]))
    if pack != "Energy":
        return (RANGE_SECONDS, 0.0)
    since = re.fullmatch(r"now-(\d+)h", opened["from"])
    assert since is not None
    assert opened["to"] == "now", "Prometheus knows nothing of a range that ends ahead"
    return (3600.0 * int(since[1]), 0.0)


def all_queries() -> Iterator[Query]:
    """Queries of panels, variables and annotations, out of the committed files."""
    for path in sorted((ROOT / "grafana" / "dashboards").rglob("*.json")):
        if path.parent.name == "Portfolio":
            # The demo has no contracts; tests/grafana/test_portfolio_queries.py asks for these.
            continue
        made = json.loads(path.read_text("utf-8"))
        name = path.stem.removeprefix("fleetscope-")
        span = span_of(path.parent.name, made["time"], {})
        for panel in all_panels(made):
            own = span_of(path.parent.name, made["time"], panel)
            for target in panel.get("targets", []):
                source = target["datasource"]["type"]
                text = target["expr" if source == "prometheus" else "query"]
                instant = bool(target.get("instant"))
                yield Query(name, panel["title"], target["refId"], source, text, instant, own)
        for variable in made["templating"]["list"]:
            if variable["type"] == "query":
                place = f"variable {variable['name']}"
                source = variable["datasource"]["type"]
                yield Query(name, place, "A", source, variable["query"], True, span)
        for note in made["annotations"]["list"]:
            if note.get("expr"):
                yield Query(
                    name, f"annotation {note['name']}", "A", "prometheus", note["expr"], False
                )


QUERIES = list(all_queries())
RULES = [
    (rule.get("record") or rule["alert"], rule)
    for path in sorted((ROOT / "provisioning" / "prometheus" / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
METRICS, READINGS = (
    [part.split(" : ")[1] for part in variable["query"].split(",")]
    for name in ("metric", "quantity")
    for variable in json.loads(
        (ROOT / "grafana" / "dashboards" / "Fleet" / "fleetscope-compare.json").read_text("utf-8")
    )["templating"]["list"]
    if variable["name"] == name
)


def filled(
    text: str,
    site: str,
    metric: str,
    quantity: str,
    *,
    regex: bool,
    level: str = RAW,
    span: tuple[float, float] = (RANGE_SECONDS, 0.0),
) -> str:
    """The query as Grafana sends it: one site, everything else at its default."""
    before, after = span
    values = {
        "__rate_interval": "1m",
        "__interval": "10s",
        "__from": f"{(time.time() - before) * 1000:.0f}",
        "__to": f"{(time.time() + after) * 1000:.0f}",
        "__range": f"{before + after:.0f}s",
        "timeFilter": f"time >= now() - {before:.0f}s AND time <= now() + {after:.0f}s",
        "site": f"({'|'.join(SITES)})" if regex else site,
        "metric": metric,
        "quantity": quantity,
        "kept": "mean",
        "peers": ".*",
        "group": "battery_type",
        "zone": "Europe/Madrid",
        **dict.fromkeys(
            ("kind", "region", "vendor", "battery_type", "priority", "status", "pack"), ".*"
        ),
        "meter": ".*",
        "metered": ".*",
        "telling": site,
        "called": ".*",
        "how": "mean",
        "first": "power_kw",
        "second": "soc_percent",
        CADENCE: "",
        **dict.fromkeys((detail.name for detail in DETAILS), level),
    }
    text = text.replace("'$pack'", "'battery/512'")
    for name, value in values.items():
        text = re.sub(rf"\$(?:\{{{name}\}}|{name}\b)", lambda _, value=value: value, text)
    assert not re.search(r"\$[A-Za-z_{]", text), text
    return text


def versions(query: Query) -> Iterator[tuple[str, bool]]:
    """What the query becomes for the values of its variables, and whether that must answer."""
    metrics = METRICS if "$metric" in query.text else METRICS[:1]
    readings = READINGS if "$quantity" in query.text else READINGS[:1]
    for metric in metrics:
        for quantity in readings:
            chosen = {metric, quantity} & set(MUST_ANSWER)
            must = query.excuse is None or (
                ("$metric" in query.text or "$quantity" in query.text) and bool(chosen)
            )
            if "$metric" in query.text and metric not in MUST_ANSWER:
                must = False
            if "$quantity" in query.text and quantity not in MUST_ANSWER:
                must = False
            text = ONE_SIDE.sub('WHERE "device" > -1000000000', query.text)
            if not re.search(r"\$(?:site\b|\{site\})", text):
                yield filled(text, "", metric, quantity, regex=True, span=query.span), must
            else:
                # One answer among the sites is enough: not every site has every device.
                yield (
                    "\n".join(
                        filled(text, site, metric, quantity, regex=False, span=query.span)
                        for site in SITES
                    ),
                    must,
                )
    if ONE_SIDE.search(query.text):
        yield (
            filled(query.text, SITES[0], METRICS[0], READINGS[0], regex=False, span=query.span),
            False,
        )
    if re.search(r'"\$\w*level"', query.text):
        # The demo need not have made this yet; tests/grafana asks it of seeded servers.
        yield (
            filled(
                query.text,
                SITES[0],
                METRICS[0],
                READINGS[0],
                regex=False,
                level="rollup_5m",
                span=query.span,
            ),
            False,
        )


def ask_prometheus(url: str, query: Query, text: str) -> int:
    """Number of series in the answer; an error of the server is raised with its own words."""
    if match := re.fullmatch(r"label_values\((.+), (\w+)\)", text):
        answer = get_json(f"{url}/api/v1/label/{match[2]}/values", {"match[]": match[1]})
        return len(answer["data"])
    if match := re.fullmatch(r"query_result\((.*)\)", text):
        text = match[1]
    now = time.time()
    if query.instant:
        answer = get_json(f"{url}/api/v1/query", {"query": text, "time": f"{now}"})
    else:
        span = {"start": f"{now - RANGE_SECONDS}", "end": f"{now}", "step": "15"}
        answer = get_json(f"{url}/api/v1/query_range", {"query": text, **span})
    assert answer["status"] == "success"
    return len(answer["data"]["result"])


def ask_influxdb(url: str, text: str) -> int:
    """Number of rows with a value in the answer."""
    answer = get_json(f"{url}/query", {"db": "fleet", "q": text})
    (result,) = answer["results"]
    assert "error" not in result, f"{result['error']}: {text}"
    rows = [row for series in result.get("series", []) for row in series["values"]]
    return sum(any(value is not None for value in row[1:]) for row in rows)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(1.0)


@pytest.fixture(scope="module")
def warm(stack: Stack) -> Stack:
    """The demo once every site was asked, rates have two samples and rules were evaluated."""
    prometheus, influxdb = stack.url("prometheus"), stack.url("influxdb")
    assert prometheus is not None
    assert influxdb is not None

    def value(expr: str) -> float:
        result = get_json(f"{prometheus}/api/v1/query", {"query": expr})["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0

    every = len(SITES) + len(COMPANIONS)
    until(lambda: value("count(fleet:attention_order:by_site)") == every, "rules")
    until(lambda: value("min(count_over_time(fleetscope_points_total[1m]))") >= 3, "samples")
    until(lambda: value("count(fleetscope_site_issue)") >= 4, "faults of the demo")
    failed = 'max(increase(fleetscope_site_scrapes_total{outcome!="ok"}[5m]))'
    until(lambda: value(failed) > 0, "the site that fails was tried again")
    order_both_ways(stack)
    stored = [("raw", "order")]
    stored += [(KEPT_AT, name) for name in ("forecast", "forecast_score", "plan", "plan_summary")]
    # The job of the energy ends with these; a loaded machine comes to them much later.
    stored += [(DAYS_KEPT_AT, name) for name in ("pv_day", "pv_loss")]
    for place, name in stored:
        statement = f'SELECT last(*) FROM "{place}"."{name}"'
        until(partial(ask_influxdb, influxdb, statement), f"rows of {name}")
    until(
        lambda: ask_influxdb(influxdb, 'SELECT last("sentence") FROM "raw"."issue"') == 1, "issues"
    )
    return stack


@pytest.mark.parametrize("query", [pytest.param(query, id=str(query)) for query in QUERIES])
def test_a_query_is_answered(warm: Stack, query: Query) -> None:
    url = warm.url(query.source)
    assert url is not None
    for text, must in versions(query):
        if query.source == "prometheus":
            found = sum(ask_prometheus(url, query, part) for part in text.split("\n"))
        else:
            found = sum(ask_influxdb(url, part) for part in text.split("\n"))
        assert found or not must, f"no answer to {text}"


PLOTS_OF_THE_PAST = {
    ("energy-home", "PV production", "A"),
    ("energy-home", "Demand", "A"),
    ("energy-forecast", "PV as forecast 1, 6 and 24 h before", "A"),
    ("energy-forecast", "Load as forecast 1, 6 and 24 h before", "A"),
    ("energy-plan", "Battery: planned and measured", "C"),
}
QUARTERS_OF_A_DAY = 96


def test_plots_of_energy_show_the_past_of_the_demo(warm: Stack) -> None:
    """At the level that their variable picks at the finest; the newest quarters may be missing."""
    shown = [q for q in QUERIES if (q.dashboard, q.panel, q.ref) in PLOTS_OF_THE_PAST]
    assert len(shown) == len(PLOTS_OF_THE_PAST)
    for query in shown:
        text = query.text.replace("$__interval", "15m")
        text = filled(text, SITES[0], "", "", regex=False, level="rollup_15m", span=query.span)
        found = ask_influxdb(str(warm.url("influxdb")), text)
        assert found >= 0.9 * QUARTERS_OF_A_DAY, query


def test_every_excuse_is_for_a_query_that_exists() -> None:
    places = {(q.dashboard, q.panel, ref) for q in QUERIES for ref in (q.ref, "*")}
    places |= {(q.dashboard, "*", "*") for q in QUERIES}
    assert set(MAY_BE_EMPTY) <= places
    assert set(MUST_ANSWER) <= {*METRICS, *READINGS}
    assert set(READINGS) == set(QUANTITIES)


@pytest.mark.parametrize(("name", "rule"), [pytest.param(n, r, id=n) for n, r in RULES])
def test_a_rule_is_evaluated(warm: Stack, name: str, rule: dict[str, Any]) -> None:
    url = warm.url("prometheus")
    assert url is not None
    text = rule["expr"]
    query = Query("rules", name, "A", "prometheus", text, True)
    found = ask_prometheus(url, query, text)
    if name.startswith("fleet:"):
        assert found, "a recording rule of the fleet has a value whenever there are sites"
        # What the server recorded is up to one evaluation older than what it computes now.
        until(
            lambda: ask_prometheus(url, query, name) == ask_prometheus(url, query, text),
            f"{name} as it is computed",
        )


def test_no_rule_fails_in_the_running_server(warm: Stack) -> None:
    url = warm.url("prometheus")
    groups = get_json(f"{url}/api/v1/rules")["data"]["groups"]
    errors = {rule["name"]: rule.get("lastError") for g in groups for rule in g["rules"]}
    assert len(errors) == len({name for name, _ in RULES})
    assert {name: error for name, error in errors.items() if error} == {}
