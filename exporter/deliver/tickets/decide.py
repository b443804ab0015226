"""Decides the next steps of tickets from current incidents and the ledger. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from exporter.deliver.tickets.incident import Incident, moment, text, title
from exporter.deliver.tickets.ledger import Entry, Ledger
from exporter.deliver.tickets.ticket_file import Destination, TicketPlan
from exporter.model.text import duration_words

What = Literal["open", "update", "reopen", "close"]
MARKUP = frozenset({"github", "gitlab", "jira"})


@dataclass(frozen=True, slots=True)
class Step:
    """One action on one ticket. ``incident`` is None where it has ended."""

    what: What
    destination: Destination
    key: str
    number: str
    title: str
    text: str
    incident: Incident | None


def number_of(destination: str, key: str, since: float) -> str:
    """The number of an incident at a destination: unique, and always the same."""
    digest = hashlib.blake2b(f"{destination}\n{key}\n{since:.3f}".encode(), digest_size=6)
    return f"FS-{digest.hexdigest()}"


def decide(
    plan: TicketPlan,
    ledger: Ledger,
    found: Iterable[Incident],
    now: float,
    wanted: frozenset[str] = frozenset(),
    unseen: frozenset[str] = frozenset(),
    covered: frozenset[str] = frozenset(),
) -> list[Step]:
    """The steps to take, in the order of the destinations and the urgency of incidents.

    Marks in the ledger when an incident was first absent, and nothing else; the updater records
    what it did.

    Parameters
    ----------
    plan : TicketPlan
    ledger : Ledger
    found : iterable of Incident
        Every active issue.
    now : float
        Unix seconds.
    wanted : frozenset of str
        Keys of incidents that someone asked a ticket for: they need not be old or severe enough.
    unseen : frozenset of str
        Keys of incidents that cannot be seen at present: they are not over.
    covered : frozenset of str
        Keys of incidents that another one stands for: they get no ticket of their own.
    """
    active = {incident.key: incident for incident in found}
    steps: list[Step] = []
    for destination in plan.destinations:
        steps += _close(plan, ledger, destination, unseen | active.keys(), now)
        opened = sum(
            entry.opened > now - 3600
            for entry in ledger.entries.values()
            if entry.destination == destination.name
        )
        for key, incident in active.items():
            entry = ledger.entries.get((destination.name, key))
            if key in covered - wanted and (entry is None or entry.state == "closed"):
                continue
            step = _keep(plan, destination, entry, incident, now, key in wanted)
            if step is None:
                continue
            if step.what == "open":
                if opened >= plan.most_per_hour and key not in wanted:
                    continue
                opened += 1
            steps.append(step)
    return steps


def chosen(destination: Destination, incident: Incident) -> bool:
    """Whether a destination accepts an incident."""
    return (
        incident.severity in destination.severities
        and (not destination.codes or incident.code in destination.codes)
        and (not destination.priorities or incident.priority in destination.priorities)
    )


def _keep(
    plan: TicketPlan,
    destination: Destination,
    entry: Entry | None,
    incident: Incident,
    now: float,
    wanted: bool,
) -> Step | None:
    if entry is None or (
        entry.closed is not None and now - entry.closed > plan.reopen_hours * 3600
    ):
        old_enough = now - incident.since >= plan.after_seconds
        if wanted or (old_enough and chosen(destination, incident)):
            number = number_of(destination.name, incident.key, incident.since)
            return _step("open", plan, destination, number, incident)
        return None
    if entry.state == "opening":
        return _step("open", plan, destination, entry.number, incident)
    if entry.state == "closed":
        old_enough = now - incident.since >= plan.after_seconds
        if wanted or (old_enough and chosen(destination, incident)):
            return _step("reopen", plan, destination, entry.number, incident, "It is back.")
        return None
    entry.gone = None
    if entry.severity != incident.severity:
        words = f"The severity is {incident.severity} now; it was {entry.severity}."
        return _step("update", plan, destination, entry.number, incident, words)
    if now - entry.updated >= plan.update_hours * 3600:
        lasting = duration_words(max(0.0, now - entry.since))
        return _step(
            "update", plan, destination, entry.number, incident, f"It goes on, for {lasting} now."
        )
    return None


def _close(
    plan: TicketPlan,
    ledger: Ledger,
    destination: Destination,
    there: frozenset[str],
    now: float,
) -> list[Step]:
    steps = []
    for (name, key), entry in ledger.entries.items():
        if name != destination.name or key in there or entry.state == "closed":
            continue
        if entry.gone is None:
            entry.gone = now
        if now - entry.gone >= plan.close_after_seconds:
            words = (
                f"It is over since {moment(entry.gone)}, after "
                f"{duration_words(max(0.0, entry.gone - entry.since))}. It was: {entry.sentence}"
            )
            steps.append(
                Step("close", destination, key, entry.number, "", f"{words}\n{entry.number}", None)
            )
    return steps


def _step(
    what: What,
    plan: TicketPlan,
    destination: Destination,
    number: str,
    incident: Incident,
    first: str = "",
) -> Step:
    body = text(incident, number, plan.page, markup=destination.kind in MARKUP)
    whole = f"{first}\n\n{body}" if first else body
    return Step(what, destination, incident.key, number, title(incident), whole, incident)
