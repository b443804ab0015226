"""The past of a value of a site."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import Field

from exporter.ask.catalogue import spellings
from exporter.ask.query import Period, QueryError
from exporter.ask.request import PARAMETERS, period_of, zone_of
from exporter.assess.assessment import FleetAssessment
from exporter.history.influxql import InfluxQL
from exporter.history.series import METRICS, read
from exporter.serve.api import schemas
from exporter.serve.api.enumerations import Parameters
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import row_of
from exporter.serve.api.stored_past import answered, needed

_PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*$"


class PastQuery(Parameters):
    """Which period."""

    period: str | None = Field(None, max_length=200, description=PARAMETERS["period"])
    since: str | None = Field(
        None,
        max_length=64,
        description="ISO 8601, Unix seconds, a duration such as 24h, or words; 24h without it",
    )
    until: str | None = Field(None, max_length=64, description="The same; now without it")
    tz: str | None = Field(None, max_length=64, description=PARAMETERS["tz"])

    def asked(self) -> Period:
        """The period; raises HTTPException where it cannot be read."""
        try:
            since = self.since if self.since or self.period else "24h"
            zone, now = zone_of(self.tz), datetime.now(UTC)
            found = period_of(self.period, since, self.until or (since and "now"), zone, now)
        except (QueryError, OverflowError) as error:
            raise HTTPException(422, f"since and until: {error}") from error
        assert found is not None  # one is always given
        return found


class HistoryQuery(PastQuery):
    """Which past."""

    site: str = Field(max_length=64, description="Id of the site")
    metric: str = Field(
        max_length=64,
        description="A reading such as soc_percent or soc, score, battery_score, grid_score, "
        "solar_score, connectivity_score, online, cell_voltage_v or cell_temperature_c",
    )
    points: int = Field(500, ge=10, le=5000, description="Most points of a series")
    device: str | None = Field(None, max_length=64, pattern=_PLAIN, description="Only this battery")
    pack: str | None = Field(
        None, max_length=64, pattern=_PLAIN, description="Only cells of this pack"
    )
    cell: str | None = Field(None, max_length=64, pattern=_PLAIN, description="Only this cell")


def router(latest: Callable[[], FleetAssessment], stored: InfluxQL | None) -> APIRouter:
    """``/history``."""
    routes = APIRouter(prefix="/api/v1", tags=["history"])

    @routes.get("/history", responses=schemas.of(schemas.HistoryReply, 404, 503))
    async def history(request: Request, query: Annotated[HistoryQuery, Query()]) -> Response:
        """One value of one site over time, thinned so that lows and highs stay; null is a gap."""
        row_of(latest(), query.site)
        asked_for = query.metric.lower()
        known_as = (asked_for, *spellings(asked_for))
        metric = next((METRICS[one] for one in known_as if one in METRICS), None)
        if metric is None:
            known = ", ".join(METRICS)
            raise HTTPException(422, f"{query.metric!r} is not stored; one of: {known}")
        given = {"device": query.device, "pack": query.pack, "cell": query.cell}
        tags = {tag: value for tag, value in given.items() if value is not None}
        if wrong := [tag for tag in tags if tag not in metric.by]:
            raise HTTPException(422, f"{query.metric} has no {wrong[0]}")
        period = query.asked()
        since, until = period.start.timestamp(), period.end.timestamp()
        asked = read(needed(stored), metric, query.site, since, until, query.points, tags)
        found = await answered(asked, "a history")
        return reply(request, found)

    return routes
