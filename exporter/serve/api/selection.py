"""Which sites a question is about, in which order, and which part of a long answer."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

import numpy as np
from fastapi import HTTPException, Request
from pydantic import Field

from exporter.ask.search import SiteSearch
from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Priority, Site
from exporter.config.site_kinds import SiteKind
from exporter.serve.api.enumerations import Parameters
from scoring.issues import Severity
from scoring.status import Status

StatusName = Literal["HEALTHY", "GOOD", "WARNING", "CRITICAL", "OFFLINE", "UNKNOWN"]
Item = TypeVar("Item")
LARGEST_PAGE = 10_000
SEARCH = SiteSearch()


class Selection(Parameters):
    """Filters that every list of sites takes, and the part of it that is wanted.

    A filter that may be given several times keeps sites that match any of its values; several
    filters keep sites that match all of them.
    """

    q: str | None = Field(
        None,
        max_length=200,
        description="Text, or words, that id, name, location, region, battery type, vendor, "
        "priority, tags or status contain",
    )
    status: list[StatusName] = Field([], description="Only sites of these statuses")
    priority: list[Priority] = Field([], description="Only sites of these priorities")
    region: list[str] = Field([], max_length=100, description="Only sites of these regions")
    project: list[str] = Field([], max_length=100, description="Only sites of these projects")
    vendor: list[str] = Field([], max_length=100, description="Only sites of these vendors")
    kind: list[SiteKind] = Field([], description="Only sites of these kinds")
    battery_type: list[str] = Field([], max_length=100, description="Only these battery types")
    issue: list[str] = Field([], max_length=50, description="Only sites with one of these issues")
    attention: bool | None = Field(
        None, description="Only sites that need attention (true) or that do not (false)"
    )
    limit: int | None = Field(
        None, ge=1, le=LARGEST_PAGE, description="At most so many; without it all"
    )
    offset: int = Field(0, ge=0, le=10_000_000, description="Leave out so many at the beginning")

    def rows(self, assessment: FleetAssessment) -> list[int]:
        """Rows of the sites that match, those that need attention most first."""
        found = SEARCH.find(assessment, self.q or "", near=False)
        worst = assessment.scores.overall.worst
        status = assessment.scores.overall.status
        chosen = []
        for row in found.rows:
            site = assessment.fleet.sites[row]
            if self.status and Status(int(status[row])).name not in self.status:
                continue
            if self.attention is not None and self.attention != bool(
                worst[row] >= Severity.WARNING
            ):
                continue
            if self.issue and not any(self.has("issue", i.code) for i in assessment.issues[row]):
                continue
            if self._describes(site):
                chosen.append(row)
        return chosen

    def _describes(self, site: Site) -> bool:
        return (
            self.has("priority", site.priority)
            and self.has("region", site.region)
            and self.has("project", site.project)
            and self.has("vendor", site.vendor)
            and self.has("battery_type", site.battery_type)
            and (not self.kind or site.kind in self.kind)
        )


def page_of(
    items: Sequence[Item], query: Selection, request: Request
) -> tuple[Sequence[Item], dict[str, Any]]:
    """The wanted part of a list, and what to say of the whole: total and the next part's URL."""
    end = len(items) if query.limit is None else query.offset + query.limit
    following = None
    if end < len(items):
        url = request.url.include_query_params(offset=end)
        following = f"{url.path}?{url.query}"
    about = {"total": len(items), "offset": query.offset, "limit": query.limit, "next": following}
    return items[query.offset : end], about


def row_of(assessment: FleetAssessment, site_id: str) -> int:
    """The row of a site, by its id.

    Raises
    ------
    HTTPException
        404 where the fleet has none of that id.
    """
    for row, site in enumerate(assessment.fleet.sites):
        if site.id == site_id:
            return row
    known = {name: site.id for site in assessment.fleet.sites for name in (site.title, site.id)}
    close = dict.fromkeys(known[name] for name in get_close_matches(site_id[:80], known, 3))
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise HTTPException(404, f"there is no site with the id {site_id[:80]!r}{hint}")


def by_value(rows: Sequence[int], values: np.ndarray[Any, Any], *, descending: bool) -> list[int]:
    """Rows in the order of a value; those without one are left out."""
    known = [row for row in rows if not np.isnan(values[row])]
    return sorted(known, key=lambda row: -values[row] if descending else values[row])
