"""Reads many spans of registers of one unit in few requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from exporter.drivers.transport.modbus.frames import (
    MOST_REGISTERS,
    NO_SUCH_REGISTER,
    ExceptionReplyError,
    Function,
    Request,
)
from exporter.drivers.transport.modbus.gateway import Gateway

RETRY_SECONDS = 3600.0
Span = tuple[int, int]
"""First register and number of registers of one value, which is never read in parts."""


def blocks(spans: Iterable[Span], largest_gap: int, most: int = MOST_REGISTERS) -> list[list[Span]]:
    """Spans that one request reads together, in the order of their addresses.

    Parameters
    ----------
    spans : iterable of Span
    largest_gap : int
        Registers between two spans that may be read along with them and are not used.
    most : int
        Registers of one request.
    """
    found: list[list[Span]] = []
    first = end = 0
    for address, count in sorted(set(spans)):
        close = bool(found) and address - end <= largest_gap
        if close and max(end, address + count) - first <= most:
            found[-1].append((address, count))
            end = max(end, address + count)
        else:
            found.append([(address, count)])
            first, end = address, address + count
    return found


@dataclass(slots=True, eq=False)
class UnitReader:
    """Registers of one unit that a site wants, read in blocks.

    A device may refuse a block for a single register that its firmware does not have, or for a gap.
    Such a block is halved until what it does not have is known; that is left out for an hour.

    Attributes
    ----------
    gateway : Gateway
    unit : int
    function : Function
    spans : tuple of Span
    largest_gap : int
        See :func:`blocks`.
    monotonic : callable
    most : int
        See :func:`blocks`.
    """

    gateway: Gateway
    unit: int
    function: Function
    spans: tuple[Span, ...]
    largest_gap: int
    monotonic: Callable[[], float]
    most: int = MOST_REGISTERS
    _blocks: list[list[Span]] = field(default_factory=list)
    _planned_until: float = -math.inf

    async def read(self) -> dict[int, int]:
        """Register address to its 16 bits, without those that the device does not have.

        Raises
        ------
        ScrapeError
            When the unit does not answer, or not as Modbus does. Nothing further was asked.
        """
        if self.monotonic() >= self._planned_until:
            self._planned_until = self.monotonic() + RETRY_SECONDS
            self._blocks = blocks(self.spans, self.largest_gap, self.most)
        words: dict[int, int] = {}
        usable: list[list[Span]] = []
        waiting = self._blocks[::-1]
        while waiting:
            block = waiting.pop()
            try:
                words |= await self._read_block(block)
                usable.append(block)
            except ExceptionReplyError as error:
                if error.code not in NO_SUCH_REGISTER:
                    raise
                half = len(block) // 2
                waiting += [part for part in (block[half:], block[:half]) if part and half]
        self._blocks = usable
        return words

    async def _read_block(self, block: Sequence[Span]) -> dict[int, int]:
        first = block[0][0]
        end = max(address + count for address, count in block)
        request = Request(self.unit, self.function, first, end - first)
        return dict(enumerate(await self.gateway.read(request), first))
