"""An incident: an issue of a site, from its beginning to its end, and the ticket about it.

Made from what the API says of a site, so that a dry run in a terminal shows what the service sends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exporter.model.figures import figure, judged, with_unit
from exporter.model.quantities import DERIVED, QUANTITIES
from exporter.model.text import duration_words
from scoring.rules import BY_CODE, RULES

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!])")
_WWW = re.compile(r"\b(www)\.", re.IGNORECASE)
LONGEST_TITLE = 200
MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Incident:
    """One active issue of one site, with the evidence for it."""

    site: str
    name: str
    location: str | None
    priority: str
    status: str
    score: float | None
    code: str
    component: str
    severity: str
    sentence: str
    action: str
    value: float | None
    threshold: float | None
    unit: str
    since: float
    time: float
    readings: dict[str, float]
    members: tuple[tuple[str, str], ...] = ()
    """Id and name of each site that it stands for; empty for an issue of one site."""

    @property
    def key(self) -> str:
        """The identity of the incident: site and code."""
        return f"{self.site}/{self.code}"


def incidents(sites: Iterable[dict[str, Any]], time: float) -> list[Incident]:
    """The incidents of sites as ``/api/v1/sites`` gives them; ``time`` is that of the answer."""
    return [
        Incident(
            site=site["id"],
            name=site["name"],
            location=site["location"],
            priority=site["priority"],
            status=site["status"],
            score=site["score"],
            code=issue["code"],
            component=issue["component"],
            severity=issue["severity"],
            sentence=issue["sentence"],
            action=issue["action"],
            value=issue["value"],
            threshold=issue["threshold"],
            unit=issue["unit"],
            since=issue["since"],
            time=time,
            readings=dict(site["readings"]),
        )
        for site in sites
        for issue in site["issues"]
    ]


_INPUTS = {rule.code: rule.input for rule in RULES if rule.input}
COMPONENTS = {rule.code: rule.component for rule in RULES}
_LINK = ("site_offline", "scrapes_failing")


def unseen(site: dict[str, Any]) -> frozenset[str]:
    """Codes of issues that a site may still have although it does not show them, since what they
    are judged by is not known. What cannot be seen is not over."""
    away = site["status"] in ("OFFLINE", "UNKNOWN")
    return frozenset(
        code
        for code, component in COMPONENTS.items()
        if code not in _LINK
        and (
            away
            or (component in site["components"] and site["components"][component] is None)
            or _INPUTS.get(code) in site["missing"]
        )
    )


def escaped(text: str) -> str:
    """A text escaped for Markdown and Jira's markup; no @ notifies, and no address is a link."""
    plain = _MARKUP.sub(r"\\\1", text).replace("@", "@\u200b").replace("://", ":\u200b//")
    return _WWW.sub("\\1\u200b.", plain)


def title(incident: Incident) -> str:
    """The title of the ticket."""
    line = f"[{incident.severity}] {incident.name}: {incident.sentence}"
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"


def text(incident: Incident, number: str, page: str | None, *, markup: bool) -> str:
    """The ticket: what, since when, evidence, what to do, where to look.

    Parameters
    ----------
    incident : Incident
    number : str
        The incident's own number, by which the ticket is found again.
    page : str or None
        Where the exporter's page is.
    markup : bool
        Whether the receiver reads markup, so that texts of sites have to be escaped.
    """
    shown = escaped if markup else str
    if incident.members:
        return _text_of_many(incident, number, page, shown)
    name, place = shown(incident.name), shown(incident.location or "")
    score = "unknown" if incident.score is None else f"{incident.score:.0f} of 100"
    confidence = incident.readings.get("confidence_ratio")
    if confidence is not None:
        score += f", confidence {100 * confidence:.0f} %"
    judged = _judged(incident)
    lasting = duration_words(max(0.0, incident.time - incident.since))
    lines = [
        shown(incident.sentence),
        "",
        f"Site: {name} ({shown(incident.site)}){', ' + place if place else ''}",
        f"Priority: {incident.priority}. Status: {incident.status}, score {score}.",
        f"Severity: {incident.severity}. Since: {moment(incident.since)}, {lasting} when this was "
        "written.",
        *([f"Evidence: {judged}"] if judged else []),
        *_readings(incident, shown),
        "",
        f"What to do: {shown(incident.action)}",
        "",
        *([f"Site in Fleetscope: {page.rstrip('/')}/#/site/{incident.site}"] if page else []),
        "The same in Prometheus: "
        + shown(f'fleetscope_site_issue_value{{site="{incident.site}",code="{incident.code}"}}'),
        f"Incident {number}",
    ]
    return "\n".join(lines)


def _text_of_many(incident: Incident, number: str, page: str | None, shown: Any) -> str:
    lasting = duration_words(max(0.0, incident.time - incident.since))
    named = [f"- {shown(name)} ({shown(site)})" for site, name in incident.members[:MOST_NAMED]]
    more = len(incident.members) - len(named)
    region = incident.site.partition("=")[2].replace("\\", "\\\\").replace('"', '\\"')
    promql = (
        f'fleetscope_site_issue{{code="{incident.code}"}} * on (site) group_left (region) '
        f'fleetscope_site_info{{region="{region}"}}'
    )
    lines = [
        shown(incident.sentence),
        "",
        f"Severity: {incident.severity}. Since: {moment(incident.since)}, {lasting} when this was "
        "written.",
        f"Sites ({len(incident.members)}), which get no tickets of their own for it:",
        *named,
        *([f"- and {more} more"] if more else []),
        "",
        f"What to do: {shown(incident.action)}",
        "",
        *([f"Fleetscope: {page.rstrip('/')}/"] if page else []),
        "The same in Prometheus: " + shown(promql),
        f"Incident {number}",
    ]
    return "\n".join(lines)


def _judged(incident: Incident) -> str:
    rule = BY_CODE.get(incident.code)
    if incident.value is None or rule is None:
        return ""
    value, limit = judged(
        incident.value,
        math.nan if incident.threshold is None else incident.threshold,
        unit=rule.unit,
        decimals=rule.decimals,
        as_percent=rule.as_percent,
    )
    return f"{rule.code} {value}" + ("" if incident.threshold is None else f", limit {limit}")


_SHOWN = (
    "soc_percent",
    "battery_lowest_soh_percent",
    "battery_hottest_c",
    "cell_widest_spread_v",
    "grid_frequency_hz",
)


def _readings(incident: Incident, shown: Any) -> list[str]:
    there = []
    for name in _SHOWN:
        if name in incident.readings:
            row = QUANTITIES.get(name) or DERIVED[name]
            value = incident.readings[name]
            # The judged one keeps to its side of the limit here too.
            limit = incident.threshold if value == incident.value else None
            there.append(f"{row.label} {with_unit(figure(value, row.decimals, limit), row.unit)}")
    return [shown("Readings: " + ", ".join(there))] if there else []


def moment(time: float) -> str:
    """A point in time for a person."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
