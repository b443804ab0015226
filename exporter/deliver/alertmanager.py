"""Alerts and silences of Alertmanager, by its API v2, which 0.16 and later answer alike.

An acknowledgement is a silence of one alert of one site whose comment begins with
:data:`ACKNOWLEDGED`; Alertmanager itself knows silences alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from exporter.config.settings import Settings
from exporter.model.http import HttpClient, RequestError, basic
from exporter.model.silences import NoSilencesError, Silence
from exporter.model.workers import BlockingCalls

ANSWER_SECONDS = 10.0
CONNECT_SECONDS = 3.0
LARGEST_ANSWER = 16 * 1024 * 1024
AT_ONCE = 4


class AlertmanagerError(NoSilencesError):
    """Alertmanager did not answer, or refused; the text says what, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a site that fires.

    Attributes
    ----------
    name, severity : str
    since : float
        Unix seconds.
    state : str
        ``active``, ``suppressed`` (silenced or inhibited) or ``unprocessed``.
    summary, action, runbook, dashboard : str
        Its annotations; empty where it has none.
    silences : tuple of Silence
        Those that hold it back.
    inhibited : bool
        Whether another alert holds it back.
    """

    name: str
    severity: str
    since: float
    state: str
    summary: str
    action: str
    runbook: str
    dashboard: str
    silences: tuple[Silence, ...]
    inhibited: bool


class Alertmanager:
    """Reads and silences the alerts of sites, for the event loop.

    Parameters
    ----------
    url : str
        Without a slash at its end.
    headers : dict
        The sign-in.
    """

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = url
        self._client = HttpClient(headers)
        self._calls = BlockingCalls(AT_ONCE, "alertmanager")

    @classmethod
    def from_settings(cls, settings: Settings) -> Alertmanager | None:
        """The one that the settings name; None where they name none."""
        if settings.alertmanager_url is None:
            return None
        password = settings.alertmanager_password
        secret = password.get_secret_value() if password else ""
        user = settings.alertmanager_username
        return cls(settings.alertmanager_url, basic(user, secret) if user else {})

    async def alerts(self, site: str) -> tuple[list[Alert], list[Silence]]:
        """The alerts of a site that fire, pages first, and every silence that has not ended.

        Raises
        ------
        AlertmanagerError
        """
        # Silences first: one that an alert names is then known.
        silences = await self.silences()
        try:
            matcher = f"site={_quoted(site)}"
            params = [("filter", matcher), ("silenced", "true"), ("inhibited", "true")]
            by_id = {silence.id: silence for silence in silences}
            alerts = [_alert(one, by_id) for one in await self._get("alerts", params)]
        except (KeyError, TypeError, ValueError) as error:
            raise AlertmanagerError("Alertmanager answered in a form that is not known") from error
        order = {"page": 0, "ticket": 1}
        alerts.sort(key=lambda a: (order.get(a.severity, 2), a.since, a.name))
        return alerts, silences

    async def silences(self) -> list[Silence]:
        """Every silence that has not ended, the one that ends last first.

        Raises
        ------
        AlertmanagerError
        """
        found = await self._get("silences", [])
        try:
            silences = [_silence(s) for s in found if s["status"]["state"] != "expired"]
        except (KeyError, TypeError, ValueError) as error:
            raise AlertmanagerError("Alertmanager answered in a form that is not known") from error
        return sorted(silences, key=lambda s: -s.ends)

    async def silence(
        self, site: str, alert: str | None, hours: float, author: str, comment: str
    ) -> str:
        """Silence one alert of a site, or all of them; returns the id of the silence.

        Raises
        ------
        AlertmanagerError
        """
        now = datetime.now(UTC)
        matchers = [("site", site), *([("alertname", alert)] if alert else [])]
        body = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in matchers
            ],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=hours)).isoformat(),
            "createdBy": author,
            "comment": comment,
        }
        reply = await self._call("POST", "silences", json=body)
        if not isinstance(reply, dict) or "silenceID" not in reply:
            raise AlertmanagerError("Alertmanager answered without the id of the silence")
        return str(reply["silenceID"])

    async def expire(self, silence: str) -> None:
        """End a silence now.

        Raises
        ------
        AlertmanagerError
        """
        await self._call("DELETE", f"silence/{silence}")

    async def _get(self, path: str, params: Sequence[tuple[str, str]]) -> list[Any]:
        found = await self._call("GET", path, params=list(params))
        if not isinstance(found, list):
            raise AlertmanagerError("Alertmanager answered something that is no list")
        return found

    async def _call(self, method: str, path: str, **given: Any) -> Any:
        return await self._calls.run(self._blocking, method, path, given)

    def _blocking(self, method: str, path: str, given: dict[str, Any]) -> Any:
        try:
            reply = self._client.request(
                method,
                f"{self._url}/api/v2/{path}",
                seconds=ANSWER_SECONDS,
                connect_seconds=CONNECT_SECONDS,
                largest=LARGEST_ANSWER,
                **given,
            )
        except RequestError as error:
            raise AlertmanagerError(f"Alertmanager does not answer: {error}") from error
        if reply.status != 200:
            text = reply.body[:200].decode("utf-8", "replace").strip()
            raise AlertmanagerError(f"Alertmanager refused with {reply.status}: {text}")
        if not reply.body.strip():
            return None
        try:
            return orjson.loads(reply.body)
        except orjson.JSONDecodeError as error:
            raise AlertmanagerError("Alertmanager answered something that is no JSON") from error


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _silence(found: dict[str, Any]) -> Silence:
    exact = {
        one["name"]: one["value"]
        for one in found["matchers"]
        if not one["isRegex"] and one.get("isEqual", True)
    }
    own = len(exact) == len(found["matchers"]) and set(exact) <= {"site", "alertname"}
    return Silence(
        id=str(found["id"]),
        author=str(found["createdBy"]),
        comment=str(found["comment"]),
        starts=_time(found["startsAt"]),
        ends=_time(found["endsAt"]),
        site=exact.get("site") if own else None,
        alert=exact.get("alertname") if own else None,
        matchers=", ".join(_matcher(one) for one in found["matchers"]),
    )


def _matcher(found: dict[str, Any]) -> str:
    sign = ("=" if found.get("isEqual", True) else "!") + ("~" if found["isRegex"] else "")
    return f"{found['name']}{'!=' if sign == '!' else sign}{_quoted(str(found['value']))}"


def _alert(found: dict[str, Any], silences: dict[str, Silence]) -> Alert:
    labels, notes, status = found["labels"], found["annotations"], found["status"]
    return Alert(
        name=labels["alertname"],
        severity=labels.get("severity", ""),
        since=_time(found["startsAt"]),
        state=status["state"],
        summary=notes.get("summary", ""),
        action=notes.get("action", ""),
        runbook=notes.get("runbook_url", ""),
        dashboard=notes.get("dashboard_url", ""),
        silences=tuple(silences[i] for i in status["silencedBy"] if i in silences),
        inhibited=bool(status["inhibitedBy"]),
    )
