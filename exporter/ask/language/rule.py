"""One row of the tables by which the parts of a sentence become a query."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.ask.query import What


@dataclass(frozen=True, slots=True)
class Rule:
    """One row; see :mod:`exporter.ask.language.rules`."""

    when: str
    do: str = ""
    ask: What | None = None
    takes: str = ""
    drops: str = ""
    go: str = ""
    no: str = ""
