"""What a sentence holds, sorted out, and the facts that rules ask of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.ask.display_units import DISPLAY_UNITS
from exporter.ask.figures import ENERGY as ENERGY_ACCOUNT
from exporter.ask.figures import FIGURES
from exporter.ask.language.rules import FORECASTS, REASONS
from exporter.ask.query import Comparison, Condition, Filter, Lasting, Period

FINE = Condition("needs_attention", negate=True)
STATUS_CONDITIONS = {"critical", "warning", "healthy", "needs_attention", "any_issue"}
LEVELS = {"soc", "soh", "score"}
PROBLEMS = {
    "pv_power": "low_pv",
    "soh": "low_soh",
    "temperature": "hot",
    "grid_frequency": "off_frequency",
    "grid_voltage": "off_voltage",
    "soc": "low_soc",
    "cell_spread": "cell_imbalance",
}
PARTS = {
    "battery": "soc soh temperature voltage current battery_power cycles battery_score cell_spread "
    "cell_min cell_max charged_energy discharged_energy low_soh hot cell_imbalance low_soc "
    "no_battery_data battery_problem device_alarm score implausible capacity stored_energy "
    "free_capacity",
    "grid": "grid_power grid_frequency grid_voltage grid_score imported_energy exported_energy "
    "no_grid off_frequency off_voltage unsteady_grid grid_problem",
    "solar": "pv_power pv_energy pv_performance solar_score low_pv",
    "connectivity": "response_time availability connectivity_score flaky connection_problem "
    "offline",
    "cells": "cell_spread cell_min cell_max cell_imbalance temperature voltage hot",
}
"""Metrics and conditions that are about a part of a site anyway."""
ENERGY = {
    "pv_power": "pv_energy",
    "load_power": "load_energy",
    "grid_power": "imported_energy",
    "battery_power": "charged_energy",
    "soc": "charged_energy",
}
# What a state is over time, its power now, and the sign of that.
STATES = {
    "charging": ("charged_energy", "battery_power", ">"),
    "discharging": ("discharged_energy", "battery_power", "<"),
    "importing": ("imported_energy", "grid_power", ">"),
    "exporting": ("exported_energy", "grid_power", "<"),
    "producing": ("pv_energy", "pv_power", ">"),
}
LIMITS_AHEAD = {"cell_spread", "soh", "temperature"}
FORESEEN = {"pv_power", "pv_energy", "load_power", "load_energy"}
"""What is forecast for the next hours (:mod:`exporter.ask.outlook_answers`)."""
PV_METRICS = {"pv_power", "pv_energy", "pv_performance"}
OPPOSITE = {">": "<=", "<": ">="}
SHARES = {"self_consumption", "self_sufficiency"}
AGAINST = {"than", "comparative", "compared", "against", "op"}
"""Words that set one period against another."""
_COUNTED = {
    *("cycles", "charged_energy", "discharged_energy", "capacity", "stored_energy"),
    "free_capacity",
}
_FILLED = (
    *("sites", "filters", "conditions", "comparisons", "tests", "metrics", "order", "severity"),
    *("period", "beside", "group", "parts", "intents", "lasting", "repeats", "limit"),
)


class GrammarError(Exception):
    """Words that are known but make no question; its text says what is missing or too much.

    ``final`` where what is asked for is not known at all.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(slots=True)
class Parts:
    """What a sentence holds, sorted out; ``words`` are the kinds of its items, also with value."""

    words: set[str] = field(default_factory=set)
    intents: set[str] = field(default_factory=set)
    metrics: list[str] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    orders: set[str] = field(default_factory=set)
    limit: int | None = None
    severity: str | None = None
    groups: list[str] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)
    periods: list[Period] = field(default_factory=list)
    beside: Period | None = None
    lasting: list[Lasting] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    not_states: set[str] = field(default_factory=set)
    adjectives: list[tuple[str, str]] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    loose: str = ""
    attribute: str = ""
    part: str = ""
    events: str | None = None
    cell: str | None = None
    any_of: bool = False
    count: bool = False
    with_cost: bool = False

    @property
    def order(self) -> str | None:
        """The order, None where the sentence has none."""
        return next(iter(sorted(self.orders)), None)

    @property
    def group(self) -> str | None:
        """The attribute to group by."""
        return self.groups[0] if self.groups else None

    @property
    def period(self) -> Period | None:
        """The period."""
        return self.periods[0] if self.periods else None

    def _own_units(self) -> set[str]:
        """Units of what is asked for, and those that it can be shown in."""
        own = {METRICS[metric].unit for metric in self.metrics}
        own |= {"%"} if SHARES & set(self.figures) else {"kWh"}
        own |= {"%"} if "pv_expected" in self.figures else set()
        own |= {"V", "mV"} if "cells" in self.parts or self.cell is not None else set()
        return own | {name for name, unit in DISPLAY_UNITS.items() if unit.of in own}

    @property
    def unit(self) -> str | None:
        """The unit that values are shown in, where it is not their own."""
        asked = {METRICS[metric].unit for metric in self.metrics}
        return next(
            (u for u in self.units if u in DISPLAY_UNITS and DISPLAY_UNITS[u].of in asked), None
        )

    @property
    def tests(self) -> bool:
        """Whether there is a condition or a comparison."""
        return bool(self.conditions or self.comparisons)

    @property
    def says_what(self) -> bool:
        """Whether it is a question of its own rather than a change to the one before."""
        return bool(self.intents - {"mean"} or self.tests)

    def facts(self) -> set[str]:
        """What holds of these parts, in the words of the rules."""
        found = self.words | self.intents | {name for name in _FILLED if getattr(self, name)}
        found |= {f"order:{order}" for order in self.orders}
        found |= {f"metric:{metric}" for metric in self.metrics}
        found |= {f"figure:{figure}" for figure in self.figures}
        found |= {f"cause:{cause}" for cause in self.causes}
        found |= {f"group:{group}" for group in self.groups}
        found |= {f"part:{part}" for part in self.parts if not self.part or part == self.part}
        found |= {name for name, holds in self._derived().items() if holds}
        return found

    def every_fact(self) -> set[str]:
        """Names of all facts that do not come from words."""
        return {
            *_FILLED,
            *self._derived(),
            "cell_number",
            "by_metric",
            "number",
            "ahead",
            "facts",
            "group:day",
        }

    def _derived(self) -> dict[str, object]:
        metrics, conditions = set(self.metrics), self.conditions
        names = {c.name for c in conditions}
        compared = {c.metric for c in self.comparisons}
        given = [f.attribute for f in self.filters if not f.negate]
        return {
            "asks": self.intents - {"attention"},
            "asks_more": self.intents - {"cost", "mean", "rank", "attention"},
            "plain": not self.intents - {"cost", "mean"},
            "measured": metrics - {"score"},
            "one_metric": len(self.metrics) == 1,
            "many_metrics": len(self.metrics) > 1,
            "one_site": len(self.sites) == 1,
            "many_sites": len(self.sites) > 1,
            "one_part": len(self.parts) == 1,
            "two_periods": len(self.periods) > 1,
            "against_period": len(self.periods) == 2
            and (AGAINST & self.words or "compare" in self.intents),
            "two_orders": len(self.orders) > 1,
            "two_groups": len(self.groups) > 1,
            "groups": len(given) > len(set(given)),
            "sites_word": self.words & {"site", "comp"},
            "excluding": any(f.negate for f in self.filters),
            "negated": any(c.negate for c in conditions),
            "fine": FINE in conditions,
            "went_offline": Condition("offline") in conditions,
            "status_condition": names & STATUS_CONDITIONS,
            "only_levels": metrics <= LEVELS,
            "no_problem_metric": metrics - set(PROBLEMS),
            "counted": metrics & _COUNTED,
            "adds_up": metrics
            and all(METRICS[m].fleet == "sum" and METRICS[m].over_time == "mean" for m in metrics),
            "power_metric": any(METRICS[m].unit in ("W", "kWh") for m in metrics),
            "power_anywhere": any(METRICS[m].unit in ("W", "kWh") for m in metrics | compared),
            "period_energy": self.periods and metrics & set(ENERGY.values()),
            "past_compared": any(METRICS[m].source == "past" for m in compared),
            "part_future": {"comp:cells", "cond:low_soc"} & self.words,
            "past_only": any(METRICS[m].source == "past" for m in metrics),
            "part_named": self.part
            and set(PARTS[self.part].split()) & (metrics | names | compared),
            "lack": self.lacking,
            "figure": self.figures or self.causes,
            "many_figures": len(self.figures) > 1,
            "energy_figure": any(
                f in FIGURES and FIGURES[f].of == ENERGY_ACCOUNT for f in self.figures
            ),
            "foreseen": metrics & FORESEEN,
            "limit_metric": metrics & LIMITS_AHEAD and "forecast" in self.intents,
            "cell_compared": compared and compared <= {"cell_min", "cell_max"},
            "of_pv": metrics & PV_METRICS or "solar" in self.parts,
            "state": self.states,
            "opposite_states": len(self.states) == 2
            and not self.not_states
            and len({STATES[state][1] for state in self.states}) == 1,
            "adjective": self.adjectives,
            "refuse": self.refused,
            "unit": set(self.units) - self._own_units(),
            "loose_number": self.loose,
            "loose_comparison": "op" in self.words and not self.comparisons,
            "loose_attribute": self.attribute,
            "attribute:protocol": self.attribute == "protocol",
        }

    def named(self) -> dict[str, str]:
        """What the text of a refusal may name."""
        return {
            "forecasts": FORECASTS,
            "refused": REASONS.get(next(iter(self.refused), ""), ""),
            "orders": " and ".join(sorted(self.orders)),
            "number": f"the number {self.loose}" if self.loose else "the comparison",
            "attribute": self.attribute.replace("_", " "),
            "part": self.part,
            "reading": METRICS[PARTS[self.part].split()[0]].label if self.part else "",
            "group": (self.group or "").replace("_", " "),
            "figure": next((FIGURES[f].label for f in self.figures if f in FIGURES), "this figure"),
            "metric": next(
                (METRICS[m].label for m in self.metrics if m not in PROBLEMS),
                METRICS[self.metrics[0]].label if self.metrics else "",
            ),
        }


def condition_metrics(conditions: list[Condition]) -> list[str] | None:
    """The metric of each condition; None where one has none or is negated."""
    found = [CONDITIONS[c.name].metric for c in conditions if not c.negate]
    return found if all(found) and len(found) == len(conditions) else None
