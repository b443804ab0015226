"""The HTTP API under ``/api/v1``: the latest Assessment and, for the past, InfluxDB."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList
from exporter.energy.tariff_file import TariffFile
from exporter.history.influxql import InfluxQL
from exporter.serve.access.roles import Visibility
from exporter.serve.api import (
    aggregate,
    comparisons,
    documentation,
    energy,
    events,
    fleet,
    history,
    outlook,
    portfolio,
    problems,
    report,
    sites,
    surface,
)
from exporter.serve.head import HeadRequests


def include(
    app: FastAPI,
    latest: Callable[[], FleetAssessment],
    stored: InfluxQL | None,
    prices: PriceList | None,
    era: Callable[[], int | None],
    seen: Callable[[], Visibility],
    tariffs: TariffFile | None = None,
) -> None:
    """Add every router, problem details, documentation, and HEAD.

    Parameters
    ----------
    app : FastAPI
    latest : callable
        The latest Assessment.
    stored : InfluxQL or None
        Where readings are stored; None where they are not.
    prices : PriceList or None
    era : callable
        None once the server stops, else a number; streams end when it changes.
    seen : callable
        What the caller of the request under way sees.
    tariffs : TariffFile or None
    """
    problems.install(app)
    app.include_router(fleet.router(latest))
    app.include_router(sites.router(latest, stored=stored is not None))
    app.include_router(comparisons.router(latest))
    app.include_router(aggregate.router(latest, stored))
    app.include_router(history.router(latest, stored))
    app.include_router(surface.router(latest, stored))
    app.include_router(energy.router(latest, stored, tariffs))
    app.include_router(outlook.router(latest, stored, tariffs))
    app.include_router(portfolio.router(latest, stored))
    app.include_router(report.router(latest, stored, prices, seen, tariffs))
    app.include_router(events.router(latest, era, seen))
    documentation.install(app)
    app.add_middleware(HeadRequests)
