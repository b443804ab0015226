"""Durations as the web configuration writes them: ``100ms``, ``1m30s``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_DURATION = re.compile(r"(?:0|(?:\d+(?:\.\d+)?(?:ms|s|m|h))+)\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(value: Any) -> float:
    if isinstance(value, (int, float)) and value == 0:
        return 0.0
    if not isinstance(value, str) or not _DURATION.match(value):
        raise ValueError("expected a duration such as 100ms or 1s, or 0 for no limit")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value)
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A duration in seconds."""
