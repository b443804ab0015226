"""The HTTP API under ``/api/v1``: the latest Assessment and, for the past, InfluxDB."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from exporter.api import comparisons, events, fleet, history, problems, sites
from exporter.assessment import FleetAssessment
from exporter.influxql import InfluxQL


def include(
    app: FastAPI,
    latest: Callable[[], FleetAssessment],
    stored: InfluxQL | None,
    stopping: Callable[[], bool],
) -> None:
    """Add every router and the way in which errors are told.

    Parameters
    ----------
    app : FastAPI
    latest : callable
        The latest Assessment.
    stored : InfluxQL or None
        Where readings are stored; None where they are not.
    stopping : callable
        Whether the server is about to stop, which ends streams.
    """
    problems.install(app)
    app.include_router(fleet.router(latest))
    app.include_router(sites.router(latest))
    app.include_router(comparisons.router(latest))
    app.include_router(history.router(latest, stored))
    app.include_router(events.router(latest, stopping))
