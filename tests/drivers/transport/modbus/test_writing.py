"""Writing registers: against pymodbus's server, and replies that confirm nothing."""

from __future__ import annotations

import struct

import pytest

from exporter.drivers.transport.modbus.frames import (
    ExceptionReplyError,
    Function,
    Request,
    WriteRequest,
)
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.drivers.transport.modbus.words import WordOrder, WordType, decode, encode
from exporter.model.snapshot import Outcome, ScrapeError
from simulator.controlled import ControlledSite, modbus_server
from tests.drivers.modbus_peers import pymodbus_server


async def test_another_server_has_what_was_written() -> None:
    async with pymodbus_server({100: {2716: 0, 2717: 0}}) as port:
        gateway = Gateway("127.0.0.1", port)
        await gateway.write(WriteRequest(100, 2716, encode(-2400, WordType.I32)))
        words = await gateway.read(Request(100, Function.HOLDING, 2716, 2))
        assert decode(words, WordType.I32) == -2400
        with pytest.raises(ExceptionReplyError) as caught:
            await gateway.write(WriteRequest(100, 9000, (1,)))
        assert caught.value.code == 2
        gateway.close()


async def test_a_refusal_is_quoted() -> None:
    server = modbus_server(ControlledSite(refuses=True))
    gateway = Gateway("127.0.0.1", await server.start())
    with pytest.raises(ExceptionReplyError, match="device failure"):
        await gateway.write(WriteRequest(100, 2716, (0, 500)))
    with pytest.raises(ExceptionReplyError, match="illegal data address"):
        await gateway.write(WriteRequest(100, 2700, (500,)))
    gateway.close()
    await server.stop()


@pytest.mark.parametrize("answer", [b"\x10\x0a\x9c\x00\x01", b"\x10\x0a\x9d\x00\x02", b"\x03\x00"])
async def test_a_reply_to_something_else_confirms_nothing(answer: bytes) -> None:
    import asyncio

    async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(17)
        (transaction,) = struct.unpack(">H", head[:2])
        writer.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, 100) + answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(misbehave, "127.0.0.1", 0)
    gateway = Gateway("127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(ScrapeError) as caught:
        await gateway.write(WriteRequest(100, 2716, (0, 500)))
    assert caught.value.outcome is Outcome.MALFORMED
    gateway.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (WordType.I32, -123_456),
        (WordType.U16, 60_000),
        (WordType.I16, -5),
        (WordType.F32, 0.5),
        (WordType.U64, 2**40),
    ],
)
@pytest.mark.parametrize("order", WordOrder)
def test_numbers_come_back(kind: WordType, value: float, order: WordOrder) -> None:
    assert decode(encode(value, kind, order), kind, order) == value


@pytest.mark.parametrize(
    ("kind", "value"), [(WordType.U16, -1), (WordType.U16, 65_535), (WordType.I16, 40_000)]
)
def test_what_a_register_cannot_hold_is_refused(kind: WordType, value: float) -> None:
    with pytest.raises(ValueError, match=r"outside|means no value"):
        encode(value, kind)
