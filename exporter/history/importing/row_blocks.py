"""Files as blocks of rows in bounded memory, every row with its line number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from exporter.history.importing.arrow_arrays import to_arrow, to_numpy
from exporter.history.importing.csv_dialect import (
    HEAD_BYTES,
    Dialect,
    detect_dialect,
    encoding_of,
    sample_lines,
)
from exporter.history.importing.file_error import FileError
from exporter.history.importing.file_lines import MOST_BAD_ROWS, Piece, open_file, pieces
from exporter.history.importing.layout import FilePlan
from exporter.history.importing.number_dialect import numbers
from exporter.history.importing.parquet import examine_parquet, parquet_blocks
from exporter.history.importing.rows import BadRow, Block, Rows, empty_rows, put_owners
from exporter.history.importing.time_formats import parse
from exporter.history.importing.wide_days import find_day_shape

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_PARQUET = (".parquet", ".pq")
_LONGEST_TEXT = 200


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return path.suffix.lower() in _PARQUET


def examine(plan: FilePlan) -> Dialect:
    """How a file is written, as far as its beginning says it.

    Raises
    ------
    FileError
    """
    if is_parquet(plan.path):
        return examine_parquet(plan)
    try:
        with open_file(plan.path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise FileError(f"cannot be read: {error}") from None
    encoding = plan.format.encoding or encoding_of(head)
    lines = sample_lines(head, encoding)
    shape = find_day_shape(lines, plan.format.separator, plan.format.skip_lines or 0)
    if shape is None:
        return detect_dialect(head, plan)
    dialect = detect_dialect(shape.head(lines), plan.of_days(nem12=shape.kind == "nem12"))
    return replace(dialect, shape=shape, encoding=encoding, skip_lines=0)


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
        If it cannot be read to its end, or grows beyond the bounds.
    """
    if is_parquet(plan.path):
        yield from parquet_blocks(plan, dialect)
        return
    bad = 0
    for piece in body_pieces(plan.path, dialect):
        block = _parse_block(piece, dialect)
        bad += len(block.bad)
        if bad > MOST_BAD_ROWS:
            raise FileError(
                f"more than {MOST_BAD_ROWS:,} of its rows cannot be read, such as line "
                f"{block.bad[-1].line}: {block.bad[-1].reason}"
            )
        yield block


def body_pieces(path: Path, dialect: Dialect) -> Iterator[Piece]:
    """The lines of a file behind its headings; of a day a row, a line for each reading.

    Raises
    ------
    FileError
    """
    line = 1
    try:
        for piece in pieces(path, dialect.encoding):
            line = int(piece.lines[0]) if piece.lines.size else line
            if dialect.shape is not None:
                yield dialect.shape.expand(piece)
                continue
            yield piece.behind(dialect.skip_lines) if line <= dialect.skip_lines + 1 else piece
    except (OSError, EOFError, UnicodeError) as error:
        raise FileError(f"cannot be read beyond line {line}: {error}") from None


def _parse_block(piece: Piece, dialect: Dialect) -> Block:
    if not piece.lines.size:
        return Block(empty_rows(len(dialect.signals)), [], piece.blank, 0, piece.blank, piece.size)
    table, invalid = read_fields(piece.raw, dialect, list(range(dialect.width)))
    # A row's line is its place among the readable ones, moved by the unreadable ones before it.
    places = np.array([n for n, _, _ in invalid], np.int64) - 1
    good = np.ones(piece.lines.size, np.bool_)
    good[places] = False
    line = piece.lines[good]
    bad = []
    blank = piece.blank
    for number, reason, written in invalid:
        if written.strip().strip(dialect.separator).strip():
            bad.append(BadRow(int(piece.lines[number - 1]), reason, written[:_LONGEST_TEXT]))
        else:
            blank += 1
    block = Block(
        *(empty_rows(len(dialect.signals)), bad, blank, 0),
        piece.lines.size + piece.blank,
        piece.size,
    )
    _fill(block, line, [table.column(n) for n in range(dialect.width)], dialect)
    return block


def read_fields(
    raw: bytes, dialect: Dialect, columns: list[int]
) -> tuple[Any, list[tuple[int, str, str]]]:
    """The fields of some columns as text, and the rows of another width.

    Returns
    -------
    table : pyarrow table with a column of strings for each of ``columns``
    invalid : list of (place from 1, reason, text)
    """
    names = [str(n) for n in range(dialect.width)]
    invalid: list[tuple[int, str, str]] = []

    def keep_aside(row: Any) -> str:
        reason = f"{row.actual_columns} fields where {dialect.width} are expected"
        if len(invalid) <= MOST_BAD_ROWS:
            invalid.append((int(row.number), reason, row.text[: 2 * _LONGEST_TEXT]))
        return "skip"

    table = pa_csv.read_csv(
        pa.BufferReader(raw),
        read_options=pa_csv.ReadOptions(
            use_threads=False, column_names=names, block_size=len(raw) + 1
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=dialect.separator,
            invalid_row_handler=keep_aside,
            ignore_empty_lines=False,
        ),
        convert_options=pa_csv.ConvertOptions(
            check_utf8=False,
            include_columns=[names[c] for c in columns],
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
        ),
    ).combine_chunks()
    texts = [_text_column(table.column(n)) for n in range(len(columns))]
    return pa.table(texts, names=[str(c) for c in columns]), invalid


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
    columns = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns]
    if dialect.filters:
        chosen = _chosen(columns, dialect)
        block.left_out += int(np.count_nonzero(~chosen))
        where = to_arrow(np.flatnonzero(chosen))
        line, columns = line[chosen], [c.take(where) for c in columns]
    written = [columns[c] for c in dialect.time_columns]
    stamps = written[0] if len(written) == 1 else pc.binary_join_element_wise(*written, " ")
    time, readable, passes = parse(stamps, dialect.time)
    values = np.empty((line.size, len(dialect.signals)))
    missing = np.zeros(values.shape, bool)
    wrong = np.zeros(values.shape, bool)
    for n, signal in enumerate(dialect.signals):
        index = int(signal.column or 0)
        values[:, n], missing[:, n], wrong[:, n] = numbers(
            columns[index], dialect.decimals[n], dialect.units[n]
        )
    unreadable = np.flatnonzero(~readable)
    for row in unreadable[: MOST_BAD_ROWS + 1].tolist():
        fields = [c[row].as_py() or "" for c in columns]
        if not any(field.strip() for field in fields):
            block.blank += 1
            continue
        text = dialect.separator.join(fields)[:_LONGEST_TEXT]
        block.bad.append(BadRow(int(line[row]), "time cannot be read", text))
    _put_wrong(block, line, wrong & readable[:, None], columns, dialect)
    block.missing += int(np.count_nonzero(missing[readable]))
    block.rows = Rows(line[readable], time[readable], values[readable], passes[readable])
    put_owners(block, [columns[column] for _, column in dialect.keys], readable)


def _chosen(columns: list[Any], dialect: Dialect) -> Bools:
    chosen = np.ones(len(columns[0]), np.bool_)
    for column, text in dialect.filters:
        same = pc.equal(pc.utf8_trim_whitespace(columns[column]), text)
        chosen &= to_numpy(pc.fill_null(same, False))
    return chosen


def _put_wrong(
    block: Block, line: Ints, wrong: Bools, columns: list[Any], dialect: Dialect
) -> None:
    rows, signals = np.nonzero(wrong)
    most = MOST_BAD_ROWS + 1
    for row, n in zip(rows[:most].tolist(), signals[:most].tolist(), strict=True):
        index = int(dialect.signals[n].column or 0)
        fields = [columns[c][row].as_py() for c in (*dialect.time_columns, index)]
        where = f" in column {index + 1}" if len(dialect.signals) > 1 else ""
        text = dialect.separator.join(fields)[:_LONGEST_TEXT]
        block.bad.append(BadRow(int(line[row]), f"not a number{where}", text))
