"""Carries out the steps of tickets and records them in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
from pathlib import Path
from typing import Any

from exporter.assess.assessment import FleetAssessment, as_dict, common_dicts
from exporter.config.side_file import SideFileError
from exporter.deliver.tickets.decide import Step, decide
from exporter.deliver.tickets.incident import Incident, incidents, unseen
from exporter.deliver.tickets.ledger import Entry, lock, read_ledger
from exporter.deliver.tickets.regional import collective, hidden
from exporter.deliver.tickets.ticket_file import Destination, TicketPlan
from exporter.deliver.tickets.trackers import (
    Call,
    as_event,
    calls,
    find_call,
    found_remote,
    made_remote,
)
from exporter.model.http import HttpClient, RequestError
from exporter.model.workers import BlockingCalls

log = logging.getLogger(__name__)

SECONDS = 30.0
LONGEST_WAIT_SECONDS = 3600.0
LARGEST_ANSWER = 4 * 1024 * 1024
# Answers that are about one ticket and not about the tracker as a whole.
_THIS_ONE = frozenset({400, 404, 410, 413, 422})
_WANTED = re.compile(r"(?P<site>[A-Za-z0-9][A-Za-z0-9_.:-]{0,63})--(?P<code>[a-z_]{1,64})\.json\Z")


class NotDoneError(Exception):
    """A request that failed.

    ``unknown`` where it may have been carried out all the same; ``status`` is that of the answer,
    0 without one.
    """

    def __init__(self, reason: str, *, unknown: bool = False, status: int = 0) -> None:
        super().__init__(reason)
        self.unknown = unknown
        self.status = status


class TicketUpdater:
    """Keeps the tickets of one exporter.

    Raises
    ------
    exporter.config.side_file.SideFileError
        Where the folder of the ledger cannot be used or belongs to another exporter.
    """

    def __init__(self, plan: TicketPlan) -> None:
        self._plan = plan
        self._lock = lock(plan.state)
        try:
            self._ledger = read_ledger(plan.state)
        except SideFileError:
            self._lock.close()
            raise
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._http = HttpClient()
        self._calls = BlockingCalls(4, "tickets")

    async def turn(self, assessment: FleetAssessment) -> None:
        """Take all steps that are due. A destination that fails is left alone for a
        while, longer each time, and keeps its order."""
        now = assessment.time
        # Until every site was polled once, an absent incident may only be unseen.
        if assessment.untried:
            return
        known = {key.partition("/")[0] for _, key in self._ledger.entries}
        sites = [
            as_dict(assessment.site(row))
            for row in assessment.by_attention()
            if assessment.issues[row] or assessment.fleet.sites[row].id in known
        ]
        asked = await asyncio.to_thread(wanted, self._plan.state)
        single = incidents(sites, now)
        shared, covered = collective(common_dicts(assessment), sites, single)
        found = [*shared, *single]
        away = frozenset(f"{site['id']}/{code}" for site in sites for code in unseen(site))
        steps = decide(
            self._plan,
            self._ledger,
            found,
            now,
            frozenset(asked),
            away | hidden(sites, away),
            covered,
        )
        for destination in self._plan.destinations:
            if now < self._not_before.get(destination.name, 0.0):
                continue
            own = [step for step in steps if step.destination is destination]
            await self._serve(destination, own, now)
        active = {incident.key for incident in found}
        for key, path in asked.items():
            if key not in active or all(
                (d.name, key) in self._ledger.entries for d in self._plan.destinations
            ):
                path.unlink(missing_ok=True)
        self._ledger.forget(now)
        await asyncio.to_thread(self._ledger.save)

    async def _serve(self, destination: Destination, steps: list[Step], now: float) -> None:
        for step in steps:
            try:
                await self._do(step, now)
            except (NotDoneError, SideFileError, OSError) as error:
                failures = self._failures[destination.name] = (
                    self._failures.get(destination.name, 0) + 1
                )
                wait = min(LONGEST_WAIT_SECONDS, 30.0 * 2 ** min(failures - 1, 10))
                self._not_before[destination.name] = now + wait
                log.warning(
                    "ticket %s not %s at %s, next try in %.0f s: %s",
                    *(step.number, step.what, destination.name, wait, error),
                )
                if isinstance(error, NotDoneError) and error.status in _THIS_ONE:
                    self._give_up(step, now)
                    continue
                return
            self._failures.pop(destination.name, None)
            log.info("ticket %s: %s at %s (%s)", step.number, step.what, destination.name, step.key)

    def _give_up(self, step: Step, now: float) -> None:
        """A ticket that the tracker no longer knows or changes must not hold up others."""
        place = (step.destination.name, step.key)
        entry = self._ledger.entries.get(place)
        if entry is None or step.what == "open":
            return
        if step.what == "reopen":
            del self._ledger.entries[place]
        elif step.what == "close":
            entry.state, entry.closed = "closed", now
        elif step.incident is not None:
            entry.updated, entry.severity = now, step.incident.severity

    async def _do(self, step: Step, now: float) -> None:
        place = (step.destination.name, step.key)
        if step.what == "open":
            await self._open(step, place, now)
            return
        entry = self._ledger.entries[place]
        if entry.state == "opening":
            entry.remote = await self._look_for(step, entry)
            if entry.remote is None:
                del self._ledger.entries[place]
                return
        await self._send(step, entry.remote)
        entry.updated = now
        if step.incident is None:
            entry.state, entry.closed = "closed", now
        else:
            entry.severity, entry.sentence = step.incident.severity, step.incident.sentence
            if step.what == "reopen":
                entry.state, entry.closed, entry.gone = "open", None, None
                entry.since = step.incident.since
                entry.times += 1

    async def _open(self, step: Step, place: tuple[str, str], now: float) -> None:
        found = step.incident
        assert found is not None  # only what is active is opened
        entry = self._ledger.entries.get(place)
        remote = None
        if entry is not None and entry.state == "opening":
            remote = await self._look_for(step, entry)
        else:
            entry = Entry(
                *(step.destination.name, step.key, step.number, "opening"),
                since=found.since,
                opened=now,
                severity=found.severity,
                sentence=found.sentence,
            )
            self._ledger.entries[place] = entry
            # Before the request: after a crash the ticket is looked for, not opened again.
            await asyncio.to_thread(self._ledger.save)
        if remote is None:
            try:
                remote = await self._send(step, None)
            except NotDoneError as error:
                if not error.unknown:
                    del self._ledger.entries[place]
                raise
        entry.remote, entry.state, entry.updated = remote, "open", now

    async def _look_for(self, step: Step, entry: Entry) -> str | None:
        where = step.destination
        call = find_call(where, entry.number, entry.opened, _token(where))
        if call is None:
            return None
        return found_remote(where.kind, await self._ask(call), entry.number)

    async def _send(self, step: Step, remote: str | None) -> str:
        """Carry out a step; returns the tracker's number of the ticket."""
        where = step.destination
        if where.kind == "file":
            assert where.folder is not None  # checked when the plan was read
            await asyncio.to_thread(store, where.folder, as_event(step, step.number))
            return step.number
        made = remote
        for call in calls(step, remote, _token(where)):
            answer = await self._ask(call)
            if made is None:
                made = made_remote(where.kind, answer, step.number)
        return made or step.number

    async def _ask(self, call: Call) -> Any:
        try:
            reply = await self._calls.run(
                self._http.request,
                call.method,
                call.url,
                json=call.body,
                headers=call.headers | call.secret,
                seconds=SECONDS,
                largest=LARGEST_ANSWER,
            )
        except RequestError as error:
            raise NotDoneError(str(error), unknown=error.sent) from error
        body, status = reply.body, reply.status
        if status >= 300:
            words = call.without_secret(" ".join(body.decode("utf-8", "replace").split()))
            reason = f"{call.url} answered {status}: {words[:200]}"
            raise NotDoneError(reason, unknown=status >= 500, status=status)
        with contextlib.suppress(ValueError):
            return json.loads(body)
        return None

    async def close(self) -> None:
        """Write the ledger, close connections and leave the folder."""
        await asyncio.to_thread(self._ledger.save)
        self._http.close()
        self._lock.close()


def _token(destination: Destination) -> str:
    return destination.token.read() if destination.token is not None else ""


def store(folder: Path, event: dict[str, Any]) -> None:
    """The present state of a ticket as a file of its own, replaced in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{event['incident']}.new"
    new.write_text(json.dumps(event, indent=2, ensure_ascii=False) + "\n", "utf-8")
    os.replace(new, folder / f"{event['incident']}.json")


def want(state: Path, incident: Incident) -> Path:
    """Ask for a ticket: the exporter that keeps this folder opens it at its next turn."""
    folder = state / "wanted"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{incident.site}--{incident.code}.json"
    path.write_text("{}\n", "utf-8")
    return path


def wanted(state: Path) -> dict[str, Path]:
    """What was asked for: incident key to the file that asks."""
    folder = state / "wanted"
    if not folder.is_dir():
        return {}
    return {
        f"{match['site']}/{match['code']}": path
        for path in sorted(folder.iterdir())
        if (match := _WANTED.match(path.name))
    }
