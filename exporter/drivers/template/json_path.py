"""Paths into JSON documents: ``Body.Data.Site.P_Grid``, ``emeters.0.power``, ``[name=x].value``."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(r'"([^"]*)"|\[([A-Za-z0-9_]{1,40})=([^\]]{1,120})\]|([^.\[\]"]+)')
_MOST_STEPS = 20
Step = str | tuple[str, str]
"""A key or index, or the key and text that choose an object out of a list."""


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path.

    Raises
    ------
    ValueError
        If it is no path.
    """
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if steps and text[at] == ".":
            at += 1
        match = _STEP.match(text, at)
        if match is None or len(steps) >= _MOST_STEPS:
            raise ValueError("expected keys and numbers with points between, such as a.b.0.c")
        quoted, key, value, plain = match.groups()
        steps.append((key, value) if key else plain if plain is not None else quoted)
        at = match.end()
    if not steps:
        raise ValueError("is empty")
    return tuple(steps)


def look_up(document: Any, steps: tuple[Step, ...]) -> Any:
    """What is at a path; None where nothing is."""
    found = document
    for step in steps:
        if isinstance(step, tuple):
            if not isinstance(found, list):
                return None
            objects = [item for item in found if isinstance(item, dict)]
            found = next((o for o in objects if str(o.get(step[0], "")) == step[1]), None)
        elif isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal():
            found = found[int(step)] if len(step) < 6 and int(step) < len(found) else None
        else:
            return None
    return found
