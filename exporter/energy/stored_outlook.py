"""Forecasts, their scores and plans as they were stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.energy.forecasts import KEPT_AT, MEASUREMENT, NEXT, SCORES
from exporter.energy.misses import MEASUREMENT as MISSES
from exporter.energy.plan_orders import MEASUREMENT as STANDING
from exporter.energy.plan_orders import PlanStanding
from exporter.energy.plans import MEASUREMENT as PLAN
from exporter.energy.plans import SUMMARY
from exporter.history.influxql import InfluxQL, between, quoted
from scoring.forecast import SLOT_SECONDS

LEADS = (NEXT, "1h", "6h", "24h")
FloatArray = NDArray[np.float64]
Rows = list[dict[str, Any]]


async def _rows(stored: InfluxQL, statement: str) -> Rows:
    """Rows as dictionaries, with tags, and ``time`` in Unix seconds."""
    found = []
    for series in await stored.select(statement):
        for row in series.rows:
            made = dict(zip(series.columns, row, strict=True)) | series.tags
            made["time"] = row[0] / 1000
            found.append(made)
    return found


async def read_forecast(
    stored: InfluxQL, site: str, quantity: str, lead: str, start: float, end: float
) -> Rows:
    """``time``, ``p10_w``, ``p50_w``, ``p90_w`` and ``method`` of each slot.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    return await _rows(
        stored,
        f'SELECT "p10_w", "p50_w", "p90_w", "method" FROM "{KEPT_AT}"."{MEASUREMENT}" '  # noqa: S608
        f'WHERE "site" = {quoted(site)} AND "quantity" = {quoted(quantity)} '
        f'AND "lead" = {quoted(lead)} AND {between(start, end)}',
    )


async def read_scores(stored: InfluxQL, site: str, quantity: str, until: float) -> Rows:
    """The newest score of each method and lead.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    fields = "mae_w", "pinball_w", "coverage", "slots", "skill", "serves", "why"
    columns = ", ".join(f'"{name}"' for name in fields)
    return await _rows(
        stored,
        f'SELECT {columns} FROM "{KEPT_AT}"."{SCORES}" '  # noqa: S608
        f'WHERE "site" = {quoted(site)} AND "quantity" = {quoted(quantity)} '
        f'AND {between(until - 3 * 86_400, until)} GROUP BY "method", "lead" '
        "ORDER BY time DESC LIMIT 1",
    )


async def read_misses(stored: InfluxQL, site: str, quantity: str, until: float) -> Rows:
    """The worst misses of the last seven days, the worst first.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    found = await _rows(
        stored,
        f'SELECT * FROM "{KEPT_AT}"."{MISSES}" WHERE "site" = {quoted(site)} '  # noqa: S608
        f'AND "quantity" = {quoted(quantity)} AND {between(until - 7 * 86_400, until)}',
    )
    return sorted(found, key=lambda row: -row["beyond_w"])


async def read_bands(
    stored: InfluxQL, sites: Sequence[str], quantity: str, start: float, end: float
) -> tuple[FloatArray, FloatArray]:
    """The newest bands of many sites.

    Returns
    -------
    float arrays, shapes (N,) and (S, N, 3)
        Beginnings of the slots, Unix seconds, and p10, p50 and p90, W; NaN where unknown.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    row_of = {site: row for row, site in enumerate(sites)}
    first, last = int(start // SLOT_SECONDS), int(-(-end // SLOT_SECONDS))
    bands = np.full((len(sites), last - first, 3), np.nan)
    for series in await stored.select(
        f'SELECT "p10_w", "p50_w", "p90_w" FROM "{KEPT_AT}"."{MEASUREMENT}" '  # noqa: S608
        f'WHERE "quantity" = {quoted(quantity)} AND "lead" = {quoted(NEXT)} '
        f'AND {between(start, end)} GROUP BY "site"'
    ):
        row = row_of.get(series.tags["site"])
        for time, *band in series.rows if row is not None else ():
            bands[row, int(time // (1000 * SLOT_SECONDS)) - first] = band
    return SLOT_SECONDS * np.arange(first, last, dtype=np.float64), bands


async def read_plan(stored: InfluxQL, site: str, start: float, end: float) -> Rows:
    """Each slot of the plans in force.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    return await _rows(
        stored,
        f'SELECT * FROM "{KEPT_AT}"."{PLAN}" WHERE "site" = {quoted(site)} '  # noqa: S608
        f"AND {between(start, end)}",
    )


async def read_summary(stored: InfluxQL, site: str, until: float) -> dict[str, Any] | None:
    """What the newest plan is expected to bring; None without one in the last day.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    found = await _rows(
        stored,
        f'SELECT * FROM "{KEPT_AT}"."{SUMMARY}" WHERE "site" = {quoted(site)} '  # noqa: S608
        f"AND {between(until - 86_400, until)} ORDER BY time DESC LIMIT 1",
    )
    return found[0] if found else None


async def read_standing(stored: InfluxQL, site: str, until: float) -> tuple[str, str]:
    """Where the plans of a site stand, and why; a plan of which nothing is known is a proposal.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    found = await _rows(
        stored,
        f'SELECT "standing", "why" FROM "{KEPT_AT}"."{STANDING}" '  # noqa: S608
        f'WHERE "site" = {quoted(site)} AND {between(until - 90 * 86_400, until)} '
        "ORDER BY time DESC LIMIT 1",
    )
    if not found:
        return PlanStanding.PROPOSED.value, ""
    return str(found[0]["standing"]), str(found[0]["why"] or "")
