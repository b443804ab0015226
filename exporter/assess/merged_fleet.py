"""One Assessment of a fleet that several shards poll, equal to that of one exporter for all sites.

A shard gives what its judgement rests on (:class:`ShardPart`). :class:`MergedFleet` lays the parts
over the whole fleet and judges it again, since outliers, PV beside neighbours, shared causes and
ranks depend on all sites. A site of which no part tells is unseen, and its status is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.assessment import (
    FleetAssessment,
    UnseenShard,
    beginnings_of,
    inputs_of,
    shown_readings,
)
from exporter.assess.issues import Issue, issue_beside_peers, worst_first
from exporter.assess.sentences import of_the_grid
from exporter.assess.site_views import SiteView, views_of
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.cell_findings import SiteCells
from scoring.fleet import FleetScores, assess_fleet
from scoring.fleet_inputs import FleetInputs
from scoring.issues import HeldIssue
from scoring.rules import PV_LOW, PV_UNDERPERFORMING
from scoring.window import shift_figures

Rows = NDArray[np.intp]
Arrays = dict[str, Any]
"""Arrays by name whose first axis is the site, nested where a field is a mapping or dataclass."""

OF_FLEET = frozenset(
    {
        *("ids", "region", "battery_type", "project", "priority", "thresholds", "nominal"),
        *("off_grid", "latitude", "solar_capacity_kw", "required", "curtailed"),
        *("solar_before", "passed_s", "elapsed_s", "pv_lasting_s"),
    }
)
"""Inputs that follow from the fleet file or from the Assessment before: a part has none of them."""
_OF_PEERS = frozenset({PV_LOW.code, PV_UNDERPERFORMING.code})
"""Issues that depend on neighbours."""
STATE = ("ages", "up", "duration", "last_success", "pv_expected_w")
"""Arrays of an Assessment that are no inputs of the judgement."""


@dataclass(frozen=True, slots=True)
class ShardPart:
    """What one shard knows of its sites.

    Attributes
    ----------
    shard : str
        As it is written, ``1/4``.
    ids : list of N str
    inputs : dict
        Those of :class:`scoring.fleet.FleetInputs` without :data:`OF_FLEET`.
    state : dict
        Those of :data:`STATE`.
    issues : sequence of N tuples of Issue
    records : sequence of N SiteView
        Times in them are monotonic seconds of this process.
    cells : mapping of site id to SiteCells
    """

    shard: str
    ids: list[str]
    inputs: Arrays
    state: Arrays
    issues: Sequence[tuple[Issue, ...]]
    records: Sequence[SiteView]
    cells: Mapping[str, SiteCells]


def part_of(assessment: FleetAssessment, shard: str) -> ShardPart:
    """The part that an Assessment is of the whole fleet.

    Raises
    ------
    ValueError
        If it was made without its inputs.
    """
    inputs = assessment.inputs
    if inputs is None:
        raise ValueError("the Assessment was made without its inputs")
    return ShardPart(
        shard=shard,
        ids=list(inputs.ids),
        inputs={f.name: _plain(getattr(inputs, f.name)) for f in _input_fields(inputs)},
        state={name: getattr(assessment, name) for name in STATE},
        issues=assessment.issues,
        records=assessment.records,
        cells=assessment.cells,
    )


class MergedFleet:
    """Merges parts into Assessments of one fleet.

    Parameters
    ----------
    fleet : Fleet
        The sites of all shards.
    interval_seconds : float
        Between scrapes of a site that sets none itself.
    previous : FleetAssessment, optional
        The last one of the fleet before its file changed.
    """

    def __init__(
        self, fleet: Fleet, interval_seconds: float, previous: FleetAssessment | None = None
    ) -> None:
        self.fleet = fleet
        self._blank = FleetState(fleet, interval_seconds)
        self._views = views_of(self._blank, 0.0, None)
        self.previous = previous

    def assess(
        self, parts: Sequence[ShardPart], missing: Sequence[UnseenShard], now: float, wall: float
    ) -> FleetAssessment:
        """Judge the whole fleet.

        Parameters
        ----------
        parts : sequence of ShardPart
            A site that two of them have is taken from the later one.
        missing : sequence of UnseenShard
            Shards without a part. Sites of theirs that some part has are seen.
        now, wall : float
            Monotonic and Unix seconds.
        """
        blank = self._blank
        places = [_Place.of(part, blank.row) for part in parts]
        # What peers decided before is in the Assessment before, as far as it is of this fleet.
        inputs = inputs_of(blank, now, wall, self.previous, {})
        placed = {
            f.name: self._laid(
                getattr(inputs, f.name), [(p, p.part.inputs.get(f.name)) for p in places]
            )
            for f in _input_fields(inputs)
        }
        by_peers = {code: v for code, v in inputs.held.items() if code in _OF_PEERS}
        held = {
            code: HeldIssue(**v) if isinstance(v, dict) else v
            for code, v in placed.pop("held").items()
            if code not in _OF_PEERS
        }
        window = dict(placed.pop("window"))
        if "pv_shift_days_h" in window:
            window |= shift_figures(window["pv_shift_days_h"], blank.region)
        inputs = replace(inputs, **placed, held=held | by_peers, window=window)
        scores = assess_fleet(inputs)
        state: Arrays = {
            "ages": now - blank.times,
            "up": blank.up,
            "duration": blank.duration,
            "last_success": blank.last_success_time,
            "pv_expected_w": blank.pv_expected_w,
        }
        for name, values in state.items():
            state[name] = self._laid(values, [(p, p.part.state.get(name)) for p in places])
        unseen = _unseen(missing, parts, blank.row)
        self.previous = FleetAssessment(
            time=wall,
            monotonic=now,
            fleet=self.fleet,
            scores=scores,
            readings=shown_readings(inputs, scores, state["pv_expected_w"]),
            pv_ratio=inputs.pv_ratio,
            issues=self._issues(scores, inputs, places, wall),
            records=self._records(places, unseen),
            cells={i: c for part in parts for i, c in part.cells.items() if i in blank.row},
            unseen=unseen,
            **state,
        )
        return self.previous

    def _laid(self, blank: Any, given: Sequence[tuple[_Place, Any]]) -> Any:
        """What holds for a blank fleet, with the values of the parts at their rows.

        ``given`` has the value of each part, None where it has none.
        """
        given = [(place, value) for place, value in given if value is not None]
        if isinstance(blank, np.ndarray):
            found = blank.copy()
            for place, value in given:
                found[place.rows] = value[place.numbers]
            return found
        if is_dataclass(blank) and not isinstance(blank, type):
            parts = {
                f.name: self._laid(getattr(blank, f.name), [(p, v.get(f.name)) for p, v in given])
                for f in fields(blank)
            }
            return replace(blank, **parts)
        if blank is None and not given:
            return None
        # Names that a blank fleet does not have, such as codes of issues that some site has.
        known = {n: _nothing_like(v, len(self._blank.ids)) for _, g in given for n, v in g.items()}
        return {
            name: self._laid(values, [(place, value.get(name)) for place, value in given])
            for name, values in (known | dict(blank or {})).items()
        }

    def _issues(
        self, scores: FleetScores, inputs: FleetInputs, places: Sequence[_Place], wall: float
    ) -> tuple[tuple[Issue, ...], ...]:
        """Issues of all sites: as their shard has them, or anew where more peers change them."""
        known: dict[tuple[int, str], Issue] = {
            (row, issue.code): issue
            for place in places
            for number, row in place.pairs()
            for issue in place.part.issues[number]
        }
        beginnings = beginnings_of(self.previous)
        found: list[list[Issue]] = [[] for _ in inputs.ids]
        for finding in scores.findings:
            code = finding.rule.code
            of_grid = of_the_grid(finding, inputs.region, ~scores.offline)
            for row in np.flatnonzero(finding.severity).tolist():
                own = known.get((row, code))
                since = beginnings.get((inputs.ids[row], code), wall)
                if own is not None and (self.previous is None or code not in _OF_PEERS):
                    since = own.since
                issue = issue_beside_peers(finding, row, own, since, elsewhere=bool(of_grid[row]))
                found[row].append(issue)
        return tuple(worst_first(issues) for issues in found)

    def _records(
        self, places: Sequence[_Place], unseen: Sequence[UnseenShard]
    ) -> tuple[SiteView, ...]:
        records = list(self._views)
        for place in places:
            for number, row in place.pairs():
                records[row] = place.part.records[number]
        for shard in unseen:
            for site in shard.sites:
                row = self._blank.row[site]
                records[row] = replace(records[row], detail=shard.sentence)
        return tuple(records)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the sites of a part are: ``numbers`` in the part, ``rows`` in the fleet."""

    part: ShardPart
    numbers: Rows
    rows: Rows

    @classmethod
    def of(cls, part: ShardPart, row: Mapping[str, int]) -> _Place:
        known = [(number, row[site]) for number, site in enumerate(part.ids) if site in row]
        numbers, rows = np.array(known, dtype=np.intp).reshape(-1, 2).T
        return cls(part, numbers, rows)

    def pairs(self) -> list[tuple[int, int]]:
        return list(zip(self.numbers.tolist(), self.rows.tolist(), strict=True))


def _input_fields(inputs: FleetInputs) -> list[Any]:
    return [f for f in fields(inputs) if f.name not in OF_FLEET]


def _plain(value: Any) -> Any:
    """Arrays by name, nested, of an array, a mapping of arrays or a dataclass of arrays."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


def _nothing_like(value: Any, sites: int) -> Any:
    """Zeros, of the shape and kind of an array or of nested ones, for so many sites."""
    if isinstance(value, Mapping):
        return {name: _nothing_like(part, sites) for name, part in value.items()}
    empty = np.nan if value.dtype.kind == "f" else 0
    return np.full((sites, *value.shape[1:]), empty, value.dtype)


def _unseen(
    missing: Sequence[UnseenShard], parts: Sequence[ShardPart], row: Mapping[str, int]
) -> tuple[UnseenShard, ...]:
    seen = {site for part in parts for site in part.ids}
    left = (
        replace(shard, sites=tuple(i for i in shard.sites if i in row and i not in seen))
        for shard in missing
    )
    return tuple(shard for shard in left if shard.sites)
