"""An incident looked at a day later: every face tells the same of exactly the window asked for.

The real exporter answers over a real InfluxDB and Prometheus, which hold an hour of the day before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from mcp import Client
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.cli.mcp.server import build
from tests.browser.pages import browsers, opened
from tests.history.prometheus import prometheus
from tests.serve.api.influx import influx
from tests.service_process import ServiceProcess, serving, until
from tests.stack.past_incident import (
    DAY,
    WINDOW,
    ZONE,
    alert_samples,
    at,
    lines,
    write_fleet,
)

pytestmark = pytest.mark.stack

BETWEEN = "between 9:08 and 9:28 yesterday"
SPAN = {"since": f"{DAY}T{WINDOW[0]}", "until": f"{DAY}T{WINDOW[1]}", "tz": str(ZONE)}
BOUNDS = ("--since", SPAN["since"], "--until", SPAN["until"])
COLD, HOT = "HEALTHY to WARNING", "WARNING to HEALTHY"
GONE = "The site does not answer (timeout: gave up after 2 s)"
ORDER = "Order of ops to charge with 1.5 kW"
HAPPENED = [
    ("09:09:01", "quarry", "began", "Battery is at 46.0 °C, above 45 °C", None),
    ("09:09:01", "quarry", "status", COLD, None),
    # Since its last answer; that it is away is sure after three polls.
    ("09:10:50", "harbour", "began", GONE, None),
    ("09:11:31", "harbour", "status", "HEALTHY to OFFLINE", None),
    ("09:12:00", "harbour", "fired", "Alert FleetscopeSiteOffline", None),
    ("09:12:00", "mill", "maintenance", "Maintenance begins: new fan", None),
    ("09:13:01", "quarry", "status", HOT, None),
    ("09:13:01", "quarry", "ended", "Battery is at 51.8 °C, above 45 °C", 240.0),
    ("09:15:01", "harbour", "status", "OFFLINE to HEALTHY", None),
    ("09:15:01", "harbour", "ended", GONE, 251.0),
    ("09:16:00", "harbour", "resolved", "Alert FleetscopeSiteOffline", 240.0),
    ("09:17:00", "orchard", "order", f"{ORDER} was accepted: peak", None),
    ("09:18:00", "orchard", "order", f"{ORDER} took effect", None),
    ("09:22:00", "", "start", "Fleetscope started", None),
    ("09:22:01", "orchard", "seen again", "State of health is 82.0 %, below 85 %", None),
    ("09:23:00", "", "reload", "Fleet file read again: 4 sites", None),
    ("09:24:01", "quarry", "began", "Battery is at 47.0 °C, above 45 °C", None),
    ("09:24:01", "quarry", "status", COLD, None),
    ("09:25:00", "mill", "maintenance", "Maintenance ends: new fan", None),
    (
        *("09:26:00", "orchard", "order"),
        *(f"{ORDER} ended; the device is under its own control", None),
    ),
    ("09:27:01", "quarry", "status", HOT, None),
    ("09:27:01", "quarry", "ended", "Battery is at 49.8 °C, above 45 °C", 180.0),
]
"""Local time, site, kind, words, and how many seconds it had lasted."""
BEFORE = [("09:03:01", "orchard", "State of health is 82.0 %, below 85 %")]
SMALL = "scrapes_failing"
"""An issue for information, which follows every failed scrape."""


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with (
        influx(tmp_path_factory.mktemp("influx")) as database,
        prometheus(tmp_path_factory.mktemp("prometheus"), alert_samples()) as alerts,
    ):
        database.write(list(lines()))
        fleet = write_fleet(tmp_path_factory.mktemp("exporter") / "fleet.json")
        with serving(
            fleet, influxdb_url=database.url, influxdb_api="v1", prometheus_url=alerts
        ) as running:
            until(lambda: running.get("/readyz")[0] == 200)
            yield running


def asked(exporter: ServiceProcess, path: str, **parameters: str) -> Any:
    status, body = exporter.get(f"/api/v1/{path}?{urlencode(parameters)}", timeout=120)
    assert status == 200, body
    return json.loads(body)


def question(exporter: ServiceProcess, text: str) -> Any:
    return asked(exporter, "ask", q=text, tz=str(ZONE))


def command(exporter: ServiceProcess, *words: str) -> str:
    environment = {"FLEETSCOPE_URL": exporter.url, "COLUMNS": "200", "NO_COLOR": "1"}
    done = CliRunner().invoke(app, list(words), env=environment | {"TZ": str(ZONE)})
    assert done.exit_code in (0, 1), done.output
    return done.stdout


async def by_tool(exporter: ServiceProcess, tool: str, **arguments: Any) -> Any:
    async with Client(build(exporter.url)) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)  # type: ignore[union-attr]


def clock(time: Any) -> str:
    """Local time of Unix seconds, or of the time that a tool gives."""
    moment = datetime.fromisoformat(time) if isinstance(time, str) else None
    moment = moment or datetime.fromtimestamp(int(time), UTC)
    assert moment.astimezone(ZONE).date() == DAY
    return f"{moment.astimezone(ZONE):%H:%M:%S}"


def happened(answer: Any) -> list[tuple[Any, ...]]:
    """What a timeline lists, in order of time, but for the small issue."""
    (table,) = [one for one in answer["tables"] if one["title"] == "Timeline"]
    return [
        (clock(row["time"]), row.get("site", ""), row["kind"], row["what"], row.get("seconds"))
        for row in table["rows"]
        if row.get("code") != SMALL
    ]


def same_order(entries: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(entries, key=lambda entry: entry[:3])


async def test_every_timeline_lists_what_happened_and_nothing_else(
    exporter: ServiceProcess,
) -> None:
    answers = [
        asked(exporter, "timeline", **SPAN),
        asked(exporter, "query", what="timeline", **SPAN),
        question(exporter, f"what happened {BETWEEN}"),
        json.loads(command(exporter, "timeline", *BOUNDS, "--json")),
        await by_tool(exporter, "timeline", period=BETWEEN, time_zone=str(ZONE)),
    ]  # fmt: skip
    for answer in answers:
        assert same_order(happened(answer)) == same_order(HAPPENED)
        (known,) = [one for one in answer["tables"] if one["title"] == "Known before"]
        assert [(clock(r["since"]), r["site"], r["what"]) for r in known["rows"]] == BEFORE
        assert answer["coverage"]["observed_ratio"] == 1.0
        assert f"{answers[0]['headline'].partition(',')[0]}, " in answer["headline"]


def test_the_terminal_and_the_page_show_each_entry(exporter: ServiceProcess) -> None:
    terminal = command(exporter, "timeline", "--since", "yesterday 9:08", "--until", "9:28")
    with browsers() as launch, opened(launch(), exporter.url, zone=str(ZONE)) as seen:
        seen.page.click("#happened-box summary")
        seen.page.fill("#happened-period", f"{DAY} 09:08 to {DAY} 09:28")
        seen.page.press("#happened-period", "Enter")
        seen.until("document.querySelector('#happened').innerText.includes('new fan')")
        page = seen.page.inner_text("#happened")
    for shown in (terminal, page):
        for _, _, kind, what, _ in HAPPENED:
            assert what in shown, what
            assert kind in shown
        assert "Mill: Battery" not in shown
        assert "47.0 °C" in shown


async def test_questions_about_the_window(exporter: ServiceProcess) -> None:
    ended = happened(question(exporter, f"which sites recovered {BETWEEN}"))
    assert ended == [entry for entry in HAPPENED if entry[2] == "ended"]
    for site, condition, times in (
        ("Quarry", "hot", 2),
        ("Harbour", "offline", 1),
        ("Mill", "hot", 0),
    ):
        answer = question(exporter, f"how many times was {site} {condition} {BETWEEN}")
        assert f"began {times} time" in answer["headline"]
    alerts = question(exporter, f"which alerts fired {BETWEEN}")
    (alert,) = alerts["tables"][0]["rows"]
    assert (alert["site"], clock(alert["start"]), alert["seconds"]) == (
        "harbour",
        "09:12:00",
        240.0,
    )
    # How long: as the timeline has it, and an issue that was there all the time began before.
    needy = question(exporter, f"who needed attention {BETWEEN}")
    rows = {row["site"]: row for row in needy["tables"][0]["rows"]}
    assert set(rows) == {"harbour", "quarry", "orchard"}
    assert (rows["harbour"]["seconds"], rows["harbour"]["times"]) == (251.0, 1)
    assert (rows["quarry"]["seconds"], rows["quarry"]["times"]) == (420.0, 2)
    assert (rows["orchard"]["times"], rows["orchard"]["ongoing"]) == (1, "yes")
    by_mcp = await by_tool(exporter, "sites_needing_attention", period=BETWEEN, time_zone=str(ZONE))
    assert by_mcp["headline"] == needy["headline"]
    away = question(exporter, f"which sites were offline {BETWEEN}")
    assert [row["seconds"] for row in away["tables"][0]["rows"]] == [251.0]


async def test_the_report_and_the_history_are_of_the_window(exporter: ServiceProcess) -> None:
    found = asked(exporter, "report", **SPAN)
    assert (found["start"], found["end"]) == (at(WINDOW[0]), at(WINDOW[1]))
    assert found["made"] > found["end"]
    assert found["observed"]["share"] == 1.0
    began = {(i["site"], clock(i["since"]), i["ended"]) for i in found["began"]}
    assert began == {
        *(("harbour", "09:10:50", True), ("quarry", "09:24:01", True)),
        ("orchard", "09:22:01", False),
    }
    # Asked alike, so that the exporter makes it once.
    status, body = exporter.get(f"/api/v1/report?{urlencode(SPAN | {'format': 'html'})}")
    html = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body)))
    assert status == 200
    assert "Who needs attention now As of" in html
    others = [
        json.loads(command(exporter, "report", *BOUNDS, "--json")),
        await by_tool(exporter, "report", period=BETWEEN, time_zone=str(ZONE)),
    ]  # fmt: skip
    for other in others:
        assert other["availability"] == pytest.approx(found["availability"], abs=1e-4)
        assert {(i["site"], clock(i["since"])) for i in other["began"]} == {e[:2] for e in began}
    history = question(exporter, f"availability of Harbour {BETWEEN}")
    (row,) = history["tables"][0]["rows"]
    (harbour,) = [p for p in found["periods"] if p["site"] == "harbour"]
    assert row["mean"] == pytest.approx(100 * harbour["availability"])
    raw = asked(exporter, "history", site="quarry", metric="temperature_c", **SPAN)
    times = [time for series in raw["series"] for time in series["times"]]
    assert times
    assert at(WINDOW[0]) <= min(times) <= max(times) < at(WINDOW[1])


def test_the_day_before_that_day_was_not_observed(exporter: ServiceProcess) -> None:
    earlier = DAY - timedelta(days=1)
    answer = asked(
        exporter, "timeline", since=f"{earlier}T09:08", until=f"{earlier}T09:28", tz=str(ZONE)
    )
    assert answer["headline"].startswith("Nothing was observed in the 20 min asked about. ")
    assert "Whether anything happened is not known." in answer["headline"]
    assert {row["kind"] for row in answer["tables"][0]["rows"]} == {"unobserved"}
