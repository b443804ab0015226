"""Follow-ups: ``and in Spain?``, ``only high priority``, ``why is the first one so bad?``"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from exporter.ask.language.grammar import build, settle
from exporter.ask.language.slots import GrammarError, Parts
from exporter.ask.language.tagging import Tagged
from exporter.ask.query import Filter, Query, What

_OF_THE_FLEET = {What.ATTENTION, What.STATUS, What.OUTLIERS, What.COST, What.HELP, What.RANK}


@dataclass(frozen=True, slots=True)
class Context:
    """The question before and the sites of its answer, in order."""

    query: Query
    sites: tuple[str, ...]


def merge(
    parts: Parts, tagged: Tagged, context: Context, now: datetime, zone: tzinfo
) -> Query | None:
    """The query of a follow-up; None if the sentence is a question of its own.

    Raises
    ------
    GrammarError
    """
    pronouns = tagged.values("pron")
    if pronouns:
        parts = _resolve(parts, pronouns, context)
    if parts.says_what and not tagged.has("only"):
        return _with_intent(parts, pronouns, context, now, zone)
    leads = tagged.has("lead") or tagged.has("only") or tagged.has("and")
    whole = parts.sites or parts.metrics or parts.order or parts.group
    if whole and not leads and not pronouns and not _bare(tagged, context):
        return None
    if tagged.has("only") and parts.intents & {"attention"}:
        parts.intents.discard("attention")
    return _changed(context.query, parts, add=tagged.has("only"))


def _bare(tagged: Tagged, context: Context) -> bool:
    """Whether it is a fragment: nothing but names, periods, metrics and small words."""
    kinds = {i.kind for i in tagged.items}
    small = {"", "value", "filt", "named", "period", "metric", "number", "attr"}
    if context.query.what is What.RANK:
        small |= {"top", "order"}
    return kinds <= small


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
    parts: Parts, pronouns: list[str], context: Context, now: datetime, zone: tzinfo
) -> Query | None:
    if parts.intents == {"why"} and not parts.sites:
        if len(context.query.sites or context.sites) == 1:
            parts.sites = list(context.query.sites or context.sites)
            return build(parts, now, zone)
        raise GrammarError("one site at a time can be explained; say which one")
    alone = not (parts.sites or parts.filters or parts.tests or parts.period or parts.metrics)
    if parts.intents == {"cost"} and alone:
        return context.query.but(with_cost=True)
    if (
        parts.intents == {"count"}
        and alone
        and context.query.what
        in (
            What.WHICH,
            What.ATTENTION,
        )
    ):
        return context.query.but(count=True)
    if parts.intents == {"since"} and alone:
        old = context.query
        if old.sites or old.conditions:
            return Query(
                What.SINCE, sites=old.sites, filters=old.filters, conditions=old.conditions
            )
    if "compare" in parts.intents and len(parts.sites) == 1 and not pronouns:
        before = context.query.sites
        if len(before) == 1 and before[0] != parts.sites[0]:
            parts.sites.insert(0, before[0])
            return build(parts, now, zone)
    if pronouns:
        return build(parts, now, zone)
    return None


def _changed(old: Query, parts: Parts, *, add: bool) -> Query:
    """The question before with what the follow-up says put in its place."""
    settle(parts)
    changes: dict[str, object] = {}
    if parts.filters:
        changes["filters"] = _filters(old.filters, parts.filters, add=add)
        if old.sites and not add:
            changes["sites"] = ()
    if parts.sites:
        if old.what in _OF_THE_FLEET:
            return (
                Query(What.SITE, sites=tuple(parts.sites), period=parts.period)
                if len(parts.sites) == 1
                else Query(What.COMPARE, sites=tuple(parts.sites), metrics=tuple(parts.metrics))
            )
        keep = old.sites if old.what is What.COMPARE else ()
        changes["sites"] = tuple(dict.fromkeys((*keep, *parts.sites)))
    if parts.metrics:
        if old.what in (What.ATTENTION, What.STATUS, What.WHICH, What.SITE, What.EXPLAIN):
            what = What.VALUE if old.sites or parts.sites else What.RANK
            changes |= {"what": what, "metrics": tuple(parts.metrics), "conditions": ()}
        else:
            changes["metrics"] = tuple(parts.metrics)
    if parts.tests:
        changes["conditions"] = tuple(dict.fromkeys((*old.conditions, *parts.conditions)))
        changes["comparisons"] = tuple(dict.fromkeys((*old.comparisons, *parts.comparisons)))
        if old.what in (What.STATUS, What.ATTENTION) and not add:
            changes["what"] = What.WHICH
    if parts.period:
        changes["period"] = parts.period
        if old.what is What.VALUE:
            changes["what"] = What.HISTORY
        if old.what in (What.EXPLAIN, What.SINCE, What.OUTLIERS):
            raise GrammarError(f"{old.what.value} is answered for now only")
    for name in ("order", "limit", "severity"):
        if getattr(parts, name) is not None:
            changes[name] = getattr(parts, name)
    if parts.group:
        changes |= {"group_by": parts.group, "what": What.VALUE}
        changes["metrics"] = tuple(parts.metrics) or old.metrics
    if not changes:
        raise GrammarError("that changes nothing about the question before")
    return old.but(**changes)


def _filters(old: tuple[Filter, ...], new: list[Filter], *, add: bool) -> tuple[Filter, ...]:
    replaced = {f.attribute for f in new}
    kept = [f for f in old if f.attribute not in replaced] if not add else list(old)
    if add:
        kept = [f for f in kept if f.attribute not in replaced or f.negate]
    return tuple(dict.fromkeys((*kept, *new)))
