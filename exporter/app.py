"""The running service: wires polling, state, assessment, store and the server process.

This process is the collector. It holds the scheduler, and nothing that answers anybody.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import resource
import signal
import socket
import time
from pathlib import Path
from typing import Any

from exporter import __version__
from exporter.assess.assessment import Issue, assess
from exporter.collect.exchange import exchange_of
from exporter.collect.point_clock import LIVES, ClockSteps, Stamps
from exporter.collect.poller import Poller
from exporter.collect.state import FleetState
from exporter.collect.sun import Outlook, SunError, outlook
from exporter.config import isolated_reader
from exporter.config.exposed_files import exposed_files
from exporter.config.fleet import Fleet
from exporter.config.reload import FleetFile
from exporter.config.settings import Settings
from exporter.config.shards import parse_shard
from exporter.config.site_secrets import site_secrets_of
from exporter.config.unknown_settings import mistyped
from exporter.control.opening import open_dispatcher
from exporter.control.requests import ControlRequest, DispatchOffError, PlanRequest
from exporter.control.site_inputs import InputReader
from exporter.drivers import DRIVERS, DriverContext
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.modbus.gateway import ModbusTransport
from exporter.drivers.transport.mqtt.broker import MqttTransport
from exporter.drivers.transport.mqtt.connection import Login
from exporter.drivers.transport.push import PushTransport
from exporter.energy.energy_jobs import TURN_SECONDS as ENERGY_SECONDS
from exporter.energy.energy_jobs import EnergyJobs
from exporter.history.cells.renewal import CellWatch
from exporter.history.cells.wear import wear_lines
from exporter.history.influxql import InfluxQL, NoAnswerError
from exporter.history.last_answers import last_answers
from exporter.history.project_past import past_of
from exporter.history.rollups.live import rollups_of
from exporter.history.window_refill import read_window
from exporter.model.cell_findings import SiteCells
from exporter.model.orders import OrderEvent, OrderStatus
from exporter.model.process_memory import (
    TRIM_SECONDS,
    return_free_pages,
    return_large_blocks,
    spare_collections,
)
from exporter.model.snapshot import Snapshot
from exporter.model.text import sites_word
from exporter.portfolio import portfolio_job
from exporter.serve.publication import Publication, ServiceNumbers
from exporter.serve.supervisor import ServerSupervisor
from exporter.store.cell_cadence import CellStore, has_cell_issue
from exporter.store.line_protocol import event_line
from exporter.store.project_writers import writers_of
from exporter.store.queue_stats import SpoolNumbers
from exporter.store.snapshot_sink import SnapshotSink
from exporter.store.writer import Writer
from scoring.pv_power import Expected

log = logging.getLogger(__name__)

ASSESS_SECONDS = 2.0
STORE_ASSESSMENT_SECONDS = 10.0
WATCH_FILE_SECONDS = 2.0
SUN_SECONDS = 60.0
WINDOW_SECONDS = 10.0
CLOCK_SECONDS = 1.0
FIRST_ROUND_SECONDS = 60.0
LARGE_FLEET = 1000
RECALL_SECONDS = 10.0
REFILL_SECONDS = 300.0


class Collector:
    """Everything that runs, built from settings and a fleet file that is known to be good."""

    def __init__(self, settings: Settings, fleet_file: FleetFile, listener: socket.socket) -> None:
        self._listener = listener
        self._settings = settings
        self._file = fleet_file
        self._started, self._began = time.monotonic(), time.time()
        self._state = FleetState(fleet_file.fleet, settings.interval_seconds)
        rng = random.Random()  # noqa: S311 - jitter, not a secret
        self._stamps = Stamps(time.time, rng.randrange(LIVES))
        self._clock_steps = ClockSteps(time.time, time.monotonic)
        shown = settings.shard_token is not None
        self._latest = assess(self._state, time.monotonic(), self._stamps(), keep_inputs=shown)
        self._assess_seconds = 0.0
        self._stored_issues: dict[tuple[str, str], Issue] = {}
        self._cells = CellStore(
            settings.cell_seconds, settings.cell_deadband_volts, settings.cell_deadband_celsius
        )
        self._sink = SnapshotSink(
            self._state, self._cells, self._writer_of, self._note_taken, time.monotonic
        )
        self._outlook: Outlook | None = None
        self._expected: Expected | None = None
        self._integrated = self._observed = time.monotonic()
        self._reloading = asyncio.Lock()
        self._stopping = False
        self._project_of = _projects(fleet_file.fleet)
        self._writers = writers_of(settings, rng)
        self._rollups = (
            rollups_of(self._writers, lambda: self._project_of) if settings.rollups else []
        )
        self._energy = EnergyJobs.of(settings, self._writers, lambda: self._latest)
        self._portfolio = portfolio_job.PortfolioJob(settings)
        self._http = HttpClient(settings.networks)
        self._secrets = site_secrets_of(settings)
        self._push = PushTransport()
        self._poller = Poller(
            registry=DRIVERS,
            context=DriverContext(self._transports(), self._stamps, time.monotonic),
            sink=self._sink.take,
            default_interval=settings.interval_seconds,
            rng=rng,
        )
        self._stored = past_of(settings, lambda: self._project_of)
        self._cell_watch = self._watch_of_cells()
        self._reload_tasks: set[asyncio.Task[None]] = set()
        self._dispatcher = open_dispatcher(
            settings,
            InputReader(self._state, lambda: self._latest, time.time, time.monotonic),
            self._poller.writer_of,
            self._add_lines,
            self._stamps,
            self._order_changed,
        )
        self._published = self._publication()

    def _transports(self) -> Transports:
        def login(site: str, url: str) -> tuple[str, Login]:
            key, username, password = self._secrets.login(site, url)
            return key, Login(username, password)

        return Transports(
            http=HttpTransport(self._http, self._secrets.authorization),
            modbus=ModbusTransport(self._settings.networks),
            mqtt=MqttTransport(login, self._settings.networks),
            push=self._push,
        )

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP reads the fleet file again."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        self._server = ServerSupervisor(
            self._settings.model_copy(update={"fleet": self._file.path.absolute()}),
            self._listener,
            lambda: self._published,
            self._on_hangup,
            lambda batch: self._push.deliver(batch.points, batch.sent),
            self._order,
            lambda site: exchange_of(self._state, site, self._poller.driver_of(site)),
        )
        try:
            # Nothing is polled before every process has found its configuration in order.
            scheme = await self._server.start()
        except SystemExit:
            await self._http.close()
            raise
        self._writers.start()
        for rollups in self._rollups:
            rollups.start(self._may_read_past)
        self._poller.start(self._file.fleet)
        await self._start_jobs()
        sites = sites_word(len(self._file.fleet.sites))
        host = self._settings.host_port[0]
        address = f"{f'[{host}]' if ':' in host else host}:{self._listener.getsockname()[1]}"
        log.info(
            "fleetscope %s polls %s, listening on %s://%s", __version__, sites, scheme, address
        )
        self._store_event("start", f"Fleetscope {__version__} started: {sites}")
        first_sun = asyncio.create_task(self._sun())
        recalling = asyncio.create_task(self._recall())
        watching_cells = asyncio.create_task(self._watch_cells())
        await stop.wait()
        log.info("stopping")
        self._stopping = True
        recalling.cancel()
        isolated_reader.give_up()
        first_sun.cancel()
        self._server.stop()
        if self._dispatcher is not None:
            await self._dispatcher.stop()
        if self._cell_watch is not None:
            await self._cell_watch.stop()
        await self._poller.stop()
        await asyncio.gather(*(rollups.stop() for rollups in self._rollups))
        self._assess()
        self._store_assessment()
        await self._writers.stop()
        await asyncio.gather(watching_cells, recalling, first_sun, return_exceptions=True)
        await self._server.ended()
        await self._http.close()
        if self._energy is not None:
            await asyncio.to_thread(self._energy.close)
        await asyncio.to_thread(self._portfolio.close)
        if self._stored is not None:
            await self._stored.close()
        log.info("stopped")

    async def _start_jobs(self) -> None:
        """Begin what is done again and again."""
        if self._dispatcher is not None:
            # What an earlier run left overdue is released before anything else is done.
            await self._dispatcher.start()
            if self._energy is not None:
                self._energy.orders.dispatcher = self._dispatcher
        self._poller.every(ASSESS_SECONDS, self._assess, "assess")
        self._poller.every(STORE_ASSESSMENT_SECONDS, self._store_assessment, "store")
        self._poller.every(WATCH_FILE_SECONDS, self._watch_file, "watch-file")
        self._poller.every(CLOCK_SECONDS, self._clock_steps.look, "clock")
        self._poller.every(SUN_SECONDS, self._sun, "sun")
        self._poller.every(TRIM_SECONDS, return_free_pages, "memory")
        if self._energy is not None:
            self._poller.every(ENERGY_SECONDS, self._energy.turn, "energy")
            self._poller.every(ENERGY_SECONDS, self._energy.watch_plans, "plans")
        self._poller.every(portfolio_job.TURN_SECONDS, self._portfolio.turn, "portfolio")
        self._poller.every(WINDOW_SECONDS, self._observe, "window")

    async def _recall(self) -> None:
        """Take in when sites answered last before this start."""
        if self._stored is not None:
            await asyncio.gather(*(self._recall_from(one) for one in self._stored.each()))

    async def _recall_from(self, stored: InfluxQL) -> None:
        try:
            async with asyncio.timeout(RECALL_SECONDS):
                answered = await last_answers(stored, self._state.ids, time.time())
        except (NoAnswerError, TimeoutError) as error:
            log.info("when sites answered last before this start is not known: %s", error)
        else:
            self._state.recall(answered, time.monotonic(), time.time())
        await self._refill(stored)

    async def _refill(self, stored: InfluxQL) -> None:
        """Fill the window of the recent past with what one database held before this start."""
        ids = self._state.ids
        try:
            async with asyncio.timeout(REFILL_SECONDS):
                before = await read_window(stored, ids, self._state.constants, self._began)
        except (NoAnswerError, TimeoutError) as error:
            log.info("the past of the sites is not read back: %s", error)
            return
        if ids is self._state.ids:
            self._state.window.adopt(before)

    def _watch_of_cells(self) -> CellWatch | None:
        if self._stored is None:
            return None
        queue = self._settings.queue_dir
        return CellWatch(self._stored, time.time, queue and queue / "cells", self._store_cells)

    def _store_cells(self, found: SiteCells) -> None:
        if (writer := self._writer_of(found.site)) is not None:
            writer.add(wear_lines(found))

    def _writer_of(self, site: str) -> Writer | None:
        return self._writers.of(self._project_of.get(site))

    def _order_changed(self, status: OrderStatus, event: OrderEvent) -> None:
        if self._energy is not None:
            self._energy.orders.note(status, event)

    async def _order(self, request: ControlRequest) -> tuple[int, dict[str, Any]]:
        if self._dispatcher is None:
            return 403, {"detail": str(DispatchOffError())}
        if isinstance(request, PlanRequest):
            if self._energy is None:
                return 409, {"detail": "there are no plans: FLEETSCOPE_FORECASTS is not set"}
            return await self._energy.orders.answer(request)
        return await self._dispatcher.answer(request)

    def _add_lines(self, site: str, lines: list[str]) -> None:
        if (writer := self._writer_of(site)) is not None:
            writer.add(lines)

    def _publication(self) -> Publication:
        whole = self._file.whole if self._settings.shard_urls else None
        return Publication(self._latest, self._numbers(), self._waiting_for(), whole)

    def _waiting_for(self) -> str | None:
        untried = int(self._latest.untried)
        if untried and time.monotonic() - self._started < FIRST_ROUND_SECONDS:
            return f"the first scrape of {untried} sites"
        return None

    def _may_read_past(self) -> bool:
        """Whether roll-ups and the analysis of cells may begin: the first round comes first."""
        return len(self._state.ids) <= LARGE_FLEET or self._waiting_for() is None

    def _note_taken(self, snapshot: Snapshot) -> None:
        if not snapshot.current:
            for rollups in self._rollups:
                rollups.note_late(snapshot.time)
        elif self._dispatcher is not None:
            self._dispatcher.observe(snapshot.site)

    def _assess(self) -> None:
        self._sink.flush()
        before, now = time.thread_time(), time.monotonic()
        if self._expected is not None:
            seconds = min(now - self._integrated, 10 * ASSESS_SECONDS)
            self._state.integrate_pv(self._expected, seconds, now - 3 * self._state.interval)
        self._integrated = now
        self._state.pack_cells()
        cells = self._cell_watch.latest(self._state.ids) if self._cell_watch is not None else None
        shown = self._settings.shard_token is not None
        self._latest = assess(
            self._state, now, self._stamps(), self._latest, cells, keep_inputs=shown
        )
        found = zip(self._latest.fleet.sites, self._latest.issues, strict=True)
        self._sink.cell_issues = frozenset(site.id for site, i in found if i and has_cell_issue(i))
        self._assess_seconds = time.thread_time() - before
        self._published = self._publication()
        self._server.publish()

    def _observe(self) -> None:
        """Add this moment to the recent past of all sites."""
        now = time.monotonic()
        self._state.observe(now, time.time(), now - self._observed, self._expected)
        self._observed = now

    def _store_assessment(self) -> None:
        if not self._writers.by_project:
            return
        latest = self._latest
        active = {
            (site.id, issue.code): issue
            for site, issues in zip(latest.fleet.sites, latest.issues, strict=True)
            for issue in issues
        }
        gone = [
            (site, issue)
            for (site, code), issue in self._stored_issues.items()
            if (site, code) not in active and site in self._state.row
        ]
        self._stored_issues = active
        self._writers.add_assessment(latest, gone)

    async def _watch_cells(self) -> None:
        while not self._may_read_past():  # noqa: ASYNC110 - a moment of the start
            await asyncio.sleep(CLOCK_SECONDS)
        if self._cell_watch is not None:
            await self._cell_watch.run(
                lambda: {site.id: site.commissioned for site in self._file.fleet.sites}
            )

    async def _sun(self) -> None:
        """Take what the sun allows now, and have it worked out further where it ends soon."""
        state, now = self._state, time.time()
        ids, known = state.ids, self._outlook
        if known is None or known.ids is not ids or not known.lasts(now):
            try:
                known = await outlook(ids, now, state.pv_arrays.panels)
            except SunError as error:
                log.error("expected PV power is not known: %s", error)
            if ids is not self._state.ids:
                return
            self._outlook = known
        if known is not None and known.ids is ids:
            self._expected = state.pv_arrays.of_sites(known.at(now))

    def _on_hangup(self) -> None:
        task = asyncio.get_running_loop().create_task(self._reload())
        self._reload_tasks.add(task)
        task.add_done_callback(self._reload_tasks.discard)

    async def _watch_file(self) -> None:
        if self._file.changed():
            await self._reload()

    async def _reload(self) -> None:
        async with self._reloading:
            fleet = await asyncio.to_thread(self._file.reload)
            if fleet is not None and not self._stopping:
                if self._dispatcher is not None:
                    await self._dispatcher.prepare(fleet)
                self._reconfigure(fleet)
                await self._sun()

    def _reconfigure(self, fleet: Fleet) -> None:
        self._sink.flush()
        self._expected = None
        self._project_of = _projects(fleet)
        self._state.reconfigure(fleet)
        self._cells.forget(site.id for site in fleet.sites)
        self._poller.reconfigure(fleet)
        self._store_event("reload", f"Fleet file read again: {len(fleet.sites)} sites")
        self._assess()

    def _store_event(self, kind: str, words: str) -> None:
        # What the exporter does is about all projects.
        if (writer := self._writers.of(None)) is not None:
            writer.add([event_line(kind, words, time.time())])

    def _numbers(self) -> ServiceNumbers:
        spools = self._writers.spools()
        stats = self._poller.stats
        return ServiceNumbers(
            lag_seconds=self._poller.lag_seconds,
            skipped=stats.skipped,
            clock_steps=self._clock_steps.count,
            assessment_seconds=self._assess_seconds,
            spool=SpoolNumbers.together(spools.values()),
            spools=spools if set(spools) - {None} else {},
            writes=self._writers.writes,
            write_errors=self._writers.errors,
            cells_every=self._cell_watch.every_seconds if self._cell_watch else None,
            rollups_time=min((r.stats.success_time for r in self._rollups), default=None),
            reload_successful=self._file.successful,
            reload_time=self._file.success_time,
            access_files={
                name: successful
                for name, successful in (("site_secrets", self._secrets.successful),)
                if successful is not None
            },
            process_id=os.getpid(),
            all_sites=self._file.all_sites,
            orders=self._dispatcher.book() if self._dispatcher is not None else None,
        )


def _projects(fleet: Fleet) -> dict[str, str | None]:
    return {site.id: site.project for site in fleet.sites}


def listen(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say.

    Raises
    ------
    SystemExit
        If that cannot be.
    """
    host, port = settings.host_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SystemExit(
            f"fleetscope: cannot listen on {settings.listen}: {error.strerror}"
        ) from error
    listener.listen(1024)
    return listener


def raise_file_limit() -> None:
    """One connection per site is under way at worst: use what the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(settings: Settings, path: Path) -> None:
    """Run the service; returns after SIGTERM or SIGINT.

    Raises
    ------
    FleetFileError
        If the fleet file cannot be used at start; later it is only refused.
    """
    import uvloop

    for mistake in (*mistyped(), *exposed_files()):
        log.warning("%s", mistake)
    raise_file_limit()
    fleet_file = FleetFile(path, time.time, DRIVERS, parse_shard(settings.shard))
    spare_collections()
    return_large_blocks()

    async def main() -> None:
        await Collector(settings, fleet_file, listen(settings)).run()

    uvloop.run(main())
