"""The server process: metrics, API, page and health, over the Assessments that it is sent.

``python -m exporter.serve.process`` is started by the collector alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from dataclasses import replace
from typing import Any

from exporter.assess.assessment import FleetAssessment
from exporter.collect.timers import Timers
from exporter.config import logs
from exporter.config.nodes_file import NodesFile
from exporter.config.settings import Settings
from exporter.deliver.alertmanager import Alertmanager
from exporter.deliver.schedule import Deliveries, load_side_files
from exporter.drivers import DRIVERS
from exporter.history.project_past import ProjectsOfSites, past_of
from exporter.intake.telemetry import Batch
from exporter.model.process_memory import (
    TRIM_SECONDS,
    return_free_pages,
    return_large_blocks,
    spare_collections,
)
from exporter.serve.access.server import GuardedServer, open_audit_log
from exporter.serve.access.visible import VisibleAssessment, delivering, visibility
from exporter.serve.access.visible_past import VisiblePast
from exporter.serve.api.telemetry import Intake
from exporter.serve.application import make_app
from exporter.serve.channel import Channel
from exporter.serve.child import inherited
from exporter.serve.messages import (
    AskExchange,
    Begin,
    Exchanged,
    OrderAnswer,
    Pushed,
    Ready,
    Reload,
    Stop,
)
from exporter.serve.metrics import registry
from exporter.serve.order_channel import OrderChannel
from exporter.serve.page import Links
from exporter.serve.pool import Pool
from exporter.serve.publication import Decoder, Delta, Publication, ServiceNumbers
from exporter.serve.shards.shard_fleet import ShardFleet
from exporter.serve.shards.shard_route import router as shard_router

log = logging.getLogger(__name__)

WATCH_FILE_SECONDS = 2.0
# The collector publishes every two seconds; this long without is no longer a busy machine.
STALLED_SECONDS = 30.0
ASK_SECONDS = 5.0
# Telemetry that the collector has not read yet; more is refused, and sent again by the node.
MOST_UNSENT_BYTES = 4 * 1024 * 1024


class ServerProcess:
    """Serves what the collector publishes, until it says stop."""

    def __init__(self, settings: Settings, channel: Channel, port: int) -> None:
        self._channel = channel
        self._asked = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._decoder = Decoder()
        self._published: Publication | None = None
        self._received = time.monotonic()
        self._shards = ShardFleet(settings, self._publication) if settings.shard_urls else None
        answered = self._shards.publication if self._shards else self._publication
        stored = past_of(settings, ProjectsOfSites(lambda: answered().assessment.fleet))
        self._pool = Pool(settings, answered)
        files = load_side_files(settings)
        audit = open_audit_log(settings)
        own = VisibleAssessment(lambda: self._publication().assessment)
        visible = VisibleAssessment(lambda: answered().assessment) if self._shards else own

        def of_tickets() -> FleetAssessment:
            # Each shard opens those of its own sites.
            with delivering("tickets", files.tickets.only_projects if files.tickets else ()):
                return own()

        self._orders = OrderChannel(
            channel.send,
            lambda: self._publication().numbers.orders,
            settings.dispatch_journal,
            1000.0 * settings.dispatch_second_look_kw,
        )
        self._deliveries = Deliveries(files, of_tickets, self._pool.send_report)
        app = make_app(
            visible,
            lambda: self._publication().waiting,
            registry(own, self._numbers, lambda: _page_url(settings, self._server.scheme, port)),
            VisiblePast(stored, visible) if stored is not None else None,
            files.prices,
            of_projects=registry(own, None),
            seen=visibility,
            reload=lambda: channel.send(Reload()),
            nodes=NodesFile(settings.fleet, DRIVERS, audit) if settings.fleet else None,
            telemetry=Intake(lambda: self._publication().assessment.fleet, self._push),
            stalled=self._stalled,
            version=self._publication,
            pool=self._pool,
            alertmanager=Alertmanager.from_settings(settings),
            links=Links.of(settings),
            tariffs=files.tariffs,
            orders=self._orders,
            exchange=self._exchange,
        )
        if settings.shard_token is not None:
            app.include_router(
                shard_router(
                    lambda: self._publication().assessment,
                    self._stalled,
                    settings.shard,
                    settings.shard_token.get_secret_value(),
                )
            )
        self._server = GuardedServer(
            app, settings, lambda: self._publication().assessment.fleet.projects, audit
        )
        self._timers = Timers(time.monotonic)

    async def run(self, listener: socket.socket) -> None:
        """Serve on a socket that listens; returns after :class:`Stop`."""
        self._channel.send(Ready(self._server.scheme))
        # Nothing can be answered before the first Assessment; callers wait in the backlog.
        self._take(await self._channel.receive())
        self._timers.every(WATCH_FILE_SECONDS, self._server.watch, "web configuration")
        self._timers.every(TRIM_SECONDS, return_free_pages, "memory")
        watching = asyncio.create_task(self._timers.run())
        serving = asyncio.create_task(self._server.serve(listener))
        gathering = asyncio.create_task(self._shards.run()) if self._shards else None
        self._deliveries.start()
        while not isinstance(message := await self._channel.receive(), Stop):
            self._take(message)
        self._server.stop()
        if gathering is not None:
            gathering.cancel()
        await self._timers.stop()
        await watching
        await self._deliveries.stop()
        await serving
        await self._pool.stop()

    def _push(self, batch: Batch) -> bool:
        """Hand telemetry to the collector; False where it has too much to read already."""
        if self._channel.unsent_bytes > MOST_UNSENT_BYTES:
            return False
        self._channel.send(Pushed(batch))
        return True

    async def _exchange(self, site: str) -> dict[str, Any] | None:
        """Ask the collector for the last exchange with a site."""
        self._asked += 1
        number = self._asked
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._channel.send(AskExchange(number, site))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found: dict[str, Any] | None = await answer
                return found
        finally:
            del self._answers[number]

    def _take(self, message: object) -> None:
        if isinstance(message, Exchanged):
            answer = self._answers.get(message.number)
            if answer is not None and not answer.done():
                answer.set_result(message.found)
        if isinstance(message, Delta):
            if message.fleet is not None:
                self._server.audit.configured("fleet file", sites=len(message.fleet.sites))
            self._published = self._decoder.decode(message)
            self._received = time.monotonic()
        elif isinstance(message, OrderAnswer):
            self._orders.take(message)

    def _publication(self) -> Publication:
        assert self._published is not None  # nothing is served before the first one
        return self._published

    def _stalled(self) -> str | None:
        seconds = time.monotonic() - self._received
        if seconds > STALLED_SECONDS:
            return f"the process that polls has published nothing for {seconds:.0f} s"
        return None

    def _numbers(self) -> ServiceNumbers:
        numbers = replace(self._publication().numbers, energy_lookups=self._pool.lookups)
        if self._server.successful is None:
            return numbers
        files = {"web_config": self._server.successful, **numbers.access_files}
        return replace(numbers, access_files=files)


def _page_url(settings: Settings, scheme: str, port: int) -> str:
    """The page as a browser reaches it; one on this machine, where no setting says otherwise."""
    if settings.page_url is not None:
        return settings.page_url
    host = settings.host_port[0]
    if host in ("0.0.0.0", "::"):  # noqa: S104  (compared, not listened on)
        host = "127.0.0.1"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


async def main() -> None:
    """Serve until the collector says stop or is gone."""
    own, listener = inherited()
    channel = await Channel.over(own)
    try:
        begin = await channel.receive()
        assert isinstance(begin, Begin)
        logs.set_up(begin.settings.log_level, begin.settings.log_format)
        port = listener.getsockname()[1]
        await ServerProcess(begin.settings, channel, port).run(listener)
    except EOFError:
        # Without a collector there is nothing to wait for.
        os._exit(1)
    channel.close()


if __name__ == "__main__":
    import uvloop

    spare_collections()
    return_large_blocks()
    uvloop.run(main())
