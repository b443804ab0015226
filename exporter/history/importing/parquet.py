"""Parquet files: columns that have types already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from exporter.history.importing.arrow_arrays import to_numpy
from exporter.history.importing.csv_dialect import (
    TIME_NAMES,
    Dialect,
    FileError,
    choose_value,
    first_plan,
    with_units,
)
from exporter.history.importing.layout import FilePlan, LayoutError, Signal
from exporter.history.importing.rows import BadRow, Block, Rows, put_owners
from exporter.history.importing.time_formats import (
    TimeFormat,
    TimeFormatError,
    detect,
    named_format,
    parse,
)

ROWS = 131_072
_SAMPLE_ROWS = 400
_TYPED = "typed"


def _open(plan: FilePlan) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(plan.path)
    except (OSError, pa.ArrowException) as error:
        raise FileError(f"is not Parquet: {error}") from None


def examine_parquet(plan: FilePlan) -> Dialect:
    """How a Parquet file is laid out.

    Raises
    ------
    FileError
    """
    with _open(plan) as file:
        schema = file.schema_arrow
        heading = list(schema.names)
        if file.metadata.num_rows == 0:
            raise FileError("it holds no rows")
        sample = next(file.iter_batches(batch_size=_SAMPLE_ROWS))
    keys = tuple((name, _column(said, heading)) for name, said in plan.rule.series.items())
    column = _time_column(heading, schema, plan.format.time_column)
    kind = schema.types[column]
    try:
        time = _time_format(kind, sample.column(column), plan.format.time_format)
        if time.is_local and plan.format.timezone is None:
            raise FileError("its times are local and no time zone is said; say --timezone")
        texts = [sample.column(c).cast(pa.string()).to_pylist() for _, c in keys]
        plan = first_plan(
            plan, tuple((n, i) for i, (n, _) in enumerate(keys)), zip(*texts, strict=True)
        )
        signals = plan.signals(heading, {column, *(c for _, c in keys)})
    except (TimeFormatError, LayoutError) as error:
        raise FileError(str(error)) from None
    if not plan.rule.columns:
        taken = {column, *(c for _, c in keys)}
        numeric = [i for i, t in enumerate(schema.types) if i not in taken and _is_number(t)]
        index = choose_value(signals[0].column, heading, numeric)
        signal = plan.with_unit(signals[0], heading[index])
        signals = [Signal(signal.kind, signal.tags, signal.conversion, index)]
    for signal in signals:
        found = schema.types[int(signal.column or 0)]
        if not _is_number(found):
            raise FileError(f"column {heading[int(signal.column or 0)]!r} is {found}, not numbers")
    with_units(signals)
    return Dialect(
        "", 0, ",", ".", len(heading), (column,), time, tuple(signals), keys, tuple(heading)
    )


def _is_number(kind: Any) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _column(said: str | int, heading: list[str]) -> int:
    if isinstance(said, str) and said in heading:
        return heading.index(said)
    if isinstance(said, int) and 1 <= said <= len(heading):
        return said - 1
    raise FileError(f"there is no column {said!r}; it has {', '.join(heading[:12])}")


def _time_column(heading: list[str], schema: Any, said: Any) -> int:
    if said is not None:
        return _column(said, heading)
    typed = [i for i, t in enumerate(schema.types) if pa.types.is_timestamp(t)]
    named = [i for i, name in enumerate(heading) if name.casefold() in TIME_NAMES]
    for candidates in ([i for i in named if i in typed], typed, named):
        if len(candidates) == 1:
            return candidates[0]
    raise FileError(
        f"which column holds the time cannot be told; say --time-column, one of: "
        f"{', '.join(heading[:12])}"
    )


def _time_format(kind: Any, sample: Any, said: str | None) -> TimeFormat:
    if pa.types.is_timestamp(kind):
        # A zone in the type means that the stored instants are of UTC already.
        return TimeFormat("iso_zoned" if kind.tz else "iso")
    if said:
        return named_format(said)
    found = detect([str(v) for v in sample.to_pylist() if v is not None])
    if found is None:
        raise FileError(f"the times are {kind} and cannot be read; say --time-format")
    return found


def parquet_blocks(plan: FilePlan, dialect: Dialect) -> Iterator[Block]:
    """The rows of a Parquet file in batches; their "line" is the row, from 1."""
    with _open(plan) as file:
        names = file.schema_arrow.names
        indices = [dialect.time_columns[0], *(int(s.column or 0) for s in dialect.signals)]
        wanted = [names[i] for i in indices]
        owners = [names[c] for _, c in dialect.keys]
        share = plan.path.stat().st_size / max(file.metadata.num_rows, 1)
        first = 1
        try:
            columns = list(dict.fromkeys([*wanted, *owners]))
            for batch in file.iter_batches(batch_size=ROWS, columns=columns):
                yield _block(batch, wanted, owners, first, dialect, share)
                first += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise FileError(f"cannot be read beyond row {first}: {error}") from None


def _block(
    batch: Any, wanted: list[str], owners: list[str], first: int, dialect: Dialect, share: float
) -> Block:
    n = batch.num_rows
    line = np.arange(first, first + n)
    stamps = batch.column(wanted[0])
    if pa.types.is_timestamp(stamps.type):
        readable = to_numpy(stamps.is_valid())
        per = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[stamps.type.unit]
        raw = to_numpy(stamps.cast(pa.int64()).fill_null(0))
        time = raw * 1000 if per == 1 else raw // (per // 1000)
    else:
        time, readable = parse(pc.fill_null(stamps.cast(pa.string()), ""), dialect.time)
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
    rows = Rows(line[readable], time[readable], values[readable])
    block = Block(rows, bad, 0, missing, n, round(n * share))
    said = [batch.column(name) for name in owners]
    put_owners(block, [pc.fill_null(c.cast(pa.string()), "") for c in said], readable)
    return block
