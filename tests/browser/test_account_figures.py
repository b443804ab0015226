"""Energy, plans and the portfolio: every face gives the same figure, to the last digit it shows.

Two roofs in two time zones that store three days of power, PV days, a forecast and a plan, and two
plants with a published month.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from mcp import Client
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.cli.mcp.server import build
from exporter.config.fleet import Fleet
from exporter.energy.forecasts import KEPT_AT as FORECASTS_KEPT_AT
from exporter.energy.pv_days import KEPT_AT as DAYS_KEPT_AT
from exporter.energy.tariff_file import TariffFile
from exporter.history.influxql import InfluxQL
from exporter.portfolio.measurements import KEPT_AT as PORTFOLIO_KEPT_AT
from tests.serve.api.influx import Influx, influx
from tests.serve.api.served import ServedFleet

pytestmark = pytest.mark.stack

ZONES = {"roof": ZoneInfo("America/New_York"), "barn": ZoneInfo("Australia/Sydney")}
PLANTS = ("thames", "cotswold")
NOW = time.time()
LAST_OF_MONTH = datetime.now(UTC).replace(
    day=1, hour=0, minute=0, second=0, microsecond=0
) - timedelta(days=1)
MONTH = LAST_OF_MONTH.replace(day=1)
TARIFFS = TariffFile.model_validate(
    {
        "currency": "EUR",
        "default": "flat",
        "tariffs": {
            "flat": {
                "grid": {"price": 0.3217},
                "feed_in": {"price": 0.0811},
                "standing_per_day": 0.4321,
            }
        },
        "co2": {"grams_per_kwh": 367.5, "assumption": "the mean of the grid"},
    }
)


def fleet() -> Fleet:
    roofs = [
        {"id": site, "timezone": str(zone), "solar_capacity_kw": 10, "capacity_kwh": 10}
        for site, zone in ZONES.items()
    ]
    plants = [{"id": site, "timezone": "UTC"} for site in PLANTS]
    common = {"api_endpoint": "http://192.0.2.1"}
    return Fleet.model_validate(
        {"sites": [one | common | {"name": one["id"].title()} for one in (*roofs, *plants)]}
    )


def ms(moment: datetime | float) -> int:
    return int((moment if isinstance(moment, float) else moment.timestamp()) * 1000)


def polls() -> Iterator[str]:
    """Three days up to now, once in five minutes: sun by day, the battery after it."""
    first = NOW // 300 * 300 - 3 * 86_400
    for n in range(3 * 288 + 1):
        stamp, hour = first + 300 * n, (first / 3600 + n / 12) % 24
        for site, size in (("roof", 1.0), ("barn", 1.7)):
            pv = size * 3456.7 if 8 <= hour < 16 else 0.0
            battery = size * (700.0 if 8 <= hour < 16 else -350.0 if hour < 20 else 0.0)
            load = size * 813.3
            read = f"pv_power_w={pv},load_power_w={load},grid_power_w={load + battery - pv}"
            yield f"site,site={site} online=1,{read} {ms(stamp)}"
            soc = 40 + 4 * hour / 3
            battery_of = f"battery,site={site},device=battery/512"
            yield f"{battery_of} power_w={battery},soc_percent={soc} {ms(stamp)}"
        for site in PLANTS:
            yield f"site,site={site} online=1,load_power_w=0,grid_power_w=0 {ms(stamp)}"


def pv_days() -> Iterator[str]:
    """Five days of each roof, stamped with its own midnight; one loss of a barn has no price."""
    for site, zone in ZONES.items():
        today = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for back in range(1, 6):
            day = (today - timedelta(days=back)).replace(tzinfo=zone)
            made = 40.04 + back if site == "roof" else 50.05 + 3 * back
            yield (
                f"pv_day,site={site} measured_kwh={made - 9.95},expected_kwh={made},"
                f"low_kwh={made - 5},high_kwh={made + 5},clipped_kwh={0.15 * back},"
                "unobserved_kwh=0,own_band=1,by_weather=1,seconds=86400,insolation_kwh_m2=5,"
                f"performance_ratio=0.705,performance_ratio_25c=0.722 {ms(day)}"
            )
            for cause, kwh in (("curtailed", 6.25), ("shade", 2.65), ("rest", 1.05)):
                worth = f',value={0.0811 * kwh},currency="EUR"'
                if (site, back, cause) == ("barn", 3, "shade"):
                    worth = ""
                yield f"pv_loss,site={site},cause={cause} kwh={kwh}{worth} {ms(day)}"


def ahead() -> Iterator[str]:
    begin = NOW // 900 * 900
    for slot in range(144):
        stamp = ms(begin + 900.0 * slot)
        yield (
            "forecast,site=roof,quantity=pv,lead=next p10_w=500.5,p50_w=1000.7,p90_w=1234.1,"
            f'method="clear" {stamp}'
        )
        action, why = ("charge", "cheap") if slot < 4 else ("hold", "nothing to gain")
        yield (
            f'plan,site=roof action="{action}",reason="{why}",power_w=1049.6,soc_percent=50.5,'
            f"battery_w=1049.6,import_w=1900.0,export_w=0.0,buy=0.3217,sell=0.0811 {stamp}"
        )
    yield (
        'plan_summary,site=roof strategy="cost",note="",currency="EUR",saving=1.2345,cost=3.456,'
        f"plain_cost=4.69,wear=0.2,plain_wear=0.1,stored=0.0,plain_stored=0.0 {ms(begin)}"
    )


def books() -> Iterator[str]:
    for n, site in enumerate(PLANTS):
        text = f'name="{site}",vendor="V",currency="GBP",zone="UTC",power_kw=1000,usable_kwh=2000'
        yield f"plant,site={site} {text} {ms(MONTH)}"
        for day in range(LAST_OF_MONTH.day):
            stamp = ms(MONTH + timedelta(days=day))
            down = 7.25 if (n, day) == (0, 3) else 0.0
            yield (
                f"availability,site={site} up_hours={24 - down},down_hours={down},"
                f"unobserved_hours=0 {stamp}"
            )
            for service, amount in (("energy", 812.345), ("response", 95.005)):
                yield (
                    f"revenue,site={site},service={service} amount={amount + n},"
                    f"stated={amount + n},own={amount},penalty=0.5,budget=900.1,"
                    f"provisional={int(day == 5)} {stamp}"
                )
            yield (
                f"plant_day,site={site} charged_kwh=2100.5,discharged_kwh=1890.25,"
                f"cycles={1.035 + n / 10},cycle_budget=1.4 {stamp}"
            )
            yield f"loss,site={site},service=energy,cause=communication amount={3.335 + n} {stamp}"
        yield (
            f"sla,site={site},term=availability target_percent=99,actual_percent={98.765 + n},"
            f"coverage_percent=99.5,met={n},owed={512.345 * (1 - n)} {ms(MONTH)}"
        )
        year = ms(datetime(2031 + n, 6, 1, tzinfo=UTC)) // 1000
        yield (
            f"lifecycle,site={site} soh_percent={94.15 - n},fade_percent_a_year={2.345 + n},"
            f"end_of_life_soh_percent=70,augmentation={year},years_left={5.5 + n} {ms(MONTH)}"
        )
    yield (
        f"dispute,site=thames,service=energy,run=II,cause=volume amount=-75.505,open=1 {ms(MONTH)}"
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        for policy in sorted({DAYS_KEPT_AT, FORECASTS_KEPT_AT, PORTFOLIO_KEPT_AT}):
            made.query(f'CREATE RETENTION POLICY "{policy}" ON "fleet" DURATION inf REPLICATION 1')
        made.write(list(polls()))
        made.write(list(pv_days()), DAYS_KEPT_AT)
        made.write(list(ahead()), FORECASTS_KEPT_AT)
        made.write(list(books()), PORTFOLIO_KEPT_AT)
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
    def yesterday(self) -> Any:
        """The account of the roof, which the API gives."""
        return self.json("/api/v1/energy?site=roof&period=yesterday")

    @cached_property
    def yesterday_in_a_terminal(self) -> str:
        return self.command("energy", "roof", "--since", "yesterday")

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


def yesterday_on_the_page(asked: Asked) -> tuple[str, list[str]]:
    """Text of the energy page of the roof, and its own rounding of numbers that lie between."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium in PATH (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    source = resources.files("exporter.serve.page").joinpath("base.js").read_text("utf-8")
    rounding = source[source.index("function rounded(") : source.index("function power(")]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(180_000)
        page.goto(f"{asked.url}/energy?site=roof&period=yesterday")
        page.wait_for_selector("#sums p")
        shown = page.inner_text("body")
        halves = page.evaluate(
            f"(() => {{ {rounding} return {list(HALVES)}.map((v) => figure(v, 1)); }})()"
        )
        browser.close()
    return shown, halves


HALVES = (6.25, 6.35, -6.25, 0.05, 0.25, -0.04, 9.95, 1234.75)


def test_a_site_on_the_energy_page(asked: Asked) -> None:
    found = asked.yesterday
    shown, halves = yesterday_on_the_page(asked)
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
    found = asked.yesterday
    part, key = one.api
    value = (found[part] if part else found)[key]
    answers = [
        asked.question(one.question.format(when="yesterday")),
        asked.query(what="energy", figure=one.figure, site="roof", period="yesterday"),
        await by_tool(
            asked, "energy_account", energy_figure=one.figure, sites=["roof"], period="yesterday"
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
    terminal = re.search(one.terminal, asked.yesterday_in_a_terminal)
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
    found = asked.json("/api/v1/energy?period=yesterday&tz=UTC")["pv"]
    by_site = [asked.json(f"/api/v1/energy?site={s}&period=yesterday")["pv"] for s in ZONES]
    for key in ("measured_kwh", "expected_kwh", "lost_kwh", "lost_value", "clipped_kwh"):
        assert found[key] == pytest.approx(sum(one[key] for one in by_site), abs=2e-4), key
    answer = asked.question("how much PV energy was lost yesterday")
    tool = await by_tool(asked, "energy_account", energy_figure="pv_lost", period="yesterday")
    assert tool["headline"] == answer["headline"]
    number = re.search(r"lost ([\d.]+) kWh.* worth ([\d.]+) EUR", answer["headline"])
    assert number is not None, answer["headline"]
    assert is_rounded(number[1], found["lost_kwh"])
    assert is_rounded(number[2], found["lost_value"])
    rows = {row["cause"]: (row["kwh"], row["value"]) for row in answer["tables"][0]["rows"]}
    assert rows == {one["cause"]: (one["kwh"], one["value"]) for one in found["losses"]}
    shown = asked.command("energy", "--since", "yesterday", "--tz", "UTC", "--pv")
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
    found = asked.json("/api/v1/savings?site=roof&period=yesterday")
    answers = [
        asked.question("how much did the battery of Roof save yesterday"),
        await by_tool(
            asked, "energy_account", energy_figure="saving", sites=["roof"], period="yesterday"
        ),
    ]
    shown = asked.command("plan", "roof", "--saved", "yesterday")
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
    ("revenue", "revenue last month", "revenue", "amount", r"\): ([\d \u202f]+\.\d\d) GBP"),
    ("lost", "lost revenue last month", "losses", "amount", r"lost ([\d \u202f]+\.\d\d) GBP"),
    ("cycle_use", "cycles against the warranty last month", "", "cycles", r"made ([\d.]+) full"),
    ("guarantee", "guarantees last month", "sla", "owed", r"; ([\d.]+) GBP are owed"),
    (
        *("plant_availability", "plant availability last month", "", "availability_percent"),
        r": ([\d.]+) % of the observed time",
    ),
)


@pytest.mark.parametrize(("figure", "question", "listing", "key", "pattern"), PORTFOLIO)
async def test_a_figure_of_the_portfolio(
    asked: Asked, figure: str, question: str, listing: str, key: str, pattern: str
) -> None:
    """The published rows, the KPIs where they have it, a question, the query and MCP."""
    kpis = {one["name"]: one["value"] for one in asked.json("/api/v1/portfolio/kpis")["kpis"]}
    value = kpis.get({"amount": "revenue"}.get(key, key))
    if listing:
        (sums,) = asked.json(f"/api/v1/portfolio/{listing}")["sums"]
        value = sums[key]
        if listing != "losses":
            assert kpis[{"revenue": "revenue", "sla": "owed"}[listing]] == value
    assert value is not None
    answers = [
        asked.question(question),
        asked.query(what="portfolio", figure=figure, period="last month"),
        await by_tool(asked, "portfolio", portfolio_figure=figure, period="last month"),
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
