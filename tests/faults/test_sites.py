"""Sites that misbehave, against the real driver and, where it counts, the whole service."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from exporter.assess.assessment import as_dict, assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.drivers.transport.http import json_client
from exporter.drivers.venus import site_reader
from exporter.drivers.venus.conditions import MOST_ALARMS
from exporter.drivers.venus.http_driver import VenusHttpDriver
from exporter.drivers.venus.layout import MOST_CELLS
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from exporter.store.line_protocol import snapshot_lines
from tests.drivers.bridge import (
    BATTERY,
    HEAD,
    SYSTEM,
    Bridge,
    Clock,
    Manner,
    answers,
    driver_for,
    sends,
    site_trees,
)
from tests.service_process import ServiceProcess, serving, until, write_fleet

PATIENCE_SECONDS = 2.0


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_client, "REQUEST_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge(site_trees()).running() as running:
        yield running


@pytest.fixture
async def driver(bridge: Bridge) -> AsyncIterator[VenusHttpDriver]:
    async with driver_for(bridge.url, Clock()) as driver:
        yield driver


def everything(snapshot: Snapshot) -> tuple[bytes, str]:
    """What the service makes of a Snapshot: the API's bytes and the lines for InfluxDB."""
    fleet = Fleet.model_validate({"sites": [{"id": "alpha", "api_endpoint": "http://a"}]})
    state = FleetState(fleet, 10.0)
    state.apply(snapshot, 1.0)
    shown = orjson.dumps(as_dict(assess(state, 1.0, 1.7e9).site(0)))
    lines = "\n".join(snapshot_lines(snapshot))
    lines.encode()
    return shown, lines


async def failed(driver: VenusHttpDriver) -> ScrapeError:
    with pytest.raises(ScrapeError) as caught:
        await driver.scrape()
    assert caught.value.detail.isprintable()
    everything(Snapshot("alpha", 1.7e9, 0.1, caught.value.outcome, caught.value.detail))
    return caught.value


def trickles(pause: float) -> Manner:
    """Sends a byte at a time, for ever."""

    async def manner(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> None:
        for byte in HEAD + b'{"value":{"a":' + b" " * 100_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return manner


def endless(head: bytes, again: bytes) -> Manner:
    """Sends the same for as long as it is read."""

    async def manner(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> None:
        writer.write(head)
        while True:
            writer.write(again)
            await writer.drain()
            # The listeners of a test share one processor with what they test.
            await asyncio.sleep(0.01)

    return manner


HTTP_1_1 = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ENDLESS = {
    "body": (endless(HEAD, b" " * 65536), Outcome.MALFORMED),
    "chunks": (
        endless(HTTP_1_1 + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 4096),
        Outcome.MALFORMED,
    ),
    "headers": (endless(HEAD[:-2], b"X-More: 1\r\n" * 4096), Outcome.MALFORMED),
    "one header": (endless(HEAD[:-2] + b"X-Long: ", b"x" * 65536), Outcome.MALFORMED),
    "status line": (endless(b"HTTP/1.0 200 ", b"x" * 65536), Outcome.MALFORMED),
    "go on": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 4096), Outcome.MALFORMED),
    "a byte a second": (trickles(1.0), Outcome.TIMEOUT),
    "a byte now and then": (trickles(0.001), Outcome.TIMEOUT),
}


@pytest.mark.parametrize(("manner", "outcome"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_what_never_ends_is_given_up(
    bridge: Bridge,
    driver: VenusHttpDriver,
    monkeypatch: pytest.MonkeyPatch,
    manner: Manner,
    outcome: Outcome,
) -> None:
    if outcome is not Outcome.TIMEOUT:
        # So that it is the size that ends it, however busy the machine is.
        monkeypatch.setattr(json_client, "REQUEST_SECONDS", 120.0)
        monkeypatch.setattr(site_reader, "SITE_SECONDS", 240.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bridge.manners[SYSTEM] = manner
    bridge.manners["services"] = manner
    assert (await failed(driver)).outcome is outcome
    # Kibibytes: what is read ahead, and never what is sent.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def bomb() -> bytes:
    return gzip.compress(b" " * 50 * 2**20)


PACKED = {
    "gzip": ("Content-Encoding: gzip", bomb()),
    "unknown": ("Content-Encoding: \xff\xfe", b"{}"),
    "twice": ("Content-Encoding: gzip, gzip", gzip.compress(bomb())),
}


@pytest.mark.parametrize(("header", "body"), PACKED.values(), ids=PACKED.keys())
async def test_a_bomb_is_not_unpacked(
    bridge: Bridge, driver: VenusHttpDriver, header: str, body: bytes
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bridge.manners[SYSTEM] = answers("200 OK", body, header)
    assert (await failed(driver)).outcome is Outcome.MALFORMED
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
async def test_a_redirect_is_not_followed(
    bridge: Bridge, driver: VenusHttpDriver, status: str
) -> None:
    async with Bridge(site_trees()).running() as elsewhere:
        bridge.manners[SYSTEM] = answers(status, b"", f"Location: {elsewhere.url}/value")
        assert (await failed(driver)).outcome is Outcome.HTTP_STATUS
        assert elsewhere.requests == []


def tree_with(text: bytes) -> Manner:
    """The battery's tree as this JSON text."""
    return sends(HEAD + b'{"success": true, "value": ' + text + b"}")


def deep(levels: int) -> bytes:
    return b'{"Soc": 50, "x": ' + b"[" * levels + b"]" * levels + b"}"


NUMBERS = {
    "too large": b"1e400",
    "too small": b"-1e400",
    "huge": b"9" * 30,
    "endless": b"9" * 100_000,
    "negative": b"-" + b"9" * 5000,
    "bare": b"Infinity",
    "negative bare": b"-Infinity",
}
NO_NUMBERS = {
    "NaN": b"NaN",
    "text": b'"50 %"',
    "null": b"null",
    "true": b"true",
    "false": b"false",
    "empty list": b"[]",
    "list": b"[50]",
    "object": b'{"value": 50}',
    "deep": b"[" * 300 + b"]" * 300,
}


@pytest.mark.parametrize("soc", NUMBERS.values(), ids=NUMBERS.keys())
async def test_a_number_beyond_physics_is_told_and_not_stored(
    bridge: Bridge, driver: VenusHttpDriver, soc: bytes
) -> None:
    bridge.trees[SYSTEM]["Dc/Battery/Soc"] = []
    bridge.manners[BATTERY] = tree_with(b'{"Soc": ' + soc + b', "Soh": 95.0}')
    snapshot = await driver.scrape()
    (battery,) = (b for b in snapshot.batteries if b.active)
    assert np.isnan(battery.readings["soc_percent"])
    assert battery.readings["soh_percent"] == 95.0
    assert [i.quantity for i in snapshot.implausible] == ["soc_percent"]
    shown, lines = everything(snapshot)
    assert "soc_percent" not in lines
    assert b'"soh_percent":95.0' in shown


@pytest.mark.parametrize("soc", NO_NUMBERS.values(), ids=NO_NUMBERS.keys())
async def test_what_is_no_number_is_missing(
    bridge: Bridge, driver: VenusHttpDriver, soc: bytes
) -> None:
    bridge.trees[SYSTEM]["Dc/Battery/Soc"] = []
    bridge.manners[BATTERY] = tree_with(b'{"Soc": ' + soc + b', "Soh": 95.0}')
    snapshot = await driver.scrape()
    (battery,) = (b for b in snapshot.batteries if b.active)
    assert np.isnan(battery.readings["soc_percent"])
    assert battery.readings["soh_percent"] == 95.0
    # No value at all is missing; a value of a wrong type is counted as well.
    assert all(i.quantity == "soc_percent" and i.given for i in snapshot.implausible)
    assert "soc_percent" not in everything(snapshot)[1]


@pytest.mark.parametrize("wrong", [None, True, "x", 10**30, -5e9, [], [1], {}, {"a": {}}])
async def test_wrong_types_in_every_field(
    bridge: Bridge, driver: VenusHttpDriver, wrong: Any
) -> None:
    """Device by device, whatever a path holds: no reading is made up, and nothing breaks."""
    for tree in bridge.trees.values():
        for path in tree:
            if not path.startswith(("ServiceMapping", "Dc/Battery/BatteryService")):
                tree[path] = wrong
    for _ in range(4):
        snapshot = await driver.scrape()
        everything(snapshot)
        finite = {k: v for k, v in snapshot.readings.items() if not np.isnan(v)}
        # The list of services has a grid meter, whatever is in its tree.
        assert finite.pop("grid_expected", 1.0) == 1.0
        # A truth value is a number where a quantity is 0 or 1.
        assert wrong is True or "pv_disabled" not in finite
        finite.pop("pv_disabled", None)
        assert finite in ({}, {"grid_connected": 1.0}, {"grid_connected": 0.0})
        assert all(np.isnan(v) for b in snapshot.batteries for v in b.readings.values())


async def test_a_key_twice_with_two_values_is_refused(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    bridge.manners[BATTERY] = tree_with(b'{"Soc": 20, "Soh": 95.0, "Soc": 80}')
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.PARTIAL
    assert "'Soc' is twice" in snapshot.detail
    # What the system tree says stands in, and neither of the two.
    (battery,) = (b for b in snapshot.batteries if b.active)
    assert battery.readings["soc_percent"] == 74.0
    assert "soh_percent" not in battery.readings


async def test_a_key_twice_with_one_value_is_read(bridge: Bridge, driver: VenusHttpDriver) -> None:
    bridge.manners[BATTERY] = tree_with(b'{"Soc": 20, "x": "\\":", "Soh": 95.0, "Soc": 20}')
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.OK
    (battery,) = (b for b in snapshot.batteries if b.active)
    assert battery.readings["soc_percent"] == 20.0


@pytest.mark.parametrize("levels", [900, 1020, 1100, 100_000])
async def test_deep_nesting_costs_one_device_at_most(
    bridge: Bridge, driver: VenusHttpDriver, levels: int
) -> None:
    bridge.manners[BATTERY] = tree_with(deep(levels))
    snapshot = await driver.scrape()
    assert snapshot.outcome in (Outcome.OK, Outcome.PARTIAL)
    assert snapshot.readings["load_power_w"] == 600.0
    everything(snapshot)


HOSTILE = {
    "half of a character": '"\\ud800"',
    "other half": '"\\udfff\\ud800"',
    "line break": '"a\\nlevel=2 1\\r\\nb"',
    "terminal": '"\\u001b[2J\\u0007\\u0000"',
    "backwards": '"\\u202eabc\\u2066"',
    "markup": '"<script>alert(1)</script>"',
    "quotes": '"\\"},{\\\\\\" \\\\"',
    "long": '"' + "x" * 100_000 + '"',
    "emoji": '"\\ud83d\\ude00"',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_texts_of_a_device_reach_every_output(
    bridge: Bridge, driver: VenusHttpDriver, text: str
) -> None:
    hostile = text.encode()
    bridge.manners[SYSTEM] = tree_with(
        json.dumps(bridge.trees[SYSTEM])[:-1].encode() + b', "FirmwareBuild": ' + hostile + b"}"
    )
    alarms = b', "Alarms/" : 2, "Alarms/%s": 2' % hostile[1:-1]
    bridge.manners[BATTERY] = tree_with(
        b'{"System/MinCellVoltage": 3.1, "System/MaxCellVoltage": 3.4, "Soh": 95'
        b', "System/MinVoltageCellId": ' + hostile + b', "System/MaxVoltageCellId": '
        b"" + hostile + alarms + b"}"
    )
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.OK
    shown, lines = everything(snapshot)
    kept = [snapshot.properties["firmware"], *(t for d in snapshot.alarms.values() for t in d)]
    assert all(len(t) <= 200 and "\n" not in t and "\x1b" not in t for t in kept)
    stamps = [line.rsplit(" ", 1)[1] for line in lines.split("\n")]
    assert set(stamps) == {str(round(snapshot.time * 1000))}
    shown.decode()


async def test_hostile_headers_reach_no_output(bridge: Bridge, driver: VenusHttpDriver) -> None:
    bridge.manners[SYSTEM] = sends(
        b"HTTP/1.0 200 OK\r\nContent-Type: text/\xff\xed\xa0\x80\r\n\r\n<html>"
    )
    assert (await failed(driver)).outcome is Outcome.MALFORMED


async def test_a_tree_out_of_its_mind_is_bounded(bridge: Bridge, driver: VenusHttpDriver) -> None:
    """Every series of a site costs storage: a site must not fill that of all."""
    tree: dict[str, Any] = {f"Alarms/Number{n}": 1 for n in range(5000)}
    tree |= {f"Cell/{n}/Volts": 3.3 for n in range(9000)} | {"Soh": 95.0}
    bridge.trees[BATTERY] = tree
    names = [f"com.victronenergy.battery.{n}" for n in range(5000)]
    bridge.services = names
    bridge.trees[SYSTEM]["Batteries"] = [{"id": n, "instance": i} for i, n in enumerate(names)]
    bridge.trees[SYSTEM] |= {f"ServiceMapping/{n}_{i}": n for i, n in enumerate(names)}
    snapshot = await driver.scrape()
    (battery,) = (b for b in snapshot.batteries if b.active)
    assert battery.cells is not None
    assert len(battery.cells.labels) == MOST_CELLS
    assert max(map(len, snapshot.alarms.values())) == MOST_ALARMS
    assert len(snapshot_lines(snapshot)) < MOST_CELLS + 2 * MOST_ALARMS + 100


async def test_the_sites_own_clock_is_of_no_account(
    bridge: Bridge,
) -> None:
    clock = Clock()
    async with driver_for(bridge.url, clock) as dated:
        for date in (b"Thu, 01 Jan 1970 00:00:00 GMT", b"Fri, 31 Dec 9999 23:59:59 GMT", b"soon"):
            value = {**bridge.trees[SYSTEM], "Time": 0}
            text = json.dumps({"success": True, "value": value, "timestamp": 1})
            bridge.manners[SYSTEM] = sends(
                HEAD[:-2] + b"Date: " + date + b"\r\nAge: 9999999\r\n\r\n" + text.encode()
            )
            assert (await dated.scrape()).time == clock.wall()


async def test_another_device_is_told_and_not_mixed(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    await driver.scrape()
    bridge.trees[SYSTEM]["Serial"] = "c0619ab00002"
    bridge.trees[SYSTEM]["Dc/Pv/Power"] = 12345.0
    error = await failed(driver)
    assert error.outcome is Outcome.MALFORMED
    assert "serial number c0619ab00002, not c0619ab00001 as before" in error.detail
    fleet = Fleet.model_validate({"sites": [{"id": "alpha", "api_endpoint": "http://a"}]})
    state = FleetState(fleet, 10.0)
    state.apply(Snapshot("alpha", 1.7e9, 0.1, error.outcome, error.detail), 1.0)
    state.apply(Snapshot("alpha", 1.7e9, 0.1, error.outcome, error.detail), 100.0)
    (issue,) = [i for i in assess(state, 100.0, 1.7e9).issues[0] if i.code == "site_offline"]
    assert "another device answers" in issue.sentence
    bridge.trees[SYSTEM]["Serial"] = []
    assert (await driver.scrape()).outcome is Outcome.OK
    bridge.trees[SYSTEM]["Serial"] = "c0619ab00001"
    assert (await driver.scrape()).outcome is Outcome.OK


async def test_the_fleet_file_says_which_device_it_is(bridge: Bridge) -> None:
    async with (
        driver_for(bridge.url, serial="c0619ab00001") as right,
        driver_for(bridge.url, serial="c0619ab00009") as wrong,
    ):
        assert (await right.scrape()).outcome is Outcome.OK
        assert "as the fleet file says" in (await failed(wrong)).detail
        bridge.trees[SYSTEM]["Serial"] = []
        assert "it gives no serial number" in (await failed(right)).detail


@contextlib.contextmanager
def of_its_own(bridges: list[Bridge]) -> Iterator[list[str]]:
    """Run bridges in a thread, so that those which flood do not slow those which answer."""
    ready, loop, end = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as running:
            for bridge in bridges:
                await running.enter_async_context(bridge.running())
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield [bridge.url for bridge in bridges]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@pytest.mark.stack
def test_no_other_site_is_late(tmp_path: Path) -> None:
    """Twenty sites that misbehave in every way beside two that answer, in the real service."""
    sick = [manner for manner, _ in ENDLESS.values()]
    sick += [answers("200 OK", bomb(), "Content-Encoding: gzip"), tree_with(deep(100_000))]
    evil = [Bridge(site_trees()) for _ in range(20)]
    for number, bridge in enumerate(evil):
        for asked in (SYSTEM, "services"):
            bridge.manners[asked] = sick[number % len(sick)]
    good = [Bridge(site_trees()) for _ in range(2)]
    with of_its_own(evil) as evil_urls, of_its_own(good) as good_urls:
        endpoints = {f"evil{n}": url for n, url in enumerate(evil_urls)}
        endpoints |= {f"good{n}": url for n, url in enumerate(good_urls)}
        fleet = tmp_path / "fleet.json"
        # A pace at which a busy machine alone lets no scrape run into its 10 s.
        write_fleet(fleet, endpoints, interval_seconds=8)
        with serving(fleet) as service:
            until(lambda: service.get("/readyz")[0] == 200)
            until(lambda: all(service.scrapes(site) >= 1 for site in ("good0", "good1")))
            before = {site: service.scrapes(site) for site in ("good0", "good1")}
            failed = bad_scrapes(service)
            until(lambda: all(service.scrapes(s) >= n + 3 for s, n in before.items()))
            assert bad_scrapes(service) == failed
            memory = service.get("/metrics")[1].partition("\nprocess_resident_memory_bytes ")[2]
            assert float(memory.split()[0]) < 600 * 2**20
            assert service.stop() == 0
            assert "Traceback" not in service.log


def bad_scrapes(service: ServiceProcess) -> list[str]:
    """Scrapes of the good sites that did not go well, as the metrics count them."""
    lines = service.get("/metrics")[1].splitlines()
    found = [n for n in lines if n.startswith("fleetscope_site_scrapes_total") and '"good' in n]
    return [line for line in found if '"ok"' not in line]
