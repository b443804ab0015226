"""Packets of MQTT 3.1.1: those that a client sends, and a reader of those that it receives.

Pure, no I/O. Section numbers are those of the standard. Level 5 stands for MQTT 5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from enum import IntEnum

LARGEST_PACKET = 256 * 1024
"""Bytes of a packet that is taken in; of a larger one nothing is kept."""
LONGEST_TOPIC = 512

PING = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

_CONNECT_HEAD = b"\x00\x04MQTT"
LEVEL, LEVEL_5 = 4, 5
_NO_PROPERTIES = b"\x00"
_CLEAN, _PASSWORD, _USERNAME = 0x02, 0x40, 0x80
_LENGTH = struct.Struct("!H")
_MOST_LENGTH_BYTES = 4
_MIDDLE_OF_SHIFT = 7


class PacketType(IntEnum):
    """Control packets that a client receives (2.2.1)."""

    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBACK = 9
    UNSUBACK = 11
    PINGRESP = 13


CONNACK_REASONS = {
    1: "the broker does not speak MQTT 3.1.1",
    2: "the broker refuses the client id",
    3: "the broker is unavailable",
    4: "the broker refuses user name or password",
    5: "the broker refuses user name or password",
}
"""What a refusal means (3.2.2.3); brokers use 4 and 5 alike."""


class PacketError(Exception):
    """Bytes that are no MQTT; what follows cannot be read either."""


def text(value: str | bytes) -> bytes:
    """A text with its length before it (1.5.3)."""
    raw = value.encode() if isinstance(value, str) else value
    return _LENGTH.pack(len(raw)) + raw


def packet(head: int, body: bytes) -> bytes:
    """A packet of a first byte and all that follows its length."""
    return bytes([head]) + variable(len(body)) + body


def variable(number: int) -> bytes:
    """A number of seven bits a byte (2.2.3)."""
    found, rest = bytearray(), number
    while True:
        rest, low = divmod(rest, 128)
        found.append(low | (0x80 if rest else 0))
        if not rest:
            return bytes(found)


def connect(
    client_id: str,
    username: str | None,
    password: str | None,
    keep_alive: int,
    level: int = LEVEL,
) -> bytes:
    """CONNECT with a clean session; ``keep_alive`` in seconds."""
    flags = _CLEAN
    payload = (_NO_PROPERTIES if level == LEVEL_5 else b"") + text(client_id)
    if username is not None:
        flags |= _USERNAME
        payload += text(username)
        if password is not None:
            flags |= _PASSWORD
            payload += text(password)
    head = _CONNECT_HEAD + bytes([level, flags])
    return packet(0x10, head + _LENGTH.pack(keep_alive) + payload)


def subscribe(packet_id: int, filters: Iterable[tuple[str, int]]) -> bytes:
    """SUBSCRIBE to topic filters, each with its QoS."""
    body = b"".join(text(name) + bytes([qos]) for name, qos in filters)
    return packet(0x82, _LENGTH.pack(packet_id) + body)


def unsubscribe(packet_id: int, filters: Iterable[str]) -> bytes:
    """UNSUBSCRIBE from topic filters."""
    return packet(0xA2, _LENGTH.pack(packet_id) + b"".join(map(text, filters)))


def publish(topic: str, payload: bytes) -> bytes:
    """PUBLISH with QoS 0."""
    return packet(0x30, text(topic) + payload)


def puback(packet_id: int) -> bytes:
    """PUBACK."""
    return packet(0x40, _LENGTH.pack(packet_id))


OnPublish = Callable[[bytes, bytes, bool, int | None], None]
"""Takes topic, payload, whether it was retained, and the packet id of a QoS 1 message."""
OnPacket = Callable[[int, bytes], None]
"""Takes the type and the body of every other packet."""


class PacketReader:
    """Cuts a stream of bytes into packets.

    Parameters
    ----------
    on_publish, on_packet : callables

    Attributes
    ----------
    oversized : int
        Packets that were too large and left out.
    """

    def __init__(self, on_publish: OnPublish, on_packet: OnPacket) -> None:
        self._on_publish = on_publish
        self._on_packet = on_packet
        self._rest = b""
        self._skip = 0
        self.oversized = 0

    def feed(self, data: bytes) -> None:
        """Take what has arrived.

        Raises
        ------
        PacketError
        """
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        buffer = self._rest + data if self._rest else data
        size, at = len(buffer), 0
        while at + 2 <= size:
            # The remaining length, seven bits a byte (2.2.3).
            begin, length, shift = at + 1, 0, 0
            while begin < size:
                byte = buffer[begin]
                begin += 1
                length |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += _MIDDLE_OF_SHIFT
                if shift == _MIDDLE_OF_SHIFT * _MOST_LENGTH_BYTES:
                    raise PacketError("a packet's length is not written as MQTT writes it")
            else:
                break
            end = begin + length
            if length > LARGEST_PACKET:
                self.oversized += 1
                self._skip = max(0, end - size)
                at = min(end, size)
                continue
            if end > size:
                break
            head = buffer[at]
            if head >> 4 == PacketType.PUBLISH:
                self._publish(head, buffer, begin, end)
            else:
                self._on_packet(head >> 4, buffer[begin:end])
            at = end
        self._rest = buffer[at:]

    def _publish(self, head: int, buffer: bytes, begin: int, end: int) -> None:
        qos = head >> 1 & 3
        after = begin + 2 + (buffer[begin] << 8 | buffer[begin + 1] if begin + 2 <= end else 0)
        payload = after + 2 if qos else after
        if qos > 1 or begin + 2 >= after or payload > end:
            raise PacketError("a message without a topic, or of a quality that was not asked for")
        packet_id = buffer[after] << 8 | buffer[after + 1] if qos else None
        topic = buffer[begin + 2 : after]
        self._on_publish(topic, buffer[payload:end], bool(head & 1), packet_id)
