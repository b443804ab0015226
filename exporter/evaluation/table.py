"""Verdicts as Markdown tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from exporter.evaluation.calibration import BANDS, EDGES, Calibration
from exporter.evaluation.verdict import Row, Verdict, rows

_HEADINGS = {
    "fleetscope": "Fleetscope",
    "fixed limits": "fixed limits",
    "two sigma": "±2σ of the fleet",
}


def found_table(verdicts: Mapping[str, Verdict]) -> str:
    """Faults found, by fault and strength; the first verdict is Fleetscope's.

    Parameters
    ----------
    verdicts : mapping of detector name to Verdict
        All over the same labels.
    """
    names = list(verdicts)
    head = ["fault", "strength", "cases", "found", "after", "findings", "paged"]
    head += [f"found by {_HEADINGS[name]}" for name in names[1:]]
    lines = [_line(head), _line(["---"] * len(head))]
    columns = [rows(verdicts[name].found) for name in names]
    for index, row in enumerate(columns[0]):
        cells = [row.fault, row.strength or "–", str(row.labels), _found_of(row)]
        cells += [duration(row.median_seconds), str(row.most_findings), str(row.paged)]
        cells += [str(column[index].found) for column in columns[1:]]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def false_table(verdicts: Mapping[str, Verdict]) -> str:
    """False warnings and pages for each month of a healthy site, by detector."""
    head = ["", "healthy site-months", "false warnings", "a site-month", "false pages", "which"]
    head.append("false information")
    lines = [_line(head), _line(["---"] * len(head))]
    for name, verdict in verdicts.items():
        count = verdict.false_issues.total()
        months = verdict.healthy_months
        rate = f"{count / months:.3g}" if months else "–"
        pages = str(verdict.false_pages.total()) if name == "fleetscope" else "–"
        which = _most(verdict.false_issues + verdict.false_pages)
        cells = [_HEADINGS[name], f"{months:.1f}", str(count), rate, pages, which]
        cells.append(_most(verdict.false_infos))
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def innocent_table(verdicts: Mapping[str, Verdict]) -> str:
    """Warnings that look-alikes brought about, by detector."""
    kinds = sorted({kind for verdict in verdicts.values() for kind in verdict.innocent_issues})
    head = ["look-alike and warning", *(_HEADINGS[name] for name in verdicts)]
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [
        _line([kind, *(str(v.innocent_issues[kind]) for v in verdicts.values())]) for kind in kinds
    ]
    return "\n".join(lines) + "\n"


def reliability_table(calibration: Calibration) -> str:
    """How often scores of each band of confidence were right, in healthy times and under faults."""
    head = ["confidence", "mean", "site-days", "right", "while nothing was wrong", "under a fault"]
    lines = [_line(head), _line(["---"] * len(head))]
    for band in range(BANDS):
        assessed = calibration.assessed[:, band]
        if not assessed.any():
            continue
        right = calibration.right[:, band]
        mean = float(calibration.confidence[:, band].sum() / assessed.sum())
        cells = [f"{EDGES[band]:g} to {EDGES[band + 1]:g}", f"{mean:.2f}"]
        cells += [f"{assessed.sum() / 86400.0:.1f}", _percent(right.sum(), assessed.sum())]
        cells += [_percent(right[row], assessed[row]) for row in (0, 1)]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _percent(part: float, whole: float) -> str:
    return f"{100.0 * part / whole:.1f} %" if whole > 0 else "–"


def _found_of(row: Row) -> str:
    return str(row.found) if row.claimed else "not claimed"


def duration(seconds: float) -> str:
    """A delay in its natural unit; a dash where there is none."""
    if math.isnan(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 86400 else f"{seconds / 86400:.1f} d"


def _most(counts: Counter[str]) -> str:
    return ", ".join(f"`{name}` {count}" for name, count in counts.most_common(4)) or "–"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
