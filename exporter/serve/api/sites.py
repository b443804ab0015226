"""Lists of sites, one site, and its packs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from exporter.ask.lookup import fold
from exporter.assess.assessment import FleetAssessment, as_dict
from exporter.model.cell_findings import SiteCells
from exporter.model.cell_findings import as_dict as cells_dict
from exporter.serve.access.audit import contacts_header
from exporter.serve.api import schemas
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import SEARCH, Selection, page_of, row_of
from exporter.serve.api.stored_past import NOTHING_STORED
from exporter.serve.api.views import brief, pack_dicts, site_dict


class SiteQuery(Selection):
    """Which sites, in which order, in how much detail."""

    sort: Literal["attention", "performance", "name", "id"] = Field(
        "attention", description="Order: most in need first, best first, or by name or id"
    )
    view: Literal["full", "brief"] = Field(
        "full", description="brief leaves out what a list of many sites does not need"
    )


def router(latest: Callable[[], FleetAssessment], *, stored: bool) -> APIRouter:
    """``/sites`` and everything below it; ``stored`` is whether readings are."""
    routes = APIRouter(prefix="/api/v1", tags=["sites"])
    no_cells = "the history of its cells has not been analysed yet" if stored else NOTHING_STORED

    @routes.get("/sites", responses=schemas.of(schemas.SitesReply | schemas.BriefSitesReply))
    def sites(request: Request, query: Annotated[SiteQuery, Query()]) -> Response:
        """The chosen sites, those that need attention most first."""
        assessment = latest()
        places, performance = assessment.fleet.sites, assessment.scores.performance
        rows = query.rows(assessment)
        if query.sort == "performance":
            rows.sort(key=lambda row: int(performance[row]))
        elif query.sort == "name":
            rows.sort(key=lambda row: (fold(places[row].title), places[row].id))
        elif query.sort == "id":
            rows.sort(key=lambda row: places[row].id)
        shown, about = page_of(rows, query, request)
        listed = [
            brief(assessment, row) if query.view == "brief" else as_dict(assessment.site(row))
            for row in shown
        ]
        return reply(request, {"time": assessment.time, **about, "sites": listed})

    @routes.get("/search", responses=schemas.of(schemas.SearchReply))
    def search(
        request: Request,
        q: Annotated[str, Query(max_length=200, description="As in /sites, or near it")] = "",
    ) -> Response:
        """Ids of the sites that a text finds, those that need attention most first.

        Where no site has it, words of the fleet that come near it count; ``meant`` names them.
        """
        assessment = latest()
        found = SEARCH.find(assessment, q)
        sites = [assessment.fleet.sites[row].id for row in found.rows]
        return reply(request, {"q": q, "sites": sites, "meant": list(found.meant)})

    @routes.get("/sites/{site_id}", responses=schemas.of(schemas.SiteReply, 404))
    def site(request: Request, site_id: str) -> Response:
        """One site: scores, issues with their actions, readings, what is missing, thresholds."""
        assessment = latest()
        found = site_dict(assessment, row_of(assessment, site_id))
        return reply(request, found, **contacts_header([site_id] if found["contact"] else []))

    @routes.get("/sites/{site_id}/packs", responses=schemas.of(schemas.PacksReply, 404))
    def packs(request: Request, site_id: str) -> Response:
        """The batteries of a site with their cells, as they were last read."""
        assessment = latest()
        found = pack_dicts(assessment, row_of(assessment, site_id))
        return reply(request, {"time": assessment.time, "site": site_id, "packs": found})

    @routes.get("/sites/{site_id}/cells", responses=schemas.of(schemas.CellsReply, 404))
    def cells(request: Request, site_id: str) -> Response:
        """What the stored history says of the site's single cells: findings, trends, forecasts."""
        assessment = latest()
        row_of(assessment, site_id)
        found = assessment.cells.get(site_id) or SiteCells(site_id, assessment.time, fault=no_cells)
        return reply(request, cells_dict(found))

    return routes
