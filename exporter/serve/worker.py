"""A worker of the pool: answers requests that read the past or compute for long.

``python -m exporter.serve.worker`` is started by the server process alone. It runs the same
application as the server, over the Assessment that it is sent before each request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from exporter.ask.language_model import LanguageModel
from exporter.config import logs
from exporter.config.settings import Settings
from exporter.deliver.alertmanager import Alertmanager
from exporter.deliver.schedule import load_side_files, send_report
from exporter.history.alert_history import AlertHistory
from exporter.history.influxql import limited_values
from exporter.history.project_past import ProjectsOfSites, past_of
from exporter.serve.access.guard import CALLER
from exporter.serve.access.usage import SharedClock
from exporter.serve.access.visible import VisibleAssessment, calling, delivering, visibility
from exporter.serve.access.visible_alerts import VisibleAlerts
from exporter.serve.access.visible_past import VisiblePast
from exporter.serve.api.problems import problem
from exporter.serve.application import make_app
from exporter.serve.channel import Channel
from exporter.serve.child import inherited
from exporter.serve.memory import RequestMemory
from exporter.serve.messages import Begin, Cancel, Ready, Reply, Request, SendReport, Stop
from exporter.serve.publication import Decoder, Delta, Publication

log = logging.getLogger(__name__)

# Polling comes first.
NICENESS = 5
# Whoever waits for InfluxDB holds a place in the worker: so many seconds count as one of work.
WAITING_SHARE = 8
# Of InfluxDB, for one request: a year of 10,000 sites by the day, or 15 packs of cells in full.
MOST_VALUES = 5_000_000


class Worker:
    """Answers what the server passes on."""

    def __init__(self, settings: Settings, channel: Channel) -> None:
        self._channel = channel
        self._memory = RequestMemory(settings.worker_megabytes)
        self._clock = SharedClock(_processor_seconds)
        self._decoder = Decoder()
        self._published: Publication | None = None
        self._files = load_side_files(settings)
        alerts = AlertHistory.from_settings(settings)
        self._visible = visible = VisibleAssessment(lambda: self._publication().assessment)
        stored = past_of(settings, ProjectsOfSites(lambda: self._publication().assessment.fleet))
        self._stored = VisiblePast(stored, visible) if stored is not None else None
        self._app = make_app(
            visible,
            lambda: None,
            CollectorRegistry(),
            self._stored,
            self._files.prices,
            model=LanguageModel.from_settings(settings),
            seen=visibility,
            alerts=VisibleAlerts(alerts, visible) if alerts is not None else None,
            tariffs=self._files.tariffs,
            alertmanager=Alertmanager.from_settings(settings),
        )
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Answer until :class:`Stop`."""
        self._channel.send(Ready())
        while not isinstance(message := await self._channel.receive(), Stop):
            if isinstance(message, Delta):
                self._published = self._decoder.decode(message)
                if message.fleet is not None:
                    self._memory.limit()
            elif isinstance(message, Request | SendReport):
                task = asyncio.create_task(self._answer(message))
                self._tasks[message.number] = task
            elif isinstance(message, Cancel) and message.number in self._tasks:
                self._tasks[message.number].cancel()

    def _publication(self) -> Publication:
        assert self._published is not None  # sent before the first request
        return self._published

    async def _answer(self, message: Request | SendReport) -> None:
        begun, mark = time.monotonic(), self._clock.enter()
        reply = Reply(message.number, 503)
        try:
            if isinstance(message, Request):
                reply = await self._http(message)
            else:
                reply = await self._report(message)
        finally:
            used = max(self._clock.leave(mark), (time.monotonic() - begun) / WAITING_SHARE)
            # Also of what was cancelled: the server sees that it has stopped, and what it took.
            self._channel.send(replace(reply, seconds=used))
            del self._tasks[message.number]

    async def _http(self, request: Request) -> Reply:
        """Run the application once."""
        status, headers, body = 500, [], bytearray()
        left = [{"type": "http.request", "body": request.body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if left:
                return left.pop()
            await asyncio.Event().wait()
            raise AssertionError  # the event is never set

        async def send(message: Any) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message["headers"])
            else:
                body.extend(message.get("body", b""))

        try:
            scope: dict[str, Any] = dict(request.scope)
            with calling(scope[CALLER]), limited_values(MOST_VALUES):
                await self._app(scope, receive, send)
        except MemoryError:
            log.error("a request needed more memory than there is: %s", request.scope["path"])
            return _too_much(request.number)
        except Exception:
            # The caller is answered with 500 by the application itself.
            log.exception("a request failed: %s", request.scope["path"])
        return Reply(request.number, status, headers, bytes(body))

    async def _report(self, request: SendReport) -> Reply:
        plan = self._files.report
        assert plan is not None  # asked for with a report file only
        assert self._stored is not None  # checked when the file was read
        with delivering("report", plan.only_projects):
            failed = await send_report(
                self._visible(), self._stored, plan, self._files.prices, self._files.tariffs
            )
        return Reply(request.number, failed=tuple(failed))


def _too_much(number: int) -> Reply:
    detail = "this needs more memory than a worker has; ask about fewer sites or a shorter period"
    refusal = problem(503, detail, headers={"Retry-After": "10"})
    return Reply(number, refusal.status_code, list(refusal.raw_headers), bytes(refusal.body))


def _processor_seconds() -> float:
    """What this process and the programs that it started have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


async def main() -> None:
    """Answer until the server says stop or is gone."""
    (own,) = inherited()
    os.nice(NICENESS)
    channel = await Channel.over(own)
    try:
        begin = await channel.receive()
        assert isinstance(begin, Begin)
        logs.set_up(begin.settings.log_level, begin.settings.log_format)
        await Worker(begin.settings, channel).run()
    except EOFError:
        os._exit(1)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
