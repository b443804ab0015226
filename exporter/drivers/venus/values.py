"""What a JSON value of the bridge means: a number, text, nothing, or a value of a wrong type."""

from __future__ import annotations

import math
import re
from typing import Any

from exporter.model.snapshot import MISSING
from exporter.model.text import plain_line

# Decimal digits with a point: no thousands, no comma, no unit, which would be guesses.
_NUMERIC_TEXT = re.compile(
    r"\s*[-+]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][-+]?\d{1,3})?\s*\Z"
)
_NO_VALUE_TEXTS = frozenset({"", "-", "--", "---", "null", "None", "n/a", "N/A", "[]"})
_LONGEST_SHOWN = 40


def number(value: Any) -> float:
    """A JSON value as a number; NaN for whatever is not one.

    Text that holds one decimal number and nothing else counts as that number. Booleans, other
    text and nested values are not numbers; :func:`is_wrong_type` tells them from no value. Infinite
    and huge numbers come out infinite, so that the physical limits reject and count them.
    """
    kind = value.__class__
    if kind is float:
        return float(value)
    if value is None or kind is list:
        return MISSING
    if isinstance(value, str) and _NUMERIC_TEXT.match(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return MISSING
    try:
        return float(value)
    except OverflowError:
        return math.inf


def flag(value: Any) -> float:
    """A JSON value as a number, where ``true`` and ``false`` mean 1 and 0."""
    return float(value) if isinstance(value, bool) else number(value)


def is_wrong_type(value: Any) -> bool:
    """Whether a value is there and yet no number: a boolean, other text, a filled list.

    The bridge writes ``[]`` and ``null`` for no value, some drivers a text such as ``---``.
    """
    if value is None or value in ([], {}):
        return False
    if isinstance(value, str):
        return value.strip() not in _NO_VALUE_TEXTS and not _NUMERIC_TEXT.match(value)
    return isinstance(value, bool) or not isinstance(value, (int, float))


def shown(value: Any) -> str:
    """A value of a wrong type as a message may show it: its kind, and its start."""
    if isinstance(value, str):
        cut = plain_line(value[:_LONGEST_SHOWN]) + ("…" if len(value) > _LONGEST_SHOWN else "")
        return f'text "{cut}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a list" if isinstance(value, list) else "an object"


def text(value: Any) -> str | None:
    """A JSON value as a non-empty text on one line, None for whatever is not one."""
    return plain_line(value[:200]) if isinstance(value, str) and value else None
