"""Whether the query that came out accounts for every word of the question.

A word that names, compares, orders, counts, excludes or says when must be found again in the query;
otherwise the answer would be one to another question. This is the one place that checks it: each
kind of word has its test here, and a kind without one is a word of grammar, such as ``which``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.ask.language.parts import (
    ENERGY,
    PARTS,
    STATES,
    GrammarError,
)
from exporter.ask.language.tagging import Item, Tagged
from exporter.ask.language.text import sentence
from exporter.ask.query import Query, What

_ORIGINS = {
    "grid": {"grid_power", "imported_energy"},
    "solar": {"pv_power", "pv_energy", "pv_performance", "low_pv"},
    "battery": {"battery_power", "discharged_energy"},
}
_YES_OR_NO = {"is", "are", "was", "were", "do", "does", "did", "has", "have", "ist", "sind", "war"}
_ONE = {"site", "battery", "plant", "box", "pack", "system", "anlage", "batterie", "standort"}
_STATUSES = {"offline", "critical", "warning", "good", "healthy", "unknown"}
_FIGURES = {What.ENERGY, What.PORTFOLIO}
_ISSUES = {What.ATTENTION, What.WHICH, What.TIMELINE, What.EXPLAIN, What.SINCE}
_NAMES = {"named", "value", "filt"}
_TESTS = {"cond", "state", "op", "number", "unit", "lasting", "between", "adj"}
_JOINED = (_NAMES, {"metric", *_TESTS}, {"figure", "cause"}, {"intent", *_TESTS})

# The queries that account for what is asked.
_INTENTS: dict[str, set[What]] = {
    "attention": {
        *_ISSUES,
        *(What.COST, What.CONTACT, What.COMPARE, What.SILENCES, What.OUTLIERS, What.STATUS),
    },
    "alerts": {What.ALERTS, What.SILENCES},
    "silences": {What.SILENCES},
    "happened": {What.TIMELINE, What.ATTENTION},
    "contact": {What.CONTACT},
    "forecast": {What.FORECAST},
    "cell": {What.CELLS, What.FORECAST},
    "recovered": {What.TIMELINE, What.HISTORY, What.ALERTS},
    "status": {
        *(What.STATUS, What.SITE, What.TIMELINE, What.COMPARE, What.VALUE, What.HISTORY),
        *_FIGURES,
    },
    "rank": {What.RANK, What.VALUE, What.SITE, What.CELLS, What.CONTACT, What.WHICH},
    "compare": {What.COMPARE, What.RANK, What.VALUE, What.WHICH},
    "outliers": {What.OUTLIERS, What.CELLS},
    "why": {What.EXPLAIN, What.TIMELINE, What.ATTENTION},
    "since": {What.SINCE, What.WHICH, What.TIMELINE},
    "history": {What.HISTORY, What.TIMELINE, What.CELLS},
    "help": {What.HELP},
    "plan": {What.PLAN},
    "mean": {What.VALUE, What.HISTORY, What.COST, What.WHICH, What.FORECAST, *_FIGURES},
}
# Words that only some queries account for.
_WORDS: dict[str, set[What]] = {
    "fire": {What.ALERTS},
    "where": {What.CONTACT, What.WHICH},
    # A silence is shown with its end.
    "till": {What.SILENCES},
    "than": {What.COMPARE, *_FIGURES},
    "degree": {What.HISTORY, What.PORTFOLIO},
    "margin": {What.COMPARE, *_FIGURES},
    "furthest": {What.OUTLIERS},
    "fell": {What.HISTORY, What.WHICH, What.TIMELINE},
    "sole": set(),
    "because": {What.EXPLAIN, *_FIGURES},
    # What should be is no reading; what should be done is.
    "modal": {
        *(What.CONTACT, What.ATTENTION, What.EXPLAIN, What.SITE, What.STATUS, What.COST),
        *(What.HELP, What.PLAN, What.RANK, *_FIGURES),
    },
    "compared": {What.COMPARE, What.OUTLIERS, *_FIGURES},
    "average": {What.VALUE, What.HISTORY, What.COMPARE, *_FIGURES},
    "latest": {What.VALUE, What.SITE, What.CELLS, What.COMPARE, What.STATUS},
    "amount": {
        *(What.VALUE, What.HISTORY, What.COMPARE, What.FORECAST, What.COST, What.RANK),
        *(What.WHICH, *_FIGURES),
    },
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A sentence and the query that came out of it."""

    items: list[Item]
    query: Query
    now: datetime
    words: tuple[str, ...]
    ends: dict[int, int]

    def one_behind(self, item: Item) -> bool:
        """Whether the word for one site or battery stands behind an item."""
        after = self.ends.get(item.at, item.at + 1)
        return after < len(self.words) and self.words[after] in _ONE

    def has(self, kind: str) -> bool:
        """Whether there is an item of a kind."""
        return any(item.kind == kind for item in self.items)

    def next_to(self, item: Item) -> tuple[Item, Item]:
        """The items before and behind one."""
        items = [i for i in self.items if i.kind != "verb"]
        place = next(n for n, i in enumerate(items) if i is item)
        nothing = Item("")
        before = items[place - 1] if place else nothing
        behind = items[place + 1] if place + 1 < len(items) else nothing
        return before, behind

    @property
    def measured(self) -> set[str]:
        """Metrics that the query names in any way."""
        query = self.query
        found = {*query.metrics, *(c.metric for c in query.comparisons)}
        found |= {CONDITIONS[c.name].metric or "" for c in query.conditions}
        found |= {c.name.removeprefix("no_") for c in query.conditions}
        return found | {ENERGY.get(metric, metric) for metric in found}


def unaccounted(tagged: Tagged, query: Query, now: datetime) -> str | None:
    """The first word of a sentence that the query does not account for; None if it has all."""
    tokens = sentence(tagged.text).tokens
    words = tuple(token.word for token in tokens)
    items = [item for item in tagged.items if item.kind]
    asked = _Asked(items, query, now, words, tagged.ends)
    for item in asked.items:
        test = _TESTS_OF.get(item.kind)
        if test is not None and not test(item, asked):
            after = tagged.ends.get(item.at, item.at + 1)
            return " ".join(token.raw for token in tokens[item.at : after])
    return None


def check(tagged: Tagged, query: Query, now: datetime) -> Query:
    """The query, if it accounts for every word.

    Raises
    ------
    GrammarError
    """
    left = unaccounted(tagged, query, now)
    if left is not None:
        raise GrammarError(f"the answer would not account for {left!r}; ask without it")
    return query


def _intent(item: Item, asked: _Asked) -> bool:
    test = _INTENT_TESTS.get(item.value)
    own = test(asked) if test is not None else None
    return asked.query.what in _INTENTS[item.value] if own is None else own


def _why(asked: _Asked) -> bool | None:
    """What happened to the frequency; was hat Alpha verloren."""
    what = asked.query.what
    return asked.has("event") if what is What.HISTORY else (what in _FIGURES or None)


def _count(asked: _Asked) -> bool:
    what = asked.query.what
    return asked.query.count or what in (What.VALUE, What.HISTORY, What.SILENCES)


def _mean(asked: _Asked) -> bool | None:
    """A total is of what adds up."""
    metrics = [METRICS[m] for m in asked.query.metrics]
    adds_up = all(metric.fleet == "sum" or metric.unit == "kWh" for metric in metrics)
    return None if adds_up or asked.has("average") else False


def _times(asked: _Asked) -> bool:
    return asked.query.count or asked.query.times is not None


def _cost(asked: _Asked) -> bool:
    """What repairs have cost is not known, only what they will."""
    query = asked.query
    ahead = query.with_cost and not (query.period is not None and asked.has("verb"))
    return ahead or query.what in (What.COST, *_FIGURES)


def _attention(asked: _Asked) -> bool | None:
    query = asked.query
    needing = any(c.name == "needs_attention" for c in query.conditions)
    return needing or query.order == "worst" or None


def _since(asked: _Asked) -> bool | None:
    """When was Delta hottest."""
    return _when(Item("when"), asked) if asked.query.what is What.HISTORY else None


# Tests of intents beyond the queries that account for them; None leaves it to those.
_INTENT_TESTS: dict[str, Callable[[_Asked], bool | None]] = {
    "why": _why,
    "count": _count,
    "mean": _mean,
    "times": _times,
    "cost": _cost,
    "attention": _attention,
    "since": _since,
}


def _metric(item: Item, asked: _Asked) -> bool:
    query = asked.query
    flows = {energy: power for energy, power, _ in STATES.values()}
    wanted = {item.value, flows.get(item.value, "")}
    if item.value != "soc" or "charged_energy" in query.metrics:
        # A power over a period is an energy; what was charged is one, too.
        wanted.add(ENERGY.get(item.value, ""))
    named = wanted & asked.measured
    return bool(named) or query.what in (What.CELLS, *_FIGURES) or item.value == "score"


def _condition(item: Item, asked: _Asked) -> bool:
    name, query = item.value.removeprefix("!"), asked.query
    statuses = {c.name for c in query.conditions if not c.negate} & _STATUSES
    if len(statuses) > 1 and not query.any_of:
        # No site has two at once: it was one and then the other.
        return False
    if any(c.name == name for c in query.conditions):
        return True
    if query.what is What.CONTACT and len(query.sites) == 1:
        # The outage of Epsilon is why somebody is called; the contact is the same.
        return asked.words[0] not in _YES_OR_NO
    if name == "low_soc" and query.what is What.FORECAST:
        return True
    if item.value == "!needs_attention" and query.conditions:
        return True
    metric = CONDITIONS[name].metric
    return query.what is What.CELLS or (metric is not None and metric in query.metrics)


def _part(item: Item, asked: _Asked) -> bool:
    query = asked.query
    named = asked.measured | {c.name for c in query.conditions}
    if item.value == "battery" and query.what is What.WHICH:
        # Batteries are what sites are called.
        return True
    if query.what in (What.CELLS, What.PLAN, What.FORECAST, *_FIGURES):
        return True
    return bool(named & {*PARTS[item.value].split(), f"no_{item.value}_data"})


def _name(item: Item, asked: _Asked) -> bool:
    query = asked.query
    excluded = {f.value for f in query.filters if f.attribute == "site"}
    return item.value in query.sites or item.value in excluded


def _order(item: Item, asked: _Asked) -> bool:
    query = asked.query
    if query.what is What.RANK and item.value in ("highest", "lowest") and not query.metrics:
        return False
    places = {i.at for i in asked.items if i.kind == "order"}
    if len(places) > 1 and query.what is not What.HISTORY:
        return False
    if query.group_by is not None and asked.one_behind(item):
        # The worst site of each region is another question than the worst region.
        return False
    if query.order is not None or query.group_by is not None or query.lasting is not None:
        return True
    if query.what is What.HISTORY:
        # It shows the lowest and the highest, but no site for the best.
        together = asked.has("when") or asked.has("since")
        return (bool(query.sites) or together) and item.value in ("highest", "lowest")
    worst = item.value == "worst" and query.what is What.ATTENTION
    return (worst and not query.sites) or query.what in (What.COMPARE, What.FORECAST, What.CELLS)


def _first(item: Item, asked: _Asked) -> bool:
    query = asked.query
    if query.what in (What.ALERTS, What.TIMELINE):
        # The first of a day: its order in time is not what a limit leaves.
        return False
    return (
        query.order is not None
        or query.limit is not None
        or query.what is What.FORECAST
        or (query.period is None and query.what is What.ATTENTION)
    )


def _comparative(item: Item, asked: _Asked) -> bool:
    """Worse than what: another site or group, or before."""
    query = asked.query
    beside = query.what is What.RANK and len(query.sites) > 1
    return beside or query.group_by is not None or query.what in (What.COMPARE, What.HISTORY)


def _state(item: Item, asked: _Asked) -> bool:
    return bool(set(STATES[item.value]) & asked.measured)


def _operator(item: Item, asked: _Asked) -> bool:
    return bool(asked.query.comparisons) or asked.query.what in (What.COMPARE, What.CELLS)


def _share(item: Item, asked: _Asked) -> bool:
    return asked.query.count and asked.query.what in (What.WHICH, What.ATTENTION)


def _did(item: Item, asked: _Asked) -> bool:
    """Did all sites report: whatever they did, an overview does not say it."""
    asks = any(i.kind == "intent" for i in asked.items)
    return asks or asked.query.what is not What.STATUS


def _when(item: Item, asked: _Asked) -> bool:
    """A time: of an event, of what is to come, or of the highest and the lowest."""
    query = asked.query
    if query.what is What.HISTORY and query.order in ("highest", "lowest"):
        added = all(METRICS[m].fleet == "sum" for m in query.metrics)
        return len(query.sites) == 1 or (added and query.order == "highest")
    return query.what in (What.SINCE, What.TIMELINE, What.FORECAST, What.PORTFOLIO)


def _able(item: Item, asked: _Asked) -> bool:
    """How high it can go is no reading, whether it can export no power."""
    if asked.has("state"):
        return False
    able = asked.measured & {"free_capacity", "stored_energy"}
    return bool(able) or not (asked.has("amount") and asked.query.what is What.VALUE)


def _lasts(item: Item, asked: _Asked) -> bool:
    return asked.query.what is What.FORECAST and "soc" in asked.query.metrics


def _extremes(item: Item, asked: _Asked) -> bool:
    """Highest and lowest of a period; now they are two orders."""
    return asked.has("period")


def _negation(item: Item, asked: _Asked) -> bool:
    query = asked.query
    if query.group_by is not None and any(c.negate for c in query.conditions):
        # Regions without a critical site are not the means of sites that are not critical.
        return query.count
    without = any(c.negate or c.name.startswith("no_") for c in query.conditions)
    states = asked.has("state") and bool(query.comparisons)
    return without or states or any(f.negate for f in query.filters) or _fine(query)


def _fine(query: Query) -> bool:
    """Nothing wrong, no problem: the condition that is asked about instead."""
    return any(c.name in ("offline", "needs_attention") for c in query.conditions)


def _origin(item: Item, asked: _Asked) -> bool:
    """Charged from the grid: how much of one went into the other is not kept."""
    other = {m for m in asked.measured if m and m not in _ORIGINS[item.value]}
    flows = {name for names in STATES.values() for name in names}
    return not other & (flows | {*ENERGY, *ENERGY.values()})


def _modal(item: Item, asked: _Asked) -> bool:
    able = asked.measured & {"free_capacity", "stored_energy"}
    return bool(able) or asked.query.what in _WORDS["modal"]


def _only(item: Item, asked: _Asked) -> bool:
    """Only what stands beside it: only in Spain. Whether only Spain is hot is another question."""
    narrowed = {"value", "filt", "severity", "cond", "top", "first", "number", "cause"}
    before, behind = asked.next_to(item)
    if before.kind == "site":
        before = asked.next_to(before)[0]
    beside = any(i.kind in narrowed or i.value == "attention" for i in (before, behind))
    return beside and asked.words[0] not in _YES_OR_NO


def _or(item: Item, asked: _Asked) -> bool:
    """Between things of a kind: a place or a condition, whichever, is in no query."""
    before, behind = asked.next_to(item)
    return any({before.kind, behind.kind} <= kinds for kinds in _JOINED) or not before.kind


def _by(item: Item, asked: _Asked) -> bool:
    return asked.next_to(item)[1].kind != "period"


def _begin(item: Item, asked: _Asked) -> bool:
    return asked.query.events is not None or asked.query.what is What.SINCE


def _now(item: Item, asked: _Asked) -> bool:
    """Now and yesterday are two questions."""
    period = asked.query.period
    return period is None or period.end >= asked.now


def _still(item: Item, asked: _Asked) -> bool:
    return asked.query.period is None


def _whole(item: Item, asked: _Asked) -> bool:
    """Not heard from since six: in all that time, not once in it."""
    return asked.query.period is None or asked.query.lasting is not None


def _recently(item: Item, asked: _Asked) -> bool:
    return asked.query.period is not None


def _place_in_answer(item: Item, asked: _Asked) -> bool:
    """The first one, the same: of an answer before, and there is none."""
    return item.value in ("", "there")


def _severity(item: Item, asked: _Asked) -> bool:
    return asked.query.severity is not None


def _repeat(item: Item, asked: _Asked) -> bool:
    return asked.query.times is not None


def _group(item: Item, asked: _Asked) -> bool:
    query = asked.query
    return query.group_by is not None or any(f.attribute == item.value for f in query.filters)


def _filter(item: Item, asked: _Asked) -> bool:
    return bool(asked.query.filters)


def _lasting(item: Item, asked: _Asked) -> bool:
    return asked.query.lasting is not None


def _energy(item: Item, asked: _Asked) -> bool:
    query = asked.query
    units = {METRICS[m].unit for m in asked.measured if m}
    return "kWh" in units or query.what in _FIGURES or query.what is What.FORECAST


def _one_of(kind: str) -> Callable[[Item, _Asked], bool]:
    return lambda item, asked: asked.query.what in _WORDS[kind]


_TESTS_OF: dict[str, Callable[[Item, _Asked], bool]] = {
    **{kind: _one_of(kind) for kind in _WORDS if kind != "amount"},
    "amount": lambda item, asked: asked.query.with_cost or _one_of("amount")(item, asked),
    "intent": _intent,
    "metric": _metric,
    "cond": _condition,
    "comp": _part,
    "named": _name,
    "value": _filter,
    "filt": _filter,
    "order": _order,
    "lasts": _lasts,
    "when": _when,
    "extremes": _extremes,
    "neg": _negation,
    "origin": _origin,
    "modal": _modal,
    "able": _able,
    "comparative": _comparative,
    "state": _state,
    "op": _operator,
    "share": _share,
    "verb": _did,
    "first": _first,
    "top": _first,
    "only": _only,
    "or": _or,
    "by": _by,
    "begin": _begin,
    "finish": _begin,
    "now": _now,
    "still": _still,
    "whole": _whole,
    "recently": _recently,
    "reported": _recently,
    "pron": _place_in_answer,
    "severity": _severity,
    "repeat": _repeat,
    "group": _group,
    "lasting": _lasting,
    "energy": _energy,
}
