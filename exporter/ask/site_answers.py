"""Answers about one site: its details, every point deducted, and since when."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import (
    ISSUE_COLUMNS,
    SITE_COLUMNS,
    Builder,
    capital,
    in_order,
    issue_row,
)
from exporter.ask.catalogue import CONDITIONS
from exporter.assess.assessment import SiteAssessment
from exporter.config.site_kinds import KIND_MEANINGS
from exporter.model.figures import digits, exact
from exporter.model.quantities import API_KEYS, DERIVED, QUANTITIES
from exporter.model.state_names import state_name
from exporter.model.text import duration_words
from scoring.issues import Severity
from scoring.outliers import OUTLIER_METRICS
from scoring.rule import NO_CAP
from scoring.status import Status

_COMPONENT_COLUMNS = (
    Column("component", "Component"),
    Column("score", "Score", "number", decimals=1),
    Column("weight", "Weight", "number", "%", 1),
    Column("lost", "Points lost", "number", decimals=1),
    Column("why", "Why"),
)
_SEVERITIES = {
    Severity.INFO: "what is not known",
    Severity.WARNING: "a warning",
    Severity.CRITICAL: "a critical issue",
}
_NO_SUN = "not enough daylight yet to judge PV"


def _components(b: Builder, row: int) -> list[dict[str, Any]]:
    """Components with the weight that each has after the unknown ones gave theirs away."""
    components = b.view.assessment.scores.components
    weights = b.view.assessment.scores.overall.weights
    lines = []
    for index, part in enumerate(components):
        score = b.view.number(part.score, row)
        weight = b.view.number(weights[index], row)
        issues = [i for i in b.view.issues(row) if i.component == part.name]
        lines.append(
            {
                "component": part.name,
                "score": score,
                "weight": None if weight is None else 100.0 * weight,
                "lost": None if weight is None or score is None else weight * (100.0 - score),
                "why": "; ".join(issue.sentence for issue in issues)
                or (_unknown(b, row, part.name) if score is None else ""),
            }
        )
    return lines


def _unknown(b: Builder, row: int, component: str) -> str:
    site = b.view.sites[row]
    if component == "grid" and site.off_grid:
        return "off-grid: none expected"
    if component == "solar":
        if not site.solar_capacity_kw:
            return "no PV in the fleet file"
        return _NO_SUN if "PV power" not in b.view.missing(row) else "unknown: no reading"
    return "unknown: no reading"


def _issue_table(b: Builder, row: int) -> Table:
    issues = b.view.issues(row)
    b.issue_evidence(row, issues)
    return Table("Issues", ISSUE_COLUMNS, [issue_row(issue) for issue in issues], len(issues))


def site_answer(b: Builder, row: int) -> Answer:
    """One site in detail."""
    site = b.view.assessment.site(row)
    place = site.site
    readings = []
    for name, value in site.readings.items():
        if name in API_KEYS:
            continue
        quantity = QUANTITIES.get(name) or DERIVED[name]
        age = site.ages.get(name)
        taken = b.view.assessment.time - age if age is not None else b.view.assessment.time
        readings.append(
            {
                "quantity": name,
                "meaning": quantity.meaning,
                "value": value,
                "decimals": digits(value, quantity.decimals, b.view.limit_of(row, value))
                if isinstance(value, float | int)
                else 0,
                "state": state_name(name, value),
                "unit": quantity.unit,
                "time": taken,
            }
        )
    b.missing_of(row)
    facts = [
        ("Location", place.location),
        ("Region", place.region),
        ("Kind", KIND_MEANINGS[place.kind]),
        ("Battery", place.battery_type),
        ("Vendor", place.vendor),
        ("Capacity", f"{place.capacity_kwh:g} kWh" if place.capacity_kwh else None),
        ("PV", f"{place.solar_capacity_kw:g} kW" if place.solar_capacity_kw else None),
        ("Priority", place.priority),
        ("Coverage", f"{100 * site.coverage:.0f} % of the inputs"),
        ("Rank", f"{site.attention_rank} of {b.view.count} by attention"),
        ("Read over", site.way_in + _other_ways(site)),
        ("Last scrape", (site.outcome.value if site.outcome else "none yet")),
    ]
    tables = [
        Table("Components", _COMPONENT_COLUMNS, _components(b, row), 4),
        _issue_table(b, row),
        Table(
            "Readings",
            (
                Column("quantity", "Quantity"),
                Column("value", "Value", "reading", decimals=3),
                Column("state", "State"),
                Column("unit", "Unit"),
                Column("time", "Read", "time"),
                Column("meaning", "Meaning"),
            ),
            readings,
            len(readings),
        ),
        Table(
            "Facts",
            (Column("fact", "Fact"), Column("value", "Value")),
            [{"fact": fact, "value": value} for fact, value in facts if value],
            sum(1 for _, value in facts if value),
        ),
    ]
    b.show("fleetscope_site_health_score")
    b.show("fleetscope_site_component_score")
    b.show("fleetscope_site_issue")
    return b.answer(_state_sentence(b, row), tables, [row])


def _other_ways(site: SiteAssessment) -> str:
    """What more there is to say of the way in, of a site that has several."""
    names = site.site.way_names
    if len(names) == 1:
        return ""
    times = "once" if site.way_changes == 1 else f"{site.way_changes} times"
    return f" (of {', '.join(names)}; changed {times} since the start)"


def _state_sentence(b: Builder, row: int) -> str:
    score = b.view.number(b.view.assessment.scores.overall.score, row)
    title, status = b.view.sites[row].title, b.view.status(row)
    if score is None:
        return f"{title} has not answered yet; nothing is known of it."
    issues = b.view.issues(row)
    head = f"{title} is {status}, score {score:.1f}"
    if not issues:
        missing = b.view.missing(row)
        return f"{head}; no issue." + (f" Unknown: {', '.join(missing)}." if missing else "")
    more = f", and {len(issues) - 1} more" if len(issues) > 1 else ""
    return f"{head}: {issues[0].sentence}{more}."


def explain_answer(b: Builder, row: int) -> Answer:
    """Every point that a site lost and why, what held the score down, and what is unknown."""
    overall = b.view.assessment.scores.overall
    components = _components(b, row)
    score = b.view.number(overall.score, row)
    weighted = [c for c in components if c["lost"] is not None]
    before = 100.0 - sum(c["lost"] for c in weighted) if weighted else None
    status = b.view.status(row)
    steps = [{"points": -c["lost"], "what": _step(c)} for c in weighted if c["lost"] > 0.005]
    cap = float(overall.cap[row])
    if status == Status.OFFLINE.name:
        rule = "a site that does not answer scores 0"
    elif cap < NO_CAP:
        kind = _SEVERITIES[Severity(int(overall.worst[row]))]
        rule = f"{kind} holds the score to at most {cap:.0f}"
    else:
        rule = "rounding down to one decimal"
    if before is not None and score is not None and before - score > 0.0005:
        steps.append({"points": score - before, "what": rule})
    unknown = [c["component"] for c in components if c["score"] is None]
    if unknown and weighted:
        b.evidence.notes.append(
            f"Nothing is known of {', '.join(unknown)}; its weight is shared out over the others"
        )
    b.evidence.notes.append(
        f"Coverage {100 * float(overall.coverage[row]):.0f} %: the share of the wanted inputs "
        "that the site gave"
    )
    b.evidence.notes.append(_confidence(b, row))
    if b.view.assessment.scores.odd[row]:
        b.evidence.notes.append(_odd(b, row))
    b.missing_of(row)
    b.show("fleetscope_site_component_score")
    b.show("fleetscope_site_issue_value")
    headline = _state_sentence(b, row)
    headline += _contradiction(b, row)
    steps_table = Table(
        "From 100 to the score",
        (Column("points", "Points", "number", decimals=1), Column("what", "Why")),
        [{"points": 100.0, "what": "a site with nothing wrong"}, *steps]
        + ([{"points": score, "what": f"score, status {status}"}] if score is not None else []),
        len(steps) + 2,
    )
    tables = [
        *([steps_table] if weighted else []),
        Table("Components", _COMPONENT_COLUMNS, components, len(components)),
        _issue_table(b, row),
    ]
    return b.answer(headline, tables, [row])


def _confidence(b: Builder, row: int) -> str:
    """How sure the score is."""
    found = b.view.assessment.scores.confidence
    sure, quality = b.view.number(found.confidence, row), b.view.number(found.quality, row)
    if sure is None or quality is None:
        return "Confidence in the score is unknown: the site does not answer"
    return (
        f"Confidence in the score {100 * sure:.0f} %, data quality {100 * quality:.0f} %: inputs "
        "given, scrapes that worked, readings that move, neighbours to compare PV with, and a day "
        "of past"
    )


def _odd(b: Builder, row: int) -> str:
    """In which ways a site is odd that is an outlier in none of them."""
    scores = b.view.assessment.scores
    ways = [
        f"{metric.name.replace('_', ' ')} {scores.outliers[metric.name].z[row]:+.1f}"
        for metric in OUTLIER_METRICS
        if not np.isnan(scores.outliers[metric.name].z[row])
    ]
    return (
        f"Odd in several ways at once beside its peers ({scores.odd_score[row]:.1f} standard "
        f"deviations): robust z of {', '.join(ways)}"
    )


def _step(component: dict[str, Any]) -> str:
    why = f": {component['why']}" if component["why"] else ""
    return (
        f"{component['component']} at {component['score']:.0f} of 100, weight "
        f"{exact(round(component['weight'], 1))} %{why}"
    )


def _contradiction(b: Builder, row: int) -> str:
    """What the question took for granted and is not so."""
    wrong = [
        ("" if c.negate else "not ") + CONDITIONS[c.name].label
        for c in b.query.conditions
        if not b.view.condition(c)[row]
    ]
    return f" It is at present {' and '.join(wrong)}." if wrong else ""


def since_answer(b: Builder) -> Answer:
    """Since when issues last, of sites, of a condition, or of both."""
    codes = {code for c in b.query.conditions for code in CONDITIONS[c.name].codes}
    holds = b.mask & b.view.tests(b.query)
    rows = in_order(b, holds)
    now = b.view.assessment.time
    lines: list[tuple[int, dict[str, Any]]] = []
    for row in rows:
        issues = [i for i in b.view.issues(row) if not codes or i.code in codes]
        if len(b.query.sites) != 1:
            issues = issues[:1]
        b.issue_evidence(row, issues)
        lines += [
            (
                row,
                b.view.identity(row)
                | {
                    "severity": issue.severity,
                    "why": issue.sentence,
                    "since": issue.since,
                    "seconds": now - issue.since,
                },
            )
            for issue in issues
        ]
    codes_matcher = f'{{code=~"{"|".join(sorted(codes))}"}}' if codes else ""
    b.show(f"fleetscope_site_issue{codes_matcher}")
    b.evidence.influxql.append('SELECT first("since") FROM "issue" WHERE "active" = 1 GROUP BY *')
    b.evidence.notes.append(
        "An issue counts from the moment the exporter first saw it; after a restart of the "
        "exporter it counts anew, except for a site that has been offline"
    )
    if not lines:
        return b.answer(_no_such(b), [], [b.view.directory.row(site) for site in b.query.sites])
    if b.query.order == "highest":
        lines.sort(key=lambda pair: -pair[1]["seconds"])
    row, first = lines[0]
    headline = (
        f"{b.view.sites[row].title}: {first['why']}, for {duration_words(first['seconds'])}"
        + (f"; {len(lines) - 1} more." if len(lines) > 1 else ".")
    )
    columns = (
        *SITE_COLUMNS,
        Column("severity", "Severity", "severity"),
        Column("why", "Issue"),
        Column("since", "Since", "time"),
        Column("seconds", "For", "duration"),
    )
    shown = b.limit(lines)
    table = Table("Since when", columns, [line for _, line in shown], len(lines))
    return b.answer(capital(headline), [table], dict.fromkeys(row for row, _ in shown))


def _no_such(b: Builder) -> str:
    labels = " and ".join(CONDITIONS[c.name].label for c in b.query.conditions) or "any issue"
    if len(b.query.sites) == 1:
        row = b.view.directory.row(b.query.sites[0])
        title, status = b.view.sites[row].title, b.view.status(row)
        return f"{title} has no such issue now ({labels}); it is {status}."
    if not b.chosen:
        raise CannotAnswerError("no site is left to ask about")
    return f"No site asked about has that now: {labels}."
