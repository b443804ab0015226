"""Pictures of what was found and missed: ``python -m tests.evaluation --draw``.

Chosen cases are drawn into docs/images, each with the reading that shows its fault and what every
detector said meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.assess.assessment import FleetAssessment
from exporter.evaluation.labels import Label
from exporter.evaluation.replay import DETECTORS, Observed
from exporter.evaluation.spells import Spell, of_site
from exporter.evaluation.table import duration
from exporter.evaluation.verdict import is_false, judge
from tests.evaluation.tasks import Task

FOLDER = Path(__file__).parents[2] / "docs/images"
SHOWN = {
    "hours": {
        ("battery that grows hot", "30 to 60 °C in 6 h"): ("battery_hottest_c", "°C"),
        ("weak cell", "160 mV"): ("cell_widest_spread_v", "V"),
        ("part of the PV is lost", "65 % left"): ("pv_power_w", "W"),
        ("frequency at its limit", "49.38 and 49.62 Hz"): ("grid_frequency_hz", "Hz"),
        ("charge that stands still", "at 55 %"): ("soc_percent", "%"),
        ("counters count too little", "a third"): ("soc_percent", "%"),
        ("PV a little low", "90 % left"): ("pv_power_w", "W"),
        ("warm for an hour", "42 °C"): ("battery_hottest_c", "°C"),
    },
    "weeks": {
        ("SOH falls", "0.7 % a month"): ("battery_lowest_soh_percent", "%"),
        ("SOH falls as it should", "0.2 % a month"): ("battery_lowest_soh_percent", "%"),
        ("soiling", "0.4 % a day"): ("pv_performance_ratio", ""),
        ("soiling", "1.5 % a day"): ("pv_performance_ratio", ""),
        ("wrong coordinates", "22.5° east"): ("pv_performance_ratio", ""),
        ("slower link", "2.4 s instead of 0.3 s"): ("soc_percent", "%"),
    },
}
"""Part to case and strength to the reading that shows it and its unit."""

WIDTH, HEIGHT, LEFT, RIGHT = 460.0, 190.0, 46.0, 8.0
TOP, PLOT, LANE = 30.0, 90.0, 13.0
COLUMNS = 2
POINTS = 400
FAULT, COURSE, GOOD, BAD, INK = "#f6dfb5", "#1f5fbf", "#19703f", "#bf1226", "#3c4653"

FloatArray = NDArray[np.float64]
Scale = Callable[[float], float]


@dataclass(slots=True)
class Courses:
    """Readings of chosen sites over time, in the order of ``wanted``: site id and reading."""

    wanted: Sequence[tuple[str, str]]
    times: list[float] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)

    def take(self, assessment: FleetAssessment) -> None:
        """Keep the readings of a moment."""
        rows = {site.id: row for row, site in enumerate(assessment.fleet.sites)}
        self.times.append(assessment.time)
        self.values.append(
            [float(assessment.readings[name][rows[site]]) for site, name in self.wanted]
        )


def shown_labels(task: Task) -> list[Label]:
    """The cases of a fleet that are drawn."""
    return [x for x in task.fleet.labels if (x.fault, x.strength) in SHOWN.get(task.part, {})]


def courses_of(task: Task) -> Courses:
    """Takes the readings of the cases that are drawn."""
    shown = SHOWN.get(task.part, {})
    return Courses([(x.site, shown[x.fault, x.strength][0]) for x in shown_labels(task)])


def panels(task: Task, courses: Courses, seen: Observed) -> dict[tuple[str, str], str]:
    """A drawing of each case of a fleet that is drawn, by fault and strength."""
    times, values = np.array(courses.times), np.array(courses.values)
    sites = len(task.fleet.scenario.sites)
    drawn = {}
    for column, label in enumerate(shown_labels(task)):
        of = {name: of_site(seen.spells[name]).get(label.site, []) for name in DETECTORS}
        verdict = judge([label], of["fleetscope"], (), sites, (seen.begin, seen.end))
        if label.innocent:
            wrong = verdict.false_issues.total()
            result = f"a look-alike; {wrong or 'no'} false warning{'s' * (wrong != 1)}"
        else:
            after = verdict.found[0].after_seconds
            result = "missed" if after is None else f"found after {duration(after)}"
        unit = SHOWN[task.part][label.fault, label.strength][1]
        title = f"{label.fault}, {label.strength}: {result}"
        drawn[label.fault, label.strength] = _panel(
            title, unit, times, values[:, column], label, of
        )
    return drawn


def _panel(
    title: str,
    unit: str,
    times: FloatArray,
    values: FloatArray,
    label: Label,
    said: dict[str, list[Spell]],
) -> str:
    inside = WIDTH - LEFT - RIGHT
    first, last = float(times[0]), float(times[-1])

    def x(time: float) -> float:
        return LEFT + inside * (min(max(time, first), last) - first) / (last - first)

    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    span = high - low or 1.0

    def y(value: float) -> float:
        return TOP + PLOT * (1 - (value - low) / span)

    begin, end = x(label.begin), x(label.end)
    parts = [
        _text(LEFT, 16, title, "start", 'font-weight="bold"'),
        f'<rect x="{begin:.1f}" y="{TOP}" width="{max(end - begin, 1):.1f}" height="{PLOT}" '
        f'fill="{FAULT}"/>',
        *(_text(LEFT - 4, y(v) + 4, _with_unit(v, unit), "end") for v in (low, high)),
        f'<path d="{_path(times, values, x, y)}" fill="none" stroke="{COURSE}"/>',
    ]
    for lane, name in enumerate(DETECTORS):
        top = TOP + PLOT + 6 + lane * LANE
        parts.append(_text(LEFT - 4, top + 9, _SHORT[name], "end"))
        parts.append(
            f'<rect x="{LEFT}" y="{top:.1f}" width="{inside:.1f}" height="{LANE - 3}" '
            'fill="#eef1f5"/>'
        )
        for spell in said[name]:
            right = spell.code in label.codes
            if not right and not is_false(spell, [label]):
                continue
            start = x(spell.begin)
            wide = max(x(spell.end) - start, 1.5)
            parts.append(
                f'<rect x="{start:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{LANE - 3}" '
                f'fill="{GOOD if right else BAD}"><title>{escape(spell.code)}</title></rect>'
            )
    bottom = TOP + PLOT + 6 + len(DETECTORS) * LANE + 10
    parts.append(_text(LEFT, bottom, _moment(first), "start"))
    parts.append(_text(WIDTH - RIGHT, bottom, _moment(last), "end"))
    return "".join(parts)


_SHORT = {"fleetscope": "ours", "fixed limits": "limits", "two sigma": "±2σ"}


def _path(times: FloatArray, values: FloatArray, x: Scale, y: Scale) -> str:
    every = max(1, times.size // POINTS)
    text, pen = "", "M"
    for time, value in zip(times[::every].tolist(), values[::every].tolist(), strict=True):
        if np.isnan(value):
            pen = "M"
            continue
        text += f"{pen}{x(time):.1f},{y(value):.1f}"
        pen = "L"
    return text


def _text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def _moment(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%-d %b %Y, %H:%M} UTC"


def picture(drawn: Sequence[str]) -> str:
    """All panels in one SVG, with a legend."""
    rows = -(-len(drawn) // COLUMNS)
    tall = rows * HEIGHT + 30
    body = "".join(
        f'<g transform="translate({index % COLUMNS * WIDTH:.0f} {index // COLUMNS * HEIGHT:.0f})">'
        f"{panel}</g>"
        for index, panel in enumerate(drawn)
    )
    legend = "".join(
        f'<rect x="{at}" y="{tall - 20:.0f}" width="14" height="10" fill="{colour}"/>'
        + _text(at + 20, tall - 11, words, "start")
        for at, colour, words in (
            (46, FAULT, "the fault, or the look-alike"),
            (230, GOOD, "a right finding"),
            (350, BAD, "a finding that nothing explains"),
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * COLUMNS:.0f} {tall:.0f}" '
        f'font-family="DejaVu Sans, sans-serif" font-size="10" fill="{INK}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{body}{legend}</svg>\n'
    )


def write(drawn: Mapping[tuple[str, str], str]) -> list[Path]:
    """Write a picture for each part of which something was drawn."""
    written = []
    for part, shown in SHOWN.items():
        there = [drawn[case] for case in shown if case in drawn]
        if there:
            path = FOLDER / f"detection-{part}.svg"
            path.write_text(picture(there), "utf-8")
            written.append(path)
    return written


def _with_unit(value: float, unit: str) -> str:
    """A number that leaves room at the edge."""
    if unit == "W" and abs(value) >= 1000:
        value, unit = value / 1000, "kW"
    return f"{value:.4g} {unit}".rstrip()
