"""The report over a period."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from exporter.api import examples
from exporter.api.replies import reply, reply_bytes
from exporter.assessment import FleetAssessment
from exporter.costs import PriceList
from exporter.influxql import InfluxQL, NoAnswerError
from exporter.report.document import as_data, as_html
from exporter.report.gather import gather
from exporter.report.pdf import NoPdfError, as_pdf

MEDIA = ("text/html", "application/pdf")


class ReportQuery(BaseModel):
    """Which report, in which form."""

    model_config = ConfigDict(extra="forbid")

    days: float = Field(7.0, ge=0.01, le=366, description="Length of the period that ends now")
    format: Literal["json", "html", "pdf"] = Field("json", description="Form of the answer")


def router(
    latest: Callable[[], FleetAssessment], stored: InfluxQL | None, prices: PriceList | None
) -> APIRouter:
    """``/report``."""
    routes = APIRouter(prefix="/api/v1", tags=["report"])

    @routes.get("/report", responses=examples.of("report", 503, media=MEDIA))
    async def report(request: Request, query: Annotated[ReportQuery, Query()]) -> Response:
        """What changed, who needs attention, what is getting worse, availability, energy, costs."""
        if stored is None:
            raise HTTPException(503, "nothing is stored: FLEETSCOPE_INFLUXDB_URL is not set")
        assessment = latest()
        start = assessment.time - query.days * 86400
        try:
            found = await gather(assessment, stored, start, prices)
            if query.format == "json":
                return reply(request, as_data(found))
            html = as_html(found)
            if query.format == "html":
                return reply_bytes(request, html.encode(), "text/html; charset=utf-8")
            return reply_bytes(request, await as_pdf(html), "application/pdf")
        except (NoAnswerError, NoPdfError) as error:
            raise HTTPException(503, str(error)) from error

    return routes
