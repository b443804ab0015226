"""Server-sent events: what changed in the fleet, as soon as it is assessed."""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from exporter.assess.assessment import FleetAssessment
from exporter.serve.access.guard import caller_of
from exporter.serve.access.roles import Visibility
from exporter.serve.access.usage import ACCOUNTS, Stream, Streams, accounts_of
from exporter.serve.api.views import brief, fleet_dict

LOOK_SECONDS = 0.5
MOST_STREAMS = 200
MOST_STREAMS_OF_A_CALLER = 50
MOST_RIGHTS = 64
RETRY_MILLISECONDS = 3000
Now = tuple[int | None, float | None]
_WORST = ("code", "component", "severity", "sentence", "action", "since")


class Changes:
    """Tells which sites changed since a caller last asked.

    The work is done once for each Assessment, however many listen. Numbers go on counting and
    mean nothing after a restart, which the token tells.
    """

    def __init__(self, latest: Callable[[], FleetAssessment]) -> None:
        self._latest = latest
        self._lock = threading.Lock()
        self._token = secrets.token_hex(4)
        self._number = 0
        self._seen: FleetAssessment | None = None
        self._fleet = b""
        self._bodies: dict[str, bytes] = {}
        self._compared: dict[str, bytes] = {}
        self._changed: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._readings: dict[str, tuple[int, Now]] = {}
        self._order: list[str] = []
        self._ordered = 0

    def since(self, known: str) -> tuple[str, str]:
        """The id of the present event and its data, given the id of the last one that is known.

        With an id that is not of this run the data hold every site.
        """
        with self._lock:
            self._update()
            token, _, number = known.partition("-")
            full = token != self._token or not number.isdecimal() or int(number) > self._number
            last = -1 if full else int(number)
            sites = [self._bodies[i] for i, n in self._changed.items() if n > last]
            now = {i: values for i, (n, values) in self._readings.items() if n > last}
            gone = [] if full else [i for i, n in self._gone.items() if n > last]
            parts = (
                b'{"full":' + (b"true" if full else b"false"),
                b'"fleet":' + self._fleet,
                b'"sites":[' + b",".join(sites) + b"]",
                b'"now":' + orjson.dumps(now),
                b'"gone":' + orjson.dumps(gone),
                b'"order":' + orjson.dumps(self._order if self._ordered > last else None) + b"}",
            )
            return f"{self._token}-{self._number}", b",".join(parts).decode()

    def _update(self) -> None:
        assessment = self._latest()
        if assessment is self._seen:
            return
        self._seen = assessment
        self._number += 1
        self._fleet = orjson.dumps(fleet_dict(assessment))
        there = set()
        for row, site in enumerate(assessment.fleet.sites):
            there.add(site.id)
            values = now_of(assessment, row)
            if self._readings.get(site.id, (0, None))[1] != values:
                self._readings[site.id] = (self._number, values)
            shown = listed(assessment, row)
            body = orjson.dumps(shown)
            # A place moves whenever another site's does: the order is sent as a whole.
            shown["attention_rank"] = 0
            if self._compared.get(site.id) != (same := orjson.dumps(shown)):
                self._compared[site.id] = same
                self._bodies[site.id] = body
                self._changed[site.id] = self._number
                self._gone.pop(site.id, None)
        for site_id in [i for i in self._bodies if i not in there]:
            del self._bodies[site_id], self._changed[site_id], self._compared[site_id]
            del self._readings[site_id]
            self._gone[site_id] = self._number
        order = [assessment.fleet.sites[row].id for row in assessment.by_attention()]
        if order != self._order:
            self._order, self._ordered = order, self._number


def listed(assessment: FleetAssessment, row: int) -> dict[str, Any]:
    """The brief form of a site as the stream tells it: what moves with every poll is left out.

    Readings are; scores are rounded to a tenth; of the worst issue the sentence has the value to
    as many digits as mean something. A thousand sites would else be sent again with every round.
    """
    found = brief(assessment, row)
    del found["readings"]
    if found["score"] is not None:
        found["score"] = round(found["score"], 1)
    found["components"] = {
        name: None if score is None else round(score, 1)
        for name, score in found["components"].items()
    }
    if found["worst"]:
        found["worst"] = {name: found["worst"][name] for name in _WORST}
    return found


def now_of(assessment: FleetAssessment, row: int) -> Now:
    """State of charge (%) and power of the battery (W), or None, as coarse as a list shows them."""
    soc = float(assessment.readings["soc_percent"][row])
    power = float(assessment.readings["power_w"][row])
    if math.isnan(power):
        return None if math.isnan(soc) else round(soc), None
    digits = max(1, math.floor(math.log10(max(1.0, abs(power)))) - 1)
    return None if math.isnan(soc) else round(soc), round(power, -digits)


def router(
    latest: Callable[[], FleetAssessment],
    era: Callable[[], int | None],
    seen: Callable[[], Visibility],
) -> APIRouter:
    """``/events``."""
    routes = APIRouter(prefix="/api/v1", tags=["events"])
    by_rights: OrderedDict[Visibility, Changes] = OrderedDict()
    streams = Streams(MOST_STREAMS, MOST_STREAMS_OF_A_CALLER)

    def changes_for(rights: Visibility) -> Changes:
        """Listeners with the same rights share one."""
        if rights not in by_rights:
            by_rights[rights] = Changes(latest)
        by_rights.move_to_end(rights)
        if len(by_rights) > MOST_RIGHTS:
            by_rights.popitem(last=False)
        return by_rights[rights]

    async def opened(request: Request) -> AsyncIterator[None]:
        address = request.client.host if request.client else ""
        stream = streams.open(request.scope.get(ACCOUNTS) or accounts_of(address, None))
        request.state.stream = stream
        try:
            yield
        finally:
            streams.close(stream)

    @routes.get("/events", response_class=EventSourceResponse, dependencies=[Depends(opened)])
    async def events(request: Request) -> AsyncIterable[ServerSentEvent]:
        """Events named ``assessment``: the fleet, the sites that changed (in the form of
        ``/sites?view=brief``, without readings), under ``now`` the state of charge and the battery
        power of those in which they moved, the ids of those that are gone and, where it changed,
        the order in which sites need attention. The first one has ``full`` set and holds every
        site, unless ``Last-Event-ID`` says what the caller knows.
        """
        known, shown = request.headers.get("last-event-id", ""), None
        stream: Stream = request.state.stream
        changes = changes_for(seen())
        expires = caller_of(request).expires or math.inf
        begun = era()
        while era() == begun is not None and not stream.evicted and time.time() < expires:
            assessment = latest()
            if assessment is not shown:
                shown = assessment
                known, data = await asyncio.to_thread(changes.since, known)
                yield ServerSentEvent(
                    event="assessment", id=known, raw_data=data, retry=RETRY_MILLISECONDS
                )
            await asyncio.sleep(LOOK_SECONDS)

    return routes
