"""Answers about the single cells of a site: as last read, and what their history says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import SITE_COLUMNS, Builder
from exporter.assess.site_views import PackView
from exporter.model.text import sites_word

_COLUMNS = (
    Column("pack", "Pack"),
    Column("cell", "Cell"),
    Column("voltage_v", "Voltage", "number", "V", 3),
    Column("deviation_mv", "From median", "number", "mV", 0),
    Column("temperature_c", "Temperature", "number", "°C", 1),
)
_FINDINGS = (
    Column("severity", "Severity", "severity"),
    Column("pack", "Pack"),
    Column("cell", "Cell"),
    Column("sentence", "Finding"),
    Column("since", "Since", "time"),
)


def cells_answer(b: Builder) -> Answer:
    """The cells of one site, the one farthest from its pack's median first; of several sites what
    the history of their cells says.

    Raises
    ------
    CannotAnswerError
        If the site gives no cells, or has none of that number.
    """
    if len(b.query.sites) != 1:
        return _findings_of_sites(b)
    row = b.view.directory.row(b.query.sites[0])
    name = b.view.sites[row].title
    rows = [line for pack in b.view.assessment.records[row].packs for line in _pack(pack)]
    if not rows:
        raise CannotAnswerError(f"{name} gives no single cells")
    wanted = b.query.cell
    if wanted is not None:
        rows = [line for line in rows if is_cell(line["pack"], line["cell"], wanted)]
        if not rows:
            raise CannotAnswerError(f"{name} has no cell {wanted}")
    if b.query.comparisons:
        return _passing(b, row, rows)
    key, sign, title = _order(b)
    rows = [line for line in rows if line[key] is not None]
    if not rows:
        raise CannotAnswerError(f"{name} gives no temperatures of single cells")
    rows.sort(key=lambda line: sign * (abs(line[key]) if key == "deviation_mv" else line[key]))
    findings = [
        {"pack": pack.pack}
        | {key: getattr(found, key) for key in ("cell", "severity", "sentence", "since")}
        for pack in (b.view.assessment.cells.get(b.query.sites[0]) or _NO_CELLS).packs
        for found in pack.findings
        if wanted is None or is_cell(pack.pack, found.cell, wanted)
    ]
    tables = [Table(title, _COLUMNS, b.limit(rows), len(rows))]
    if findings:
        tables.append(Table("Findings", _FINDINGS, findings, len(findings)))
    else:
        b.evidence.notes.append("The stored history has no finding about these cells")
    b.show("fleetscope_cell_spread_volts")
    head = _headline(name, rows, findings, wanted)
    if wanted is None and (b.query.metrics or b.query.order):
        head = _extreme(name, rows[0], b)
    return b.answer(head, tables, [row])


def _passing(b: Builder, row: int, rows: list[dict[str, Any]]) -> Answer:
    """The cells whose voltage is below, or above, what the question names."""
    found = rows
    for wanted in b.query.comparisons:
        if wanted.metric not in ("cell_min", "cell_max") or wanted.operator == "=":
            raise CannotAnswerError("single cells are compared by their voltage, above or below")
        sign = -1.0 if wanted.operator.startswith("<") else 1.0
        equal = wanted.operator.endswith("=")
        found = [
            line
            for line in found
            if sign * (line["voltage_v"] - wanted.value) > 0
            or (equal and line["voltage_v"] == wanted.value)
        ]
    found.sort(key=lambda line: line["voltage_v"])
    name = b.view.sites[row].title
    limits = " and ".join(f"{c.operator} {c.value:g} V" for c in b.query.comparisons)
    verb = "is" if len(found) == 1 else "are"
    text = f"{len(found) or 'None'} of {len(rows)} cells of {name} {verb} {limits}"
    if found:
        text += f"; lowest {found[0]['cell']} at {found[0]['voltage_v']:.3f} V"
    table = Table(f"Cells {limits}", _COLUMNS, b.limit(found), len(found))
    b.show("fleetscope_cell_spread_volts")
    return b.answer(f"{text}.", [table], [row])


class _NoCells:
    packs: tuple[Any, ...] = ()


_NO_CELLS = _NoCells()


def _findings_of_sites(b: Builder) -> Answer:
    """What the history of cells says, of every site asked about that has one."""
    if b.query.cell is not None or b.query.metrics or b.query.order:
        raise CannotAnswerError("single cells of one site at a time; name the site")
    lines = []
    read = []
    for row in b.view.ranked(b.mask):
        cells = b.view.assessment.cells.get(b.view.sites[row].id)
        if cells is None or not cells.packs:
            continue
        read.append(row)
        lines += [
            b.view.identity(row)
            | {"pack": pack.pack}
            | {key: getattr(found, key) for key in ("cell", "severity", "sentence", "since")}
            for pack in cells.packs
            for found in pack.findings
        ]
    if not read:
        raise CannotAnswerError(f"no history of single cells is known for {b.of_sites()} yet")
    unknown = len(b.chosen) - len(read)
    if unknown:
        b.evidence.missing.append(f"history of single cells of {sites_word(unknown)}")
    lines.sort(key=lambda line: _SEVERITIES.index(line["severity"]))
    shown = b.limit(lines)
    text = f"{len(lines)} findings about single cells at {sites_word(len(read))} with a history"
    text += f"; first {lines[0]['name']}: {lines[0]['sentence']}." if lines else "."
    table = Table("Findings", (*SITE_COLUMNS, *_FINDINGS), shown, len(lines))
    sites = dict.fromkeys(b.view.directory.row(line["site"]) for line in shown)
    return b.answer(text, [table], sites)


_SEVERITIES = ("critical", "warning", "info")


def _order(b: Builder) -> tuple[str, float, str]:
    """What cells are put in order by, the sign of that, and what the table is called."""
    order = b.query.order
    sign = 1.0 if order == "lowest" else -1.0
    if b.query.metrics == ("temperature",):
        return "temperature_c", sign, f"Cells, {'coldest' if sign > 0 else 'hottest'} first"
    if order in ("highest", "lowest"):
        return "voltage_v", sign, f"Cells, {order} voltage first"
    return "deviation_mv", -1.0, "Cells, farthest from the median first"


def _extreme(name: str, line: dict[str, Any], b: Builder) -> str:
    """The one cell that a superlative asks for."""
    key = _order(b)[0]
    lowest = b.query.order == "lowest"
    if key == "temperature_c":
        word, value = "Coldest" if lowest else "Hottest", f"{line[key]:.1f} °C"
    elif key == "voltage_v":
        word, value = "Lowest" if lowest else "Highest", f"{line[key]:.3f} V"
    else:
        word, value = "Farthest off", f"{line[key]:+.0f} mV from the median of its pack"
    return f"{word} cell of {name}: {line['pack']} {line['cell']} with {value}."


def is_cell(pack: str, label: str, wanted: str) -> bool:
    """Whether a cell is meant by its label, its number, or its pack and number: ``3/12``."""
    number = label.rsplit("/", 1)[-1]
    named = f"{pack}/{number}"
    return wanted in (label, number, named) or ("/" in wanted and named.endswith(f"/{wanted}"))


def _pack(pack: PackView) -> list[dict[str, Any]]:
    if not pack.cells:
        return []
    volts = np.array(pack.cells.voltages_v)
    if np.isnan(volts).all():
        return []
    median = float(np.nanmedian(volts))
    values = zip(pack.cells.labels, volts.tolist(), pack.cells.temperatures_c, strict=True)
    return [
        {
            "pack": pack.device,
            "cell": label,
            "voltage_v": voltage,
            "deviation_mv": 1e3 * (voltage - median),
            "temperature_c": None if math.isnan(celsius) else celsius,
        }
        for label, voltage, celsius in values
        if not math.isnan(voltage)
    ]


def _headline(
    name: str, rows: list[dict[str, Any]], findings: list[dict[str, Any]], wanted: str | None
) -> str:
    if wanted is not None:
        first = rows[0]
        text = (
            f"Cell {first['cell']} of {name}: {first['voltage_v']:.3f} V, "
            f"{first['deviation_mv']:+.0f} mV from the median of its pack"
        )
        if first["temperature_c"] is not None:
            text += f", {first['temperature_c']:.1f} °C"
    else:
        low = min(rows, key=lambda line: line["voltage_v"])
        high = max(rows, key=lambda line: line["voltage_v"])
        text = (
            f"{len(rows)} cells of {name}, lowest {low['cell']} at {low['voltage_v']:.3f} V, "
            f"highest {high['cell']} at {high['voltage_v']:.3f} V"
        )
    if findings:
        return f"{text}. {findings[0]['sentence']}."
    return f"{text}."
