"""From parts to a Query, by the table of rules."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import cache
from typing import Any

from exporter.ask.language.changes import CHANGES
from exporter.ask.language.parts import FINE, GrammarError, Parts
from exporter.ask.language.rule import Rule
from exporter.ask.language.rules import RULES
from exporter.ask.language.slots import Sorter
from exporter.ask.language.tagging import Tagged
from exporter.ask.query import LARGEST_LIMIT, Query, What

_IN_A_UNIT = {What.VALUE, What.HISTORY, What.COMPARE, What.RANK}
_LISTS = {What.RANK, What.WHICH, What.ATTENTION}
_FIELDS = (
    "sites",
    "filters",
    "conditions",
    "comparisons",
    "metrics",
    "order",
    "limit",
    "severity",
    "period",
    "group_by",
    "lasting",
    "times",
    "figure",
    "causes",
    "beside",
)
_STORED_AS = {
    "order": "orders",
    "group_by": "groups",
    "period": "periods",
    "times": "repeats",
    "figure": "figures",
}


class Grammar:
    """The rules, for one time and the zone of the person who asks."""

    def __init__(self, now: datetime, zone: tzinfo) -> None:
        self._now = now
        self._zone = zone

    def parts(self, tagged: Tagged) -> Parts:
        """What a sentence holds.

        Raises
        ------
        GrammarError
        """
        sorter = Sorter(tagged)
        self._run("refused", sorter.said())
        parts = sorter.parts()
        self._run("words", parts)
        return parts

    def settle(self, parts: Parts) -> None:
        """Turn words for a part of a site (battery, grid, …) into metrics or conditions.

        Raises
        ------
        GrammarError
            If such a word has no use.
        """
        for part in parts.parts:
            parts.part = part
            self._run("part", parts)
        parts.part = ""

    def query(self, parts: Parts) -> Query:
        """The one query that the parts are.

        Raises
        ------
        GrammarError
            If they are none.
        QueryError
        """
        self.settle(parts)
        query = self._run("question", parts)
        assert query is not None
        everything = "all" in parts.words and not parts.sites and query.limit is None
        return query.but(limit=LARGEST_LIMIT) if everything and query.what in _LISTS else query

    def _run(self, section: str, parts: Parts) -> Query | None:
        for rule in RULES[section]:
            if not _holds(rule.when, parts.facts()):
                continue
            if rule.no:
                final = section == "refused"
                raise GrammarError(rule.no.format(**parts.named()), final=final)
            for change in rule.do.split():
                self._change(change, parts)
            if rule.ask is not None:
                return _query(rule, parts)
            if rule.go:
                return self._run(rule.go, parts)
        return None

    def _change(self, change: str, parts: Parts) -> None:
        """Make one change of a rule; see :mod:`exporter.ask.language.rules`."""
        name, equals, value = change.partition("=")
        if change in CHANGES:
            CHANGES[change](parts, self._now, self._zone)
        elif equals:
            whole = {"order": {value}, "events": value}.get(name, [value])
            setattr(parts, _STORED_AS.get(name, name), whole)
        elif change[0] == "+":
            parts.intents.add(change[1:])
        else:
            _remove(change[1:], parts)


def _remove(what: str, parts: Parts) -> None:
    field, _, value = what.partition(":")
    if value and field == "order":
        parts.orders.discard(value)
    elif value:
        parts.metrics = [m for m in parts.metrics if m != value]
    elif what == "fine":
        parts.conditions = [c for c in parts.conditions if c != FINE]
    elif what in ("severity", "limit", "beside"):
        setattr(parts, what, None)
    elif what == "attribute":
        parts.attribute = ""
    elif what in _FIELDS:
        getattr(parts, _STORED_AS.get(what, what)).clear()
    else:
        parts.intents.discard(what)


@cache
def _terms(when: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(term.split("|")) for term in when.split())


def _holds(when: str, facts: set[str]) -> bool:
    return all(
        any((fact[0] != "!") == (fact.removeprefix("!") in facts) for fact in term)
        for term in _terms(when)
    )


def _query(rule: Rule, parts: Parts) -> Query:
    """The query of a rule, if the sentence holds nothing beyond what the rule has a use for."""
    assert rule.ask is not None
    given: dict[str, Any] = {
        "sites": tuple(parts.sites),
        "filters": tuple(parts.filters),
        "conditions": tuple(parts.conditions),
        "comparisons": tuple(parts.comparisons),
        "metrics": tuple(parts.metrics),
        "order": parts.order,
        "limit": parts.limit,
        "severity": parts.severity,
        "period": parts.period,
        "group_by": parts.group,
        "events": parts.events,
        "cell": parts.cell,
        "lasting": parts.lasting[0] if parts.lasting else None,
        "times": parts.repeats[0] if parts.repeats else None,
        "figure": parts.figures[0] if parts.figures else None,
        "causes": tuple(parts.causes),
        "beside": parts.beside,
    }
    takes, drops = rule.takes.split(), rule.drops.split()
    kept = {name: value for name, value in given.items() if name not in drops}
    for name in _FIELDS:
        if kept.get(name) and name not in takes and rule.ask is not What.HELP:
            raise GrammarError(
                f"{name.replace('_', ' ')} does not go with {rule.ask.value} in one question"
            )
    tests = len(parts.conditions) + len(parts.comparisons)
    any_of = parts.any_of and tests > 1 and "any_of" not in drops
    if rule.ask is What.HELP:
        return Query(What.HELP)
    # A comparison has used its own unit.
    if parts.unit is not None:
        if rule.ask not in _IN_A_UNIT or not kept.get("metrics"):
            raise GrammarError(f"{rule.ask.value} is not given in {parts.unit}; leave it out")
        kept["unit"] = parts.unit
    return Query(what=rule.ask, any_of=any_of, count=parts.count, with_cost=parts.with_cost, **kept)
