"""The replies of the API as types, from which ``/openapi.json`` describes them.

Times are Unix seconds; scores are 0 to 100; null is unknown. Reports and the findings of cells are
described by the dataclasses that they are made of. The tests hold every reply against its type.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from exporter.assess.assessment import Issue
from exporter.deliver.report.model import Report
from exporter.model.cell_findings import SiteCells
from exporter.serve.api.problems import MEDIA_TYPE

CLOSED = ConfigDict(extra="forbid")
Counts = Annotated[dict[str, int], Field(description="Number of sites by status")]
Readings = Annotated[dict[str, float], Field(description="By name; a missing reading is absent")]


class WrongParameter(TypedDict):
    """A parameter, and what is wrong with it."""

    parameter: str
    message: str


class Problem(TypedDict):
    """A problem (RFC 9457), which may have members of its own beside these."""

    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[list[WrongParameter]]


@with_config(CLOSED)
class CommonIssue(TypedDict):
    """An issue that several sites have, and what they share."""

    code: str
    sites: list[str]
    attribute: str | None
    value: str | None
    follows: str | None
    sentence: str


@with_config(CLOSED)
class UnseenShard(TypedDict):
    """A shard that does not answer."""

    shard: str
    sites: int
    since: Annotated[float | None, Field(description="When it answered last")]
    reason: str


@with_config(CLOSED)
class Unseen(TypedDict):
    """The part of the fleet that nobody sees now."""

    sites: int
    ratio: float
    sentence: str
    shards: list[UnseenShard]


@with_config(CLOSED)
class FleetReply(TypedDict):
    """The fleet as a whole."""

    time: float
    version: str
    sites: int
    counts: Counts
    mean_score: float | None
    median_score: float | None
    attention: Annotated[list[str], Field(description="Ids of sites, worst first")]
    common_issues: list[CommonIssue]
    unseen: Annotated[Unseen | None, Field(description="Where several exporters share the fleet")]


class Page(TypedDict):
    """One part of a list."""

    time: float
    total: Annotated[int, Field(description="Entries of the whole list")]
    offset: int
    limit: int | None
    next: Annotated[str | None, Field(description="Path of the next part")]


@with_config(CLOSED)
class SiteIssue(TypedDict):
    """An issue, and whose it is."""

    site: str
    name: str
    code: str
    component: str
    severity: str
    value: float | None
    threshold: float | None
    unit: str
    deduction: Annotated[float, Field(description="Points of its component")]
    sentence: str
    action: str
    since: float


@with_config(CLOSED)
class IssuesReply(Page):
    """Active issues."""

    issues: list[SiteIssue]


class SiteHead(TypedDict):
    """Which site it is, and how it is."""

    id: str
    name: str
    location: str | None
    region: str | None
    project: str | None
    vendor: str | None
    battery_type: str | None
    kind: Annotated[str, Field(description="ess, bess, pv, meter or datacentre")]
    priority: str
    status: str
    score: float | None
    components: Annotated[dict[str, float | None], Field(description="Score of each component")]
    attention_rank: Annotated[int, Field(description="1 needs attention most")]
    missing: Annotated[list[str], Field(description="Inputs that scoring lacks")]
    readings: Readings


@with_config(CLOSED)
class BriefSite(SiteHead):
    """A site in a list of many."""

    issues: Annotated[int, Field(description="Number of active issues")]
    worst: Issue | None
    in_maintenance: bool


class SiteBody(SiteHead):
    """A site with all that is known of it."""

    weights: Annotated[dict[str, float], Field(description="Weight of each component")]
    effective_weights: Annotated[
        dict[str, float | None],
        Field(
            description="Weight of each component in this score: the known ones share the weight "
            "of the unknown ones (null)"
        ),
    ]
    coverage: Annotated[float, Field(description="Share of the inputs that are known, 0 to 1")]
    confidence: Annotated[
        float | None,
        Field(description="How sure the score is, 0 to 1; null where the site does not answer"),
    ]
    data_quality: Annotated[
        float | None, Field(description="Quality of the site's data, 0 to 1; bounds the confidence")
    ]
    performance_rank: Annotated[int, Field(description="1 performs best")]
    issues: list[Issue]
    outlier_scores: Annotated[dict[str, float], Field(description="Robust z by metric")]
    odd: Annotated[
        bool,
        Field(description="Whether it differs a little from its peers in several ways at once"),
    ]
    reading_ages_seconds: dict[str, float]
    up: bool | None
    outcome: str | None
    detail: str
    last_success: float | None
    scrape_seconds: float | None
    properties: Annotated[dict[str, str], Field(description="What the device says of itself")]
    way_in: Annotated[str, Field(description="The way in by which it was read last")]
    ways_in: Annotated[list[str], Field(description="Its ways in, the best one first")]
    way_changes: Annotated[int, Field(description="Changes of the way in since the start")]


@with_config(CLOSED)
class FullSite(SiteBody):
    """A site in a list."""


@with_config(CLOSED)
class BriefSitesReply(Page):
    """Sites in brief."""

    sites: list[BriefSite]


@with_config(CLOSED)
class SitesReply(Page):
    """Sites with all that is known of them."""

    sites: list[FullSite]


@with_config(CLOSED)
class SearchReply(TypedDict):
    """Sites that a text finds."""

    q: str
    sites: list[str]
    meant: Annotated[list[str], Field(description="Words that come near those of the text")]


@with_config(CLOSED)
class Contact(TypedDict):
    """Whom to call."""

    name: str | None
    phone: str | None
    email: str | None


@with_config(CLOSED)
class SiteReply(SiteBody):
    """One site, with the thresholds in force for it."""

    time: float
    in_maintenance: bool
    capacity_kwh: float | None
    solar_capacity_kw: float | None
    off_grid: bool
    blocks: Annotated[
        dict[str, dict[str, object]], Field(description="What the fleet file says of its kind")
    ]
    thresholds: dict[str, float]
    contact: Annotated[
        Contact | None,
        Field(description="Null where the fleet file has none, or the caller may not see it"),
    ]


@with_config(CLOSED)
class Cell(TypedDict):
    """One cell, as last read."""

    cell: str
    voltage_v: float | None
    temperature_c: float | None


@with_config(CLOSED)
class Pack(TypedDict):
    """One battery, as last read."""

    device: str
    active: bool
    age_seconds: float
    readings: Readings
    cell_min_id: str | None
    cell_max_id: str | None
    cells: list[Cell]


@with_config(CLOSED)
class PacksReply(TypedDict):
    """The batteries of a site."""

    time: float
    site: str
    packs: list[Pack]


@with_config(CLOSED)
class Ranked(TypedDict):
    """A site at its place."""

    place: int
    id: str
    name: str
    status: str
    value: float


@with_config(CLOSED)
class RankingReply(Page):
    """Sites in the order of one value."""

    by: str
    unit: str
    unknown: Annotated[int, Field(description="Sites without the value, which are not ranked")]
    ranking: list[Ranked]


@with_config(CLOSED)
class Outlier(TypedDict):
    """A site against its peers."""

    id: str
    name: str
    z: float
    flagged: bool
    concern: Annotated[bool, Field(description="It differs to the worse side")]
    median: float
    mad: Annotated[float, Field(description="Median absolute deviation of the peers")]
    group: str | None
    members: int


@with_config(CLOSED)
class OutlierMetric(TypedDict):
    """One metric, and who is unlike the others in it."""

    metric: str
    unit: str
    worse: str
    meaning: str
    scored: int
    sites: list[Outlier]


@with_config(CLOSED)
class OutliersReply(TypedDict):
    """Sites unlike their peers."""

    time: float
    metrics: list[OutlierMetric]


@with_config(CLOSED)
class ComparedSite(TypedDict):
    """A site that is compared."""

    id: str
    name: str
    status: str


@with_config(CLOSED)
class ComparedMetric(TypedDict):
    """One value of all sites that are compared."""

    metric: str
    unit: str
    values: Annotated[dict[str, float | None], Field(description="By site id")]
    fleet_median: float | None
    fleet_known: int


@with_config(CLOSED)
class CompareReply(TypedDict):
    """Sites side by side."""

    time: float
    sites: list[ComparedSite]
    metrics: list[ComparedMetric]


@with_config(CLOSED)
class Series(TypedDict):
    """One series; a null value is a gap."""

    tags: dict[str, str]
    read: Annotated[int, Field(description="Samples read, before thinning")]
    times: list[float]
    values: list[float | None]
    minimum: float | None
    maximum: float | None


@with_config(CLOSED)
class HistoryReply(TypedDict):
    """The past of one value of a site."""

    metric: str
    site: str
    unit: str
    since: float
    until: float
    query: str
    stretch_seconds: Annotated[int, Field(description="Length of a window; 0 for every sample")]
    series: list[Series]


@with_config(CLOSED)
class SilenceReply(TypedDict):
    """A silence of Alertmanager."""

    id: str
    author: str
    comment: str
    starts: float
    ends: float
    site: Annotated[str | None, Field(description="Null where it is not of one site alone")]
    alert: Annotated[str | None, Field(description="Null where it is not of one alert alone")]
    matchers: str
    acknowledges: bool


@with_config(CLOSED)
class AlertReply(TypedDict):
    """An alert that fires."""

    name: str
    severity: str
    since: float
    state: str
    summary: str
    action: str
    runbook: str
    dashboard: str
    silences: list[SilenceReply]
    inhibited: Annotated[bool, Field(description="Another alert holds it back")]


@with_config(CLOSED)
class AlertsReply(TypedDict):
    """The alerts of a site."""

    site: str
    may_silence: Annotated[bool, Field(description="Whether the caller may silence them")]
    alerts: list[AlertReply]
    silences: Annotated[list[SilenceReply], Field(description="Those of this site alone")]


@with_config(CLOSED)
class SurfacePack(TypedDict):
    """A pack, and its cells in physical order."""

    pack: str
    cells: list[str]


@with_config(CLOSED)
class SurfaceReply(TypedDict):
    """Values of cells in even steps of a period."""

    site: str
    name: str
    period: str
    since: float
    until: float
    limits: dict[str, float]
    quantity: str
    kept: str
    unit: str
    begin: Annotated[float, Field(description="Unix seconds of the first step")]
    step_seconds: int
    steps: int
    packs: list[SurfacePack]
    observed_percent: Annotated[float, Field(description="Share of steps and cells with a value")]
    first: Annotated[float | None, Field(description="Begin of the first step with a value")]
    last: Annotated[float | None, Field(description="End of the last step with a value")]
    scale: float
    offset: float
    missing: int
    level: Annotated[str | None, Field(description="Roll-up that was read; null for full detail")]
    query: str
    values: Annotated[str, Field(description="Base64 of 16-bit integers, little-endian")]


_PROBLEM = TypeAdapter(Problem).json_schema()
CellsReply = SiteCells
ReportReply = Report


def of(reply: Any, *problems: int, media: tuple[str, ...] = ()) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route.

    Parameters
    ----------
    reply : type
        What it answers.
    problems : int
        Statuses of the problems that it may answer with, beside 422.
    media : tuple of str
        Other media types that it answers in.
    """
    return {
        200: {
            "description": "The answer",
            "model": reply,
            "content": {"application/json": {}} | {kind: {} for kind in media},
        },
        304: {"description": "The caller has it already, by its ETag"},
        **problems_of(422, *problems),
    }


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problems that a route may answer with."""
    body = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": body}
        for status in sorted(set(statuses))
    }
