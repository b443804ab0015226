"""The commands that ask, for Typer: help, completion, and the messages about mistakes."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.cli import client
from exporter.cli.question_commands import COMMANDS, OPTIONS, Command, run


def complete_site(incomplete: str) -> list[tuple[str, str]]:
    """Site ids that begin with, or whose name holds, what is typed; none if nobody answers."""
    with contextlib.suppress(client.CannotAskError, KeyError, TypeError):
        sites = client.get(client.usual_url(), "names", seconds=1.0)["sites"]
        typed = incomplete.casefold()
        by_id = [
            (site["id"], site["name"])
            for site in sites
            if site["id"].casefold().startswith(typed) or typed in site["name"].casefold()
        ]
        by_name = [
            (site["name"], site["id"])
            for site in sites
            if typed and site["name"].casefold().startswith(typed)
        ]
        return by_id + [pair for pair in by_name if pair[0] not in dict(by_id)]
    return []


def complete_metric(incomplete: str) -> list[tuple[str, str]]:
    """Metrics that begin with what is typed."""
    return [(name, m.label) for name, m in METRICS.items() if name.startswith(incomplete)]


def complete_condition(incomplete: str) -> list[tuple[str, str]]:
    """Conditions that begin with what is typed."""
    return [(name, c.label) for name, c in CONDITIONS.items() if name.startswith(incomplete)]


_COMPLETED = {"sites": complete_site, "metrics": complete_metric, "conditions": complete_condition}
Url = Annotated[str, typer.Option("--url", help=OPTIONS["url"].help, envvar="FLEETSCOPE_URL")]
_TYPES: dict[str, Any] = {
    "flag": bool,
    "text": str | None,
    "several": list[str] | None,
    "count": int | None,
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in COMMANDS.items():
        app.command(name, help=command.help)(_function(name, command))


def _function(name: str, command: Command) -> Callable[..., None]:
    """What Typer calls, with the signature that it reads the options from."""

    def asked(**given: Any) -> None:
        raise typer.Exit(run(name, given))

    parameters = [*_words(command), *(_option(name, command) for name in command.options)]
    asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    asked.__annotations__ = {p.name: p.annotation for p in parameters}
    return asked


def _words(command: Command) -> list[inspect.Parameter]:
    words = command.words
    if words is None:
        return []
    argument = typer.Argument(help=words.help, autocompletion=_COMPLETED.get(words.completes))
    kind = list[str] if words.most > 1 else str
    if words.fewest == 0:
        return [_parameter(words.name, Annotated[list[str] | None, argument], None)]
    return [_parameter(words.name, Annotated[kind, argument], inspect.Parameter.empty)]


def _option(name: str, command: Command) -> inspect.Parameter:
    option = OPTIONS[name]
    default = dict(command.defaults).get(name, False if option.kind == "flag" else None)
    declared = typer.Option(
        *option.flags,
        help=option.help,
        autocompletion=_COMPLETED.get(option.completes),
        min=1 if option.kind == "count" else None,
        envvar="FLEETSCOPE_URL" if name == "url" else None,
    )
    return _parameter(name, Annotated[_TYPES[option.kind], declared], default)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
