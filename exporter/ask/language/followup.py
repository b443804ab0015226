"""Follow-ups: ``and in Spain?``, ``only high priority``, ``why is the first one so bad?``"""

from __future__ import annotations

from dataclasses import dataclass, replace

from exporter.ask.language.grammar import Grammar
from exporter.ask.language.parts import GrammarError, Parts
from exporter.ask.language.tagging import Tagged
from exporter.ask.query import Filter, Query, What

_OF_THE_FLEET = {What.ATTENTION, What.STATUS, What.OUTLIERS, What.COST, What.HELP, What.RANK}
_BECOMES_VALUE = {What.ATTENTION, What.STATUS, What.WHICH, What.SITE, What.EXPLAIN}
_NOW_ONLY = {What.EXPLAIN, What.SINCE, What.OUTLIERS}
_SMALL = {"", "which", "value", "filt", "named", "period", "metric", "number", "attr"}


@dataclass(frozen=True, slots=True)
class Context:
    """The question before and the sites of its answer, in order."""

    query: Query
    sites: tuple[str, ...]


def merge(parts: Parts, tagged: Tagged, context: Context, grammar: Grammar) -> Query | None:
    """The query of a follow-up; None if the sentence is a question of its own.

    Raises
    ------
    GrammarError
    """
    pronouns = tagged.values("pron")
    if pronouns:
        parts = _resolve(parts, pronouns, context)
    if parts.says_what and not tagged.has("only"):
        return _with_intent(parts, pronouns, context, grammar)
    leads = tagged.has("lead") or tagged.has("only") or tagged.has("and")
    whole = parts.sites or parts.metrics or parts.order or parts.group
    if whole and not leads and not pronouns and not _is_fragment(tagged, context):
        return None
    if tagged.has("only"):
        parts.intents.discard("attention")
    grammar.settle(parts)
    return _changed(context.query, parts, add=tagged.has("only"))


def _is_fragment(tagged: Tagged, context: Context) -> bool:
    """Whether the sentence holds nothing but names, periods, metrics and small words."""
    in_order = {"top", "order"} if context.query.what is What.RANK else set()
    return {i.kind for i in tagged.items} <= _SMALL | in_order


def _resolve(parts: Parts, pronouns: list[str], context: Context) -> Parts:
    """Put the sites that a pronoun stands for into the question."""
    place = next((p for p in pronouns if p.lstrip("-").isdigit()), None)
    if place is not None:
        try:
            return replace(parts, sites=[*parts.sites, context.sites[int(place)]])
        except IndexError:
            raise GrammarError("the answer before has no such site") from None
    if "there" in pronouns:
        return replace(parts, filters=[*context.query.filters, *parts.filters])
    if not context.sites:
        raise GrammarError("it is not clear which site is meant; name it")
    if "why" in parts.intents and len(context.sites) > 1:
        raise GrammarError("one site at a time can be explained; say which one")
    sites = context.query.sites or context.sites
    return replace(parts, sites=[*sites, *(s for s in parts.sites if s not in sites)])


def _with_intent(
    parts: Parts, pronouns: list[str], context: Context, grammar: Grammar
) -> Query | None:
    """The question before asked in another way: why, how many, since when, at what cost."""
    old = context.query
    if parts.intents == {"why"} and not parts.sites:
        parts.sites = list(old.sites or context.sites)
        if len(parts.sites) != 1:
            raise GrammarError("one site at a time can be explained; say which one")
        return grammar.query(parts)
    if not (parts.sites or parts.filters or parts.tests or parts.period or parts.metrics):
        again = _again(old, parts.intents)
        if again is not None:
            return again
    others = [site for site in old.sites if site not in parts.sites]
    with_it = "compare" in parts.intents and not pronouns
    if with_it and len(old.sites) == len(others) == len(parts.sites) == 1:
        parts.sites.insert(0, others[0])
        return grammar.query(parts)
    return grammar.query(parts) if pronouns else None


def _again(old: Query, intents: set[str]) -> Query | None:
    """The same question with one intent put in its place; None where that makes no sense."""
    if intents == {"cost"}:
        return old.but(with_cost=True)
    if intents == {"count"} and old.what in (What.WHICH, What.ATTENTION):
        return old.but(count=True)
    if intents == {"since"} and (old.sites or old.conditions):
        return Query(What.SINCE, sites=old.sites, filters=old.filters, conditions=old.conditions)
    return None


def _changed(old: Query, parts: Parts, *, add: bool) -> Query:
    """The question before with what the follow-up says put in its place."""
    if parts.sites and old.what in _OF_THE_FLEET:
        one = len(parts.sites) == 1
        return Query(
            What.SITE if one else What.COMPARE,
            sites=tuple(parts.sites),
            metrics=() if one else tuple(parts.metrics),
            period=parts.period if one else None,
        )
    changes: dict[str, object] = {
        name: getattr(parts, name)
        for name in ("order", "limit", "severity", "period")
        if getattr(parts, name) is not None
    }
    if parts.filters:
        changes["filters"] = _filters(old.filters, parts.filters, add=add)
        if old.sites and not add:
            changes["sites"] = ()
    if parts.sites:
        keep = old.sites if old.what is What.COMPARE else ()
        changes["sites"] = tuple(dict.fromkeys((*keep, *parts.sites)))
    if parts.metrics:
        changes |= _metrics(old, parts)
    if parts.tests:
        changes["conditions"] = tuple(dict.fromkeys((*old.conditions, *parts.conditions)))
        changes["comparisons"] = tuple(dict.fromkeys((*old.comparisons, *parts.comparisons)))
        if old.what in (What.STATUS, What.ATTENTION) and not add:
            changes["what"] = What.WHICH
    if parts.period and old.what in _NOW_ONLY:
        raise GrammarError(f"{old.what.value} is answered for now only")
    if parts.period and old.what is What.VALUE:
        changes["what"] = What.HISTORY
    if parts.group:
        metrics = tuple(parts.metrics) or old.metrics
        changes |= {"group_by": parts.group, "what": What.VALUE, "metrics": metrics}
    if not changes:
        raise GrammarError("that changes nothing about the question before")
    return old.but(**changes)


def _metrics(old: Query, parts: Parts) -> dict[str, object]:
    if old.what not in _BECOMES_VALUE:
        return {"metrics": tuple(parts.metrics)}
    what = What.VALUE if old.sites or parts.sites else What.RANK
    return {"what": what, "metrics": tuple(parts.metrics), "conditions": ()}


def _filters(old: tuple[Filter, ...], new: list[Filter], *, add: bool) -> tuple[Filter, ...]:
    """The filters before, each attribute that is named again replaced."""
    replaced = {f.attribute for f in new}
    kept = [f for f in old if f.attribute not in replaced or (add and f.negate)]
    return tuple(dict.fromkeys((*kept, *new)))
