"""Energy, plans and the portfolio: every face gives the same figure, to the last digit it shows.

Two roofs in two time zones that store three days of power, PV days, a forecast and a plan, and two
plants with a published month.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from mcp import Client
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.cli.mcp.server import build
from exporter.history.influxql import InfluxQL
from tests.browser.account_fleet import DAY, MONTH, NOW, TARIFFS, ZONES, fleet, store
from tests.browser.pages import browsers
from tests.serve.api.influx import Influx, influx
from tests.serve.api.served import ServedFleet

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        store(made)
        yield made


class Asked(ServedFleet):
    """The fleet at the present time, asked over HTTP and by the commands."""

    @property
    def wall(self) -> float:
        return NOW + 1

    def question(self, text: str) -> Any:
        return self.json(f"/api/v1/ask?{urlencode({'q': text, 'tz': 'UTC'})}")

    def query(self, **parameters: str) -> Any:
        return self.json(f"/api/v1/query?{urlencode(parameters)}")

    @cached_property
    def day(self) -> Any:
        """The account of the roof, which the API gives."""
        return self.json(f"/api/v1/energy?site=roof&period={DAY}")

    @cached_property
    def day_in_a_terminal(self) -> str:
        return self.command("energy", "roof", "--since", DAY)

    def command(self, *words: str) -> str:
        environment = {"FLEETSCOPE_URL": self.url, "COLUMNS": "200", "NO_COLOR": "1", "TZ": "UTC"}
        done = CliRunner().invoke(app, list(words), env=environment)
        assert done.exit_code in (0, 1), done.output
        return done.stdout


@pytest.fixture(scope="module")
def asked(server: Influx) -> Iterator[Asked]:
    made = Asked(fleet(), InfluxQL(server.url, "fleet", {}), tariffs=TARIFFS)
    made.scrape()
    with made.serving():
        yield made


class Shown(NamedTuple):
    """A figure of an account: what it is asked by, its key in the API, and where others show it.

    ``table`` and ``unit`` are of the answer's row, ``terminal`` and ``page`` are patterns whose
    first group is the number.
    """

    figure: str
    question: str
    api: tuple[str, str]
    terminal: str
    page: str


ACCOUNT = (
    Shown(
        "self_consumption",
        "self-consumption of Roof {when}",
        ("", "self_consumption_percent"),
        r"([\d.]+) % of the PV energy was used here",
        r"([\d.]+) % of the PV energy was used here",
    ),
    Shown(
        "self_sufficiency",
        "autarky of Roof {when}",
        ("", "self_sufficiency_percent"),
        r"([\d.]+) % of the load did not come",
        r"([\d.]+) % of the load did not come",
    ),
    Shown(
        "energy_cost",
        "what did the energy of Roof cost {when}",
        ("cost", "net"),
        r"Cost ([\d.]+) EUR",
        r"cost, flat\s+([\d.]+) EUR",
    ),
    Shown(
        "feed_in_income",
        "income from feed-in at Roof {when}",
        ("cost", "feed_in_income"),
        r"less ([\d.]+) for feed-in",
        r"feed-in\s+−([\d.]+) EUR",
    ),
    Shown(
        "co2",
        "CO2 of Roof {when}",
        ("co2", "import_kg"),
        r"CO2 of energy from the grid: ([\d.]+) kg",
        r"CO₂ from the grid\s+([\d.]+) kg",
    ),
)
FLOWS = {
    "pv": ("pv_energy", "pv_kwh", "PV"),
    "load": ("load_energy", "load_kwh", "load"),
    "grid_import": ("imported_energy", "import_kwh", "from the grid"),
    "grid_export": ("exported_energy", "export_kwh", "to the grid"),
    "charged": ("charged_energy", "charged_kwh", "into the battery"),
    "discharged": ("discharged_energy", "discharged_kwh", "out of the battery"),
}


def is_rounded(shown: str, value: float) -> bool:
    """Whether a number as it is written is the value, rounded to the digits that it has."""
    digits = len(shown.partition(".")[2])
    return float(shown.replace(",", "")) == float(f"{value:z.{digits}f}")


def test_rounding_knows_a_wrong_figure() -> None:
    assert is_rounded("6.2", 6.25)
    assert is_rounded("1,234.5", 1234.54)
    assert not is_rounded("6.3", 6.25)
    assert not is_rounded("6.2", 6.1499)


async def by_tool(asked: Asked, tool: str, **arguments: Any) -> Any:
    async with Client(build(asked.url)) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)  # type: ignore[union-attr]


def seconds(value: Any) -> float:
    """A number, or the Unix seconds of a time as tools give it."""
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else float(value)


def day_on_the_page(asked: Asked) -> tuple[str, list[str]]:
    """Text of the energy page of the roof, and its own rounding of numbers that lie between."""
    source = resources.files("exporter.serve.page").joinpath("base.js").read_text("utf-8")
    rounding = source[source.index("function rounded(") : source.index("function power(")]
    with browsers() as launch:
        page = launch("--disable-gpu").new_page()
        page.set_default_timeout(180_000)
        page.goto(f"{asked.url}/energy?site=roof&period={DAY}")
        page.wait_for_selector("#sums p")
        shown = page.inner_text("body")
        halves = page.evaluate(
            f"(() => {{ {rounding} return {list(HALVES)}.map((v) => figure(v, 1)); }})()"
        )
    return shown, halves


HALVES = (6.25, 6.35, -6.25, 0.05, 0.25, -0.04, 9.95, 1234.75)


def test_a_site_on_the_energy_page(asked: Asked) -> None:
    found = asked.day
    shown, halves = day_on_the_page(asked)
    for one in ACCOUNT:
        part, key = one.api
        number = re.search(one.page, shown)
        assert number is not None, one.page
        assert is_rounded(number[1], (found[part] if part else found)[key]), one.figure
    for name, (_, _, label) in FLOWS.items():
        number = re.search(rf"^{label}\s+([\d.]+) kWh$", shown, re.MULTILINE)
        assert number is not None, label
        assert is_rounded(number[1], found["flows"][name]["kwh"]), name
    # JavaScript rounds 6.25 up by itself, Python to the even digit.
    assert halves == [f"{value:z,.1f}".removesuffix(".0") for value in HALVES]


@pytest.mark.parametrize("one", ACCOUNT, ids=lambda one: one.figure)
async def test_a_figure_of_the_account(asked: Asked, one: Shown) -> None:
    found = asked.day
    part, key = one.api
    value = (found[part] if part else found)[key]
    answers = [
        asked.question(one.question.format(when=f"on {DAY}")),
        asked.query(what="energy", figure=one.figure, site="roof", period=DAY),
        await by_tool(
            asked, "energy_account", energy_figure=one.figure, sites=["roof"], period=DAY
        ),
    ]
    for answer in answers:
        assert answer["headline"] == answers[0]["headline"]
        (row,) = [r for r in answer["tables"][0]["rows"] if r["key"] == one.figure]
        assert row["value"] == value
    number = re.search(r"\): (-?[\d.]+)", answers[0]["headline"])
    # Days are the site's, which are not those of the one who asks.
    assert "(days of America/New_York)" in answers[0]["headline"]
    assert number is not None
    assert is_rounded(number[1], value)
    terminal = re.search(one.terminal, asked.day_in_a_terminal)
    assert terminal is not None
    assert is_rounded(terminal[1], value)


async def test_energies_of_a_window(asked: Asked) -> None:
    """Each flow over a window: the account, questions, the terminal, MCP and the report."""
    report = asked.json("/api/v1/report?days=2")
    since, until = report["start"], report["end"]
    for site in ZONES:
        found = asked.json(f"/api/v1/energy?site={site}&since={since}&until={until}")
        (of_report,) = [row for row in report["periods"] if row["site"] == site]
        terminal = asked.command("energy", site, "--since", str(since), "--until", str(until))
        for name, (metric, key, label) in FLOWS.items():
            kwh = found["flows"][name]["kwh"]
            assert of_report[key] == pytest.approx(kwh, abs=1e-4), (site, name)
            span = {"since": str(since), "until": str(until)}
            answer = asked.query(what="history", metric=metric, site=site, **span)
            number = re.search(r"([\d.]+) kWh in total", answer["headline"])
            assert number is not None, answer["headline"]
            assert is_rounded(number[1], kwh), (site, name)
            line = re.search(rf"^{label} +([\d.]+) kWh", terminal, re.MULTILINE)
            assert line is not None
            assert is_rounded(line[1], kwh), (site, name)
        for key in ("self_consumption", "self_sufficiency"):
            share = found[f"{key}_percent"]
            if key in of_report:
                assert 100 * of_report[key] == pytest.approx(share, abs=0.01)
    whole = asked.json(f"/api/v1/energy?since={since}&until={until}&tz=UTC")
    for name, (_, key, _) in FLOWS.items():
        assert report["energy"][key] == pytest.approx(whole["flows"][name]["kwh"], abs=1e-3)
    for key in ("self_consumption", "self_sufficiency"):
        assert 100 * report[key] == pytest.approx(whole[f"{key}_percent"], abs=0.01)
    by_mcp = await by_tool(asked, "report", days=2)
    for key, value in report["energy"].items():
        assert by_mcp["energy"][key] == pytest.approx(value, abs=0.02)


async def test_pv_days_are_those_of_each_site(asked: Asked) -> None:
    """A fleet in two zones: the account, the terminal, a question and MCP count the same days."""
    found = asked.json(f"/api/v1/energy?period={DAY}&tz=UTC")["pv"]
    by_site = [asked.json(f"/api/v1/energy?site={s}&period={DAY}")["pv"] for s in ZONES]
    for key in ("measured_kwh", "expected_kwh", "lost_kwh", "lost_value", "clipped_kwh"):
        assert found[key] == pytest.approx(sum(one[key] for one in by_site), abs=2e-4), key
    answer = asked.question(f"how much PV energy was lost on {DAY}")
    tool = await by_tool(asked, "energy_account", energy_figure="pv_lost", period=DAY)
    assert tool["headline"] == answer["headline"]
    number = re.search(r"lost ([\d.]+) kWh.* worth ([\d.]+) EUR", answer["headline"])
    assert number is not None, answer["headline"]
    assert is_rounded(number[1], found["lost_kwh"])
    assert is_rounded(number[2], found["lost_value"])
    rows = {row["cause"]: (row["kwh"], row["value"]) for row in answer["tables"][0]["rows"]}
    assert rows == {one["cause"]: (one["kwh"], one["value"]) for one in found["losses"]}
    shown = asked.command("energy", "--since", DAY, "--tz", "UTC", "--pv")
    line = re.search(r"Of ([\d.]+) kWh below that: curtailed ([\d.]+) kWh \(([\d.]+) EUR", shown)
    assert line is not None, shown
    kwh, value = rows["curtailed"]
    for text, wanted in zip(line.groups(), (found["lost_kwh"], kwh, value), strict=True):
        assert is_rounded(text, wanted)


async def test_energy_without_a_price_has_no_worth(asked: Asked) -> None:
    """One day of one cause has no price: no face gives a part of its worth as the whole."""
    found = asked.json("/api/v1/energy?period=5d&tz=UTC")["pv"]
    losses = {one["cause"]: one["value"] for one in found["losses"]}
    assert losses["shade"] is None
    assert losses["curtailed"] is not None
    assert found["lost_value"] is None
    answer = asked.question("how much PV energy was lost in the last 5 days")
    assert "worth" not in answer["headline"]
    (row,) = [row for row in answer["tables"][0]["rows"] if row["cause"] == "shade"]
    assert row["value"] is None
    report = asked.json("/api/v1/report?days=5")
    assert {one["cause"]: one["value"] for one in report["pv"]["losses"]}["shade"] is None


async def test_what_a_battery_saved(asked: Asked) -> None:
    found = asked.json(f"/api/v1/savings?site=roof&period={DAY}")
    answers = [
        asked.question(f"how much did the battery of Roof save on {DAY}"),
        await by_tool(asked, "energy_account", energy_figure="saving", sites=["roof"], period=DAY),
    ]
    shown = asked.command("plan", "roof", "--saved", DAY)
    for answer in answers:
        (row,) = answer["tables"][0]["rows"]
        assert (row["saved"], row["missed"]) == (found["saved"], found["missed"])
        number = re.search(r"(saved|cost) ([\d.]+) EUR", answer["headline"])
        assert number is not None
        sign = 1 if number[1] == "saved" else -1
        assert is_rounded(number[2], sign * found["saved"])
    line = re.search(r"Saved (-?[\d.]+) EUR", shown)
    assert line is not None
    assert is_rounded(line[1], found["saved"])


async def test_a_plan(asked: Asked) -> None:
    answers = [
        asked.question("what is the plan of Roof?"),
        await by_tool(asked, "battery_plan", site="roof"),
    ]
    begin = answers[0]["tables"][0]["rows"][0]["start"]
    found = asked.json(f"/api/v1/plan?site=roof&since={begin}")
    shown = asked.command("plan", "roof")
    saving = found["summary"]["saving"]
    for answer in answers:
        number = re.search(r"expected to save ([\d.]+) EUR", answer["headline"])
        assert number is not None
        assert is_rounded(number[1], saving)
        first = answer["tables"][0]["rows"][0]
        assert seconds(first["start"]) == found["slots"][0]["start"]
        for key in ("action", "power_w", "soc_percent"):
            assert first[key] == found["slots"][0][key]
    line = re.search(r"Saves ([\d.]+) EUR", shown)
    assert line is not None
    assert is_rounded(line[1], saving)


PORTFOLIO = (
    ("revenue", "revenue {when}", "revenue", "amount", r"\): ([\d \u202f]+\.\d\d) GBP"),
    ("lost", "lost revenue {when}", "losses", "amount", r"lost ([\d \u202f]+\.\d\d) GBP"),
    ("cycle_use", "cycles against the warranty {when}", "", "cycles", r"made ([\d.]+) full"),
    ("guarantee", "guarantees {when}", "sla", "owed", r"; ([\d.]+) GBP are owed"),
    (
        *("plant_availability", "plant availability {when}", "", "availability_percent"),
        r": ([\d.]+) % of the observed time",
    ),
)


@pytest.mark.parametrize(("figure", "question", "listing", "key", "pattern"), PORTFOLIO)
async def test_a_figure_of_the_portfolio(
    asked: Asked, figure: str, question: str, listing: str, key: str, pattern: str
) -> None:
    """The published rows, the KPIs where they have it, a question, the query and MCP."""
    kpis = {
        one["name"]: one["value"]
        for one in asked.json(f"/api/v1/portfolio/kpis?period={MONTH:%Y-%m}")["kpis"]
    }
    value = kpis.get({"amount": "revenue"}.get(key, key))
    if listing:
        (sums,) = asked.json(f"/api/v1/portfolio/{listing}?period={MONTH:%Y-%m}")["sums"]
        value = sums[key]
        if listing != "losses":
            assert kpis[{"revenue": "revenue", "sla": "owed"}[listing]] == value
    assert value is not None
    answers = [
        asked.question(question.format(when=f"{MONTH:%Y-%m}")),
        asked.query(what="portfolio", figure=figure, period=f"{MONTH:%Y-%m}"),
        await by_tool(asked, "portfolio", portfolio_figure=figure, period=f"{MONTH:%Y-%m}"),
    ]
    for answer in answers:
        assert answer["headline"] == answers[0]["headline"]
        number = re.search(pattern, answer["headline"])
        assert number is not None, answer["headline"]
        assert is_rounded(re.sub(r"[ \u202f]", "", number[1]), value)
    if listing:
        total = sum(row[key] or 0.0 for row in answers[0]["tables"][0]["rows"])
        assert total == pytest.approx(value)


@pytest.mark.parametrize(
    ("figure", "question", "key", "pattern"),
    [
        ("fade", "which plant fades fastest?", "fade_percent_a_year", r"loses ([\d.]+) % of"),
        ("augmentation", "which plant needs augmentation first?", "augmentation", r"in ([\d-]+)"),
    ],
)
async def test_the_life_of_plants(
    asked: Asked, figure: str, question: str, key: str, pattern: str
) -> None:
    stored = {
        row["site"]: row[key] for row in asked.json("/api/v1/portfolio/battery-health")["rows"]
    }
    first = max(stored.values()) if figure == "fade" else min(stored.values())
    answers = [
        asked.question(question),
        await by_tool(asked, "portfolio", portfolio_figure=figure),
    ]
    for answer in answers:
        rows = answer["tables"][0]["rows"]
        shown = {row["site"]: seconds(row[key]) for row in rows}
        assert shown == stored
        assert seconds(rows[0][key]) == first
        number = re.search(pattern, answer["headline"])
        assert number is not None
        if figure == "fade":
            assert is_rounded(number[1], first)
        else:
            assert number[1] == f"{datetime.fromtimestamp(first, UTC):%Y-%m}"
