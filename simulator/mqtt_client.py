"""A small MQTT 3.1.1 client, as far as simulated devices need one: QoS 0, one connection."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable

_KEEP_ALIVE_SECONDS = 60
_LARGEST = 1024 * 1024


class MqttError(Exception):
    """The broker refuses the client."""


def _text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(raw)) + raw


def _packet(head: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while True:
        rest, low = divmod(rest, 128)
        length.append(low | (0x80 if rest else 0))
        if not rest:
            return bytes([head]) + bytes(length) + body


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 21:
            break
    if length > _LARGEST:
        raise MqttError(f"a packet of {length} bytes")
    return head, await reader.readexactly(length)


class Client:
    """A connected client; made by :func:`connected`."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._number = 0

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message with QoS 0."""
        self._writer.write(_packet(0x31 if retain else 0x30, _text(topic) + payload))

    def subscribe(self, topic_filter: str) -> None:
        """Receive a filter's messages."""
        self._number += 1
        body = struct.pack("!H", self._number) + _text(topic_filter) + b"\0"
        self._writer.write(_packet(0x82, body))

    async def drain(self) -> None:
        """Wait until the broker takes more."""
        await self._writer.drain()

    def ping(self) -> None:
        """Tell the broker that this client lives."""
        self._writer.write(b"\xc0\0")


@contextlib.asynccontextmanager
async def connected(
    host: str,
    port: int,
    client_id: str,
    on_message: Callable[[str, bytes], None],
    *,
    username: str | None = None,
    password: str | None = None,
) -> AsyncIterator[tuple[Client, asyncio.Task[None]]]:
    """A client, and the task that receives, which ends with the connection.

    Raises
    ------
    OSError, MqttError
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
        payload = b"".join(_text(t) for t in (client_id, username, password) if t is not None)
        head = b"\0\4MQTT\4" + bytes([flags]) + struct.pack("!H", _KEEP_ALIVE_SECONDS)
        writer.write(_packet(0x10, head + payload))
        kind, body = await _read(reader)
        if kind != 0x20 or body[1:] != b"\0":
            raise MqttError("the broker refuses the connection")
        receiving = asyncio.create_task(_receive(reader, on_message))
        try:
            yield Client(writer), receiving
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
    finally:
        writer.close()


async def _receive(reader: asyncio.StreamReader, on_message: Callable[[str, bytes], None]) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head, body = await _read(reader)
            if head >> 4 == 3:
                end = 2 + struct.unpack_from("!H", body)[0]
                payload = end + 2 if head & 0x06 else end
                on_message(body[2:end].decode("utf-8", "replace"), body[payload:])
