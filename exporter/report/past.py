"""What a report asks of InfluxDB, one method for each question."""

# ruff: noqa: S608  (InfluxQL made of names and numbers of our own)

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from exporter.influxql import InfluxQL

DAY = 86400.0
STRETCH_SECONDS = 600

Table = dict[str, dict[str, Any]]
"""Site id to column to value."""


class Past:
    """The stored past of a fleet over periods of time (Unix seconds); keeps every statement."""

    def __init__(self, stored: InfluxQL) -> None:
        self._stored = stored
        self.statements: list[str] = []

    async def availability(self, start: float, end: float) -> Table:
        """``mean`` of the share of scrapes that were answered, and ``count``, over stretches of ten
        minutes: a site that does not answer is polled less often and would weigh too little."""
        return await self._by_site(
            'SELECT mean("share"), count("share") FROM (SELECT mean("online") AS share '
            f'FROM "site" WHERE {_between(start, end)} '
            f'GROUP BY time({STRETCH_SECONDS}s), "site" fill(none))'
        )

    async def scores(self, start: float, end: float) -> Table:
        """``mean``, ``first``, ``last`` overall score of each site, first and last status."""
        chosen = f"\"component\" = 'overall' AND {_between(start, end)}"
        return await self._by_site(
            'SELECT mean("score"), first("score") AS first, last("score") AS last, '
            'first("status") AS first_status, last("status") AS last_status '
            f'FROM "health" WHERE {chosen}'
        )

    async def score_course(self, start: float, end: float) -> list[tuple[float, float]]:
        """Time and mean score of the fleet, in stretches of an hour or more."""
        stretch = max(3600, round((end - start) / 200 / 3600) * 3600)
        found = await self._ask(
            'SELECT mean("score") FROM "health" WHERE '
            f"\"component\" = 'overall' AND {_between(start, end)} "
            f"GROUP BY time({stretch}s) fill(none)"
        )
        return [(row[0] / 1000, row[1]) for series in found for row in series.rows]

    async def issues(self, start: float, end: float) -> list[dict[str, Any]]:
        """One entry for each issue of each site that was active: its newest ``since``, ``active``,
        ``severity`` and ``sentence``."""
        found = await self._ask(
            'SELECT last("since") AS since, last("active") AS active, max("severity") AS severity, '
            f'last("sentence") AS sentence FROM "issue" WHERE {_between(start, end)} '
            'GROUP BY "site", "code"'
        )
        return [
            series.tags | dict(zip(series.columns, row, strict=True))
            for series in found
            for row in series.rows
        ]

    async def integral(self, field: str, start: float, end: float) -> dict[str, dict[float, float]]:
        """Energy of a power of each site by day, kWh; time without readings adds nothing."""
        hours = STRETCH_SECONDS / 3600
        return await self._by_day(
            f'SELECT sum("mean") * {hours} / 1000 FROM (SELECT mean("{field}") FROM "site" WHERE '
            f'{_between(start, end)} GROUP BY time({STRETCH_SECONDS}s), "site" fill(none)) '
            f'WHERE {_between(start, end)} GROUP BY time(1d), "site" fill(none)'
        )

    async def counter(
        self, measurement: str, field: str, start: float, end: float
    ) -> dict[str, dict[float, float]]:
        """What an energy counter of each site gained by day, kWh; a reset costs one hour."""
        by = '"site", "device"' if measurement == "battery" else '"site"'
        return await self._by_day(
            f'SELECT sum("gained") FROM (SELECT non_negative_difference(last("{field}")) AS gained '
            f'FROM "{measurement}" WHERE {_between(start, end)} '
            f"GROUP BY time(1h), {by} fill(none)) "
            f'WHERE {_between(start, end)} GROUP BY time(1d), "site" fill(none)'
        )

    async def daily(
        self, field: str, start: float, end: float
    ) -> dict[str, list[tuple[float, float]]]:
        """Day (Unix days) and daily mean of a battery quantity; of several batteries the first."""
        found = await self._ask(
            f'SELECT mean("{field}") FROM "battery" WHERE {_between(start, end)} '
            'GROUP BY time(1d), "site", "device" fill(none)'
        )
        courses: dict[str, list[tuple[float, float]]] = {}
        for series in found:
            if series.tags["site"] not in courses:
                courses[series.tags["site"]] = [
                    (row[0] / 1000 / DAY, float(row[1])) for row in series.rows
                ]
        return courses

    async def _by_day(self, statement: str) -> dict[str, dict[float, float]]:
        found = await self._ask(statement)
        days: dict[str, dict[float, float]] = defaultdict(dict)
        for series in found:
            for row in series.rows:
                if row[1] is not None and math.isfinite(row[1]):
                    days[series.tags["site"]][row[0] / 1000] = float(row[1])
        return dict(days)

    async def _by_site(self, statement: str) -> Table:
        found = await self._ask(f'{statement} GROUP BY "site"')
        return {
            series.tags["site"]: dict(zip(series.columns, series.rows[0], strict=True))
            for series in found
        }

    async def _ask(self, statement: str) -> list[Any]:
        self.statements.append(statement)
        return await self._stored.select(statement)


def _between(start: float, end: float) -> str:
    return f"time >= {round(start * 1000)}ms AND time < {round(end * 1000)}ms"


def total(parts: Iterable[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
