"""Sites against each other: ranking, outliers, and a few side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import Field

from exporter.assess.assessment import FleetAssessment
from exporter.model.quantities import DERIVED, QUANTITIES
from exporter.serve.api import schemas
from exporter.serve.api.enumerations import Parameters
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import Selection, by_value, page_of, row_of
from scoring.outliers import OUTLIER_METRICS
from scoring.status import Status
from scoring.weights import WEIGHTS

_GROUPS = {0: "battery_type", 1: "region", 2: "fleet", -1: None}
OUTLIERS_BY_NAME = {metric.name: metric for metric in OUTLIER_METRICS}
MOST_COMPARED = 50
_SCORES = ("score", *WEIGHTS)
VALUES = (*_SCORES, *DERIVED, *QUANTITIES)


class RankingQuery(Selection):
    """Which sites, ranked by what."""

    by: str = Field(
        "attention",
        max_length=64,
        description="attention, performance, score, a component (battery, grid, solar, "
        "connectivity), pv_performance_ratio, or a reading such as soh_percent",
        json_schema_extra={"enum": ["attention", "performance", *VALUES]},
    )
    order: Literal["ascending", "descending"] | None = Field(
        None, description="Order of the values; scores are ranked worst first without it"
    )


class OutlierQuery(Parameters):
    """Which outliers."""

    metric: list[str] = Field(
        [],
        max_length=20,
        description="Only these metrics",
        json_schema_extra={"items": {"type": "string", "enum": list(OUTLIERS_BY_NAME)}},
    )
    all: bool = Field(False, description="Every site with a score, not the flagged ones only")


class CompareQuery(Parameters):
    """Which sites side by side, in what."""

    site: list[str] = Field(min_length=1, max_length=MOST_COMPARED, description="Ids of sites")
    metric: list[str] = Field(
        [],
        max_length=100,
        description="Only these: score, a component, or readings",
        json_schema_extra={"items": {"type": "string", "enum": list(VALUES)}},
    )


def values_of(assessment: FleetAssessment, name: str) -> np.ndarray[Any, Any]:
    """One value of every site, shape (N,), NaN where unknown.

    Raises
    ------
    HTTPException
        422 where there is no value of that name.
    """
    if name == "score":
        return assessment.scores.overall.score
    for part in assessment.scores.components:
        if part.name == name:
            return part.score
    found = assessment.readings.get(name)
    if found is None:
        known = ", ".join(VALUES)
        raise HTTPException(422, f"{name[:64]!r} is not a value of a site; one of: {known}")
    return found


def unit_of(name: str) -> str:
    """The unit of such a value: points for scores, empty for ratios, states and counts."""
    row = QUANTITIES.get(name) or DERIVED.get(name)
    return row.unit if row else "points"


def router(latest: Callable[[], FleetAssessment]) -> APIRouter:
    """``/ranking``, ``/outliers`` and ``/compare``."""
    routes = APIRouter(prefix="/api/v1", tags=["comparisons"])

    @routes.get("/ranking", responses=schemas.of(schemas.RankingReply))
    def ranking(request: Request, query: Annotated[RankingQuery, Query()]) -> Response:
        """The chosen sites in the order of one value; sites without it are counted, not ranked."""
        assessment = latest()
        rows = query.rows(assessment)
        values: np.ndarray[Any, Any]
        if query.by in ("attention", "performance"):
            values = getattr(assessment.scores, query.by).astype(float)
            unit = "rank"
        else:
            values, unit = values_of(assessment, query.by), unit_of(query.by)
        ranked = by_value(rows, values, descending=query.order == "descending")
        shown, about = page_of(ranked, query, request)
        sites, status = assessment.fleet.sites, assessment.scores.overall.status
        listed = [
            {
                "place": query.offset + place,
                "id": sites[row].id,
                "name": sites[row].title,
                "status": Status(int(status[row])).name,
                "value": float(values[row]),
            }
            for place, row in enumerate(shown, start=1)
        ]
        answer = {"time": assessment.time, "by": query.by, "unit": unit, **about}
        return reply(request, {**answer, "unknown": len(rows) - len(ranked), "ranking": listed})

    @routes.get("/outliers", responses=schemas.of(schemas.OutliersReply))
    def outliers(request: Request, query: Annotated[OutlierQuery, Query()]) -> Response:
        """Sites unlike their peers: robust z against the narrowest group with enough members."""
        unknown = [name[:64] for name in query.metric if name not in OUTLIERS_BY_NAME]
        if unknown:
            known = ", ".join(OUTLIERS_BY_NAME)
            raise HTTPException(422, f"{unknown[0]!r} has no outlier score; one of: {known}")
        assessment = latest()
        found = [
            _outliers(assessment, name, every=query.all)
            for name in OUTLIERS_BY_NAME
            if not query.metric or name in query.metric
        ]
        return reply(request, {"time": assessment.time, "metrics": found})

    @routes.get("/compare", responses=schemas.of(schemas.CompareReply, 404))
    def compare(request: Request, query: Annotated[CompareQuery, Query()]) -> Response:
        """Sites side by side, with the median of the fleet; a value that is missing is null."""
        assessment = latest()
        rows = [row_of(assessment, site) for site in dict.fromkeys(query.site)]
        names = query.metric or _compared(assessment, rows)
        sites = [assessment.fleet.sites[row] for row in rows]
        table = []
        for name in names:
            values = values_of(assessment, name)
            known = values[~np.isnan(values)]
            table.append(
                {
                    "metric": name,
                    "unit": unit_of(name),
                    "values": {
                        s.id: _number(values[row]) for s, row in zip(sites, rows, strict=True)
                    },
                    "fleet_median": float(np.median(known)) if known.size else None,
                    "fleet_known": int(known.size),
                }
            )
        status = assessment.scores.overall.status
        heads = [
            {"id": site.id, "name": site.title, "status": Status(int(status[row])).name}
            for site, row in zip(sites, rows, strict=True)
        ]
        return reply(request, {"time": assessment.time, "sites": heads, "metrics": table})

    return routes


def _outliers(assessment: FleetAssessment, name: str, *, every: bool) -> dict[str, Any]:
    metric, found = OUTLIERS_BY_NAME[name], assessment.scores.outliers[name]
    concerns = metric.concerns(found)
    rows = np.flatnonzero(~np.isnan(found.z) if every else found.flagged)
    sites = assessment.fleet.sites
    listed = [
        {
            "id": sites[row].id,
            "name": sites[row].title,
            "z": float(found.z[row]),
            "flagged": bool(found.flagged[row]),
            "concern": bool(concerns[row]),
            "median": float(found.median[row]),
            "mad": float(found.mad[row]),
            "group": _GROUPS[int(found.grouping[row])],
            "members": int(found.members[row]),
        }
        for row in sorted(rows.tolist(), key=lambda row: -abs(found.z[row]))
    ]
    return {
        "metric": name,
        "unit": metric.unit,
        "worse": metric.worse,
        "meaning": metric.description,
        "scored": int((~np.isnan(found.z)).sum()),
        "sites": listed,
    }


def _compared(assessment: FleetAssessment, rows: list[int]) -> list[str]:
    """Scores, and every reading that at least one of the sites has."""
    parts = [part.name for part in assessment.scores.components]
    readings = [
        name
        for name, values in assessment.readings.items()
        if any(not math.isnan(values[row]) for row in rows)
    ]
    return ["score", *parts, *readings]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
