"""The stored past as the caller of the request under way sees it.

Whatever reads the past sends InfluxQL through one method, so here every statement of a caller who
does not see every project gets a condition that keeps its sites. A statement that this module
cannot limit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from exporter.assess.assessment import FleetAssessment
from exporter.energy.market_prices import KEPT_AT
from exporter.energy.market_prices import MEASUREMENT as PRICE
from exporter.history.influxql import InfluxQL, NoAnswerError, Series
from exporter.model.levels import RAW
from exporter.serve.access.visible import visibility

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TEXT = re.compile(rf"{_QUOTED}|'(?:[^'\\]|\\.)*'|(?<=~ )/(?:[^/\\\n]|\\.)+/")
_FROM = re.compile(r"\bFROM\b", re.IGNORECASE)
_SOURCE = re.compile(rf"FROM ({_QUOTED}(?:\.{_QUOTED})*) WHERE ")
_OR = re.compile(r"\bOR\b", re.IGNORECASE)
# It holds what the exporter itself did, which is about all projects.
_OF_THE_EXPORTER = '"event"'
# Prices belong to no site.
_OF_EVERYBODY = f'FROM "{KEPT_AT}"."{PRICE}" '


class VisiblePast(InfluxQL):
    """One database, of which a caller reads the sites that it sees.

    Parameters
    ----------
    stored : InfluxQL
    visible : callable
        The Assessment that the caller sees.
    """

    def __init__(self, stored: InfluxQL, visible: Callable[[], FleetAssessment]) -> None:
        self._stored = stored
        self._visible = visible

    async def select(self, statement: str, retention: str = RAW) -> list[Series]:
        """The series that a statement gives of the sites that the caller sees.

        Raises
        ------
        NoAnswerError
        LookupError
            Outside a request.
        """
        projects = visibility().projects
        if statement.count("FROM ") == statement.count(_OF_EVERYBODY):
            # They are stored with the sites of no project.
            return await self._stored.of_projects((None,)).select(statement, retention)
        if projects is None:
            return await self._stored.select(statement, retention)
        sites = {site.id for site in self._visible().fleet.sites}
        if not sites or f"FROM {_OF_THE_EXPORTER} " in statement:
            return []
        stored = self._stored.of_projects(projects)
        found = await stored.select(limited_to(sites, statement), retention)
        return [series for series in found if series.tags.get("site") in {None, "", *sites}]

    async def close(self) -> None:
        """Close connections."""
        await self._stored.close()


def limited_to(sites: Collection[str], statement: str) -> str:
    """A statement whose every measurement is limited to some sites.

    Parameters
    ----------
    sites : collection of str
        Ids, which hold neither quotes nor slashes.
    statement : str
        A ``SELECT`` of this program.

    Raises
    ------
    NoAnswerError
        Where the statement has a measurement without a condition, or a condition whose OR stands
        outside parentheses and would get round the one that is added.
    """
    plain = _TEXT.sub(lambda text: "_" * len(text[0]), statement)
    found = _SOURCE.finditer(statement)
    sources = [source for source in found if plain.startswith("FROM", source.start())]
    subqueries = len(re.findall(r"\bFROM \(", plain))
    if len(_FROM.findall(plain)) != len(sources) + subqueries:
        raise NoAnswerError("this question cannot be limited to your projects")
    condition = _condition(sites)
    parts, last = [], 0
    for source in sources:
        if _has_bare_or(plain, source.end()):
            raise NoAnswerError("this question cannot be limited to your projects")
        parts += [statement[last : source.end()], condition, " AND "]
        last = source.end()
    return "".join([*parts, statement[last:]])


def _condition(sites: Collection[str]) -> str:
    if len(sites) == 1:
        return f"\"site\" = '{next(iter(sites))}'"
    names = "|".join(re.escape(site) for site in sorted(sites))
    return f'"site" =~ /^(?:{names})$/'


def _has_bare_or(plain: str, start: int) -> bool:
    """Whether the condition that begins there has an OR outside parentheses."""
    depth = 0
    for at in range(start, len(plain)):
        depth += {"(": 1, ")": -1}.get(plain[at], 0)
        if depth < 0:
            return False
        if depth == 0 and _OR.match(plain, at) and not plain[at - 1].isalnum():
            return True
    return False
