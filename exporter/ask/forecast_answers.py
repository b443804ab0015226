"""Answers about what is to come, as far as it is worked out: empty batteries and drifting cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import SITE_COLUMNS, Builder, figure, in_order
from exporter.ask.catalogue import METRICS
from exporter.ask.cell_answers import is_cell
from exporter.model.cell_findings import FORECAST_MV, SiteCells, short_name
from exporter.model.text import duration_words, sites_word

KNOWN = (
    "when a battery is empty, as the battery itself estimates it, when a cell reaches a limit, and "
    "when the state of health or the battery temperature does"
)
_EMPTY_COLUMNS = (
    *SITE_COLUMNS,
    Column("seconds", "Empty in", "duration"),
    Column("soc", "State of charge", "number", "%", 1),
    Column("battery_power", "Battery power", "number", "W", 0),
    Column("stored_energy", "Stored energy", "number", "kWh", 1),
)
_CELL_COLUMNS = (
    *SITE_COLUMNS,
    Column("cell", "Cell"),
    Column("deviation_mv", "From median", "number", "mV", 1),
    Column("mv_per_day", "Per day", "number", "mV", 2),
    Column("limit_mv", "Limit", "number", "mV", 0),
    Column("days", "In days", "number", "d", 0),
    Column("earliest", "Earliest", "number", "d", 0),
    Column("latest", "Latest", "number", "d", 0),
)

_LIMIT_COLUMNS = (
    Column("days", "In days", "number", "d", 0),
    Column("earliest", "Earliest", "number", "d", 0),
    Column("latest", "Latest", "number", "d", 0),
)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What is said of a value that moves towards its limit: names of quantities, and words."""

    subject: str
    now: str
    trend: str
    title: str
    label: str
    limit: str
    needs: str
    silent: str
    note: str
    columns: tuple[Column, ...]


_HEALTH = _Ahead(
    "soh",
    now="battery_lowest_soh_percent",
    trend="soh_trend_percent_month",
    title="State of health",
    label="the state of health",
    limit="next limit of state of health",
    needs="it takes two weeks of readings over three, and an interval that holds no standstill",
    silent="their trend is not sure",
    note="If it goes on as in the last 35 days; earliest and latest are the ends of a 90 % "
    "interval (Theil and Sen), which says nothing of a sudden failure",
    columns=(
        *SITE_COLUMNS,
        Column("now", "SOH now", "number", "%", 1),
        Column("trend", "Per month", "number", "%", 2),
        *_LIMIT_COLUMNS,
    ),
)
_HEAT = _Ahead(
    "temperature",
    now="battery_hottest_c",
    trend="temperature_trend_c_month",
    title="Battery temperature",
    label="the battery temperature",
    limit="limit of battery temperature",
    needs="it takes five weeks of readings, a rise that is no weather, and a limit within 60 days",
    silent="no sure rise reaches the limit within 60 days",
    note="If the highest temperature of a day goes on as in the last 35 days; a season is in it. "
    "Earliest and latest are the ends of a 99 % interval (Theil and Sen)",
    columns=(
        *SITE_COLUMNS,
        Column("now", "Hottest now", "number", "°C", 1),
        Column("trend", "Per month", "number", "°C", 1),
        *_LIMIT_COLUMNS,
    ),
)


def forecast_answer(b: Builder) -> Answer:
    """When batteries are empty, or cells reach their next limit.

    Raises
    ------
    CannotAnswerError
        For anything else, and where nothing is estimated.
    """
    metric = b.query.metrics[0] if b.query.metrics else "soc"
    if b.query.period is not None and metric != "soc":
        raise CannotAnswerError("limits ahead are known by their day; ask it without a period")
    if len(b.query.metrics) > 1 or metric not in _ANSWERS or b.query.order == "highest":
        raise CannotAnswerError(f"that is not forecast; what is known: {KNOWN}")
    answer: Answer = _ANSWERS[metric](b)
    return answer


def _empty(b: Builder) -> Answer:
    """By the time to go that the battery gives, at the present load."""
    rows = in_order(b, b.mask & b.view.tests(b.query))
    to_go = b.view.assessment.readings["time_to_go_s"]
    known = [row for row in rows if not np.isnan(to_go[row])]
    known.sort(key=lambda row: float(to_go[row]))
    estimated = len(known)
    if b.query.period is not None and known:
        known = [row for row in known if _within(b, float(to_go[row]))]
    if len(rows) == 1 and not estimated:
        raise CannotAnswerError(_no_estimate(b, rows[0]))
    if not estimated:
        raise CannotAnswerError(
            f"none of {sites_word(len(rows))} gives a time until empty now: batteries estimate one "
            "only while they discharge"
        )
    lines = []
    for row in known:
        line = b.view.identity(row) | {"seconds": float(to_go[row])}
        for name in ("soc", "battery_power", "stored_energy"):
            line[name] = b.view.number(b.view.values(METRICS[name]), row)
        lines.append(line)
    unknown = len(rows) - estimated
    if unknown:
        b.evidence.missing.append(f"time until empty of {sites_word(unknown)}: not estimated")
    b.evidence.notes.append("The battery's own estimate at the present load, not a plan of the day")
    b.show("fleetscope_battery_time_to_go_seconds")
    if not lines:
        return b.answer(
            f"None of {sites_word(estimated)} with an estimate is empty {b.period.words} at the "
            "present load" + (f"; of {sites_word(unknown)} it is not known." if unknown else "."),
            [],
            [],
        )
    first = lines[0]
    text = f"{first['name']} is empty in {duration_words(first['seconds'])} at the present load"
    if len(rows) > 1:
        text = f"{sites_word(len(known))} with an estimate; first {text}"
        if b.query.period is not None:
            text = f"{sites_word(len(known))} of {estimated} with an estimate, {b.period.words}; "
            text += f"first {first['name']} in {duration_words(first['seconds'])}"
    return b.answer(
        f"{text}.", [Table("Empty in", _EMPTY_COLUMNS, b.limit(lines), len(lines))], b.limit(known)
    )


def _within(b: Builder, seconds: float) -> bool:
    """Whether a battery that is empty in so many seconds is so in the period asked about."""
    moment = b.view.assessment.time + seconds
    return b.period.start.timestamp() <= moment < b.period.end.timestamp()


def _limit_ahead(b: Builder, ahead: _Ahead) -> Answer:
    """By a trend over five weeks, where it is sure."""
    rows = in_order(b, b.mask & b.view.tests(b.query))
    read = b.view.assessment.readings
    nothing = np.full(b.mask.shape, np.nan)
    days = read.get(f"{ahead.subject}_limit_days", nothing)
    known = sorted(
        (row for row in rows if not np.isnan(days[row])), key=lambda row: float(days[row])
    )
    if not known:
        raise CannotAnswerError(
            f"no trend of {ahead.label} of {sites_word(len(rows))} is sure: {ahead.needs}"
        )
    names = {
        "now": ahead.now,
        "trend": ahead.trend,
        "days": f"{ahead.subject}_limit_days",
        "earliest": f"{ahead.subject}_limit_earliest_days",
        "latest": f"{ahead.subject}_limit_latest_days",
    }
    lines = [
        b.view.identity(row) | {key: b.view.number(read[name], row) for key, name in names.items()}
        for row in known
    ]
    b.evidence.notes.append(ahead.note)
    if len(known) < len(rows):
        b.evidence.missing.append(
            f"a forecast for {sites_word(len(rows) - len(known))}: {ahead.silent}"
        )
    b.show(f"fleetscope_battery_{ahead.subject}_limit_days")
    first = lines[0]
    text = f"{first['name']} reaches its {ahead.limit} in about {first['days']:.0f}"
    text += f" days, {first['earliest']:.0f} at the earliest"
    if len(rows) > 1:
        text = f"{sites_word(len(known))} with a sure trend; first {text}"
    return b.answer(
        f"{text}.",
        [Table(ahead.title, ahead.columns, b.limit(lines), len(lines))],
        b.limit(known),
    )


def _no_estimate(b: Builder, row: int) -> str:
    name = b.view.sites[row].title
    parts = []
    for key in ("soc", "battery_power", "stored_energy"):
        value = b.view.number(b.view.values(METRICS[key]), row)
        if value is not None:
            parts.append(f"{METRICS[key].label} {figure(value, METRICS[key])}")
    known = f" Known now: {', '.join(parts)}." if parts else ""
    return f"{name} gives no time until empty now, so there is no estimate.{known}"


def _cells(b: Builder) -> Answer:
    """By the trend of each cell at rest."""
    limit_mv = _limit_mv(b)
    rows = in_order(b, b.mask & b.view.tests(b.query.but(comparisons=())))
    lines = []
    read = 0
    for row in rows:
        found = b.view.assessment.cells.get(b.view.sites[row].id)
        if found is None:
            continue
        read += bool(found.packs)
        each = _next_limits(found, limit_mv, b.query.cell)
        lines += [b.view.identity(row) | line for line in each]
    if not read:
        raise CannotAnswerError(
            f"no history of single cells is known for {b.of_sites()} yet; a trend needs two weeks"
        )
    lines.sort(key=lambda line: (line["days"], line["site"]))
    shown = b.limit(lines)
    b.evidence.notes.append(
        "The trend of each cell's distance from the median of its pack at rest, carried on"
    )
    if lines:
        first = lines[0]
        head = (
            f"{len(lines)} cells come closer to a limit; first {first['cell']} of {first['name']}, "
            f"{first['limit_mv']} mV in about {first['days']:.0f} days"
        )
        if first["earliest"] is not None and first["latest"] is not None:
            head += f" ({first['earliest']:.0f} to {first['latest']:.0f})"
    else:
        head = f"By its trend no cell of {b.of_sites()} reaches a limit"
    sites = dict.fromkeys(b.view.directory.row(line["site"]) for line in shown)
    return b.answer(f"{head}.", [Table("Cells", _CELL_COLUMNS, shown, len(lines))], sites)


def _limit_mv(b: Builder) -> int | None:
    """The limit that the question names in mV; None for the next one of each cell.

    Raises
    ------
    CannotAnswerError
        If that limit is not forecast.
    """
    named = [round(1e3 * c.value) for c in b.query.comparisons if c.metric == "cell_spread"]
    if len(named) < len(b.query.comparisons) or len(named) > 1 or not {*named} <= {*FORECAST_MV}:
        limits = ", ".join(map(str, FORECAST_MV))
        raise CannotAnswerError(f"of cells only {limits} mV from the median are forecast")
    return named[0] if named else None


def _next_limits(
    found: SiteCells, limit_mv: int | None, wanted: str | None
) -> list[dict[str, Any]]:
    """The next limit of each cell that gets to one, or when it gets to the limit that is named."""
    packs = [pack.pack for pack in found.packs]
    lines = []
    for pack in found.packs:
        for cell in pack.cells:
            if wanted is not None and not is_cell(pack.pack, cell.cell, wanted):
                continue
            forecasts = [f for f in cell.forecasts if limit_mv in (None, f.millivolts)]
            following = next((f for f in forecasts if f.days), None)
            if following is None:
                continue
            lines.append(
                {
                    "cell": short_name(pack.pack, packs, cell.cell),
                    "deviation_mv": _mv(cell.deviation_v),
                    "mv_per_day": _mv(cell.slope_v_per_day),
                    "limit_mv": following.millivolts,
                    "days": following.days,
                    "earliest": following.earliest,
                    "latest": following.latest,
                }
            )
    return lines


def _mv(volts: float | None) -> float | None:
    return None if volts is None else 1e3 * volts


_ANSWERS: dict[str, Any] = {
    "soc": _empty,
    "cell_spread": _cells,
    "soh": partial(_limit_ahead, ahead=_HEALTH),
    "temperature": partial(_limit_ahead, ahead=_HEAT),
}
