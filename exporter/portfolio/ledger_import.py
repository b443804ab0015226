"""Files of statements, prices, tickets and events into the ledger, bad rows kept aside."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from exporter.model.text import spreadsheet_cell
from exporter.portfolio.column_source import ColumnMapping
from exporter.portfolio.ledger import Import, Ledger
from exporter.portfolio.ledger_rows import BadRowError, Notation, Row, RowReader, row_key
from exporter.portfolio.ledger_tables import LedgerTable

LARGEST_BYTES = 256 * 1024 * 1024
MOST_ROWS = 5_000_000
MOST_COLUMNS = 500
LONGEST_CELL = 10_000
_BATCH_ROWS = 10_000


class TableFileError(Exception):
    """A file that is not taken at all; its text says why."""


@dataclass(slots=True)
class BadRow:
    """A row that is not taken: its number (from 1, headings not counted), why, and its cells."""

    number: int
    reason: str
    cells: Sequence[Any]


@dataclass(slots=True)
class TableRead:
    """A file, read: good rows, bad rows and the hash of its content."""

    headings: list[str]
    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    digest: str = ""


def read_table(
    path: Path,
    table: LedgerTable,
    mapping: ColumnMapping,
    zone: ZoneInfo | None,
    decimal: str | None = None,
) -> TableRead:
    """Read a CSV or Parquet file; the ledger is not touched.

    Raises
    ------
    TableFileError
    HeadingsError
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise TableFileError(f"{path} is larger than {LARGEST_BYTES // 1024**2} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise TableFileError(f"{path} cannot be read: {error.strerror}") from error
    each = _parquet(path, content) if content[:4] == b"PAR1" else _csv(path, content)
    headings = [str(cell) for cell in next(each, [])]
    if len(headings) > MOST_COLUMNS:
        raise TableFileError(f"{path} has more than {MOST_COLUMNS} columns")
    reader = RowReader(table, headings, mapping, Notation(zone, decimal))
    found = TableRead(headings, digest=hashlib.sha256(content).hexdigest())
    seen: dict[tuple[Any, ...], tuple[int, Row]] = {}
    for number, cells in enumerate(each, 1):
        if number > MOST_ROWS:
            raise TableFileError(f"{path} has more than {MOST_ROWS:,} rows; split it")
        try:
            row = reader.row(cells)
            first, before = seen.setdefault(row_key(table, row), (number, row))
            if before != row:
                raise BadRowError(f"says something else of what row {first} is about")
            if first == number:
                found.rows.append(row)
        except BadRowError as error:
            found.bad.append(BadRow(number, str(error), cells))
    return found


def import_table(
    ledger: Ledger, path: Path, table: LedgerTable, read: TableRead, aside: Path | None
) -> Import:
    """Take the good rows of a file in, and write the bad ones into the folder ``aside``.

    Raises
    ------
    LedgerError
    TableFileError
        If bad rows cannot be written; nothing was taken in then.
    """
    if read.bad and aside is not None:
        _keep_aside(aside / f"{path.name}.{table.name}.csv", read)
    return ledger.add(table, read.rows, path.name, read.digest, time.time(), len(read.bad))


def _keep_aside(path: Path, read: TableRead) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "reason", *map(spreadsheet_cell, read.headings)])
            for bad in read.bad:
                cells = ["" if cell is None else spreadsheet_cell(str(cell)) for cell in bad.cells]
                writer.writerow([bad.number, bad.reason, *cells])
    except OSError as error:
        raise TableFileError(f"{path} cannot be written: {error.strerror}") from error


def _csv(path: Path, content: bytes) -> Iterator[Sequence[Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableFileError(f"{path} is not UTF-8 (byte {error.start + 1})") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    csv.field_size_limit(LONGEST_CELL)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in rows:
            if cells:
                yield cells
    except csv.Error as error:
        raise TableFileError(f"{path}, line {rows.line_num}: {error}") from error


def _parquet(path: Path, content: bytes) -> Iterator[Sequence[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        if file.metadata.num_rows > MOST_ROWS or file.metadata.num_columns > MOST_COLUMNS:
            raise TableFileError(f"{path} has more rows or columns than are taken")
        unpacked = sum(
            file.metadata.row_group(n).total_byte_size for n in range(file.metadata.num_row_groups)
        )
        if unpacked > 8 * LARGEST_BYTES:
            raise TableFileError(f"{path} unpacks to more than {8 * LARGEST_BYTES // 1024**2} MiB")
        yield list(file.schema_arrow.names)
        for batch in file.iter_batches(_BATCH_ROWS):
            if batch.nbytes > LARGEST_BYTES:
                raise TableFileError(f"{path} unpacks to more than is taken")
            columns = [column.to_pylist() for column in batch.columns]
            yield from zip(*columns, strict=True)
    except pa.ArrowException as error:
        raise TableFileError(f"{path} is no Parquet file that can be read: {error}") from error
