"""The Assessment: what the fleet state says of every site at one moment.

The one place in which a figure is made; metrics, API, command line and sink all read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.issues import Issue, issues_of, number_or_none, worst_cells
from exporter.assess.limits_ahead import limits_ahead
from exporter.assess.site_views import SiteView, views_of
from exporter.collect.state import COLUMN, PV_PAUSE_SECONDS, FleetState, same_arrays, same_device
from exporter.config.fleet import Fleet, Site
from exporter.model.cell_findings import SiteCells
from exporter.model.snapshot import Outcome
from exporter.model.text import sites_word
from scoring.common import CommonIssue, common_issues
from scoring.fleet import FleetScores, assess_fleet
from scoring.fleet_inputs import FleetInputs
from scoring.issues import BoolArray, FloatArray, Held, Severity
from scoring.rules import RULES
from scoring.solar import SolarResult, performance_ratio, specific_yield
from scoring.status import STATUSES, Status
from scoring.weights import WEIGHTS

__all__ = ["FleetAssessment", "Issue", "SiteAssessment", "UnseenShard", "as_dict", "assess"]


@dataclass(frozen=True, slots=True)
class SiteAssessment:
    """One site: scores 0 to 100 (None: unknown), status, issues worst first, ranks from 1.

    ``weights`` are those of the components in this score, where the known ones share the weight of
    the unknown ones (None). ``way_in`` names the way in by which the site was read last, and
    ``way_changes`` counts how often that changed since the start. ``odd`` is a site that differs a
    little from its peers in several ways at once.
    """

    site: Site
    status: Status
    score: float | None
    components: dict[str, float | None]
    weights: dict[str, float | None]
    coverage: float
    missing: tuple[str, ...]
    issues: tuple[Issue, ...]
    attention_rank: int
    performance_rank: int
    outlier_scores: dict[str, float]
    odd: bool
    readings: dict[str, float]
    ages: dict[str, float]
    up: bool | None
    outcome: Outcome | None
    detail: str
    last_success: float | None
    scrape_seconds: float | None
    properties: dict[str, str]
    way_in: str
    way_changes: int


@dataclass(frozen=True, slots=True)
class UnseenShard:
    """A shard of whose sites nothing is known now.

    Attributes
    ----------
    shard : str
        As it is written, ``1/4``.
    sites : tuple of str
        Ids of its sites.
    since : float or None
        Unix seconds at which it answered last; None: not yet.
    reason : str
        What became of the last request to it.
    """

    shard: str
    sites: tuple[str, ...]
    since: float | None
    reason: str

    @property
    def sentence(self) -> str:
        """Why its sites are not known."""
        return f"shard {self.shard} does not answer: {self.reason}"


@dataclass(frozen=True)
class FleetAssessment:
    """The whole fleet at one moment, ``time`` in Unix and ``monotonic`` in monotonic seconds.

    Arrays are in fleet file order. ``inputs`` are kept by a shard that others ask, else None.
    ``unseen`` are the shards of which nothing is known, where several poll the fleet.
    """

    time: float
    monotonic: float
    fleet: Fleet
    scores: FleetScores
    readings: dict[str, FloatArray]
    ages: FloatArray
    up: FloatArray
    duration: FloatArray
    last_success: FloatArray
    pv_ratio: FloatArray
    pv_expected_w: FloatArray
    issues: tuple[tuple[Issue, ...], ...]
    records: tuple[SiteView, ...]
    cells: Mapping[str, SiteCells] = field(default_factory=dict)
    """What the stored history of single cells says, by site id; renewed hourly."""
    inputs: FleetInputs | None = None
    unseen: tuple[UnseenShard, ...] = ()

    @cached_property
    def common(self) -> list[CommonIssue]:
        """Issues that several sites share, and ways in which they are odd together."""
        sites = self.fleet.sites
        active = {f.rule.code: f.severity > Severity.NONE for f in self.scores.findings}
        active |= self.scores.odd_ways
        attributes = {
            "region": [s.region for s in sites],
            "battery_type": [s.battery_type for s in sites],
            "vendor": [s.vendor for s in sites],
            "firmware": [view.properties.get("firmware") for view in self.records],
        }
        answering = ~self.scores.offline & ~np.isnan(self.up)
        found = common_issues({k: v for k, v in active.items() if v.any()}, attributes, answering)
        # Single sites that are odd have nothing in common until something explains them.
        odd = self.scores.odd_ways
        return [issue for issue in found if issue.attribute or issue.code not in odd]

    @cached_property
    def counts(self) -> dict[Status, int]:
        """Number of sites by status, all five and UNKNOWN."""
        status = self.scores.overall.status
        return {s: int((status == s).sum()) for s in (*STATUSES, Status.UNKNOWN)}

    @cached_property
    def mean(self) -> float | None:
        """Mean overall score of the assessed sites, offline ones counting 0."""
        return number_or_none(float(np.nanmean(self._known))) if self._known.size else None

    @cached_property
    def median(self) -> float | None:
        """Median overall score of the assessed sites, offline ones counting 0."""
        return number_or_none(float(np.nanmedian(self._known))) if self._known.size else None

    @property
    def _known(self) -> FloatArray:
        score = self.scores.overall.score
        return score[~np.isnan(score)]

    @property
    def unseen_sites(self) -> int:
        """Number of sites whose shard does not answer."""
        return sum(len(shard.sites) for shard in self.unseen)

    @property
    def unseen_sentence(self) -> str:
        """Which share of the fleet nobody sees now, and why; empty where all of it is seen."""
        if not self.unseen:
            return ""
        sites = len(self.fleet.sites)
        share = 100 * self.unseen_sites / sites
        shards = ", ".join(shard.shard for shard in self.unseen)
        which = "shard" if len(self.unseen) == 1 else "shards"
        do = "does" if len(self.unseen) == 1 else "do"
        are = "is" if self.unseen_sites == 1 else "are"
        return (
            f"{self.unseen_sites} of {sites_word(sites)} ({share:.0f} %) {are} not seen: "
            f"{which} {shards} {do} not answer"
        )

    @property
    def untried(self) -> int:
        """Number of sites of which no scrape has ended yet."""
        return int(np.isnan(self.up).sum())

    def by_attention(self) -> list[int]:
        """Rows of all sites, those that need attention most first."""
        return [int(i) for i in np.argsort(self.scores.attention)]

    def needing_attention(self) -> list[int]:
        """Rows of the sites that need attention, worst first: every one with a warning or worse."""
        worst = self.scores.overall.worst
        return [row for row in self.by_attention() if worst[row] >= Severity.WARNING]

    def site(self, row: int) -> SiteAssessment:
        """Everything about one site, by its row."""
        overall = self.scores.overall
        view = self.records[row]
        return SiteAssessment(
            site=self.fleet.sites[row],
            status=Status(int(overall.status[row])),
            score=number_or_none(float(overall.score[row])),
            components={
                c.name: number_or_none(float(c.score[row])) for c in self.scores.components
            },
            weights={
                c.name: number_or_none(float(overall.weights[index, row]))
                for index, c in enumerate(self.scores.components)
            },
            coverage=float(overall.coverage[row]),
            missing=tuple(name for name, mask in overall.missing if mask[row]),
            issues=self.issues[row],
            attention_rank=int(self.scores.attention[row]),
            performance_rank=int(self.scores.performance[row]),
            outlier_scores={
                name: float(o.z[row])
                for name, o in self.scores.outliers.items()
                if not math.isnan(o.z[row])
            },
            odd=bool(self.scores.odd[row]),
            readings={
                name: float(values[row])
                for name, values in self.readings.items()
                if not math.isnan(values[row])
            },
            ages={
                name: float(self.ages[row, COLUMN[name]])
                for name, values in self.readings.items()
                if name in COLUMN and not math.isnan(values[row])
            },
            up=None if math.isnan(self.up[row]) else bool(self.up[row]),
            outcome=view.outcome,
            detail=view.detail,
            last_success=number_or_none(float(self.last_success[row])),
            scrape_seconds=number_or_none(float(self.duration[row])),
            properties=view.properties,
            way_in=view.way or self.fleet.sites[row].way_names[0],
            way_changes=view.way_changes,
        )

    def __iter__(self) -> Iterator[SiteAssessment]:
        return (self.site(row) for row in range(len(self.fleet.sites)))


def assess(
    state: FleetState,
    now: float,
    wall: float,
    previous: FleetAssessment | None = None,
    cells: Mapping[str, SiteCells] | None = None,
    *,
    keep_inputs: bool = False,
) -> FleetAssessment:
    """Judge the fleet as it is known now. The state stays as it is.

    Parameters
    ----------
    state : FleetState
    now, wall : float
        Monotonic and Unix seconds.
    previous : FleetAssessment, optional
        The Assessment before: an issue that was active in it keeps its beginning. What did not
        change since is the same object in both, so that a reader of both compares the rest alone.
    cells : mapping of site id to SiteCells, optional
        What the stored history of single cells says.
    keep_inputs : bool
        Keep what the judgement rests on in the Assessment.
    """
    cells = {} if cells is None else cells
    inputs = inputs_of(state, now, wall, previous, cells)
    scores = assess_fleet(inputs)
    issues = issues_of(state, scores, wall, beginnings_of(previous), worst_cells(cells))
    views = None
    if previous is not None and previous.fleet is state.fleet:
        views = previous.records
        pairs = zip(previous.issues, issues, strict=True)
        issues = tuple([old if old == new else new for old, new in pairs])
    return FleetAssessment(
        time=wall,
        monotonic=now,
        fleet=state.fleet,
        scores=scores,
        readings=shown_readings(inputs, scores, state.pv_expected_w),
        ages=now - state.times,
        up=state.up.copy(),
        duration=state.duration.copy(),
        last_success=state.last_success_time.copy(),
        pv_ratio=inputs.pv_ratio,
        pv_expected_w=state.pv_expected_w,
        issues=issues,
        records=views_of(state, now, views),
        cells=cells,
        inputs=inputs if keep_inputs else None,
    )


def shown_readings(
    inputs: FleetInputs, scores: FleetScores, pv_expected_w: FloatArray
) -> dict[str, FloatArray]:
    """Readings, and the figures that an Assessment shows like readings."""
    return (
        dict(inputs.readings)
        | {"pv_expected_w": pv_expected_w, "pv_performance_ratio": inputs.pv_ratio}
        | limits_ahead(inputs)
        | {
            "data_quality_ratio": scores.confidence.quality,
            "confidence_ratio": scores.confidence.confidence,
            "odd_score": scores.odd_score,
        }
    )


def inputs_of(
    state: FleetState,
    now: float,
    wall: float,
    previous: FleetAssessment | None,
    cells: Mapping[str, SiteCells],
) -> FleetInputs:
    """What the judgement rests on; parameters as in :func:`assess`."""
    found_cells = worst_cells(cells)
    ages = now - state.times
    with np.errstate(invalid="ignore"):
        fresh = ages <= state.stale_after[:, None]
    usable = np.where(fresh, state.values, np.nan)
    readings = {name: usable[:, column] for name, column in COLUMN.items()}
    worked, attempted, answered = state.last_hour(now)
    elapsed_s = 0.0 if previous is None else now - previous.monotonic
    # A longer step was not observed, unless a site is read so seldom.
    observed_s = max(PV_PAUSE_SECONDS, 1.5 * float(np.max(state.interval, initial=0.0)))
    pv_ratio = performance_ratio(
        state.pv_made_wh, state.pv_expected_wh, state.pv_hours, state.solar_capacity_kw
    )
    return FleetInputs(
        ids=state.ids,
        readings=readings,
        thresholds=state.thresholds,
        frequencies_hz=state.frequencies,
        pv_ratio=pv_ratio,
        pv_yield=specific_yield(
            pv_ratio, state.pv_made_wh, state.pv_hours, state.solar_capacity_kw
        ),
        worked=worked,
        attempted=attempted,
        answered=answered,
        age_s=now - state.last_success,
        interval_s=state.interval,
        offline_after_s=state.stale_after,
        tried=~np.isnan(state.up),
        alarm_level=np.array([float(r.alarm_level) for r in state.records]),
        implausible=np.array([float(r.unusable) for r in state.records]),
        wrong_types=np.array([float(r.wrong_types) for r in state.records]),
        notices=_noticed(state),
        cell_found=np.fromiter(
            (site in found_cells for site in state.ids), np.bool_, len(state.ids)
        ),
        off_grid=state.off_grid,
        nominal=state.nominal,
        latitude=state.latitude,
        solar_capacity_kw=state.solar_capacity_kw,
        priority=state.priority,
        region=state.region,
        battery_type=state.battery_type,
        project=state.project,
        pv_current=state.pv_idle_s <= PV_PAUSE_SECONDS,
        solar_before=_solar_before(previous, state),
        window=state.window.figures(wall, readings, state.constants),
        held=_held(previous, state, now),
        required=state.required,
        curtailed=state.curtailed,
        passed_s=min(elapsed_s, observed_s),
        elapsed_s=elapsed_s,
        pv_lasting_s=state.pv_lasting_s,
    )


def _noticed(state: FleetState) -> dict[str, BoolArray]:
    """By code: where the driver of a site noticed something."""
    found: dict[str, BoolArray] = {}
    for row, record in enumerate(state.records):
        for notice in record.notices:
            mask = found.setdefault(notice.code, np.zeros(len(state.records), dtype=bool))
            mask[row] = True
    return found


def _rows_before(
    previous: FleetAssessment, state: FleetState, stays: Callable[[Site, Site], bool]
) -> NDArray[np.intp]:
    """Row that each site had in an Assessment, -1 where it was not there or did not stay."""
    rows = {site.id: row for row, site in enumerate(previous.fleet.sites)}
    found = np.array([rows.get(site, -1) for site in state.ids], dtype=np.intp)
    for row, old in enumerate(found.tolist()):
        if old >= 0 and not stays(previous.fleet.sites[old], state.fleet.sites[row]):
            found[row] = -1
    return found


def _solar_before(previous: FleetAssessment | None, state: FleetState) -> SolarResult | None:
    """What an Assessment said of PV, in the rows of the present fleet."""
    if previous is None or previous.fleet is state.fleet:
        return None if previous is None else previous.scores.solar
    return previous.scores.solar.of_rows(_rows_before(previous, state, same_arrays))


_OF_ARRAYS = frozenset(rule.code for rule in RULES if rule.component == "solar")


def _held(previous: FleetAssessment | None, state: FleetState, now: float) -> Held:
    """What an Assessment said, by code, in the rows of the present fleet."""
    if previous is None:
        return {}
    found = {
        finding.rule.code: held.after(now - previous.monotonic)
        for finding in previous.scores.findings
        if (held := finding.held) is not None
    }
    if previous.fleet is state.fleet:
        return found
    of_site = _rows_before(previous, state, same_device)
    # What was said of other arrays says nothing of these.
    of_arrays = _rows_before(previous, state, same_arrays)
    moved = {}
    for code, held in found.items():
        before = of_arrays if code in _OF_ARRAYS else of_site
        moved[code] = held.of_rows(before)
    return moved


def beginnings_of(previous: FleetAssessment | None) -> dict[tuple[str, str], float]:
    """When each active issue of an Assessment began, by site id and code."""
    if previous is None:
        return {}
    return {
        (site.id, issue.code): issue.since
        for site, issues in zip(previous.fleet.sites, previous.issues, strict=True)
        if issues
        for issue in issues
    }


def common_dicts(assessment: FleetAssessment) -> list[dict[str, Any]]:
    """The issues that several sites share, as plain JSON values."""
    return [
        {
            "code": issue.code,
            "sites": [assessment.fleet.sites[row].id for row in issue.members.tolist()],
            "attribute": issue.attribute,
            "value": issue.value,
            "follows": issue.follows,
            "sentence": issue.sentence,
        }
        for issue in assessment.common
    ]


def as_dict(site: SiteAssessment) -> dict[str, Any]:
    """A site's assessment as plain JSON values; contact and endpoint are not in it."""
    place = site.site
    return {
        "id": place.id,
        "name": place.title,
        "location": place.location,
        "region": place.region,
        "project": place.project,
        "vendor": place.vendor,
        "battery_type": place.battery_type,
        "kind": place.kind,
        "priority": place.priority,
        "status": site.status.name,
        "score": site.score,
        "components": site.components,
        "weights": dict(WEIGHTS),
        "effective_weights": site.weights,
        "coverage": round(site.coverage, 4),
        "confidence": site.readings.get("confidence_ratio"),
        "data_quality": site.readings.get("data_quality_ratio"),
        "missing": list(site.missing),
        "attention_rank": site.attention_rank,
        "performance_rank": site.performance_rank,
        "issues": [
            {field: getattr(issue, field) for field in Issue.__slots__} for issue in site.issues
        ],
        "outlier_scores": site.outlier_scores,
        "odd": site.odd,
        "readings": site.readings,
        "reading_ages_seconds": {k: round(v, 1) for k, v in site.ages.items()},
        "up": site.up,
        "outcome": site.outcome.value if site.outcome else None,
        "detail": site.detail,
        "last_success": site.last_success,
        "scrape_seconds": site.scrape_seconds,
        "properties": site.properties,
        "way_in": site.way_in,
        "ways_in": list(place.way_names),
        "way_changes": site.way_changes,
    }
