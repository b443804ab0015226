"""Every protocol in the same troubles: a failure has its reason, no number is made up, and all
comes back by itself. What HTTP alone can do wrong is in test_sites.py."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from pathlib import Path

import pytest

from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.drivers.base import Buffered
from exporter.drivers.transport.http import json_client
from exporter.drivers.transport.modbus import gateway
from exporter.drivers.transport.mqtt import broker, connection, packets
from exporter.drivers.venus import mqtt_driver, replica, site_reader
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from exporter.serve.api import telemetry
from simulator.mqtt_client import connected
from tests.drivers.mosquitto import EXECUTABLE
from tests.faults import protocols, pushing_node, register_protocols
from tests.faults.line import Trouble
from tests.faults.protocols import SOC, SiteUnderTest

pytestmark = pytest.mark.stack
PATIENCE_SECONDS = 180.0

PROTOCOLS = {
    "venus-http": protocols.venus_http,
    "venus-mqtt": protocols.venus_mqtt,
    "template": protocols.template_http,
    "template-mqtt": protocols.template_mqtt,
    "template over Modbus": register_protocols.template_modbus,
    "modbus-tcp": register_protocols.gx_modbus,
    "sunspec": register_protocols.sunspec,
    "push": protocols.push_mqtt,
    "push over HTTP": pushing_node.push_http,
    "vrm": protocols.vrm,
}
OVER_MQTT = ("venus-mqtt", "template-mqtt", "push")
OVER_MODBUS = ("template over Modbus", "modbus-tcp", "sunspec")
# Protocol, and the outcome of each trouble of its line.
TIMEOUT, REFUSED, MALFORMED, TRUNCATED = (
    Outcome.TIMEOUT,
    Outcome.REFUSED,
    Outcome.MALFORMED,
    Outcome.TRUNCATED,
)
ROWS: dict[str, tuple[Outcome, Outcome, Outcome, Outcome]] = {
    #                        hang     refuse   garbage    half a reply
    "venus-http":           (TIMEOUT, REFUSED, MALFORMED, TRUNCATED),
    "venus-mqtt":           (TIMEOUT, REFUSED, MALFORMED, REFUSED),
    "template":             (TIMEOUT, REFUSED, MALFORMED, TRUNCATED),
    "template-mqtt":        (TIMEOUT, REFUSED, MALFORMED, REFUSED),
    "template over Modbus": (TIMEOUT, REFUSED, MALFORMED, TRUNCATED),
    "modbus-tcp":           (TIMEOUT, REFUSED, MALFORMED, TRUNCATED),
    "sunspec":              (TIMEOUT, REFUSED, MALFORMED, TRUNCATED),
    "push":                 (TIMEOUT, REFUSED, MALFORMED, REFUSED),
    # Nobody but the node knows why nothing comes.
    "push over HTTP":       (TIMEOUT, TIMEOUT, TIMEOUT,   TIMEOUT),
    "vrm":                  (TIMEOUT, REFUSED, MALFORMED, TRUNCATED),
}  # fmt: skip
TROUBLES = (Trouble.HANG, Trouble.REFUSE, Trouble.GARBAGE, Trouble.HALF)
CELLS = [
    pytest.param(name, trouble, outcome, id=f"{name}: {trouble}")
    for name, outcomes in ROWS.items()
    for trouble, outcome in zip(TROUBLES, outcomes, strict=True)
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_client, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(gateway, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(telemetry, "MESSAGE_SECONDS", 0.01)
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(broker, "FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(broker, "LONGEST_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(broker, "RETRY_SECONDS", 0.05)


@contextlib.asynccontextmanager
async def _site(name: str, folder: Path):  # type: ignore[no-untyped-def]
    if name in OVER_MQTT and EXECUTABLE is None:
        pytest.skip("mosquitto is not installed")
    async with PROTOCOLS[name](folder) as site:
        assert soc_of(await settled(site)) == SOC
        yield site


def soc_of(snapshot: Snapshot) -> float:
    """The state of charge, NaN where it is not known."""
    return next((b.readings.get("soc_percent", math.nan) for b in snapshot.batteries), math.nan)


async def settled(site: SiteUnderTest, wanted: float = SOC) -> Snapshot:
    """The first Snapshot that has the state of charge; none before may have another."""
    seen: object = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                # VRM is asked every five minutes.
                site.clock.monotonic.ahead += 1000.0 * (type(site.driver).__name__ == "VrmDriver")
                try:
                    snapshot = seen = await site.read()
                    if snapshot is not None and soc_of(snapshot) == wanted:
                        return snapshot
                except ScrapeError as error:
                    seen = error
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"never came back; last: {seen!r}") from None


async def failing(site: SiteUnderTest, outcome: Outcome, ahead: float = 0.0) -> ScrapeError:
    """The failure that reading ends in. What is still known before that is right."""
    seen: object = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                site.clock.monotonic.ahead += ahead
                try:
                    snapshot = seen = await site.read()
                    assert (
                        snapshot is None
                        or soc_of(snapshot) in (SOC,)
                        or math.isnan(soc_of(snapshot))
                    )
                except ScrapeError as error:
                    seen = error
                    if error.outcome is outcome and error.detail.isprintable():
                        return error
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"never failed as {outcome}; last: {seen!r}") from None


@pytest.mark.parametrize(("name", "trouble", "outcome"), CELLS)
async def test_a_line_in_trouble(
    tmp_path: Path, name: str, trouble: Trouble, outcome: Outcome
) -> None:
    async with _site(name, tmp_path) as site:
        await site.line.set(trouble)
        # What was received stays known for a while; a while passes with every try.
        await failing(site, outcome, ahead=1000.0 if name == "vrm" else 10.0)
        await site.line.set(Trouble.NONE)
        await settled(site)


@pytest.mark.parametrize("name", ROWS)
async def test_a_slow_line_carries_everything(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_client, "REQUEST_SECONDS", 30.0)
    monkeypatch.setattr(site_reader, "SITE_SECONDS", 60.0)
    async with _site(name, tmp_path) as site:
        await site.line.set(Trouble.SLOW)
        await settled(site)


@pytest.mark.parametrize("name", [name for name in ROWS if name not in OVER_MODBUS])
@pytest.mark.parametrize(
    ("given", "kind"),
    [(7500.0, "a wrong unit"), ("n/a", "text"), ([1, 2], "a list"), ({"a": 1}, "an object"),
     (True, "a truth value"), (1e308, "a number beyond all")],
)  # fmt: skip
async def test_what_is_no_state_of_charge_is_none(
    tmp_path: Path, name: str, given: object, kind: str
) -> None:
    async with _site(name, tmp_path) as site:
        site.set(given)
        await without_soc(site, ahead=1000.0 * (name == "vrm"))
        site.set(SOC)
        await settled(site)


async def without_soc(site: SiteUnderTest, ahead: float = 0.0) -> None:
    """Read until the site says nothing of its state of charge; it says nothing wrong before."""
    state = FleetState(Fleet.model_validate(FLEET), 10.0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            site.clock.monotonic.ahead += ahead
            snapshot = None
            try:
                snapshot = await site.read()
            except ScrapeError as error:
                # A node's telemetry is refused as a whole, and a JSON document with such a number
                # is none.
                if error.outcome is Outcome.MALFORMED:
                    return
            if snapshot is not None:
                state.apply(snapshot, 1.0)
                if math.isnan(soc_of(snapshot)):
                    return
                assert soc_of(snapshot) == SOC
            if UNPROCESSABLE in site.answers:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", OVER_MODBUS)
@pytest.mark.parametrize("raw", [7500, 0xFFFF, 0x8000], ids=["a wrong unit", "ones", "a sign"])
async def test_a_register_that_is_no_state_of_charge(tmp_path: Path, name: str, raw: int) -> None:
    async with _site(name, tmp_path) as site:
        site.set(raw)
        await without_soc(site)
        site.set(SOC)
        await settled(site)


@pytest.mark.parametrize("name", [*OVER_MODBUS, "push over HTTP"])
async def test_what_comes_twice_counts_once(tmp_path: Path, name: str) -> None:
    """Replies that come twice are those of no later request; points that come twice are one."""
    async with _site(name, tmp_path) as site:
        await site.line.set(Trouble.TWICE)
        times: list[float] = []
        for _ in range(10):
            with contextlib.suppress(ScrapeError):
                snapshot = await site.read()
                if snapshot is not None:
                    assert soc_of(snapshot) == SOC or math.isnan(soc_of(snapshot))
                    times.append(snapshot.time)
            await asyncio.sleep(0.05)
        if isinstance(site.driver, Buffered):
            times += [earlier.time for earlier in site.driver.drain()]
        assert len(times) == len(set(times))
        await site.line.set(Trouble.NONE)
        await settled(site)


@pytest.mark.parametrize("name", [*OVER_MODBUS, "venus-http", "template", "vrm"])
async def test_an_answer_without_an_end(tmp_path: Path, name: str) -> None:
    """It is read as far as an answer may be long, whatever of it makes sense."""
    async with _site(name, tmp_path) as site:
        await site.line.set(Trouble.FLOOD)
        for _ in range(10):
            site.clock.monotonic.ahead += 1000.0 * (name == "vrm")
            with contextlib.suppress(ScrapeError):
                snapshot = await site.read()
                assert snapshot is None or soc_of(snapshot) == SOC or math.isnan(soc_of(snapshot))
            await asyncio.sleep(0)
        await site.line.set(Trouble.NONE)
        await settled(site)


async def test_a_node_that_floods_is_slowed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "MESSAGE_SECONDS", 1.0)
    monkeypatch.setattr(telemetry, "MESSAGES_AT_ONCE", 5)
    monkeypatch.setattr(pushing_node, "PUBLISH_SECONDS", 0.0)
    async with _site("push over HTTP", tmp_path) as site:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while TOO_MANY not in site.answers:
                with contextlib.suppress(ScrapeError):
                    await site.read()
                await asyncio.sleep(0.05)
        await settled(site)


UNPROCESSABLE, TOO_MANY = 422, 429
FLEET = {"sites": [{"id": "alpha", "api_endpoint": "http://a"}]}


@pytest.mark.parametrize("name", ["push", "push over HTTP", "vrm"])
@pytest.mark.parametrize("off", [-7200.0, 7200.0])
async def test_a_clock_that_is_off_moves_no_time(tmp_path: Path, name: str, off: float) -> None:
    """The others have no time of the site: what they read is of now."""
    async with _site(name, tmp_path) as site:
        site.clock.site_off = off
        site.set(SOC)
        if name == "vrm" and off < 0:
            await failing(site, TIMEOUT, ahead=1000.0)
            return
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                snapshot = await settled(site)
                assert snapshot.time <= site.clock.wall() + 1.0
                if name == "vrm" or snapshot.notices:
                    break
        assert abs(snapshot.time - site.clock.wall()) < 3600


# -- brokers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OVER_MQTT)
async def test_a_broker_that_is_gone_for_an_hour(tmp_path: Path, name: str) -> None:
    async with _site(name, tmp_path) as site:
        assert site.server is not None
        site.server.stop()
        for _ in range(12):
            await failing(site, REFUSED, ahead=300.0)
        site.server.start()
        await settled(site)


@pytest.mark.parametrize("name", OVER_MQTT)
async def test_a_broker_that_is_started_again(tmp_path: Path, name: str) -> None:
    async with _site(name, tmp_path) as site:
        assert site.server is not None
        for _ in range(2):
            site.server.stop()
            site.server.start()
            await settled(site)


@pytest.mark.parametrize("name", OVER_MQTT)
async def test_another_client_with_the_same_id(tmp_path: Path, name: str) -> None:
    async with _site(name, tmp_path) as site:
        assert site.server is not None
        assert site.transport is not None
        (shared,) = site.transport._brokers.values()
        end = time.monotonic() + PATIENCE_SECONDS
        while not (shared.error and "same client id" in shared.error.detail):
            assert time.monotonic() < end
            with contextlib.suppress(OSError):
                async with connected(
                    "127.0.0.1", site.server.port, shared.client_id, lambda *_: None
                ):
                    await asyncio.sleep(0.2)
        await settled(site)


@pytest.mark.parametrize("name", OVER_MQTT)
async def test_a_flood_under_its_topics(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another client of the broker sends as fast as it can: memory is bounded, the loop turns, and
    the site comes back."""
    monkeypatch.setattr(mqtt_driver, "FLOOD_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(replica, "FLOOD_MESSAGES", 5_000)
    topic = {
        "venus-mqtt": "N/c0619ab00001/battery/256/History/ChargeCycles",
        "template-mqtt": "box/state",
        "push": "fleet/alpha/telemetry",
    }[name]
    async with _site(name, tmp_path) as site:
        assert site.server is not None
        flood = packets.publish(topic, b'{"value": {"no": "number"}}') * 500
        turns = 0
        async with connected("127.0.0.1", site.server.port, "flood", lambda *_: None) as (
            client,
            _,
        ):
            for _ in range(40):
                client._writer.write(flood)
                await client.drain()
                await asyncio.sleep(0)
                turns += 1
                with contextlib.suppress(ScrapeError):
                    snapshot = await site.read()
                    assert (
                        snapshot is None or soc_of(snapshot) == SOC or math.isnan(soc_of(snapshot))
                    )
        assert turns == 40
        await settled(site)
