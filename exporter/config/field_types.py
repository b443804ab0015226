"""Types of fields that several configuration models share, and the error that they raise."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

ERROR_TYPE = "fleet_file"
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def field_error(message: str) -> PydanticCustomError:
    """An error whose message says what is wrong and what would be right."""
    return PydanticCustomError(ERROR_TYPE, "{message}", {"message": message})


def _no_numbers_from_text(value: Any) -> Any:
    if isinstance(value, str):
        comma = re.fullmatch(r"\s*[-+]?\d+,\d+\s*", value)
        figure = re.fullmatch(r"\s*[-+]?[\d.]+\s*", value)
        how = ", with a decimal point" if comma else ", without quotes" if figure else ""
        raise field_error(f"expected a number{how}")
    if isinstance(value, bool):
        raise field_error("expected a number")
    return value


def _plain_text(value: str) -> str:
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in _BIDIRECTIONAL for c in value):
        raise field_error("has a line break or control character; expected text on one line")
    return value


Number = Annotated[float, BeforeValidator(_no_numbers_from_text)]
Text = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_plain_text),
]
