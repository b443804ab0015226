"""What a report asks of InfluxDB, one method for each question."""

# ruff: noqa: S608  (InfluxQL made of names and numbers of our own)

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from exporter.influxql import InfluxQL
from exporter.levels import LEVELS, Level
from exporter.past_level import beginning, between, level_of, meant_for, table

DAY = 86400.0
STRETCH_SECONDS = 600
HOURLY, DAILY = LEVELS[-2:]
OVERALL = "\"component\" = 'overall'"

Table = dict[str, dict[str, Any]]
"""Site id to column to value."""


class Past:
    """The stored past of a fleet over periods of time (Unix seconds); keeps every statement.

    Each is read from the roll-up that holds it, in whole windows of that.
    """

    def __init__(self, stored: InfluxQL) -> None:
        self._stored = stored
        self.statements: list[str] = []

    async def availability(self, start: float, end: float) -> Table:
        """``mean`` of the share of time in which scrapes were answered, and ``count`` of stretches
        of ten minutes: a site that does not answer is polled less often and would weigh too
        little."""
        level = await self._level("site", "online", start, end)
        if level is None:
            return await self._by_site(
                'SELECT mean("share"), count("share") FROM (SELECT mean("online") AS share '
                f'FROM "site" WHERE {between(start, end)} '
                f'GROUP BY time({STRETCH_SECONDS}s), "site" fill(none))'
            )
        found = await self._by_site(
            'SELECT sum("online_1_s") AS up, sum("online_0_s") AS down '
            f"FROM {_of(level, 'site', start, end)}"
        )
        known = {site: (row["up"] or 0.0, row["down"] or 0.0) for site, row in found.items()}
        return {
            site: {"mean": up / (up + down), "count": (up + down) / STRETCH_SECONDS}
            for site, (up, down) in known.items()
            if up + down
        }

    async def scores(self, start: float, end: float) -> Table:
        """``mean`` and ``first`` overall score of each site, first status; of a roll-up the first
        are the mean and the worst of its first window."""
        level = await self._level("health", "score", start, end)
        score, status = ("score", "status") if level is None else ("score_mean", "status_max")
        return await self._by_site(
            f'SELECT mean("{score}"), first("{score}") AS first, first("{status}") AS first_status '
            f"FROM {_of(level, 'health', start, end)} AND {OVERALL}"
        )

    async def score_course(self, start: float, end: float) -> list[tuple[float, float]]:
        """Time and mean score of the fleet, in stretches of an hour or more."""
        stretch = max(3600, round((end - start) / 200 / 3600) * 3600)
        level = await self._level("health", "score", start, end)
        score = "score" if level is None else "score_mean"
        found = await self._ask(
            f'SELECT mean("{score}") FROM {_of(level, "health", start, end)} AND {OVERALL} '
            f"GROUP BY time({stretch}s) fill(none)"
        )
        return [(row[0] / 1000, row[1]) for series in found for row in series.rows]

    async def issues(self, start: float, end: float) -> list[dict[str, Any]]:
        """One entry for each issue of each site that was active: its newest ``since``, ``active``,
        ``severity`` and ``sentence``."""
        by = 'GROUP BY "site", "code"'
        level = await self._level("issue", "severity", start, end)
        severity = "severity" if level is None else "severity_max"
        worst = await self._ask(
            f'SELECT max("{severity}") AS severity FROM {_of(level, "issue", start, end)} {by}'
        )
        # Words are in no roll-up; the last ones alone are found without reading the rest.
        latest = await self._ask(
            'SELECT last("since") AS since, last("active") AS active, last("sentence") AS sentence '
            f'FROM "issue" WHERE {between(start, end)} {by}'
        )
        found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
        for series in (*worst, *latest):
            entry = found.setdefault(tuple(sorted(series.tags.items())), dict(series.tags))
            entry.update(zip(series.columns, series.rows[0], strict=True))
        empty = {"since": None, "active": None, "severity": None, "sentence": None}
        return [empty | entry for entry in found.values()]

    async def integral(self, field: str, start: float, end: float) -> dict[str, dict[float, float]]:
        """Energy of a power of each site by day, kWh; time without readings adds nothing."""
        # A window with a reading counts as a whole and one without as nothing, so it must be
        # short, but no shorter than the time between two readings of a slow site.
        meant = meant_for(end - start)
        fine = [x for x in meant if STRETCH_SECONDS <= x.seconds <= HOURLY.seconds]
        level = await self._level("site", field, start, end, fine or [HOURLY])
        by = 'GROUP BY time(1d), "site" fill(none)'
        if level is not None:
            hours = level.seconds / 3600
            return await self._by_day(
                f'SELECT sum("{field}_mean") * {hours} / 1000 '
                f"FROM {_of(level, 'site', start, end)} {by}"
            )
        hours = STRETCH_SECONDS / 3600
        return await self._by_day(
            f'SELECT sum("mean") * {hours} / 1000 FROM (SELECT mean("{field}") FROM "site" WHERE '
            f'{between(start, end)} GROUP BY time({STRETCH_SECONDS}s), "site" fill(none)) '
            f"WHERE {between(start, end)} {by}"
        )

    async def counter(
        self, measurement: str, field: str, start: float, end: float
    ) -> dict[str, dict[float, float]]:
        """What an energy counter of each site gained by day, kWh; in full detail a reset costs one
        hour."""
        level = await self._level(measurement, field, start, end)
        if level is not None:
            return await self._by_day(
                f'SELECT sum("{field}_increase") FROM {_of(level, measurement, start, end)} '
                'GROUP BY time(1d), "site" fill(none)'
            )
        by = '"site", "device"' if measurement == "battery" else '"site"'
        return await self._by_day(
            f'SELECT sum("gained") FROM (SELECT non_negative_difference(last("{field}")) AS gained '
            f'FROM "{measurement}" WHERE {between(start, end)} '
            f"GROUP BY time(1h), {by} fill(none)) "
            f'WHERE {between(start, end)} GROUP BY time(1d), "site" fill(none)'
        )

    async def daily(
        self, field: str, start: float, end: float
    ) -> dict[str, list[tuple[float, float]]]:
        """Day (Unix days) and daily mean of a battery quantity; of several batteries the first."""
        level = await self._level("battery", field, start, end, [DAILY])
        column = field if level is None else f"{field}_mean"
        found = await self._ask(
            f'SELECT mean("{column}") FROM {_of(level, "battery", start, end)} '
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

    async def _level(
        self,
        measurement: str,
        field: str,
        start: float,
        end: float,
        levels: Sequence[Level] | None = None,
    ) -> Level | None:
        if not meant_for(end - start):
            return None
        return await level_of(self._stored, measurement, field, start, end, levels=levels)

    async def _ask(self, statement: str) -> list[Any]:
        self.statements.append(statement)
        return await self._stored.select(statement)


def _of(level: Level | None, measurement: str, start: float, end: float) -> str:
    return f"{table(level, measurement)} WHERE {between(beginning(level, start), end)}"


def total(parts: Iterable[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
