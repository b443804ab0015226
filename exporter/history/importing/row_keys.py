"""Rows that say whose they are: how a name is found in a column, and the plan for a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from exporter.history.importing.entity_names import entity_pattern
from exporter.history.importing.file_error import FileError
from exporter.history.importing.layout import FilePlan, LayoutError

_MOST_REGISTERS = 24


def key_patterns(
    plan: FilePlan, keys: tuple[tuple[str, int], ...], body: list[list[str]]
) -> tuple[tuple[str, str], ...]:
    """How a name is taken out of what a column says, such as ``sensor.cell_{cell}``."""
    given = plan.rule.series_patterns
    return tuple(
        (name, pattern)
        for name, column in keys
        if (pattern := given.get(name) or entity_pattern(name, {row[column] for row in body}))
    )


def first_plan(
    plan: FilePlan,
    keys: tuple[tuple[str, int], ...],
    body: Iterable[Sequence[str | None]],
    patterns: dict[str, str] | None = None,
) -> FilePlan:
    """Where rows say whose they are, the plan for the first one that says it as it should."""
    if not keys:
        return plan
    fault: LayoutError | None = None
    for row in body:
        try:
            return plan.of_row({name: key_text(row[c]) for name, c in keys}, patterns or {})
        except LayoutError as error:
            fault = fault or error
    raise FileError(f"no row says whose it is: {fault}")


def key_text(written: str | None) -> str:
    """A name without blanks around it, and 17 for the 17.0 that a spreadsheet makes of it."""
    name = (written or "").strip()
    return name[:-2] if re.fullmatch(r"\d+\.0", name) else name


def check_one_series(
    headings: list[str], samples: list[str], body: list[list[str]], taken: set[int]
) -> None:
    """Refuse rows of several registers, whose times stand there once for each.

    Raises
    ------
    FileError
    """
    if len(set(samples)) > 0.6 * len(samples):
        return
    for column in range(len(headings)):
        if column in taken:
            continue
        texts = list(dict.fromkeys(row[column].strip() for row in body))
        if not 2 <= len(texts) <= _MOST_REGISTERS:
            continue
        pairs = {(time, row[column].strip()) for time, row in zip(samples, body, strict=True)}
        if len(pairs) > 0.9 * len(samples):
            raise FileError(
                f"its rows are of several series: {headings[column]!r} is {', '.join(texts[:6])}; "
                f"say --where {headings[column]}={texts[0]}, or where and series in the mapping"
            )
