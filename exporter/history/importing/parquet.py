"""Parquet files: columns that have types already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from exporter.history.importing.arrow_arrays import to_numpy
from exporter.history.importing.csv_dialect import (
    TIME_NAMES,
    Dialect,
    choose_value,
    with_units,
)
from exporter.history.importing.entity_names import EntityNameError, entity_pattern
from exporter.history.importing.file_error import FileError
from exporter.history.importing.file_lines import MOST_BAD_ROWS, MOST_ROWS
from exporter.history.importing.layout import FilePlan, Format, LayoutError, Signal
from exporter.history.importing.row_keys import first_plan
from exporter.history.importing.rows import BadRow, Block, Rows, put_owners
from exporter.history.importing.time_formats import (
    TimeFormat,
    TimeFormatError,
    detect,
    named_format,
    parse,
)
from exporter.history.importing.time_text import UNKNOWN

ROWS = 131_072
_SAMPLE_ROWS = 400
FREE_ROWS = 20_000_000
MOST_ROWS_PER_BYTE = 20
LARGEST_COLUMN_BYTES = 1 << 30
LARGEST_FOOTER_BYTES = 64 << 20
LONGEST_TEXT_BYTES = 256


def _open(plan: FilePlan, texts: list[str] | None = None) -> pq.ParquetFile:
    """The file, with the columns of text as codes: a text of 2 KB that stands in a million rows
    takes its 2 KB once.

    Raises
    ------
    FileError
    """
    try:
        _check_footer(plan.path)
        # Its own limit on what a page header may say, and no views into what is not read.
        return pq.ParquetFile(plan.path, read_dictionary=texts, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise FileError(f"is not Parquet: {error}") from None


def _check_footer(path: Path) -> None:
    """Refuse a description of the file that alone would fill the memory.

    The last eight bytes are its length, little-endian, and ``PAR1``
    (https://parquet.apache.org/docs/file-format/).
    """
    with path.open("rb") as file:
        file.seek(-min(8, path.stat().st_size), os.SEEK_END)
        end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end.endswith(b"PAR1") and length > LARGEST_FOOTER_BYTES:
        most = LARGEST_FOOTER_BYTES >> 20
        raise FileError(f"its footer has {length >> 20:,} MiB; more than {most} are too many")


def _check_size(plan: FilePlan, metadata: Any, columns: set[str]) -> None:
    """Refuse what unpacks to far more than it is."""
    if metadata.num_rows > MOST_ROWS:
        raise FileError(f"it has {metadata.num_rows:,} rows; more than {MOST_ROWS:,} are too many")
    packed = plan.path.stat().st_size
    if metadata.num_rows > FREE_ROWS and metadata.num_rows > MOST_ROWS_PER_BYTE * packed:
        raise FileError(f"its {packed:,} bytes stand for {metadata.num_rows:,} rows; divide it")
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if column.path_in_schema not in columns:
                continue
            size = column.total_uncompressed_size
            if size > LARGEST_COLUMN_BYTES:
                raise FileError(
                    f"column {column.path_in_schema!r} unpacks to {size >> 20:,} MiB in one row "
                    "group; write it with smaller row groups"
                )


def _texts(schema: Any) -> list[str]:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return [f.name for f in schema if any(is_kind(f.type) for is_kind in kinds)]


def _plain(column: Any) -> Any:
    """A column of text whose entries are short; numbers as text.

    Raises
    ------
    FileError
    """
    if pa.types.is_dictionary(column.type):
        words = column.dictionary
        longest = pc.max(pc.binary_length(words)).as_py() or 0
        if longest > LONGEST_TEXT_BYTES:
            raise FileError(f"a text of {longest:,} bytes is no time and no name")
        return pc.fill_null(words.cast(pa.string()).take(column.indices), "")
    return pc.fill_null(column.cast(pa.string()), "")


def examine_parquet(plan: FilePlan) -> Dialect:
    """How a Parquet file is laid out.

    Raises
    ------
    FileError
    """
    with _open(plan) as file:
        schema = file.schema_arrow
        heading = list(schema.names)
        metadata = file.metadata
    if metadata.num_rows == 0:
        raise FileError("it holds no rows")
    rule = plan.rule
    if rule.where:
        raise FileError("where is for CSV files; of a Parquet file say series")
    keys = tuple((name, _column(c, heading)) for name, c in rule.series_columns.items())
    column = _time_column(heading, schema, plan.format.time_column)
    taken = {column, *(c for _, c in keys)}
    _check_size(plan, metadata, {heading[c] for c in taken})
    sample = _sample(plan, schema, [heading[c] for c in sorted(taken)])
    try:
        time = _time_format(schema.types[column], sample.column(heading[column]), plan.format)
        if time.is_local and plan.format.timezone is None:
            raise FileError("its times are local and no time zone is said; say --timezone")
        texts = [_plain(sample.column(heading[c])).to_pylist() for _, c in keys]
        patterns = tuple(
            (n, p)
            for (n, _), said in zip(keys, texts, strict=True)
            if (p := rule.series_patterns.get(n) or entity_pattern(n, set(said)))
        )
        places = tuple((n, i) for i, (n, _) in enumerate(keys))
        first = first_plan(plan, places, zip(*texts, strict=True), dict(patterns))
        signals = first.signals(heading, taken)
    except (TimeFormatError, LayoutError, EntityNameError) as error:
        raise FileError(str(error)) from None
    signals = _numeric_signals(first, signals, schema, taken)
    _check_size(plan, metadata, {heading[int(s.column or 0)] for s in signals})
    return Dialect(
        *("", 0, ",", len(heading), (column,), time, tuple(signals), keys, tuple(heading)),
        decimals=(".",) * len(signals),
        units=("",) * len(signals),
        patterns=patterns,
    )


def _sample(plan: FilePlan, schema: Any, columns: list[str]) -> Any:
    with _open(plan, [n for n in _texts(schema) if n in columns]) as file:
        try:
            return next(file.iter_batches(batch_size=_SAMPLE_ROWS, columns=columns))
        except (OSError, pa.ArrowException) as error:
            raise FileError(f"cannot be read: {error}") from None


def _numeric_signals(
    plan: FilePlan, signals: list[Signal], schema: Any, taken: set[int]
) -> list[Signal]:
    heading = list(schema.names)
    if not plan.rule.columns:
        numeric = [i for i, t in enumerate(schema.types) if i not in taken and _is_number(t)]
        index = choose_value(signals[0].column, heading, numeric, taken)
        signals = [replace(plan.with_unit(signals[0], heading[index]), column=index)]
    for signal in signals:
        kind = schema.types[int(signal.column or 0)]
        if not _is_number(kind):
            raise FileError(f"column {heading[int(signal.column or 0)]!r} is {kind}, not numbers")
    with_units(signals, heading)
    return signals


def _is_number(kind: Any) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _column(column: str | int, heading: list[str]) -> int:
    if isinstance(column, str) and column in heading:
        return heading.index(column)
    if isinstance(column, int) and 1 <= column <= len(heading):
        return column - 1
    raise FileError(f"there is no column {column!r}; it has {', '.join(heading[:12])}")


def _time_column(heading: list[str], schema: Any, given: Any) -> int:
    if given is not None:
        return _column(given, heading)
    typed = [i for i, t in enumerate(schema.types) if pa.types.is_timestamp(t)]
    named = [i for i, name in enumerate(heading) if name.casefold() in TIME_NAMES]
    for candidates in ([i for i in named if i in typed], typed, named):
        if len(candidates) == 1:
            return candidates[0]
    raise FileError(
        f"which column holds the time cannot be known; say --time-column, one of: "
        f"{', '.join(heading[:12])}"
    )


def _time_format(kind: Any, sample: Any, given: Format) -> TimeFormat:
    if pa.types.is_timestamp(kind):
        # A zone in the type means that the stored instants are of UTC already.
        return TimeFormat("iso_zoned" if kind.tz else "iso")
    if given.time_format:
        return named_format(given.time_format, given.timezone)
    found = detect(_plain(sample).to_pylist(), given.timezone)
    if found is None:
        raise FileError(f"the times are {kind} and cannot be read; say --time-format")
    return found


def parquet_blocks(plan: FilePlan, dialect: Dialect) -> Iterator[Block]:
    """The rows of a Parquet file in batches; their "line" is the row, from 1."""
    with _open(plan) as file:
        schema = file.schema_arrow
    with _open(plan, _texts(schema)) as file:
        names = schema.names
        indices = [dialect.time_columns[0], *(int(s.column or 0) for s in dialect.signals)]
        wanted = [names[i] for i in indices]
        owners = [names[c] for _, c in dialect.keys]
        share = plan.path.stat().st_size / max(file.metadata.num_rows, 1)
        first, bad = 1, 0
        try:
            columns = list(dict.fromkeys([*wanted, *owners]))
            for batch in file.iter_batches(batch_size=ROWS, columns=columns):
                block = _block(batch, wanted, owners, first, dialect, share)
                bad += len(block.bad)
                if bad > MOST_BAD_ROWS:
                    raise FileError(f"more than {MOST_BAD_ROWS:,} of its rows cannot be read")
                yield block
                first += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise FileError(f"cannot be read beyond row {first}: {error}") from None


def _block(
    batch: Any, wanted: list[str], owners: list[str], first: int, dialect: Dialect, share: float
) -> Block:
    n = batch.num_rows
    line = np.arange(first, first + n)
    stamps = batch.column(wanted[0])
    passes = np.full(n, UNKNOWN)
    if pa.types.is_timestamp(stamps.type):
        readable = to_numpy(stamps.is_valid())
        per = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[stamps.type.unit]
        raw = to_numpy(stamps.cast(pa.int64()).fill_null(0))
        time = raw * 1000 if per == 1 else raw // (per // 1000)
    else:
        time, readable, passes = parse(_plain(stamps), dialect.time)
    values = np.empty((n, len(dialect.signals)))
    bad: list[BadRow] = []
    missing = 0
    for index, name in enumerate(wanted[1:]):
        column = batch.column(name).cast(pa.float64(), safe=False).fill_null(np.nan)
        values[:, index] = to_numpy(column)
        infinite = np.isinf(values[:, index])
        missing += int(np.count_nonzero(np.isnan(values[:, index]) & readable))
        for row in np.flatnonzero(infinite & readable).tolist():
            bad.append(BadRow(first + row, "not a number", f"{stamps[row].as_py()},inf"))
        values[infinite, index] = np.nan
    for row in np.flatnonzero(~readable).tolist():
        text = f"{stamps[row].as_py()},{values[row, 0]}"
        bad.append(BadRow(first + row, "time cannot be read", text[:200]))
    rows = Rows(line[readable], time[readable], values[readable], passes[readable])
    block = Block(rows, bad, 0, missing, n, round(n * share))
    put_owners(block, [_plain(batch.column(name)) for name in owners], readable)
    return block
