"""PV and consumption that are forecast, added up over the hours ahead that are asked about."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import numpy as np

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import SITE_COLUMNS, Builder, capital, in_order
from exporter.ask.query import Period, Query, What
from exporter.ask.query_words import moment_words
from exporter.ask.statements import no_answer
from exporter.energy.stored_outlook import read_bands
from exporter.history.influxql import InfluxQL, NoAnswerError
from exporter.model.figures import figure as written
from exporter.model.text import sites_word
from scoring.forecast_fleet import fleet_band

AHEAD_SECONDS = 36 * 3600
SLOT_SECONDS = 900
HOURS = SLOT_SECONDS / 3600
QUANTITIES = {
    "pv_power": ("pv", "PV energy"),
    "pv_energy": ("pv", "PV energy"),
    "load_power": ("load", "consumption"),
    "load_energy": ("load", "consumption"),
}
"""Metrics that are forecast: the quantity of the stored forecast, and what its sum is called."""
_COLUMNS = (
    *SITE_COLUMNS,
    Column("kwh", "Forecast", "number", "kWh", 1),
    Column("low_kwh", "Low", "number", "kWh", 1),
    Column("high_kwh", "High", "number", "kWh", 1),
    Column("peak_w", "Peak", "number", "W", 0),
    Column("peak_at", "Peak from", "time"),
    Column("hours", "Hours forecast", "number", "h", 2),
)


def is_outlook(query: Query) -> bool:
    """Whether a query asks for a forecast of a power or an energy."""
    metrics = set(query.metrics)
    return query.what is What.FORECAST and (
        bool(QUANTITIES.keys() & metrics) or (query.period is not None and metrics != {"soc"})
    )


async def outlook_answer(b: Builder, stored: InfluxQL | None) -> Answer:
    """What is forecast of PV or consumption, over a period ahead or the next 36 hours.

    Raises
    ------
    CannotAnswerError
    """
    if len(b.query.metrics) != 1 or b.query.metrics[0] not in QUANTITIES:
        raise CannotAnswerError(
            "over hours ahead only PV and consumption are forecast; name one of them"
        )
    if stored is None:
        raise CannotAnswerError("forecasts are stored, and no InfluxDB is configured", status=503)
    quantity, label = QUANTITIES[b.query.metrics[0]]
    start, end, words = _bounds(b)
    rows = in_order(b, b.mask & b.view.tests(b.query))
    ids = [b.view.sites[row].id for row in rows]
    try:
        slots, bands = await read_bands(stored, ids, quantity, start, end)
    except NoAnswerError as error:
        raise no_answer(error) from error
    whole = (slots >= start) & (slots + SLOT_SECONDS <= end)
    bands = bands[:, whole, :]
    return await asyncio.to_thread(_answer, b, rows, bands, slots[whole], label, words)


def _bounds(b: Builder) -> tuple[float, float, str]:
    """Unix seconds of both ends, and the period in words."""
    now = b.view.assessment.time
    if b.query.period is None:
        begin = float(now // SLOT_SECONDS * SLOT_SECONDS)
        start, end = (datetime.fromtimestamp(t, UTC) for t in (begin, begin + AHEAD_SECONDS))
        b.query = b.query.but(period=Period(start, end, "the next 36 hours"))
    period = b.period
    if period.end.timestamp() <= now:
        raise CannotAnswerError(
            "a forecast is of what is to come; ask for the history of what has been"
        )
    begin = max(period.start.timestamp(), now // SLOT_SECONDS * SLOT_SECONDS)
    return begin, period.end.timestamp(), period.words or "in the period"


def _answer(b: Builder, rows: list[int], bands: Any, slots: Any, label: str, words: str) -> Answer:
    known = np.isfinite(bands).all(axis=2)
    asked_hours = bands.shape[1] * HOURS
    lines = []
    for place, row in enumerate(rows):
        band = bands[place][known[place]]
        if not len(band):
            continue
        low, middle, high = (1e-3 * HOURS * band.sum(axis=0)).tolist()
        lines.append(
            b.view.identity(row)
            | {"kwh": middle, "low_kwh": low, "high_kwh": high}
            | {"peak_w": float(band[:, 1].max()), "hours": len(band) * HOURS}
            | {"peak_at": float(slots[known[place]][int(band[:, 1].argmax())])}
        )
    if not lines:
        raise CannotAnswerError(f"no forecast of {label} of {b.of_sites()} is stored for {words}")
    silent = len(rows) - len(lines)
    if silent:
        b.evidence.missing.append(f"a forecast of {label} of {sites_word(silent)}")
    lines.sort(key=lambda line: (-line["kwh"], line["site"]))
    regions = sorted({site.region for site in b.view.sites if site.region})
    sites = [b.view.sites[row] for row in rows]
    groups = [regions.index(site.region) if site.region else -1 for site in sites]
    total = fleet_band(bands, np.array(groups, dtype=np.int64))
    there = np.isfinite(total).all(axis=1)
    low, middle, high = (1e-3 * HOURS * total[there].sum(axis=0)).tolist()
    whose = lines[0]["name"] if len(lines) == 1 else sites_word(len(lines))
    text = f"{capital(label)} of {whose}, {words}: about {written(middle, 1)} kWh are forecast"
    text += f", likely {written(low, 1)} to {written(high, 1)} kWh"
    peak = int(np.nanargmax(np.where(there, total[:, 1], np.nan)))
    start = datetime.fromtimestamp(float(slots[peak]), b.period.start.tzinfo)
    text += f"; highest from {start:%a %H:%M} with {written(1e-3 * total[peak, 1], 1)} kW"
    least = min(line["hours"] for line in lines)
    if least < asked_hours - 1e-9:
        text += f"; only {least:g} h of {asked_hours:g} h are forecast yet"
        text += " everywhere" if len(lines) > 1 else ""
    b.evidence.notes.append(
        "The newest forecast of each quarter of an hour; low and high are the sums of its p10 and "
        "p90, as if the whole time missed to one side (docs/forecast.md)"
    )
    b.evidence.notes.append(
        f"From {moment_words(b.period.start)} to {moment_words(b.period.end)}, {b.period.start:%Z}"
    )
    shown = b.limit(lines)
    table = Table(f"Forecast of {label}", _COLUMNS, shown, len(lines))
    return b.answer(f"{text}.", [table], [b.view.directory.row(x["site"]) for x in shown])
