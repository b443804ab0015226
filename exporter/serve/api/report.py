"""The report over a period."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import Field

from exporter.ask.query import QueryError
from exporter.ask.request import PARAMETERS, period_of, zone_of
from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList
from exporter.deliver.report.document import as_data, as_html, policy
from exporter.deliver.report.gather import gather
from exporter.deliver.report.model import Report
from exporter.deliver.report.pdf import NoPdfError, as_pdf
from exporter.energy.tariff_file import TariffFile
from exporter.history.influxql import InfluxQL
from exporter.serve.access.roles import Visibility
from exporter.serve.api import schemas
from exporter.serve.api.enumerations import Parameters
from exporter.serve.api.replies import reply, reply_bytes
from exporter.serve.api.stored_past import answered, needed

MEDIA = ("text/html", "application/pdf")
SAME_SECONDS = 60.0
USUAL_DAYS, SHORTEST_DAYS, LONGEST_DAYS = 7.0, 0.01, 366
_DAY = 86_400.0


class ReportQuery(Parameters):
    """Which report, in which form."""

    days: float | None = Field(
        None,
        ge=SHORTEST_DAYS,
        le=LONGEST_DAYS,
        description="Length of the period that ends now; 7 without it",
    )
    period: str | None = Field(
        None, max_length=200, description="In place of days: a past period in words"
    )
    since: str | None = Field(
        None,
        max_length=64,
        description="Its beginning in place of days: ISO 8601, Unix seconds, 30d, monday",
    )
    until: str | None = Field(None, max_length=64, description=PARAMETERS["until"])
    tz: str | None = Field(None, max_length=64, description=PARAMETERS["tz"])
    format: Literal["json", "html", "pdf"] = Field("json", description="Form of the answer")


def router(
    latest: Callable[[], FleetAssessment],
    stored: InfluxQL | None,
    prices: PriceList | None,
    seen: Callable[[], Visibility],
    tariffs: TariffFile | None = None,
) -> APIRouter:
    """``/report``."""
    routes = APIRouter(prefix="/api/v1", tags=["report"])
    made: dict[tuple[object, ...], Report] = {}
    making = asyncio.Lock()

    async def report_of(stored: InfluxQL, query: ReportQuery) -> Report:
        """The report of a period: that of a moment ago, so that all its forms say the same."""
        async with making:
            assessment = latest()
            key = (query.days, query.period, query.since, query.until, query.tz, seen())
            found = made.get(key)
            if found is None or not 0 <= assessment.time - found.made < SAME_SECONDS:
                made.clear()
                start, end = _bounds(query, assessment.time)
                found = made[key] = await gather(assessment, stored, start, prices, tariffs, end)
            return found

    @routes.get("/report", responses=schemas.of(schemas.ReportReply, 503, media=MEDIA))
    async def report(request: Request, query: Annotated[ReportQuery, Query()]) -> Response:
        """What changed, who needs attention, what is getting worse, availability, energy, costs."""
        past = needed(stored)
        try:
            found = await answered(report_of(past, query), "a report")
            if query.format == "json":
                return reply(request, as_data(found))
            html = await asyncio.to_thread(as_html, found)
            if query.format == "html":
                headers = {"Content-Security-Policy": f"{policy()}; frame-ancestors 'none'"}
                return reply_bytes(request, html.encode(), "text/html; charset=utf-8", **headers)
            return reply_bytes(request, await as_pdf(html), "application/pdf")
        except NoPdfError as error:
            raise HTTPException(503, str(error)) from error

    return routes


def _bounds(query: ReportQuery, now: float) -> tuple[float, float | None]:
    """Unix seconds at which the period begins and ends; None for an end of now.

    Raises
    ------
    HTTPException
        422 where it is given twice, cannot be read, or is too short or too long.
    """
    try:
        zone, today = zone_of(query.tz), datetime.now(UTC)
        asked = period_of(query.period, query.since, query.until, zone, today)
    except QueryError as error:
        raise HTTPException(422, str(error)) from error
    if asked is None:
        return now - _DAY * (USUAL_DAYS if query.days is None else query.days), None
    if query.days is not None:
        raise HTTPException(422, "give either days or since, or a period")
    begin, end = asked.start.timestamp(), asked.end.timestamp()
    if not SHORTEST_DAYS * _DAY <= end - begin <= LONGEST_DAYS * _DAY:
        raise HTTPException(422, f"a report covers {SHORTEST_DAYS} to {LONGEST_DAYS} days")
    return begin, None if asked.end >= today else end
