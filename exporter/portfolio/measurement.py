"""What a measurement of the portfolio is: its fields, and how their rows may be put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Combine(StrEnum):
    """How rows of several times, sites or tags may be put together."""

    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StoredField:
    """A field: its unit (``text`` for words, ``amount`` for money), meaning, and what adds up."""

    unit: str
    meaning: str
    combine: Combine = Combine.NONE

    @property
    def is_text(self) -> bool:
        """Whether it holds words."""
        return self.unit == "text"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measurement.

    ``row`` says what one row is and what its time stands for; ``formula`` and ``source`` stand in
    answers of the API.
    """

    name: str
    tags: tuple[str, ...]
    row: str
    fields: Mapping[str, StoredField]
    formula: str = ""
    source: str = ""
