"""The way in: commands that only ask are read here, all else by Typer.

Typer, and what it checks arguments with, takes half of the time of a short question. What is read
here it reads alike; whatever is not plain (help, completion, a mistake) is left to it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

FLAGS = {
    "--json": "as_json",
    "--csv": "as_csv",
    "--evidence": "evidence",
    "-e": "evidence",
    "--urgent": "urgent",
    "--best": "best",
    "--highest": "highest",
    "--lowest": "lowest",
    "--any": "any_of",
}
VALUES = {
    "--url": "url",
    "--since": "since",
    "--until": "until",
    "--limit": "limit",
    "-n": "limit",
    "--metric": "metric",
    "--by": "metric",
    "--session": "session",
}
LISTS = {
    "--region": "region",
    "--priority": "priority",
    "--filter": "filters",
    "--condition": "condition",
    "--where": "where",
    "--site": "site",
}
_EVERY = {"url", "as_json", "as_csv"}
_CHOICE = {"region", "priority", "filters", "limit", "evidence"}
_PERIOD = {"since", "until"}
TAKES: dict[str, set[str]] = {
    "status": _EVERY | {"limit"},
    "attention": _EVERY | _CHOICE | _PERIOD | {"urgent"},
    "rank": _EVERY | _CHOICE | _PERIOD | {"metric", "best", "highest", "lowest"},
    "compare": _EVERY | _PERIOD | {"metric", "evidence"},
    "outliers": _EVERY | _CHOICE | {"metric"},
    "which": _EVERY | _CHOICE | _PERIOD | {"condition", "where", "any_of"},
    "site": _EVERY | _PERIOD | {"evidence"},
    "explain": _EVERY | {"evidence"},
    "ask": _EVERY | {"session", "evidence"},
    "history": _EVERY | _CHOICE | _PERIOD | {"site"},
}
_WORDS = {"compare": (1, 1000), "site": (1, 1), "explain": (1, 1), "ask": (1, 1000)}
_WORDS |= {"history": (1, 1)}


def main() -> None:
    """``fleetscope``."""
    read = parse(sys.argv[1:]) if "_FLEETSCOPE_COMPLETE" not in os.environ else None
    if read is not None:
        sys.exit(run(*read))
    from exporter.cli.commands import app

    app()


def parse(arguments: Sequence[str]) -> tuple[str, list[str], dict[str, Any]] | None:
    """The command, its words and its options; None for what is left to Typer."""
    if not arguments or arguments[0] not in TAKES:
        return None
    name, words = arguments[0], []
    given: dict[str, Any] = {}
    rest = iter(arguments[1:])
    for argument in rest:
        if not argument.startswith("-"):
            words.append(argument)
            continue
        option, equals, value = argument.partition("=")
        place = FLAGS.get(option) or VALUES.get(option) or LISTS.get(option)
        if place not in TAKES[name] or (equals and (option in FLAGS or option[:2] != "--")):
            return None
        if option in FLAGS:
            given[place] = True
            continue
        value = value if equals else next(rest, "-")
        if value.startswith("-"):
            return None
        if option in LISTS:
            given.setdefault(place, []).append(value)
        elif place == "limit" and not (value.isdecimal() and value.isascii() and int(value) >= 1):
            return None
        else:
            given[place] = int(value) if place == "limit" else value
    fewest, most = _WORDS.get(name, (0, 0))
    if not fewest <= len(words) <= most or (name == "ask" and not " ".join(words).strip()):
        return None
    return name, words, given


def run(name: str, words: list[str], given: dict[str, Any]) -> int:
    """Ask, print, and the exit code."""
    from exporter.cli import client, query_request

    url = given.pop("url", None) or os.environ.get("FLEETSCOPE_URL") or client.USUAL_URL
    as_json, as_csv = given.pop("as_json", False), given.pop("as_csv", False)
    if name == "status":
        from exporter.cli import status

        most = given.get("limit", status.USUAL_ROWS)
        return status.show(url, watch=False, as_json=as_json, as_csv=as_csv, limit=most)
    evidence = given.pop("evidence", False)
    if name == "ask":
        from exporter.cli.conversation import ask_once

        text, session = " ".join(words).strip(), given.get("session")
        return ask_once(url, text, session, as_json=as_json, as_csv=as_csv, evidence=evidence)[0]
    if name == "history":
        given = {"since": "24h"} | given | {"metric": words[0]}
    elif words:
        given["site"] = words
    parameters = query_request.parameters(name, **given)
    return query_request.ask(url, as_json, as_csv, evidence, **parameters)
