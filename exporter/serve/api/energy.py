"""What came: energy of sites over a period, with shares, cost and CO2."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response
from numpy.typing import NDArray
from pydantic import Field

from exporter.ask.query import QueryError
from exporter.ask.request import PARAMETERS, period_of, zone_of
from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Site
from exporter.energy.accounts import Account, FlowSum, account
from exporter.energy.buckets import STEPS, Step, too_many, usual_step
from exporter.energy.measured import EXPECTED, FLOWS
from exporter.energy.recent import RECENT_SECONDS, RecentAnswers, cache_status
from exporter.energy.tariff_file import TariffFile, zone_of_site
from exporter.history.influxql import InfluxQL
from exporter.serve.api import schemas
from exporter.serve.api.energy_schemas import EnergyReply
from exporter.serve.api.enumerations import Parameters
from exporter.serve.api.pv_reply import pv_shown
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import row_of
from exporter.serve.api.stored_past import answered, needed

_LABELS = {flow.name: flow.label for flow in (*FLOWS, EXPECTED)}
_NOW = {
    "pv": ("pv_power_w", 1),
    "load": ("load_power_w", 1),
    "generator": ("genset_power_w", 1),
    "grid_import": ("grid_power_w", 1),
    "grid_export": ("grid_power_w", -1),
    "charged": ("power_w", 1),
    "discharged": ("power_w", -1),
}
_SIGNED = {"grid_import", "grid_export", "charged", "discharged"}
USUAL_PERIOD = "today"
VALUES_EACH = 2 * (len(FLOWS) + 1)
"""Numbers that an account holds of each site, and at most of each step."""


class EnergyQuery(Parameters):
    """Whose energy, and of when."""

    site: list[str] = Field(
        [], max_length=1000, description="Ids of sites; without any all that the caller sees"
    )
    project: list[str] = Field([], max_length=100, description="Only sites of these projects")
    period: str | None = Field(None, max_length=200, description=PARAMETERS["period"])
    since: str | None = Field(None, max_length=64, description=PARAMETERS["since"])
    until: str | None = Field(None, max_length=64, description=PARAMETERS["until"])
    tz: str | None = Field(
        None,
        max_length=64,
        description="Time zone in which days begin; of one site its own. PV against the sun is of "
        "each site's own days",
    )
    step: Literal["auto", "15m", "hour", "day", "month", "year"] = Field(
        "auto", description="Steps of the course; auto: as fine as gives about 200"
    )


def router(
    latest: Callable[[], FleetAssessment],
    stored: InfluxQL | None,
    tariffs: TariffFile | None,
) -> APIRouter:
    """``/energy``."""
    routes = APIRouter(prefix="/api/v1", tags=["energy"])
    recent: RecentAnswers[Account] = RecentAnswers()

    @routes.get("/energy", responses=schemas.of(EnergyReply, 404, 503))
    async def energy(request: Request, query: Annotated[EnergyQuery, Query()]) -> Response:
        """Energy of each flow over a period: totals, averages, peaks, the course in steps.

        Counters count where a site has them, powers elsewhere; ``source`` says which. Steps are
        those of the calendar in the time zone. Null is unknown, never zero. Of the last 48 hours an
        answer is kept for a minute: ``until`` and the header Cache-Status say of when it is.
        """
        assessment = latest()
        rows = [row_of(assessment, site) for site in query.site] or [
            row
            for row, site in enumerate(assessment.fleet.sites)
            if query.has("project", site.project)
        ]
        sites = [assessment.fleet.sites[row] for row in dict.fromkeys(rows)]
        zone, since, until, words = _bounds(query, sites)
        step: Step = usual_step(until - since) if query.step == "auto" else query.step
        if too_many(step, until - since):
            coarser = ", ".join(STEPS[STEPS.index(step) + 1 :])
            raise HTTPException(422, f"too many steps of {step} in that period; one of: {coarser}")
        past = needed(stored)
        active = {
            site.id: view.active_battery
            for site, view in zip(assessment.fleet.sites, assessment.records, strict=True)
            if view.active_battery is not None
        }

        def make() -> Coroutine[Any, Any, Account]:
            return account(past, sites, active, since, until, zone, step, tariffs)

        headers = {}
        if time.time() - since <= RECENT_SECONDS:
            ids = tuple(site.id for site in sites)
            # With the hour, so that no word such as today means the day before.
            hour = int(since // 3600)
            asked = (ids, query.period, query.since, query.until, str(zone), step, hour)
            weight = (len(sites) + int((until - since) / 900)) * VALUES_EACH
            made, age = await answered(recent.get(asked, weight, make), "an energy account")
            headers["Cache-Status"] = cache_status(age)
        else:
            made = await answered(make(), "an energy account")
        about = {"period": words, "sites": [site.id for site in sites]}
        found = about | shown(made, sites, _now(assessment, rows, until))
        return reply(request, found, **headers)

    return routes


def _bounds(query: EnergyQuery, sites: list[Site]) -> tuple[tzinfo, float, float, str]:
    """The time zone, Unix seconds of both ends, and the period in words."""
    try:
        zone = zone_of(query.tz)
        if query.tz is None and len(sites) == 1:
            zone = zone_of_site(sites[0])
        given = query.since or query.period
        words = query.period if given else USUAL_PERIOD
        now = datetime.now(UTC)
        period = period_of(words, query.since, query.until, zone, now)
    except (QueryError, OverflowError) as error:
        raise HTTPException(422, f"period: {error}") from error
    assert period is not None  # one is always given
    until = min(period.end.timestamp(), max(now.timestamp(), period.start.timestamp() + 1))
    return zone, period.start.timestamp(), until, period.words


def _now(assessment: FleetAssessment, rows: list[int], until: float) -> dict[str, float]:
    """Present power of each flow, W, where the period reaches to now."""
    if assessment.time - until > 3600:
        return {}
    found = {}
    for flow, (name, sign) in _NOW.items():
        values = sign * assessment.readings[name][rows] if name in assessment.readings else None
        if values is None or np.isnan(values).all():
            continue
        found[flow] = float(np.nansum(np.maximum(values, 0) if flow in _SIGNED else values))
    return found


def shown(made: Account, sites: list[Site], now_w: dict[str, float]) -> dict[str, Any]:
    """An account as the API gives it."""
    hours = (made.end - made.start) / 3600
    return {
        "since": made.start,
        "until": made.end,
        "tz": str(made.zone),
        "step": made.step,
        "resolution_seconds": made.base_seconds,
        "flows": {
            name: _flow(found, hours, now_w.get(name)) | {"label": _LABELS[name]}
            for name, found in made.flows.items()
        },
        "self_consumption_percent": _percent(made.self_consumption),
        "self_sufficiency_percent": _percent(made.self_sufficiency),
        "unaccounted_kwh": _rounded(made.unaccounted_kwh),
        "links": [
            {"source": source, "target": target, "kwh": round(kwh, 4)}
            for (source, target), kwh in made.links.items()
        ],
        "cost": _money(made),
        "co2": None
        if made.co2 is None
        else {
            "assumption": made.co2.assumption,
            "import_kg": round(made.co2.import_kg, 3),
            "feed_in_kg": round(made.co2.feed_in_kg, 3),
            "unknown_kwh": round(made.co2.unknown_kwh, 3),
        },
        "pv": pv_shown(made.pv, len(sites)) if made.pv is not None and made.pv.days else None,
        "course": {
            "starts": made.bounds[:-1].tolist(),
            "end": float(made.bounds[-1]),
            "kwh": {name: _list(values) for name, values in made.course_kwh.items()},
            "cost": None if made.cost is None else _list(made.cost),
        },
        "by_site": [
            {"site": site.id, "name": site.title}
            | {"kwh": {k: round(v, 4) for k, v in made.by_site.get(site.id, {}).items()}}
            for site in sites
        ],
        "queries": made.statements,
    }


def _flow(found: FlowSum, hours: float, now_w: float | None) -> dict[str, Any]:
    return {
        "kwh": _rounded(found.kwh),
        "average_w": _rounded(found.average_w, 1),
        "peak_w": _rounded(found.peak_w, 1),
        "peak_time": found.peak_time,
        "current_w": _rounded(now_w, 1),
        "observed_percent": round(min(100.0, 100 * found.observed_hours / hours / found.sites), 2),
        "source": "+".join(found.sources),
        "sites": found.sites,
        "resets": found.resets,
        "glitches": found.glitches,
    }


def _money(made: Account) -> dict[str, Any] | None:
    money = made.money
    if money is None:
        return None
    return {
        "currency": money.currency,
        "tariffs": list(money.tariffs),
        "import_cost": round(money.import_cost, 4),
        "feed_in_income": round(money.feed_in_income, 4),
        "standing": round(money.standing, 4),
        "net": round(money.net, 4),
        "average_price": _rounded(money.average_price, 5),
        "unpriced_kwh": round(money.unpriced_kwh, 4),
    }


def _list(values: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(v) else round(v, 4) for v in values.tolist()]


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
