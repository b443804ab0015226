"""The stored past over the databases of several projects.

A statement goes to the databases of the sites that it names, else to those of every project that
its reader may ask. Each database answers for the sites that belong to it now.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from exporter.config.fleet import Fleet
from exporter.config.project_databases import databases_of
from exporter.config.settings import Settings
from exporter.history.influxql import InfluxQL, NoAnswerError, Series
from exporter.model.levels import RAW
from exporter.store.connection import Connection

# A database that did not answer is asked again after so long; until then its readers hear so at
# once, and hold no place that readers of others wait for.
RETRY_SECONDS = 10.0

_SITE = re.compile(r"\"site\" = '((?:[^'\\]|\\.)*)'")
_SITES = re.compile(r'"site" =~ /\^\(\?:((?:[^/\\]|\\.)*)\)\$/')
_SELECTED = re.compile(r"SELECT (.*?) FROM ", re.DOTALL)
_FUNCTION = re.compile(r"\b([a-z_]+)\(")
_ADDED_UP = frozenset({"count", "sum"})

SiteProjects = Callable[[], Mapping[str, str | None]]


class ProjectsOfSites:
    """Called, it returns the project of every site of the latest fleet, by id.

    Parameters
    ----------
    fleet : callable
        The latest fleet.
    """

    def __init__(self, fleet: Callable[[], Fleet]) -> None:
        self._fleet = fleet
        self._known: Fleet | None = None
        self._projects: dict[str, str | None] = {}

    def __call__(self) -> Mapping[str, str | None]:
        """See the class."""
        fleet = self._fleet()
        if fleet is not self._known:
            self._known = fleet
            self._projects = {site.id: site.project for site in fleet.sites}
        return self._projects


class ProjectPast(InfluxQL):
    """Several databases, read only.

    Parameters
    ----------
    databases : mapping of project or None to InfluxQL
        None is the database of all other sites.
    projects : callable
        The project of every site, by id.
    only : collection of project or None, optional
        Databases that may be asked; all by default.
    """

    def __init__(
        self,
        databases: Mapping[str | None, InfluxQL],
        projects: SiteProjects,
        only: Collection[str | None] | None = None,
    ) -> None:
        self._databases = databases
        self._projects = projects
        self._asked = [key for key in databases if only is None or key in only]
        self._not_before: dict[str | None, float] = {}

    def of_projects(self, projects: Collection[str | None]) -> InfluxQL:
        """The past of some projects: no other database is asked."""
        return self._only({self._key_of(project) for project in projects})

    def each(self) -> Sequence[InfluxQL]:
        """See :meth:`InfluxQL.each`."""
        return [self._only({key}) for key in self._asked]

    def connection_of(self, site: str) -> Connection | None:
        """See :meth:`InfluxQL.connection_of`."""
        database = self._databases.get(self._key_of(self._projects().get(site)))
        return database.connection if database is not None else None

    def _only(self, keys: Collection[str | None]) -> ProjectPast:
        view = ProjectPast(self._databases, self._projects, keys)
        # All readers know of a database that does not answer.
        view._not_before = self._not_before
        return view

    async def select(self, statement: str, retention: str = RAW) -> list[Series]:
        """The series that a statement gives, as one database would give them.

        Raises
        ------
        NoAnswerError
            Also where one of several databases does not answer: what it holds would be missing
            unsaid. And where the statement computes over sites in a way that several databases
            cannot do each for itself.
        """
        keys = self._keys_of(statement)
        if not keys:
            return []
        parts = await asyncio.gather(*(self._ask(key, statement, retention) for key in keys))
        return parts[0] if len(parts) == 1 else joined(statement, parts)

    async def close(self) -> None:
        """Close connections."""
        for database in self._databases.values():
            await database.close()

    def _keys_of(self, statement: str) -> list[str | None]:
        named = _SITE.findall(statement)
        for listed in _SITES.findall(statement):
            named += [re.sub(r"\\(.)", r"\1", one) for one in listed.split("|")]
        if not named:
            return self._asked
        projects = self._projects()
        keys = {self._key_of(projects.get(site)) for site in named}
        return [key for key in self._asked if key in keys]

    def _key_of(self, project: str | None) -> str | None:
        return project if project in self._databases else None

    async def _ask(self, key: str | None, statement: str, retention: str) -> list[Series]:
        what = f"the database of the project {key}" if key else "InfluxDB"
        if time.monotonic() < self._not_before.get(key, 0.0):
            raise NoAnswerError(f"{what} did not answer", f"{what} does not answer")
        try:
            found = await self._databases[key].select(statement, retention)
        except NoAnswerError as error:
            if error.is_silence:
                self._not_before[key] = time.monotonic() + RETRY_SECONDS
                raise NoAnswerError(str(error), f"{what} does not answer") from error
            raise
        projects = self._projects()
        # A site that moved has left its past behind, and is read where it is now.
        return [
            series
            for series in found
            if (site := series.tags.get("site")) is None
            or (site in projects and self._key_of(projects[site]) == key)
        ]


def past_of(settings: Settings, projects: SiteProjects) -> InfluxQL | None:
    """The reader of all databases of the settings; None where they name none.

    Parameters
    ----------
    settings : Settings
    projects : callable
        The project of every site, by id.

    Raises
    ------
    exporter.config.settings.SettingsError
    """
    found = {}
    for project, own in databases_of(settings).items():
        reader = InfluxQL.from_settings(own)
        assert reader is not None  # every database has an address
        found[project] = reader
    if not found:
        return None
    return found[None] if set(found) == {None} else ProjectPast(found, projects)


def joined(statement: str, parts: Sequence[Sequence[Series]]) -> list[Series]:
    """What several databases gave, in the order in which one gives series.

    Series of one site come from one database. Those of no single site are put together: counts and
    sums are added, of first and last the outermost is taken, and plain rows follow one another.

    Raises
    ------
    NoAnswerError
        Where rows of several databases would have to be put together in another way.
    """
    alone: list[Series] = []
    shared: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for series in (series for part in parts for series in part):
        if "site" in series.tags:
            alone.append(series)
        else:
            shared.setdefault(tuple(sorted(series.tags.items())), []).append(series)
    for found in shared.values():
        rows = _rows(statement, [series.rows for series in found])
        alone.append(Series(found[0].tags, found[0].columns, rows))
    return sorted(alone, key=lambda series: sorted(series.tags.items()))


def _rows(statement: str, found: Sequence[list[list[Any]]]) -> list[list[Any]]:
    if len(found) == 1:
        return found[0]
    selected = _SELECTED.search(statement)
    functions = set(_FUNCTION.findall(selected[1])) if selected else set()
    rows = sorted((row for part in found for row in part), key=lambda row: row[0])
    if functions == {"first"}:
        return rows[:1]
    if functions == {"last"}:
        return rows[-1:]
    if functions and functions <= _ADDED_UP:
        return _added(rows)
    if not functions:
        return rows
    raise NoAnswerError(
        f"cannot be asked of several databases: {statement}",
        "this cannot be asked of the databases of several projects at once; ask about one project",
    )


def _added(rows: list[list[Any]]) -> list[list[Any]]:
    sums: dict[Any, list[Any]] = {}
    for row in rows:
        held = sums.setdefault(row[0], [row[0], *[None] * (len(row) - 1)])
        for column, value in enumerate(row[1:], 1):
            if value is not None:
                held[column] = value + (held[column] or 0)
    return list(sums.values())
