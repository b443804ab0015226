"""Numbers as files write them: the marks of a column, decided over all of it, and its values.

A column has one decimal mark. ``1.002`` may be 1,002 or 1.002: what else the column holds decides,
and where it does not, nobody but the owner of the file can.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from exporter.history.importing.arrow_arrays import to_arrow, to_numpy, with_validity

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MARKS = (".", ",")
OTHER_MARK = {".": ",", ",": "."}
EMPTY = (
    *("", "null", "nan", "na", "n/a", "none", "-", "--", "---", "unavailable", "unknown", "nil"),
    *("#n/a", "#nv", "n.a.", "k.a.", "k. a.", "\\n", "<null>", "(null)", "no data", "?", "."),
)
"""Written, in lower case, where there is no value."""
_PLAIN = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?$"
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u2014": "-", "\ufe63": "-", "\uff0d": "-"})
_BLANKS = re.compile(r"(?<=\d)[\s\u00a0\u2007\u2009\u202f'\u2019\u02bc](?=\d{3}(?!\d))")
_SIGN_BEHIND = re.compile(r"([\d.,]+)\s*-")
_IN_BRACKETS = re.compile(r"\(([\d.,]+)\)")
_SPREADSHEET = re.compile(r"""=?"(.*)"|'(.*)""")
_SUFFIX = re.compile(r"(.*[\d.,)])\s*([A-Za-zµμ°ºΩ%][A-Za-z°%/]{0,4})")
_EXPONENT = re.compile(r"(.*)([eE][-+]?\d{1,3})")
# Groups of three, or of two behind the first three as in India.
_GROUPED = {
    mark: re.compile(
        rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+|\d{{1,2}}(?:{re.escape(mark)}\d\d)+{re.escape(mark)}\d{{3}}"
    )
    for mark in MARKS
}
_ONE_MARK = re.compile(r"[-+]?\d+([.,])\d+")
_ONE_GROUP = {mark: re.compile(rf"[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}") for mark in MARKS}


def cleaned(text: str) -> tuple[str, str]:
    """A number without signs and blanks of other kinds, and the unit behind it.

    ``"4 660,5- kW"`` becomes ``"-4660,5"`` and ``"kW"``. What is no number comes back as it is.
    """
    text = text.strip().translate(_MINUS)
    quoted = _SPREADSHEET.fullmatch(text)
    if quoted:
        text = (quoted[1] or quoted[2] or "").strip()
    unit = ""
    found = _SUFFIX.fullmatch(text)
    if found and not _EXPONENT.fullmatch(text):
        text, unit = found[1], found[2]
    text = _BLANKS.sub("", text)
    behind = _SIGN_BEHIND.fullmatch(text) or _IN_BRACKETS.fullmatch(text)
    if behind:
        text = "-" + behind[1]
    if text[:2] in ("- ", "+ "):
        text = text[0] + text[2:].lstrip()
    return text, unit


def as_float(text: str, decimal: str) -> float | None:
    """A cleaned number with that decimal mark; None if it is none.

    The other mark may divide thousands, in groups of three; never behind the decimal mark.
    """
    exponent = ""
    found = _EXPONENT.fullmatch(text)
    if found:
        text, exponent = found[1], found[2]
    sign, digits = (text[0], text[1:]) if text[:1] in ("-", "+") else ("", text)
    whole, mark, fraction = digits.partition(decimal)
    other = OTHER_MARK[decimal]
    if other in whole:
        if not _GROUPED[other].fullmatch(whole):
            return None
        whole = whole.replace(other, "")
    if not (whole + fraction).isascii() or not (whole + fraction).isdigit():
        return None
    return float(f"{sign}{whole or '0'}{'.' if mark else ''}{fraction}{exponent}")


@dataclass(frozen=True, slots=True)
class Example:
    """A field of a file, to show."""

    line: int
    text: str


@dataclass(slots=True)
class NumberEvidence:
    """What the fields of a column say about its decimal mark.

    Attributes
    ----------
    proofs : mapping of mark to Example
        A field that can only be read with this decimal mark.
    either : mapping of mark to Example
        A field such as ``1.002``, which this mark divides in two ways.
    trailing_zeros : set of str
        Marks behind which the last digit was 0 once.
    whole, thousands : bool
        Whether a number without any mark was seen, and one of 1,000 or more.
    units : dict of str to int
        What stood behind numbers, and how often.
    count : int
        Numbers seen.
    """

    proofs: dict[str, Example] = field(default_factory=dict)
    either: dict[str, Example] = field(default_factory=dict)
    trailing_zeros: set[str] = field(default_factory=set)
    whole: bool = False
    thousands: bool = False
    units: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def add(self, line: int, written: str) -> bool:
        """Take note of a field.

        Returns
        -------
        bool
            Whether it became an example.
        """
        plain = _ONE_MARK.fullmatch(written)
        if plain is not None and plain[1] in self.proofs:
            self.count += 1
            return False
        known = len(self.proofs), len(self.either)
        self._add(line, written)
        return known != (len(self.proofs), len(self.either))

    def number_examples(self, line: int) -> None:
        """Give the examples that came without a line this one."""
        for examples in (self.proofs, self.either):
            for mark, example in examples.items():
                if not example.line:
                    examples[mark] = replace(example, line=line)

    def _add(self, line: int, written: str) -> None:
        text, unit = cleaned(written)
        body = _EXPONENT.fullmatch(text)
        digits = (body[1] if body else text).lstrip("+-")
        if not digits or not set(digits) <= set("0123456789.,"):
            return
        self.count += 1
        if unit:
            self.units[unit] = self.units.get(unit, 0) + 1
        marks = [c for c in digits if c in MARKS]
        if not marks:
            self.whole = True
            self.thousands |= len(digits) > 3
            return
        last = marks[-1]
        if len(marks) > 1:
            # One kind of mark several times divides thousands; of two kinds the last is decimal.
            mark = last if marks.count(last) == 1 else OTHER_MARK[last]
            if as_float(digits, mark) is not None:
                self.proofs.setdefault(mark, Example(line, written.strip()))
            return
        if not body and _ONE_GROUP[last].fullmatch(digits):
            self.either.setdefault(last, Example(line, written.strip()))
            if digits.endswith("0"):
                self.trailing_zeros.add(last)
        elif digits != last:
            self.proofs.setdefault(last, Example(line, written.strip()))

    def merge(self, other: NumberEvidence) -> None:
        """Add what another file says."""
        self.proofs = {**other.proofs, **self.proofs}
        self.either = {**other.either, **self.either}
        self.trailing_zeros |= other.trailing_zeros
        self.whole |= other.whole
        self.thousands |= other.thousands
        self.count += other.count
        for unit, count in other.units.items():
            self.units[unit] = self.units.get(unit, 0) + count

    def unread(self) -> tuple[str, Example] | None:
        """The mark of a field with two readings, where nothing decides between them."""
        if self.proofs or len(self.either) != 1 or self.thousands:
            return None
        ((mark, example),) = self.either.items()
        return mark, example


class NumberDialectError(ValueError):
    """A column whose decimal mark cannot be known; the text shows the readings and the option."""


def decide(
    evidence: NumberEvidence, separator: str, fits: Callable[[float], bool] | None = None
) -> str | None:
    """The decimal mark of a column; None where the fields leave two readings open.

    Parameters
    ----------
    evidence : NumberEvidence
    separator : str
        Between fields. Who separates them by commas writes decimal points; by semicolons, decimal
        commas.
    fits : callable, optional
        Whether a value as it stands in the file lies within physics.

    Raises
    ------
    NumberDialectError
        If one field proves the comma and another one the point.
    """
    if len(evidence.proofs) == 2:
        comma, point = evidence.proofs[","], evidence.proofs["."]
        raise NumberDialectError(
            f"its numbers have a decimal comma in line {comma.line} ({comma.text}) and a decimal "
            f"point in line {point.line} ({point.text}); say --decimal , or --decimal . and the "
            "others become bad rows"
        )
    if evidence.proofs:
        return next(iter(evidence.proofs))
    if not evidence.either:
        return "."
    if len(evidence.either) == 2:
        return None
    ((mark, example),) = evidence.either.items()
    if evidence.thousands:
        return mark  # 1000 without a mark: thousands have none here
    usual = separator == {".": ",", ",": ";"}[mark]
    # Zeros at the end are written by those who write all digits, also of a whole number.
    if usual and not (evidence.whole and mark in evidence.trailing_zeros):
        return mark
    if fits is not None:
        text, _ = cleaned(example.text)
        small, large = as_float(text, mark), as_float(text, OTHER_MARK[mark])
        assert small is not None  # it matched the pattern of both
        assert large is not None
        if fits(small) != fits(large):
            return mark if fits(small) else OTHER_MARK[mark]
    return None


def two_readings(example: Example) -> str:
    """The question that a field such as ``1.002`` leaves open."""
    text, _ = cleaned(example.text)
    mark = "," if "," in text else "."
    small, large = as_float(text, mark), as_float(text, OTHER_MARK[mark])
    return (
        f"{example.text} in line {example.line} may be {small:,.10g} or {large:,.10g}, and nothing "
        f"else in the column decides it; say --decimal {mark} for {small:,.10g} or --decimal "
        f"{OTHER_MARK[mark]} for {large:,.10g}"
    )


def numbers(strings: Any, decimal: str, unit: str = "") -> tuple[Floats, Bools, Bools]:
    """A column of numbers.

    Parameters
    ----------
    strings : pyarrow string array of length n
    decimal : str
        ``.`` or ``,``; the other one may divide thousands.
    unit : str
        What may stand behind a number, and says nothing new.

    Returns
    -------
    values : (n,) float64
        NaN where there is none.
    missing, wrong : (n,) bool
        Nothing written (:data:`EMPTY`), and not a number.
    """
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    strings = pc.utf8_trim_whitespace(strings)
    plain = strings
    if decimal == ",":
        pointed = pc.fill_null(pc.match_substring(strings, "."), False)
        plain = pc.if_else(
            pointed, pa.scalar("x"), pc.replace_substring(strings, ",", ".", max_replacements=1)
        )
    read, valid = with_validity(cast(plain, pa.float64(), _PLAIN))
    values = np.where(valid, read, np.nan)
    missing = np.zeros(values.size, bool)
    wrong = ~np.isfinite(values)
    if wrong.any():
        where = np.flatnonzero(wrong)
        lower = pc.utf8_lower(strings.take(to_arrow(where)))
        missing[where] = to_numpy(pc.fill_null(pc.is_in(lower, value_set=pa.array(EMPTY)), True))
        wrong &= ~missing
        values[wrong] = np.nan
        _read_others(strings, values, wrong, decimal, unit)
    return values, missing, wrong


def _read_others(strings: Any, values: Floats, wrong: Bools, decimal: str, unit: str) -> None:
    """Read numbers with thousands, other signs or a unit, each of their spellings once."""
    where = np.flatnonzero(wrong)
    if not where.size:
        return
    coded = strings.take(to_arrow(where)).dictionary_encode()
    read = np.full(len(coded.dictionary), np.nan)
    for place, written in enumerate(coded.dictionary.to_pylist()):
        text, behind = cleaned(written or "")
        if behind and behind.casefold() != unit.casefold():
            continue
        value = as_float(text, decimal)
        if value is not None and np.isfinite(value):
            read[place] = value
    found = read[to_numpy(coded.indices.cast(pa.int64()))]
    values[where] = found
    wrong[where] = np.isnan(found)


def cast(strings: Any, kind: Any, pattern: str) -> Any:
    """Strings as another type, null where they cannot be; fast as long as all can."""
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    try:
        return strings.cast(kind)
    except pa.ArrowInvalid:
        fits = pc.fill_null(pc.match_substring_regex(strings, pattern), False)
        strings = pc.if_else(fits, strings, None)
    return _cast_halves(strings, kind)


def _cast_halves(strings: Any, kind: Any) -> Any:
    """Narrow down to the few strings that look right and are not, such as a 30th of February."""
    try:
        return strings.cast(kind)
    except pa.ArrowInvalid:
        if len(strings) == 1:
            return pa.nulls(1, kind)
        half = len(strings) // 2
        return pa.concat_arrays(
            [_cast_halves(strings[:half], kind), _cast_halves(strings[half:], kind)]
        )
