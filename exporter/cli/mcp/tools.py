"""The tools as a table: what each answers, its arguments, and what it asks the exporter."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from exporter.ask.catalogue import CONDITIONS, METRICS, spellings
from exporter.ask.figures import ENERGY, FIGURES, PORTFOLIO
from exporter.ask.query import ATTRIBUTES, EVENTS, ORDERS, PARTS_OF_TIME


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument: its JSON schema, and the parameter of the API that it becomes."""

    schema: dict[str, Any]
    parameter: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: what it says of itself, its arguments, and what is asked with them.

    ``path`` is a path of the API under ``/api/v1``.
    """

    title: str
    description: str
    arguments: tuple[str, ...]
    required: tuple[str, ...] = ()
    fixed: dict[str, str] = field(default_factory=dict)
    path: str = "query"

    def schema(self, name: str) -> dict[str, Any]:
        """The JSON schema of the arguments; a long list is in one tool, which others name."""
        return {
            "type": "object",
            "properties": {
                argument: ARGUMENTS[argument].schema
                if LISTED_IN.get(argument, name) == name
                else _as_in(LISTED_IN[argument], ARGUMENTS[argument].schema)
                for argument in self.arguments
            },
            "required": list(self.required),
            "additionalProperties": False,
        }


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, "maxLength": 500} | more


def _texts(description: str, most: int = 20, **more: Any) -> dict[str, Any]:
    items = {"type": "string", "maxLength": 200} | more
    return {"type": "array", "items": items, "description": description, "maxItems": most}


def _enum(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def _figures(of: str) -> dict[str, Any]:
    return _enum(*(name for name, figure in FIGURES.items() if figure.of == of))


def _as_in(tool: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without what another tool lists."""
    kept = {key: value for key, value in schema.items() if key != "enum"}
    return kept | {"description": f"As in {tool}"}


def _flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


_SITE = "Site: id, name or part of either"
_CONDITION = "One of " + ", ".join(CONDITIONS) + "; with ! before it for its opposite"
ARGUMENTS = {
    "site": Argument(_text(_SITE), "site"),
    "sites": Argument(_texts("Sites: ids, names or parts", 50), "site"),
    "filters": Argument(
        _texts("Only such sites, as region:iberia or !vendor:BYD; by " + ", ".join(ATTRIBUTES)),
        "filter",
    ),
    "conditions": Argument(_texts(_CONDITION), "condition"),
    "condition": Argument(_text("As in find_sites, such as offline or hot"), "condition"),
    "comparisons": Argument(_texts("Such as soh<80 or temperature>=40"), "where"),
    "match_any": Argument(_flag("One of conditions and comparisons is enough"), "any_of"),
    "metric": Argument(_enum(*METRICS), "metric"),
    "metrics": Argument(_texts("Metrics, as in rank_sites"), "metric"),
    "order": Argument(_enum(*ORDERS), "order"),
    "period": Argument(
        _text(
            "Past time, such as 30m, 7d, this week, between 13:10 and 13:20, since Monday, or "
            "from 2026-03-01T08:00 to 2026-03-01T09:30"
        ),
        "period",
    ),
    "against": Argument(_text("A period to compare with, such as last week"), "against"),
    "by": Argument(_enum(*PARTS_OF_TIME), "group_by"),
    "time_zone": Argument(_text("Zone of the period, such as Europe/Berlin; UTC"), "tz"),
    "cell": Argument(_text("Only this cell, such as 7 or, with its pack, 3/7"), "cell"),
    "lasting": Argument(_text("Conditions held so long at a stretch, such as >2h"), "lasting"),
    "forecast": Argument(_enum("soc", "cell_spread", "soh", "pv_energy", "load_energy"), "metric"),
    "energy_figure": Argument(_figures(ENERGY), "figure"),
    "portfolio_figure": Argument(_figures(PORTFOLIO), "figure"),
    "causes": Argument(_texts("Of a loss only these causes, such as curtailed, outage"), "cause"),
    "events": Argument(_enum(*EVENTS), "events"),
    "urgent_only": Argument(_flag("Critical issues only"), "severity"),
    "with_cost": Argument(_flag("Also what it costs, by the price list"), "cost"),
    "limit": Argument({"type": "integer", "minimum": 1, "maximum": 200}, "limit"),
    "group_by": Argument(_enum(*ATTRIBUTES), "group_by"),
    "question": Argument(_text("Such as: which sites need attention?"), "q"),
    "session": Argument(_text("Of the answer before, for a follow-up"), "session"),
    "days": Argument({"type": "number", "minimum": 0.01, "maximum": 366}, "days"),
}
_PERIOD = ("period", "time_zone")
LISTED_IN = {
    "metric": "rank_sites",
    "conditions": "find_sites",
    "filters": "find_sites",
    "period": "timeline",
}
"""The tool whose schema gives the whole list of what an argument may be."""

TOOLS = {
    "fleet_status": Tool(
        "The fleet at a glance",
        "How many sites there are in each status, mean score, worst sites, shared issues.",
        ("filters",),
        fixed={"what": "status"},
    ),
    "sites_needing_attention": Tool(
        "Sites that need attention",
        "Sites with a warning or a critical issue, worst first: why, since when, what to do. With "
        "a period: those that had one in it, how long, and whether it goes on.",
        ("urgent_only", "filters", *_PERIOD, "with_cost", "limit"),
        fixed={"what": "attention"},
    ),
    "timeline": Tool(
        "What happened",
        "What happened in a period, in order: statuses, issues that began or ended, alerts, "
        "planned work, reloads, unobserved time; and what was open before. The last 24 h without "
        "a period.",
        (*_PERIOD, "sites", "filters", "conditions", "events", "urgent_only", "limit"),
        path="timeline",
    ),
    "alerts": Tool(
        "Alerts",
        "Alerts that fire now; with a period those that fired in it, when and how long, as "
        "Prometheus kept them, and how much of the period it observed.",
        (*_PERIOD, "sites", "filters", "urgent_only", "limit"),
        fixed={"what": "alerts"},
    ),
    "forecast": Tool(
        "Forecast",
        "soc: when batteries are empty by their own estimate; cell_spread, soh: when a limit is "
        "reached; pv_energy, load_energy: kWh ahead, such as tomorrow.",
        ("forecast", "sites", "filters", *_PERIOD, "limit"),
        ("forecast",),
        fixed={"what": "forecast"},
    ),
    "rank_sites": Tool(
        "Sites in order",
        "Sites in the order of a metric, worst score first without one; now or over a period.",
        ("metric", "order", "filters", *_PERIOD, "limit"),
        fixed={"what": "rank"},
    ),
    "site_details": Tool(
        "One site",
        "Scores, issues, readings and facts of one site; with a period, how it did.",
        ("site", *_PERIOD),
        ("site",),
        fixed={"what": "site"},
    ),
    "explain_site": Tool(
        "Why a site has its score",
        "Every point that a site lost and why, what caps its score, and what is unknown.",
        ("site",),
        ("site",),
        fixed={"what": "explain"},
    ),
    "site_cells": Tool(
        "Single cells of a site",
        "Single cells of a site as last read, the farthest from its pack's median first, and the "
        "findings of their stored history.",
        ("site", "cell", "limit"),
        ("site",),
        fixed={"what": "cells"},
    ),
    "compare_sites": Tool(
        "Sites side by side",
        "Two or more sites compared in all metrics or some; over a period in one.",
        ("sites", "metrics", *_PERIOD),
        ("sites",),
        fixed={"what": "compare"},
    ),
    "find_sites": Tool(
        "Sites that meet conditions",
        "Sites of which conditions and comparisons hold; with a period, at some time in it.",
        ("conditions", "comparisons", "match_any", "lasting", "filters", *_PERIOD, "limit"),
        fixed={"what": "which"},
    ),
    "outliers": Tool(
        "Unusual sites",
        "Sites beyond 3.5 robust standard deviations of comparable ones; with a period, by means.",
        ("metric", "filters", *_PERIOD, "limit"),
        fixed={"what": "outliers"},
    ),
    "since_when": Tool(
        "Since when",
        "Since when the issues of a site, or the sites of a condition, last.",
        ("site", "condition"),
        fixed={"what": "since"},
    ),
    "metric_history": Tool(
        "History of a metric",
        "How a metric went: mean, extremes, trend, total of energies, and what was observed.",
        ("metric", *_PERIOD, "against", "by", "sites", "filters", "limit"),
        ("metric", "period"),
        fixed={"what": "history"},
    ),
    "metric_value": Tool(
        "Value of a metric",
        "A metric now, or over a period: of sites, of the fleet, or of each group of sites.",
        ("metric", "sites", "filters", "group_by", *_PERIOD),
        ("metric",),
        fixed={"what": "value"},
    ),
    "energy_account": Tool(
        "Energy against what was expected, and its cost",
        "PV against the sun and what it lost by cause, shares, cost, CO2, over a period.",
        ("energy_figure", "causes", "sites", "filters", *_PERIOD, "against", "limit"),
        ("energy_figure", "period"),
        fixed={"what": "energy"},
    ),
    "portfolio": Tool(
        "What plants earned, lost and owe",
        "Published figures of plants, with formula and source.",
        ("portfolio_figure", "causes", "sites", "filters", "order", *_PERIOD, "limit"),
        ("portfolio_figure",),
        fixed={"what": "portfolio"},
    ),
    "battery_plan": Tool(
        "Plan of a battery",
        "Steps of the next 36 h, each with its reason; nothing is sent by asking.",
        ("site",),
        ("site",),
        fixed={"what": "plan"},
    ),
    "cost": Tool(
        "Cost",
        "What the present issues will cost by the configured price list; no price, no figure.",
        ("filters",),
        fixed={"what": "cost"},
    ),
    "report": Tool(
        "Report",
        "The fleet over the last days (7) or a period: what changed, who needs attention now, what "
        "gets worse, availability, energy, costs.",
        ("days", *_PERIOD),
        fixed={"format": "json"},
        path="report",
    ),
    "ask_fleet": Tool(
        "Ask in plain language",
        "Answer a question by a fixed grammar; what it does not understand is an error.",
        ("question", "session", "time_zone"),
        ("question",),
        path="ask",
    ),
}


class ArgumentError(Exception):
    """Arguments that a tool does not take; its text says what is wrong and what is right."""


def parameters(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a tool asks the exporter, of the arguments that it was called with.

    Raises
    ------
    ArgumentError
    """
    tool = TOOLS[name]
    for argument in given:
        if argument not in tool.arguments:
            close = get_close_matches(argument, tool.arguments, 1, 0.5)
            hint = f" Did you mean {close[0]}?" if close else ""
            takes = ", ".join(tool.arguments)
            raise ArgumentError(f"{name} has no argument {argument[:40]!r}.{hint} It takes {takes}")
    missing = [argument for argument in tool.required if given.get(argument) in (None, "", [])]
    if missing:
        raise ArgumentError(f"{name} needs {', '.join(missing)}")
    asked: dict[str, Any] = dict(tool.fixed)
    for argument, value in given.items():
        if value is None:
            continue
        _check(argument, value, ARGUMENTS[argument].schema)
        said = "critical" if argument == "urgent_only" else "1"
        asked[ARGUMENTS[argument].parameter] = said if value is True else value
    return asked


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}


def _check(argument: str, value: Any, schema: dict[str, Any]) -> None:
    """Hold a value against its schema.

    Raises
    ------
    ArgumentError
    """
    kind = schema["type"]
    # A bool is an int in Python, but not in JSON.
    if type(value) not in _TYPES[kind]:
        raise ArgumentError(f"{argument} is {str(value)[:40]!r}; expected a value of type {kind}")
    if "maxItems" in schema:
        if len(value) > schema["maxItems"]:
            raise ArgumentError(f"{argument} has {len(value)} items; at most {schema['maxItems']}")
        for item in value:
            _check(argument, item, schema["items"])
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        raise ArgumentError(f"{argument} is longer than {schema['maxLength']} characters")
    if "enum" in schema and spellings(value)[0] not in schema["enum"]:
        raise ArgumentError(f"{argument} is {value[:40]!r}; one of {', '.join(schema['enum'])}")
    if "minimum" in schema and not schema["minimum"] <= value <= schema["maximum"]:
        limits = f"{schema['minimum']} to {schema['maximum']}"
        raise ArgumentError(f"{argument} is {value}; expected {limits}")
