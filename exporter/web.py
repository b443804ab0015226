"""The HTTP server: metrics, health and the Assessment as JSON."""

from __future__ import annotations

import contextlib
import gzip
import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from exporter import __version__
from exporter.assessment import FleetAssessment, as_dict

log = logging.getLogger(__name__)


def fleet_dict(assessment: FleetAssessment) -> dict[str, Any]:
    """The fleet as a whole, as plain JSON values."""
    return {
        "time": assessment.time,
        "version": __version__,
        "sites": len(assessment.fleet.sites),
        "counts": {status.name: count for status, count in assessment.counts.items()},
        "mean_score": assessment.mean,
        "median_score": assessment.median,
        "attention": [assessment.fleet.sites[row].id for row in assessment.needing_attention()],
        "common_issues": [
            {
                "code": issue.code,
                "sites": [assessment.fleet.sites[row].id for row in issue.members.tolist()],
                "attribute": issue.attribute,
                "value": issue.value,
                "sentence": issue.sentence,
            }
            for issue in assessment.common
        ],
    }


def make_app(
    latest: Callable[[], FleetAssessment],
    ready: Callable[[], str | None],
    registry: CollectorRegistry,
) -> FastAPI:
    """The application.

    Parameters
    ----------
    latest : callable
        The latest Assessment.
    ready : callable
        None once the service is ready, else what it still waits for.
    registry : CollectorRegistry
    """
    app = FastAPI(title="Fleetscope", version=__version__, docs_url=None, redoc_url=None)

    @app.get("/metrics", response_class=Response)
    def metrics(request: Request) -> Response:
        """Everything that Prometheus scrapes. Runs in a thread, beside the poll loop."""
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        body = encoder(registry)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=content_type, headers=headers)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process lives and its loop turns."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> Response:
        """Every site has been tried once."""
        waiting = ready()
        body = orjson.dumps({"status": "waiting" if waiting else "ready", "for": waiting})
        return Response(body, 503 if waiting else 200, media_type="application/json")

    @app.get("/api/v1/fleet")
    def fleet() -> Response:
        """Counts, mean and median, common issues, and who needs attention."""
        return _json(fleet_dict(latest()))

    @app.get("/api/v1/sites")
    def sites() -> Response:
        """Every site, those that need attention most first."""
        assessment = latest()
        ranked = [as_dict(assessment.site(row)) for row in assessment.by_attention()]
        return _json({"time": assessment.time, "sites": ranked})

    @app.get("/api/v1/sites/{site_id}")
    def site(site_id: str) -> Response:
        """One site."""
        assessment = latest()
        for row, candidate in enumerate(assessment.fleet.sites):
            if candidate.id == site_id:
                return _json({"time": assessment.time, **as_dict(assessment.site(row))})
        raise HTTPException(404, f"there is no site with the id {site_id[:80]!r}")

    return app


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


class Server(uvicorn.Server):
    """uvicorn inside a loop that is already running, with signals left to the service."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            server_header=False,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's; uvicorn would take them for as long as it serves."""
        yield
