"""Phrasings and what they must become, in one line each: ``question => what parts``."""

from __future__ import annotations

from pathlib import Path

from exporter.ask.query import Query

FOLDER = Path(__file__).parent


def compact(query: Query) -> str:
    """A query in one line, everything that is asked for in it and nothing else."""
    parts = [query.what.value]
    parts += query.sites
    parts += [str(f).replace(" ", "_") for f in query.filters]
    parts += [f"?{c}" for c in query.conditions]
    parts += [f"?{c}" for c in query.comparisons]
    parts += [f"#{m}" for m in query.metrics]
    for name in (
        "order",
        "limit",
        "severity",
        "group_by",
        "events",
        "cell",
        "lasting",
        "times",
        "unit",
        "figure",
    ):
        if getattr(query, name):
            parts.append(f"{name}={getattr(query, name)}")
    parts += [f"cause={cause}" for cause in query.causes]
    parts += [name for name in ("any_of", "count", "with_cost") if getattr(query, name)]
    if query.period:
        start, end = (f"{t:%Y-%m-%dT%H:%M}" for t in (query.period.start, query.period.end))
        parts.append(f"{start}/{end}")
    if query.beside:
        start, end = (f"{t:%Y-%m-%dT%H:%M}" for t in (query.beside.start, query.beside.end))
        parts.append(f"beside={start}/{end}")
    return " ".join(parts)


def read(name: str) -> list[tuple[str, str]]:
    """Questions and what is expected of them; empty for those that must be declined."""
    lines = (FOLDER / name).read_text("utf-8").splitlines()
    pairs = [line.split(" => ") for line in lines if line.strip() and not line.startswith("#")]
    return [(pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs]
