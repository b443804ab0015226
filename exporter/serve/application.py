"""The HTTP server: metrics, health and, under ``/api/v1``, the Assessment."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from exporter import __version__
from exporter.ask.answerer import Answerer
from exporter.ask.language_model import LanguageModel
from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList
from exporter.config.nodes_file import NodesFile
from exporter.deliver.alertmanager import Alertmanager
from exporter.energy.tariff_file import TariffFile
from exporter.history.alert_history import AlertHistory
from exporter.history.influxql import InfluxQL
from exporter.serve import api, page
from exporter.serve.access.audit import contacts_header
from exporter.serve.access.guard import REFUSALS
from exporter.serve.access.roles import Visibility
from exporter.serve.access.visible_silences import VisibleSilences
from exporter.serve.api import exchange as exchange_route
from exporter.serve.api import site_alerts
from exporter.serve.api.answers import answers_router
from exporter.serve.api.dispatch import router as dispatch_router
from exporter.serve.api.nodes import router as nodes_router
from exporter.serve.api.plan_approval import router as plan_approval_router
from exporter.serve.api.schemas import problems_of
from exporter.serve.api.telemetry import Intake
from exporter.serve.api.telemetry import router as telemetry_router
from exporter.serve.exposition import Expositions
from exporter.serve.order_channel import OrderChannel
from exporter.serve.pool import Pool, PoolRoutes

log = logging.getLogger(__name__)

RETIRED_LOOK_SECONDS = 0.5


def make_app(
    latest: Callable[[], FleetAssessment],
    ready: Callable[[], str | None],
    registry: CollectorRegistry,
    stored: InfluxQL | None = None,
    prices: PriceList | None = None,
    *,
    of_projects: CollectorRegistry | None = None,
    seen: Callable[[], Visibility] = Visibility,
    reload: Callable[[], None] | None = None,
    telemetry: Intake | None = None,
    nodes: NodesFile | None = None,
    stalled: Callable[[], str | None] = lambda: None,
    version: Callable[[], object] | None = None,
    pool: Pool | None = None,
    model: LanguageModel | None = None,
    alerts: AlertHistory | None = None,
    alertmanager: Alertmanager | None = None,
    links: page.Links | None = None,
    orders: OrderChannel | None = None,
    tariffs: TariffFile | None = None,
    exchange: exchange_route.Ask | None = None,
) -> FastAPI:
    """The application.

    Parameters
    ----------
    latest : callable
        The latest Assessment, as the caller of the request under way sees it.
    ready : callable
        None once the service is ready, else what it still waits for.
    registry : CollectorRegistry
    stored : InfluxQL or None
        Where the past is asked of; None where nothing is stored.
    prices : PriceList or None
        What costs are worked out with; None: no costs.
    of_projects : CollectorRegistry or None
        What those see who do not see every project; None where everybody does.
    seen : callable
        What the caller of the request under way sees. Whatever is kept between requests is kept
        for each of its values.
    reload : callable or None
        Reads the fleet file again.
    telemetry : Intake or None
        Takes what nodes send.
    nodes : NodesFile or None
        Where sites are registered; ``reload`` is called after each change.
    stalled : callable
        Why the service is not well though it answers; None while it is.
    version : callable or None
        An object that stays the same as long as metrics do, which are then rendered once.
    pool : Pool or None
        Answers what reads the past or computes for long; None where this process does.
    model : LanguageModel or None
        Asked for questions that the grammar does not understand.
    alerts : AlertHistory or None
        Where past and present alerts are asked of; None where no Prometheus is named.
    alertmanager : Alertmanager or None
        Where alerts are read and silenced; None where no settings name one.
    links : Links or None
        Addresses that the page links to.
    orders : OrderChannel or None
        The way to the dispatcher; None where there is none.
    tariffs : TariffFile or None
    exchange : callable or None
        Asks the collector for the last exchange with a site.
        What energy costs by site and time.
    """
    app = FastAPI(
        title="Fleetscope",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=problems_of(*REFUSALS),
    )
    # None once the server stops; another number after each change of who may sign in.
    app.state.era = 0

    whole, partial = Expositions(registry, version), Expositions(of_projects or registry, version)

    @app.get("/metrics", response_class=Response)
    def metrics(request: Request) -> Response:
        """Everything that Prometheus scrapes."""
        shown = (whole if seen().projects is None else partial).of(seen())
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        compressed = "gzip" in request.headers.get("accept-encoding", "")
        body = shown.body(encoder, content_type, compressed=compressed)
        headers = {"Vary": "Accept, Accept-Encoding"}
        headers |= contacts_header([s.id for s in latest().fleet.sites if s.contact])
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=content_type, headers=headers)

    @app.get("/healthz", responses={503: {"description": "Nothing is assessed any more"}})
    async def healthz() -> Response:
        """The processes live and their loops turn."""
        why = stalled()
        health = {"status": "stalled", "for": why} if why else {"status": "ok"}
        return Response(orjson.dumps(health), 503 if why else 200, media_type="application/json")

    @app.get("/readyz", responses={503: {"description": "Some site has not been tried yet"}})
    async def readyz() -> Response:
        """Every site has been tried once."""
        waiting = ready()
        if waiting and seen().projects is not None:
            # The number of sites is none of this caller's business.
            waiting = "the first scrapes"
        body = orjson.dumps({"status": "waiting" if waiting else "ready", "for": waiting})
        return Response(body, 503 if waiting else 200, media_type="application/json")

    if reload is not None:

        @app.post("/-/reload", status_code=202, responses=problems_of(403))
        async def reload_fleet() -> dict[str, str]:
            """Read the fleet file again, as on SIGHUP. Needs the token for changes."""
            reload()
            return {"status": "reading the fleet file"}

    if nodes is not None and reload is not None:
        app.include_router(nodes_router(nodes, reload))
    if telemetry is not None:
        app.include_router(telemetry_router(telemetry))
    app.include_router(page.router(links))
    if exchange is not None:
        app.include_router(exchange_route.router(latest, exchange))
    api.include(app, latest, stored, prices, lambda: app.state.era, seen, tariffs)
    app.include_router(site_alerts.router(latest, alertmanager))
    silences = VisibleSilences(alertmanager, seen) if alertmanager is not None else None
    answerer = Answerer(latest, stored, prices, alerts, silences, tariffs)
    app.include_router(answers_router(answerer, model, seen))
    channel = orders or OrderChannel()
    app.include_router(plan_approval_router(latest, channel))
    app.include_router(dispatch_router(latest, channel, lambda: app.state.era, seen))
    if pool is not None:
        app.add_middleware(PoolRoutes, pool=pool)
    return app


@runtime_checkable
class Retirable(Protocol):
    """A connection that answers one more request and closes then."""

    def retire(self) -> None:
        """Close after the answer under way, or the next one."""


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
        self._retired = False

    def stop(self) -> None:
        """Answer what is under way and end; streams end by themselves."""
        self._app.state.era = None
        self._retired = False
        self.should_exit = True

    def retire(self) -> None:
        """Accept nothing any more, and end with the last connection."""
        self._retired = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See :class:`uvicorn.Server`; of one that is retired, no connection is cut."""
        if self._retired:
            for server in self.servers:
                server.close()
            for sock in sockets or []:
                sock.close()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Retirable):
                    connection.retire()
            # uvicorn has no event for a connection that ended.
            while self._retired and self.server_state.connections:  # noqa: ASYNC110
                await asyncio.sleep(RETIRED_LOOK_SECONDS)
            sockets = None
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's; uvicorn would take them for as long as it serves."""
        yield
