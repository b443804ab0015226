"""The cells of a site over time as one surface, in few bytes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from exporter.ask.query import QueryError
from exporter.ask.request import PARAMETERS, period_of, zone_of
from exporter.assess.assessment import FleetAssessment
from exporter.history.cells.surface import (
    MISSING,
    Kept,
    Quantity,
    Surface,
    TooManyCellsError,
    read_surface,
)
from exporter.history.influxql import InfluxQL
from exporter.serve.api import schemas
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import row_of
from exporter.serve.api.stored_past import answered, needed
from scoring.rules import CELL_WARMER_BY_C


class SurfaceQuery(BaseModel):
    """Which cells, of which time."""

    model_config = ConfigDict(extra="forbid")

    site: str = Field(max_length=64, description="Id of the site")
    pack: list[str] = Field([], max_length=100, description="Only these packs; else all")
    quantity: Quantity = Field("deviation", description="deviation is from the pack's median")
    kept: Kept = Field(
        "mean", description="What is kept of each step; of temperatures mean is the highest"
    )
    period: str | None = Field(None, max_length=200, description=PARAMETERS["period"])
    since: str | None = Field(None, max_length=64, description=PARAMETERS["since"])
    until: str | None = Field(None, max_length=64, description=PARAMETERS["until"])
    tz: str | None = Field(None, max_length=64, description=PARAMETERS["tz"])


def router(latest: Callable[[], FleetAssessment], stored: InfluxQL | None) -> APIRouter:
    """``/surface``."""
    routes = APIRouter(prefix="/api/v1", tags=["history"])

    @routes.get("/surface", responses=schemas.of(schemas.SurfaceReply, 404, 503))
    async def surface(request: Request, query: Annotated[SurfaceQuery, Query()]) -> Response:
        """Voltage, temperature or deviation of each cell in even steps of a period.

        ``values`` is the base64 of 16-bit integers, little-endian, cell by cell: a value is
        ``offset + scale * integer``, and the integer ``missing`` stands for no reading.
        """
        assessment = latest()
        row = row_of(assessment, query.site)
        since, until, words = _bounds(query)
        asked = read_surface(
            needed(stored), query.site, query.pack, query.quantity, query.kept, since, until
        )
        try:
            found = await answered(asked, "a surface")
        except TooManyCellsError as error:
            raise HTTPException(422, f"{error}; choose a pack") from error
        site = assessment.fleet.sites[row]
        limits = assessment.fleet.thresholds_of(site)
        about = {
            "site": query.site,
            "name": site.title,
            "period": words,
            "since": since,
            "until": until,
            "limits": {
                "voltage_off_v": limits.cell_spread_warning / 2,
                "temperature_off_k": CELL_WARMER_BY_C,
                "temperature_max_c": limits.temperature_max,
            },
        }
        body = await asyncio.to_thread(_body, found, since, until)
        return reply(request, about | body)

    return routes


def _bounds(query: SurfaceQuery) -> tuple[float, float, str]:
    """Unix seconds of both ends, and the period in words."""
    try:
        given = query.since or query.period
        words = query.period if given else "7d"
        now = datetime.now(UTC)
        period = period_of(words, query.since, query.until, zone_of(query.tz), now)
    except (QueryError, OverflowError) as error:
        raise HTTPException(422, f"period: {error}") from error
    assert period is not None  # one is always given
    return period.start.timestamp(), period.end.timestamp(), period.words


def _body(found: Surface, since: float, until: float) -> dict[str, Any]:
    integers, scale, offset = found.packed()
    known = np.isfinite(found.values)
    seen = np.flatnonzero(known.any(axis=0))
    packs = groupby(zip(found.packs, found.cells, strict=True), key=lambda pair: pair[0])
    return {
        "quantity": found.quantity,
        "kept": found.kept,
        "unit": found.unit,
        "begin": found.begin,
        "step_seconds": found.step,
        "steps": found.values.shape[1],
        "packs": [{"pack": pack, "cells": [cell for _, cell in cells]} for pack, cells in packs],
        "observed_percent": round(100.0 * float(known.mean()), 2) if known.size else 0.0,
        "first": max(since, found.begin + float(seen[0]) * found.step) if seen.size else None,
        "last": min(until, found.begin + float(seen[-1] + 1) * found.step) if seen.size else None,
        "scale": scale,
        "offset": offset,
        "missing": MISSING,
        "level": found.level,
        "query": found.query,
        "values": base64.b64encode(integers.tobytes()).decode(),
    }
