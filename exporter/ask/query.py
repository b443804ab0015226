"""The Query: every question that can be asked, as one immutable object.

Free of numpy and of any I/O, since the command line loads it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from exporter.ask.catalogue import CONDITIONS, METRICS, spellings
from exporter.ask.figures import CAUSES_OF, FIGURES

ATTRIBUTES = (
    *("region", "location", "battery_type", "vendor", "priority", "tag", "kind", "protocol"),
)
PARTS_OF_TIME = ("day", "hour")
ORDERS = ("worst", "best", "highest", "lowest", "earliest", "latest")
_IN_TIME = ("earliest", "latest")
LASTING = (">", "<", ">=", "<=")
OPERATORS = {"<": "below", ">": "above", "<=": "at most", ">=": "at least", "=": "equal to"}
EVENTS = ("begun", "ended", "unsilenced", "ongoing")
SEVERITIES = ("info", "warning", "critical")
LARGEST_LIMIT = 10_000
LONGEST_SECONDS = 3.2e9
MOST_PARTS = 50
MOST_TIMES = 1000
SHOWN_UNITS = ("°F", "kW", "MWh", "mV")


class QueryError(Exception):
    """A query that cannot be asked; its text says what is wrong and what would be right."""


class What(StrEnum):
    """What is asked."""

    STATUS = "status"
    ATTENTION = "attention"
    RANK = "rank"
    SITE = "site"
    COMPARE = "compare"
    OUTLIERS = "outliers"
    WHICH = "which"
    EXPLAIN = "explain"
    SINCE = "since"
    HISTORY = "history"
    VALUE = "value"
    COST = "cost"
    TIMELINE = "timeline"
    CONTACT = "contact"
    CELLS = "cells"
    ALERTS = "alerts"
    SILENCES = "silences"
    FORECAST = "forecast"
    FACTS = "facts"
    ENERGY = "energy"
    PORTFOLIO = "portfolio"
    PLAN = "plan"
    HELP = "help"


WHAT_MEANINGS = {
    What.STATUS: "the fleet at a glance: sites by status, scores, issues that several share",
    What.ATTENTION: "sites that need attention, worst first, and why",
    What.RANK: "sites in order, by score or by any metric",
    What.SITE: "one site in detail",
    What.COMPARE: "sites or groups of sites, side by side",
    What.OUTLIERS: "sites that differ from comparable ones",
    What.WHICH: "sites that meet conditions, or how many",
    What.EXPLAIN: "every point that a site lost and why, and what is unknown",
    What.SINCE: "since when an issue lasts",
    What.HISTORY: "how a metric went over time",
    What.VALUE: "the present value of a metric",
    What.COST: "what it will cost, by the configured price list",
    What.CONTACT: "where sites are, and whom to call; contacts need the right to see them",
    What.CELLS: "the single cells of a site, as last read and by their history",
    What.TIMELINE: "what happened in a period, in order: statuses, issues, alerts, maintenance, "
    "reloads",
    What.ALERTS: "alerts that fire now, or fired in a period, as Prometheus kept them",
    What.SILENCES: "what is silenced now, until when, by whom and why, as Alertmanager has it",
    What.FORECAST: "when something is reached: an empty battery, a limit of cells or of health; "
    "PV and consumption of the next 36 hours",
    What.FACTS: "what the fleet file says of sites, such as over which protocol they are read",
    What.ENERGY: "a figure of the energy account over a period, such as PV lost by cause, or cost",
    What.PORTFOLIO: "what plants earned, lost and owe, as it was published",
    What.PLAN: "what the battery of a site is planned to do, and why",
    What.HELP: "what can be answered",
}


_IN_ORDER_OF_TIME = (What.TIMELINE, What.ALERTS, What.SILENCES)
_EVENTS_OF = {
    "begun": (What.TIMELINE, What.ALERTS),
    "ended": (What.TIMELINE, What.ALERTS, What.SILENCES),
    "unsilenced": (What.ALERTS,),
    "ongoing": (What.ATTENTION, What.WHICH),
}


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` (inclusive) to ``end`` (exclusive), both with a time zone."""

    start: datetime
    end: datetime
    words: str = ""

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise QueryError(
                f"the period begins at {self.start:%Y-%m-%d %H:%M} and ends at "
                f"{self.end:%Y-%m-%d %H:%M}; it must begin before it ends"
            )

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True, order=True)
class Filter:
    """Only sites whose ``attribute`` is ``value``; those that are not, if ``negate``."""

    attribute: str
    value: str
    negate: bool = False

    def __post_init__(self) -> None:
        if self.attribute not in (*ATTRIBUTES, "site"):
            raise QueryError(f"cannot filter by {self.attribute!r}; by {', '.join(ATTRIBUTES)}")

    def __str__(self) -> str:
        return f"{'!' if self.negate else ''}{self.attribute}:{self.value}"


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """Only sites of which the named condition holds; those of which it does not, if ``negate``."""

    name: str
    negate: bool = False

    def __post_init__(self) -> None:
        if self.name not in CONDITIONS:
            raise QueryError(
                f"there is no condition {self.name!r}; {_choices(self.name, CONDITIONS)}"
            )

    def __str__(self) -> str:
        return f"{'!' if self.negate else ''}{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Comparison:
    """Only sites whose metric is below, above … a value in the metric's unit."""

    metric: str
    operator: str
    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", _known_metric(self.metric))
        if self.operator not in OPERATORS:
            raise QueryError(f"{self.operator!r} is not one of {' '.join(OPERATORS)}")

    def __str__(self) -> str:
        return f"{self.metric}{self.operator}{self.value:g}"


@dataclass(frozen=True, slots=True, order=True)
class Lasting:
    """Only what lasts longer, shorter … than so many seconds, at a stretch."""

    operator: str
    seconds: float

    def __post_init__(self) -> None:
        if self.operator not in LASTING:
            raise QueryError(f"{self.operator!r} is not one of {' '.join(LASTING)}")
        if not 0 < self.seconds <= LONGEST_SECONDS:
            raise QueryError("a duration lies between one second and a hundred years")

    def holds(self, seconds: float) -> bool:
        """Whether a stretch of so many seconds is meant."""
        return {
            ">": seconds > self.seconds,
            "<": seconds < self.seconds,
            ">=": seconds >= self.seconds,
            "<=": seconds <= self.seconds,
        }[self.operator]

    def __str__(self) -> str:
        return f"{self.operator}{self.seconds:g}s"


@dataclass(frozen=True, slots=True)
class Query:
    """A question.

    Attributes
    ----------
    what : What
    sites : tuple of str
        Site ids; empty for the whole fleet.
    filters : tuple of Filter
        Those of one attribute widen each other, those of different attributes narrow.
    conditions : tuple of Condition
    comparisons : tuple of Comparison
    any_of : bool
        Whether one of the conditions and comparisons is enough.
    metrics : tuple of str
        Names in :data:`exporter.ask.catalogue.METRICS`.
    order : str or None
        One of :data:`ORDERS`.
    limit : int or None
        Most rows, None for the usual number.
    severity : str or None
        Least severity of the issues that count.
    period : Period or None
        None asks about now.
    count : bool
        How many, rather than which.
    with_cost : bool
        What it will cost is asked too.
    group_by : str or None
        An attribute whose values are compared instead of sites, or ``day`` or ``hour``: each one
        of the period.
    events : str or None
        Of a timeline, alerts or silences only what has begun or ended, of alerts those that no
        silence covers, of sites with issues in a period those that have them still; one of
        :data:`EVENTS`.
    cell : str or None
        The label or number of one cell, or its pack and number such as ``3/12``.
    lasting : Lasting or None
        How long conditions must have held at a stretch.
    times : int or None
        How often at least conditions must have begun to hold in the period.
    unit : str or None
        A unit in which values are shown, such as °F; None for their own.
    figure : str or None
        Of an energy account or the portfolio, in :data:`exporter.ask.figures.FIGURES`.
    causes : tuple of str
        Only what these took, of a figure that is a loss.
    beside : Period or None
        Another period whose figures stand beside those of ``period``.
    """

    what: What
    sites: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    conditions: tuple[Condition, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    any_of: bool = False
    metrics: tuple[str, ...] = ()
    order: str | None = None
    limit: int | None = None
    severity: str | None = None
    period: Period | None = None
    count: bool = False
    with_cost: bool = False
    group_by: str | None = None
    events: str | None = None
    cell: str | None = None
    lasting: Lasting | None = None
    times: int | None = None
    unit: str | None = None
    figure: str | None = None
    causes: tuple[str, ...] = ()
    beside: Period | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", tuple(_known_metric(one) for one in self.metrics))
        if self.order is not None and self.order not in ORDERS:
            raise QueryError(f"there is no order {self.order!r}; one of {', '.join(ORDERS)}")
        if self.severity is not None and self.severity not in SEVERITIES:
            raise QueryError(f"there is no severity {self.severity!r}; {', '.join(SEVERITIES)}")
        if self.limit is not None and not 1 <= self.limit <= LARGEST_LIMIT:
            raise QueryError(f"the limit is {self.limit}; expected 1 to {LARGEST_LIMIT}")
        if self.group_by is not None and self.group_by not in (
            *ATTRIBUTES,
            *PARTS_OF_TIME,
            "status",
        ):
            raise QueryError(f"cannot group by {self.group_by!r}; by {', '.join(ATTRIBUTES)}")
        if self.events is not None and self.events not in EVENTS:
            raise QueryError(f"there are no events {self.events!r}; one of {', '.join(EVENTS)}")
        if self.times is not None and not 1 <= self.times <= MOST_TIMES:
            raise QueryError(f"times={self.times}; expected 1 to {MOST_TIMES}")
        if self.unit is not None and self.unit not in SHOWN_UNITS:
            raise QueryError(f"cannot show {self.unit[:20]!r}; one of {', '.join(SHOWN_UNITS)}")
        self._check_times()
        self._check_figure()
        parts = (self.filters, self.conditions, self.comparisons, self.metrics)
        if any(len(part) > MOST_PARTS for part in parts):
            raise QueryError(f"more than {MOST_PARTS} filters, conditions or metrics of a kind")

    def _check_times(self) -> None:
        if self.order in _IN_TIME and self.what not in _IN_ORDER_OF_TIME:
            raise QueryError(f"{self.order} first goes with what happened, alerts and silences")
        if self.beside is not None and self.period is None:
            raise QueryError("a period to compare with needs one to be compared")
        if self.group_by in PARTS_OF_TIME and (
            self.what not in (What.HISTORY, What.VALUE) or self.period is None
        ):
            raise QueryError(f"each {self.group_by} goes with the history of a metric in a period")
        if self.events is not None and self.what not in _EVENTS_OF.get(self.events, ()):
            kinds = ", ".join(kind.value for kind in _EVENTS_OF.get(self.events, ()))
            raise QueryError(f"events={self.events} goes with what={kinds}")

    def _check_figure(self) -> None:
        wanted = self.what in (What.ENERGY, What.PORTFOLIO)
        if self.figure is not None and self.figure not in FIGURES:
            raise QueryError(
                f"there is no figure {self.figure!r}; {_choices(self.figure, FIGURES)}"
            )
        if self.figure is not None and (not wanted or FIGURES[self.figure].of != self.what):
            raise QueryError(f"{self.figure} is asked with what={FIGURES[self.figure].of}")
        if wanted and self.figure is None:
            known = [name for name, figure in FIGURES.items() if figure.of == self.what]
            raise QueryError(f"what={self.what.value} needs a figure; one of {', '.join(known)}")
        known_causes = CAUSES_OF.get(self.figure or "", {})
        for cause in self.causes:
            if not known_causes:
                raise QueryError("a cause goes with the figures " + " and ".join(CAUSES_OF))
            if cause not in known_causes:
                raise QueryError(
                    f"{self.figure} has no cause {cause!r}; {_choices(cause, known_causes)}"
                )

    def but(self, **changes: Any) -> Query:
        """A copy with other fields."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is not asked for is left out."""
        plain: dict[str, Any] = {"what": self.what.value}
        if self.sites:
            plain["sites"] = list(self.sites)
        for name in ("filters", "conditions", "comparisons"):
            if getattr(self, name):
                plain[name] = [str(part) for part in getattr(self, name)]
        for name in (
            "any_of",
            "order",
            "limit",
            "severity",
            "count",
            "with_cost",
            "group_by",
            "events",
            "cell",
            "times",
            "unit",
            "figure",
        ):
            if getattr(self, name):
                plain[name] = getattr(self, name)
        if self.metrics:
            plain["metrics"] = list(self.metrics)
        if self.causes:
            plain["causes"] = list(self.causes)
        if self.lasting is not None:
            plain["lasting"] = str(self.lasting)
        for name in ("period", "beside"):
            given = getattr(self, name)
            if given is not None:
                plain[name] = {
                    "start": given.start.isoformat(),
                    "end": given.end.isoformat(),
                    "words": given.words,
                }
        return plain


def _choices(name: str, known: Iterable[str]) -> str:
    """What may have been meant, or all that there is."""
    from difflib import get_close_matches

    names = list(known)
    close = get_close_matches(name, names, 1, 0.75)
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(names)}"


def _known_metric(name: str) -> str:
    """The metric that is meant by its name here or in InfluxDB."""
    known = spellings(name)[0]
    if known not in METRICS:
        raise QueryError(f"there is no metric {name!r}; {_choices(name, METRICS)}")
    return known


_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LASTING = re.compile(
    r"\s*(<=|>=|<|>)?\s*(\d{1,9}(?:[.,]\d{1,6})?)\s*(s|min|m|h|d|w)\s*\Z", re.IGNORECASE
)
_FILTER = re.compile(r"(!?)\s*([a-z_]+)\s*[:=]\s*(\S.*)\Z", re.IGNORECASE)
_COMPARISON = re.compile(
    r"\s*([a-z_]+)\s*(<=|>=|<|>|=)\s*([-+]?(?:\d{1,12}(?:[.,]\d{1,9})?|[.,]\d{1,9}))\s*\Z",
    re.IGNORECASE,
)


def comparison_from(text: str) -> Comparison:
    """``soh<80`` as a Comparison.

    Raises
    ------
    QueryError
    """
    match = _COMPARISON.match(text)
    if not match:
        raise QueryError(f"{text[:80]!r} is no comparison; expected one such as soh<80")
    return Comparison(match[1].lower(), match[2], float(match[3].replace(",", ".")))


def lasting_from(text: str) -> Lasting:
    """``>2h`` or ``<10m``; a duration alone means longer.

    Raises
    ------
    QueryError
    """
    match = _LASTING.match(text)
    if not match:
        raise QueryError(f"{text[:80]!r} is no duration; expected one such as >2h or <10m")
    number = float(match[2].replace(",", "."))
    return Lasting(match[1] or ">", number * _UNITS[match[3].lower()])


def condition_from(text: str) -> Condition:
    """``hot``, or ``!hot`` for its opposite.

    Raises
    ------
    QueryError
    """
    return Condition(text.removeprefix("!").strip().lower(), text.startswith("!"))


def filter_from(text: str) -> Filter:
    """``region:iberia`` or ``region=iberia``, with ``!`` before it for its opposite.

    Raises
    ------
    QueryError
    """
    match = _FILTER.match(text)
    if not match:
        raise QueryError(f"{text[:80]!r} is no filter; expected one such as region:iberia")
    return Filter(match[2].lower(), match[3].strip(), bool(match[1]))
