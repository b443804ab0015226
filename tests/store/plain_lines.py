"""Line protocol written plainly, tag by tag and field by field: what the quick way must equal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from exporter.assess.assessment import FleetAssessment, Issue
from exporter.model.snapshot import Snapshot
from exporter.model.text import without_age
from exporter.store.line_protocol import SEVERITY_LEVELS, milliseconds, tag, text


def _series(measurement: str, *tags: str) -> str:
    pairs = zip(tags[::2], tags[1::2], strict=True)
    return measurement + "".join(f",{name}={tag(value)}" for name, value in pairs)


def _fields(readings: Mapping[str, float]) -> list[str]:
    return [f"{name}={value!r}" for name, value in readings.items() if math.isfinite(value)]


def plain_snapshot_lines(snapshot: Snapshot) -> list[str]:
    """See :func:`exporter.store.line_protocol.snapshot_lines`."""
    stamp = milliseconds(snapshot.time)
    fields = [
        f"online={1.0 if snapshot.outcome.answered else 0.0}",
        f"scrape_seconds={snapshot.duration!r}",
        f"outcome={text(snapshot.outcome.value)}",
        *_fields(snapshot.readings),
    ]
    lines = [f"{_series('site', 'site', snapshot.site)} {','.join(fields)} {stamp}"]
    for battery in snapshot.batteries:
        fields = _fields(battery.readings)
        for name, cell in (("min", battery.cell_min_id), ("max", battery.cell_max_id)):
            if cell:
                fields.append(f"cell_{name}_id={text(cell)}")
        if fields:
            series = _series("battery", "site", snapshot.site, "device", battery.device)
            lines.append(f"{series} {','.join(fields)} {stamp}")
    for device, levels in snapshot.alarms.items():
        for name, level in levels.items():
            series = _series("alarm", "site", snapshot.site, "device", device, "alarm", name)
            lines.append(f"{series} level={level}.0 {stamp}")
    return lines


def plain_assessment_lines(
    assessment: FleetAssessment, cleared: Iterable[tuple[str, Issue]]
) -> list[str]:
    """See :func:`exporter.store.line_protocol.assessment_lines`."""
    stamp = milliseconds(assessment.time)
    lines = []
    scores = assessment.scores
    for row, site in enumerate(assessment.fleet.sites):
        for part in scores.components:
            value = float(part.score[row])
            if not math.isnan(value):
                series = _series("health", "site", site.id, "component", part.name)
                lines.append(f"{series} score={value!r} {stamp}")
        lines += _overall_lines(assessment, row, stamp)
        expected = float(assessment.pv_expected_w[row])
        if not math.isnan(expected):
            lines.append(f"{_series('site', 'site', site.id)} pv_expected_w={expected!r} {stamp}")
        lines += [_issue_line(site.id, issue, 1.0, stamp) for issue in assessment.issues[row]]
    lines += [_issue_line(site_id, issue, 0.0, stamp) for site_id, issue in cleared]
    return lines


def _overall_lines(assessment: FleetAssessment, row: int, stamp: int) -> Iterable[str]:
    """The overall score, with the other columns of a table of sites."""
    overall = assessment.scores.overall
    score = float(overall.score[row])
    if math.isnan(score):
        return
    fields = [
        f"score={score!r}",
        f"status={float(overall.status[row])}",
        f"rank={float(assessment.scores.attention[row])}",
        f"coverage={float(overall.coverage[row])!r}",
    ]
    issues = assessment.issues[row]
    if issues:
        fields += [f"issue={text(issues[0].sentence)}", f"since={issues[0].since!r}"]
        fields.append(f"code={text(issues[0].code)}")
    else:
        # An empty text, so that the last one written is not the one of an issue long gone.
        fields += ['issue=""', 'code=""']
    series = _series("health", "site", assessment.fleet.sites[row].id, "component", "overall")
    yield f"{series} {','.join(fields)} {stamp}"


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
