"""The portfolio: what plants earned, lost and owe, as it was published."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from exporter.ask.query import QueryError
from exporter.ask.request import PARAMETERS, period_of, zone_of
from exporter.assess.assessment import FleetAssessment
from exporter.history.influxql import InfluxQL
from exporter.model.extras import missing
from exporter.portfolio.measurements import MEASUREMENTS
from exporter.portfolio.stored_figures import (
    FIRST,
    LAST,
    Rows,
    read_kpis,
    read_plants,
    read_rows,
    summed,
    zone_of_plants,
)
from exporter.portfolio.telemetry_export import as_csv, as_parquet, days_of
from exporter.serve.api import schemas
from exporter.serve.api.enumerations import Parameters
from exporter.serve.api.portfolio_schemas import (
    PortfolioKpisReply,
    PortfolioSiteReply,
    rows_reply,
)
from exporter.serve.api.replies import reply
from exporter.serve.api.selection import row_of
from exporter.serve.api.stored_past import answered, needed

USUAL_PERIOD = "last month"
MOST_ROWS = 10_000
LONGEST_EXPORT_SECONDS = 400 * 86_400


class PeriodQuery(Parameters):
    """Of when."""

    period: str | None = Field(None, max_length=200, description=PARAMETERS["period"])
    since: str | None = Field(None, max_length=64, description=PARAMETERS["since"])
    until: str | None = Field(None, max_length=64, description=PARAMETERS["until"])
    tz: str | None = Field(
        None, max_length=64, description="Time zone; the market's, in which days begin, without it"
    )


class SitesQuery(PeriodQuery):
    """Whose, and of when."""

    site: list[str] = Field(
        [], max_length=1000, description="Ids of sites; without any all that the caller sees"
    )


class RowsQuery(SitesQuery):
    """Which rows, and which page of them."""

    service: list[str] = Field([], max_length=50, description="Only these services")
    run: list[str] = Field([], max_length=20, description="Only these settlement runs")
    cause: list[str] = Field([], max_length=20, description="Only these causes")
    category: list[str] = Field([], max_length=20, description="Only events of these categories")
    device: list[str] = Field([], max_length=50, description="Only these devices")
    code: list[str] = Field([], max_length=50, description="Only these codes")
    term: list[str] = Field([], max_length=20, description="Only these guarantees")
    vendor: list[str] = Field([], max_length=50, description="Only these vendors")
    figure: list[str] = Field([], max_length=50, description="Only these figures")
    project: list[str] = Field([], max_length=50, description="Only these development projects")
    by: list[str] = Field(
        [], max_length=6, description="Add up by these: names of tags, `day` or `month`"
    )
    limit: int = Field(1000, ge=1, le=MOST_ROWS, description="At most so many rows")
    offset: int = Field(0, ge=0, le=100_000_000, description="Leave out so many at the beginning")


class ExportQuery(SitesQuery):
    """Whose telemetry, of when, and in which form."""

    format: Literal["csv", "parquet"] = Field("csv", description="Of the file")


@dataclass(frozen=True, slots=True)
class Listing:
    """A route that lists rows of a measurement; without a period the newest of each series."""

    path: str
    measurement: str
    about: str
    usual_period: str | None = USUAL_PERIOD


LISTINGS = (
    Listing("sites", "plant", "Plants of the portfolio.", None),
    Listing("revenue", "revenue", "Revenue by site, service and day."),
    Listing("losses", "loss", "Losses by site, service, cause and day; they add up exactly."),
    Listing("events", "event", "Faults, trips, losses of communication and maintenance."),
    Listing("sla", "sla", "Guarantees by month: what was reached, excluded and is owed."),
    Listing("quality", "quality", "Completeness of telemetry by hour."),
    Listing("battery-health", "lifecycle", "State of health, its loss, and what is left.", None),
    Listing("dispatch", "dispatch", "Power that was wanted, allowed and measured."),
    Listing("benchmark", "benchmark", "Vendors compared, for those who see every project.", None),
    Listing("pipeline", "project", "Projects on their way, for those who see every project.", None),
)


def router(latest: Callable[[], FleetAssessment], stored: InfluxQL | None) -> APIRouter:
    """``/portfolio/…``."""
    routes = APIRouter(prefix="/api/v1/portfolio", tags=["portfolio"])
    for listing in LISTINGS:
        routes.add_api_route(
            f"/{listing.path}",
            _listing(listing, latest, stored),
            methods=["GET"],
            name=f"portfolio_{listing.measurement}",
            description=f"{listing.about} {MEASUREMENTS[listing.measurement].row}",
            responses=schemas.of(rows_reply(listing.measurement), 404, 503),
        )

    @routes.get("/kpis", responses=schemas.of(PortfolioKpisReply, 404, 503))
    async def portfolio_kpis(request: Request, query: Annotated[SitesQuery, Query()]) -> Response:
        """Figures of all plants, or of some, over a period; each with formula and source."""
        sites = _known(latest(), query.site)
        return reply(request, await _kpis(needed(stored), query, sites, sites))

    @routes.get("/sites/{site_id}", responses=schemas.of(PortfolioSiteReply, 404, 503))
    async def portfolio_site(request: Request, site_id: str) -> Response:
        """A plant with its newest reading and its newest month; null where there is none."""
        (site,) = _known(latest(), [site_id])
        source = needed(stored)
        found = {}
        for name, measurement in (
            ("plant", "plant"),
            ("telemetry", "telemetry"),
            ("month", "plant_month"),
        ):
            rows = await answered(
                read_rows(source, measurement, FIRST, LAST, {"site": [site]}, newest=True),
                "the portfolio",
            )
            found[name] = rows[-1] if rows else None
        return reply(request, {"site": site} | found)

    @routes.get("/sites/{site_id}/kpis", responses=schemas.of(PortfolioKpisReply, 404, 503))
    async def portfolio_site_kpis(
        request: Request, site_id: str, query: Annotated[PeriodQuery, Query()]
    ) -> Response:
        """Figures of one plant over a period; each with formula and source."""
        sites = _known(latest(), [site_id])
        return reply(request, await _kpis(needed(stored), query, sites, sites))

    @routes.get(
        "/telemetry",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "The file, streamed",
                "content": {"text/csv": {}, "application/vnd.apache.parquet": {}},
            },
            **schemas.problems_of(404, 422, 503),
        },
    )
    async def portfolio_telemetry(query: Annotated[ExportQuery, Query()]) -> Response:
        """Telemetry of plants as a CSV or Parquet file, by site and then by time."""
        assessment, source = latest(), needed(stored)
        plants = await answered(read_plants(source), "the portfolio")
        sites = _known(assessment, query.site) or sorted({row["site"] for row in plants})
        since, until, _ = _bounds(query, zone_of_plants(plants), USUAL_PERIOD)
        if until - since > LONGEST_EXPORT_SECONDS:
            raise HTTPException(422, "period: expected 400 days at most")
        if query.format == "parquet" and (why := missing("import")):
            raise HTTPException(503, why)
        days = days_of(source, list(dict.fromkeys(sites)), since, until)
        # What fails before the first part is an answer of its own.
        parts = as_csv(days) if query.format == "csv" else as_parquet(days)
        first = await answered(anext(parts), "the portfolio")
        name = f"telemetry-{datetime.fromtimestamp(since, UTC):%Y%m%d}.{query.format}"
        kind = "text/csv" if query.format == "csv" else "application/vnd.apache.parquet"
        return StreamingResponse(
            _streamed(first, parts),
            media_type=kind,
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )

    return routes


async def _streamed(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part


def _listing(
    listing: Listing, latest: Callable[[], FleetAssessment], stored: InfluxQL | None
) -> Callable[..., Awaitable[Response]]:
    about = MEASUREMENTS[listing.measurement]

    async def rows(request: Request, query: Annotated[RowsQuery, Query()]) -> Response:
        only = _filters(query, listing.measurement)
        only["site"] = _known(latest(), query.site)
        if "site" not in about.tags:
            del only["site"]
        source = needed(stored)
        plants = await answered(read_plants(source), "the portfolio")
        zone = zone_of_plants(plants)
        given = query.period or query.since or query.until
        newest = listing.usual_period is None and not given
        since, until = FIRST, LAST
        if not newest:
            since, until, zone = _bounds(query, zone, listing.usual_period or USUAL_PERIOD)
        found = await answered(
            read_rows(source, listing.measurement, since, until, only, newest=newest),
            "the portfolio",
        )
        return reply(
            request,
            _page(request, query, listing, found, zone)
            | {
                "since": None if newest else since,
                "until": None if newest else until,
                "tz": str(zone),
                "currency": _currency(plants),
            },
        )

    return rows


def _page(
    request: Request, query: RowsQuery, listing: Listing, found: Rows, zone: ZoneInfo
) -> dict[str, Any]:
    about = MEASUREMENTS[listing.measurement]
    end = query.offset + query.limit
    following = None
    if end < len(found):
        url = request.url.include_query_params(offset=end)
        following = f"{url.path}?{url.query}"
    return {
        "formula": about.formula,
        "source": about.source,
        "fields": {
            name: {"unit": f.unit, "meaning": f.meaning, "together": f.combine.value}
            for name, f in about.fields.items()
        },
        "total": len(found),
        "offset": query.offset,
        "limit": query.limit,
        "next": following,
        "rows": found[query.offset : end],
        "sums": summed(found, listing.measurement, query.by, zone),
    }


def _filters(query: RowsQuery, measurement: str) -> dict[str, Sequence[str]]:
    """Values by tag; a filter that the measurement has no tag for is refused."""
    tags = MEASUREMENTS[measurement].tags
    names = ("service", "run", "cause", "category", "device", "code", "term", "vendor", "figure")
    only: dict[str, Sequence[str]] = {}
    for name in (*names, "project"):
        values = getattr(query, name)
        if values and name not in tags:
            raise HTTPException(422, f"{name}: these rows have none; they have {', '.join(tags)}")
        if name in tags:
            only[name] = values
    wrong = [name for name in query.by if name not in (*tags, "day", "month")]
    if wrong:
        known = ", ".join((*tags, "day", "month"))
        raise HTTPException(422, f"by: {wrong[0][:40]!r} is none of {known}")
    return only


async def _kpis(
    source: InfluxQL, query: PeriodQuery, sites: Sequence[str], shown: Sequence[str]
) -> dict[str, Any]:
    plants = await answered(read_plants(source, sites), "the portfolio")
    since, until, zone = _bounds(query, zone_of_plants(plants), USUAL_PERIOD)
    found = await answered(read_kpis(source, since, until, sites), "the portfolio")
    return {
        "sites": list(shown) or sorted(row["site"] for row in plants),
        "since": since,
        "until": until,
        "tz": str(zone),
        "currency": _currency(plants),
        "kpis": [asdict(kpi) for kpi in found],
    }


def _currency(plants: Sequence[Mapping[str, Any]]) -> str | None:
    named = {row["currency"] for row in plants if row["currency"]}
    return named.pop() if len(named) == 1 else None


def _known(assessment: FleetAssessment, sites: Sequence[str]) -> list[str]:
    """The sites, each of which the caller must see."""
    return [assessment.fleet.sites[row_of(assessment, site)].id for site in sites]


def _bounds(query: PeriodQuery, zone: ZoneInfo, usual: str) -> tuple[float, float, ZoneInfo]:
    """Unix seconds of both ends, and the zone."""
    try:
        if query.tz is not None:
            zone = ZoneInfo(str(zone_of(query.tz)))
        words = query.period if query.period or query.since or query.until else usual
        found = period_of(words, query.since, query.until, zone, datetime.now(UTC))
    except (QueryError, OverflowError, KeyError, ValueError) as error:
        raise HTTPException(422, f"period: {error}") from error
    assert found is not None  # one is always given
    return found.start.timestamp(), found.end.timestamp(), zone
