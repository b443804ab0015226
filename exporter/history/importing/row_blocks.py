"""Files as blocks of rows in bounded memory, every row with its line number."""

from __future__ import annotations

import codecs
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from exporter.history.importing.csv_dialect import Dialect, FileError, sniff
from exporter.history.importing.layout import FilePlan
from exporter.history.importing.parquet import examine_parquet, parquet_blocks
from exporter.history.importing.rows import BadRow, Block, Rows, empty_rows, put_owners
from exporter.history.importing.time_formats import numbers, parse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HEAD_BYTES = 64 * 1024
BLOCK_BYTES = 4 * 1024 * 1024
_PARQUET = (".parquet", ".pq")


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return path.suffix.lower() in _PARQUET


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


def examine(plan: FilePlan) -> Dialect:
    """How a file is written.

    Raises
    ------
    FileError
    """
    if is_parquet(plan.path):
        return examine_parquet(plan)
    try:
        with open_file(plan.path) as file:
            return sniff(file.read(HEAD_BYTES), plan)
    except (OSError, EOFError) as error:
        raise FileError(f"cannot be read: {error}") from None


def fingerprint(path: Path) -> str:
    """Changes when a file does: size, time of change, beginning and end."""
    facts = path.stat()
    digest = hashlib.sha256(f"{facts.st_size} {facts.st_mtime_ns}".encode())
    with path.open("rb") as file:
        digest.update(file.read(HEAD_BYTES))
        file.seek(max(facts.st_size - HEAD_BYTES, 0))
        digest.update(file.read(HEAD_BYTES))
    return digest.hexdigest()


def read_blocks(plan: FilePlan, dialect: Dialect) -> Iterator[Block]:
    """The blocks of a file, in its order; the same ones every time.

    Raises
    ------
    FileError
        If it cannot be read to its end.
    """
    if is_parquet(plan.path):
        yield from parquet_blocks(plan, dialect)
        return
    line = 1
    try:
        for piece, size in _pieces(plan.path, dialect.encoding):
            raw = _plain_lines(piece)
            count = raw.count(b"\n") + (not raw.endswith(b"\n"))
            skip = max(dialect.skip_lines - (line - 1), 0)
            if skip >= count:
                line += count
                continue
            body = raw.split(b"\n", skip)[-1] if skip else raw
            yield _parse_block(body, line + skip, dialect, size)
            line += count
    except (OSError, EOFError, UnicodeDecodeError, UnicodeError) as error:
        raise FileError(f"cannot be read beyond line {line}: {error}") from None


def _plain_lines(raw: bytes) -> bytes:
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


def _pieces(path: Path, encoding: str) -> Iterator[tuple[bytes, int]]:
    """Pieces that end at line ends, in UTF-8, each with the bytes of the file read for it."""
    with open_file(path) as file:
        # Of a packed file, progress is what was read of the packed bytes.
        raw: IO[bytes] = getattr(file, "fileobj", None) or file
        decoder = None
        if encoding not in ("utf-8", "utf-8-sig"):
            decoder = codecs.getincrementaldecoder(encoding)()
        rest, before, first = b"", 0, True
        while chunk := file.read(BLOCK_BYTES):
            if first and encoding == "utf-8-sig":
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
            first = False
            if decoder is not None:
                chunk = decoder.decode(chunk).encode()
            whole, newline, after = chunk.rpartition(b"\n")
            if not newline:
                rest += chunk
                if len(rest) > 16 * BLOCK_BYTES:
                    raise OSError("a line is longer than 64 MiB")
                continue
            position = raw.tell()
            yield rest + whole + newline, position - before
            rest, before = after, position
        if rest:
            yield rest, raw.tell() - before


def _parse_block(body: bytes, first_line: int, dialect: Dialect, size: int) -> Block:
    names = [str(n) for n in range(dialect.width)]
    invalid: list[tuple[int, str]] = []

    def keep_aside(row: Any) -> str:
        found = f"{row.actual_columns} fields where {dialect.width} are expected"
        invalid.append((int(row.number), f"{found}\0{row.text}"))
        return "skip"

    table = pa_csv.read_csv(
        pa.BufferReader(body),
        read_options=pa_csv.ReadOptions(
            use_threads=False, column_names=names, block_size=len(body) + 1
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=dialect.separator,
            invalid_row_handler=keep_aside,
            ignore_empty_lines=False,
        ),
        convert_options=pa_csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
        ),
    ).combine_chunks()
    # A row's line is its place among the readable ones, moved by the unreadable ones before it.
    numbers_of_invalid = np.array([n for n, _ in invalid], np.int64) - 1
    place = np.arange(table.num_rows)
    moved = np.searchsorted(numbers_of_invalid - np.arange(len(invalid)), place, side="right")
    line = first_line + place + moved
    bad = []
    blank = 0
    for number, text in invalid:
        reason, _, written = text.partition("\0")
        if written.strip():
            bad.append(BadRow(first_line + number - 1, reason, written[:200]))
        else:
            blank += 1
    block = Block(empty_rows(len(dialect.signals)), bad, blank, 0, line.size + len(invalid), size)
    columns = [_text_column(table.column(n)) for n in range(dialect.width)]
    _fill(block, line, columns, dialect)
    return block


def _text_column(column: pa.ChunkedArray) -> Any:
    """A column whose bytes may not be UTF-8: then they are replaced, and can be no number."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        raw = array.cast(pa.binary()).to_pylist()
        array = pa.array([(b or b"").decode("utf-8", "replace") for b in raw], pa.string())
    return array


def _fill(block: Block, line: Ints, columns: list[Any], dialect: Dialect) -> None:
    """Read times and values of a block, and put what cannot be read aside."""
    written = [columns[c] for c in dialect.time_columns]
    stamps = written[0] if len(written) == 1 else pc.binary_join_element_wise(*written, " ")
    time, readable = parse(stamps, dialect.time)
    values = np.empty((line.size, len(dialect.signals)))
    missing = np.zeros(values.shape, bool)
    wrong = np.zeros(values.shape, bool)
    for n, signal in enumerate(dialect.signals):
        index = int(signal.column or 0)
        values[:, n], missing[:, n], wrong[:, n] = numbers(columns[index], dialect.decimal)
    unreadable = np.flatnonzero(~readable)
    for row in unreadable.tolist():
        fields = [c[row].as_py() or "" for c in columns]
        if not any(field.strip() for field in fields):
            block.blank += 1
            continue
        text = dialect.separator.join(fields)[:200]
        block.bad.append(BadRow(int(line[row]), "time cannot be read", text))
    _put_wrong(block, line, wrong & readable[:, None], columns, dialect)
    block.missing += int(np.count_nonzero(missing[readable]))
    block.rows = Rows(line[readable], time[readable], values[readable])
    put_owners(block, [columns[column] for _, column in dialect.keys], readable)


def _put_wrong(
    block: Block, line: Ints, wrong: Bools, columns: list[Any], dialect: Dialect
) -> None:
    rows, signals = np.nonzero(wrong)
    for row, n in zip(rows.tolist(), signals.tolist(), strict=True):
        index = int(dialect.signals[n].column or 0)
        fields = [columns[c][row].as_py() for c in (*dialect.time_columns, index)]
        where = f" in column {index + 1}" if len(dialect.signals) > 1 else ""
        text = dialect.separator.join(fields)[:200]
        block.bad.append(BadRow(int(line[row]), f"not a number{where}", text))
