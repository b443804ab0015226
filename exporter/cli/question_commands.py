"""The commands that ask, as a table: their words, their options, and what they say of themselves.

Both readers of arguments use it: the quick one of :mod:`exporter.cli.main`, and Typer for help,
completion and mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its parameter, its flags, its help, and what it takes.

    ``completes`` names what its values are completed from: sites, metrics or conditions.
    """

    name: str
    flags: tuple[str, ...]
    help: str
    kind: Literal["flag", "text", "several", "count"] = "text"
    completes: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What stands without a flag: the fewest and most words, and the parameter that they fill."""

    name: str
    help: str
    fewest: int = 1
    most: int = 1
    completes: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its help, the names of its options, its words, and its defaults."""

    help: str
    options: tuple[str, ...]
    words: Words | None = None
    defaults: tuple[tuple[str, Any], ...] = ()


_TABLE = (
    Option("url", ("--url",), "Where the exporter listens."),
    Option("as_json", ("--json",), "Plain JSON, with all evidence.", "flag"),
    Option("as_csv", ("--csv",), "The table as CSV.", "flag"),
    Option("evidence", ("--evidence", "-e"), "Also how it was worked out, in PromQL too.", "flag"),
    Option("limit", ("--limit", "-n"), "Most rows.", "count"),
    Option("region", ("--region",), "Only this region.", "several"),
    Option("priority", ("--priority",), "Only this priority.", "several"),
    Option(
        "filters", ("--filter",), "Such as vendor:BYD, tag:clinic or !region:iberia.", "several"
    ),
    Option("urgent", ("--urgent",), "Critical issues only.", "flag"),
    Option("best", ("--best",), "Best first.", "flag"),
    Option("highest", ("--highest",), "Highest first.", "flag"),
    Option("lowest", ("--lowest",), "Lowest first.", "flag"),
    Option("any_of", ("--any",), "One of them is enough.", "flag"),
    Option("condition", ("--condition",), "Such as hot or !offline.", "several", "conditions"),
    Option("where", ("--where",), "Such as 'soh<85'.", "several"),
    Option("lasting", ("--lasting",), "How long conditions held at a stretch: >2h or <10m."),
    Option("times", ("--times",), "Conditions began at least so often in the period.", "count"),
    Option("metric", ("--metric", "--by"), "What to go by.", "text", "metrics"),
    Option("since", ("--since",), "Such as 7d, monday, 13:10, 'this week' or 2026-03-01."),
    Option("until", ("--until",), "Where the period ends; now."),
    Option("against", ("--against",), "A period to compare with, such as 'last week'."),
    Option("group_by", ("--each",), "Each day or hour of the period by itself: day, hour."),
    Option("tz", ("--tz",), "Time zone to ask and show in, such as Europe/Berlin; this machine's."),
    Option("site", ("--site",), "Only this site.", "several", "sites"),
    Option("session", ("--session",), "Go on with this session, as --json gives it."),
    Option("watch", ("--watch",), "Keep it up to date.", "flag"),
)
OPTIONS = {option.name: option for option in _TABLE}
FLAGS = {flag: option for option in _TABLE for flag in option.flags}

_OUT = ("url", "as_json", "as_csv")
_CHOICE = ("region", "priority", "filters", "limit", "evidence")
_PERIOD = ("since", "until", "tz")
_SITE = "Id, name or part of either."

COMMANDS = {
    "status": Command(
        "Which sites need attention, and why. Exits 0 if none, 1 if some, 2 if it could not ask.",
        (*_OUT, "limit", "watch"),
        defaults=(("limit", 40),),
    ),
    "attention": Command(
        "Sites that need attention, worst first, and why; with --since, those that did.",
        (*_OUT, *_CHOICE, *_PERIOD, "urgent"),
    ),
    "rank": Command(
        "Sites in order, worst first, by score or any metric; with --since, over a period.",
        (*_OUT, *_CHOICE, *_PERIOD, "metric", "best", "highest", "lowest"),
    ),
    "compare": Command(
        "Sites side by side, in everything or in one metric.",
        (*_OUT, *_PERIOD, "metric", "evidence"),
        Words("site", "Ids, names or parts.", 1, 1000, "sites"),
    ),
    "outliers": Command(
        "Sites that differ from comparable ones by more than 3.5 robust standard deviations; with "
        "--since, by their means over a period.",
        (*_OUT, *_CHOICE, *_PERIOD, "metric"),
    ),
    "which": Command(
        "Sites that meet conditions, such as --condition hot --where 'soc<20'.",
        (*_OUT, *_CHOICE, *_PERIOD, "condition", "where", "any_of", "lasting", "times"),
    ),
    "site": Command(
        "One site in detail; with --since, how it did.",
        (*_OUT, *_PERIOD, "evidence"),
        Words("site", _SITE, completes="sites"),
    ),
    "explain": Command(
        "Every point that a site lost and why, and what is unknown; of an order what became of it.",
        (*_OUT, "evidence"),
        Words("site", _SITE, completes="sites"),
    ),
    "ask": Command(
        "Ask in plain language; what is not understood is said, never guessed.",
        (*_OUT, "session", "tz", "evidence"),
        Words("question", "The question; without it, a session.", 0, 1000),
    ),
    "timeline": Command(
        "What happened in a period, in order, and what was known when it began.",
        (*_OUT, *_CHOICE, *_PERIOD, "site", "condition", "urgent"),
        defaults=(("since", "24h"),),
    ),
    "alerts": Command(
        "Alerts that fire now; with --since those that fired, as Prometheus kept them.",
        (*_OUT, *_CHOICE, *_PERIOD, "site", "urgent"),
    ),
    "silences": Command(
        "What is silenced now, until when, by whom and why; maintenance and mute times, too.",
        (*_OUT, *_CHOICE, "site"),
    ),
    "forecast": Command(
        "When batteries are empty (soc), or cells or health reach a limit (cell_spread, soh); with "
        "pv or load and --site, its next 36 h.",
        (*_OUT, *_CHOICE, "site"),
        Words("metric", "soc, cell_spread, soh, pv or load.", 0, completes="metrics"),
        defaults=(("metric", "soc"),),
    ),
    "history": Command(
        "How a metric went over time: course, mean, extremes and trend; against another period.",
        (*_OUT, *_CHOICE, *_PERIOD, "site", "against", "group_by"),
        Words("metric", "Such as score or soh.", completes="metrics"),
        defaults=(("since", "24h"),),
    ),
}


def run(name: str, given: dict[str, Any]) -> int:
    """Ask, print, and the exit code.

    Parameters
    ----------
    name : str
        A command of the table.
    given : dict
        Its options and words by parameter; those that are missing have their defaults.
    """
    from exporter.cli import client, query_request

    command = COMMANDS[name]
    given = dict(command.defaults) | {k: v for k, v in given.items() if v is not None}
    url = given.pop("url", None) or client.usual_url()
    as_json, as_csv = given.pop("as_json", False), given.pop("as_csv", False)
    if name == "status":
        from exporter.cli import status

        watch = given.get("watch", False)
        return status.show(url, watch=watch, as_json=as_json, as_csv=as_csv, limit=given["limit"])
    if name == "forecast" and given["metric"] in ("pv", "load"):
        from exporter.cli import outlook

        named = list(given.get("site") or ())
        return outlook.show_forecast(url, given["metric"], named, as_json=as_json, as_csv=as_csv)
    evidence = given.pop("evidence", False)
    if name == "ask":
        from exporter.cli import conversation

        text = " ".join(given.get("question") or ()).strip()
        ask = partial(
            conversation.ask_once,
            url,
            zone=client.zone(given.get("tz")),
            as_json=as_json,
            as_csv=as_csv,
            evidence=evidence,
        )
        return ask(text, given.get("session"))[0] if text else conversation.converse(ask)
    if name == "explain" and str(given.get("site")).startswith("o-"):
        from exporter.cli import orders

        if orders.is_order(given["site"]):
            return orders.explain_order(url, given["site"], as_json=as_json)
    parameters = query_request.parameters(name, **given)
    return query_request.ask(url, as_json, as_csv, evidence, **parameters)
