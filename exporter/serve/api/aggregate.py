"""``/aggregate``: the sites that a caller sees, or some of them, as one plant."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from exporter.assess.assessment import FleetAssessment
from exporter.control.plant_view import plant_of
from exporter.serve.api import schemas
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import Selection, row_of

_CLOSED = ConfigDict(extra="forbid")


class AggregateQuery(Selection):
    """Which sites: by id, or by the filters that every list of sites takes."""

    site: list[str] = Field([], max_length=10_000, description="Ids of sites; without them all")


@with_config(_CLOSED)
class PlantFigure(TypedDict):
    """A figure, null where no site gave what it needs; ``sites`` of ``total`` did."""

    value: float | None
    sites: int
    total: int
    coverage: float | None


@with_config(_CLOSED)
class AggregateReply(TypedDict):
    """The sites as one plant. Powers are in W, battery power positive when charging."""

    time: float
    sites: int
    frequency_status: str
    figures: Annotated[
        dict[str, PlantFigure],
        Field(
            description="battery_power_w, grid_power_w; up_w and down_w: what the plant could give "
            "and take more than now, within all limits; contracted_up_w, contracted_down_w; "
            "energy_above_floor_kwh, energy_below_ceiling_kwh; soc_percent, weighted by usable "
            "energy; frequency_hz (median), frequency_spread_hz; online"
        ),
    ]


def router(latest: Callable[[], FleetAssessment]) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/api/v1", tags=["orders"])

    @routes.get("/aggregate", responses=schemas.of(AggregateReply, 404))
    def aggregate(request: Request, query: Annotated[AggregateQuery, Query()]) -> Response:
        """Power, headroom, energy, state of charge and frequency of the sites together, each
        figure with how many sites it is of."""
        assessment = latest()
        if query.site:
            rows = [row_of(assessment, name) for name in dict.fromkeys(query.site)]
        else:
            rows = query.rows(assessment)
        found = plant_of(assessment, rows)
        figures = {
            name: {
                "value": _known(figure.value),
                "sites": figure.sites,
                "total": figure.total,
                "coverage": _known(figure.coverage),
            }
            for name, figure in found.figures.items()
        }
        body = {
            "time": assessment.time,
            "sites": found.sites,
            "frequency_status": found.frequency_status,
            "figures": figures,
        }
        return reply(request, body)

    return routes


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
