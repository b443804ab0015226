"""Answers against real servers: the past is that of InfluxDB, and the evidence shows the same."""

from __future__ import annotations

import json
import math
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from provisioning.local.stack import Stack

pytestmark = pytest.mark.stack

LIMIT = 180.0
PROBLEMS = {"site_alpha", "site_beta", "site_gamma", "site_delta", "site_epsilon"}


def get(url: str, parameters: dict[str, Any]) -> Any:
    with urllib.request.urlopen(f"{url}?{urlencode(parameters, doseq=True)}", timeout=60) as reply:
        return json.load(reply)


class Asked:
    """The three servers of the demo."""

    def __init__(self, stack: Stack) -> None:
        urls = {name: stack.url(name) for name in ("exporter", "prometheus", "influxdb")}
        self._urls = {name: str(url).rstrip("/") for name, url in urls.items()}

    def answer(self, path: str, **parameters: Any) -> Any:
        return get(f"{self._urls['exporter']}/api/v1/{path}", parameters)

    def promql(self, text: str) -> list[Any]:
        found = get(f"{self._urls['prometheus']}/api/v1/query", {"query": text})
        assert found["status"] == "success"
        return list(found["data"]["result"])

    def influxql(self, text: str) -> list[Any]:
        parameters = {"db": "fleet", "rp": "raw", "q": text, "epoch": "ms"}
        found = get(f"{self._urls['influxdb']}/query", parameters)
        assert "error" not in found["results"][0], found
        return list(found["results"][0].get("series", []))


@pytest.fixture(scope="module")
def asked(stack: Stack) -> Asked:
    """The demo once its faults are found, stored and scraped."""
    servers = Asked(stack)
    until(lambda: set(servers.answer("query", what="attention")["sites"]) == PROBLEMS)
    until(lambda: sites(servers.promql("fleetscope_site_issue")) >= PROBLEMS)
    until(lambda: len(servers.influxql('SELECT last("sentence") FROM "issue" GROUP BY *')) >= 5)
    return servers


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(1.0)


def sites(found: list[Any]) -> set[str]:
    return {series["metric"]["site"] for series in found}


QUERIES: tuple[dict[str, Any], ...] = (
    {"what": "attention"},
    {"what": "attention", "severity": "critical"},
    {"what": "attention", "filter": "region:iberia"},
    {"what": "which", "condition": "hot"},
    {"what": "which", "condition": ["low_soh", "cell_imbalance"], "any_of": "1"},
    {"what": "which", "condition": "!needs_attention"},
    {"what": "which", "condition": "offline"},
    {"what": "which", "where": "soh<95"},
    {"what": "which", "where": ["soh>=95", "soc>10"], "filter": "priority:high"},
    {"what": "which", "condition": "off_frequency", "filter": "location:Germany"},
    {"what": "rank", "metric": "soh", "limit": "3"},
    {"what": "outliers", "metric": "soh"},
)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_promql_of_the_evidence_shows_the_same_sites(asked: Asked, query: dict[str, Any]) -> None:
    query = {"limit": "100"} | query

    def same() -> bool:
        answer = asked.answer("query", **query)
        shown = [sites(asked.promql(text)) for text in answer["evidence"]["promql"]]
        return shown == [set(answer["sites"])]

    # Prometheus is behind by up to a scrape.
    until(same)


def test_every_promql_and_influxql_of_an_answer_is_valid(asked: Asked) -> None:
    for question in (
        "summary",
        "how is Alpha?",
        "why is Alpha critical?",
        "compare Alpha and Beta",
        "compare regions by state of health",
        "average score in Spain",
        "since when is Epsilon offline?",
        "availability of Alpha in the last hour",
        "temperature of Delta in the last hour",
        "how did Gamma do in the last hour?",
        "PV energy of Alpha in the last hour",
        "energy charged in the last hour",
        "which sites had a state of charge below 60 % in the last hour?",
        "which sites had hot batteries in the last hour?",
        "rank by cell spread in the last hour",
    ):
        answer = asked.answer("ask", q=question)
        evidence = answer["evidence"]
        assert evidence["promql"] or evidence["influxql"], question
        for text in evidence["promql"]:
            asked.promql(text)
        # A statement may be about a time before the demo began; all of an answer are not.
        found = [asked.influxql(text) for text in evidence["influxql"]]
        assert any(found) or not found, evidence["influxql"]


def test_attention_over_a_period_finds_what_is_stored(asked: Asked) -> None:
    answer = asked.answer("query", what="attention", period="1h", limit="100")
    assert set(answer["sites"]) >= PROBLEMS
    rows = {row["site"]: row for row in answer["tables"][0]["rows"]}
    assert rows["site_alpha"]["code"] == "battery_soh"
    assert rows["site_alpha"]["ongoing"] == "yes"
    assert rows["site_alpha"]["seconds"] <= 3600
    hot = asked.answer("query", what="which", condition="hot", period="1h")
    assert hot["sites"] == ["site_delta"]


def test_history_is_what_the_points_say(asked: Asked) -> None:
    answer = asked.answer("query", what="history", metric="soh", site="site_alpha", period="1h")
    row = answer["tables"][0]["rows"][0]
    (series,) = asked.influxql('SELECT "soh_percent" FROM "battery" WHERE "site" = \'site_alpha\'')
    values = [value for _, value in series["values"]]
    assert row["mean"] == pytest.approx(sum(values) / len(values))
    assert (row["lowest"], row["highest"]) == (min(values), max(values))
    assert 0 < row["covered"] < 100
    assert "without readings in more than 5 %" in answer["evidence"]["missing"][0]


def test_energy_is_power_times_the_time_that_was_read(asked: Asked) -> None:
    (series,) = asked.influxql('SELECT "load_power_w" FROM "site" WHERE "site" = \'site_beta\'')
    times = [moment / 1000 for moment, _ in series["values"]]
    # What came before the demo's start is there as a roll-up alone.
    first, last = (
        datetime.fromtimestamp(moment, UTC).isoformat() for moment in (times[0], times[-1])
    )
    asked_for = {"what": "history", "metric": "load_energy", "site": "site_beta"}
    row = asked.answer("query", **asked_for, since=first, until=last)["tables"][0]["rows"][0]
    mean = sum(value for _, value in series["values"]) / len(times)
    kwh = mean * (times[-1] - times[0]) / 3.6e6
    # To within one piece of a minute at either end.
    assert math.isclose(row["total"], kwh, abs_tol=1.2 * mean * 120 / 3.6e6)
    assert row["covered"] > 60


def test_the_cost_question_of_the_week(asked: Asked) -> None:
    answer = asked.answer(
        "ask", q="which sites need attention this week, and what will it cost?", tz="Europe/Berlin"
    )
    assert set(answer["sites"]) >= PROBLEMS
    assert answer["cost"] == "No price list is configured, so there is no figure."
