"""The HTTP server: metrics, health and, under ``/api/v1``, the Assessment."""

from __future__ import annotations

import contextlib
import gzip
import logging
from collections.abc import Callable, Iterator

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from exporter import __version__
from exporter.ask.answerer import Answerer
from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList
from exporter.history.influxql import InfluxQL
from exporter.serve import api, page
from exporter.serve.access.guard import REFUSALS, may_see_contacts
from exporter.serve.api.answers import answers_router
from exporter.serve.api.schemas import problems_of

log = logging.getLogger(__name__)


def make_app(
    latest: Callable[[], FleetAssessment],
    ready: Callable[[], str | None],
    registry: CollectorRegistry,
    stored: InfluxQL | None = None,
    prices: PriceList | None = None,
    without_contacts: CollectorRegistry | None = None,
    reload: Callable[[], None] | None = None,
) -> FastAPI:
    """The application.

    Parameters
    ----------
    latest : callable
        The latest Assessment.
    ready : callable
        None once the service is ready, else what it still waits for.
    registry : CollectorRegistry
    stored : InfluxQL or None
        Where the past is asked of; None where nothing is stored.
    prices : PriceList or None
        What costs are told by; None for no figures.
    without_contacts : CollectorRegistry or None
        What those see who may not see contacts; None where all may.
    reload : callable or None
        Reads the fleet file again.
    """
    app = FastAPI(
        title="Fleetscope",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=problems_of(*REFUSALS),
    )
    app.state.stopping = False

    @app.get("/metrics", response_class=Response)
    def metrics(request: Request) -> Response:
        """Everything that Prometheus scrapes. Runs in a thread, beside the poll loop."""
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        blank = without_contacts is not None and not may_see_contacts(request)
        body = encoder(without_contacts if without_contacts and blank else registry)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=content_type, headers=headers)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process lives and its loop turns."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"description": "Some site has not been tried yet"}})
    async def readyz() -> Response:
        """Every site has been tried once."""
        waiting = ready()
        body = orjson.dumps({"status": "waiting" if waiting else "ready", "for": waiting})
        return Response(body, 503 if waiting else 200, media_type="application/json")

    if reload is not None:

        @app.post("/-/reload", status_code=202, responses=problems_of(403))
        async def reload_fleet() -> dict[str, str]:
            """Read the fleet file again, as on SIGHUP. Needs the token for changes."""
            reload()
            return {"status": "reading the fleet file"}

    app.include_router(page.router())
    api.include(app, latest, stored, prices, lambda: bool(app.state.stopping))
    app.include_router(answers_router(Answerer(latest, stored, prices)))
    return app


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
        self._app = app

    def stop(self) -> None:
        """Answer what is under way and end; streams end by themselves."""
        self._app.state.stopping = True
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's; uvicorn would take them for as long as it serves."""
        yield
