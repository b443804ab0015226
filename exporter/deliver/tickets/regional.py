"""One incident for a region whose grid or network is at fault, instead of one for each site."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exporter.deliver.tickets.incident import COMPONENTS, Incident

_SHARED = frozenset({"grid", "connectivity"})
_ATTRIBUTE = "region"
_SEVERITIES = ("info", "warning", "critical")
_PRIORITIES = ("low", "medium", "high")


def collective(
    common: Iterable[dict[str, Any]], sites: Iterable[dict[str, Any]], found: Iterable[Incident]
) -> tuple[list[Incident], frozenset[str]]:
    """Incidents of regions, and the keys of the incidents of single sites that they stand for.

    A worn battery stays one ticket for each site, however many have one: each needs its own visit.

    Parameters
    ----------
    common : iterable of dict
        Shared issues as ``/api/v1/fleet`` gives them.
    sites : iterable of dict
        As ``/api/v1/sites`` gives them.
    found : iterable of Incident
        Those of single sites.
    """
    by_key = {incident.key: incident for incident in found}
    known = {site["id"] for site in sites}
    made: list[Incident] = []
    covered: set[str] = set()
    for issue in common:
        if issue["attribute"] != _ATTRIBUTE or COMPONENTS.get(issue["code"]) not in _SHARED:
            continue
        keys = [f"{site}/{issue['code']}" for site in issue["sites"] if site in known]
        members = [by_key[key] for key in keys if key in by_key]
        if len(members) < 2:
            continue
        covered.update(member.key for member in members)
        worst = max(members, key=lambda m: _SEVERITIES.index(m.severity))
        made.append(
            Incident(
                site=place(issue["value"]),
                name=f"{len(members)} sites in {issue['value']}",
                location=None,
                priority=max((m.priority for m in members), key=_PRIORITIES.index),
                status=worst.status,
                score=None,
                code=issue["code"],
                component=worst.component,
                severity=worst.severity,
                sentence=issue["sentence"],
                action=worst.action,
                value=None,
                threshold=None,
                unit="",
                since=min(member.since for member in members),
                time=worst.time,
                readings={},
                members=tuple((member.site, member.name) for member in members),
            )
        )
    return made, frozenset(covered)


def place(value: str) -> str:
    """The region in place of a site's id, which holds no ``=``."""
    return f"{_ATTRIBUTE}={value.replace('/', '_')}"


def hidden(sites: Iterable[dict[str, Any]], unseen: frozenset[str]) -> frozenset[str]:
    """Keys of incidents of regions that cannot be seen, since those of their sites cannot.

    Parameters
    ----------
    sites : iterable of dict
        As ``/api/v1/sites`` gives them.
    unseen : frozenset of str
        Keys of single sites' incidents that cannot be seen.
    """
    regions = {site["id"]: site["region"] for site in sites}
    return frozenset(
        f"{place(regions[site])}/{code}"
        for site, _, code in (key.partition("/") for key in unseen)
        if regions.get(site) and COMPONENTS.get(code) in _SHARED
    )
