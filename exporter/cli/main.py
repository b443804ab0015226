"""The entry point: commands that only ask are read here, all others by Typer.

Typer, and what it checks arguments with, takes half of the time of a short question. Whatever is
not plain (help, completion, a mistake) is left to it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from exporter.cli.question_commands import COMMANDS, FLAGS, Option, run


def main() -> None:
    """``fleetscope``."""
    read = parse(sys.argv[1:]) if "_FLEETSCOPE_COMPLETE" not in os.environ else None
    if read is not None:
        sys.exit(run(*read))
    from exporter.cli.commands import app

    app()


def parse(arguments: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """The command and its parameters; None for what is left to Typer."""
    if not arguments or arguments[0] not in COMMANDS:
        return None
    command, words = COMMANDS[arguments[0]], []
    given: dict[str, Any] = {}
    rest = iter(arguments[1:])
    for argument in rest:
        if not argument.startswith("-"):
            words.append(argument)
            continue
        flag, equals, text = argument.partition("=")
        option = FLAGS.get(flag)
        if option is None or option.name not in command.options or (equals and flag[:2] != "--"):
            return None
        value = _value(option, text if equals else None, rest)
        if value is None:
            return None
        if option.kind == "several":
            given.setdefault(option.name, []).append(value)
        else:
            given[option.name] = value
    if command.words is None:
        return None if words else (arguments[0], given)
    if not command.words.fewest <= len(words) <= command.words.most:
        return None
    if words:
        given[command.words.name] = words if command.words.most > 1 else words[0]
    return arguments[0], given


def _value(option: Option, text: str | None, rest: Any) -> Any:
    """The value of an option; None for what is left to Typer."""
    if option.kind == "flag":
        return True if text is None else None
    text = next(rest, "-") if text is None else text
    if text.startswith("-"):
        return None
    if option.kind == "count":
        plain = text.isdecimal() and text.isascii() and int(text) >= 1
        return int(text) if plain else None
    return text
