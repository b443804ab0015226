"""The Modbus connection against pymodbus's server and against peers that misbehave."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import pytest

from exporter.drivers.transport.modbus import gateway as module
from exporter.drivers.transport.modbus.frames import ExceptionReplyError, Function, Request
from exporter.drivers.transport.modbus.gateway import Gateway, ModbusTransport
from exporter.model.snapshot import Outcome, ScrapeError
from tests.drivers.bridge import listener_that_never_accepts, unused_url
from tests.drivers.modbus_peers import (
    RawModbus,
    pymodbus_server,
    reply_to,
    says,
    says_and_closes,
)

FOUR = Request(1, Function.HOLDING, 10, 4)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for what answers on a machine that is busy, short enough to wait for what hangs.
    monkeypatch.setattr(module, "REQUEST_SECONDS", 1.0)


def gateway_at(port: int) -> Gateway:
    return Gateway("127.0.0.1", port)


async def failure(gateway: Gateway, request: Request = FOUR) -> ScrapeError:
    with pytest.raises(ScrapeError) as caught:
        await gateway.read(request)
    return caught.value


async def test_reads_what_another_implementation_serves() -> None:
    units = {1: {10: 1, 11: 0xFFFF, 12: 0x8000, 13: 4}, 7: {10: 70, 11: 71, 12: 72, 13: 73}}
    async with pymodbus_server(units) as port:
        gateway = gateway_at(port)
        assert await gateway.read(FOUR) == (1, 0xFFFF, 0x8000, 4)
        assert await gateway.read(Request(7, Function.INPUT, 11, 2)) == (71, 72)
        assert gateway.connections == 1
        gateway.close()


async def test_an_exception_keeps_the_connection() -> None:
    async with pymodbus_server({1: {10: 1, 11: 2, 12: 3, 13: 4}}) as port:
        gateway = gateway_at(port)
        error = await failure(gateway, Request(1, Function.HOLDING, 900, 1))
        assert isinstance(error, ExceptionReplyError)
        assert (error.code, error.outcome) == (2, Outcome.MALFORMED)
        assert error.detail == "unit 1 register 900: exception 2 (illegal data address)"
        assert await gateway.read(FOUR) == (1, 2, 3, 4)
        assert gateway.connections == 1
        gateway.close()


async def test_units_behind_one_gateway_take_turns() -> None:
    under_way = 0

    async def slow(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await asyncio.sleep(0.01)
        under_way -= 1
        writer.write(reply_to(request))

    async with RawModbus(slow).running() as peer:
        gateway = gateway_at(peer.port)
        asked = [Request(unit, Function.HOLDING, unit, 1) for unit in range(1, 9)]
        assert await asyncio.gather(*(gateway.read(r) for r in asked)) == [
            (n,) for n in range(1, 9)
        ]
        assert peer.connections == 1
        gateway.close()


@pytest.mark.parametrize(
    ("make", "outcome", "detail"),
    [
        (lambda r: reply_to(r, unit=2), Outcome.MALFORMED, "the reply is from unit 2"),
        (
            lambda r: reply_to(r, transaction=999),
            Outcome.MALFORMED,
            "the reply is of transaction 999, out of step",
        ),
        (
            lambda r: reply_to(r)[:7] + b"\x04" + reply_to(r)[8:],
            Outcome.MALFORMED,
            "the reply is to function 4, not 3",
        ),
        (
            lambda r: struct.pack(">HHHBBBH", *struct.unpack(">H", r[:2]), 0, 5, 1, 3, 2, 7),
            Outcome.MALFORMED,
            "the reply has 2 bytes of data, 8 are expected",
        ),
        (
            lambda r: b"HTTP/1.1 400 Bad Request\r\n\r\n",
            Outcome.MALFORMED,
            "not Modbus, it begins with 48 54 54 50 2f 31 2e",
        ),
        (lambda r: reply_to(r)[:11], Outcome.TIMEOUT, "no whole answer within 1 s"),
        (lambda r: b"", Outcome.TIMEOUT, "no whole answer within 1 s"),
    ],
)
async def test_a_wrong_reply_is_recognised_and_its_connection_is_dropped(
    make: Callable[[bytes], bytes], outcome: Outcome, detail: str
) -> None:
    async with RawModbus(says(make)).running() as peer:
        gateway = gateway_at(peer.port)
        error = await failure(gateway)
        assert (error.outcome, error.detail) == (outcome, f"unit 1 registers 10-13: {detail}")
        peer.manner = says(reply_to)
        assert await gateway.read(FOUR) == (10, 11, 12, 13)
        gateway.close()


async def test_half_a_reply_and_the_end_of_the_connection() -> None:
    async with RawModbus(says_and_closes(lambda r: reply_to(r)[:11])).running() as peer:
        error = await failure(gateway_at(peer.port))
        assert error.outcome is Outcome.TRUNCATED
        assert error.detail == "unit 1 registers 10-13: the reply was cut short"


async def test_a_reply_that_comes_late_is_not_the_next_ones() -> None:
    held: list[tuple[asyncio.StreamWriter, bytes]] = []

    async def first_is_late(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        held.append((writer, request))
        if len(held) > 1:
            for asker, asked in held:
                asker.write(reply_to(asked))

    async with RawModbus(first_is_late).running() as peer:
        gateway = gateway_at(peer.port)
        assert (await failure(gateway)).outcome is Outcome.TIMEOUT
        assert await gateway.read(Request(1, Function.HOLDING, 20, 2)) == (20, 21)
        assert peer.connections == 2
        gateway.close()


async def test_a_connection_that_the_device_closed_is_made_again() -> None:
    async with RawModbus(says(reply_to)).running() as peer:
        gateway = gateway_at(peer.port)
        assert await gateway.read(FOUR) == (10, 11, 12, 13)
        peer.manner = says_and_closes(reply_to)
        assert await gateway.read(FOUR) == (10, 11, 12, 13)
        await asyncio.sleep(0.05)
        assert await gateway.read(FOUR) == (10, 11, 12, 13)
        assert gateway.connections == 2
        gateway.close()


async def test_a_restarted_device_answers_again() -> None:
    peer = RawModbus(says(reply_to))
    async with peer.running():
        gateway = gateway_at(peer.port)
        assert await gateway.read(FOUR) == (10, 11, 12, 13)
    error = await failure(gateway)
    assert error.outcome is Outcome.REFUSED
    async with peer.running():
        assert await gateway.read(FOUR) == (10, 11, 12, 13)
        gateway.close()


async def test_a_flood_does_not_fill_memory() -> None:
    async def floods(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        late = reply_to(request, transaction=5)
        for _ in range(50_000):
            writer.write(late)
            await writer.drain()

    async with RawModbus(floods).running() as peer:
        gateway = gateway_at(peer.port)
        error = await failure(gateway)
        assert error.outcome is Outcome.MALFORMED
        assert gateway._reader is None
        gateway.close()


async def test_failures_to_connect() -> None:
    port = int(unused_url().rpartition(":")[2])
    error = await failure(gateway_at(port))
    assert error.outcome is Outcome.REFUSED
    assert error.detail.endswith("no connection (ECONNREFUSED)")
    error = await failure(Gateway("no-such-host.invalid", 502))
    assert error.outcome is Outcome.DNS
    with listener_that_never_accepts() as url:
        error = await failure(gateway_at(int(url.rpartition(":")[2])))
    assert error.outcome is Outcome.TIMEOUT
    error = await failure(Gateway("169.254.169.254", 502))
    assert error.outcome is Outcome.REFUSED
    assert "FLEETSCOPE_ALLOWED_NETWORKS" in error.detail


async def test_sites_on_one_gateway_share_its_connection() -> None:
    async with RawModbus(says(reply_to)).running() as peer:
        transport = ModbusTransport()
        first = transport.gateway("127.0.0.1", peer.port)
        second = transport.gateway("127.0.0.1", peer.port)
        assert first is second
        await first.read(FOUR)
        transport.release(first)
        await second.read(FOUR)
        assert peer.connections == 1
        transport.release(second)
        assert transport.gateway("127.0.0.1", peer.port) is not second


def test_a_host_is_asked_for_as_dns_knows_it() -> None:
    transport = ModbusTransport()
    assert transport.gateway("bücher.example", None).host == "xn--bcher-kva.example"
    assert transport.gateway("fe80::1%25eth0", None).host == "fe80::1%eth0"
