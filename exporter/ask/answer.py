"""The Answer: a sentence, a table and the evidence. Plain data, phrased by every face alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from exporter.ask.query import Query
from exporter.history.coverage import Coverage


class CannotAnswerError(Exception):
    """A query that is right but has no answer now; its text says why and what would help.

    Attributes
    ----------
    suggestions : tuple of str
        What may have been meant.
    status : int
        HTTP status that says the same.
    """

    def __init__(self, message: str, suggestions: tuple[str, ...] = (), status: int = 422) -> None:
        super().__init__(message)
        self.suggestions = suggestions
        self.status = status


@dataclass(frozen=True, slots=True)
class Column:
    """A column: ``key`` of the row, heading, unit, and digits after the point of a number.

    ``kind`` is text, number, reading (a number or the name of a state), status,
    severity, time (Unix seconds) or duration (seconds).
    """

    key: str
    label: str
    kind: str = "text"
    unit: str = ""
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; ``total`` counts those that a limit left out too."""

    title: str
    columns: tuple[Column, ...]
    rows: list[dict[str, Any]]
    total: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer rests on.

    Attributes
    ----------
    time : float
        Unix seconds of the Assessment, or of the end of the period.
    readings : list of dict
        Site, quantity, value, unit, the time it was taken and, where there is one, the threshold.
    missing : list of str
        What was not known, in words.
    notes : list of str
        How it was worked out, where that is not plain.
    promql, influxql : list of str
        What shows the same in Grafana.
    """

    time: float
    readings: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    promql: list[str] = field(default_factory=list)
    influxql: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Attributes
    ----------
    query : Query
    understood : str
        The query in words.
    headline : str
        The answer in a sentence.
    tables : list of Table
    evidence : Evidence
    sites : tuple of str
        Ids of the sites in the answer, in its order: what "the first one" means afterwards.
    attention : bool
        Whether a site that the answer is about needs attention.
    cost : str
        What it will cost, in words, where that was asked.
    coverage : Coverage or None
        What was observed of the period, by site; None for an answer about now.
    """

    query: Query
    understood: str
    headline: str
    tables: list[Table]
    evidence: Evidence
    sites: tuple[str, ...] = ()
    attention: bool = False
    cost: str = ""
    coverage: Coverage | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "query": self.query.as_dict(),
            "understood": self.understood,
            "headline": self.headline,
            "attention": self.attention,
            "sites": list(self.sites),
            "cost": self.cost or None,
            "coverage": _coverage(self.coverage),
            "tables": [
                {
                    "title": table.title,
                    "total": table.total,
                    "columns": [
                        {
                            "key": c.key,
                            "label": c.label,
                            "kind": c.kind,
                            "unit": c.unit,
                            "decimals": c.decimals,
                        }
                        for c in table.columns
                    ],
                    "rows": table.rows,
                }
                for table in self.tables
            ],
            "evidence": {
                "time": self.evidence.time,
                "readings": self.evidence.readings,
                "missing": self.evidence.missing,
                "notes": self.evidence.notes,
                "promql": self.evidence.promql,
                "influxql": self.evidence.influxql,
            },
        }


def _coverage(found: Coverage | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "start": found.start,
        "end": found.end,
        "asked_seconds": found.asked_seconds,
        "observed_ratio": found.share,
        "enough": found.enough,
        "sentence": found.sentence(),
        "observed_seconds": found.seconds,
    }
