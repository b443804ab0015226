"""Items sorted out: what is asked for, of which sites, by which numbers, over which period."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.ask.catalogue import METRICS
from exporter.ask.language.tagging import Item, Tagged
from exporter.ask.query import LARGEST_LIMIT, Comparison, Condition, Filter, Period

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
_SCALE = {
    ("mV", "V"): 0.001,
    ("kW", "W"): 1000.0,
    ("W", "W"): 1.0,
    ("points", ""): 1.0,
    ("%", ""): 1.0,
}
_BY_UNIT = {"°C": "temperature", "Hz": "grid_frequency", "mV": "cell_spread", "points": "score"}
_STATE_ENERGIES = {
    "charging": "charged_energy",
    "discharging": "discharged_energy",
    "importing": "imported_energy",
    "exporting": "exported_energy",
    "producing": "pv_energy",
}
_STATES = {
    "charging": Comparison("battery_power", ">", 0),
    "discharging": Comparison("battery_power", "<", 0),
    "importing": Comparison("grid_power", ">", 0),
    "exporting": Comparison("grid_power", "<", 0),
    "producing": Comparison("pv_power", ">", 0),
}


_STATE_POWERS = {state: comparison.metric for state, comparison in _STATES.items()}
REASONS = {
    "age": "how old a battery or a site is, is not known; ask for the lowest state of health or "
    "the most charge cycles",
    "cell": "single cells are not told apart here; see 'fleetscope cells', the site on the page "
    "or the dashboard of cells",
    "money": "what energy costs or earns is told by the report (fleetscope report); here only what "
    "repairs may cost",
    "weather": "the weather is not known here",
    "carbon": "emissions are not known here",
    "people": "contacts and addresses are not told here; see the fleet file, or the dashboard of "
    "the site",
    "device": "makes, versions and serial numbers of devices are not known here",
    "contract": "contracts and warranties are not known here",
    "prices": "the price list is the file that FLEETSCOPE_PRICES names; ask what repairs will cost",
    "imbalance": "of imbalances only that of battery cells is judged",
    "limit": "what the limits are is told for each site: ask 'how is Alpha?' with --evidence, or "
    "see the fleet file",
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
    power: bool
    ranked: bool
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
        self._refuse()
        if len(self._tagged.periods) > 1:
            raise GrammarError("one period at a time, please")
        self._between()
        negated = self._negations()
        self._than()
        comparisons = self._comparisons()
        limit = self._limit()
        conditions = self._conditions(negated)
        orders = set(self._take("order"))
        metrics = list(dict.fromkeys(self._take("metric")))
        top = bool(self._take("top")) or (
            bool(self._take("first")) and not orders and not self._tagged.has("intent", "attention")
        )
        intents = set(self._take("intent"))
        if "history" in intents and orders & {"worst", "best"}:
            # What fell the most: how far, not which way.
            orders -= {"highest", "lowest"}
        if len(orders) > 1:
            if orders in ({"worst", "lowest"}, {"best", "highest"}):
                orders -= {"lowest", "highest"}
            else:
                raise GrammarError(f"{' and '.join(sorted(orders))} at once cannot be listed")
        order = next(iter(orders), None)
        if self._by_metric() and not intents - {"attention"} and order is None:
            intents.add("rank")
        if self._tagged.has("verb", "did") and self._tagged.has("verb", "charge"):
            # What did it charge: the energy, not the level.
            metrics = ["charged_energy" if m == "soc" else m for m in metrics]
        if top and order is None and "attention" not in intents:
            order = "highest" if metrics and metrics != ["score"] else "best"
        states = [i.value for i in self._items if i.kind == "state"]
        opposite = {i.value for i in self._items if i.kind == "state" and i.at in negated}
        self._take("state")
        if (
            (self._tagged.has("amount") or "mean" in intents)
            and states
            and not comparisons
            and not conditions
        ):
            # How much is it producing: the power itself, not whether there is any.
            names = _STATE_ENERGIES if self._tagged.periods else _STATE_POWERS
            metrics += [names[state] for state in states]
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
            power=self._tagged.has("amount", "power"),
            ranked=self._tagged.has("intent", "rank") or self._tagged.has("site"),
            past=self._tagged.has("past"),
            named_sites=self._tagged.has("site") or self._tagged.has("comp"),
            joined=self._tagged.has("and") or self._tagged.has("or"),
            than=self._tagged.has("than"),
        )

    def _refuse(self) -> None:
        """Turn down what is known not to be known, and words in a use that is not understood.

        Raises
        ------
        GrammarError
        """
        has = self._tagged.has
        for reason in self._tagged.values("refuse"):
            raise GrammarError(REASONS[reason])
        cells = [i.at for i in self._items if (i.kind, i.value) == ("comp", "cells")]
        if any(i.kind == "number" and i.at - 1 in cells for i in self._items):
            raise GrammarError(REASONS["cell"])
        if has("if"):
            raise GrammarError("what would be, if, is not known; only what is and what has been")
        since = has("intent", "since")
        if has("when") and not since:
            raise GrammarError(
                "when something is or was so is told only as in 'since when is Alpha offline?'; "
                "else ask for the history of a metric"
            )
        if has("begin") and not since:
            raise GrammarError("what began or ended is not told; ask since when something is so")
        if has("degree") and not has("intent", "history"):
            raise GrammarError("the fastest in what? Name a metric, such as scrape duration")
        if has("first") and not (
            has("order")
            or has("intent", "attention")
            or any(i.kind == "number" for i in self._items)
        ):
            raise GrammarError("the first by what? Say it as in 'worst site' or 'first 5 by score'")

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

    def _by_metric(self) -> bool:
        """``sites by score``: an order, not a value."""
        metrics = [i.at for i in self._tagged.items if i.kind == "metric"]
        by = [i.at for i in self._tagged.items if i.kind == "by"]
        return bool(metrics and min(metrics) - 1 in by and self._tagged.has("site"))

    def _than(self) -> None:
        """``is Delta hotter than Gamma``: a comparison of sites, not with a number."""
        if len(self._tagged.sites) < 2 or any(i.kind == "number" for i in self._items):
            return
        ops = [i for i in self._items if i.kind == "op"]
        if ops and any(i.kind == "metric" for i in self._items):
            self._items = [
                Item("intent", "compare", i.at) if i.kind == "op" else i for i in self._items
            ]

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
            if any(i.kind in ("top", "first", "order", "site") for i in beside) or any(
                i.kind in ("top", "first", "order", "comp")
                or (i.kind, i.value) == ("intent", "attention")
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
