"""PromQL that shows in Grafana what an answer says."""

from __future__ import annotations

import re

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.ask.query import Comparison, Condition, Query
from exporter.config.fleet import Fleet

MOST_NAMED = 50
_INFO_LABELS = ("region", "battery_type", "vendor", "priority", "location", "kind")


def label_text(value: str) -> str:
    """A label value between quotes."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def regex_text(value: str) -> str:
    """A literal text inside a regular expression, between quotes."""
    return re.sub(r"([.+*?()|\[\]{}^$\\])", r"\\\1", value)


def scope(query: Query, chosen: list[str], fleet: Fleet) -> str:
    """A clause that keeps the sites of a query, to be put behind an expression; may be empty.

    Parameters
    ----------
    query : Query
    chosen : list of site ids that the query is about
    fleet : Fleet
    """
    if not query.filters and not query.sites:
        return ""
    by_info = not query.sites and all(f.attribute in _INFO_LABELS for f in query.filters)
    if not by_info or len(chosen) <= 5:
        if len(chosen) > MOST_NAMED:
            return ""
        names = "|".join(regex_text(site) for site in chosen)
        return f" and on (site) fleetscope_site_info{{site=~{label_text(names)}}}"
    parts: dict[tuple[str, bool], list[str]] = {}
    for wanted in query.filters:
        value = regex_text(wanted.value)
        if wanted.attribute == "location":
            value = f"(.*, )?{value}(,.*)?"
        parts.setdefault((wanted.attribute, wanted.negate), []).append(value)
    clauses = ",".join(
        f"{name}{'!~' if negate else '=~'}{label_text('|'.join(values))}"
        for (name, negate), values in parts.items()
    )
    return f" and on (site) fleetscope_site_info{{{clauses}}}"


def condition(wanted: Condition) -> str:
    """Sites of which a condition holds."""
    kind = CONDITIONS[wanted.name]
    if kind.absent:
        shown = METRICS[kind.absent].promql
        without = f"max by (site) (fleetscope_site_info) unless on (site) ({shown})"
        known = f"max by (site) ({shown})"
        return (known if wanted.negate else without) if shown else ""
    parts = []
    if kind.codes:
        codes = "|".join(kind.codes)
        matcher = f'code="{codes}"' if len(kind.codes) == 1 else f'code=~"{codes}"'
        parts.append(f"max by (site) (fleetscope_site_issue{{{matcher}}})")
    if kind.statuses == ("unknown",) or wanted.name == "unknown":
        parts.append("max by (site) (fleetscope_site_info) unless on (site) fleetscope_site_up")
    elif kind.statuses:
        names = "|".join(status.upper() for status in kind.statuses)
        parts.append(f'max by (site) (fleetscope_site_status{{status="{names}"}} == 1)')
    if wanted.name == "any_issue":
        parts.append("max by (site) (fleetscope_site_issue)")
    if wanted.name == "needs_attention":
        parts.append('max by (site) (fleetscope_site_issue{severity=~"warning|critical"})')
    if wanted.name == "missing_readings":
        parts.append("max by (site) (fleetscope_site_coverage_ratio < 1)")
    text = " or ".join(parts)
    if wanted.negate:
        return f"max by (site) (fleetscope_site_info) unless on (site) ({text})"
    return text


def comparison(wanted: Comparison) -> str:
    """Sites of which a metric compares as wanted; empty where Prometheus has no such metric."""
    promql = METRICS[wanted.metric].promql
    if not promql or "{range}" in promql:
        return ""
    operator = "==" if wanted.operator == "=" else wanted.operator
    return f"max by (site) ({promql} {operator} {wanted.value:g})"


def tests(query: Query) -> str:
    """Sites of which the conditions and comparisons of a query hold; empty if it cannot be said."""
    parts = [condition(c) for c in query.conditions] + [comparison(c) for c in query.comparisons]
    if not parts or not all(parts):
        return ""
    if len(parts) == 1:
        return parts[0]
    word = "or" if query.any_of else "and on (site)"
    return f" {word} ".join(f"({part})" for part in parts)


def issues(severity: str | None) -> str:
    """Issues from a severity on."""
    wanted = {"critical": '{severity="critical"}', "info": ""}.get(
        severity or "warning", '{severity=~"warning|critical"}'
    )
    return f"fleetscope_site_issue{wanted}"


def metric(name: str, seconds: float | None = None) -> str:
    """A metric now, or over a time; empty where Prometheus does not have it."""
    promql = METRICS[name].promql
    if "{range}" in promql:
        return promql.replace("{range}", f"{int(seconds)}s") if seconds else ""
    return promql
