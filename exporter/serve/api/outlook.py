"""What comes, and what to do about it: forecasts with scores, plans with reasons."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import Field

from exporter.ask.periods.reader import read_moment
from exporter.ask.query import QueryError
from exporter.ask.request import PARAMETERS, period_of
from exporter.assess.assessment import FleetAssessment
from exporter.energy.savings import measured_saving
from exporter.energy.stored_outlook import (
    read_bands,
    read_forecast,
    read_misses,
    read_plan,
    read_scores,
    read_standing,
    read_summary,
)
from exporter.energy.tariff_file import TariffFile, zone_of_site
from exporter.history.influxql import InfluxQL
from exporter.serve.api import schemas
from exporter.serve.api.energy_schemas import (
    FleetForecastReply,
    ForecastReply,
    PlanReply,
    SavingsReply,
)
from exporter.serve.api.enumerations import Parameters
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import row_of
from exporter.serve.api.stored_past import answered, needed
from scoring.forecast_fleet import fleet_band
from scoring.plan import Bill

AHEAD_SECONDS = 36 * 3600
LONGEST_SECONDS = 100 * 86_400
_SLOT = ("action", "reason", "power_w", "battery_w", "import_w", "export_w", "soc_percent")
_PRICES = ("buy", "sell")
_MISS = ("measured_w", "missed_w", "beyond_w", "method")
_SAVED = ("saved", "missed", "forecast_errors", "not_followed", "coverage")
_BILLS = {"measured": "bill", "plain": "plain", "planned": "planned", "best": "best"}
_SUMMARY = (
    *("strategy", "note", "currency", "saving", "cost", "plain_cost", "wear", "plain_wear"),
    *("stored", "plain_stored", "co2_kg", "plain_co2_kg", "orders"),
)


class ForecastQuery(Parameters):
    """Which forecast."""

    site: str = Field(max_length=64, description="Id of the site")
    quantity: Literal["pv", "load"] = Field("pv", description="What is forecast")
    lead: Literal["next", "1h", "6h", "24h"] = Field(
        "next", description="next: the newest of each slot; else the one issued so long before it"
    )
    since: str | None = Field(None, max_length=64, description=PARAMETERS["since"])
    until: str | None = Field(
        None,
        max_length=64,
        description="The end, which may lie ahead; 36 h after the beginning without it",
    )


class FleetForecastQuery(Parameters):
    """Which forecast of the fleet."""

    quantity: Literal["pv", "load"] = Field("pv", description="What is forecast")


class SavingsQuery(Parameters):
    """Whose savings, and of when."""

    site: str = Field(max_length=64, description="Id of the site")
    period: str | None = Field(
        None, max_length=200, description=f"{PARAMETERS['period']}; yesterday without it"
    )
    since: str | None = Field(None, max_length=64, description=PARAMETERS["since"])
    until: str | None = Field(None, max_length=64, description=PARAMETERS["until"])


class PlanQuery(Parameters):
    """Which plan."""

    site: str = Field(max_length=64, description="Id of the site")
    since: str | None = Field(None, max_length=64, description=PARAMETERS["since"])
    until: str | None = Field(
        None,
        max_length=64,
        description="The end, which may lie ahead; 36 h after the beginning without it",
    )


def router(
    latest: Callable[[], FleetAssessment],
    stored: InfluxQL | None,
    tariffs: TariffFile | None,
) -> APIRouter:
    """``/forecast``, ``/plan`` and ``/savings``."""
    routes = APIRouter(prefix="/api/v1", tags=["energy"])

    @routes.get("/forecast", responses=schemas.of(ForecastReply, 404, 503))
    async def forecast(request: Request, query: Annotated[ForecastQuery, Query()]) -> Response:
        """PV or load of a site in quarter hours: p10, p50 and p90, W, and how good each method was.

        ``serves`` marks the method that serves, and ``why`` says why.
        """
        since, until = _bounds(query, latest())
        source = needed(stored)
        rows = await answered(
            read_forecast(source, query.site, query.quantity, query.lead, since, until),
            "an outlook",
        )
        until_now = time.time() + 3600
        scores = await answered(
            read_scores(source, query.site, query.quantity, until_now), "an outlook"
        )
        misses = await answered(
            read_misses(source, query.site, query.quantity, until_now), "an outlook"
        )
        return reply(
            request,
            {
                "site": query.site,
                "quantity": query.quantity,
                "lead": query.lead,
                "since": since,
                "until": until,
                "starts": [row["time"] for row in rows],
                **{name: [row[name] for row in rows] for name in ("p10_w", "p50_w", "p90_w")},
                "methods": sorted({str(row["method"]) for row in rows}),
                "scores": [_score(row) for row in scores],
                "misses": [
                    {"start": row["time"], "forecast_w": row["p50_w"]}
                    | {name: row[name] for name in _MISS}
                    for row in misses
                ],
            },
        )

    @routes.get("/forecast/fleet", responses=schemas.of(FleetForecastReply, 503))
    async def fleet(request: Request, query: Annotated[FleetForecastQuery, Query()]) -> Response:
        """PV or load of all sites together for 36 h: p10, p50 and p90, W.

        Sites of one region are taken to miss together, regions by themselves.
        """
        sites = latest().fleet.sites
        since = time.time() // 900 * 900
        until = since + AHEAD_SECONDS
        ids = [site.id for site in sites]
        starts, bands = await answered(
            read_bands(needed(stored), ids, query.quantity, since, until), "an outlook"
        )
        regions = sorted({site.region for site in sites if site.region})
        groups = [regions.index(site.region) if site.region else -1 for site in sites]
        total = fleet_band(bands, np.array(groups, dtype=np.int64))
        known = [bool(np.isfinite(band).any()) for band in bands]
        return reply(
            request,
            {
                "quantity": query.quantity,
                "since": since,
                "until": until,
                "sites": sum(known),
                "without": [name for name, there in zip(ids, known, strict=True) if not there],
                "starts": starts.tolist(),
                **{
                    name: [None if math.isnan(w) else round(w, 1) for w in total[:, n].tolist()]
                    for n, name in enumerate(("p10_w", "p50_w", "p90_w"))
                },
            },
        )

    @routes.get("/plan", responses=schemas.of(PlanReply, 404, 503))
    async def plan(request: Request, query: Annotated[PlanQuery, Query()]) -> Response:
        """The battery's plan in quarter hours, each with its reason, and what it is to save.

        A plan is a proposal: nothing is sent to the site before it is approved.
        """
        since, until = _bounds(query, latest())
        source = needed(stored)
        rows = await answered(read_plan(source, query.site, since, until), "an outlook")
        summary = await answered(read_summary(source, query.site, time.time() + 3600), "an outlook")
        standing, why = await answered(
            read_standing(source, query.site, time.time() + 3600), "an outlook"
        )
        return reply(
            request,
            {
                "site": query.site,
                "since": since,
                "until": until,
                "standing": standing,
                "why": why,
                "summary": None
                if summary is None
                else {"issued": summary["time"]} | {name: summary.get(name) for name in _SUMMARY},
                "slots": [
                    {"start": row["time"]} | {name: row.get(name) for name in (*_SLOT, *_PRICES)}
                    for row in rows
                ],
            },
        )

    @routes.get("/savings", responses=schemas.of(SavingsReply, 404, 503))
    async def savings(request: Request, query: Annotated[SavingsQuery, Query()]) -> Response:
        """What the battery's course has saved over a period against plain self-consumption.

        Both, and the best that could have been, are played with the load, the sun and the prices
        that came. What was missed has two parts: what wrong forecasts cost, and what the battery
        did otherwise than planned. Null, and ``why``, where too little was observed.
        """
        assessment = latest()
        row = row_of(assessment, query.site)
        site = assessment.fleet.sites[row]
        source = needed(stored)
        if tariffs is None:
            raise HTTPException(503, "there are no prices: FLEETSCOPE_TARIFFS is not set")
        since, until = _past(query, zone_of_site(site))
        device = assessment.records[row].active_battery
        found = await answered(
            measured_saving(source, site, device, since, until, tariffs), "an outlook"
        )
        about = {"site": query.site, "since": since, "until": until, "currency": tariffs.currency}
        if isinstance(found, str):
            return reply(request, about | dict.fromkeys((*_SAVED, *_BILLS)) | {"why": found})
        figures = {name: _rounded(getattr(found, name)) for name in _SAVED}
        bills = {name: _bill(getattr(found, field)) for name, field in _BILLS.items()}
        return reply(request, about | figures | bills | {"why": ""})

    return routes


def _bill(bill: Bill | None) -> dict[str, float] | None:
    if bill is None:
        return None
    return {name: round(getattr(bill, name), 4) for name in ("energy", "wear", "stored", "total")}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _past(query: SavingsQuery, zone: tzinfo) -> tuple[float, float]:
    """Unix seconds of both ends of a period of the past."""
    now = datetime.now(UTC)
    try:
        words = query.period if query.period or query.since else "yesterday"
        period = period_of(words, query.since, query.until, zone, now)
    except (QueryError, OverflowError) as error:
        raise HTTPException(422, f"period: {error}") from error
    assert period is not None  # one is always given
    if period.seconds > LONGEST_SECONDS:
        raise HTTPException(422, "period: more than 100 days")
    return period.start.timestamp(), min(period.end.timestamp(), now.timestamp())


def _score(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("method", "lead", "why")},
        **{name: row[name] for name in ("mae_w", "pinball_w", "coverage", "slots", "skill")},
        "serves": bool(row["serves"]),
    }


def _bounds(query: ForecastQuery | PlanQuery, assessment: FleetAssessment) -> tuple[float, float]:
    """Unix seconds of both ends; from now on where none is given."""
    site = assessment.fleet.sites[row_of(assessment, query.site)]
    now = datetime.now(UTC)
    if query.since is None and query.until is None:
        begin = now.timestamp() // 900 * 900
        return begin, begin + AHEAD_SECONDS
    zone = zone_of_site(site)
    try:
        # Not a period of the past: its end may lie ahead.
        begin = read_moment(query.since or "now", now, zone).timestamp()
        end = begin + AHEAD_SECONDS
        if query.until is not None:
            end = read_moment(query.until, now, zone).timestamp()
    except (QueryError, OverflowError) as error:
        raise HTTPException(422, f"since and until: {error}") from error
    if not begin < end <= begin + LONGEST_SECONDS:
        raise HTTPException(422, "since and until: expected an end after it, in 100 days at most")
    return begin, end
