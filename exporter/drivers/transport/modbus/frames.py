"""Frames of Modbus TCP: requests as bytes, and what a reply says. Pure, no I/O.

Source: MODBUS Application Protocol Specification V1.1b3 and MODBUS Messaging on TCP/IP V1.0b,
unchanged since 2012 and 2006. Three functions of it are all that is needed, so this is smaller
than the part of a library that would have to be wrapped. It keeps apart what libraries merge:
a reply of another transaction, a reply cut short, silence, and an answer that is no Modbus.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from exporter.model.snapshot import Outcome, ScrapeError

MOST_REGISTERS = 125
HEADER_BYTES = 7
_HEADER = struct.Struct(">HHHB")
_REQUEST = struct.Struct(">HHHBBHH")
# Unit, function and at least one byte; 253 bytes of function and data at most.
_SHORTEST, _LONGEST = 3, 254
_REQUEST_LENGTH = 6
_EXCEPTION = 0x80


class Function(IntEnum):
    """The functions that read registers of 16 bits."""

    HOLDING = 3
    INPUT = 4


WRITE_MULTIPLE = 16
_WRITE = struct.Struct(">HHHBBHHB")
_WRITTEN = struct.Struct(">BHH")

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledged, takes long",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target failed to respond",
}
NO_SUCH_REGISTER = frozenset({2, 3})
"""Exceptions of a device that lives and does not have what was asked for."""
NO_SUCH_UNIT = frozenset({10, 11})
"""Exceptions of a gateway in whose back the device is absent or silent."""


class ExceptionReplyError(ScrapeError):
    """The device refused a request.

    Attributes
    ----------
    code : int
        The Modbus exception code.
    """

    def __init__(self, code: int, what: str) -> None:
        meaning = EXCEPTIONS.get(code, "unknown")
        outcome = Outcome.TIMEOUT if code in NO_SUCH_UNIT else Outcome.MALFORMED
        super().__init__(outcome, f"{what}: exception {code} ({meaning})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: ``count`` registers of a unit from ``address`` on (0 to 65535)."""

    unit: int
    function: Function
    address: int
    count: int

    def __str__(self) -> str:
        last = self.address + self.count - 1
        span = f"register {self.address}" if self.count == 1 else f"registers {self.address}-{last}"
        return f"unit {self.unit} {span}"

    def frame(self, transaction: int) -> bytes:
        """The bytes of the request."""
        head = (transaction, 0, _REQUEST_LENGTH, self.unit)
        return _REQUEST.pack(*head, self.function, self.address, self.count)


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Registers of a unit that are set from ``address`` on, each from 0 to 65535."""

    unit: int
    address: int
    words: tuple[int, ...]

    def __str__(self) -> str:
        last = self.address + len(self.words) - 1
        return f"unit {self.unit} writing registers {self.address}-{last}"

    def frame(self, transaction: int) -> bytes:
        """The bytes of the request."""
        count = len(self.words)
        length = 7 + 2 * count
        head = (transaction, 0, length, self.unit, WRITE_MULTIPLE)
        body = struct.pack(f">{count}H", *self.words)
        return _WRITE.pack(*head, self.address, count, 2 * count) + body


@dataclass(frozen=True, slots=True)
class Header:
    """Head of a reply: its transaction, its unit, and how many bytes follow."""

    transaction: int
    unit: int
    following: int


def parse_header(data: bytes, what: str) -> Header:
    """The head of a reply, from its first seven bytes.

    Raises
    ------
    ScrapeError
        With outcome ``malformed`` for what is no head of a Modbus reply.
    """
    transaction, protocol, length, unit = _HEADER.unpack(data)
    if protocol != 0 or not _SHORTEST <= length <= _LONGEST:
        raise ScrapeError(Outcome.MALFORMED, f"{what}: not Modbus, it begins with {data.hex(' ')}")
    return Header(transaction, unit, length - 1)


def parse_registers(request: Request, header: Header, body: bytes) -> tuple[int, ...]:
    """The registers of a reply, each from 0 to 65535.

    Raises
    ------
    ExceptionReplyError
        Where the device refuses the request.
    ScrapeError
        With outcome ``malformed`` for a reply of another unit, function or length.
    """
    if header.unit != request.unit:
        detail = f"{request}: the reply is from unit {header.unit}"
        raise ScrapeError(Outcome.MALFORMED, detail)
    function = body[0]
    if function == request.function | _EXCEPTION and len(body) == 2:
        raise ExceptionReplyError(body[1], str(request))
    if function != request.function:
        detail = f"{request}: the reply is to function {function}, not {int(request.function)}"
        raise ScrapeError(Outcome.MALFORMED, detail)
    wanted = 2 * request.count
    if len(body) != 2 + wanted or body[1] != wanted:
        detail = f"{request}: the reply has {len(body) - 2} bytes of data, {wanted} are expected"
        raise ScrapeError(Outcome.MALFORMED, detail)
    return struct.unpack(f">{request.count}H", body[2:])


def check_written(request: WriteRequest, header: Header, body: bytes) -> None:
    """Check the reply to a write, which repeats where and how many registers were set.

    Raises
    ------
    ExceptionReplyError
        Where the device refuses the request.
    ScrapeError
        With outcome ``malformed`` for any other reply.
    """
    if header.unit != request.unit:
        detail = f"{request}: the reply is from unit {header.unit}"
        raise ScrapeError(Outcome.MALFORMED, detail)
    if body[0] == WRITE_MULTIPLE | _EXCEPTION and len(body) == 2:
        raise ExceptionReplyError(body[1], str(request))
    if body != _WRITTEN.pack(WRITE_MULTIPLE, request.address, len(request.words)):
        raise ScrapeError(Outcome.MALFORMED, f"{request}: the reply does not confirm the write")
