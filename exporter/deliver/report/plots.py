"""Plots of a report as SVG, which browsers and the PDF alike can draw."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape

COLOURS = {
    "pv_kwh": "#b58900",
    "load_kwh": "#a23d7f",
    "import_kwh": "#1f5fbf",
    "export_kwh": "#6d9be0",
    "charged_kwh": "#0d7f79",
    "discharged_kwh": "#55bdb6",
}
STATUS_COLOURS = {
    "OFFLINE": "#8a0f30",
    "CRITICAL": "#bf1226",
    "WARNING": "#9a5200",
    "GOOD": "#6b9a2a",
    "HEALTHY": "#19703f",
    "UNKNOWN": "#7a8694",
}
_FONT = 'font-family="DejaVu Sans, sans-serif" font-size="11" fill="#3c4653"'


def line(
    times: Sequence[float],
    values: Sequence[float],
    *,
    low: float | None = None,
    high: float | None = None,
    limit: float | None = None,
    unit: str = "",
    label: str,
    width: int = 640,
    height: int = 150,
) -> Markup:
    """A course over time (Unix seconds) with its bounds; ``limit`` is drawn as a dashed line."""
    bounds = [*values, *(v for v in (low, high, limit) if v is not None)]
    bottom, top = min(bounds), max(bounds)
    if top - bottom < 1e-9:
        top = bottom + max(1.0, abs(bottom) * 0.1)
    left, right = 64, width - 8
    span = max(1.0, times[-1] - times[0])

    def x(time: float) -> float:
        return left + (right - left) * (time - times[0]) / span

    def y(value: float) -> float:
        return 10 + (height - 34) * (1 - (value - bottom) / (top - bottom))

    parts = [
        _rule(left, right, y(v)) + _text(left - 6, y(v) + 4, _figure(v, unit), "end")
        for v in (bottom, top)
    ]
    if limit is not None:
        parts.append(
            f'<line x1="{left}" x2="{right}" y1="{y(limit):.1f}" y2="{y(limit):.1f}" '
            'stroke="#bf1226" stroke-dasharray="5 4"/>'
        )
        parts.append(_text(left + 6, y(limit) + (14 if y(limit) < 24 else -4), "limit", "start"))
    usual = sorted(b - a for a, b in itertools.pairwise(times))
    gap = 4 * usual[len(usual) // 2] if usual else math.inf
    path, before = "", -math.inf
    for time, value in zip(times, values, strict=True):
        path += f"{'M' if time - before > gap else 'L'}{x(time):.1f},{y(value):.1f}"
        before = time
    parts.append(f'<path d="{path}" fill="none" stroke="#1f5fbf" stroke-width="1.8"/>')
    parts.append(_text(left, height - 6, _day(times[0]), "start"))
    parts.append(_text(right, height - 6, _day(times[-1]), "end"))
    return _svg(width, height, label, parts)


def bars(
    days: Sequence[float],
    series: dict[str, Sequence[float | None]],
    *,
    label: str,
    width: int = 640,
    height: int = 180,
) -> Markup:
    """A group of bars for each day, one bar for each series; kWh."""
    largest = max((v for row in series.values() for v in row if v is not None), default=0.0) or 1.0
    left, right, base = 64, width - 8, height - 24
    group = (right - left) / max(1, len(days))
    each = min(24.0, group * 0.8 / max(1, len(series)))
    parts = [_rule(left, right, base), _rule(left, right, 10)]
    parts += [_text(left - 6, base + 4, "0", "end"), _text(left - 6, 14, _figure(largest), "end")]
    for place, day in enumerate(days):
        start = left + group * place + (group - each * len(series)) / 2
        for n, (name, row) in enumerate(series.items()):
            value = row[place]
            if value is not None and value > 0:
                tall = (base - 10) * value / largest
                parts.append(
                    f'<rect x="{start + n * each:.1f}" y="{base - tall:.1f}" '
                    f'width="{each * 0.9:.1f}" height="{tall:.1f}" fill="{COLOURS[name]}"/>'
                )
        if len(days) <= 10 or place % math.ceil(len(days) / 10) == 0:
            parts.append(_text(left + group * (place + 0.5), height - 6, _day(day), "middle"))
    return _svg(width, height, label, parts)


def shares(counts: dict[str, int], *, label: str, width: int = 640) -> Markup:
    """One bar of all sites by status."""
    there = {name: counts[name] for name in STATUS_COLOURS if counts.get(name)}
    whole = sum(max(n, 0.01 * sum(there.values())) for n in there.values()) or 1
    at, parts = 0.0, []
    for name, count in there.items():
        wide = width * max(count, 0.01 * sum(there.values())) / whole
        parts.append(
            f'<rect x="{at:.1f}" y="0" width="{max(1.0, wide - 2):.1f}" height="14" '
            f'fill="{STATUS_COLOURS[name]}"/>'
        )
        at += wide
    return _svg(width, 14, label, parts)


def _svg(width: int, height: int, label: str, parts: Sequence[str]) -> Markup:
    # Every text among the parts was escaped when it was made; the rest is numbers and colours.
    return Markup(  # noqa: S704
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {_FONT}>{escape(words)}</text>'


def _rule(left: float, right: float, y: float) -> str:
    return f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d3d9e0"/>'


def _figure(value: float, unit: str = "") -> str:
    digits = 3 if unit == "V" else 0 if abs(value) >= 10 else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


def _day(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%-d %b}"
