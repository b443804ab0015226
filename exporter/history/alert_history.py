"""The alerts of the past, from Prometheus: it keeps when each fired, Alertmanager does not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from exporter.config.settings import Settings
from exporter.model.http import HttpClient, RequestError, basic
from exporter.model.workers import BlockingCalls

AT_ONCE = 4
ANSWER_SECONDS = 20.0
SHORTEST_STEP_SECONDS = 30
"""Twice the interval at which Prometheus scrapes and evaluates the rules."""
MOST_STEPS = 2000
_FIRING = 'ALERTS{alertstate="firing"}'
_SINCE = f"ALERTS_FOR_STATE and ignoring(alertstate) {_FIRING}"
_SCRAPED = "fleetscope_site_up"


class NoAlertsError(Exception):
    """Prometheus did not say which alerts fired; the text says why."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One stretch in which an alert fired.

    Attributes
    ----------
    name, site, severity : str
        ``site`` is empty for alerts on the fleet or the exporter.
    start : float
        Unix seconds, to within the step that was asked for.
    end : float or None
        None where it fired until the end of the period.
    known_before : bool
        Whether it fired when the period began; ``start`` is then when Prometheus first saw it.
    """

    name: str
    site: str
    severity: str
    start: float
    end: float | None
    known_before: bool = False


@dataclass(frozen=True, slots=True)
class Fired:
    """The alerts of a period.

    Attributes
    ----------
    alerts : tuple of Alert
        In order of their start.
    observed_ratio : float
        Share of the period in which Prometheus had scrapes of an exporter, 0 to 1: no alert on a
        site can fire without.
    step_seconds : float
        How exact the times are.
    promql : str
        What was asked.
    """

    alerts: tuple[Alert, ...]
    observed_ratio: float
    step_seconds: float
    promql: str


def steps_of(seconds: float) -> int:
    """How many equal steps a period of this length is looked at in."""
    return max(1, min(MOST_STEPS, math.floor(seconds / SHORTEST_STEP_SECONDS)))


class AlertHistory:
    """Reads alerts from one Prometheus; never writes.

    Parameters
    ----------
    url : str
    headers : dict
        The sign-in.
    """

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = HttpClient(headers)
        self._calls = BlockingCalls(AT_ONCE, "prometheus")

    @classmethod
    def from_settings(cls, settings: Settings) -> AlertHistory | None:
        """The reader for the Prometheus of the settings; None where they name none."""
        if settings.prometheus_url is None:
            return None
        headers = {}
        if settings.prometheus_username:
            password = settings.prometheus_password
            secret = password.get_secret_value() if password else ""
            headers = basic(settings.prometheus_username, secret)
        return cls(settings.prometheus_url, headers)

    async def firing(self, now: float) -> Fired:
        """The alerts that fire now, with the beginning of each.

        Raises
        ------
        NoAlertsError
        """
        found = await self._ask("query", {"query": _SINCE, "time": f"{now:.3f}"})
        scraped = await self._ask("query", {"query": f"group({_SCRAPED})", "time": f"{now:.3f}"})
        alerts = [
            _alert(series["metric"], float(series["value"][1]), None, known_before=False)
            for series in found
        ]
        return Fired(_ordered(alerts), float(bool(scraped)), float(SHORTEST_STEP_SECONDS), _FIRING)

    async def fired(self, start: float, end: float) -> Fired:
        """The alerts of a period.

        Parameters
        ----------
        start, end : float
            Unix seconds.

        Raises
        ------
        NoAlertsError
        """
        steps = steps_of(end - start)
        step = round((end - start) / steps, 3)
        range_ms = round(1000 * step)
        # The first window begins with the period, the last one ends with it.
        window = {"start": f"{start + step:.3f}", "end": f"{end + step / 2:.3f}", "step": f"{step}"}
        seen = f"max_over_time({_FIRING}[{range_ms}ms])"
        found = await self._ask("query_range", window | {"query": seen})
        scraped = await self._ask(
            "query_range", window | {"query": f"group(count_over_time({_SCRAPED}[{range_ms}ms]))"}
        )
        before = await self._ask("query", {"query": _SINCE, "time": f"{start:.3f}"})
        since = {_identity(series["metric"]): float(series["value"][1]) for series in before}
        alerts = [
            alert for series in found for alert in _stretches(series, start, end, step, since)
        ]
        polled = sum(len(series["values"]) for series in scraped)
        return Fired(_ordered(alerts), min(1.0, polled / steps), step, _FIRING)

    async def _ask(self, path: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        return await self._calls.run(self._get, path, parameters)

    def _get(self, path: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        try:
            reply = self._http.request(
                "POST", f"{self.url}/api/v1/{path}", seconds=ANSWER_SECONDS, data=parameters
            )
        except RequestError as error:
            # Whoever asks need not know where Prometheus is.
            reason = str(error).partition(": ")[2]
            raise NoAlertsError(f"Prometheus does not answer: {reason}") from error
        try:
            body = json.loads(reply.body)
            if body.get("status") == "success":
                result: list[dict[str, Any]] = body["data"]["result"]
                return result
            said = str(body.get("error", ""))[:200]
        except (ValueError, KeyError, AttributeError):
            said = ""
        raise NoAlertsError(f"Prometheus answered {reply.status}{': ' if said else ''}{said}")


def _identity(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The labels that set one alert apart from another."""
    return tuple(sorted((k, v) for k, v in labels.items() if k not in ("__name__", "alertstate")))


def _alert(labels: dict[str, str], start: float, end: float | None, *, known_before: bool) -> Alert:
    return Alert(
        labels.get("alertname", ""),
        labels.get("site", ""),
        labels.get("severity", ""),
        start,
        end,
        known_before,
    )


def _ordered(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    return tuple(sorted(alerts, key=lambda alert: (alert.start, alert.site, alert.name)))


def _stretches(
    series: dict[str, Any],
    start: float,
    end: float,
    step: float,
    since: dict[tuple[tuple[str, str], ...], float],
) -> list[Alert]:
    """Stretches without a gap; each value says that the alert fired in the step before it.

    A stretch begins and ends at most a step late.
    """
    labels = series["metric"]
    times = [float(value[0]) for value in series["values"]]
    found = []
    begun = times[0]
    for time, after in zip(times, [*times[1:], math.inf], strict=True):
        if after - time > 1.5 * step:
            active_since = since.get(_identity(labels))
            known = active_since is not None and begun - start < 1.5 * step
            first = active_since if known and active_since is not None else begun
            last = None if end - time < step / 2 else time
            found.append(_alert(labels, first, last, known_before=known))
            begun = after
    return found
