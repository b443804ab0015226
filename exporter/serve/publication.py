"""The seam between the process that polls and those that answer: a Publication in, replies out.

The collector publishes each Assessment; a reader holds the latest one and knows nothing of polling.
In one process a Publication is handed over as it is. Between processes an :class:`Encoder` for each
reader makes a :class:`Delta` of it, which holds what the reader does not have yet, and the reader's
:class:`Decoder` puts it together again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from exporter.assess.assessment import FleetAssessment, Issue
from exporter.assess.site_views import SiteView
from exporter.config.fleet import Fleet
from exporter.control.order_views import OrderBook
from exporter.model.cell_findings import SiteCells
from exporter.store.queue_stats import SpoolNumbers

# These are compared by site; every other field of an Assessment is small and crosses as a whole.
_BY_SITE = ("fleet", "records", "issues", "cells")
_WHOLE = tuple(f.name for f in fields(FleetAssessment) if f.name not in _BY_SITE)


@dataclass(frozen=True, slots=True)
class ServiceNumbers:
    """What the collector reports of itself with each Assessment.

    Attributes
    ----------
    process_id : int or None
        The process whose use of resources is reported; None: the one that renders the metrics.
    spools : mapping of project or None to SpoolNumbers
        Each queue, where projects have databases of their own; None is that of all other sites.
    all_sites : int or None
        Sites in the fleet file, over all shards; None where that is not known.
    orders : OrderBook or None
        Open orders; None where there is no dispatcher.
    energy_lookups : mapping of "hit" or "miss" to int
        Of the server: energy accounts of the last 48 hours by whether one was kept.
    """

    lag_seconds: float
    skipped: int
    clock_steps: int
    assessment_seconds: float
    spool: SpoolNumbers
    writes: int
    write_errors: int
    cells_every: float | None
    rollups_time: float | None
    reload_successful: bool
    reload_time: float
    spools: Mapping[str | None, SpoolNumbers] = field(default_factory=dict)
    access_files: Mapping[str, bool] = field(default_factory=dict)
    process_id: int | None = None
    all_sites: int | None = None
    orders: OrderBook | None = None
    energy_lookups: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publication:
    """An Assessment as a reader sees it.

    ``waiting`` says what the service waits for until it is ready, None once it is. ``whole`` is
    the fleet of all shards, None where this exporter does not answer for it.
    """

    assessment: FleetAssessment
    numbers: ServiceNumbers
    waiting: str | None = None
    whole: Fleet | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What a reader needs to get from the Publication before to this one.

    ``fleet`` is None where it is the same; then rows and ids that are absent are the same too.
    ``whole_fleet`` is None where that of all shards is the same.
    """

    numbers: ServiceNumbers
    waiting: str | None
    fleet: Fleet | None
    whole: dict[str, Any]
    records: dict[int, SiteView]
    issues: dict[int, tuple[Issue, ...]]
    cells: dict[str, SiteCells]
    cells_gone: tuple[str, ...]
    whole_fleet: Fleet | None = None


class Encoder:
    """Makes the Deltas for one reader; every one must reach it, in order."""

    def __init__(self) -> None:
        self._sent: FleetAssessment | None = None
        self._sent_whole: Fleet | None = None

    def encode(self, publication: Publication) -> Delta:
        """What the reader does not have yet."""
        now, before = publication.assessment, self._sent
        same = before is not None and before.fleet is now.fleet
        self._sent = now
        whole = publication.whole if publication.whole is not self._sent_whole else None
        self._sent_whole = publication.whole
        return Delta(
            numbers=publication.numbers,
            waiting=publication.waiting,
            fleet=None if same else now.fleet,
            whole={name: getattr(now, name) for name in _WHOLE},
            records=_changed(now.records, before.records if same and before else ()),
            issues=_changed(now.issues, before.issues if same and before else ()),
            cells={
                site: found
                for site, found in now.cells.items()
                if not (same and before and before.cells.get(site) is found)
            },
            cells_gone=tuple(before.cells.keys() - now.cells.keys()) if same and before else (),
            whole_fleet=whole,
        )


class Decoder:
    """Puts the Publication together again, reader's side."""

    def __init__(self) -> None:
        self._fleet: Fleet | None = None
        self._records: list[SiteView] = []
        self._issues: list[tuple[Issue, ...]] = []
        self._cells: dict[str, SiteCells] = {}
        self._whole: Fleet | None = None

    def decode(self, delta: Delta) -> Publication:
        """The Publication that the Delta leads to."""
        if delta.fleet is not None:
            self._fleet = delta.fleet
            self._records = list(delta.records.values())
            self._issues = list(delta.issues.values())
            self._cells = dict(delta.cells)
        else:
            for row, view in delta.records.items():
                self._records[row] = view
            for row, issues in delta.issues.items():
                self._issues[row] = issues
            gone = frozenset(delta.cells_gone)
            kept = {site: found for site, found in self._cells.items() if site not in gone}
            self._cells = kept | delta.cells
        assert self._fleet is not None  # the first Delta has one
        self._whole = delta.whole_fleet or self._whole
        assessment = FleetAssessment(
            fleet=self._fleet,
            records=tuple(self._records),
            issues=tuple(self._issues),
            cells=self._cells,
            **delta.whole,
        )
        return Publication(assessment, delta.numbers, delta.waiting, self._whole)


def _changed(now: tuple[Any, ...], before: tuple[Any, ...]) -> dict[int, Any]:
    """By row, what is another object than before; all where there is no before."""
    if not before:
        return dict(enumerate(now))
    pairs = zip(before, now, strict=True)
    return {row: new for row, (old, new) in enumerate(pairs) if old is not new}
