"""Patterns of names: of files, of headings, and of what columns say."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}|(\*)")
_WORD = r"[A-Za-z0-9]+"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A name pattern as a regular expression.

    ``{pack}`` stands for letters and digits, ``{meter}`` for those and underscores, ``*`` for
    anything. With a ``/`` the path below the folder is compared, else the name; case does not
    count, and neither does the suffix where the pattern has none.
    """
    parts, last = [], 0
    for found in _PLACEHOLDER.finditer(pattern):
        parts.append(re.escape(pattern[last : found.start()]))
        last = found.end()
        if found[2]:
            parts.append(".*")
        elif f"(?P<{found[1]}>" in "".join(parts):
            parts.append(f"(?P={found[1]})")
        else:
            parts.append(f"(?P<{found[1]}>{_word(found[1])})")
    parts.append(re.escape(pattern[last:]))
    return re.compile("".join(parts), re.IGNORECASE)


def _word(placeholder: str) -> str:
    return r"[A-Za-z0-9_-]+?" if placeholder in ("meter", "device", "site") else _WORD


def is_name(placeholder: str, text: str) -> bool:
    """Whether a text can be the name of what a placeholder stands for."""
    return re.fullmatch(_word(placeholder), text) is not None


def check_pattern(pattern: str) -> str:
    """The pattern itself.

    Raises
    ------
    ValueError
        If it is empty or has a brace that belongs to no placeholder.
    """
    if not pattern or "{" in _PLACEHOLDER.sub("", pattern) or "}" in _PLACEHOLDER.sub("", pattern):
        raise ValueError("expected a name with placeholders such as bms{system}_p{pack}_v{cell}")
    return pattern


Pattern = Annotated[str, AfterValidator(check_pattern)]
