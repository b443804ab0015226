"""What the tools return: small, typed, with the evidence. Times are ISO 8601 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

MOST_READINGS = 40
MOST_POINTS = 96
_NOT_TOLD = {"issues"}


class Reading(BaseModel):
    """A reading that an answer rests on."""

    site: str
    quantity: str
    value: float | None
    unit: str
    time: str
    threshold: float | None = None


class TableOut(BaseModel):
    """A table; ``units`` gives the unit of each column that has one."""

    title: str
    rows: list[dict[str, Any]]
    total: int = Field(description="Rows that there are, also those left out by the limit")
    units: dict[str, str]


class EvidenceOut(BaseModel):
    """What an answer rests on."""

    as_of: str
    readings: list[Reading]
    readings_left_out: int = 0
    missing: list[str] = Field(description="What was not known; never to be taken for zero or good")
    notes: list[str]
    promql: list[str] = Field(description="Shows the same in Prometheus or Grafana")
    influxql: list[str] = Field(description="Shows the same in InfluxDB or Grafana")


class CoverageOut(BaseModel):
    """What was observed of the period; below half, nothing is said of the whole."""

    sentence: str
    observed_ratio: float
    enough: bool
    sites_below_half: dict[str, float] = Field(description="Observed share of such sites")


class AnswerOut(BaseModel):
    """An answer: a sentence, tables, and the evidence."""

    headline: str
    understood: str = Field(description="The question as it was understood")
    attention: bool = Field(description="Whether a site in the answer needs attention")
    sites: list[str] = Field(description="Ids of the sites in the answer, in order")
    cost: str | None = None
    coverage: CoverageOut | None = None
    session: str | None = Field(None, description="To be given with a follow-up question")
    notes: list[str] = []
    tables: list[TableOut]
    evidence: EvidenceOut


def moment(seconds: float) -> str:
    """Unix seconds as ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def answer_out(answer: dict[str, Any]) -> AnswerOut:
    """What the exporter answered, made small."""
    evidence = answer["evidence"]
    readings = evidence["readings"]
    return AnswerOut(
        headline=answer["headline"],
        understood=answer["understood"],
        attention=answer["attention"],
        sites=answer["sites"],
        cost=answer["cost"],
        coverage=_coverage(answer["coverage"]),
        session=answer.get("session"),
        notes=answer.get("notes") or [],
        tables=[_table(table) for table in answer["tables"] if table["rows"]],
        evidence=EvidenceOut(
            as_of=moment(evidence["time"]),
            readings=[
                Reading(**{**reading, "time": moment(reading["time"])})
                for reading in readings[:MOST_READINGS]
            ],
            readings_left_out=max(0, len(readings) - MOST_READINGS),
            missing=evidence["missing"],
            notes=evidence["notes"],
            promql=evidence["promql"],
            influxql=evidence["influxql"],
        ),
    )


def _coverage(found: dict[str, Any] | None) -> CoverageOut | None:
    if found is None:
        return None
    asked = found["asked_seconds"]
    shares = {site: round(s / asked, 4) for site, s in found["observed_seconds"].items()}
    return CoverageOut(
        sentence=found["sentence"],
        observed_ratio=round(found["observed_ratio"], 4),
        enough=found["enough"],
        sites_below_half={site: share for site, share in shares.items() if share < 0.5},
    )


def _table(table: dict[str, Any]) -> TableOut:
    times = {column["key"] for column in table["columns"] if column["kind"] == "time"}
    rows = table["rows"]
    if table["title"] == "Course":
        step = max(1, -(-len(rows) // MOST_POINTS))
        rows = rows[::step]
    return TableOut(
        title=table["title"],
        rows=[
            {
                key: moment(value) if key in times and value is not None else value
                for key, value in row.items()
                if key not in _NOT_TOLD
            }
            for row in rows
        ],
        total=table["total"],
        units={c["key"]: c["unit"] for c in table["columns"] if c["unit"]},
    )
