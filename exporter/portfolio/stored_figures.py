"""Published figures, read back: rows of a measurement, sums of them, and the KPIs of a period."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from exporter.history.influxql import InfluxQL, any_of, between, name
from exporter.portfolio.measurements import KEPT_AT, MEASUREMENTS, Combine

FIRST, LAST = 0.0, 7_258_118_400.0
"""All time: from 1970 to 2200."""
Rows = list[dict[str, Any]]


async def read_rows(
    stored: InfluxQL,
    measurement: str,
    start: float,
    end: float,
    only: Mapping[str, Collection[str]] | None = None,
    *,
    newest: bool = False,
) -> Rows:
    """Rows of a measurement: ``time`` in Unix seconds, tags, and every field, None where absent.

    Parameters
    ----------
    stored : InfluxQL
    measurement : str
    start, end : float
        Unix seconds.
    only : mapping of tag to values, optional
        A tag without values lets all.
    newest : bool
        Only the newest row of each series.

    Returns
    -------
    list of dict
        By time, then by tags.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    about = MEASUREMENTS[measurement]
    conditions = [any_of(tag, sorted(values)) for tag, values in (only or {}).items() if values]
    fields = ", ".join(name(field) for field in about.fields)
    tags = ", ".join(name(tag) for tag in about.tags)
    where = " AND ".join([*conditions, between(start, end)])
    last = " ORDER BY time DESC LIMIT 1" if newest else ""
    statement = (
        f'SELECT {fields} FROM "{KEPT_AT}"."{measurement}" WHERE {where} GROUP BY {tags}{last}'  # noqa: S608 - our own names
    )
    found = []
    for series in await stored.select(statement):
        for row in series.rows:
            values = dict(zip(series.columns[1:], row[1:], strict=True))
            found.append({"time": row[0] / 1000, **series.tags, **values})
    return sorted(found, key=lambda row: (row["time"], *(row[tag] for tag in about.tags)))


def zone_of_plants(plants: Sequence[Mapping[str, Any]]) -> ZoneInfo:
    """The market's zone, as the newest published plant says; UTC before any is published."""
    named = [row["zone"] for row in sorted(plants, key=lambda row: row["time"]) if row["zone"]]
    return ZoneInfo(named[-1] if named else "UTC")


async def read_plants(stored: InfluxQL, sites: Collection[str] = ()) -> Rows:
    """The newest row of each plant.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    only = {"site": sites}
    return await read_rows(stored, "plant", FIRST, LAST, only, newest=True)


def summed(rows: Rows, measurement: str, by: Sequence[str], zone: ZoneInfo) -> Rows:
    """Sums of the fields that may be added up, by tags and by local ``day`` or ``month``.

    A sum has None where no row has the field; ``rows`` is the number of rows in it.
    """
    about = MEASUREMENTS[measurement]
    fields = [key for key, field in about.fields.items() if field.combine is Combine.SUM]
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(_part(row, one, zone) for one in by)
        group = groups.setdefault(
            key, dict(zip(by, key, strict=True)) | dict.fromkeys(fields) | {"rows": 0}
        )
        group["rows"] += 1
        for field in fields:
            if row[field] is not None:
                group[field] = (group[field] or 0.0) + row[field]
    for group in groups.values():
        for field in fields:
            if group[field] is not None:
                # Amounts are hundredths; a sum of binary fractions is not.
                group[field] = round(group[field], 6)
    return [groups[key] for key in sorted(groups)]


def _part(row: Mapping[str, Any], one: str, zone: ZoneInfo) -> str:
    if one not in ("day", "month"):
        return str(row[one])
    local = datetime.fromtimestamp(row["time"], zone)
    return f"{local:%Y-%m-%d}" if one == "day" else f"{local:%Y-%m}"


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure of a period, with its unit, meaning, formula and source."""

    name: str
    value: float | None
    unit: str
    meaning: str
    formula: str
    source: str


_SUMMED = (
    ("revenue", "revenue", "amount", "Revenue"),
    ("budget", "revenue", "budget", "Budget"),
    ("lost", "potential", "lost", "Lost against the best"),
    ("owed", "sla", "owed", "Owed for guarantees of months that begin in the period"),
    ("charged_kwh", "plant_day", "charged_kwh", "Taken from the grid"),
    ("discharged_kwh", "plant_day", "discharged_kwh", "Given to the grid"),
    ("cycles", "plant_day", "cycles", "Equivalent full cycles"),
    ("cycle_budget", "plant_day", "cycle_budget", "That warranties allow"),
    ("events", "event", "one", "Events that began"),
    ("up_hours", "availability", "up_hours", "Observed and not down"),
    ("down_hours", "availability", "down_hours", "Down"),
    ("unobserved_hours", "availability", "unobserved_hours", "Neither up nor down"),
)


async def read_kpis(
    stored: InfluxQL, start: float, end: float, sites: Collection[str] = ()
) -> list[Kpi]:
    """The figures of a period, over some sites or all.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    found: dict[str, Kpi] = {}
    wanted: dict[str, list[tuple[str, str, str]]] = {}
    for key, measurement, field, meaning in _SUMMED:
        wanted.setdefault(measurement, []).append((key, field, meaning))
    for measurement, fields in wanted.items():
        about = MEASUREMENTS[measurement]
        rows = await read_rows(stored, measurement, start, end, {"site": sites})
        (sums,) = summed(rows, measurement, (), ZoneInfo("UTC")) or [{}]
        for key, field, meaning in fields:
            unit = about.fields[field].unit
            formula = f"Σ {field} of {measurement}"
            if about.formula:
                formula += f"; {about.formula}"
            found[key] = Kpi(key, sums.get(field), unit, meaning, formula, about.source)
    up, down, dark = (found[key].value for key in ("up_hours", "down_hours", "unobserved_hours"))
    for key, part, whole, meaning in (
        ("availability_percent", up, _added(up, down), "Up, of the time that was observed"),
        ("coverage_percent", _added(up, down), _added(up, down, dark), "Observed share"),
    ):
        value = None if part is None or not whole else 100 * part / whole
        source = MEASUREMENTS["availability"].source
        formula = "100 · Σ up / Σ (up + down)" if part is up else "100 · Σ observed / Σ all"
        found[key] = Kpi(key, value, "%", meaning, formula, source)
    return list(found.values())


def _added(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
