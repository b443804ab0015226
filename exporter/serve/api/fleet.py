"""The fleet as a whole, and every active issue of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from exporter.assess.assessment import FleetAssessment
from exporter.serve.api import schemas
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import Selection, page_of
from exporter.serve.api.views import fleet_dict, issue_dict

_SEVERITIES = {"critical": 0, "warning": 1, "info": 2}


class IssueQuery(Selection):
    """Which issues of which sites."""

    code: list[str] = Field([], max_length=50, description="Only issues of these codes")
    severity: list[Literal["critical", "warning", "info"]] = Field(
        [], description="Only issues of these severities"
    )
    component: list[str] = Field([], max_length=10, description="Only issues of these components")


def router(latest: Callable[[], FleetAssessment]) -> APIRouter:
    """``/fleet`` and ``/issues``."""
    routes = APIRouter(prefix="/api/v1", tags=["fleet"])

    @routes.get("/fleet", responses=schemas.of(schemas.FleetReply))
    def fleet(request: Request) -> Response:
        """Counts, mean and median, common issues, and who needs attention."""
        return reply(request, fleet_dict(latest()))

    @routes.get("/issues", responses=schemas.of(schemas.IssuesReply))
    def issues(request: Request, query: Annotated[IssueQuery, Query()]) -> Response:
        """Active issues of the chosen sites: critical first, then by the order of attention."""
        assessment = latest()
        found = [
            (row, issue)
            for row in query.rows(assessment)
            for issue in assessment.issues[row]
            if query.has("code", issue.code)
            and (not query.severity or issue.severity in query.severity)
            and query.has("component", issue.component)
        ]
        # Stable: among equals the order of attention stays.
        found.sort(key=lambda entry: _SEVERITIES[entry[1].severity])
        shown, about = page_of(found, query, request)
        sites = assessment.fleet.sites
        listed = [
            {"site": sites[row].id, "name": sites[row].title, **issue_dict(issue)}
            for row, issue in shown
        ]
        return reply(request, {"time": assessment.time, **about, "issues": listed})

    return routes
