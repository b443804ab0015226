"""The writer and both targets against a real listener that misbehaves."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from exporter.model.http import basic
from exporter.store import influx_v1, influx_v2, sender, writer
from exporter.store.connection import Connection, token_header
from exporter.store.influx_v1 import InfluxV1
from exporter.store.influx_v2 import InfluxV2
from exporter.store.queue import Fate, MemoryQueue
from exporter.store.target import Target, retry_after, wait_seconds
from exporter.store.writer import Writer
from tests.store.influx_listener import (
    HANG,
    JSON,
    RESET_BEFORE_READING,
    RESET_IN_REPLY,
    Answer,
    InfluxListener,
)

SECRET = "s3cr3t-of-the-store"
LINES = [f"site,site=s{n} online=1.0 {n}" for n in range(10)]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - any condition, not an event
            await asyncio.sleep(0.005)


def v1(url: str) -> Target:
    return InfluxV1(Connection(url, "fleet", basic("writer", SECRET)), "90d")


def v2(url: str) -> Target:
    headers = token_header(SECRET)
    return InfluxV2(Connection(url, "fleet", headers, organisation="fleetscope"), "90d")


Maker = Callable[[str], Target]
both = pytest.mark.parametrize("make", [v1, v2])


@pytest.fixture
async def listener() -> AsyncIterator[InfluxListener]:
    async with InfluxListener().serving() as serving:
        yield serving


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float | None]]:
    """What the writer was asked to wait for; it waits a moment only."""
    seen: list[tuple[int, float | None]] = []

    def moment(failures: int, asked: float | None, rng: random.Random) -> float:
        seen.append((failures, asked))
        return 0.01

    monkeypatch.setattr(sender, "wait_seconds", moment)
    monkeypatch.setattr(sender, "AT_ONCE", 1)
    monkeypatch.setattr(sender, "AT_MOST", 1)
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(writer, "LINES_PER_BATCH", 4)
    return seen


class Run:
    """A writer at work, ended and audited at the end of the test."""

    def __init__(self, target: Target, limit: int = 10**6) -> None:
        self.writer = Writer(target, MemoryQueue(limit), lambda: 5.0, random.Random(1))

    def counts(self) -> dict[Fate, int]:
        counts = dict(self.writer.queue.counts)
        assert counts[Fate.PRODUCED] == sum(counts[f] for f in Fate if f is not Fate.PRODUCED)
        return counts

    async def send(self, lines: list[str]) -> dict[Fate, int]:
        self.writer.start()
        self.writer.add(lines)
        try:
            await until(
                lambda: (
                    self.counts()[Fate.PRODUCED] == len(lines) and self.counts()[Fate.SPOOLED] == 0
                )
            )
        finally:
            await self.writer.stop()
        return self.counts()


RETRYABLE: list[Answer | str] = [
    Answer(401, '{"code":"unauthorized","message":"unauthorized access"}', JSON),
    Answer(403, '{"error":"not authorized"}', JSON),
    Answer(429, "", {"Retry-After": "7"}),
    Answer(500, '{"error":"timeout"}', JSON),
    Answer(503, "<html>busy</html>", {"Retry-After": "0"}),
    Answer(301, "", {"Location": "/elsewhere"}),
    RESET_BEFORE_READING,
    RESET_IN_REPLY,
    HANG,
]


@both
@pytest.mark.parametrize("fault", RETRYABLE, ids=lambda f: getattr(f, "status", f))
async def test_nothing_is_lost(
    make: Maker,
    fault: Answer | str,
    listener: InfluxListener,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault == HANG:
        # Not for the others: on a busy machine an answer may take longer than that.
        for target in (influx_v1, influx_v2):
            monkeypatch.setattr(target, "WRITE_SECONDS", 1.0)
    listener.script.extend([fault, fault])
    run = Run(make(listener.url))
    counts = await run.send(LINES)
    assert sorted(listener.taken) == LINES
    assert counts[Fate.WRITTEN] == len(LINES)
    assert run.writer.stats.errors == 2
    assert run.writer.stats.writes == 5
    complaints = [r for r in caplog.records if "does not accept points" in r.getMessage()]
    assert len(complaints) == 1
    assert [r.getMessage() for r in caplog.records].count("InfluxDB accepts points again") == 1
    assert SECRET not in caplog.text + run.writer.stats.last_error


@both
async def test_a_wait_that_the_server_asks_for_is_granted(
    make: Maker, listener: InfluxListener, waits: list[tuple[int, float | None]]
) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    listener.script.extend(
        [Answer(429, "", {"Retry-After": "7"}), Answer(503, "", {"retry-after": date}), Answer(503)]
    )
    await Run(make(listener.url)).send(LINES)
    assert [asked for _, asked in waits if asked is not None] == [7.0, 0.0]


@both
@pytest.mark.parametrize("status", [401, 403])
async def test_writes_go_on_where_creating_is_not_allowed(
    make: Maker, status: int, listener: InfluxListener, caplog: pytest.LogCaptureFixture
) -> None:
    listener.prepares.append(Answer(status, '{"error":"forbidden"}', JSON))
    await Run(make(listener.url)).send(LINES)
    assert sorted(listener.taken) == LINES
    assert "creating is refused" in caplog.text


@both
@pytest.mark.parametrize("fault", [Answer(503), RESET_BEFORE_READING, Answer(200, "no JSON")])
async def test_preparing_is_tried_again(
    make: Maker, fault: Answer | str, listener: InfluxListener
) -> None:
    listener.prepares.append(fault)
    await Run(make(listener.url)).send(LINES)
    assert sorted(listener.taken) == LINES


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (v1, Answer(404, '{"error":"database not found: \\"fleet\\""}', JSON)),
        (v1, Answer(500, '{"error":"retention policy not found: raw"}', JSON)),
        (v2, Answer(404, '{"code":"not found","message":"bucket not found"}', JSON)),
    ],
)
async def test_what_was_removed_is_created_again(
    make: Maker, answer: Answer, listener: InfluxListener
) -> None:
    listener.script.append(answer)
    await Run(make(listener.url)).send(LINES)
    assert sorted(listener.taken) == LINES
    first = next(i for i, r in enumerate(listener.requests) if "write" in r)
    again = [r for r in listener.requests[first + 1 :] if "write" not in r]
    assert again == listener.requests[:first]


async def test_the_v1_requests_are_what_influxdb_1_reads(listener: InfluxListener) -> None:
    await Run(v1(listener.url)).send(LINES[:1])
    write = next(h for h in listener.heads if "/write" in h)
    assert write.startswith("POST /write?db=fleet&rp=raw&precision=ms ")
    assert "Content-Encoding: gzip" in write
    assert "Authorization: Basic" in write


async def test_the_v2_requests_are_what_influxdb_2_reads(listener: InfluxListener) -> None:
    await Run(v2(listener.url)).send(LINES[:1])
    write = next(h for h in listener.heads if "/write" in h)
    assert write.startswith("POST /api/v2/write?org=fleetscope&bucket=fleet/raw&precision=ms ")
    assert "content-encoding: gzip" in write.lower()
    assert f"Authorization: Token {SECRET}" in write


async def test_memory_is_bounded_while_the_store_is_away() -> None:
    run = Run(v1("http://127.0.0.1:1"), limit=1000)
    run.writer.start()
    for number in range(100):
        run.writer.add([f"site,site=s{number}-{n} online=1.0 {n}" for n in range(4)])
        await run.writer.flush()
        assert run.writer.queue.bytes <= 1000
    counts = run.counts()
    assert counts[Fate.DROPPED] > 0
    assert counts[Fate.DROPPED] + counts[Fate.SPOOLED] == counts[Fate.PRODUCED] == 400
    await run.writer.stop()


@both
async def test_stopping_sends_what_waits(make: Maker, listener: InfluxListener) -> None:
    run = Run(make(listener.url))
    run.writer.start()
    run.writer.add(LINES)
    assert await run.writer.stop() == 0
    assert sorted(listener.taken) == LINES
    assert run.counts()[Fate.WRITTEN] == len(LINES)


async def test_stopping_cuts_a_long_wait_short_for_one_more_attempt(
    listener: InfluxListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "wait_seconds", lambda *_: 3600.0)
    listener.script.append(Answer(503))
    run = Run(v1(listener.url))
    run.writer.start()
    run.writer.add(LINES)
    await until(lambda: run.writer.stats.errors == 1)
    assert await run.writer.stop() == 0
    assert sorted(listener.taken) == LINES


async def test_stopping_while_the_store_is_away_leaves_balanced_books(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = Run(v1("http://127.0.0.1:1"))
    run.writer.start()
    run.writer.add(LINES)
    assert await run.writer.stop() == len(LINES)
    assert run.counts()[Fate.DROPPED] == len(LINES)
    assert "10 points that InfluxDB has not accepted" in caplog.text


async def test_a_store_that_hangs_does_not_keep_the_service(
    listener: InfluxListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "STOP_SECONDS", 0.05)
    for module in (influx_v1, influx_v2):
        monkeypatch.setattr(module, "WRITE_SECONDS", 3600.0)
    listener.script.append(HANG)
    run = Run(v1(listener.url))
    run.writer.start()
    run.writer.add(LINES)
    await until(lambda: listener.attempts)
    assert await run.writer.stop() == len(LINES)


async def test_an_unforeseen_error_loses_nothing(
    listener: InfluxListener, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(InfluxV1):
        failures = 1

        async def write(self, body: bytes, policy: str = "raw") -> None:
            if self.failures:
                self.failures -= 1
                raise KeyError("a fault in the target")
            await super().write(body)

    await Run(Clumsy(Connection(listener.url, "fleet"), "90d")).send(LINES)
    assert sorted(listener.taken) == LINES
    assert "failed unexpectedly" in caplog.text


NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        (" 12 ", 12.0),
        ("999999999999999999", 60.0),
        ("Mon, 01 Jun 2026 12:00:30 GMT", 30.0),
        ("Mon, 01 Jun 2026 11:00:00 GMT", 0.0),
        ("Mon, 01 Jun 2026 13:00:00 GMT", 60.0),
        ("Mon, 01 Jun 2026 12:00:30 -0000", 30.0),
        ("Mon, 99 Jun 2026 12:00:30 GMT", None),
        ("²", None),
    ],
)
def test_retry_after_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_waits_are_short_unless_the_server_asks_for_more() -> None:
    rng = random.Random(3)
    waits = [wait_seconds(failures, None, rng) for failures in range(1, 12)]
    for wait, base in zip(waits, [1, 2, *[3] * 9], strict=True):
        assert base <= wait <= 1.25 * base
    assert 7 <= wait_seconds(9, 7.0, rng) <= 8.75
    assert 60 <= wait_seconds(1, 3600.0, rng) <= 75
