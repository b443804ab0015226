"""The report over a period."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList
from exporter.deliver.report.document import as_data, as_html, policy
from exporter.deliver.report.gather import gather
from exporter.deliver.report.model import Report
from exporter.deliver.report.pdf import NoPdfError, as_pdf
from exporter.history.influxql import InfluxQL, NoAnswerError
from exporter.serve.access.roles import Visibility
from exporter.serve.api import schemas
from exporter.serve.api.replies import reply, reply_bytes

log = logging.getLogger(__name__)

MEDIA = ("text/html", "application/pdf")
SAME_SECONDS = 60.0


class ReportQuery(BaseModel):
    """Which report, in which form."""

    model_config = ConfigDict(extra="forbid")

    days: float = Field(7.0, ge=0.01, le=366, description="Length of the period that ends now")
    format: Literal["json", "html", "pdf"] = Field("json", description="Form of the answer")


def router(
    latest: Callable[[], FleetAssessment],
    stored: InfluxQL | None,
    prices: PriceList | None,
    seen: Callable[[], Visibility],
) -> APIRouter:
    """``/report``."""
    routes = APIRouter(prefix="/api/v1", tags=["report"])
    made: dict[tuple[float, Visibility], Report] = {}
    making = asyncio.Lock()

    async def report_of(stored: InfluxQL, days: float) -> Report:
        """The report of so many days: that of a moment ago, so that all its forms say the same."""
        async with making:
            assessment = latest()
            key = (days, seen())
            found = made.get(key)
            if found is None or not 0 <= assessment.time - found.made < SAME_SECONDS:
                made.clear()
                start = assessment.time - days * 86400
                found = made[key] = await gather(assessment, stored, start, prices)
            return found

    @routes.get("/report", responses=schemas.of(schemas.ReportReply, 503, media=MEDIA))
    async def report(request: Request, query: Annotated[ReportQuery, Query()]) -> Response:
        """What changed, who needs attention, what is getting worse, availability, energy, costs."""
        if stored is None:
            raise HTTPException(503, "nothing is stored: FLEETSCOPE_INFLUXDB_URL is not set")
        try:
            found = await report_of(stored, query.days)
            if query.format == "json":
                return reply(request, as_data(found))
            html = await asyncio.to_thread(as_html, found)
            if query.format == "html":
                headers = {"Content-Security-Policy": f"{policy()}; frame-ancestors 'none'"}
                return reply_bytes(request, html.encode(), "text/html; charset=utf-8", **headers)
            return reply_bytes(request, await as_pdf(html), "application/pdf")
        except NoAnswerError as error:
            log.info("a report has no answer: %s", error)
            raise HTTPException(503, error.reason) from error
        except NoPdfError as error:
            raise HTTPException(503, str(error)) from error

    return routes
