"""What a report asks of InfluxDB, one method for each question."""

# ruff: noqa: S608  (InfluxQL made of names and numbers of our own)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from exporter.ask import metric_history as histories
from exporter.ask.answer import CannotAnswerError
from exporter.ask.catalogue import METRICS
from exporter.ask.metric_history import History
from exporter.ask.query import Period
from exporter.history.coverage import Coverage, coverage
from exporter.history.influxql import InfluxQL, NoAnswerError, between
from exporter.history.level_choice import beginning, enough_for, level_of, meant_for, table
from exporter.model.levels import LEVELS, Level

DAY = 86400.0
DAILY = LEVELS[-1]
OVERALL = "\"component\" = 'overall'"

Table = dict[str, dict[str, Any]]
"""Site id to column to value."""


class Past:
    """The stored past of a fleet over periods of time (Unix seconds); keeps every statement.

    Each is read from the roll-up that holds it, in whole windows of that.

    Parameters
    ----------
    stored : InfluxQL
    sites : int
        How many there are.
    active : dict of site id to device
        The battery that counts where a site has several.
    """

    def __init__(self, stored: InfluxQL, sites: int, active: dict[str, str]) -> None:
        self._stored = stored
        self._sites = sites
        self._active = active
        self.statements: list[str] = []

    async def scores(self, start: float, end: float) -> Table:
        """``mean``, ``first`` and ``last`` overall score of each site, first and last status; of a
        roll-up the mean and the worst of its first and last window."""
        level = await self._level("health", "score", start, end)
        score, status = ("score", "status") if level is None else ("score_mean", "status_max")
        return await self._by_site(
            f'SELECT mean("{score}"), first("{score}") AS first, last("{score}") AS last, '
            f'first("{status}") AS first_status, last("{status}") AS last_status '
            f"FROM {_of(level, 'health', start, end)} AND {OVERALL}"
        )

    async def score_course(self, start: float, end: float) -> list[tuple[float, float]]:
        """Time and mean score of the fleet, in stretches of an hour or more."""
        stretch = max(3600, round((end - start) / 200 / 3600) * 3600)
        level = await self._level("health", "score", start, end)
        score = "score" if level is None else "score_mean"
        # Sums and counts, which databases of several projects can give each for itself.
        found = await self._ask(
            f'SELECT sum("{score}"), count("{score}") FROM {_of(level, "health", start, end)} '
            f"AND {OVERALL} GROUP BY time({stretch}s) fill(none)"
        )
        rows = [row for series in found for row in series.rows if row[2]]
        return [(row[0] / 1000, row[1] / row[2]) for row in rows]

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

    async def observed(self, sites: list[str], start: float, end: float) -> Coverage:
        """How long each site was polled in the period."""
        found = await coverage(self._stored, sites, start, end)
        self.statements += found.statements
        return found

    async def charge_change(self, start: float, end: float) -> dict[str, float]:
        """By how many percent points the charge of each site's battery differs at the end."""
        found = await self._ask(
            'SELECT first("soc_percent") AS first, last("soc_percent") AS last FROM "battery" '
            f'WHERE {between(start, end)} GROUP BY "site", "device"'
        )
        changes: dict[str, float] = {}
        for series in found:
            site, (_, first, last) = series.tags["site"], series.rows[0]
            if site not in changes or series.tags["device"] == self._active.get(site):
                changes[site] = last - first
        return changes

    async def history(self, metric: str, start: float, end: float) -> dict[str, History]:
        """How a metric of every site went, as answers to questions have it, in days at most.

        Parameters
        ----------
        metric : str
            Name in :data:`exporter.ask.catalogue.METRICS`.
        start, end : float

        Raises
        ------
        NoAnswerError
        """
        period = Period(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
        try:
            found, asked, _ = await histories.fetch(
                self._stored, METRICS[metric], period, None, self._sites, self._active, int(DAY)
            )
        except CannotAnswerError as error:
            raise NoAnswerError(str(error), str(error)) from error
        self.statements += asked
        return found

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
        levels = enough_for(end - start) if levels is None else levels
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
