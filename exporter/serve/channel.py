"""Messages between the processes of one exporter, over a Unix socket that only they hold.

A message is any picklable object. Large arrays leave the pickle and cross as they lie in memory.
For 10,000 sites of 260 cells docs/benchmarks.md has the figures of this and of other ways.
"""

from __future__ import annotations

import asyncio
import copyreg
import io
import itertools
import pickle
import socket
import struct
from dataclasses import fields
from operator import attrgetter
from typing import Any

import numpy as np

from exporter.assess.issues import Issue
from exporter.assess.site_views import PackView, SiteView
from exporter.model.packed_cells import PackedCells, pack_cells
from exporter.model.snapshot import Cells
from scoring.confidence import Confidence
from scoring.fleet import FleetScores
from scoring.issues import Component, Finding
from scoring.outliers import Outliers
from scoring.overall import Overall
from scoring.rule import Rule
from scoring.rules import BY_CODE
from scoring.solar import SolarResult

_COUNT = struct.Struct("!I")
# Beyond this a message is put together in a thread.
LARGE_BYTES = 1_000_000
# A larger array crosses as it lies in memory; to send a smaller one by itself costs more than the
# copy.
LARGE_ARRAY_BYTES = 65_536
_LIMIT = 4 * 1024 * 1024
_MOST_LABELS = 10_000


class Channel:
    """One end of a connection.

    Parameters
    ----------
    reader, writer : asyncio streams
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._labels: dict[tuple[str, ...], tuple[str, ...]] = {}

    @classmethod
    async def over(cls, connected: socket.socket) -> Channel:
        """A channel over a connected socket, which it closes in the end."""
        reader, writer = await asyncio.open_connection(sock=connected, limit=_LIMIT)
        return cls(reader, writer)

    @property
    def busy(self) -> bool:
        """Whether something that was sent still waits for the other side."""
        return self._writer.transport.get_write_buffer_size() > 0

    @property
    def unsent_bytes(self) -> int:
        """What was sent and still waits for the other side."""
        return self._writer.transport.get_write_buffer_size()

    def send(self, message: Any) -> None:
        """Send a message; never blocks. What cannot be delivered any more is dropped."""
        if not self._writer.is_closing():
            parts = self._dump(message)
            lengths = struct.pack(f"!{len(parts)}Q", *(part.nbytes for part in parts))
            self._writer.writelines([_COUNT.pack(len(parts)), lengths, *parts])

    async def receive(self) -> Any:
        """The next message.

        Raises
        ------
        EOFError
            The other side has gone.
        """
        try:
            (count,) = _COUNT.unpack(await self._reader.readexactly(_COUNT.size))
            lengths = struct.unpack(f"!{count}Q", await self._reader.readexactly(8 * count))
            whole = memoryview(await self._reader.readexactly(sum(lengths)))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise EOFError("the other process has gone") from error
        ends = tuple(itertools.accumulate(lengths))
        parts = [whole[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        if len(whole) > LARGE_BYTES:
            return await asyncio.to_thread(self._load, parts)
        return self._load(parts)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    def _dump(self, message: Any) -> list[memoryview]:
        buffers: list[pickle.PickleBuffer] = []
        body = io.BytesIO()
        pickler = pickle.Pickler(body, 5, buffer_callback=buffers.append)
        own: dict[type, Any] = {
            PackedCells: self._reduced,
            Cells: self._reduced,
            np.ndarray: _reduced_array,
            Rule: _reduced_rule,
        }
        by_fields = dict.fromkeys(_FIELDS, _reduced_fields)
        pickler.dispatch_table = copyreg.dispatch_table | own | by_fields
        pickler.dump(message)
        return [body.getbuffer(), *(buffer.raw() for buffer in buffers)]

    def _reduced(self, cells: Cells | PackedCells) -> tuple[Any, ...]:
        return PackedCells, (self._shared(cells.labels), pack_cells(cells).data)

    def _shared(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """One object for all equal labels, which is pickled once and held once."""
        if len(self._labels) > _MOST_LABELS:
            self._labels.clear()
        return self._labels.setdefault(labels, labels)

    def _load(self, parts: list[memoryview]) -> Any:
        # Written by this program at the other end of a socket that nobody else holds.
        return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301


# Bits are compared, so that NaN is like itself and -0.0 is not like 0.0.
_BITS: dict[int, type[np.unsignedinteger[Any]]] = {
    1: np.uint8,
    2: np.uint16,
    4: np.uint32,
    8: np.uint64,
}


def _reduced_array(values: np.ndarray[Any, np.dtype[Any]]) -> Any:
    """An array whose elements are all alike crosses as one of them: most limits and findings are
    the same for every site."""
    if values.strides == (0,) and values.size > 1:
        # One element that is shown to be as many.
        return _alike, (values[:1].copy(), values.size)
    kind = values.dtype
    bits = _BITS.get(kind.itemsize)
    if bits is None or values.ndim != 1 or kind.kind not in "fiub":
        return values.__reduce_ex__(5)
    values = np.ascontiguousarray(values)
    if values.size > 1:
        found = values.view(bits)
        if (found == found[0]).all():
            return _alike, (values[:1].copy(), values.size)
    if values.nbytes > LARGE_ARRAY_BYTES:
        return values.__reduce_ex__(5)
    return np.frombuffer, (values.tobytes(), kind.str)


def _alike(one: np.ndarray[Any, np.dtype[Any]], size: int) -> np.ndarray[Any, np.dtype[Any]]:
    return np.broadcast_to(one, size)


def _reduced_fields(value: Any) -> tuple[Any, ...]:
    """A frozen dataclass by its fields: what the standard library does for it takes longer."""
    return value.__class__, _FIELDS[value.__class__](value)


def _reduced_rule(rule: Rule) -> Any:
    """A rule by its code: both sides have the same ones."""
    if BY_CODE.get(rule.code) is rule:
        return _rule_of, (rule.code,)
    return rule.__reduce_ex__(5)


def _rule_of(code: str) -> Rule:
    return BY_CODE[code]


_FIELDS = {
    kind: attrgetter(*(field.name for field in fields(kind)))
    for kind in (
        *(SiteView, PackView, Issue),
        *(FleetScores, Component, Finding, Overall, Outliers, SolarResult, Confidence),
    )
}
