"""``/api/v1/sites/{site_id}/exchange``: the last exchange with a site, asked of the collector."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field, with_config
from typing_extensions import TypedDict

from exporter.assess.assessment import FleetAssessment
from exporter.serve.api import schemas
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import row_of

Ask = Callable[[str], Awaitable[dict[str, Any] | None]]
"""The last exchange with a site by its id; None where it is not polled.

Raises TimeoutError where the collector does not answer.
"""


@with_config(schemas.CLOSED)
class ExchangedReading(TypedDict):
    """One quantity: what the device gave, and what became of it."""

    device: str
    quantity: str
    value: float | None
    unit: str
    state: Annotated[str, Field(description="number, missing, implausible, wrong type or stale")]
    reason: str
    place: Annotated[str, Field(description="Where the driver finds it")]
    raw: Annotated[str, Field(description="What stood there; empty where it is not known")]
    age_seconds: float | None


@with_config(schemas.CLOSED)
class ExchangeReply(TypedDict):
    """The last exchange with a site."""

    time: float
    site: str
    way_in: str
    driver: str
    outcome: str | None
    detail: str
    scrape_seconds: float | None
    last_success: float | None
    interval_seconds: float
    raw_values: Annotated[bool, Field(description="Whether raw values are known")]
    raw_values_follow: Annotated[bool, Field(description="Whether the next exchange has them")]
    readings: list[ExchangedReading]
    notices: list[str]


def router(latest: Callable[[], FleetAssessment], ask: Ask) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/api/v1", tags=["sites"])

    @routes.get("/sites/{site_id}/exchange", responses=schemas.of(ExchangeReply, 404, 503))
    async def exchange(request: Request, site_id: str) -> Response:
        """The last exchange with a site: each value that it gave, what became of it, and why.

        The site is not asked again. Raw values of some protocols are kept only once somebody asks
        for them: ``raw_values_follow`` says that the next exchange will have them.
        """
        assessment = latest()
        row_of(assessment, site_id)
        try:
            found = await ask(site_id)
        except TimeoutError:
            raise HTTPException(503, "the process that polls does not answer") from None
        if found is None:
            raise HTTPException(404, "the site is not polled yet")
        return reply(request, {"time": assessment.time, **found})

    return routes
