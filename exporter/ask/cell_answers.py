"""Answers about the single cells of a site: as last read, and what their history says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import Builder
from exporter.assess.site_views import PackView

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
    """The cells of one site, the one farthest from its pack's median first.

    Raises
    ------
    CannotAnswerError
        If the site gives no cells, or has none of that number.
    """
    if len(b.query.sites) != 1:
        raise CannotAnswerError("single cells of one site at a time; name the site")
    row = b.view.directory.row(b.query.sites[0])
    name = b.view.sites[row].title
    rows = [line for pack in b.view.assessment.records[row].packs for line in _pack(pack)]
    if not rows:
        raise CannotAnswerError(f"{name} gives no single cells")
    wanted = b.query.cell
    if wanted is not None:
        rows = [line for line in rows if _is(line["cell"], wanted)]
        if not rows:
            raise CannotAnswerError(f"{name} has no cell {wanted}")
    rows.sort(key=lambda line: -abs(line["deviation_mv"]))
    findings = [
        {"pack": pack.pack}
        | {key: getattr(found, key) for key in ("cell", "severity", "sentence", "since")}
        for pack in (b.view.assessment.cells.get(b.query.sites[0]) or _NO_CELLS).packs
        for found in pack.findings
        if wanted is None or _is(found.cell, wanted)
    ]
    tables = [Table("Cells", _COLUMNS, b.limit(rows), len(rows))]
    if findings:
        tables.append(Table("Findings", _FINDINGS, findings, len(findings)))
    else:
        b.evidence.notes.append("The stored history has no finding about these cells")
    b.show("fleetscope_cell_spread_volts")
    return b.answer(_headline(name, rows, findings, wanted), tables, [row])


class _NoCells:
    packs: tuple[Any, ...] = ()


_NO_CELLS = _NoCells()


def _is(label: str, wanted: str) -> bool:
    return label == wanted or label.rsplit("/", 1)[-1] == wanted


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
