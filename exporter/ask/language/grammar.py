"""From parts to a Query: ordered rules, each of which says what it needs and what it allows.

What no rule has a use for makes the sentence one that is not understood: better no answer than one
to another question.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.ask.language.slots import REASONS, GrammarError, Parts
from exporter.ask.query import LARGEST_LIMIT, Condition, Period, Query, What

USUAL_HISTORY_DAYS = 7

_PROBLEM = {
    "battery": "battery_problem",
    "grid": "grid_problem",
    "solar": "low_pv",
    "connectivity": "connection_problem",
    "cells": "cell_imbalance",
}
_SCORE_OF = {
    "battery": "battery_score",
    "grid": "grid_score",
    "solar": "solar_score",
    "connectivity": "connectivity_score",
    "cells": "cell_spread",
}
_FAMILY = {
    "battery": "soc soh temperature voltage current battery_power cycles battery_score cell_spread "
    "cell_min cell_max charged_energy discharged_energy low_soh hot cell_imbalance low_soc "
    "no_battery_data battery_problem device_alarm score implausible",
    "grid": "grid_power grid_frequency grid_voltage grid_score imported_energy exported_energy "
    "no_grid off_frequency off_voltage unsteady_grid grid_problem",
    "solar": "pv_power pv_energy pv_performance solar_score low_pv",
    "connectivity": "connectivity_score availability response_time flaky connection_problem "
    "offline",
    "cells": "cell_spread cell_min cell_max cell_imbalance temperature voltage hot",
}
_ENERGY = {
    "pv_power": "pv_energy",
    "load_power": "load_energy",
    "grid_power": "imported_energy",
    "battery_power": "charged_energy",
    "soc": "charged_energy",
}


def settle(parts: Parts) -> None:
    """Turn words for a part of a site (battery, grid, …) into metrics or conditions.

    Raises
    ------
    GrammarError
        If such a word has no use.
    """
    named = {c.name for c in parts.conditions} | set(parts.metrics)
    named |= {c.metric for c in parts.comparisons}
    for comp in list(parts.comps):
        if named & set(_FAMILY[comp].split()):
            continue
        if parts.intents & {"attention", "why"} and not parts.conditions:
            if "why" in parts.intents:
                continue
            parts.conditions.append(Condition(_PROBLEM[comp]))
            parts.intents.discard("attention")
        elif parts.order or parts.intents & {"rank", "compare", "history", "status", "mean"}:
            parts.metrics.append(_SCORE_OF[comp])
            parts.intents.discard("status")
        elif parts.conditions and any(
            c.name in ("critical", "warning", "healthy", "needs_attention", "any_issue")
            for c in parts.conditions
        ):
            raise GrammarError(f"only a site has such a state, not its {comp}")
        elif comp == "battery" and (parts.tests or parts.group or "count" in parts.intents):
            continue
        elif parts.sites and not parts.tests and not parts.intents:
            parts.metrics.append(_SCORE_OF[comp])
        elif "outliers" in parts.intents or "cost" in parts.intents:
            continue
        else:
            raise GrammarError(f"it is not clear what is asked about the {comp}")
    if "history" in parts.intents and parts.comps == ["cells"] and not parts.metrics:
        parts.metrics.append("cell_spread")


def build(parts: Parts, now: datetime, zone: tzinfo) -> Query:
    """The one query that the parts are.

    Raises
    ------
    GrammarError
        If they are none.
    QueryError
    """
    settle(parts)
    if parts.past and parts.period is None and not parts.intents & {"why", "since", "cost"}:
        raise GrammarError(
            "that is about the past; say over which period, such as this week or since Monday"
        )
    if parts.power and not any(
        METRICS[m].unit in ("W", "kWh")
        for m in (*parts.metrics, *(c.metric for c in parts.comparisons))
    ):
        raise GrammarError("which power? PV power, battery power, grid power, or consumption")
    query = _choose(parts, now, zone)
    if parts.everything and query.limit is None and query.what in _LISTS:
        query = query.but(limit=LARGEST_LIMIT) if parts.sites == [] else query
    return query


_LISTS = {What.RANK, What.WHICH, What.ATTENTION}
_FINE = Condition("needs_attention", negate=True)


def _base(parts: Parts, what: What) -> Query:
    return Query(
        what=what,
        sites=tuple(parts.sites),
        filters=tuple(parts.filters),
        conditions=tuple(parts.conditions),
        comparisons=tuple(parts.comparisons),
        any_of=parts.any_of and len(parts.conditions) + len(parts.comparisons) > 1,
        metrics=tuple(parts.metrics),
        order=parts.order,
        limit=parts.limit,
        severity=parts.severity,
        period=parts.period,
        with_cost=False,
        group_by=parts.group,
    )


def _choose(parts: Parts, now: datetime, zone: tzinfo) -> Query:
    intents = parts.intents
    cost = "cost" in intents
    if cost:
        # A total of costs is what they are told as.
        intents -= {"cost", "mean"}
        if (
            parts.power
            or parts.energy
            or any(METRICS[m].unit in ("kWh", "W") for m in parts.metrics)
        ):
            raise GrammarError(REASONS["money"])
        if parts.comps and not parts.tests and not intents and not parts.sites:
            raise GrammarError(
                "what a part costs is in the price list; ask what repairs cost, such as "
                "'what do hot batteries cost?'"
            )
        if not intents and not parts.tests and not parts.metrics:
            if parts.period:
                raise GrammarError("costs are told of what is wrong now; ask without a period")
            return _only(_base(parts, What.COST), "sites", "filters", "severity")
        if parts.group:
            raise GrammarError("costs are told by site, not by " + parts.group.replace("_", " "))
        return _choose(parts, now, zone).but(with_cost=True)
    if parts.metrics and _FINE in parts.conditions and not (intents or parts.named_sites):
        # "Is the temperature all right at Delta?" is about its temperature, not about what is fine.
        parts.conditions.remove(_FINE)
        return _attention(parts)
    if "help" in intents:
        if parts.tests or parts.sites or parts.filters or parts.metrics:
            raise GrammarError("it is not clear what help is wanted")
        return Query(What.HELP)
    if "why" in intents:
        return _why(parts)
    if parts.than:
        # More problems in Spain than in Germany: the two beside each other.
        intents -= {"attention", "count"}
        parts.order = None
        if parts.tests or parts.severity:
            raise GrammarError("only metrics and the need of attention can be compared")
        return _compare(parts)
    if "since" in intents:
        return _since(parts)
    if "outliers" in intents:
        found = [CONDITIONS[c.name].metric for c in parts.conditions if not c.negate]
        if all(found) and len(found) == len(parts.conditions):
            parts.metrics, parts.conditions = [*parts.metrics, *found], []
        query = _base(parts, What.OUTLIERS).but(order=None, severity=None)
        return _only(query, "sites", "filters", "metrics", "limit", "period")
    if "compare" in intents:
        return _compare(parts)
    if "history" in intents:
        return _history(parts, now, zone)
    if "count" in intents:
        return _count(parts)
    if "rank" in intents and not parts.tests:
        return _rank(parts)
    if "attention" in intents:
        return _attention(parts)
    if parts.tests and not ("mean" in intents and not parts.metrics):
        return _which(parts)
    if parts.severity:
        return _attention(parts)
    if parts.group:
        # Groups come worst first, as what is asked for by "which region is worst".
        query = _base(parts, What.VALUE).but(order=None)
        return _only(query, "filters", "metrics", "group_by", "period")
    if parts.order:
        return _rank(parts)
    if parts.metrics:
        return _value(parts, now, zone)
    if "status" in intents or parts.everything:
        if parts.sites:
            return _site(parts)
        return _only(_base(parts, What.STATUS), "filters", "period")
    if "mean" in intents:
        if parts.tests:
            raise GrammarError("the mean of what? Name a metric, such as state of health")
        return _only(
            _base(parts, What.VALUE).but(metrics=("score",)),
            "filters",
            "metrics",
            "period",
            "sites",
        )
    if parts.sites:
        return _site(parts)
    if parts.filters and parts.named_sites and not parts.period:
        return _only(_base(parts, What.WHICH), "filters", "limit")
    if parts.filters and not parts.period:
        return _only(_base(parts, What.STATUS), "filters")
    raise GrammarError("that is no question that can be answered")


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
)


def _only(query: Query, *allowed: str) -> Query:
    """The query, if it holds nothing beyond what its kind has a use for."""
    extra = [name for name in _FIELDS if name not in allowed and getattr(query, name)]
    if extra:
        raise GrammarError(
            f"{extra[0].replace('_', ' ')} does not go with {query.what.value} in one question"
        )
    return query


def _why(parts: Parts) -> Query:
    if len(parts.sites) != 1:
        raise GrammarError(
            "one site at a time can be explained; name one, such as 'why is Alpha critical?'"
        )
    if parts.period:
        raise GrammarError("an explanation is given for now only; ask it without a period")
    parts.comparisons.clear()
    query = _base(parts, What.EXPLAIN).but(metrics=(), order=None, severity=None, any_of=False)
    return _only(query.but(filters=()), "sites", "conditions")


def _since(parts: Parts) -> Query:
    if not parts.sites and not parts.conditions and not parts.filters:
        raise GrammarError("name a site or a condition, such as 'since when is Alpha offline?'")
    if parts.period:
        raise GrammarError("since when is answered for now only; ask it without a period")
    if any(c.negate for c in parts.conditions):
        raise GrammarError("since when something is not so is not kept; ask since when it is")
    query = _base(parts, What.SINCE).but(severity=None, metrics=())
    if parts.metrics and not parts.conditions:
        raise GrammarError("since when a metric has a value is not kept; ask for its history")
    return _only(query, "sites", "filters", "conditions", "limit")


def _compare(parts: Parts) -> Query:
    query = _base(parts, What.COMPARE).but(order=None, severity=None)
    if parts.group:
        return _only(query, "filters", "metrics", "group_by")
    if len(parts.sites) >= 2:
        return _only(query, "sites", "metrics", "period")
    groups = [f for f in parts.filters if not f.negate]
    attributes = [f.attribute for f in groups]
    several = next((a for a in attributes if attributes.count(a) >= 2), None)
    if several and not parts.sites:
        return _only(query.but(group_by=several), "filters", "metrics", "group_by")
    if parts.sites or not parts.metrics:
        raise GrammarError("a comparison needs two sites or two groups, such as Alpha and Beta")
    return _rank(parts)


def _history(parts: Parts, now: datetime, zone: tzinfo) -> Query:
    metrics = parts.metrics or ["score"]
    if len(metrics) > 1 and "score" in metrics:
        metrics = [m for m in metrics if m != "score"]
    if len(metrics) > 1:
        raise GrammarError("the history of one metric at a time, please")
    period = parts.period or _usual(now, zone)
    if parts.conditions == [Condition("low_soh")] and not parts.metrics:
        metrics, parts.conditions = ["soh"], []
    query = _base(parts, What.HISTORY).but(metrics=tuple(metrics), period=period, severity=None)
    return _only(query, "sites", "filters", "metrics", "order", "limit", "period")


def _usual(now: datetime, zone: tzinfo) -> Period:
    local = now.astimezone(zone)
    return Period(local - timedelta(days=USUAL_HISTORY_DAYS), local, "the last 7 days")


def _count(parts: Parts) -> Query:
    if parts.metrics and not parts.tests:
        metrics = parts.metrics
        if set(metrics) & {"cycles", "charged_energy", "discharged_energy"} or parts.energy:
            return _only(_base(parts, What.VALUE), "sites", "filters", "metrics", "period")
        raise GrammarError("how many sites have what? Add a condition, such as SOH below 80 %")
    if parts.group and not parts.tests and "attention" not in parts.intents:
        return _only(_base(parts, What.VALUE), "filters", "group_by")
    if "attention" in parts.intents and not parts.tests:
        query = _attention(parts)
    elif parts.tests:
        query = _which(parts)
    else:
        query = _only(_base(parts, What.WHICH), "filters", "period")
        if not parts.named_sites and not parts.filters:
            raise GrammarError("how many of what? Such as 'how many sites are offline?'")
        if query.period:
            raise GrammarError("how many sites had what in that time? Add a condition")
    return query.but(count=True)


def _rank(parts: Parts) -> Query:
    if len(parts.metrics) > 1:
        parts.metrics = [m for m in parts.metrics if m != "score"]
    if parts.energy or (parts.period and set(parts.metrics) & set(_ENERGY.values())):
        parts.metrics = list(dict.fromkeys(_ENERGY.get(m, m) for m in parts.metrics))
    if len(parts.metrics) > 1:
        raise GrammarError("one metric at a time puts sites in order; name one")
    if parts.group:
        # Groups come worst first.
        query = _base(parts, What.VALUE).but(order=None, severity=None)
        return _only(query, "filters", "metrics", "group_by")
    if len(parts.sites) == 1:
        return _place(parts)
    if parts.order in ("highest", "lowest") and not (parts.metrics or parts.ranked):
        raise GrammarError(f"the {parts.order} of what? Name a metric, such as state of charge")
    query = _base(parts, What.RANK).but(severity=None)
    return _only(
        query,
        "sites",
        "filters",
        "metrics",
        "order",
        "limit",
        "period",
        "conditions",
        "comparisons",
    )


def _place(parts: Parts) -> Query:
    """One site in an order: its extremes, or its place among all."""
    if "rank" in parts.intents or not parts.metrics:
        if parts.metrics and parts.metrics != ["score"]:
            raise GrammarError(
                "the place of one site is told by score only; list all by "
                f"{METRICS[parts.metrics[0]].label} instead"
            )
        return _only(
            _base(parts, What.SITE).but(metrics=(), filters=()), "sites", "order", "period"
        )
    what = What.HISTORY if parts.period else What.VALUE
    return _only(_base(parts, what).but(order=None), "sites", "filters", "metrics", "period")


def _attention(parts: Parts) -> Query:
    if parts.metrics:
        problems = {"pv_power": "low_pv", "soh": "low_soh", "temperature": "hot"}
        problems |= {"grid_frequency": "off_frequency", "grid_voltage": "off_voltage"}
        problems |= {"soc": "low_soc", "cell_spread": "cell_imbalance"}
        if any(metric not in problems for metric in parts.metrics):
            raise GrammarError(f"problems with {METRICS[parts.metrics[0]].label} are not known")
        found = [problems[m] for m in parts.metrics]
        parts.metrics = []
        parts.conditions += [Condition(name) for name in found]
    if parts.tests:
        return _which(parts)
    if parts.sites and not parts.period and len(parts.sites) > 1:
        return _only(_base(parts, What.ATTENTION).but(order=None), "sites", "filters", "severity")
    query = _base(parts, What.ATTENTION)
    if parts.order in ("worst", "highest"):
        query = query.but(order=None)
    if parts.group:
        return _only(query, "filters", "group_by", "severity")
    return _only(query, "sites", "filters", "limit", "severity", "period")


def _which(parts: Parts) -> Query:
    if parts.metrics and Condition("offline") in parts.conditions:
        # "The score went down" is about the score, "the site went down" about the site.
        raise GrammarError("ask for the history of a metric, or which sites are offline")
    about_a_value = "mean" in parts.intents or _FINE in parts.conditions
    if all(m in ("soc", "soh", "score") for m in parts.metrics) and not about_a_value:
        parts.metrics = []
    query = _base(parts, What.WHICH)
    if parts.severity:
        raise GrammarError("a severity does not go with a condition in one question")
    if parts.order or len(parts.metrics) == 1:
        if parts.order is None:
            return _only(
                query.but(what=What.VALUE),
                "sites",
                "filters",
                "conditions",
                "comparisons",
                "metrics",
            )
        if parts.order in ("worst", "best", "highest", "lowest") and not parts.period:
            return _rank(parts)
    if parts.group:
        return _only(
            query.but(what=What.VALUE),
            "filters",
            "conditions",
            "comparisons",
            "group_by",
        )
    return _only(query, "sites", "filters", "conditions", "comparisons", "limit", "period")


def _value(parts: Parts, now: datetime, zone: tzinfo) -> Query:
    if len(parts.metrics) > 1 and "score" in parts.metrics:
        parts.metrics = [m for m in parts.metrics if m != "score"]
    if parts.period or parts.energy:
        parts.metrics = list(
            dict.fromkeys(
                _ENERGY.get(m, m) if parts.energy or METRICS[m].fleet == "sum" else m
                for m in parts.metrics
            )
        )
    query = _base(parts, What.VALUE)
    known_over_time_only = any(METRICS[m].source == "past" for m in query.metrics)
    if known_over_time_only and query.period is None:
        start = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        end = now.astimezone(zone)
        if query.metrics == ("availability",) or end - start < timedelta(hours=1):
            query = query.but(period=_usual(now, zone))
        else:
            query = query.but(period=Period(start, end, "today"))
    if query.period is not None:
        query = query.but(what=What.HISTORY)
    elif len(parts.sites) > 1 and not parts.intents:
        query = query.but(what=What.COMPARE)
    return _only(query, "sites", "filters", "metrics", "period")


def _site(parts: Parts) -> Query:
    if len(parts.sites) > 1 and not parts.joined:
        raise GrammarError("it is not clear what is asked about these sites together")
    if len(parts.sites) > 1:
        return _only(_base(parts, What.COMPARE), "sites", "metrics", "period")
    query = _base(parts, What.SITE).but(filters=())
    return _only(query, "sites", "period", "limit")
