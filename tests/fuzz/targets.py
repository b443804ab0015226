"""What is fuzzed, and what must hold for any input whatever."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.ask.language.parse import NotUnderstoodError, understand
from exporter.ask.lookup import Directory
from exporter.ask.query import QueryError
from exporter.assess.assessment import FleetAssessment, as_dict, assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.config.logs import _JsonFormatter, _TextFormatter
from exporter.config.settings import load_settings
from exporter.drivers import DRIVERS
from exporter.drivers.transport.http import json_client
from exporter.drivers.venus import ac_input
from exporter.drivers.venus import tree as venus_tree
from exporter.drivers.venus.ac_sources import AcSources
from exporter.drivers.venus.battery import listed_batteries, read_battery, read_listed
from exporter.drivers.venus.conditions import read_conditions
from exporter.drivers.venus.readings import Collector
from exporter.model.snapshot import BatterySnapshot, Outcome, ScrapeError, Snapshot
from exporter.model.text import plain_line
from exporter.serve.access.server import GuardedServer
from exporter.serve.application import make_app
from exporter.serve.metrics import FleetCollector, registry
from exporter.store.line_protocol import snapshot_lines, tag, text
from tests.ask.phrases import read
from tests.drivers.bridge import BATTERY, SYSTEM, site_trees
from tests.fuzz import device_targets, mqtt_targets
from tests.serve.test_metrics import NUMBERS

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.sampled_from([1e308, -1e308, 10**400, "1e400", [], {}, "\ud800", "a\nb", "\u202e", 240, 1]),
    ANY_TEXT,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
_PATHS = sorted({path for tree in site_trees().values() for path in tree})
PATHS = st.sampled_from([*_PATHS, "Batteries", "Cell/1/Volts", "Voltages/Cell1", "Alarms/x"])
# Bodies out of each tree that hypothesis makes up.
REPLIES = 6
_BITS = (
    *(b"NaN", b"-Infinity", b"1e400", b"9" * 400, b"[" * 2000, b'{"a":' * 2000, b"null"),
    *(b"\xed\xa0\x80", b"\xff\xfe", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b"\n\r\0"),
    b'"Soc":1,"Soc":2,',
)


def _is_line(line: str) -> bool:
    """Whether a line is whole: series, fields and time, with nothing forged into it."""
    return (
        re.fullmatch(
            # As InfluxDB reads it: what follows a backslash separates nothing, though that follows
            # another one.
            r"[a-z]+(?:,[a-z]+=(?:[^,= \n]|(?<=\\)[,= ])+)+ (?:[a-z_0-9]+=(?:-?[0-9.e+-]+"
            r'|"(?:[^"\\\n]|\\.)*")(?:,(?! )|(?= )))+ -?\d+',
            line,
        )
        is not None
    )


def _shown(snapshot: Snapshot) -> None:
    """Take a Snapshot all the way to the API, the metrics and InfluxDB."""
    state = FleetState(_FLEET, 10.0)
    state.apply(snapshot, 1.0)
    latest = assess(state, 1.0, 1.7e9)
    orjson.dumps(as_dict(latest.site(0)))
    for line in snapshot_lines(snapshot):
        line.encode()
        assert _is_line(line), line


_FLEET = Fleet.model_validate({"sites": [{"id": "alpha", "api_endpoint": "http://a"}]})


@st.composite
def replies(draw: st.DrawFn) -> list[bytes]:
    """Bodies of replies: a tree as JSON, and the same with some bytes changed, or cut off."""
    tree = dict(draw(st.lists(st.tuples(PATHS | ANY_TEXT, VALUES), max_size=10)))
    whole = json.dumps({"success": True, "value": tree}, ensure_ascii=draw(st.booleans()))
    body = whole.encode("utf-8", "surrogatepass")
    # To make up a tree costs four times what it costs to read one.
    rng = random.Random(draw(st.integers(0, 2**32)))
    return [body, *(_damaged(body, rng) for _ in range(REPLIES - 1))]


def _damaged(body: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(body)
    for _ in range(rng.choice([0, 1, 2, 5])):
        place = rng.randrange(len(damaged))
        damaged[place] = rng.choice([rng.randrange(256), *b'"{}[],:\\0-e.\n'])
    start, end = sorted(rng.randrange(len(damaged)) for _ in range(2))
    change = rng.randrange(4)
    if change == 0:
        return bytes(damaged[:end])
    if change == 1:
        damaged[start:end] *= rng.randrange(3)
    elif change == 2:
        damaged[start:start] = rng.choice(_BITS)
    return bytes(damaged)


@given(replies() | st.binary(max_size=100).map(lambda b: [b]), st.sampled_from([SYSTEM, BATTERY]))
def site_reply(bodies: list[bytes], service: str) -> None:
    """Any bytes of a site are a reading or a reason, and reach every output unforged."""
    for body in bodies:
        _read(body, service)


def _read(body: bytes, service: str) -> None:
    try:
        document = json_client._parse(body, "GET x", "application/json")
        tree = document.get("value") if isinstance(document, dict) else None
        if not isinstance(tree, dict):
            return
    except ScrapeError as error:
        _shown(Snapshot("alpha", 1.7e9, 0.1, error.outcome, error.detail))
        return
    tree = venus_tree.pruned(tree)
    into = Collector("site", "system")
    venus_tree.read_system(tree, into)
    batteries, implausible = [], list(into.implausible)
    named = venus_tree.battery_service(tree, []) or BATTERY
    found = [read_battery(service, tree, active=True, system=tree)]
    listed = [read_listed(b, b.service) for b in listed_batteries(tree, named)]
    for battery, wrong in (*found, *listed):
        batteries.append(battery)
        implausible += wrong
    inputs = {
        venus_tree.PREFIX + kind: reader(tree) for kind, reader in ac_input._INPUT_READERS.items()
    }
    notices = AcSources().judge(tree, inputs, inputs, into)
    ac_input.read_grid_energy(tree, into)
    conditions = read_conditions("vebus", tree)
    unique: dict[str, BatterySnapshot] = {b.device: b for b in batteries}
    properties = {"serial": str(tree.get("Serial") or "")}
    _shown(
        Snapshot(
            "alpha",
            1.7e9,
            0.1,
            Outcome.OK,
            readings=into.readings,
            batteries=tuple(unique.values()),
            alarms={"system/0": conditions.levels},
            alarm_texts={"system/0": conditions.texts},
            notices=tuple(notices),
            devices=frozenset({*venus_tree.mapped_services(tree).values(), "system/0"}),
            implausible=tuple(implausible),
            properties=properties,
        )
    )


_KEYS = [*_FLEET.sites[0].model_dump(), "sites", "thresholds", "contact", "name", "phone", "email"]
_FRAGMENTS = st.sampled_from(
    [*_KEYS, "sites:\n- id: a\n  api_endpoint: http://a\n", "- ", ": ", "\n", "  ", "{", "}", "[",
     "]", ",", '"', "'", "&a ", "*a", "!!python/object:os.system ", "<<: *a", "|\n", "\t", "#",
     "http://169.254.169.254/", "1e400", ".inf", "0x10", "2026-01-01", "\x00", "\ud800", "---\n"]
)  # fmt: skip


@given(
    st.one_of(
        st.lists(_FRAGMENTS | ANY_TEXT, max_size=25).map("".join),
        st.builds(
            lambda site, fleet: json.dumps({"sites": [site], **fleet}),
            st.dictionaries(st.sampled_from(_KEYS), VALUES, max_size=8),
            st.dictionaries(st.sampled_from(_KEYS), VALUES, max_size=2),
        ),
    )
)
def fleet_file(written: str) -> None:
    """Any text is a fleet, or is refused with places and words that act on no terminal."""
    _parsed(written)


def _parsed(written: str) -> None:
    try:
        # As it comes from a file, which is read as UTF-8.
        fleet = parse_fleet(written.encode("utf-8", "ignore").decode(), Path("fleet.yaml"), DRIVERS)
    except FleetFileError as error:
        told = str(error)
    else:
        told = ""
        _listed(fleet)
    # The encoder refuses halves of characters.
    told.encode()
    assert plain_line(told.replace("\n", "")) == told.replace("\n", "")


def _listed(fleet: Fleet) -> None:
    """The fleet in the metrics, read back."""
    state = FleetState(fleet, 10.0)
    latest = assess(state, 1.0, 1.7e9)
    page = generate_latest(FleetCollector(lambda: latest, lambda: NUMBERS)).decode()
    info = [f for f in text_string_to_metric_families(page) if f.name == "fleetscope_site_info"]
    assert [s.labels["site"] for s in info[0].samples] == [s.id for s in fleet.sites]
    assert [s.labels["name"] for s in info[0].samples] == [s.title for s in fleet.sites]


@given(ANY_TEXT, ANY_TEXT)
def line_protocol(one: str, two: str) -> None:
    """Names and texts come back as they were, or with what cannot be written replaced."""
    _line_of(one, two)


def _line_of(one: str, two: str) -> None:
    line = f"a,x={tag(one)},y={tag(two)} f={text(one)},g={text(two)} 1"
    assert _is_line(line), line
    assert line.count("\n") == 0


@given(ANY_TEXT, ANY_TEXT)
def log_line(one: str, two: str) -> None:
    """Whatever a site or a file puts into a message stays one line of plain characters."""
    _logged(one, two)


def _logged(one: str, two: str) -> None:
    record = logging.LogRecord("exporter", 30, "x", 1, "site %s: %s", (one, two), None)
    plain = _TextFormatter().format(record)
    assert plain_line(plain) == plain
    assert json.loads(_JsonFormatter().format(record))["level"] == "warning"


def _application() -> Callable[..., Any]:
    state = FleetState(_FLEET, 10.0)
    latest: FleetAssessment = assess(state, 1.0, 1.7e9)
    made = registry(lambda: latest, lambda: NUMBERS)
    app = make_app(lambda: latest, lambda: None, made, reload=lambda: None)
    GuardedServer(app, load_settings())
    return app


_APP: list[Callable[..., Any]] = []
_TARGETS = st.sampled_from(
    ["/metrics", "/api/v1/fleet", "/api/v1/sites", "/api/v1/sites/alpha", "/healthz", "/-/reload"]
)
_HEADERS = st.sampled_from([b"accept", b"authorization", b"content-length", b"host", b"cookie"])


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", ""]),
    _TARGETS | ANY_TEXT.map(lambda t: "/" + t) | ANY_TEXT.map(lambda t: "/api/v1/sites/" + t),
    st.binary(max_size=40),
    st.lists(st.tuples(_HEADERS | st.binary(max_size=8), st.binary(max_size=40)), max_size=4),
    st.binary(max_size=80),
)
def http_request(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Any request has an answer, never a 5xx, and changes nothing without the token."""
    if not _APP:
        _APP.append(_application())
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in headers],
        # A client of its own each time, so that the rate limit is not what answers.
        "client": (f"{hash((method, path, query, body))}", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(_APP[0](scope, receive, send))
    assert sent[0]["status"] < 500
    assert method in ("GET", "HEAD", "OPTIONS") or sent[0]["status"] >= 400
    assert b"x-content-type-options" in dict(sent[0]["headers"])


_QUESTIONS = [one for one, _ in read("questions.txt")] + [one for one, _ in read("declined.txt")]
_WORDS = sorted({word for one in _QUESTIONS for word in one.split()})
_ODD = st.sampled_from(
    ["½", "²", "١٢", "1e400", "9" * 300, "10000 years", "0000-00-00", "2026-02-30", "31.12.9999",
     "1.5", "-1", "0.0.0", "25:61", "last 99999999999 days", "1 january", "to", "since", "%",
     '"', "<=", "and"]
)  # fmt: skip
_ZONES = st.sampled_from([UTC, ZoneInfo("Pacific/Kiritimati"), timezone(-timedelta(hours=12))])


@given(
    st.lists(st.sampled_from(_QUESTIONS) | st.sampled_from(_WORDS) | _ODD | ANY_TEXT, max_size=8),
    _ZONES,
)
def question(words: list[str], zone: tzinfo) -> None:
    """Any words are a question, or are declined with a reason."""
    _asked(" ".join(words), zone)


def _asked(text: str, zone: tzinfo = UTC) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    try:
        understood = understand(text, _DIRECTORY, now, zone)
    except (NotUnderstoodError, QueryError) as error:
        told = str(error)
    else:
        told = understood.query.what.value
    assert told


_DIRECTORY = Directory(_FLEET)
TARGETS: dict[str, Callable[..., None]] = {
    "site-replies": site_reply,
    "fleet-file": fleet_file,
    "line-protocol": line_protocol,
    "log-lines": log_line,
    "http-parameters": http_request,
    "questions": question,
    "modbus-replies": device_targets.modbus_reply,
    "modbus-registers": device_targets.modbus_registers(_shown),
    "template-replies": device_targets.template_reply(_shown, VALUES),
    "template-files": device_targets.template_file(ANY_TEXT, VALUES),
    "mqtt-packets": mqtt_targets.mqtt_packets,
    "mqtt-messages": mqtt_targets.mqtt_messages(_shown),
    "telemetry": mqtt_targets.telemetry,
}
# Inputs in one call of a target, where it is more than one.
INPUTS_EACH = {
    "site-replies": REPLIES,
    "modbus-registers": device_targets.EACH,
    "template-replies": device_targets.EACH,
    "mqtt-messages": mqtt_targets.EACH,
    "telemetry": mqtt_targets.EACH,
}


def _two(data: bytes, take: Callable[[str, str], None]) -> None:
    one, _, two = data.partition(b"\0")
    take(one.decode("utf-8", "surrogateescape"), two.decode("utf-8", "replace"))


# Bytes as they are, for an engine that changes bytes by what they lead to; and what it starts from.
GUIDED: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "site-replies": (
        lambda data: _read(data[1:], SYSTEM if data[:1] < b"B" else BATTERY),
        [
            letter + json.dumps({"success": True, "value": site_trees()[service]}).encode()
            for letter, service in ((b"A", SYSTEM), (b"B", BATTERY))
        ],
    ),
    "fleet-file": (
        lambda data: _parsed(data.decode("utf-8", "ignore")),
        [
            b'{"sites": [{"id": "a", "api_endpoint": "http://a:1", "tags": ["x"]}]}',
            b"sites:\n- id: a\n  api_endpoint: https://a.example.com/x\n  serial: '1'\n"
            b"  maintenance:\n  - {start: 2026-01-01T00:00, end: 2026-01-02T00:00Z}\n"
            b"  mute_times: [{start: '08:00', end: '17:00', days: [monday]}]\n"
            b"  contact: {email: a@b.c}\n  thresholds: {soc_critical: 5}\n",
        ],
    ),
    "line-protocol": (lambda data: _two(data, _line_of), [b'a, b=c\\\0d "e"\n']),
    "questions": (
        lambda data: _asked(data.decode("utf-8", "ignore")),
        [one.encode() for one in _QUESTIONS],
    ),
    "log-lines": (lambda data: _two(data, _logged), [b"a\x1b[2J\0b\r\nc"]),
}
