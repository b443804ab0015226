"""What the first lines of a file leave open, decided by all of it, and by its neighbours.

A column has one decimal mark and one order of day and month. The first lines often prove them; the
rest of the file must not say otherwise. Where a file says nothing, the files of the same rule do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter.history.importing.csv_dialect import Dialect
from exporter.history.importing.file_error import FileError
from exporter.history.importing.file_lines import Piece
from exporter.history.importing.layout import FilePlan, Signal
from exporter.history.importing.number_dialect import (
    OTHER_MARK,
    NumberDialectError,
    NumberEvidence,
    decide,
    two_readings,
)
from exporter.history.importing.row_blocks import body_pieces, examine, is_parquet, read_fields
from exporter.history.importing.time_formats import OpenOrderError, TimeFormat, resolve_order

_MOST_TEXTS = 20_000
"""Different texts of one block that are looked at one by one."""


@dataclass(slots=True)
class _Seen:
    """What a whole file says.

    Attributes
    ----------
    evidence : list of NumberEvidence
        Of each signal.
    orders : tuple of TimeFormat
        Those that remain possible.
    samples : list of str
        Times of the file.
    """

    evidence: list[NumberEvidence]
    orders: tuple[TimeFormat, ...]
    samples: list[str]


class FolderDialects:
    """The dialect of each file of an import, decided.

    Parameters
    ----------
    plans : iterable of FilePlan
        All files of the import: those of the same rule decide for each other.
    """

    def __init__(self, plans: Iterable[FilePlan]) -> None:
        self._plans = list(plans)
        self._seen: dict[str, tuple[Dialect, _Seen] | None] = {}

    def of(self, plan: FilePlan) -> Dialect:
        """The dialect of a file.

        Raises
        ------
        FileError
            If two readings of its times or numbers are possible; the text shows both.
        """
        dialect = examine(plan)
        if is_parquet(plan.path):
            return dialect
        # NEM12 defines its decimal mark.
        defined = "." if dialect.shape is not None and dialect.shape.kind == "nem12" else None
        given = plan.format.decimal or defined
        if given and not dialect.orders:
            return _with_marks(dialect, (given,) * len(dialect.signals))
        seen = _look(plan, dialect)
        self._seen[plan.name] = dialect, seen
        dialect = replace(dialect, time=self._time(plan, seen) or dialect.time, orders=())
        if given:
            return _with_marks(dialect, (given,) * len(dialect.signals))
        return _with_marks(dialect, self._marks(plan, dialect, seen))

    def _others(self, plan: FilePlan) -> list[tuple[Dialect, _Seen]]:
        """What the other files of the same rule say."""
        found = []
        for other in self._plans:
            if other.rule.match != plan.rule.match or other.name == plan.name:
                continue
            if other.name not in self._seen:
                try:
                    dialect = examine(other)
                    self._seen[other.name] = (
                        None if is_parquet(other.path) else (dialect, _look(other, dialect))
                    )
                except FileError:
                    self._seen[other.name] = None
            known = self._seen[other.name]
            if known is not None:
                found.append(known)
        return found

    def _time(self, plan: FilePlan, seen: _Seen) -> TimeFormat | None:
        if len(seen.orders) < 2:
            return seen.orders[0] if seen.orders else None
        proven = set()
        for dialect, other in self._others(plan):
            if len(other.orders) == 1:
                proven |= set(other.orders) & set(seen.orders)
            elif not other.orders:
                proven |= {dialect.time} & set(seen.orders)
        if len(proven) == 1:
            return proven.pop()
        raise FileError(str(OpenOrderError(seen.samples, seen.orders)))

    def _marks(self, plan: FilePlan, dialect: Dialect, seen: _Seen) -> tuple[str, ...]:
        fits = [partial(_within_physics, signal) for signal in dialect.signals]
        marks = _decided(dialect, seen.evidence, fits)
        known = {mark for mark, found in zip(marks, seen.evidence, strict=True) if found.proofs}
        if "" in marks and len(known) != 1:
            for other_dialect, other in self._others(plan):
                try:
                    decided = _decided(other_dialect, other.evidence, [None] * len(other.evidence))
                except FileError:
                    continue
                known |= {
                    mark
                    for mark, found in zip(decided, other.evidence, strict=True)
                    if mark and (found.either or found.proofs)
                }
        if "" in marks and len(known) == 1:
            mark = known.pop()
            marks = [found or mark for found in marks]
        for mark, evidence in zip(marks, seen.evidence, strict=True):
            if not mark:
                raise FileError(two_readings(next(iter(evidence.either.values()))))
        return tuple(marks)


def _with_marks(dialect: Dialect, marks: tuple[str, ...]) -> Dialect:
    return replace(dialect, decimals=marks, evidence=())


def _decided(
    dialect: Dialect,
    evidence: list[NumberEvidence],
    fits: Sequence[Callable[[float], bool] | None],
) -> list[str]:
    """The mark of each signal's column; empty where two readings are possible."""
    try:
        return [
            decide(found, dialect.separator, inside) or ""
            for found, inside in zip(evidence, fits, strict=True)
        ]
    except NumberDialectError as error:
        raise FileError(str(error)) from None


def _within_physics(signal: Signal, value: float) -> bool:
    stored = float(signal.conversion.apply(np.array([value]))[0])
    return signal.quantity.minimum <= stored <= signal.quantity.maximum


def _look(plan: FilePlan, dialect: Dialect) -> _Seen:
    """Read the columns of times and numbers to the end, as far as something can still change."""
    orders = dialect.orders
    seen = _Seen(list(dialect.evidence), orders, [])
    columns = list(dict.fromkeys(int(s.column or 0) for s in dialect.signals))
    times = list(dialect.time_columns) if orders else []
    for piece in body_pieces(plan.path, dialect):
        if not piece.lines.size:
            continue
        if not times and not _contradicts(piece.raw, dialect, seen.evidence):
            continue
        table, invalid = read_fields(piece.raw, dialect, list(dict.fromkeys([*times, *columns])))
        for n, signal in enumerate(dialect.signals):
            if not invalid or seen.evidence[n].proofs:
                column = table.column(str(int(signal.column or 0)))
                _add_texts(column, piece, seen.evidence[n], exact=not invalid)
        if times:
            parts = [table.column(str(c)).combine_chunks() for c in times]
            stamps = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, " ")
            if not seen.samples:
                # Some of the whole block, so that there is one from another day.
                every = max(len(stamps) // 50, 1)
                seen.samples = [str(stamp).strip() for stamp in stamps[::every].to_pylist()]
            orders = resolve_order(stamps, orders) or orders
            times = times if len(orders) > 1 else []
    seen.orders = orders
    return seen


def _contradicts(raw: bytes, dialect: Dialect, evidence: list[NumberEvidence]) -> bool:
    """Whether lines may hold a mark that the ones before them do not."""
    for found in evidence:
        if len(found.proofs) != 1:
            return True
        other = OTHER_MARK[next(iter(found.proofs))]
        if other == dialect.separator:
            return b'"' in raw
        if other.encode() in raw:
            return True
    return False


def _add_texts(column: Any, piece: Piece, evidence: NumberEvidence, *, exact: bool) -> None:
    """Add the fields of a column that may say something new, each spelling once."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    texts = column
    if len(evidence.proofs) == 1:
        other = OTHER_MARK[next(iter(evidence.proofs))]
        texts = column.filter(pc.match_substring(column, other))
    for text in pc.unique(texts)[:_MOST_TEXTS].to_pylist():
        if evidence.add(0, text or ""):
            place = pc.index(column, text).as_py() if exact else None
            line = 0 if place is None else int(piece.lines[place])
            evidence.number_examples(line)
