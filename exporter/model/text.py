"""Texts that every face of the service writes alike."""

from __future__ import annotations

import re

# Controls, halves of characters, line separators, and marks that turn the direction of writing.
_NOT_PLAIN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)

# Where a spreadsheet begins a cell: at the start, and after what some locales separate cells by.
_FORMULA = re.compile(r"(?:^|(?<=[;\t\r\n|]))(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r])")


def duration_words(seconds: float) -> str:
    """A time span in words: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def without_age(sentence: str, seconds: float | None) -> str:
    """The sentence of an issue without its age, for where the length of the issue is given too.

    Parameters
    ----------
    sentence : str
        As of the moment when it was last written.
    seconds : float or None
        Value of the issue; the age, where the sentence gives one.
    """
    if seconds is None:
        return sentence
    age = f"for {duration_words(seconds)}"
    return sentence.replace(f" ({age})", "").replace(f" {age}", "")


def sites_word(count: int) -> str:
    """``1 site``, ``3 sites``."""
    return f"{count} site" if count == 1 else f"{count} sites"


def plain_line(text: str) -> str:
    """Text of a stranger on one line, free of whatever forges lines, moves a cursor, reverses what
    follows, or cannot be encoded; each such character becomes ``?``."""
    if text.isascii() and text.isprintable():
        return text
    return _NOT_PLAIN.sub("?", text)


def spreadsheet_cell(text: str) -> str:
    """A text for a CSV file: what a spreadsheet would run as a formula gets an apostrophe."""
    return _FORMULA.sub("'", text)
