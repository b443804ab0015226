"""The command line, HTTP and MCP phrase the same answers, as people and programs use them."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest
from mcp import Client, StdioServerParameters
from rich.cells import cell_len
from typer.testing import CliRunner

from exporter.ask.answerer import Answerer
from exporter.ask.query import Query, What
from exporter.cli.commands import app
from exporter.cli.mcp.server import build
from exporter.cli.questions import complete_condition, complete_metric, complete_site


def run(url: str, *arguments: str, columns: int = 100, **environment: str) -> Any:
    environment = {"COLUMNS": str(columns), "FLEETSCOPE_URL": url, "NO_COLOR": "1"} | environment
    return CliRunner().invoke(app, list(arguments), env=environment)


def get(url: str, path: str, **parameters: Any) -> tuple[int, Any]:
    address = f"{url}/api/v1/{path}?{urlencode(parameters, doseq=True)}"
    try:
        with urllib.request.urlopen(address, timeout=30) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


COMMANDS = (
    (["attention"], 1),
    (["attention", "--region", "iberia", "--urgent", "-n", "1"], 1),
    (["attention", "--filter", "tag:farm", "--filter", "!region:iberia"], 1),
    (["rank"], 1),
    (["rank", "--by", "soh", "--lowest", "-n", "3"], 1),
    (["rank", "--best", "-n", "2"], 0),
    (["compare", "alpha", "beta"], 1),
    (["compare", "school", "harbour", "--metric", "soh"], 0),
    (["outliers"], 1),
    (["which", "--condition", "hot"], 1),
    (["which", "--where", "soh>=90", "--where", "soc<10", "--any", "--filter", "tag:farm"], 0),
    (["site", "Bäckerei"], 1),
    (["site", "school", "--evidence"], 0),
    (["explain", "alpha", "-e"], 1),
    (["ask", "which", "sites", "are", "hot?"], 1),
    (["ask", "how is School?"], 0),
    (["ask", "what is the average SOH", "--evidence"], 0),
)


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "code"), COMMANDS)
def test_every_command_in_every_form(url: str, arguments: list[str], code: int) -> None:
    for columns in (40, 120):
        result = run(url, *arguments, columns=columns)
        assert result.exit_code == code, result.output
        told = [line for line in result.output.splitlines() if not line.startswith("promql")]
        if arguments[0] != "compare":
            assert max(map(len, told)) <= max(columns, 60)
        assert "\x1b" not in result.output
    as_json = run(url, *arguments, "--json")
    assert as_json.exit_code == code
    answer = json.loads(as_json.stdout)
    as_csv = run(url, *arguments, "--csv")
    assert as_csv.exit_code == code
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout, newline="")))
    assert len(rows) == len(answer["tables"][0]["rows"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["site", "depot"], "may be 2 sites: depot_north (Depot North), depot_south"),
        (["site", "Gama"], "did you mean site_gamma (Gamma)?"),
        (["rank", "--by", "colour"], "there is no metric 'colour'; one of score"),
        (["attention", "--region", "mars"], "no site has the region 'mars'; it has"),
        (["attention", "--since", "tomorrow"], "the future is not known"),
        (["attention", "--since", "7d"], "no InfluxDB is configured"),
        (["history", "score"], "no InfluxDB is configured"),
        (["rank", "--json", "--csv"], "exclude each other"),
        (["ask", "tell me a joke"], "the word 'joke' is not known"),
        (["ask", "compare alpha"], "two sites or two groups"),
    ],
)
def test_what_cannot_be_answered_is_2_and_says_why(
    url: str, arguments: list[str], words: str
) -> None:
    result = run(url, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr


def test_status_shows_the_worst_first_and_says_how_many_more(url: str) -> None:
    result = run(url, "status", "--limit", "2")
    assert result.exit_code == 1
    assert "Epsilon" in result.output
    assert "… and 12 more" in result.output
    table = run(url, "status", "--csv")
    rows = list(csv.DictReader(io.StringIO(table.stdout, newline="")))
    assert [row["site"] for row in rows][:2] == ["site_epsilon", "depot_north"]
    assert len(rows) == 14
    assert rows[1]["why"] == "There is no grid at the AC input"


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETSCOPE_URL", "http://127.0.0.1:1")
    for command in (["rank"], ["ask", "problems"], ["site", "a"]):
        result = run("http://127.0.0.1:1", *command)
        assert result.exit_code == 2
        assert "does not answer" in result.stderr
    assert complete_site("a") == []


def test_a_session_on_the_command_line(url: str) -> None:
    text = "which sites need attention in Spain?\nonly high priority\ntell me a joke\nwhy?\nexit\n"
    result = CliRunner().invoke(app, ["ask"], input=text, env={"FLEETSCOPE_URL": url})
    assert result.exit_code == 1
    assert "3 sites need attention" in result.output
    assert "1 site needs attention, of 1 site asked about" in result.output
    assert "From 100 to the score" in result.output
    assert "'joke'" in result.stderr


def test_completion_offers_ids_names_metrics_and_conditions(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETSCOPE_URL", url)
    assert dict(complete_site("dep")) == {
        "depot_north": "Depot North",
        "depot_south": "Depot South",
        "Depot North": "depot_north",
        "Depot South": "depot_south",
    }
    assert "bakery-7" in dict(complete_site("müller"))
    assert dict(complete_metric("so"))["soh"] == "state of health"
    assert "hot" in dict(complete_condition("h"))


def test_names_do_not_become_markup_or_formulas(url: str) -> None:
    result = run(url, "compare", "farm-1", "bakery-7", columns=200)
    assert "<b>Farm</b> O'Brien" in result.output
    assert "Bäckerei „Müller“ 🥐" in result.output


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({}, 422),
        ({"what": "nonsense"}, 422),
        ({"what": "rank", "colour": "red"}, 422),
        ({"what": "rank", "limit": "-1"}, 422),
        ({"what": "rank", "limit": "0"}, 422),
        ({"what": "rank", "metric": ["soh"] * 2}, 200),
        ({"what": "rank", "tz": "Mars/Base"}, 422),
        ({"what": "rank", "order": ["best", "worst"]}, 422),
        ({"what": "site", "site": "nobody"}, 404),
        ({"what": "site"}, 422),
        ({"what": "which", "where": "soh<80'; DROP DATABASE fleet"}, 422),
        ({"what": "attention", "filter": "region:nowhere"}, 404),
        ({"what": "history", "metric": "score", "period": "7d"}, 503),
    ],
)
def test_wrong_queries_are_problems(url: str, parameters: dict[str, Any], status: int) -> None:
    code, body = get(url, "query", **parameters)
    assert code == status
    if code != 200:
        assert body["status"] == status
        assert body["detail"]


def test_sessions_are_apart_and_ids_not_chosen_by_callers(url: str) -> None:
    _, first = get(url, "ask", q="which sites need attention?", session="mine")
    assert first["session"] != "mine"
    _, other = get(url, "ask", q="how is Beta?")
    assert other["session"] != first["session"]
    _, then = get(url, "ask", q="and in Spain?", session=first["session"])
    assert then["query"]["filters"] == ["location:Spain"]
    code, alone = get(url, "ask", q="only high priority")
    assert code == 200
    assert alone["query"]["what"] != "attention"


async def five_ways(url: str, answerer: Answerer) -> list[Any]:
    _, queried = get(url, "query", what="rank", metric="soh", limit=5)
    _, asked = get(url, "ask", q="5 worst sites by SOH")
    told = json.loads(run(url, "rank", "--by", "soh", "-n", "5", "--json").stdout)
    direct = await answerer.answer(Query(What.RANK, metrics=("soh",), limit=5))
    async with Client(build(url)) as client:
        result = await client.call_tool("rank_sites", {"metric": "soh", "limit": 5})
    return [queried, asked, told, direct.as_dict(), answered(result)]


async def test_five_ways_one_answer(url: str, answerer: Answerer) -> None:
    answers = await five_ways(url, answerer)
    figures = [[(r["site"], r["soh"]) for r in a["tables"][0]["rows"]] for a in answers]
    assert figures == [figures[0]] * 5
    assert figures[0][0] == ("site_alpha", 68.0)


TOOLS: dict[str, dict[str, Any]] = {
    "fleet_status": {"filters": ["region:iberia"]},
    "sites_needing_attention": {"urgent_only": True, "with_cost": True},
    "rank_sites": {"metric": "temperature", "order": "highest", "limit": 3},
    "site_details": {"site": "alpha"},
    "explain_site": {"site": "Depot North"},
    "compare_sites": {"sites": ["alpha", "beta"], "metrics": ["soh", "score"]},
    "find_sites": {"conditions": ["hot", "!offline"], "comparisons": ["soh>50"]},
    "outliers": {"metric": "soh"},
    "since_when": {"site": "epsilon", "condition": "offline"},
    "metric_value": {"metric": "soh", "group_by": "region"},
    "cost": {},
    "site_cells": {"site": "gamma"},
    "ask_fleet": {"question": "welche Anlagen sind offline?", "time_zone": "Europe/Berlin"},
}


def answered(result: Any) -> dict[str, Any]:
    """The one answer of a tool, as data."""
    (content,) = result.content
    found: dict[str, Any] = json.loads(content.text)
    return found


async def drive(client: Client) -> None:
    """Every tool and every resource."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    without_a_past = {"metric_history", "timeline", "report", "alerts", "forecast"}
    stored = {"energy_account", "portfolio", "battery_plan"}
    assert set(tools) == {*TOOLS, *without_a_past, *stored}
    assert sum(len(tool.model_dump_json(exclude_none=True)) for tool in tools.values()) < 20_000
    for tool in tools.values():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.description
        assert tool.output_schema is None
        assert tool.input_schema["additionalProperties"] is False
    for name, arguments in TOOLS.items():
        result = await client.call_tool(name, arguments)
        assert not result.is_error, (name, result.content)
        assert result.structured_content is None
        assert len(str(result.content)) < 20_000, name
        answer = answered(result)
        assert answer["headline"]
        assert answer["evidence"]["as_of"].startswith("2026-03-18T14:30:00")
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("metric_history", {"metric": "score", "period": "7d"}, "no InfluxDB is configured"),
        ("site_details", {"site": "depot"}, "may be 2 sites"),
        ("find_sites", {"conditions": ["purple"]}, "there is no condition"),
        ("ask_fleet", {"question": "restart Alpha"}, "nothing can be changed"),
        ("rank_sites", {"limit": 0}, "limit is 0; expected 1 to 200"),
        ("rank_sites", {"limit": "many"}, "expected a value of type integer"),
        ("find_sites", {"where": ["soh<80"]}, "find_sites has no argument 'where'"),
        ("find_sites", {"condition": ["hot"]}, "Did you mean conditions?"),
        ("rank_sites", {"metric": "colour"}, "metric is 'colour'; one of score"),
        ("site_details", {}, "site_details needs site"),
        ("timeline", {"period": "1h"}, "no InfluxDB is configured"),
        ("alerts", {}, "alerts are in Prometheus, and none is configured"),
        ("forecast", {"forecast": "soc"}, "gives a time until empty now"),
        ("forecast", {"forecast": "colour"}, "forecast is 'colour'; one of soc, cell_spread"),
        ("portfolio", {"portfolio_figure": "lost"}, "no InfluxDB is configured"),
        ("battery_plan", {"site": "alpha"}, "no InfluxDB is configured"),
        (
            "energy_account",
            {"energy_figure": "pv_lost", "period": "1h"},
            "no InfluxDB is configured",
        ),
    ]
    for name, arguments, words in wrong:
        result = await client.call_tool(name, arguments)
        assert result.is_error
        assert words in str(result.content)
    first = answered(await client.call_tool("ask_fleet", {"question": "which sites are hot?"}))
    follow = {"question": "how many?", "session": first["session"]}
    second = answered(await client.call_tool("ask_fleet", follow))
    assert second["understood"] == "number of sites, hot battery"
    uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
    for uri in (*uris, "fleetscope://runbooks/FleetscopeSiteOffline"):
        assert len((await client.read_resource(uri)).contents[0].text) > 200  # type: ignore[union-attr]
    with pytest.raises(Exception, match="there is no runbook"):
        await client.read_resource("fleetscope://runbooks/Nothing")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.getcwd()}


@pytest.mark.slow
async def test_an_assistant_over_stdio(url: str) -> None:
    command = ["-m", "exporter", "mcp", "--url", url]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=environment())
    async with Client(parameters) as client:
        await drive(client)


@pytest.mark.slow
async def test_an_assistant_over_http(url: str) -> None:
    command = [sys.executable, "-m", "exporter", "mcp", "--url", url, "--http", "127.0.0.1:0"]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, env=environment()
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stderr.readline()).decode()
            assert line.startswith("fleetscope: MCP at http://127.0.0.1:")
            async with Client(line.split()[-1]) as client:
                await drive(client)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest.mark.slow
async def test_half_a_request_holds_no_connection_of_the_server_for_assistants(url: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    code = (
        "import socket\n"
        "from exporter.cli.mcp import server\n"
        "from exporter.serve.access import guard, protocol\n"
        "protocol.IDLE_SECONDS = guard.BODY_SECONDS = 0.3\n"
        f"server.run_http({url!r}, socket.socket(fileno={listener.fileno()}))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        pass_fds=[listener.fileno()],
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    assert process.stderr is not None
    head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    head += "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
    try:
        async with asyncio.timeout(60):
            assert b"MCP at" in await process.stderr.readline()
            for half in ("", head, f'{head}Content-Length: 99\r\n\r\n{{"json'):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(half.encode())
                # Closed by the server, whatever it says before.
                answer = await reader.read()
                assert not answer or answer.split()[1] in (b"400", b"408")
                writer.close()
            async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                assert (await client.list_tools()).tools
    finally:
        process.kill()
        await process.wait()
        listener.close()


@pytest.mark.parametrize("address", ["0.0.0.0:9798", "example.com:80", "9798", "127.0.0.1:x"])
def test_mcp_is_served_on_loopback_only(address: str) -> None:
    result = CliRunner().invoke(app, ["mcp", "--http", address])
    assert result.exit_code == 2
    assert "loopback" in result.stderr


def test_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys, exporter.cli.commands, exporter.cli.render, exporter.cli.status\n"
        "heavy = {'numpy', 'scipy', 'pydantic', 'fastapi', 'mcp', 'aiohttp', 'rapidfuzz'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "words",
    [
        ("compare", "site_alpha", "site_beta", "site_gamma", "bakery-7", "farm-1", "school"),
        ("rank", "--by", "temperature"),
        ("attention",),
        ("outliers",),
        ("explain", "bakery-7"),
        ("site", "farm-1"),
        ("status",),
    ],
)
def test_no_line_is_wider_than_the_terminal(url: str, words: tuple[str, ...], width: int) -> None:
    done = run(url, *words, columns=width)
    assert max(cell_len(line.rstrip()) for line in done.stdout.splitlines()) <= width
    if words[0] == "compare":
        # Every site has a column of its own, however many parts that takes.
        scores = re.findall(r"^State of health, %(.*)$", done.stdout, re.M)
        assert sum(len(line.replace("✓", "").split()) for line in scores) == 6
