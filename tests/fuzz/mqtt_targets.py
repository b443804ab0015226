"""Bytes of brokers, payloads of Venus devices, telemetry of nodes: what holds for any of them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from exporter.drivers.base import DriverContext
from exporter.drivers.transport import Transports
from exporter.drivers.transport.mqtt import packets
from exporter.drivers.transport.mqtt.packets import PacketError, PacketReader
from exporter.drivers.venus.replica import MOST_VALUES, Replica
from exporter.drivers.venus.scrape import Budget, VenusOptions
from exporter.drivers.venus.site_reader import SiteReader
from exporter.intake.telemetry import TelemetryError, parse
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import ScrapeError, Snapshot
from simulator.venus_mqtt import topics_of
from tests.drivers.bridge import Clock, site_trees

EACH = 50
_MESSAGES = {
    topic.encode(): json.dumps({"value": value}).encode()
    for topic, value in topics_of(site_trees()).items()
}
_TOPICS = sorted(_MESSAGES)
_STREAM = b"".join(packets.publish(t.decode(), p) for t, p in _MESSAGES.items()) + packets.PING
_ODD = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"value":null}',
    b'{"value":[]}',
    b'{"value":{}}',
    b'{"value":true}',
    b'{"value":"n/a"}',
    b'{"value":1e400}',
    b'{"value":Infinity}',
    b'{"value":1,"value":2}',
    b'{"value":-32768}',
    b'{"value":"com.victronenergy.battery.x"}',
    b'{"value":[{"id":"com.victronenergy.battery.x","instance":"?"}]}',
    b"\xff\xfe",
    b"[" * 5000,
]
_BUDGET = Budget(1024, 256, 0.0, 0.0)


def _is_one_line(error: Exception) -> None:
    assert str(error).isprintable()


def _damaged(body: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(body)
    for _ in range(rng.choice([1, 1, 2, 5])):
        if damaged:
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return (
        bytes(damaged[: rng.randrange(len(damaged) + 1)]) if rng.random() < 0.3 else bytes(damaged)
    )


@given(st.integers(0, 2**32), st.binary(max_size=60))
def mqtt_packets(seed: int, noise: bytes) -> None:
    """Any bytes are packets, or are refused; none are held beyond the largest packet."""
    rng = random.Random(seed)
    stream = _damaged(_STREAM, rng) + noise
    reader = PacketReader(lambda *_: None, lambda *_: None)
    at = 0
    while at < len(stream):
        size = rng.choice([1, 7, 200, 5000])
        try:
            reader.feed(stream[at : at + size])
        except PacketError as error:
            _is_one_line(error)
            return
        assert len(reader._rest) <= packets.LARGEST_PACKET + 5
        at += size


def mqtt_messages(shown: Callable[[Snapshot], None]) -> Any:
    """The target; ``shown`` takes a Snapshot to every output."""

    @given(st.integers(0, 2**32), st.lists(st.binary(max_size=40), max_size=4))
    def target(seed: int, noise: list[bytes]) -> None:
        """Whatever a site publishes becomes plausible readings, or none."""
        rng = random.Random(seed)
        clock = Clock()
        replica = Replica(clock.monotonic)
        for topic, payload in _MESSAGES.items():
            replica.receive(topic, payload, False)
        replica.take_all()
        context = DriverContext(cast(Transports, None), clock.wall, clock.monotonic)
        reader = SiteReader("alpha", replica, VenusOptions(), context, _BUDGET)
        for _ in range(EACH):
            topic = rng.choice(_TOPICS)
            payload = rng.choice(_ODD) if rng.random() < 0.5 else _damaged(_MESSAGES[topic], rng)
            if rng.random() < 0.1:
                topic = _damaged(topic, rng)
            replica.receive(topic, payload, rng.random() < 0.05)
        for raw in noise:
            replica.receive(raw, raw, False)
        assert replica.size <= MOST_VALUES
        try:
            snapshot = asyncio.run(reader.scrape())
        except ScrapeError as error:
            _is_one_line(error)
            return
        for readings in (snapshot.readings, *(b.readings for b in snapshot.batteries)):
            for name, value in readings.items():
                assert value != value or QUANTITIES[name].plausible(value), (name, value)  # noqa: PLR0124
        shown(snapshot)

    return target


_POINT = json.dumps(
    {
        "sent": "2026-03-01T08:00:00Z",
        "points": [
            {
                "site": "a",
                "measured": 1772352000,
                "readings": {"grid_power_w": 5, "grid_frequency_hz": None},
                "batteries": [{"device": "battery/1", "readings": {"soc_percent": 61.5}}],
                "alarms": {"battery/1": {"HighTemperature": 2}},
            }
        ],
    }
).encode()


@given(st.integers(0, 2**32), st.binary(max_size=60))
def telemetry(seed: int, noise: bytes) -> None:
    """Any bytes are telemetry with plausible readings, or are refused with words on one line."""
    rng = random.Random(seed)
    for raw in (noise, *(_damaged(_POINT, rng) for _ in range(EACH))):
        try:
            batch = parse(raw)
        except TelemetryError as error:
            _is_one_line(error)
            continue
        for point in batch.points:
            for name, value in point.readings.items():
                assert value != value or QUANTITIES[name].plausible(value)  # noqa: PLR0124
