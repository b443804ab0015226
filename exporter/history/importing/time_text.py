"""Times as people and devices spell them, brought to the spelling that a format can read.

Each rule is a regular expression that Python and RE2 read alike, so that a sample and a whole
column go the same way.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from exporter.history.importing.arrow_arrays import to_numpy

FIRST, SECOND, UNKNOWN = 0, 1, 2
"""Passes of the hour that the clock shows twice."""
_LETTER_OF_PASS = {"A": FIRST, "S": FIRST, "B": SECOND, "W": SECOND}
_MIDNIGHT = r"(^|[^\d:.])24([:.h]?)00((?:[:.]?00)?)([^\d]|$)"
_MONTHS = {
    **{"jän": "Jan", "januar": "Jan", "janvier": "Jan", "februar": "Feb", "märz": "Mar"},
    **{"mär": "Mar", "mrz": "Mar", "maerz": "Mar", "mai": "May", "juni": "Jun", "juli": "Jul"},
    **{"okt": "Oct", "oktober": "Oct", "dez": "Dec", "dezember": "Dec", "sept": "Sep"},
}
_RULES: tuple[tuple[str, str], ...] = (
    (r"[\s\x{a0}\x{202f}\x{2009}]+", " "),
    (r"^[ '\"=]+|[ '\"]+$", ""),
    (r"(\d) ?[aA]\.? ?[mM]\.?$", r"\1 AM"),
    (r"(\d) ?[pP]\.? ?[mM]\.?$", r"\1 PM"),
    (r" ?(?:Uhr|hrs|h)$", ""),
    # A weekday in front.
    (r"^(?:[MmFf][oir]|[Dd][io]|[Ss][aou]|[Tt][uh]|[Ww]e)[a-z]{0,8}\.?,? (\w)", r"\1"),
    # Of an interval the beginning; a dash with a blank on one side only begins an offset.
    (r"(\d)(?: - | ?– ?| bis | to )\d{1,2}[:.]\d\d(?:[:.]\d\d)?$", r"\1"),
    (r"(\d\d:\d\d:\d\d),(\d)", r"\1.\2"),
    (r"(\d),? (\d{1,2}:\d\d)", r"\1 \2"),
)


_TIGHT_INTERVAL = (r"(:\d\d)-\d{1,2}:\d\d(?::\d\d)?$", r"\1")
"""An interval without blanks, which looks like an offset."""


def _for_python(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda m: chr(int(m[1], 16)), pattern))


_PYTHON_RULES = tuple((_for_python(p), new) for p, new in _RULES)
_PYTHON_MIDNIGHT = re.compile(_MIDNIGHT)
_PYTHON_LETTER = re.compile(r"(\d)[ ]?([ABSW])(?=$|:\d\d(?::\d\d)?$)")
_NAME = re.compile(r"[A-Za-zÄÖÜäöüé]{3,9}")


def plain(text: str, *, intervals: bool = False) -> str:
    """One time in the usual spelling: without weekday, letter of a pass, and ``24:00``.

    With ``intervals``, ``00:00-00:15`` is the interval and not an offset.
    """
    for pattern, new in _PYTHON_RULES:
        text = pattern.sub(new, text)
    if intervals:
        text = re.sub(*_TIGHT_INTERVAL, text)
    text = _PYTHON_LETTER.sub(r"\1", text)
    text = _PYTHON_MIDNIGHT.sub(r"\g<1>00\g<2>00\3\4", text)
    return _NAME.sub(lambda m: _MONTHS.get(m[0].lower(), m[0]), text)


def plain_column(
    strings: Any, *, intervals: bool
) -> tuple[Any, NDArray[np.bool_], NDArray[np.int64]]:
    """A column in the usual spelling.

    Parameters
    ----------
    strings : pyarrow string array of length n
    intervals : bool
        Whether ``00:00-00:15`` is an interval.

    Returns
    -------
    strings : pyarrow string array of length n
    next_day : (n,) bool
        Rows that said ``24:00`` and now say ``00:00`` of the same day.
    passes : (n,) int64
        Which pass of a repeated hour a letter named; :data:`UNKNOWN` without one.
    """
    for pattern, new in (*_RULES, *([_TIGHT_INTERVAL] if intervals else [])):
        strings = pc.replace_substring_regex(strings, pattern, new)
    passes = np.full(len(strings), UNKNOWN)
    lettered = to_numpy(
        pc.fill_null(pc.match_substring_regex(strings, r"\d ?[ABSW](?:$|:\d\d)"), False)
    )
    if lettered.any():
        letters = pc.struct_field(
            pc.extract_regex(strings, r"\d ?(?P<letter>[ABSW])(?:$|:\d\d)"), "letter"
        ).to_pylist()
        passes = np.array([_LETTER_OF_PASS.get(x or "", UNKNOWN) for x in letters], np.int64)
        strings = pc.replace_substring_regex(strings, r"(\d) ?[ABSW]$", r"\1")
        strings = pc.replace_substring_regex(strings, r"(\d) ?[ABSW](:\d\d(?::\d\d)?)$", r"\1\2")
    next_day = to_numpy(pc.fill_null(pc.match_substring_regex(strings, _MIDNIGHT), False))
    if next_day.any():
        strings = pc.replace_substring_regex(strings, _MIDNIGHT, r"\100\200\3\4")
    named = to_numpy(pc.fill_null(pc.match_substring_regex(strings, r"[A-Za-zÄä]{3,9}"), False))
    if named.any():
        coded = strings.dictionary_encode()
        words = [
            _NAME.sub(lambda m: _MONTHS.get(m[0].lower(), m[0]), t or "")
            for t in coded.dictionary.to_pylist()
        ]
        strings = pa.array(words, pa.string()).take(coded.indices)
    return strings, next_day, passes
