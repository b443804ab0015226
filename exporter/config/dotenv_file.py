"""Reads ``.env`` as Docker Compose reads it, so that one file serves both.

Text in single quotes is literal. Within double quotes and without quotes ``$NAME``, ``${NAME}``,
``${NAME:-default}``, ``${NAME-default}``, ``${NAME:+other}`` and ``${NAME+other}`` are replaced,
by the environment first and then by lines above; ``$$`` is one ``$``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

_REFERENCE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-+])(?P<word>[^{}]*))?\})",
    re.ASCII,
)
_VALUE = re.compile(r"\s*(?:export\s+)?(?:'[^']+'|[^=\#\s]+)\s*=[^\S\r\n]*(?P<quote>['\"]?)")


def read_dotenv(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables of a ``.env`` file; empty where there is no such file.

    Parameters
    ----------
    path : Path
    environment : mapping
        Variables that references may name, and that go before the file's own.

    Raises
    ------
    UnicodeDecodeError
        If it is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        return {}
    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.key is not None and binding.value is not None:
            found[binding.key] = _value(binding, {**found, **environment})
    return found


def _value(binding: Binding, known: Mapping[str, str]) -> str:
    value = binding.value or ""
    match = _VALUE.match(binding.original.string)
    quote = match["quote"] if match else ""
    if quote == "'" and match is not None:
        # The parser reads escapes here, of which Compose knows one.
        written = binding.original.string[match.end() :]
        return written[: written.rindex("'")].replace(r"\'", "'")
    if quote == '"':
        # The parser keeps this escape, which belongs to Compose.
        value = value.replace(r"\$", "$$")
    return _REFERENCE.sub(lambda reference: _replaced(reference, known), value)


def _replaced(reference: re.Match[str], known: Mapping[str, str]) -> str:
    if reference["escaped"]:
        return "$"
    name = reference["plain"] or reference["name"]
    operator, word = reference["operator"] or "", reference["word"] or ""
    value = known.get(name)
    is_set = value is not None and (value != "" or ":" not in operator)
    if operator.endswith("+"):
        return word if is_set else ""
    if operator.endswith("-") and not is_set:
        return word
    return value or ""
