"""The changes that rules make by name; each takes the parts, the time now and the asker's zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.ask.figures import CAUSES_OF
from exporter.ask.language.parts import (
    ENERGY,
    OPPOSITE,
    PROBLEMS,
    STATES,
    GrammarError,
    Parts,
    condition_metrics,
)
from exporter.ask.periods.calendar import Calendar
from exporter.ask.query import Comparison, Condition, Lasting, Period

USUAL_HISTORY_DAYS = 7
_DAY_WORDS = {
    *("today", "yesterday", "last", "past", "this", "since", "ago"),
    *("heute", "gestern", "letzte", "letzten", "seit", "vor"),
}
_LOW = {
    "soh": "low_soh",
    "soc": "low_soc",
    "grid_frequency": "off_frequency",
    "grid_voltage": "off_voltage",
    "pv_power": "low_pv",
    "pv_energy": "low_pv",
    "pv_performance": "low_pv",
}
_HIGH = {
    "temperature": "hot",
    "cell_spread": "cell_imbalance",
    "grid_frequency": "off_frequency",
    "grid_voltage": "off_voltage",
}
_TURNED = {"highest": "lowest", "lowest": "highest"}
_PART = {
    "battery": ("battery_problem", "battery_score"),
    "grid": ("grid_problem", "grid_score"),
    "solar": ("low_pv", "solar_score"),
    "connectivity": ("connection_problem", "connectivity_score"),
    "cells": ("cell_imbalance", "cell_spread"),
}
Change = Callable[[Parts, datetime, tzinfo], None]


def last_seven_days(parts: Parts, now: datetime, zone: tzinfo) -> None:
    """The usual period of a history."""
    local = now.astimezone(zone)
    parts.periods = [Period(local - timedelta(days=USUAL_HISTORY_DAYS), local, "the last 7 days")]


def last_day(parts: Parts, now: datetime, zone: tzinfo) -> None:
    """The last 24 hours, where nothing else is said."""
    if not parts.periods:
        local = now.astimezone(zone)
        parts.periods = [Period(local - timedelta(days=1), local, "the last 24 hours")]


def empty_to_forecast(parts: Parts, *_: Any) -> None:
    """When a battery is empty, of the sites that the other conditions name."""
    parts.conditions = [c for c in parts.conditions if c != Condition("low_soc")]
    parts.metrics = ["soc", *(m for m in parts.metrics if m != "soc")]


def today_or_seven_days(parts: Parts, now: datetime, zone: tzinfo) -> None:
    """Today so far, or the last seven days where today is too short to say much."""
    local = now.astimezone(zone)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    compared = [c.metric for c in parts.comparisons]
    if "availability" in (*parts.metrics, *compared) or local - start < timedelta(hours=1):
        last_seven_days(parts, now, zone)
    else:
        parts.periods = [Period(start, local, "today")]


def _mapped(parts: Parts, which: Callable[[str], bool]) -> None:
    parts.metrics = list(dict.fromkeys(ENERGY.get(m, m) if which(m) else m for m in parts.metrics))


def metrics_to_energy(parts: Parts, *_: Any) -> None:
    """Energies in place of powers."""
    _mapped(parts, lambda m: True)


def sums_to_energy(parts: Parts, *_: Any) -> None:
    """Energies in place of the powers that add up over a fleet."""
    _mapped(parts, lambda m: METRICS[m].fleet == "sum")


def level_to_energy(parts: Parts, *_: Any) -> None:
    """What was charged in place of the state of charge."""
    _mapped(parts, lambda m: m == "soc")


def states_to_energies(parts: Parts, *_: Any) -> None:
    """The energy that flowed."""
    parts.metrics += [STATES[state][0] for state in parts.states]
    parts.states = []


def states_to_powers(parts: Parts, *_: Any) -> None:
    """The power that flows."""
    parts.metrics += dict.fromkeys(STATES[state][1] for state in parts.states)
    parts.states = []


def states_to_order(parts: Parts, *_: Any) -> None:
    """Sites in the order of the power that flows, by its sign."""
    if len(parts.states) != 1 or parts.not_states:
        raise GrammarError("the most of what? Name one direction, such as 'who imports the most?'")
    (state,) = parts.states
    if STATES[state][2] == "<":
        parts.orders = {_TURNED.get(order, order) for order in parts.orders}
    states_to_powers(parts)


def states_to_tests(parts: Parts, *_: Any) -> None:
    """Whether the power flows that way."""
    for state in parts.states:
        metric, sign = STATES[state][1:]
        if state in parts.not_states and parts.periods:
            # Nothing in all that time: no energy, rather than a moment without power.
            parts.comparisons.append(Comparison(STATES[state][0], "<=", 0))
            continue
        operator = OPPOSITE[sign] if state in parts.not_states else sign
        parts.comparisons.append(Comparison(metric, operator, 0))
    parts.states = []


def adjectives_to_conditions(parts: Parts, *_: Any) -> None:
    """``low SOH`` as the issue that it is, or as an order where it is none."""
    for word, metric in parts.adjectives:
        kinds, direction = (_LOW, "lowest") if word == "low" else (_HIGH, "highest")
        if metric in kinds and not parts.intents & {"rank", "history", "compare"}:
            parts.conditions.append(Condition(kinds[metric]))
            parts.metrics = [m for m in parts.metrics if m != metric]
        elif not parts.orders:
            parts.orders = {direction}
    parts.conditions = list(dict.fromkeys(parts.conditions))


_ABSENT_PART = {
    "battery": "no_battery_data",
    "cells": "no_cell_spread",
    "grid": "no_grid_frequency",
    "solar": "no_pv_power",
    "connectivity": "offline",
}


def lacking_to_conditions(parts: Parts, *_: Any) -> None:
    """``no SOH``, ``no cell data``: sites without such a value."""
    for lacking in parts.lacking:
        name = _ABSENT_PART.get(lacking, f"no_{lacking}")
        if name not in CONDITIONS:
            raise GrammarError(f"whether {METRICS[lacking].label} is missing is not known")
        parts.conditions.append(Condition(name))
    parts.lacking = []


def part_to_condition(parts: Parts, *_: Any) -> None:
    """A problem with the part."""
    parts.conditions.append(Condition(_PART[parts.part][0]))


def part_to_metric(parts: Parts, *_: Any) -> None:
    """The score of the part."""
    parts.metrics.append(_PART[parts.part][1])


def conditions_to_metrics(parts: Parts, *_: Any) -> None:
    """``unusually hot``: the metric in which a site is unusual."""
    metrics = condition_metrics(parts.conditions)
    if metrics is not None:
        parts.metrics, parts.conditions = [*parts.metrics, *metrics], []


def compared_to_metrics(parts: Parts, *_: Any) -> None:
    """Cells more than 50 mV apart, the biggest first: in the order of what is compared."""
    parts.metrics = list(dict.fromkeys(c.metric for c in parts.comparisons))


def metrics_to_problems(parts: Parts, *_: Any) -> None:
    """The issue that a metric has."""
    parts.conditions += [Condition(PROBLEMS[m]) for m in parts.metrics]
    parts.metrics = []


def group_of_filters(parts: Parts, *_: Any) -> None:
    """Group by the attribute of which several values are named."""
    given = [f.attribute for f in parts.filters if not f.negate]
    parts.groups = [next(a for a in given if given.count(a) > 1)]


def needing_attention(parts: Parts, *_: Any) -> None:
    """Only sites that need attention."""
    parts.conditions.append(Condition("needs_attention"))


def only_first(parts: Parts, *_: Any) -> None:
    """The first alone, where no number is given."""
    parts.limit = parts.limit or 1


def count(parts: Parts, *_: Any) -> None:
    """How many."""
    parts.count = True


def with_cost(parts: Parts, *_: Any) -> None:
    """And what it costs."""
    parts.with_cost = True


def settle_figure(parts: Parts, *_: Any) -> None:
    """What was lost: PV energy or revenue, by the cause or by what else is said.

    Raises
    ------
    GrammarError
        If it may be either, or no such cause is known of it.
    """
    solar = bool(parts.facts() & {"of_pv", "energy"})
    money = "cost" in parts.intents or bool({"revenue", "lost"} & set(parts.figures))
    named = [figure for figure in parts.figures if figure != "loss"]
    if "clipping" in parts.causes:
        parts.figures, parts.causes = ["pv_clipped"], [c for c in parts.causes if c != "clipping"]
    elif parts.causes or "loss" in parts.figures:
        if set(named) - {"revenue", "lost"}:
            raise GrammarError("one figure at a time, please")
        fitting = [
            figure
            for figure, known in CAUSES_OF.items()
            if set(parts.causes) <= set(known)
            and not (figure == "pv_lost" and money and not solar)
            and not (figure == "lost" and solar)
        ]
        if len(fitting) != 1:
            raise GrammarError(
                "lost what? Say 'how much PV energy was lost to shade last week?' or 'how much "
                "revenue was lost to outages last month?'"
            )
        parts.figures = fitting
    parts.intents.discard("cost")
    # What the figure is of is in its name.
    parts.metrics, parts.parts = [], []


def attribute_to_fact(parts: Parts, *_: Any) -> None:
    """What the fleet file says under an attribute."""
    parts.groups, parts.attribute = [parts.attribute], ""
    parts.intents.add("facts")


def longest_first(parts: Parts, *_: Any) -> None:
    """Whatever lasted, the longest first."""
    parts.lasting = parts.lasting or [Lasting(">=", 1.0)]
    if "mean" not in parts.intents:
        # In total, they are in the order of all their time.
        parts.orders.discard("highest")
    parts.intents.discard("since")


def once_at_least(parts: Parts, *_: Any) -> None:
    """How often, where no number is given."""
    parts.repeats = parts.repeats or [1]
    parts.intents.discard("times")


def two_periods(parts: Parts, *_: Any) -> None:
    """The later period, and the earlier one beside it; what says so is used up."""
    earlier, later = sorted(parts.periods, key=lambda period: (period.start, period.end))
    parts.periods, parts.beside = [later], earlier
    parts.intents -= {"compare", "history"}
    parts.orders -= {"highest", "lowest", "worst", "best"}
    parts.words -= {"than", "comparative", "compared", "against"}


def any_length(parts: Parts, *_: Any) -> None:
    """Whatever lasted, however short."""
    parts.lasting = parts.lasting or [Lasting(">=", 1.0)]
    parts.intents -= {"since", "count", "times"}


def oldest_issues(parts: Parts, *_: Any) -> None:
    """Issues by how long they last, the longest first."""
    parts.conditions, parts.orders = [Condition("any_issue")], {"highest"}
    parts.intents -= {"attention", "rank"}
    parts.intents.add("since")


def falling(parts: Parts, *_: Any) -> None:
    """What fell the most first, whether that is good or bad news."""
    _by_change(parts, "low")


def rising(parts: Parts, *_: Any) -> None:
    """What rose the most first."""
    _by_change(parts, "high")


def _by_change(parts: Parts, side: str) -> None:
    worse = METRICS[parts.metrics[0]].worse if parts.metrics else "low"
    parts.orders -= {"highest", "lowest"}
    if worse:
        parts.orders = {"worst" if worse == side else "best"}


def drop_states(parts: Parts, *_: Any) -> None:
    """Leave out which way power flows."""
    parts.states, parts.not_states = [], set()


def last_31_days(parts: Parts, now: datetime, zone: tzinfo) -> None:
    """The longest period of full detail, where none is named."""
    if not parts.periods:
        local = now.astimezone(zone)
        parts.periods = [Period(local - timedelta(days=31), local, "the last 31 days")]


def rest_of_today(parts: Parts, now: datetime, zone: tzinfo) -> None:
    """What is still to come of today; of a forecast "6 pm to midnight" lies ahead."""
    period, local, day = parts.period, now.astimezone(zone), timedelta(days=1)
    if period is None:
        return
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if (period.start, period.end) == (midnight, local):
        parts.periods = [Period(local, midnight + day, "the rest of today")]
    elif not _DAY_WORDS & set(period.words.lower().split()) and period.start + day >= local:
        parts.periods = [Period(period.start + day, period.end + day, period.words)]
    else:
        return
    parts.words.add("ahead")


def to_its_end(parts: Parts, now: datetime, zone: tzinfo) -> None:
    """Of this week or today, what is still to come, too."""
    period = parts.period
    if period is None or period.end != now.astimezone(zone):
        return
    calendar = Calendar(now, zone, ahead=True)
    for unit in ("day", "week", "month", "quarter", "year"):
        if period.start == calendar.begin(unit, calendar.now):
            end = calendar.end(unit, calendar.now)
            parts.periods = [Period(period.start, end, period.words)]
            parts.words.add("ahead")
            return


def next_30_days(parts: Parts, now: datetime, zone: tzinfo) -> None:
    """What is planned, where no time is named."""
    local = now.astimezone(zone)
    parts.periods = [Period(local, local + timedelta(days=30), "the next 30 days")]


def coming_weekday(parts: Parts, now: datetime, zone: tzinfo) -> None:
    """Maintenance on Friday: the next one."""
    period = parts.period
    week = timedelta(days=7)
    if period is not None and period.end < now and now - period.start < week:
        parts.periods = [Period(period.start + week, period.end + week, period.words)]
        parts.words.add("ahead")


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        last_seven_days,
        last_day,
        empty_to_forecast,
        today_or_seven_days,
        metrics_to_energy,
        sums_to_energy,
        level_to_energy,
        states_to_energies,
        states_to_powers,
        states_to_order,
        states_to_tests,
        adjectives_to_conditions,
        lacking_to_conditions,
        part_to_condition,
        part_to_metric,
        conditions_to_metrics,
        compared_to_metrics,
        metrics_to_problems,
        group_of_filters,
        needing_attention,
        only_first,
        count,
        with_cost,
        settle_figure,
        attribute_to_fact,
        longest_first,
        once_at_least,
        two_periods,
        any_length,
        drop_states,
        falling,
        rising,
        oldest_issues,
        last_31_days,
        coming_weekday,
        next_30_days,
        rest_of_today,
        to_its_end,
    )
}
