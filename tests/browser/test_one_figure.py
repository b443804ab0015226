"""An ill site with three batteries: every face gives the same figures of it.

Its trees are read by the real driver from a real listener. The hottest place is a cell of one
battery, the highest sensor is on another, the lowest health and the widest spread are on two.
"""

from __future__ import annotations

import asyncio
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
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from exporter.ask.catalogue import METRICS
from exporter.cli.commands import app
from exporter.cli.mcp.server import build
from exporter.config.fleet import Fleet
from exporter.deliver.tickets.incident import incidents, text
from exporter.history.influxql import InfluxQL
from exporter.model.quantities import API_KEYS, ROWS
from exporter.model.snapshot import Snapshot
from exporter.serve.metric_families import PREFIX
from exporter.serve.metrics import registry
from exporter.store.line_protocol import assessment_lines, snapshot_lines
from scoring.rules import BY_CODE
from tests.drivers import bridge
from tests.serve.api.influx import influx
from tests.serve.api.served import START, ServedFleet
from tests.serve.test_metrics import NUMBERS

pytestmark = pytest.mark.stack

SITE = "alpha"
SOH, HOTTEST, SPREAD = 69.96, 46.4, 0.123
SENTENCES = (
    "State of health is 69.96 %, below 70 % (battery/257)",
    "Battery is at 46.4 °C, above 45 °C (a cell of battery/257)",
    "Cells differ by 0.123 V, more than 0.1 V (lowest cell 0307, highest 0302 of battery/258)",
)

# The site gives no counts of modules.
GIVEN = {key: name for key, name in API_KEYS.items() if "modules" not in key}


def trees() -> dict[str, dict[str, Any]]:
    """The active battery is well; a second one is worn and has a hot cell, a third is warm and
    has its cells far apart."""
    found = bridge.site_trees()
    found[bridge.VEBUS] |= {"Alarms/GridLost": 0, "Ac/ActiveIn/L1/F": 50.02}
    second, third = (f"{bridge.PREFIX}battery.tty{port}" for port in ("O5", "O6"))
    common = found[bridge.BATTERY] | {"Alarms/HighTemperature": 0}
    found[bridge.BATTERY] = dict(common)
    found[second] = common | {
        "DeviceInstance": 257,
        "Soh": SOH,
        "Dc/0/Temperature": 31.0,
        "System/MaxCellTemperature": HOTTEST,
        "System/MinCellTemperature": 29.0,
    }
    found[third] = common | {
        "DeviceInstance": 258,
        "Soh": 88.0,
        "Dc/0/Temperature": 46.0,
        "System/MinCellVoltage": 3.2,
        "System/MaxCellVoltage": 3.323,
        "System/MinVoltageCellId": "0307",
        "System/MaxVoltageCellId": "0302",
    }
    mapping = found[bridge.SYSTEM]
    mapping["ServiceMapping/com_victronenergy_battery_257"] = second
    mapping["ServiceMapping/com_victronenergy_battery_258"] = third
    return found


async def scrapes() -> list[Snapshot]:
    """Scrapes of the site, ten seconds apart, until every battery has been read."""
    clock = bridge.Clock()
    found: list[Snapshot] = []
    async with bridge.Bridge(trees()).running() as site, bridge.driver_for(site.url, clock) as one:
        while len({b.device for s in found for b in s.batteries}) < 3:
            found.append(await one.scrape())
            clock.advance(10.0)
            assert len(found) < 30
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    fleet = Fleet.model_validate(
        {
            "sites": [
                {"id": SITE, "name": "Alpha", "api_endpoint": "http://192.0.2.1:8088"},
                {"id": "beta", "name": "Beta", "api_endpoint": "http://192.0.2.2:8088"},
            ]
        }
    )
    with influx(tmp_path_factory.mktemp("influx")) as server:
        served = ServedFleet(fleet, InfluxQL(server.url, "fleet", {}), now=time.time() - START)
        lines: list[str] = []
        for snapshot in asyncio.run(scrapes()):
            served.now += 10.0
            lines += snapshot_lines(snapshot)
            served.state.apply(snapshot, served.now)
        served.assess()
        server.write([*lines, *assessment_lines(served.latest, [])])
        with served.serving():
            yield served


@pytest.fixture(scope="module")
def site(served: ServedFleet) -> Any:
    return served.json(f"/api/v1/sites/{SITE}")


def command(served: ServedFleet, *words: str) -> str:
    environment = {"FLEETSCOPE_URL": served.url, "COLUMNS": "200", "NO_COLOR": "1"}
    done = CliRunner().invoke(app, list(words), env=environment)
    assert done.exit_code in (0, 1), done.output
    return done.output


def squeezed(shown: str) -> str:
    return re.sub(r"\s+", " ", shown)


def test_the_api_has_one_figure_under_both_keys(site: Any) -> None:
    readings = site["readings"]
    assert readings["battery_lowest_soh_percent"] == SOH
    assert readings["battery_hottest_c"] == HOTTEST
    assert readings["cell_widest_spread_v"] == pytest.approx(SPREAD)
    assert readings["cell_lowest_v"] == 3.2
    for key, name in GIVEN.items():
        assert readings[key] == readings[name]
        assert site["reading_ages_seconds"][key] == site["reading_ages_seconds"][name]
    # Those of the active battery.
    assert (readings["soc_percent"], readings["voltage_v"]) == (75.0, 52.5)
    judged = {issue["code"]: issue["value"] for issue in site["issues"]}
    assert judged["battery_soh"] == SOH
    assert judged["battery_temperature"] == HOTTEST
    assert judged["cell_spread"] == pytest.approx(SPREAD)
    assert {issue["sentence"] for issue in site["issues"]} >= set(SENTENCES)


def test_lists_and_comparisons_of_the_api(served: ServedFleet, site: Any) -> None:
    for name in (*GIVEN, *GIVEN.values()):
        ranking = served.json(f"/api/v1/ranking?by={name}")
        assert ranking["ranking"][0]["value"] == site["readings"][name]
        compared = served.json(f"/api/v1/compare?site={SITE}&metric={name}")
        assert compared["metrics"][0]["values"] == {SITE: site["readings"][name]}


def test_metrics(served: ServedFleet, site: Any) -> None:
    exposed = generate_latest(registry(lambda: served.latest, lambda: NUMBERS)).decode()
    values: dict[tuple[str, str], list[float]] = {}
    for family in text_string_to_metric_families(exposed):
        for sample in family.samples:
            if sample.labels.get("site") == SITE:
                key = (sample.name.removeprefix(PREFIX), sample.labels.get("code", ""))
                values.setdefault(key, []).append(sample.value)
    assert values["battery_soh_ratio", ""] == [pytest.approx(SOH / 100)]
    assert values["battery_temperature_celsius", ""] == [HOTTEST]
    assert max(values["cell_spread_volts", ""]) == site["readings"]["cell_widest_spread_v"]
    assert values["site_issue_value", "battery_soh"] == [pytest.approx(SOH / 100)]
    assert values["site_issue_value", "battery_temperature"] == [HOTTEST]
    assert values["site_health_score", ""] == [site["score"]]


def test_the_command_line(served: ServedFleet, site: Any) -> None:
    for words in (["site", SITE], ["explain", SITE]):
        shown = squeezed(command(served, *words, "--json"))
        for sentence in SENTENCES:
            assert sentence in shown
        for name, weight in site["effective_weights"].items():
            if weight is not None:
                pattern = rf'"component": "{name}", "score": [\d.]+, "weight": ([\d.]+)'
                assert float(re.findall(pattern, shown)[0]) == pytest.approx(100 * weight)
    assert "69.96" in command(served, "rank", "--by", "soh")
    assert "69.96" in command(served, "which", "--where", "soh<70")
    answer = json.loads(command(served, "rank", "--by", "temperature", "--json"))
    assert str(HOTTEST) in json.dumps(answer["tables"][0]["rows"][0])


def samples_of(served: ServedFleet) -> dict[str, list[float]]:
    """Values of the ill site in ``/metrics`` by the name of the gauge."""
    exposed = generate_latest(registry(lambda: served.latest, lambda: NUMBERS)).decode()
    values: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(exposed):
        for sample in family.samples:
            if sample.labels.get("site") == SITE:
                values.setdefault(sample.name.removeprefix(PREFIX), []).append(sample.value)
    return values


async def test_every_reading_on_every_face(served: ServedFleet, site: Any) -> None:
    """Each reading that the API gives, on the command line, over HTTP, by MCP, in /metrics."""
    readings = {name: v for name, v in site["readings"].items() if name not in API_KEYS}
    known = {name for name, value in readings.items() if value is not None}
    assert len(known) >= 20
    shown = json.loads(command(served, "site", SITE, "--json"))
    queried = served.json(f"/api/v1/query?what=site&site={SITE}")
    async with Client(build(served.url)) as client:
        result = await client.call_tool("site_details", {"site": SITE})
        by_tool = json.loads(result.content[0].text)  # type: ignore[union-attr]
    for answer, rounded in ((shown, False), (queried, False), (by_tool, True)):
        (table,) = [t for t in answer["tables"] if t["title"] == "Readings"]
        rows = {row["quantity"]: row.get("value") for row in table["rows"]}
        for name in known:
            value = readings[name]
            wanted = round(value, 4) if rounded and isinstance(value, float) else value
            assert rows[name] == wanted, name
    metrics = samples_of(served)
    for row in ROWS:
        if row.name in known and row.gauge is not None and row.gauge.name in metrics:
            wanted = pytest.approx(readings[row.name] * row.gauge.scale, rel=1e-9)
            assert any(value == wanted for value in metrics[row.gauge.name]), row.name


def test_every_metric_in_words_and_in_tables(served: ServedFleet) -> None:
    """A value in a sentence is the one of its row, and of the ranking, to the last digit shown."""
    for name, metric in METRICS.items():
        if metric.source == "past":
            continue
        answer = served.json(f"/api/v1/query?what=value&metric={name}&site={SITE}")
        value = answer["tables"][0]["rows"][0][name]
        if value is None:
            assert "is not known" in answer["headline"]
            continue
        digits = answer["tables"][0]["columns"][-1]["decimals"]
        shown = re.sub(r"[ \u202f]", "", answer["headline"].partition(" is ")[2])
        said = re.match(r"[-−]?[\d.]+", shown)
        assert said is not None, answer["headline"]
        assert float(said[0].replace("−", "-")) == pytest.approx(round(value, digits)), name
        ranked = served.json(f"/api/v1/query?what=rank&metric={name}&order=highest")
        rows = {row["site"]: row[name] for row in ranked["tables"][0]["rows"]}
        assert rows[SITE] == value


@pytest.mark.parametrize(
    ("question", "value", "written"),
    [
        ("what is the battery temperature of alpha", HOTTEST, "is 46.4 °C"),
        ("what is the state of health of alpha", SOH, "is 69.96 %"),
        ("what is the cell spread of alpha", SPREAD, "is 0.123 V"),
    ],
)
async def test_questions(served: ServedFleet, question: str, value: float, written: str) -> None:
    answers = [served.json(f"/api/v1/ask?q={quote(question)}")]
    answers.append(json.loads(command(served, "ask", question, "--json")))
    async with Client(build(served.url)) as client:
        result = await client.call_tool("ask_fleet", {"question": question})
        assert not result.is_error, result.content
        found = result.structured_content or json.loads(result.content[0].text)
    answers.append(found)
    for answer in answers:
        assert answer["headline"] == answers[0]["headline"]
        assert written in answer["headline"]
        assert [r["value"] for r in answer["evidence"]["readings"]] == [pytest.approx(value)]


def test_the_report_and_the_ticket(served: ServedFleet, site: Any) -> None:
    html = served.ask("/api/v1/report?days=1&format=html")[2].decode()
    shown = squeezed(unescape(re.sub(r"<[^>]*>", " ", html)))
    tickets = squeezed(
        "\n".join(text(i, "1", None, markup=False) for i in incidents([site], site["time"]))
    )
    for sentence in SENTENCES:
        assert sentence in shown
        assert sentence in tickets
    assert "battery_soh 69.96 %, limit 70 %" in tickets
    assert "battery_temperature 46.4 °C, limit 45 °C" in tickets
    assert "hottest battery or cell 46.4 °C" in tickets
    assert "46.0" not in tickets


FACTORS = {"kW": 1e3, "MW": 1e6}


def agrees(shown: str, value: float, unit: str, decimals: int) -> bool:
    """Whether a figure as people read it is the value, to the last digit that its row shows."""
    found = re.search(r"([-−]?[\d,\u202f ]*\d(?:\.\d+)?)\s*(\S*)", shown)
    assert found is not None, shown
    number = float(re.sub(r"[,\u202f ]", "", found[1]).replace("−", "-"))
    written = found[2].strip(".,;")
    factor = FACTORS.get(written, 1.0)
    assert factor != 1.0 or written == unit, f"{shown} is not in {unit}"
    # A power of kilowatts has a digit behind the point, of a hundred and more none.
    digits = decimals if factor == 1.0 else (1 if abs(number) < 99.5 else 0)
    digits = 2 if factor == FACTORS["MW"] else digits
    return abs(number * factor - value) <= 0.5 * factor * 10.0**-digits + 1e-9


def described(name: str) -> tuple[str, str, int]:
    """Label, unit and digits of a reading."""
    row = {row.name: row for row in ROWS}[name]
    return row.label, row.unit, row.decimals


def test_agreement_knows_a_wrong_figure() -> None:
    assert agrees("1,234.5 W", 1234.5, "W", 1)
    assert agrees("1.2 kW", 1234.5, "W", 0)
    assert agrees("−46.4 °C", -46.36, "°C", 1)
    assert not agrees("1.3 kW", 1234.5, "W", 0)
    assert not agrees("46.5 °C", 46.4, "°C", 1)
    with pytest.raises(AssertionError):
        agrees("46.4 °F", 46.4, "°C", 1)


def test_every_figure_of_the_tickets(site: Any) -> None:
    """Evidence, limit, score and readings of every ticket are those of the API."""
    issues = {issue["code"]: issue for issue in site["issues"]}
    assert len(issues) >= 4
    for incident in incidents([site], site["time"]):
        shown = text(incident, "1", None, markup=False)
        issue = issues[incident.code]
        assert issue["sentence"] in shown
        assert issue["action"] in shown
        assert f"score {site['score']:.0f} of 100" in shown
        if issue["value"] is not None:
            evidence = re.search(rf"Evidence: {incident.code} (.*?)(?:, limit (.*))?$", shown, re.M)
            assert evidence is not None, shown
            unit, scale = ("%", 100.0) if "%" in evidence[1] and issue["unit"] != "%" else (
                issue["unit"], 1.0)  # fmt: skip
            rule = BY_CODE[incident.code]
            for words, value in ((evidence[1], issue["value"]), (evidence[2], issue["threshold"])):
                if value is not None:
                    digits = max(rule.decimals, 2)
                    assert agrees(words, value * scale, unit, digits), (incident.code, words)
        readings = re.search(r"^Readings: (.*)$", shown, re.MULTILINE)
        assert readings is not None
        named = {}
        for part in readings[1].split(", "):
            for name in site["readings"]:
                if name in API_KEYS:
                    continue
                label, unit, decimals = described(name)
                if part.startswith(f"{label} "):
                    value = site["readings"][name]
                    assert agrees(part.removeprefix(label), value, unit, decimals), part
                    named[name] = value
        assert {"battery_lowest_soh_percent", "battery_hottest_c"} <= set(named)
        assert len(named) == len(readings[1].split(", "))


def test_every_figure_of_the_report(served: ServedFleet, site: Any) -> None:
    """What the document says of a site is what the report's own JSON and the API say."""
    found = served.json("/api/v1/report?days=1")
    html = served.ask("/api/v1/report?days=1&format=html")[2].decode()
    (listed,) = [row for row in found["attention"] if row["site"] == SITE]
    assert listed["score"] == site["score"]
    assert listed["status"] == site["status"]
    serious = [i["sentence"] for i in site["issues"] if i["severity"] != "info"]
    assert listed["sentences"][: len(serious)] == serious
    (block,) = [
        squeezed(unescape(re.sub(r"<[^>]*>", " ", part)))
        for part in html.split('<div class="site">')[1:]
        if f"{SITE} ·" in part
    ]
    confidence = f"confidence {100 * listed['confidence']:.0f} %"
    assert f"{site['status']} {site['score']:.0f} {confidence} · {SITE}" in block
    for sentence in serious:
        assert sentence in block
    rows = re.findall(r"<tr><td>(.*?)</td>(.*?)</tr>", html)
    (cells,) = [cells for name, cells in rows if f">{SITE}<" in name and cells.count("<td") > 6]
    shown = [unescape(re.sub("<[^>]*>", "", one)) for one in re.findall(r"<td.*?</td>", cells)]
    (period,) = [row for row in found["periods"] if row["site"] == SITE]
    columns = ["availability", "availability_before", "observed", "mean_score", "efficiency"]
    for name, written in zip(columns, shown, strict=False):
        value = period[name]
        if value is None:
            assert written in ("–", ""), name
            continue
        scale = 1.0 if name == "mean_score" else 100.0
        number = re.search(r"[\d.]+", written)
        assert number is not None, (name, written)
        digits = len(number[0].partition(".")[2])
        assert abs(float(number[0]) - scale * value) <= 0.5 * 10.0**-digits + 1e-9, name


def test_the_page(served: ServedFleet, site: Any) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium in PATH (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{served.url}/#/site/{SITE}")
        page.wait_for_selector(".issues li")
        issues = page.inner_text(".issues")
        components = page.inner_text(".components")
        readings = page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('#readings-box tbody tr')]"
            ".map((row) => [row.querySelector('th').textContent,"
            " row.querySelector('td').textContent]))"
        )
        browser.close()
    for sentence in SENTENCES:
        assert sentence in issues
    wanted = {name: v for name, v in site["readings"].items() if name not in API_KEYS}
    known = [name for name, value in wanted.items() if value is not None]
    assert len(readings) == len(known)
    for name in known:
        label, unit, decimals = described(name)
        assert agrees(readings[label], wanted[name], unit, decimals), name
    assert readings["hottest battery or cell"] == "46.4 °C"
    assert readings["widest cell spread"] == "0.123 V"
    assert readings["lowest state of health"] == "69.96 %"
    assert "battery temperature" not in readings
    for name, weight in site["effective_weights"].items():
        if weight is not None:
            assert (
                f"{name} {site['components'][name]:.0f} · weight {100 * weight:g} %" in components
            )
