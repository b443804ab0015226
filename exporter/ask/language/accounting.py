"""Whether the query that came out accounts for every word of the question.

A word that names, compares, orders, counts, excludes or says when must be found again in the query;
otherwise the answer would be one to another question. This is the one place that checks it: each
kind of word has its test here, and a kind without one is a word of grammar, such as ``which``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.ask.language import accounting_tables as tables
from exporter.ask.language import accounting_words as words
from exporter.ask.language.accounting_asked import Asked
from exporter.ask.language.parts import (
    ENERGY,
    PARTS,
    STATES,
    GrammarError,
)
from exporter.ask.language.tagging import Item, Tagged
from exporter.ask.language.text import sentence
from exporter.ask.query import PARTS_OF_TIME, Query, What

# What points to the question before, or to its answer.
_OF_A_FOLLOW_UP = {"pron", "only", "first", "top"}


def unaccounted(
    tagged: Tagged, query: Query, now: datetime, *, follows: bool = False
) -> str | None:
    """The first word of a sentence that the query does not account for; None if it has all."""
    tokens = sentence(tagged.text).tokens
    words = tuple(token.word for token in tokens)
    items = [item for item in tagged.items if item.kind]
    asked = Asked(items, query, now, words, tagged.ends)
    for item in asked.items:
        if follows and item.kind in _OF_A_FOLLOW_UP:
            continue
        test = _TESTS_OF.get(item.kind)
        if asked.sets_against(item):
            continue
        if test is not None and not test(item, asked):
            after = tagged.ends.get(item.at, item.at + 1)
            return " ".join(token.raw for token in tokens[item.at : after])
    return None


def check(tagged: Tagged, query: Query, now: datetime, *, follows: bool = False) -> Query:
    """The query, if it accounts for every word.

    ``follows`` is whether the question before is in it: words that point there are no words of its
    own.

    Raises
    ------
    GrammarError
    """
    left = unaccounted(tagged, query, now, follows=follows)
    if left is not None:
        raise GrammarError(f"the answer would not account for {left!r}; ask without it")
    return query


def _intent(item: Item, asked: Asked) -> bool:
    test = _INTENT_TESTS.get(item.value)
    own = test(asked) if test is not None else None
    return asked.query.what in tables.INTENTS[item.value] if own is None else own


def _why(asked: Asked) -> bool | None:
    """What happened to the frequency; was hat Alpha verloren."""
    what = asked.query.what
    return asked.has("event") if what is What.HISTORY else (what in tables.FIGURES or None)


def _count(asked: Asked) -> bool:
    what = asked.query.what
    share = asked.has("share") and what is What.ENERGY
    return asked.query.count or share or what in (What.VALUE, What.HISTORY, What.SILENCES)


def _compare(asked: Asked) -> bool | None:
    """Figures of several sites stand beside each other."""
    several = asked.query.what in tables.FIGURES and len(asked.query.sites) > 1
    return several or None


def _mean(asked: Asked) -> bool | None:
    """A total is of what adds up."""
    metrics = [METRICS[m] for m in asked.query.metrics]
    if asked.query.with_cost:
        return True
    if asked.query.lasting is not None:
        return asked.query.order == "highest" or len(asked.query.sites) == 1
    adds_up = all(metric.fleet == "sum" or metric.unit == "kWh" for metric in metrics)
    return None if adds_up or asked.has("average") else False


def _times(asked: Asked) -> bool:
    return asked.query.count or asked.query.times is not None


def _cost(asked: Asked) -> bool:
    """What repairs have cost is not known, only what they will."""
    query = asked.query
    been = query.period is not None and (asked.has("verb") or bool(query.comparisons))
    ahead = query.with_cost and not been
    return ahead or query.what in (What.COST, *tables.FIGURES)


def _attention(asked: Asked) -> bool | None:
    query = asked.query
    needing = any(c.name == "needs_attention" for c in query.conditions)
    return needing or query.order == "worst" or None


def _since(asked: Asked) -> bool | None:
    """When was Delta hottest; how long it is silenced still."""
    if asked.query.what is What.SILENCES:
        return True
    if asked.query.what is What.TIMELINE and asked.has("duration"):
        # How often and how long: a timeline counts.
        return False
    if asked.query.what is What.ALERTS:
        return asked.query.lasting is not None
    return _when(Item("when"), asked) if asked.query.what is What.HISTORY else None


# Tests of intents beyond the queries that account for them; None leaves it to those.
_INTENT_TESTS: dict[str, Callable[[Asked], bool | None]] = {
    "why": _why,
    "compare": _compare,
    "count": _count,
    "mean": _mean,
    "times": _times,
    "cost": _cost,
    "attention": _attention,
    "since": _since,
}


def _metric(item: Item, asked: Asked) -> bool:
    query = asked.query
    flows = {energy: power for energy, power, _ in STATES.values()}
    wanted = {item.value, flows.get(item.value, "")}
    if item.value != "soc" or "charged_energy" in query.metrics:
        # A power over a period is an energy; what was charged is one, too.
        wanted.add(ENERGY.get(item.value, ""))
    named = wanted & asked.measured
    return bool(named) or query.what in (What.CELLS, *tables.FIGURES) or item.value == "score"


def _condition(item: Item, asked: Asked) -> bool:
    name, query = item.value.removeprefix("!"), asked.query
    statuses = {c.name for c in query.conditions if not c.negate} & tables.STATUSES
    if len(statuses) > 1 and not query.any_of:
        # No site has two at once: it was one and then the other.
        return False
    if any(c.name == name for c in query.conditions):
        return True
    if query.what is What.CONTACT and len(query.sites) == 1:
        # The outage of Epsilon is why somebody is called; the contact is the same.
        return asked.words[0] not in tables.YES_OR_NO
    if name == "low_soc" and query.what is What.FORECAST:
        return True
    if name == "maintenance" and query.what is What.SILENCES:
        return True
    if name == "low_pv" and query.figure == "pv_lost":
        return True
    if item.value == "!needs_attention" and query.conditions:
        return True
    metric = CONDITIONS[name].metric
    return query.what is What.CELLS or (metric is not None and metric in query.metrics)


def _part(item: Item, asked: Asked) -> bool:
    query = asked.query
    named = asked.measured | {c.name for c in query.conditions}
    if item.value == "battery" and (query.what is What.WHICH or query.group_by is not None):
        # Batteries are what sites are called.
        return True
    if query.what in (What.CELLS, What.PLAN, What.FORECAST, *tables.FIGURES):
        return True
    return bool(named & {*PARTS[item.value].split(), f"no_{item.value}_data"})


def _name(item: Item, asked: Asked) -> bool:
    query = asked.query
    excluded = {f.value for f in query.filters if f.attribute == "site"}
    return item.value in query.sites or item.value in excluded


def _order(item: Item, asked: Asked) -> bool:
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


def _first(item: Item, asked: Asked) -> bool:
    query = asked.query
    if query.what in (What.ALERTS, What.TIMELINE):
        # The first of a day: what a limit leaves has to be in the order of time.
        return query.order == "earliest" and query.limit is not None
    if query.what is What.WHICH and query.times is not None and query.comparisons:
        # When a limit was first passed stands in the answer.
        return True
    return (
        query.order is not None
        or query.limit is not None
        or query.what is What.FORECAST
        or (query.period is None and query.what is What.ATTENTION)
    )


def _comparative(item: Item, asked: Asked) -> bool:
    """Worse than what: another site or group, or before."""
    query = asked.query
    # Of two sites in an order of a figure both are there.
    beside = query.what in (What.RANK, What.ENERGY) and len(query.sites) > 1
    return beside or query.group_by is not None or query.what in (What.COMPARE, What.HISTORY)


def _state(item: Item, asked: Asked) -> bool:
    # The state of charge says how full a battery is, and not whether it charges.
    level = {"charged_energy"} if "soc" in asked.query.metrics else set()
    return bool(set(STATES[item.value]) & (asked.measured - level))


def _operator(item: Item, asked: Asked) -> bool:
    return bool(asked.query.comparisons) or asked.query.what in (What.COMPARE, What.CELLS)


def _share(item: Item, asked: Asked) -> bool:
    query = asked.query
    if query.figure in ("self_consumption", "self_sufficiency"):
        return True
    return query.count and query.what in (What.WHICH, What.ATTENTION)


def _did(item: Item, asked: Asked) -> bool:
    """Did all sites report: whatever they did, an overview does not say it."""
    asks = any(i.kind == "intent" for i in asked.items)
    return asks or asked.query.what is not What.STATUS


def _when(item: Item, asked: Asked) -> bool:
    """A time: of an event, of what is to come, or of the highest and the lowest."""
    query = asked.query
    if query.group_by in PARTS_OF_TIME:
        return True
    if query.what is What.HISTORY and query.order in ("highest", "lowest"):
        added = all(METRICS[m].fleet == "sum" for m in query.metrics)
        return len(query.sites) == 1 or (added and query.order == "highest")
    when = (What.SINCE, What.TIMELINE, What.FORECAST, What.PORTFOLIO, What.SILENCES)
    return query.what in when


def _able(item: Item, asked: Asked) -> bool:
    """How high it can go is no reading, whether it can export no power."""
    if asked.has("state"):
        return False
    able = asked.measured & {"free_capacity", "stored_energy"}
    return bool(able) or not (asked.has("amount") and asked.query.what is What.VALUE)


def _lasts(item: Item, asked: Asked) -> bool:
    return asked.query.what is What.FORECAST and "soc" in asked.query.metrics


def _extremes(item: Item, asked: Asked) -> bool:
    """Highest and lowest of a period; now they are two orders."""
    return asked.has("period")


def _negation(item: Item, asked: Asked) -> bool:
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


def _origin(item: Item, asked: Asked) -> bool:
    """Charged from the grid: how much of one went into the other is not kept."""
    other = {m for m in asked.measured if m and m not in tables.ORIGINS[item.value]}
    flows = {name for names in STATES.values() for name in names}
    return not other & (flows | {*ENERGY, *ENERGY.values()})


def _modal(item: Item, asked: Asked) -> bool:
    able = asked.measured & {"free_capacity", "stored_energy"}
    return bool(able) or asked.query.what in tables.WORDS["modal"]


def _one_of(kind: str) -> Callable[[Item, Asked], bool]:
    return lambda item, asked: asked.query.what in tables.WORDS[kind]


_TESTS_OF: dict[str, Callable[[Item, Asked], bool]] = {
    **{kind: _one_of(kind) for kind in tables.WORDS if kind != "amount"},
    "amount": lambda item, asked: asked.query.with_cost or _one_of("amount")(item, asked),
    "intent": _intent,
    "metric": _metric,
    "cond": _condition,
    "comp": _part,
    "named": _name,
    "value": words.filter_word,
    "filt": words.filter_word,
    "order": _order,
    "lasts": _lasts,
    "when": _when,
    "extremes": _extremes,
    "daily": words.by_part_of_time,
    "days": words.on_days,
    "unsilenced": words.unsilenced,
    "at_once": words.at_once,
    "lead": words.then,
    "reason": words.reason,
    "but": words.but,
    "fall": words.moved,
    "ever": words.recently,
    "average": words.average,
    "future": words.future,
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
    "only": words.only,
    "or": words.or_word,
    "by": words.by,
    "begin": words.begin,
    "finish": words.begin,
    "now": words.now,
    "still": words.still,
    "whole": words.whole,
    "recently": words.recently,
    "reported": words.recently,
    "pron": words.place_in_answer,
    "severity": words.severity,
    "repeat": words.repeat,
    "group": words.group,
    "lasting": words.lasting,
    "energy": words.energy,
}
