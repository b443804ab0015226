"""From items to a Query: ordered rules, each of which says what it needs and what it allows.

A word that no rule has a use for makes the sentence one that is not understood: better no answer
than one to another question.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from exporter.answers.catalogue import CONDITIONS, METRICS
from exporter.answers.language.tagging import Item, Tagged
from exporter.answers.query import (
    LARGEST_LIMIT,
    Comparison,
    Condition,
    Filter,
    Period,
    Query,
    QueryError,
    What,
)

USUAL_HISTORY_DAYS = 7

LOW = {
    "soh": "low_soh",
    "soc": "low_soc",
    "grid_frequency": "off_frequency",
    "grid_voltage": "off_voltage",
    "pv_power": "low_pv",
    "pv_energy": "low_pv",
    "pv_performance": "low_pv",
}
HIGH = {
    "temperature": "hot",
    "cell_spread": "cell_imbalance",
    "grid_frequency": "off_frequency",
    "grid_voltage": "off_voltage",
}
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
_SCALE = {
    ("mV", "V"): 0.001,
    ("kW", "W"): 1000.0,
    ("W", "W"): 1.0,
    ("points", ""): 1.0,
    ("%", ""): 1.0,
}
_BY_UNIT = {"°C": "temperature", "Hz": "grid_frequency", "mV": "cell_spread", "points": "score"}
_STATES = {
    "charging": Comparison("battery_power", ">", 0),
    "discharging": Comparison("battery_power", "<", 0),
    "importing": Comparison("grid_power", ">", 0),
    "exporting": Comparison("grid_power", "<", 0),
    "producing": Comparison("pv_power", ">", 0),
}
_ENERGY = {
    "pv_power": "pv_energy",
    "load_power": "load_energy",
    "grid_power": "imported_energy",
    "battery_power": "charged_energy",
    "soc": "charged_energy",
}


class GrammarError(Exception):
    """Words that are known but make no question; its text says what is missing or too much."""


@dataclass(slots=True)
class Parts:
    """What a sentence holds, sorted out."""

    intents: set[str]
    metrics: list[str]
    conditions: list[Condition]
    comparisons: list[Comparison]
    comps: list[str]
    order: str | None
    limit: int | None
    severity: str | None
    group: str | None
    filters: list[Filter]
    sites: list[str]
    period: Period | None
    any_of: bool
    everything: bool
    energy: bool
    past: bool
    named_sites: bool
    joined: bool
    than: bool

    @property
    def tests(self) -> bool:
        """Whether there is a condition or a comparison."""
        return bool(self.conditions or self.comparisons)

    @property
    def says_what(self) -> bool:
        """Whether it is a question of its own rather than a change to the one before."""
        return bool(self.intents - {"mean"} or self.tests)


class Sorter:
    """Takes items apart into :class:`Parts`; each item is used once."""

    def __init__(self, tagged: Tagged) -> None:
        self._tagged = tagged
        self._items = [i for i in tagged.items if i.kind not in ("", "site")]

    def parts(self) -> Parts:
        """What the sentence holds.

        Raises
        ------
        GrammarError
        """
        if self._tagged.has("future") and not self._tagged.has("intent", "cost"):
            raise GrammarError(
                "the future is not known; only what is and what has been can be told"
            )
        if self._tagged.has("command"):
            raise GrammarError("nothing can be changed from here; only questions are answered")
        if len(self._tagged.periods) > 1:
            raise GrammarError("one period at a time, please")
        self._between()
        negated = self._negations()
        comparisons = self._comparisons()
        limit = self._limit()
        conditions = self._conditions(negated)
        orders = set(self._take("order"))
        metrics = list(dict.fromkeys(self._take("metric")))
        top = bool(self._take("top"))
        intents = set(self._take("intent"))
        if len(orders) > 1:
            if orders in ({"worst", "lowest"}, {"best", "highest"}):
                orders -= {"lowest", "highest"}
            else:
                raise GrammarError(f"{' and '.join(sorted(orders))} at once cannot be listed")
        order = next(iter(orders), None)
        if top and order is None and "attention" not in intents:
            order = "highest" if metrics and metrics != ["score"] else "best"
        states = [i.value for i in self._items if i.kind == "state"]
        opposite = {i.value for i in self._items if i.kind == "state" and i.at in negated}
        self._take("state")
        if self._tagged.has("amount") and states and not comparisons and not conditions:
            # How much is it producing: the power itself, not whether there is any.
            metrics += [_STATES[state].metric for state in states]
        else:
            comparisons += [
                _opposite(_STATES[state]) if state in opposite else _STATES[state]
                for state in states
            ]
        lows, highs = self._adjectives()
        for word, conditions_of, direction in ((lows, LOW, "lowest"), (highs, HIGH, "highest")):
            for metric in word:
                if metric in conditions_of and not intents & {"rank", "history", "compare"}:
                    conditions.append(Condition(conditions_of[metric]))
                    metrics = [m for m in metrics if m != metric]
                elif order is None:
                    order = direction
        severity = "critical" if self._take("severity") else None
        groups = self._take("group")
        if len(groups) > 1:
            raise GrammarError("one grouping at a time, please")
        units = [unit for unit in self._take("unit") if unit != "kWh"]
        numbers = self._take("number")
        if numbers or (self._tagged.has("op") and not comparisons):
            what = f"the number {numbers[0]}" if numbers else "the comparison"
            raise GrammarError(
                f"it is not clear what {what} belongs to; say it as in 'SOH below 80 %' or 'top 5'"
            )
        if units and not comparisons:
            raise GrammarError("a unit without a number was not understood")
        self._attributes()
        return Parts(
            intents=intents,
            metrics=metrics,
            conditions=list(dict.fromkeys(conditions)),
            comparisons=comparisons,
            comps=list(dict.fromkeys(self._take("comp"))),
            order=order,
            limit=limit,
            severity=severity,
            group=groups[0] if groups else None,
            filters=self._filters(negated),
            sites=list(self._tagged.sites),
            period=self._tagged.periods[0] if self._tagged.periods else None,
            any_of=self._tagged.has("or"),
            everything=self._tagged.has("all"),
            energy=self._tagged.has("energy"),
            past=self._tagged.has("past"),
            named_sites=self._tagged.has("site") or self._tagged.has("comp"),
            joined=self._tagged.has("and") or self._tagged.has("or"),
            than=self._tagged.has("than"),
        )

    def _take(self, kind: str) -> list[str]:
        found = [i.value for i in self._items if i.kind == kind]
        self._items = [i for i in self._items if i.kind != kind]
        return found

    def _negations(self) -> set[int]:
        """Places of the items that a ``not`` stands before."""
        negated = set()
        for place, item in enumerate(self._items):
            if item.kind != "neg":
                continue
            after = next(
                (
                    i
                    for i in self._items[place + 1 : place + 4]
                    if i.kind in ("cond", "intent", "value", "filt", "named", "state")
                ),
                None,
            )
            if after is None or (after.kind == "intent" and after.value != "attention"):
                raise GrammarError("it is not clear what 'not' belongs to")
            if after.kind == "named":
                raise GrammarError("'not' before a site was not understood")
            negated.add(after.at)
        self._take("neg")
        return negated

    def _conditions(self, negated: set[int]) -> list[Condition]:
        found = []
        for item in self._items:
            if item.kind == "cond":
                opposite = item.value.startswith("!")
                if item.at in negated:
                    opposite = not opposite
                found.append(Condition(item.value.removeprefix("!"), opposite))
            elif item.kind == "intent" and item.value == "attention" and item.at in negated:
                found.append(Condition("needs_attention", negate=True))
        self._items = [
            i
            for i in self._items
            if i.kind != "cond" and not (i.kind == "intent" and i.at in negated)
        ]
        return found

    def _filters(self, negated: set[int]) -> list[Filter]:
        """Filters, those behind a ``not`` turned round."""
        places = {
            item.value: item.at for item in self._tagged.items if item.kind in ("value", "filt")
        }
        found = []
        for wanted in self._tagged.filters:
            at = places.get(str(wanted), places.get(f"{wanted.attribute}={wanted.value}"))
            found.append(Filter(wanted.attribute, wanted.value, at in negated))
        return list(dict.fromkeys(found))

    def _comparisons(self) -> list[Comparison]:
        found: list[Comparison] = []
        while True:
            place = next((n for n, i in enumerate(self._items) if i.kind == "op"), None)
            if place is None:
                return found
            after = self._items[place + 1 :]
            number = next((i for i in after[:2] if i.kind == "number"), None)
            if number is None:
                # "more than usual", "better than": no number follows.
                return found
            rest = [i for i in after if i.at > number.at]
            unit = rest[0] if rest and rest[0].kind == "unit" else None
            metric = self._metric_near(place, number)
            if metric is None and unit is not None and unit.value in _BY_UNIT:
                metric = Item("metric", _BY_UNIT[unit.value], number.at)
            if metric is None:
                raise GrammarError(
                    f"it is not clear what is {self._items[place].value} {number.number:g}; "
                    "name a metric, such as state of health"
                )
            found.append(_comparison(metric.value, self._items[place].value, number, unit))
            used = {id(i) for i in (self._items[place], number, metric, unit) if i is not None}
            self._items = [i for i in self._items if id(i) not in used]

    def _between(self) -> None:
        """``between 50 and 70`` as at least 50 and at most 70."""
        place = next((n for n, i in enumerate(self._items) if i.kind == "between"), None)
        if place is None:
            return
        numbers = [i for i in self._items[place : place + 5] if i.kind == "number"]
        metric = self._metric_near(place, numbers[-1]) if len(numbers) == 2 else None
        if metric is None:
            raise GrammarError("between what? Say it as in 'SOC between 20 and 40 %'")
        at, low, high = self._items[place].at, *numbers
        self._items[place] = Item("op", ">=", at)
        where = self._items.index(high)
        self._items[where:where] = [Item("op", "<=", at), Item("metric", metric.value, at)]
        self._items.insert(place, Item("metric", metric.value, at))
        self._items = [i for i in self._items if i is not metric]
        assert low in self._items

    def _metric_near(self, place: int, number: Item) -> Item | None:
        before = [i for i in self._items[: place + 1] if i.kind == "metric"]
        same = [i for i in self._items if i.kind == "metric" and i.at == self._items[place].at]
        after = [i for i in self._items if i.kind == "metric" and i.at > number.at]
        for candidates in (same, before[-1:], after[:1]):
            if candidates:
                return candidates[0]
        return None

    def _limit(self) -> int | None:
        """A number beside an order word, or before the word for sites."""
        words = [i for i in self._tagged.items if i.kind not in ("",)]
        for place, item in enumerate(words):
            if item.kind != "number" or not any(item is i for i in self._items):
                continue
            beside = words[max(0, place - 1) : place] + words[place + 1 : place + 2]
            near = words[max(0, place - 1) : place + 4]
            if any(i.kind in ("top", "order", "site") for i in beside) or any(
                i.kind in ("top", "order", "comp") or (i.kind, i.value) == ("intent", "attention")
                for i in near
                if i is not item
            ):
                if item.number != int(item.number) or not 1 <= item.number <= LARGEST_LIMIT:
                    raise GrammarError(f"{item.value} sites cannot be listed")
                self._items = [i for i in self._items if i is not item]
                return int(item.number)
        return None

    def _adjectives(self) -> tuple[list[str], list[str]]:
        """Metrics that are called low, and those that are called high."""
        found: dict[str, list[str]] = {"low": [], "high": []}
        metrics = [i for i in self._tagged.items if i.kind == "metric"]
        for item in [i for i in self._items if i.kind == "adj"]:
            nearest = min(
                metrics, key=lambda m: (abs(m.at - item.at), m.at < item.at), default=None
            )
            if nearest is None:
                raise GrammarError(f"it is not clear what is {item.value}; name a metric")
            found[item.value].append(nearest.value)
        self._take("adj")
        return found["low"], found["high"]

    def _attributes(self) -> None:
        """``region`` alone says nothing beyond the region that is named with it."""
        named = {f.attribute for f in self._tagged.filters}
        for attribute in self._take("attr"):
            if attribute not in named and not any(
                i.kind == "group" and i.value == attribute for i in self._tagged.items
            ):
                raise GrammarError(
                    f"no known {attribute.replace('_', ' ')} is named; to compare all of them, ask "
                    f"'by {attribute.replace('_', ' ')}'"
                )


def _comparison(metric: str, operator: str, number: Item, unit: Item | None) -> Comparison:
    wanted, value = METRICS[metric].unit, number.number
    if unit is not None and unit.value != wanted:
        scale = _SCALE.get((unit.value, wanted))
        if scale is None:
            raise GrammarError(
                f"{METRICS[metric].label} is not measured in {unit.value}"
                + (f" but in {wanted}" if wanted else "")
            )
        value = round(value * scale, 9)
    return Comparison(metric, operator, value)


def _opposite(comparison: Comparison) -> Comparison:
    operator = {">": "<=", "<": ">="}[comparison.operator]
    return Comparison(comparison.metric, operator, comparison.value)


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
    query = _choose(parts, now, zone)
    if parts.everything and query.limit is None and query.what in _LISTS:
        query = query.but(limit=LARGEST_LIMIT) if parts.sites == [] else query
    return query


_LISTS = {What.RANK, What.WHICH, What.ATTENTION}


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
        intents.discard("cost")
        if not intents and not parts.tests:
            return _only(_base(parts, What.COST), "sites", "filters", "period", "severity")
        return _choose(parts, now, zone).but(with_cost=True)
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
    if parts.tests:
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
    if len(parts.metrics) > 1:
        raise GrammarError("one metric at a time puts sites in order; name one")
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


def _attention(parts: Parts) -> Query:
    if parts.metrics:
        problems = {"pv_power": "low_pv", "soh": "low_soh", "temperature": "hot"}
        problems |= {"grid_frequency": "off_frequency", "grid_voltage": "off_voltage"}
        problems |= {"soc": "low_soc", "cell_spread": "cell_imbalance", "score": ""}
        if any(metric not in problems for metric in parts.metrics):
            raise GrammarError(f"problems with {METRICS[parts.metrics[0]].label} are not known")
        found = [problems[m] for m in parts.metrics if problems[m]]
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
        return _only(
            query.but(what=What.VALUE, metrics=("score",)), "filters", "metrics", "group_by"
        )
    return _only(query, "sites", "filters", "limit", "severity", "period")


def _which(parts: Parts) -> Query:
    if parts.metrics and Condition("offline") in parts.conditions:
        # "The score went down" is about the score, "the site went down" about the site.
        raise GrammarError("ask for the history of a metric, or which sites are offline")
    if parts.metrics == ["score"] or (
        parts.metrics and all(m in ("soc", "soh", "score") for m in parts.metrics)
    ):
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
    return _only(query, "sites", "filters", "metrics", "period")


def _site(parts: Parts) -> Query:
    if len(parts.sites) > 1 and not parts.joined:
        raise GrammarError("it is not clear what is asked about these sites together")
    if len(parts.sites) > 1:
        return _only(_base(parts, What.COMPARE), "sites", "metrics", "period")
    query = _base(parts, What.SITE).but(filters=())
    return _only(query, "sites", "period", "limit")


__all__ = ["GrammarError", "Parts", "QueryError", "Sorter", "build"]
