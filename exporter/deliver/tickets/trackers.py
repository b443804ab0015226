"""The requests by which each kind of tracker opens, comments, closes and finds a ticket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from exporter.deliver.tickets.decide import Step
from exporter.deliver.tickets.ticket_file import Destination
from exporter.model.http import basic


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request; ``secret`` are headers that are sent and never shown."""

    method: str
    url: str
    body: Any
    headers: dict[str, str]
    secret: dict[str, str]

    def without_secret(self, words: str) -> str:
        """Words of an answer, which may quote what was sent, fit to be logged."""
        for value in self.secret.values():
            words = words.replace(value.rpartition(" ")[2], "…")
        return words


def calls(step: Step, remote: str | None, token: str) -> list[Call]:
    """The requests of a step, in their order: a comment comes last where the rest can be repeated
    without effect, so that a step that is tried again does not comment twice.

    Parameters
    ----------
    step : Step
    remote : str or None
        The tracker's own number of the ticket; None for one that is opened.
    token : str
    """
    make = {"webhook": _webhook, "github": _github, "gitlab": _gitlab, "jira": _jira}
    build: Callable[[Step, str], list[tuple[str, str, Any]]] = make[step.destination.kind]
    headers, secret = _headers(step.destination, token)
    if step.destination.kind == "webhook":
        headers["Idempotency-Key"] = f"{step.number}-{step.what}"
    return [
        Call(method, step.destination.base + path, body, headers, secret)
        for method, path, body in build(step, remote or "")
    ]


def find_call(destination: Destination, number: str, opened: float, token: str) -> Call | None:
    """The request that looks for a ticket of which it is not known whether it was made."""
    headers, secret = _headers(destination, token)
    project = destination.project or ""
    if destination.kind == "github":
        since = datetime.fromtimestamp(opened - 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = urlencode({"state": "all", "since": since, "per_page": 100})
        path = f"/repos/{quote(project)}/issues?{query}"
    elif destination.kind == "gitlab":
        query = urlencode({"search": number, "in": "description"})
        path = f"/api/v4/projects/{quote(project, safe='')}/issues?{query}"
    elif destination.kind == "jira":
        # By label: it is compared as it is, where text is found by its parts. Jira Cloud, which a
        # user name signs in to, has another search than an own server, and gives ids alone
        # unless asked for more.
        wanted = {"jql": f'project = "{project}" AND labels = "{number}"', "fields": "labels"}
        cloud = "/jql" if destination.username is not None else ""
        path = f"/rest/api/2/search{cloud}?{urlencode(wanted)}"
    else:
        return None
    return Call("GET", destination.base + path, None, headers, secret)


def found_remote(kind: str, answer: Any, number: str) -> str | None:
    """The tracker's number in the answer to such a search; None where there is no such ticket."""
    listed = answer.get("issues", []) if isinstance(answer, dict) else answer
    for ticket in listed if isinstance(listed, list) else []:
        fields = ticket.get("fields") or {}
        body = ticket.get("body") or ticket.get("description") or ""
        if number in body or number in (fields.get("labels") or ()):
            return made_remote(kind, ticket, number)
    return None


def made_remote(kind: str, answer: Any, number: str) -> str:
    """The tracker's number in its answer to an opened ticket; our own where it names none."""
    name = {"github": "number", "gitlab": "iid", "jira": "key"}.get(kind, "id")
    value = answer.get(name) if isinstance(answer, dict) else None
    return number if value is None else str(value)


def _headers(destination: Destination, token: str) -> tuple[dict[str, str], dict[str, str]]:
    headers = {"Content-Type": "application/json", "User-Agent": "fleetscope"}
    if destination.kind == "github":
        headers["Accept"] = "application/vnd.github+json"
        headers["X-GitHub-Api-Version"] = "2022-11-28"
    if not token:
        return headers, {}
    if destination.kind == "gitlab":
        return headers, {"PRIVATE-TOKEN": token}
    if destination.username is not None:
        return headers, basic(destination.username, token)
    return headers, {"Authorization": f"Bearer {token}"}


def _webhook(step: Step, remote: str) -> list[tuple[str, str, Any]]:
    return [("POST", "", as_event(step, remote or None))]


def as_event(step: Step, remote: str | None) -> dict[str, Any]:
    """A step as plain values, for a webhook or a file."""
    found = step.incident
    event: dict[str, Any] = {
        "event": step.what,
        "incident": step.number,
        "ticket": remote,
        "site": step.key.partition("/")[0],
        "code": step.key.partition("/")[2],
        "title": step.title,
        "text": step.text,
    }
    if found is not None:
        if found.members:
            event["sites"] = [site for site, _ in found.members]
        event["evidence"] = {
            "severity": found.severity,
            "value": found.value,
            "threshold": found.threshold,
            "unit": found.unit,
            "since": found.since,
            "time": found.time,
            "action": found.action,
            "readings": found.readings,
        }
    return event


def _github(step: Step, remote: str) -> list[tuple[str, str, Any]]:
    path = f"/repos/{quote(step.destination.project or '')}/issues"
    if step.what == "open":
        labels = list(step.destination.labels)
        return [("POST", path, {"title": step.title, "body": step.text, "labels": labels})]
    comment = ("POST", f"{path}/{remote}/comments", {"body": step.text})
    if step.what == "close":
        return [("PATCH", f"{path}/{remote}", {"state": "closed"}), comment]
    if step.what == "reopen":
        return [("PATCH", f"{path}/{remote}", {"state": "open", "title": step.title}), comment]
    return [("PATCH", f"{path}/{remote}", {"title": step.title}), comment]


def _gitlab(step: Step, remote: str) -> list[tuple[str, str, Any]]:
    path = f"/api/v4/projects/{quote(step.destination.project or '', safe='')}/issues"
    if step.what == "open":
        labels = ",".join(step.destination.labels)
        return [("POST", path, {"title": step.title, "description": step.text, "labels": labels})]
    note = ("POST", f"{path}/{remote}/notes", {"body": step.text})
    if step.what == "close":
        return [("PUT", f"{path}/{remote}", {"state_event": "close"}), note]
    if step.what == "reopen":
        return [
            ("PUT", f"{path}/{remote}", {"state_event": "reopen", "title": step.title}),
            note,
        ]
    return [("PUT", f"{path}/{remote}", {"title": step.title}), note]


def _jira(step: Step, remote: str) -> list[tuple[str, str, Any]]:
    where = step.destination
    path = "/rest/api/2/issue"
    if step.what == "open":
        fields = {
            "project": {"key": where.project},
            "issuetype": {"name": where.issue_type},
            "summary": step.title,
            "description": step.text,
            "labels": [*(label.replace(" ", "_") for label in where.labels), step.number],
        }
        return [("POST", path, {"fields": fields})]
    made: list[tuple[str, str, Any]] = [("POST", f"{path}/{remote}/comment", {"body": step.text})]
    transition = {"close": where.close_transition, "reopen": where.reopen_transition}.get(step.what)
    if transition is not None:
        moved = {"transition": {"id": transition}}
        made.append(("POST", f"{path}/{remote}/transitions", moved))
    return made
