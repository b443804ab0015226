"""Answers about alerts: those that fire now, and those that fired in a period."""

from __future__ import annotations

from collections import Counter
from typing import Any

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import Builder
from exporter.ask.catalogue import CONDITIONS
from exporter.ask.query_words import times_words
from exporter.ask.timeline import bounds
from exporter.ask.timeline_entries import Timeline
from exporter.history.alert_history import Alert, AlertHistory, Fired, NoAlertsError
from exporter.history.coverage import LEAST_SHARE, percent_words
from exporter.model.silences import NoSilencesError, Silences
from exporter.model.text import duration_words, sites_word

MOST_ROWS = 200
_MOSTLY = 0.95
NOT_CONFIGURED = (
    "alerts: no Prometheus is configured (FLEETSCOPE_PROMETHEUS_URL); Alertmanager keeps no past"
)
# What an operator calls a page is critical, and a ticket a warning.
_LEVELS = {"page": 3, "critical": 3, "ticket": 2, "warning": 2, "info": 1}
_LEAST = {"critical": 3, "warning": 2, "info": 1}
_COLUMNS = (
    Column("start", "Since", "time"),
    Column("name", "Site"),
    Column("site", "Id"),
    Column("alert", "Alert"),
    Column("severity", "Severity"),
    Column("end", "Until", "time"),
    Column("seconds", "Lasted", "duration"),
)


async def past_alerts(b: Builder, alerts: AlertHistory | None, found: Timeline) -> str:
    """Add the alerts of the period to a timeline; says what is not known of them, in a sentence.

    A timeline of issues of a kind, or of what began or ended, holds no alerts.
    """
    if b.query.conditions or b.query.events or b.query.count:
        return ""
    if alerts is None:
        b.evidence.missing.append(NOT_CONFIGURED)
        return ""
    try:
        fired = await alerts.fired(*bounds(b.period))
    except NoAlertsError as error:
        b.evidence.missing.append(f"alerts: {error}")
        return "Which alerts fired is not known: Prometheus does not answer."
    found.add_alerts(_chosen(b, fired.alerts))
    _note(b, fired)
    if fired.observed_ratio < _MOSTLY:
        return f"Prometheus observed {percent_words(fired.observed_ratio)} of that for alerts."
    return ""


def _note(b: Builder, fired: Fired) -> None:
    b.evidence.promql.append(fired.promql)
    b.evidence.notes.append(
        f"Alerts are those that Prometheus kept, exact to {duration_words(fired.step_seconds)}"
    )


def _chosen(b: Builder, alerts: tuple[Alert, ...]) -> list[Alert]:
    """Alerts on the sites that are asked about; those on the fleet where it is the whole fleet."""
    wanted = set(b.chosen)
    whole = bool(b.mask.all())
    least = _LEAST[b.query.severity] if b.query.severity else 0
    names = _names(b)
    return [
        alert
        for alert in alerts
        if (alert.site in wanted or (whole and not alert.site))
        and _LEVELS.get(alert.severity, 0) >= least
        and (b.query.events != "begun" or not alert.known_before)
        and (b.query.events != "ended" or alert.end is not None)
        and (not names or alert.name.startswith(names))
    ]


def _names(b: Builder) -> tuple[str, ...]:
    """How the names of the alerts begin that the conditions mean; none for all.

    Raises
    ------
    CannotAnswerError
        For a condition that no alert is about.
    """
    names: list[str] = []
    for condition in b.query.conditions:
        found = CONDITIONS[condition.name].alerts
        if condition.negate or not found:
            raise CannotAnswerError(
                f"no alert is about {CONDITIONS[condition.name].label}; ask which alerts fire"
            )
        names += found
    return tuple(names)


async def alerts_answer(
    b: Builder, alerts: AlertHistory | None, silences: Silences | None = None
) -> Answer:
    """Alerts that fire now, or that fired in the period.

    Raises
    ------
    CannotAnswerError
        If Prometheus does not say, or none is configured; the same of Alertmanager, where only
        alerts are asked about that it does not silence.
    """
    if alerts is None:
        raise CannotAnswerError(
            "alerts are in Prometheus, and none is configured (FLEETSCOPE_PROMETHEUS_URL); issues "
            "are known: ask which sites need attention",
            status=503,
        )
    try:
        if b.query.period is None:
            fired = await alerts.firing(b.view.assessment.time)
        else:
            fired = await alerts.fired(*bounds(b.period))
    except NoAlertsError as error:
        raise CannotAnswerError(f"alerts are in Prometheus: {error}", status=503) from error
    _note(b, fired)
    found = _often_enough(b, _chosen(b, fired.alerts))
    if b.query.events == "unsilenced":
        found = await _unsilenced(b, found, silences)
    rows = [_row(b, alert) for alert in found]
    if b.query.lasting is not None:
        kept = [b.query.lasting.holds(row["seconds"]) for row in rows]
        rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
        found = [alert for alert, keep in zip(found, kept, strict=True) if keep]
    if b.query.order in ("earliest", "latest"):
        late = b.query.order == "latest"
        rows.sort(key=lambda row: row["start"], reverse=late)
        found.sort(key=lambda alert: alert.start, reverse=late)
    shown = rows[: b.query.limit or MOST_ROWS]
    title = "Alerts" if b.query.period else "Alerts that fire"
    table = Table(title, _COLUMNS, shown, len(rows))
    sites = dict.fromkeys(alert.site for alert in found if alert.site in b.view.directory.titles)
    tables, headline = [table], _headline(b, fired, found)
    if b.query.order == "highest" and found:
        counts = _by_site(b, rows)
        tables.insert(0, counts)
        headline += f" Most of {counts.rows[0]['name']}: {counts.rows[0]['alerts']}."
    return b.answer(headline, tables, [b.view.directory.row(site) for site in sites])


async def _unsilenced(b: Builder, alerts: list[Alert], silences: Silences | None) -> list[Alert]:
    """Those that no silence of their site covers."""
    if silences is None:
        raise CannotAnswerError(
            "what is silenced is known to Alertmanager, and none is configured "
            "(FLEETSCOPE_ALERTMANAGER_URL)",
            status=503,
        )
    try:
        every = await silences.silences()
    except NoSilencesError as error:
        raise CannotAnswerError(f"what is silenced: {error}", status=503) from error
    now = b.view.assessment.time
    active = [one for one in every if one.starts <= now < one.ends]
    wider = sum(one.site is None for one in active)
    if wider:
        b.evidence.missing.append(f"what wider silences cover, of which there are {wider}")
    if b.query.period is not None:
        b.evidence.notes.append("Silences are those of now, not those of the time of each alert")
    return [
        alert
        for alert in alerts
        if not any(one.site == alert.site and one.alert in (None, alert.name) for one in active)
    ]


def _often_enough(b: Builder, alerts: list[Alert]) -> list[Alert]:
    """Alerts of the sites at which so many began in the period as the query says."""
    if b.query.times is None:
        return alerts
    began = Counter(alert.site for alert in alerts if not alert.known_before)
    return [alert for alert in alerts if began[alert.site] >= b.query.times]


def _by_site(b: Builder, alerts: list[dict[str, Any]]) -> Table:
    """How many alerts each site had, the most first."""
    found: dict[str, dict[str, Any]] = {}
    for alert in alerts:
        named = {"name": alert["name"], "site": alert["site"]}
        line = found.setdefault(alert["site"], named | {"alerts": 0, "seconds": 0.0})
        line["alerts"] += 1
        line["seconds"] += alert["seconds"]
    rows = sorted(found.values(), key=lambda line: (-line["alerts"], line["site"]))
    columns = (
        Column("name", "Site"),
        Column("site", "Id"),
        Column("alerts", "Alerts", "number"),
        Column("seconds", "Lasted", "duration"),
    )
    return Table("Alerts by site", columns, b.limit(rows), len(rows))


def _row(b: Builder, alert: Alert) -> dict[str, Any]:
    end = b.view.assessment.time if b.query.period is None else bounds(b.period)[1]
    return {
        "start": alert.start,
        "name": b.view.directory.titles.get(alert.site, "(fleet)"),
        "site": alert.site,
        "alert": alert.name,
        "severity": alert.severity,
        "end": alert.end,
        "seconds": max(0.0, (end if alert.end is None else alert.end) - alert.start),
    }


def _headline(b: Builder, fired: Fired, found: list[Alert]) -> str:
    if b.query.period is None:
        if not fired.observed_ratio:
            return "Prometheus has no scrape of the exporter, so which alerts hold is not known."
        if not found:
            return f"No alert fires for {b.of_sites()}."
        sites = {alert.site for alert in found if alert.site}
        count = len(found)
        text = f"{count} alert{'s fire' if count > 1 else ' fires'} for {sites_word(len(sites))}"
        first = "newest" if b.query.order == "latest" else "since the longest"
        return f"{text}; {first}: {_words(b, found[0])}, {_since(b, found[0])}."
    when = b.period.words or "in the period"
    share = percent_words(fired.observed_ratio)
    if fired.observed_ratio < LEAST_SHARE:
        seen = f"{len(found)} alerts fired" if found else "no alert was seen to fire"
        return (
            f"Prometheus observed {share} of the time asked. In that time {seen}; the whole is not "
            "known."
        )
    if b.query.times is not None:
        return _often_words(b, found, when) + _thin(fired)
    began = [alert for alert in found if not alert.known_before]
    before = len(found) - len(began)
    if b.query.events == "ended":
        noun = f"alert{'s' * (len(found) > 1)}"
        return f"{len(found) or 'No'} {noun} ended, {when}." + _thin(fired)
    text = f"{len(began) or 'No'} alert{'s' * (len(began) > 1)} fired, {when}"
    if began:
        text += f"; first {_words(b, began[0])}"
    if before:
        text += f"; {before} fired already when it began"
    return f"{text}." + _thin(fired)


def _often_words(b: Builder, found: list[Alert], when: str) -> str:
    began = Counter(alert.site for alert in found if not alert.known_before)
    often = f"at least {times_words(b.query.times or 1)}"
    if not began:
        return f"At no site of {b.of_sites()} alerts fired {often}, {when}."
    site, count = began.most_common(1)[0]
    name = b.view.directory.titles.get(site, "the fleet")
    text = f"At {sites_word(len(began))} of {b.of_sites()} alerts fired {often}, {when}"
    return f"{text}; most at {name}, {times_words(count)}."


def _thin(fired: Fired) -> str:
    if fired.observed_ratio >= _MOSTLY:
        return ""
    return f" Prometheus observed {percent_words(fired.observed_ratio)} of the time asked."


def _since(b: Builder, alert: Alert) -> str:
    return f"for {duration_words(max(0.0, b.view.assessment.time - alert.start))}"


def _words(b: Builder, alert: Alert) -> str:
    name = b.view.directory.titles.get(alert.site, "the fleet")
    return f"{alert.name} for {name}"
