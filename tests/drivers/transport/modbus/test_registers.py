"""Registers as numbers, and many of them in few requests."""

from __future__ import annotations

import math
import struct

import pytest

from exporter.drivers.transport.modbus.frames import ExceptionReplyError, Function
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.drivers.transport.modbus.unit_reader import UnitReader, blocks
from exporter.drivers.transport.modbus.words import WordOrder, WordType, decode, decode_text
from exporter.model.snapshot import Outcome
from tests.drivers.bridge import Clock
from tests.drivers.modbus_peers import RawModbus, pymodbus_server, reply_to, says


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        ((50,), "u16", 50),
        ((0x8000,), "u16", 32768),
        ((0xFFFE,), "i16", -2),
        ((0x0001, 0x0000), "u32", 65536),
        ((0xFFFF, 0xFFFE), "i32", -2),
        ((0, 0, 1, 0), "u64", 65536),
        ((0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE), "i64", -2),
        (struct.unpack(">2H", struct.pack(">f", 50.25)), "f32", 50.25),
        (struct.unpack(">4H", struct.pack(">d", -1.5)), "f64", -1.5),
    ],
)
def test_words_of_each_type(words: tuple[int, ...], kind: str, expected: float) -> None:
    assert decode(words, WordType(kind)) == expected
    assert decode(words[::-1], WordType(kind), WordOrder.LITTLE) == expected


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ((0xFFFF,), "u16"),
        ((0x8000,), "i16"),
        ((0x7FFF,), "i16"),
        ((0xFFFF, 0xFFFF), "u32"),
        ((0x7FFF, 0xFFFF), "i32"),
        ((0x8000, 0), "i32"),
        ((0xFFFF,) * 4, "u64"),
        ((0x8000, 0, 0, 0), "i64"),
        ((0x7FC0, 0), "f32"),
    ],
)
def test_bits_that_mean_no_value(words: tuple[int, ...], kind: str) -> None:
    assert math.isnan(decode(words, WordType(kind)))


def test_text_is_without_padding_and_control_characters() -> None:
    assert decode_text((0x4361, 0x626F, 0x0A00, 0x4141)) == "Cabo"
    assert decode_text(()) == ""


def test_spans_make_few_blocks() -> None:
    assert blocks([(30, 1), (10, 2), (12, 1), (20, 4)], 0) == [
        [(10, 2), (12, 1)],
        [(20, 4)],
        [(30, 1)],
    ]
    assert blocks([(30, 1), (10, 2), (20, 4)], 8) == [[(10, 2), (20, 4), (30, 1)]]
    assert blocks([(0, 100), (100, 25), (125, 2)], 8) == [[(0, 100), (100, 25)], [(125, 2)]]
    assert blocks([(0, 4), (2, 1)], 0) == [[(0, 4), (2, 1)]]
    assert blocks([], 0) == []


def reader_at(port: int, clock: Clock, *spans: tuple[int, int], gap: int = 0) -> UnitReader:
    gateway = Gateway("127.0.0.1", port)
    return UnitReader(gateway, 1, Function.HOLDING, spans, gap, clock.monotonic)


async def test_registers_that_a_device_lacks_are_left_out_for_an_hour(clock: Clock) -> None:
    held = {address: address for address in (10, 11, 12, 14, 15, 40)}
    spans = [(10, 1), (11, 2), (13, 1), (14, 2), (40, 1), (50, 1)]
    async with pymodbus_server({1: held}) as port:
        reader = reader_at(port, clock, *spans, gap=30)
        expected = {10: 10, 11: 11, 12: 12, 14: 14, 15: 15, 40: 40}
        assert await reader.read() == expected
        learned = reader._blocks
        assert [(13, 1)] not in learned
        assert await reader.read() == expected
        assert reader._blocks == learned
        clock.advance(3600)
        assert await reader.read() == expected
        reader.gateway.close()


async def test_a_gap_is_read_along_where_the_device_allows_it(clock: Clock) -> None:
    async with RawModbus(says(reply_to)).running() as peer:
        reader = reader_at(peer.port, clock, (10, 1), (14, 1), gap=8)
        words = await reader.read()
        assert (words[10], words[14]) == (10, 14)
        assert len(peer.requests) == 1
        reader.gateway.close()


async def test_an_absent_unit_is_asked_once(clock: Clock) -> None:
    def absent(request: bytes) -> bytes:
        return request[:2] + b"\0\0\0\3" + request[6:7] + bytes([request[7] | 0x80, 11])

    async with RawModbus(says(absent)).running() as peer:
        reader = reader_at(peer.port, clock, (10, 1), (500, 1))
        with pytest.raises(ExceptionReplyError) as caught:
            await reader.read()
        assert caught.value.outcome is Outcome.TIMEOUT
        assert caught.value.detail.endswith("exception 11 (gateway target failed to respond)")
        assert len(peer.requests) == 1
        reader.gateway.close()
