"""``/aggregate``: the sites that a caller sees, or some of them, as one plant."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from exporter.ask.answer import CannotAnswerError
from exporter.ask.plant_history import Figure, plant_history
from exporter.assess.assessment import FleetAssessment
from exporter.control.plant_view import plant_of
from exporter.history.influxql import InfluxQL
from exporter.serve.api import schemas
from exporter.serve.api.history import PastQuery
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import Selection, row_of
from exporter.serve.api.stored_past import needed

_CLOSED = ConfigDict(extra="forbid")


class AggregateQuery(Selection):
    """Which sites: by id, or by the filters that every list of sites takes."""

    site: list[str] = Field([], max_length=10_000, description="Ids of sites; without them all")

    def chosen(self, assessment: FleetAssessment) -> list[int]:
        """Rows of the chosen sites."""
        if self.site:
            return [row_of(assessment, name) for name in dict.fromkeys(self.site)]
        return self.rows(assessment)


class AggregateHistoryQuery(AggregateQuery, PastQuery):
    """Which figure of which sites, and over which period."""

    figure: Figure = Field(
        description="Powers are added up, soc_percent is weighted by usable energy"
    )


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


@with_config(_CLOSED)
class AggregateHistoryReply(TypedDict):
    """A figure of a plant over time. ``values[i]`` covers ``sites[i]`` of ``total`` sites, in the
    step that begins at ``times[i]`` (Unix seconds); a step without readings is absent."""

    figure: str
    since: float
    until: float
    total: int
    times: list[float]
    values: list[float]
    sites: list[int]
    queries: list[str]


def router(latest: Callable[[], FleetAssessment], stored: InfluxQL | None) -> APIRouter:
    """Both routes."""
    routes = APIRouter(prefix="/api/v1", tags=["orders"])

    @routes.get("/aggregate", responses=schemas.of(AggregateReply, 404))
    def aggregate(request: Request, query: Annotated[AggregateQuery, Query()]) -> Response:
        """Power, headroom, energy, state of charge and frequency of the sites together, each
        figure with how many sites it is of."""
        assessment = latest()
        found = plant_of(assessment, query.chosen(assessment))
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

    @routes.get("/aggregate/history", responses=schemas.of(AggregateHistoryReply, 404, 503))
    async def aggregate_history(
        request: Request, query: Annotated[AggregateHistoryQuery, Query()]
    ) -> Response:
        """The past of a figure of the sites together, each step with how many sites it covers."""
        assessment, past = latest(), needed(stored)
        rows = query.chosen(assessment)
        period = query.asked()
        active = {
            assessment.fleet.sites[row].id: device
            for row in rows
            if (device := assessment.records[row].active_battery)
        }
        sites = [assessment.fleet.sites[row] for row in rows]
        try:
            found = await plant_history(past, query.figure, period, sites, active)
        except CannotAnswerError as error:
            raise HTTPException(error.status, str(error)) from error
        body = {
            "figure": query.figure,
            "since": period.start.timestamp(),
            "until": period.end.timestamp(),
            "total": found.total,
            "times": found.times.tolist(),
            "values": found.values.tolist(),
            "sites": found.sites.tolist(),
            "queries": found.statements,
        }
        return reply(request, body)

    return routes


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
