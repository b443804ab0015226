"""A request over MQTT 5: a message that expires, and its answer by correlation.

Only this speaks MQTT 5. A broker drops a message whose time is over, so that a device that comes
back late is not asked for what nobody wants any more.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from typing import Any, TypeVar

from exporter.config.addresses import Network
from exporter.drivers.transport.mqtt import packets
from exporter.drivers.transport.mqtt.connection import (
    Address,
    Connection,
    Login,
    OnMessage,
    open_connection,
)
from exporter.drivers.transport.mqtt.packets import LEVEL_5, PacketError, PacketType
from exporter.model.snapshot import Outcome, ScrapeError

_T = TypeVar("_T")
LARGEST_ANSWER = 4096
_EXPIRY, _RESPONSE_TOPIC, _CORRELATION = 0x02, 0x08, 0x09
_NO_SUBSCRIBERS, _REFUSED_FROM = 0x10, 0x80
_NOT_AUTHORIZED = 0x87
_SUBSCRIBED_ID, _PUBLISHED_ID = 1, 2
# Sizes of the properties of a message (MQTT 5, 2.2.2.2); texts and bytes have their own.
_FIXED = {0x01: 1, 0x02: 4, 0x23: 2}
_WITH_LENGTH = frozenset({0x03, 0x08, 0x09})
_USER_PROPERTY, _SUBSCRIPTION_ID = 0x26, 0x0B


class RequestConnection(Connection):
    """A connection of MQTT 5 for one request.

    Attributes
    ----------
    subscribed, published : asyncio.Future of int
        Reason codes of the broker.
    """

    def __init__(self, on_message: OnMessage) -> None:
        super().__init__(on_message, LEVEL_5)
        loop = asyncio.get_running_loop()
        self.subscribed: asyncio.Future[int] = loop.create_future()
        self.published: asyncio.Future[int] = loop.create_future()

    def _acknowledged(self, kind: int, body: bytes) -> None:
        if kind == PacketType.SUBACK and len(body) > 3 and not self.subscribed.done():
            self.subscribed.set_result(body[-1])
        elif kind == PacketType.PUBACK and not self.published.done():
            self.published.set_result(body[2] if len(body) > 2 else 0)


async def request(
    address: Address,
    login: Login,
    topic: str,
    payload: bytes,
    *,
    answer_topic: str,
    expiry_seconds: int,
    patience_seconds: float,
    allowed: tuple[Network, ...] = (),
) -> bytes:
    """Send a message with QoS 1, and wait for its answer.

    Parameters
    ----------
    address : Address
    login : Login
    topic : str
    payload : bytes
    answer_topic : str
        Response topic, under which the answer comes with the same correlation data.
    expiry_seconds : int
        For so long the broker keeps it for a receiver that is away.
    patience_seconds : float
        Time for all of it.
    allowed : tuple of networks

    Returns
    -------
    bytes
        Payload of the answer, :data:`LARGEST_ANSWER` bytes at most.

    Raises
    ------
    ScrapeError
        Also where nobody listens to the topic, which the broker says at once.
    """
    correlation = secrets.token_bytes(12)
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def on_message(_topic: bytes, body: bytes, retained: bool) -> None:
        found, rest = _properties(body)
        if found == correlation and not retained and not answered.done():
            answered.set_result(rest[:LARGEST_ANSWER])

    client_id = f"fleetscope-{secrets.token_hex(8)}"
    connection = await open_connection(
        address, login, client_id, on_message, allowed, RequestConnection
    )
    assert isinstance(connection, RequestConnection)
    alive = asyncio.create_task(connection.keep_alive())
    try:
        async with asyncio.timeout(patience_seconds):
            connection.send(_subscribe(answer_topic))
            _check(await _first(connection, connection.subscribed), f"reading {answer_topic}")
            connection.send(_publish(topic, payload, answer_topic, correlation, expiry_seconds))
            code = await _first(connection, connection.published)
            if code == _NO_SUBSCRIBERS:
                detail = f"MQTT: nobody listens to {topic}"
                raise ScrapeError(Outcome.REFUSED, detail)
            _check(code, f"publishing {topic}")
            return await _first(connection, answered)
    except TimeoutError:
        detail = f"MQTT: no answer to {topic} within {patience_seconds:.0f} s"
        raise ScrapeError(Outcome.TIMEOUT, detail) from None
    finally:
        alive.cancel()
        connection.disconnect()


async def _first(connection: Connection, wanted: asyncio.Future[_T]) -> _T:
    """What is waited for, unless the connection ends before."""
    waited: tuple[asyncio.Future[Any], ...] = (wanted, connection.closed)
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if wanted.done():
        return wanted.result()
    raise connection.closed.result()


def _check(code: int, what: str) -> None:
    if code >= _REFUSED_FROM:
        why = "not authorized" if code == _NOT_AUTHORIZED else f"reason {code:#x}"
        raise ScrapeError(Outcome.REFUSED, f"MQTT: the broker refuses {what} ({why})")


def _subscribe(topic: str) -> bytes:
    """SUBSCRIBE without properties."""
    body = struct.pack("!H", _SUBSCRIBED_ID) + b"\x00" + packets.text(topic) + b"\x01"
    return packets.packet(0x82, body)


def _publish(
    topic: str, payload: bytes, answer_topic: str, correlation: bytes, expiry_seconds: int
) -> bytes:
    """PUBLISH with QoS 1 and the properties of a request (3.3.2.3)."""
    properties = (
        struct.pack("!BI", _EXPIRY, expiry_seconds)
        + bytes([_RESPONSE_TOPIC])
        + packets.text(answer_topic)
        + bytes([_CORRELATION])
        + packets.text(correlation)
    )
    head = packets.text(topic) + struct.pack("!H", _PUBLISHED_ID)
    body = head + packets.variable(len(properties)) + properties + payload
    return packets.packet(0x32, body)


def _properties(body: bytes) -> tuple[bytes, bytes]:
    """Correlation data of a message, empty without any, and its payload.

    Raises
    ------
    PacketError
    """
    size, at = _variable(body, 0)
    end, correlation = at + size, b""
    if end > len(body):
        raise PacketError("properties that do not end within their message")
    while at < end:
        kind, at = body[at], at + 1
        if kind in _WITH_LENGTH:
            value, at = _sized(body, at)
            correlation = value if kind == _CORRELATION else correlation
        elif kind == _USER_PROPERTY:
            _, at = _sized(body, _sized(body, at)[1])
        elif kind == _SUBSCRIPTION_ID:
            _, at = _variable(body, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise PacketError(f"a message with the property {kind:#x}")
    return correlation, body[end:]


def _sized(body: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2])
    if end > len(body):
        raise PacketError("a property that does not end within its message")
    return body[at + 2 : end], end


def _variable(body: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while at < len(body) and shift < 28:
        byte, at = body[at], at + 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise PacketError("a length that does not end")
