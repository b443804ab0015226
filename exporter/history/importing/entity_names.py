"""Names of things within longer names: the cell in ``sensor.jk_bms_cell_voltage_7``."""

from __future__ import annotations

import re

from exporter.history.importing.name_pattern import is_name

_NUMBER_AT_END = re.compile(r"(.*?[^0-9])0*(\d+)")
_SHOWN = 4


class EntityNameError(ValueError):
    """Names of several kinds in one column; the text shows the lines for the mapping file."""


def entity_pattern(placeholder: str, texts: set[str]) -> str | None:
    """The pattern that all texts of a column follow; None if each is a name by itself.

    Parameters
    ----------
    placeholder : str
        What the pattern is to find, such as ``cell``.
    texts : set of str

    Raises
    ------
    EntityNameError
        If the texts follow several patterns: then one must be chosen.
    """
    whole = {text.strip() for text in texts if text.strip()}
    odd = {text for text in whole if not is_name(placeholder, text.removesuffix(".0"))}
    if not odd or len(odd) < len(whole):
        return None
    stems: dict[str, int] = {}
    for text in odd:
        match = _NUMBER_AT_END.fullmatch(text)
        named = match is not None and any(letter.isalpha() for letter in match[1])
        stem = f"{match[1]}{{{placeholder}}}" if match and named else text
        stems[stem] = stems.get(stem, 0) + 1
    numbered = [stem for stem in stems if "{" in stem]
    if len(stems) == 1 and numbered:
        return numbered[0]
    if not numbered:
        return None
    shown = sorted(numbered, key=lambda stem: -stems[stem])[:_SHOWN]
    raise EntityNameError(
        f"its rows are of several kinds: {', '.join(shown)}; choose one with names: "
        f"{{{placeholder}: '{shown[0]}'}} in the mapping; rows of other kinds are left out"
    )
