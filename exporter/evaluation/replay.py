"""A past played through fleet state and assessment, on its own clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporter.assess.assessment import FleetAssessment, assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.evaluation.alert_series import MetricSeries
from exporter.evaluation.calibration import Confidences
from exporter.evaluation.single_readings import fixed_limits, pv_share, two_sigma
from exporter.evaluation.spells import Active, Spell, SpellTracker
from exporter.model.snapshot import Snapshot
from scoring.issues import Severity
from scoring.pv_power import expected_power

STALE_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Observed:
    """What the detectors said of a past.

    Attributes
    ----------
    begin, end : float
        First and last moment, Unix seconds.
    spells : mapping of detector name to its spells
        ``fleetscope`` is the assessment; ``fixed limits`` and ``two sigma`` are yardsticks.
    series : MetricSeries
        What the alert rules read.
    confidences : Confidences
        Of the assessment.
    sentences : mapping of (site id, code, Unix seconds) to str
        What each issue of the assessment said when it began.
    """

    begin: float
    end: float
    spells: dict[str, tuple[Spell, ...]]
    series: MetricSeries
    confidences: Confidences
    sentences: Mapping[tuple[str, str, float], str]


DETECTORS = ("fleetscope", "fixed limits", "two sigma")


@dataclass(slots=True)
class Replay:
    """Takes Snapshots moment by moment, and assesses after each.

    Parameters
    ----------
    fleet : Fleet
    interval_seconds : float
        Seconds from one moment to the next, and of a site that sets no interval itself.
    series : MetricSeries
        Collects what alert rules read.
    """

    fleet: Fleet
    interval_seconds: float
    series: MetricSeries
    _state: FleetState = field(init=False)
    _latest: FleetAssessment | None = None
    _begin: float | None = None
    _time: float = 0.0
    _trackers: dict[str, SpellTracker] = field(init=False)
    _times: list[float] = field(default_factory=list)
    _confidences: list[NDArray[np.float32]] = field(default_factory=list)
    _sentences: dict[tuple[str, str, float], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._state = FleetState(self.fleet, self.interval_seconds)
        self._trackers = {name: SpellTracker() for name in DETECTORS}

    def step(self, time: float, snapshots: Iterable[Snapshot]) -> FleetAssessment:
        """Take in what all sites gave since the moment before, and assess the fleet.

        Parameters
        ----------
        time : float
            Unix seconds, later than the moment before.
        snapshots : iterable of Snapshot
            Ascending. A site that was not asked has none.

        Raises
        ------
        ValueError
            The moment is not later than the one before.
        """
        if self._begin is None:
            self._begin = time
        elif time <= self._time:
            raise ValueError(f"{time} is not later than {self._time}")
        state, now = self._state, time - self._begin
        for snapshot in snapshots:
            taken = min(max(snapshot.time, self._time, self._begin), time)
            state.apply(snapshot, taken - self._begin)
        arrays = state.pv_arrays
        expected = arrays.of_sites(expected_power(time, *arrays.panels))
        assert expected is not None
        passed = time - self._time if self._time else self.interval_seconds
        stale = now - STALE_INTERVALS * state.interval
        state.integrate_pv(expected, passed, stale)
        state.observe(now, time, passed, expected)
        latest = self._latest = assess(state, now, time, self._latest)
        self._time = time
        share = pv_share(latest, expected)
        begun = self._trackers["fleetscope"].observe(time, _issues(latest))
        for site, code in begun:
            issues = latest.issues[state.row[site]]
            self._sentences[site, code, time] = next(i.sentence for i in issues if i.code == code)
        self._trackers["fixed limits"].observe(time, fixed_limits(state, latest.readings, share))
        self._trackers["two sigma"].observe(time, two_sigma(state, latest.readings, share))
        self.series.observe(latest)
        self._times.append(time)
        self._confidences.append(latest.scores.confidence.confidence.astype(np.float32))
        return latest

    def finish(self) -> Observed:
        """Everything that was said.

        Raises
        ------
        ValueError
            No moment was taken in.
        """
        if self._begin is None:
            raise ValueError("nothing was replayed")
        spells = {name: tracker.finish(self._time) for name, tracker in self._trackers.items()}
        sites = tuple(site.id for site in self.fleet.sites)
        confidences = Confidences(sites, np.array(self._times), np.array(self._confidences))
        return Observed(self._begin, self._time, spells, self.series, confidences, self._sentences)


def _issues(assessment: FleetAssessment) -> Active:
    return {
        (site.id, issue.code): Severity[issue.severity.upper()]
        for site, issues in zip(assessment.fleet.sites, assessment.issues, strict=True)
        for issue in issues
    }
