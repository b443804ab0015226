"""One question by five ways: command line, HTTP, MCP, page and report have the same figures."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from mcp import Client
from typer.testing import CliRunner

from exporter.assess.costs import PriceList
from exporter.cli.commands import app
from exporter.cli.mcp.server import build
from exporter.history.influxql import InfluxQL
from tests.browser.pages import browsers, opened
from tests.serve.api.influx import influx
from tests.serve.api.served import ODD_NAMES, START, ServedFleet, plan

pytestmark = pytest.mark.stack

DAY = 86400.0
PRICES = PriceList.model_validate(
    {
        "currency": "EUR",
        "battery_per_kwh": {"price": 450, "assumption": "without installation"},
        "service_call": {"price": 180, "assumption": "half a day"},
    }
)
# The names with quotes, emoji and markup in them are those that something is wrong with.
CHANGED: dict[str, Any] = {
    "s0000": {"soh_percent": 65.0},
    "s0001": None,
    "s0002": {"temperature_c": 48.0},
    "s0003": {"grid_frequency_hz": 49.2},
    "s0004": {"cell_spread_v": 0.12},
}
AWAY = ("s0001", 2.0, 4.3)
"""A site, and the days of the week between which it did not answer and was polled less often."""
WEEK = {
    "availability": "availability",
    "score": "mean_score",
    "pv_energy": "pv_kwh",
    "load_energy": "load_kwh",
    "imported_energy": "import_kwh",
    "charged_energy": "charged_kwh",
}


def lines(end: float, sites: int) -> Iterator[str]:
    """Eight days of full detail."""
    for n in range(int(8 * DAY / 60)):
        moment = end - 8 * DAY + n * 60
        stamp, day = round(moment * 1000), (moment - end) / DAY + 7
        for number in range(sites):
            site = f"s{number:04}"
            if site == AWAY[0] and AWAY[1] <= day < AWAY[2]:
                if n % 5 == 0:
                    yield f"site,site={site} online=0 {stamp}"
                continue
            meter = 1000 + number * 10 + n / 60 * (0.5 + number / 10)
            yield (
                f"site,site={site} online=1,pv_power_w={1000 + number * 100},load_power_w=500,"
                f"grid_import_kwh={meter},grid_export_kwh={meter / 2} {stamp}"
            )
            yield f"health,site={site},component=overall score={90 - number},status=0 {stamp}"
            yield (
                f"battery,site={site},device=battery/512 charged_kwh={meter},"
                f"discharged_kwh={meter * 0.9} {stamp}"
            )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    with influx(tmp_path_factory.mktemp("influx")) as server:
        stored = InfluxQL(server.url, "fleet", {})
        fleet = ServedFleet(plan(8), stored, prices=PRICES, now=time.time() - START)
        fleet.scrape(**CHANGED)
        server.write(list(lines(fleet.latest.time, 8)))
        with fleet.serving():
            yield fleet


def command(served: ServedFleet, *words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], env={"FLEETSCOPE_URL": served.url})
    assert done.exit_code in (0, 1), done.output
    return json.loads(done.stdout)


async def tool(served: ServedFleet, name: str, arguments: dict[str, Any]) -> Any:
    async with Client(build(served.url)) as client:
        result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)  # type: ignore[union-attr]


def attention_of(answer: Any) -> list[tuple[str, str, float, str]]:
    rows = answer["tables"][0]["rows"]
    return [(row["site"], row["name"], row["score"], row["why"]) for row in rows]


async def test_who_needs_attention_and_what_will_it_cost(served: ServedFleet) -> None:
    question = "which sites need attention, and what will it cost?"
    asked = served.json(f"/api/v1/ask?q={quote(question)}")
    queried = served.json("/api/v1/query?what=attention&cost=1")
    answers = [
        asked,
        queried,
        command(served, "ask", question),
        await tool(served, "ask_fleet", {"question": question}),
        await tool(served, "sites_needing_attention", {"with_cost": True}),
    ]
    wanted = attention_of(asked)
    assert [site for site, *_ in wanted] == ["s0001", "s0000", "s0003", "s0004", "s0002"]
    assert [name for _, name, *_ in sorted(wanted)] == list(ODD_NAMES)
    assert [attention_of(answer) for answer in answers] == [wanted] * 5
    # A new battery of 10 kWh and five sites, of which one has nothing that a visit mends.
    total = 10 * 450 + 180 * 4
    assert {answer["cost"] for answer in answers} == {asked["cost"]}
    assert f"{total:,}".replace(",", " ") in asked["cost"]
    assert command(served, "attention")["tables"][0] == asked["tables"][0]

    report = served.json("/api/v1/report?days=7")
    told = [(s["site"], s["name"], s["score"], s["sentences"][0]) for s in report["attention"]]
    assert told == wanted
    assert report["cost_total"] == total
    html = served.ask("/api/v1/report?days=7&format=html")[2].decode()
    words = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html)))
    for _, name, score, why in wanted:
        assert f"{name} " in words
        assert why in words
        assert f"{score:.1f}" in words or f"{score:.0f}" in words
    assert f"{total:,} EUR" in words


def test_the_page_says_the_same(served: ServedFleet) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium in PATH (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    wanted = attention_of(served.json("/api/v1/query?what=attention"))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(served.url)
        page.wait_for_selector("#list li")
        shown = page.evaluate(
            "[...document.querySelectorAll('#list a')].map((a) => [a.dataset.id,"
            "a.querySelector('.name bdi').textContent, a.querySelector('.score').textContent,"
            "a.querySelector('.why bdi')?.textContent ?? ''])"
        )
        browser.close()
    found = [(site, name, float(score), why) for site, name, score, why in shown]
    assert found[: len(wanted)] == [(s, n, round(score), why) for s, n, score, why in wanted]
    assert all(score >= 90 for _, _, score, _ in found[len(wanted) :])


def test_the_page_shows_what_happened_in_the_whole_fleet(served: ServedFleet) -> None:
    wanted = served.json("/api/v1/timeline?period=7d&tz=UTC")
    assert wanted["tables"][0]["rows"], "a site was away"
    with browsers() as launch, opened(launch("--disable-gpu"), served.url, width=390) as seen:
        page = seen.page
        page.click("#happened-box summary")
        page.click("#happened-7d")
        # What is shown until then is the period before.
        seen.until("!document.querySelector('#happened').hasAttribute('aria-busy')")
        assert page.locator("#happened tbody tr").count() > 0
        # The period ends with the question, so that the words may differ by a minute.
        assert page.inner_text("#happened p").split(":")[0] == wanted["headline"].split(":")[0]
        shown = page.evaluate(
            "[...document.querySelectorAll('#happened table:first-of-type tbody tr')]"
            ".map((row) => row.textContent)"
        )
        for row, text in zip(wanted["tables"][0]["rows"], shown, strict=False):
            assert row["what"] in text
        assert page.locator("#happened tbody a").count() > 0, "a site is a link"
        page.fill("#happened-period", "when pigs fly")
        page.press("#happened-period", "Enter")
        seen.until("document.querySelector('#happened').textContent.includes('no period')")
        assert seen.overflow() <= 0
        assert seen.violations() == []
        seen.wrong = [line for line in seen.wrong if "422" not in line]


async def test_a_week_is_the_same_everywhere(served: ServedFleet) -> None:
    report = {p["site"]: p for p in served.json("/api/v1/report?days=7")["periods"]}
    for metric, key in WEEK.items():
        scale = 0.01 if metric == "availability" else 1.0
        path = f"/api/v1/query?what=history&metric={metric}&since=7d&limit=20"
        arguments = {"metric": metric, "period": "7d", "limit": 20}
        answers = [
            served.json(path),
            command(served, "history", metric, "--since", "7d", "--limit", "20"),
            await tool(served, "metric_history", arguments),
        ]
        for answer in answers:
            rows = {row["site"]: row for row in answer["tables"][0]["rows"]}
            assert rows.keys() == report.keys()
            for site, row in rows.items():
                value = row["mean"] if row.get("total") is None else row["total"]
                # Time goes by between the questions: pieces of ten minutes come and go at both
                # ends, which is 0.3 % of the time that the site was there.
                assert value * scale == pytest.approx(report[site][key], rel=0.004), (metric, site)
    # And they are right: away for 2.3 of 7 days.
    assert report[AWAY[0]]["availability"] == pytest.approx(1 - 2.3 / 7, abs=0.005)
    assert report["s0000"]["pv_kwh"] == pytest.approx(24 * 7, rel=0.01)
    assert report["s0005"]["import_kwh"] == pytest.approx(24 * 7, rel=0.01)


ENERGIES = {
    "pv_energy": ("pv_kwh", 1.0, 0.1),
    "load_energy": ("load_kwh", 0.5, 0.0),
    "imported_energy": ("import_kwh", 0.5, 0.1),
    "exported_energy": ("export_kwh", 0.25, 0.05),
    "charged_energy": ("charged_kwh", 0.5, 0.1),
    "discharged_energy": ("discharged_kwh", 0.45, 0.09),
}
"""The key of the report; kWh an hour of the first site, and what each further one has more."""


async def test_energy_of_today_yesterday_and_a_week_on_every_face(served: ServedFleet) -> None:
    now = served.latest.time
    midnight = now // DAY * DAY
    spans = {
        "today": (midnight, now),
        "yesterday": (midnight - DAY, midnight),
        "7d": (now - 7 * DAY, now),
    }
    away = (now - 7 * DAY + AWAY[1] * DAY, now - 7 * DAY + AWAY[2] * DAY)
    for period, (begin, end) in spans.items():
        if end - begin < 1800:
            continue
        report = None
        if period != "yesterday":
            found = served.json(f"/api/v1/report?since={period}")
            report = {row["site"]: row for row in found["periods"]}
        # The week of the others is asked above.
        only = ("exported_energy", "discharged_energy") if period == "7d" else tuple(ENERGIES)
        for metric in only:
            key, first, more = ENERGIES[metric]
            arguments = {"metric": metric, "period": period, "limit": 20}
            question = (
                f"{metric.replace('_', ' ')} {'in the last 7 days' if period == '7d' else period}"
            )
            answers = [
                served.json(f"/api/v1/query?what=history&metric={metric}&period={period}&limit=20"),
                command(served, "history", metric, "--since", period, "--limit", "20"),
                await tool(served, "metric_history", arguments),
                served.json(f"/api/v1/ask?q={quote(question)}"),
            ]
            if period == "yesterday":
                # As a bound, yesterday is its beginning: until now.
                del answers[1]
            for answer in answers:
                for row in answer["tables"][0]["rows"]:
                    number = int(row["site"][1:])
                    hours = (end - begin) / 3600
                    if row["site"] == AWAY[0]:
                        hours -= max(0.0, min(end, away[1]) - max(begin, away[0])) / 3600
                    if metric not in ("pv_energy", "load_energy"):
                        # A counter goes on while nobody reads it.
                        hours = (end - begin) / 3600
                    wanted = (first + more * number) * hours
                    assert row["total"] == pytest.approx(wanted, rel=0.01, abs=0.02), (
                        metric,
                        period,
                        row["site"],
                    )
                    if report is not None:
                        shown = report[row["site"]][key]
                        assert row["total"] == pytest.approx(shown, rel=0.004, abs=0.02)
            if period == "yesterday":
                # A window that is over: to the last digit, but for what MCP rounds.
                totals = [
                    {row["site"]: round(row["total"], 4) for row in answer["tables"][0]["rows"]}
                    for answer in answers
                ]
                assert totals[0] == totals[1] == totals[2]
