"""Items sorted out: what is asked for, of which sites, by which numbers, over which period."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.ask.catalogue import METRICS
from exporter.ask.language.parts import ENERGY, FINE, STATES, GrammarError, Parts
from exporter.ask.language.tagging import Item, Tagged
from exporter.ask.language.text import sentence
from exporter.ask.query import LARGEST_LIMIT, Comparison, Condition, Filter, Lasting

_SCALE = {
    ("mV", "V"): 0.001,
    ("kWh", "kWh"): 1.0,
    ("MWh", "kWh"): 1000.0,
    ("W", "kW"): 0.001,
    ("kW", "W"): 1000.0,
    ("W", "W"): 1.0,
    ("points", ""): 1.0,
    ("%", ""): 1.0,
}
_FLOWS = {energy: (power, sign) for energy, power, sign in STATES.values()}
_MIRRORED = str.maketrans("<>", "><")
_BY_UNIT = {
    "°F": "temperature",
    "°C": "temperature",
    "Hz": "grid_frequency",
    "mV": "cell_spread",
    "points": "score",
}
_SELF = {
    "intent",
    "order",
    "metric",
    "cond",
    "comp",
    "group",
    "severity",
    "period",
    "named",
    "",
    "unit",
    "state",
    "refuse",
    "adj",
    "figure",
    "cause",
}

_NAMES = {"named", "value", "filt"}
# Words that may stand between a "not" and what it belongs to.
_SMALL = {"now", "past", "which", "all", "and", "what", "verb", "still", "by", "energy"}

_VERBS = {"charge", "charged", "discharge", "produce", "produced", "generate", "generated"}
_VERBS |= {"consume", "consumed", "use", "used", "yield", "make", "made", "laden", "geladen"}


class Sorter:
    """Takes items apart into :class:`Parts`; each item is used once."""

    def __init__(self, tagged: Tagged) -> None:
        self._tagged = tagged
        self._items = [i for i in tagged.items if i.kind not in ("", "site")]

    def said(self) -> Parts:
        """The words and intents, before anything is taken apart."""
        kinds = [i for i in self._tagged.items if i.kind not in _SELF]
        words = {i.kind for i in kinds} | {f"{i.kind}:{i.value}" for i in kinds}
        words |= {i.kind for i in self._tagged.items if i.kind == "comp"}
        # What is asked of the future is refused unless it is one of the two things that are known.
        words |= {f"{i.kind}:{i.value}" for i in self._items if i.kind in ("cond", "comp")}
        words |= {i.kind for i in self._items if i.kind == "cond"}
        cells = [i.at for i in self._items if (i.kind, i.value) == ("comp", "cells")]
        numbered = next((i for i in self._items if i.kind == "number" and i.at - 1 in cells), None)
        if numbered is not None:
            words.add("cell_number")
        return Parts(
            words=words,
            intents=set(self._tagged.values("intent")),
            orders=set(self._tagged.values("order")),
            refused=self._tagged.values("refuse"),
            periods=list(self._tagged.periods),
            metrics=self._tagged.values("metric"),
            figures=self._tagged.values("figure"),
            causes=self._tagged.values("cause"),
            cell=numbered.value if numbered is not None else None,
        )

    def parts(self) -> Parts:
        """What the sentence holds.

        Raises
        ------
        GrammarError
        """
        found = self.said()
        self._between()
        negated = self._negations()
        if self._than():
            found.words.discard("op")
        found.comparisons = self._comparisons()
        found.limit = self._limit()
        found.conditions = list(dict.fromkeys(self._conditions(negated)))
        found.lacking = self._take("lack")
        found.intents = set(self._take("intent"))
        found.figures = list(dict.fromkeys(self._take("figure")))
        found.causes = list(dict.fromkeys(self._take("cause")))
        found.metrics = list(dict.fromkeys(self._take("metric")))
        if self._by_metric():
            found.words.add("by_metric")
        found.not_states = {i.value for i in self._items if i.kind == "state" and i.at in negated}
        found.states = self._take("state")
        found.adjectives = self._adjectives()
        found.lasting = self._durations()
        found.severity = "critical" if self._take("severity") else None
        found.groups = self._take("group")
        found.units = self._take("unit")
        found.repeats = self._repeats()
        loose = self._take("number")
        found.loose = "" if found.cell is not None and len(loose) == 1 else next(iter(loose), "")
        found.attribute = self._loose_attribute(found.groups)
        found.parts = list(dict.fromkeys(self._take("comp")))
        found.filters = self._filters(negated)
        excluded = [i.value for i in self._tagged.items if i.kind == "named" and i.at in negated]
        found.filters += [Filter("site", site, negate=True) for site in dict.fromkeys(excluded)]
        found.sites = [site for site in self._tagged.sites if site not in excluded]
        found.any_of = self._tagged.has("or")
        return found

    def _take(self, kind: str) -> list[str]:
        found = [i.value for i in self._items if i.kind == kind]
        self._items = [i for i in self._items if i.kind != kind]
        return found

    def _negations(self) -> set[int]:
        """Places of the items that a ``not`` stands before."""
        negated: set[int] = set()
        lacking: list[Item] = []
        for place, item in enumerate(self._items):
            if item.kind != "neg" and not self._excepts(place):
                continue
            after = self._negated_by(item, self._items[place + 1 : place + 4])
            following = self._items[place + 1 : place + 2]
            verb = bool(following) and self._is_verb(following[0])
            left_out = item.value == "except" or verb
            if following and following[0].kind in ("metric", "comp") and not left_out:
                # No cell data, never report SOH: a value that is not there.
                lacking.append(following[0])
            elif after is None or (after.kind == "intent" and after.value != "attention"):
                raise GrammarError("it is not clear what 'not' belongs to")
            else:
                negated.add(after.at)
                negated |= self._joined_to(after)
        self._take("neg")
        self._items += [Item("lack", item.value, item.at) for item in lacking]
        self._items = [item for item in self._items if not any(item is i for i in lacking)]
        return negated

    def _negated_by(self, neg: Item, behind: list[Item]) -> Item | None:
        """What a ``not`` stands before; nothing but small words may lie between.

        "None of the sites in Spain" leaves out no place.
        """
        wanted = {"cond", "intent", "state"} | (set() if neg.value == "none" else _NAMES)
        for item in behind:
            if item.kind in wanted:
                return item
            if item.kind not in _SMALL:
                return None
        return None

    def _is_verb(self, item: Item) -> bool:
        """Whether an item is what a site does: what did not charge still tells its charge."""
        return sentence(self._tagged.text).tokens[item.at].word in _VERBS

    def _excepts(self, place: int) -> bool:
        """Whether a ``but`` leaves something out of all: every site but Alpha."""
        following = self._items[place + 1 : place + 2]
        named = bool(following) and following[0].kind in ("named", "value", "filt")
        everything = any(i.kind in ("all", "everywhere") for i in self._items[:place])
        return self._items[place].kind == "but" and named and everything

    def _joined_to(self, item: Item) -> set[int]:
        """Places of the sites or groups that follow one with ``and``: except Alpha and Beta."""
        groups = _NAMES
        found: set[int] = set()
        if item.kind not in groups:
            return found
        rest = self._items[self._items.index(item) + 1 :]
        while rest and rest[0].kind in {"and", "or", *groups}:
            if any(i.kind == "but" for i in rest[:2]):
                break
            if rest[0].kind in groups:
                found.add(rest[0].at)
            rest = rest[1:]
        return found

    def _conditions(self, negated: set[int]) -> Iterable[Condition]:
        found = []
        for item in self._items:
            if item.kind == "cond":
                opposite = item.value.startswith("!") != (item.at in negated)
                found.append(Condition(item.value.removeprefix("!"), opposite))
            elif item.kind == "intent" and item.value == "attention" and item.at in negated:
                found.append(FINE)
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
            metric = self._metric_near(place, number, unit)
            if (
                metric is None
                and unit is not None
                and not self._metric_of_unit(unit, number, self._items[place].value)
            ):
                metric = self._metric_near(place, number)
            state = next((i for i in self._items if i.kind == "state"), None)
            flows = unit is not None and unit.value in ("W", "kW", "kWh")
            if metric is None and state is not None and unit is not None and flows:
                found.append(self._state_comparison(place, state, number, unit))
                continue
            if metric is None and unit is not None:
                metric = self._metric_of_unit(unit, number, self._items[place].value)
            if metric is None and found and self._continues(place):
                # Below 30 or above 90: of the same metric.
                metric = Item("metric", found[-1].metric, number.at)
            if metric is None:
                raise GrammarError(
                    f"it is not clear what is {self._items[place].value} {number.number:g}; "
                    "name a metric, such as state of health"
                )
            made = _comparison(metric.value, self._items[place].value, number, unit)
            # Discharging with more than 20 A: the current of a battery that discharges is negative.
            out = metric.value == "current" and state is not None and state.value == "discharging"
            found.append(_mirrored(made) if out and made.value > 0 else made)
            used = {id(i) for i in (self._items[place], number, metric, unit) if i is not None}
            self._items = [i for i in self._items if id(i) not in used]

    def _continues(self, place: int) -> bool:
        """Whether ``and`` or ``or`` joins a comparison to the one before it."""
        return place > 0 and self._items[place - 1].kind in ("and", "or")

    def _metric_of_unit(self, unit: Item, number: Item, operator: str) -> Item | None:
        """The metric that a unit alone means; percent of a battery are its state of charge, volts
        of a cell those of the lowest or highest one."""
        parts = {i.value for i in self._items if i.kind == "comp"}
        parts |= {"cells" for i in self._items if (i.kind, i.value) == ("intent", "cell")}
        name = _BY_UNIT.get(unit.value)
        # Hours below 10 %, and what does not charge: the charge.
        moves = any(
            (i.kind == "state" and i.value.endswith("charging"))
            or i.kind in ("duration", "days")
            or (i.kind, i.value) == ("intent", "since")
            for i in self._items
        )
        if unit.value == "%" and ("battery" in parts or moves):
            name = "soc"
        elif unit.value == "V" and "cells" in parts:
            name = "cell_min" if operator.startswith("<") else "cell_max"
        return None if name is None else Item("metric", name, number.at)

    def _state_comparison(self, place: int, state: Item, number: Item, unit: Item) -> Comparison:
        """``discharging at more than 1 kW``: the power of the state, with its sign."""
        energy, metric, sign = STATES[state.value]
        operator = self._items[place]
        if unit.value == "kWh":
            metric, sign = energy, ">"
        made = _comparison(metric, operator.value, number, unit)
        used = {id(i) for i in (operator, state, number, unit)}
        self._items = [i for i in self._items if id(i) not in used]
        return made if sign == ">" else _mirrored(made)

    def _durations(self) -> list[Lasting]:
        """How long conditions must have held."""
        found = [Lasting(i.value, i.number) for i in self._items if i.kind == "lasting"]
        self._items = [i for i in self._items if i.kind != "lasting"]
        if len(found) > 1:
            raise GrammarError("one duration at a time, please")
        return found

    def _repeats(self) -> list[int]:
        """How often something happened: ``twice``, ``three times``."""
        found = [int(i.value) for i in self._items if i.kind == "repeat"]
        self._take("repeat")
        return found

    def _by_metric(self) -> bool:
        """``sites by score``: an order, not a value."""
        metrics = [i.at for i in self._tagged.items if i.kind == "metric"]
        by = [i.at for i in self._tagged.items if i.kind == "by"]
        return bool(metrics and min(metrics) - 1 in by and self._tagged.has("site"))

    def _than(self) -> bool:
        """``is Delta hotter than Gamma``: a comparison of sites or groups, not with a number."""
        named = [f.attribute for f in self._tagged.filters]
        groups = len(named) > len(set(named))
        numbers = any(i.kind == "number" for i in self._items)
        periods = len(self._tagged.periods) == 2
        if numbers or (len(self._tagged.sites) < 2 and not groups and not periods):
            return False
        ops = [i for i in self._items if i.kind == "op"]
        if not ops or not (periods or any(i.kind == "metric" for i in self._items)):
            return False
        self._items = [
            Item("intent", "compare", i.at) if i.kind == "op" else i for i in self._items
        ]
        return True

    def _between(self) -> None:
        """``between 50 and 70`` as at least 50 and at most 70."""
        place = next((n for n, i in enumerate(self._items) if i.kind == "between"), None)
        if place is None:
            return
        if any((i.kind, i.value) == ("intent", "compare") for i in self._items):
            # The difference between two sites.
            del self._items[place]
            return
        numbers = [i for i in self._items[place : place + 5] if i.kind == "number"]
        metric = self._metric_near(place, numbers[-1]) if len(numbers) == 2 else None
        if metric is None:
            raise GrammarError("between what? Say it as in 'SOC between 20 and 40 %'")
        at, high = self._items[place].at, numbers[1]
        self._items[place] = Item("op", ">=", at)
        where = self._items.index(high)
        self._items[where:where] = [Item("op", "<=", at), Item("metric", metric.value, at)]
        self._items.insert(place, Item("metric", metric.value, at))
        self._items = [i for i in self._items if i is not metric]

    def _metric_near(self, place: int, number: Item, unit: Item | None = None) -> Item | None:
        """The metric that a comparison is of; one that is never measured in its unit is not."""
        metrics = [
            i for i in self._items if i.kind == "metric" and (unit is None or _fits(i, unit))
        ]
        before = [i for i in metrics if any(i is j for j in self._items[: place + 1])]
        same = [i for i in metrics if i.at == self._items[place].at]
        after = [i for i in metrics if i.at > number.at]
        return next((found[0] for found in (same, before[-1:], after[:1]) if found), None)

    def _limit(self) -> int | None:
        """A number next to an order word, or before the word for sites."""
        words = [i for i in self._tagged.items if i.kind]
        for place, item in enumerate(words):
            if item.kind != "number" or not any(item is i for i in self._items):
                continue
            adjacent = words[max(0, place - 1) : place] + words[place + 1 : place + 2]
            near = words[max(0, place - 1) : place + 4]
            if any(i.kind in ("top", "first", "order", "site") for i in adjacent) or any(
                i.kind in ("top", "first", "order", "comp")
                or (i.kind, i.value) == ("intent", "attention")
                for i in near
            ):
                if item.number != int(item.number) or not 1 <= item.number <= LARGEST_LIMIT:
                    raise GrammarError(f"{item.value} sites cannot be listed")
                self._items = [i for i in self._items if i is not item]
                return int(item.number)
        return None

    def _adjectives(self) -> list[tuple[str, str]]:
        """``low`` or ``high``, each with the metric that is called that."""
        found = []
        metrics = [i for i in self._tagged.items if i.kind == "metric"]
        for item in [i for i in self._items if i.kind == "adj"]:
            nearest = min(
                metrics, key=lambda m: (abs(m.at - item.at), m.at < item.at), default=None
            )
            if nearest is None:
                raise GrammarError(f"it is not clear what is {item.value}; name a metric")
            found.append((item.value, nearest.value))
        self._take("adj")
        # All that is low before all that is high.
        return sorted(found, key=lambda pair: pair[0] != "low")

    def _loose_attribute(self, groups: list[str]) -> str:
        """``region`` without a region that is named with it, and not to group by."""
        named = {f.attribute for f in self._tagged.filters}
        return next((a for a in self._take("attr") if a not in named and a not in groups), "")


def _fits(metric: Item, unit: Item) -> bool:
    """Whether a metric may be compared in a unit."""
    of = METRICS[metric.value].unit
    known = {of, *(given for given, own in _SCALE if own == of)}
    known |= {"°F"} if of == "°C" else set()
    known |= {"kWh", "MWh"} if of == "W" else {"W", "kW"} if metric.value in _FLOWS else set()
    return unit.value in known


def _mirrored(made: Comparison) -> Comparison:
    return Comparison(made.metric, made.operator.translate(_MIRRORED), -made.value)


def _comparison(metric: str, operator: str, number: Item, unit: Item | None) -> Comparison:
    if unit is not None and unit.value in ("W", "kW") and metric in _FLOWS:
        # "Discharge faster than 3 kW": the power, with the sign of that direction.
        power, sign = _FLOWS[metric]
        made = _comparison(power, operator, number, unit)
        return made if sign == ">" else _mirrored(made)
    if unit is not None and unit.value in ("kWh", "MWh") and METRICS[metric].unit == "W":
        metric = ENERGY[metric]
    wanted, value = METRICS[metric].unit, number.number
    if unit is not None and unit.value != wanted:
        if (unit.value, wanted) == ("°F", "°C"):
            return Comparison(metric, operator, round((value - 32) / 1.8, 3))
        scale = _SCALE.get((unit.value, wanted))
        if scale is None:
            raise GrammarError(
                f"{METRICS[metric].label} is not measured in {unit.value}"
                + (f" but in {wanted}" if wanted else "")
            )
        value = round(value * scale, 9)
    return Comparison(metric, operator, value)
