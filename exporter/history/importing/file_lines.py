"""The bytes of a file as pieces of whole lines, within bounds."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from exporter.history.importing.file_error import FileError

Ints = NDArray[np.int64]

BLOCK_BYTES = 4 * 1024 * 1024
LONGEST_LINE_BYTES = 8 * 1024 * 1024
MOST_TIMES_UNPACKED = 200
"""A recording shrinks to a tenth or a fiftieth; what grows further is made to do harm."""
FREE_UNPACKED_BYTES = 64 * 1024 * 1024
MOST_BAD_ROWS = 1_000_000
"""In one file; each is kept with its text."""
MOST_ROWS = 500_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of a file.

    Attributes
    ----------
    raw : bytes
        In UTF-8, without the lines that hold nothing.
    lines : (n,) int64
        The number of each line of ``raw``, from 1.
    blank : int
        Lines that held nothing.
    size : int
        Bytes of the file that were read for it.
    last : int
        The number of its last line, which may hold nothing.
    """

    raw: bytes
    lines: Ints
    blank: int
    size: int
    last: int

    def behind(self, line: int) -> Piece:
        """What stands behind a line."""
        skip = int(np.searchsorted(self.lines, line, side="right"))
        if not skip and line < (self.lines[0] if self.lines.size else self.last):
            return self
        lines = self.lines[skip:]
        raw = self.raw.split(b"\n", skip)[-1] if lines.size else b""
        blank = max(self.last - line, 0) - lines.size
        return Piece(raw, lines, max(blank, 0), self.size, self.last)


def open_file(path: Path) -> IO[bytes]:
    """A file, unpacked if it is gzip.

    Raises
    ------
    FileError
    """
    try:
        packed = path.suffix.lower() == ".gz"
        return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}") from None


def pieces(path: Path, encoding: str) -> Iterator[Piece]:
    """The lines of a file, in its order; the same pieces every time.

    Raises
    ------
    FileError
        If it grows beyond the bounds, with what it has reached.
    OSError, EOFError, UnicodeError
    """
    line = 1
    for raw, size in _whole_lines(path, encoding):
        plain = _plain(raw)
        count = plain.count(b"\n") + (not plain.endswith(b"\n"))
        kept, numbers = _without_blank_lines(plain, line)
        line += count
        yield Piece(kept, numbers, count - numbers.size, size, line - 1)
        if line > MOST_ROWS:
            raise FileError(f"it has more than {MOST_ROWS:,} lines; divide it")


def _whole_lines(path: Path, encoding: str) -> Iterator[tuple[bytes, int]]:
    """Pieces that end at line ends, in UTF-8, each with the bytes of the file read for it."""
    with open_file(path) as file:
        # Of a packed file, progress is what was read of the packed bytes.
        raw: IO[bytes] = getattr(file, "fileobj", None) or file
        decoder = None
        if encoding not in ("utf-8", "utf-8-sig"):
            decoder = codecs.getincrementaldecoder(encoding)("replace")
        rest, before, unpacked = b"", 0, 0
        while chunk := file.read(BLOCK_BYTES):
            position = raw.tell()
            if not unpacked and encoding == "utf-8-sig":
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
            unpacked += len(chunk)
            _check_growth(unpacked, position)
            if decoder is not None:
                chunk = decoder.decode(chunk).encode()
            whole, newline, after = chunk.rpartition(b"\n")
            if not newline:
                rest += chunk
                if len(rest) > LONGEST_LINE_BYTES:
                    raise FileError(f"a line is longer than {LONGEST_LINE_BYTES >> 20} MiB")
                continue
            yield rest + whole + newline, position - before
            rest, before = after, position
        if rest:
            yield rest, raw.tell() - before


def _check_growth(unpacked: int, packed: int) -> None:
    if unpacked > FREE_UNPACKED_BYTES and unpacked > MOST_TIMES_UNPACKED * max(packed, 1):
        raise FileError(
            f"it unpacks to more than {MOST_TIMES_UNPACKED} times its size ({packed:,} bytes gave "
            f"{unpacked >> 20} MiB so far); unpack it by hand if that is right"
        )


def _plain(raw: bytes) -> bytes:
    """Lines that each stand for themselves: one that is damaged takes no other with it.

    Arrow takes a return within a line for the end of one, and reads a quotation mark that is never
    closed to the next one, wherever that is.
    """
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b" ")
    if b'"' in raw:
        lines = raw.split(b"\n")
        lines = [x.replace(b'"', b"'") if x.count(b'"') % 2 else x for x in lines]
        raw = b"\n".join(lines)
    return raw


def _without_blank_lines(raw: bytes, first: int) -> tuple[bytes, Ints]:
    """The lines that hold something, and their numbers."""
    count = raw.count(b"\n") + (not raw.endswith(b"\n"))
    if b"\n\n" not in raw and not raw.startswith(b"\n"):
        return raw, np.arange(first, first + count)
    letters = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    if not raw.endswith(b"\n"):
        ends = np.append(ends, letters.size)
    starts = np.append(0, ends[:-1] + 1)
    full = ends > starts
    keep = np.ones(letters.size, np.bool_)
    keep[ends[~full & (ends < letters.size)]] = False
    return letters[keep].tobytes(), first + np.flatnonzero(full)
