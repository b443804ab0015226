"""Line protocol of InfluxDB, from Snapshots and Assessments. Pure.

Every number is written as a float, so that the type of a field never depends on its value.
Escaped names are cached: a fleet writes the same few over and over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from math import isfinite, isnan
from typing import TYPE_CHECKING

import numpy as np

from exporter.model.snapshot import BatterySnapshot, Snapshot
from exporter.model.text import without_age

if TYPE_CHECKING:
    # Processes that roll up or analyse cells have no use for what judges a fleet.
    from exporter.assess.assessment import FleetAssessment, Issue
    from exporter.config.fleet import Site

_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "_", "\r": "_", "\t": "_"})
_STRING = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": " ", "\r": " "})
SEVERITY_LEVELS = {"info": 1.0, "warning": 2.0, "critical": 3.0}


@lru_cache(maxsize=65_536)
def tag(value: str) -> str:
    """A tag value, escaped. A trailing backslash would escape the separator, so it is dropped."""
    return value.translate(_TAG).rstrip("\\") or "_"


def text(value: str) -> str:
    """A string field, quoted."""
    return f'"{value.translate(_STRING)}"'


def _series(measurement: str, *tags: str) -> str:
    """``measurement,tag=value,…`` from alternating tag names and values."""
    pairs = zip(tags[::2], tags[1::2], strict=True)
    return measurement + "".join([f",{name}={tag(value)}" for name, value in pairs])


def milliseconds(time: float) -> int:
    """Unix seconds as the timestamp of a line, in milliseconds."""
    return round(time * 1000)


def _fields(readings: Mapping[str, float]) -> list[str]:
    return [f"{name}={value!r}" for name, value in readings.items() if isfinite(value)]


def snapshot_lines(snapshot: Snapshot, way_before: str = "") -> list[str]:
    """Lines of one Snapshot: ``site`` always, the rest where the site gave it.

    Single cells are stored at a cadence of their own, by :mod:`exporter.store.cell_cadence`. A
    missing or implausible reading is not written. That the site was online or offline is, but for
    a Snapshot that repeats an earlier one.

    ``way_before`` is the way in by which the site was read before; a change of it is written too.
    """
    if snapshot.repeated:
        return []
    stamp = milliseconds(snapshot.time)
    online = 1.0 if snapshot.outcome.answered else 0.0
    fields = [
        f"online={online}",
        f"scrape_seconds={snapshot.duration!r}",
        f"outcome={text(snapshot.outcome.value)}",
        *_fields(snapshot.readings),
    ]
    site = tag(snapshot.site)
    lines = [f"site,site={site} {','.join(fields)} {stamp}"]
    for battery in snapshot.batteries:
        lines += _battery_lines(site, battery, stamp)
    if way_before and snapshot.current and way_before != snapshot.way:
        words = text(f"Read over {snapshot.way} instead of {way_before}")
        lines.append(f"way_in,site={site} text={words} {stamp}")
    for meter in snapshot.meters:
        if fields := _fields(meter.readings):
            series = f"meter,site={site},meter={tag(meter.device)}"
            lines.append(f"{series} {','.join(fields)} {stamp}")
    for device, levels in snapshot.alarms.items():
        series = f"alarm,site={site},device={tag(device)}"
        lines += [f"{series}{end}{stamp}" for end in _alarm_ends(tuple(levels.items()))]
    return lines


# The devices of a fleet report the same alarms, nearly always at the same levels.
@lru_cache(maxsize=4096)
def _alarm_ends(levels: tuple[tuple[str, int], ...]) -> list[str]:
    """What follows the device and precedes the stamp, in the line of each alarm."""
    return [f",alarm={tag(name)} level={level}.0 " for name, level in levels]


def _battery_lines(site: str, battery: BatterySnapshot, stamp: int) -> Iterable[str]:
    fields = _fields(battery.readings)
    if battery.cell_min_id:
        fields.append(f"cell_min_id={text(battery.cell_min_id)}")
    if battery.cell_max_id:
        fields.append(f"cell_max_id={text(battery.cell_max_id)}")
    if fields:
        device = tag(battery.device)
        yield f"battery,site={site},device={device} {','.join(fields)} {stamp}"


def cell_line(
    site: str, pack: str, cell: str, volts: float, celsius: float, stamp: int, left_out: int = 0
) -> str:
    """The line of one cell, of which one value may be missing (NaN).

    ``left_out`` is the number of rows before this one that a dead-band left out.
    """
    values = _fields({"voltage_v": volts, "temperature_c": celsius})
    if left_out:
        values.append(f"left_out={left_out}.0")
    series = _series("cell", "site", site, "pack", pack, "cell", cell)
    return f"{series} {','.join(values)} {stamp}"


def event_line(kind: str, words: str, time: float) -> str:
    """The line of something that the exporter did: ``start`` or ``reload``, in words."""
    return f"{_series('event', 'kind', kind)} text={text(words)} {milliseconds(time)}"


def order_line(
    site: str,
    source: str,
    state: str,
    figures: Mapping[str, float],
    texts: Mapping[str, str],
    time: float,
) -> str:
    """The line of an order that has come to a state, or is in one."""
    fields = _fields(figures) + [f"{name}={text(value)}" for name, value in texts.items()]
    series = _series("order", "site", site, "source", source, "state", state)
    return f"{series} {','.join(fields)} {milliseconds(time)}"


def assessment_lines(
    assessment: FleetAssessment,
    cleared: Iterable[tuple[str, Issue]],
    sites: Callable[[Site], bool] | None = None,
) -> list[str]:
    """Lines of one Assessment: ``health`` of every site, ``issue`` of every active one.

    Parameters
    ----------
    assessment : FleetAssessment
    cleared : iterable of (site id, Issue)
        Issues that were active in the Assessment stored before and are no more: written once,
        inactive.
    sites : callable, optional
        Whether lines of a site are wanted; all by default.
    """
    stamp = milliseconds(assessment.time)
    lines = []
    scores, overall = assessment.scores, assessment.scores.overall
    # Lists, since to take single numbers out of arrays costs more than to write them.
    parts = [(f",component={tag(p.name)} score=", p.score.tolist()) for p in scores.components]
    columns = zip(
        assessment.fleet.sites,
        assessment.issues,
        overall.score.tolist(),
        overall.status.astype(np.float64).tolist(),
        scores.attention.astype(np.float64).tolist(),
        overall.coverage.tolist(),
        assessment.pv_expected_w.tolist(),
        strict=True,
    )
    for row, (site, issues, score, status, rank, coverage, expected) in enumerate(columns):
        if sites is not None and not sites(site):
            continue
        named = tag(site.id)
        for end, values in parts:
            value = values[row]
            if not isnan(value):
                lines.append(f"health,site={named}{end}{value!r} {stamp}")
        if not isnan(score):
            lines.append(
                f"health,site={named},component=overall score={score!r},status={status},rank={rank}"
                f",coverage={coverage!r},{_worst_fields(issues)} {stamp}"
            )
        if not isnan(expected):
            lines.append(f"site,site={named} pv_expected_w={expected!r} {stamp}")
        if issues:
            lines += [_issue_line(site.id, issue, 1.0, stamp) for issue in issues]
    lines += [_issue_line(site_id, issue, 0.0, stamp) for site_id, issue in cleared]
    return lines


def _worst_fields(issues: Sequence[Issue]) -> str:
    """The worst issue, as columns of a table of sites."""
    if not issues:
        # An empty text, so that the last one written is not the one of an issue long gone.
        return 'issue="",code=""'
    worst = issues[0]
    return f"issue={text(worst.sentence)},since={worst.since!r},code={text(worst.code)}"


def _issue_line(site: str, issue: Issue, active: float, stamp: int) -> str:
    fields = [f"active={active}", f"severity={SEVERITY_LEVELS[issue.severity]}"]
    sentence = issue.sentence if active else without_age(issue.sentence, issue.value)
    fields += [f"since={issue.since!r}", f"sentence={text(sentence)}"]
    fields.append(f"deduction={issue.deduction!r}")
    if issue.value is not None:
        fields.append(f"value={issue.value!r}")
    if issue.threshold is not None:
        fields.append(f"threshold={issue.threshold!r}")
    return f"{_series('issue', 'site', site, 'code', issue.code)} {','.join(fields)} {stamp}"
