"""Times as files write them: which format it is, and whole columns of it at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from exporter.history.importing.arrow_arrays import to_arrow, to_numpy, with_validity

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_UNIX = {10: "unix_s", 13: "unix_ms", 16: "unix_us", 19: "unix_ns"}
_PER_MS = {"unix_s": None, "unix_ms": 1, "unix_us": 1000, "unix_ns": 1_000_000}
_LARGEST_SECONDS = 1e11
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
_ISO = rf"\d{{4}}-\d\d-\d\d([ T]{_CLOCK})?"
_ISO_ZONED = rf"\d{{4}}-\d\d-\d\d[ T]{_CLOCK}(Z|[+-]\d\d(:?\d\d)?)"
_FORMS: tuple[tuple[str, str], ...] = (
    ("iso", _ISO),
    ("iso_zoned", _ISO_ZONED),
    ("%d.%m.%Y %H:%M:%S", r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d:\d\d"),
    ("%d.%m.%Y %H:%M", r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d"),
    ("%d.%m.%y %H:%M:%S", r"\d{1,2}\.\d{1,2}\.\d{2} \d{1,2}:\d\d:\d\d"),
    ("%d.%m.%y %H:%M", r"\d{1,2}\.\d{1,2}\.\d{2} \d{1,2}:\d\d"),
    ("%d.%m.%Y %H:%M:%S.%f", r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d:\d\d[.,]\d{1,9}"),
    ("%Y/%m/%d %H:%M:%S", r"\d{4}/\d{1,2}/\d{1,2} \d{1,2}:\d\d:\d\d"),
    ("%Y/%m/%d %H:%M", r"\d{4}/\d{1,2}/\d{1,2} \d{1,2}:\d\d"),
    ("%Y%m%d%H%M%S", r"20\d{12}"),
    ("%Y%m%d %H:%M:%S", r"20\d{6} \d\d:\d\d:\d\d"),
)
_SLASHED = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2}) (\d{1,2}:\d\d(?::\d\d)?)( ?[AaPp][Mm])?\Z"
)
_FIELDS = {"%d": r"(?P<d>\d{1,2})"}
_ALLOWED = "dmyYHMSIpbBjf"


class TimeFormatError(ValueError):
    """Times whose format cannot be told, or a format that cannot be used."""


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """One way of writing times.

    Attributes
    ----------
    form : str
        ``iso``, ``iso_zoned``, ``unix_s``, ``unix_ms``, ``unix_us``, ``unix_ns``, or a format of
        ``strptime``.
    """

    form: str

    @property
    def is_local(self) -> bool:
        """Whether it needs a time zone."""
        return self.form != "iso_zoned" and not self.form.startswith("unix")


def named_format(text: str) -> TimeFormat:
    """The format that a person names.

    Raises
    ------
    TimeFormatError
    """
    if text in ("iso", "iso_zoned", *_PER_MS):
        return TimeFormat(text)
    letters = re.findall(r"%(.)", text)
    if not letters or set(letters) - set(_ALLOWED):
        raise TimeFormatError(
            f"{text!r} is not a time format; expected iso, {', '.join(_PER_MS)}, or one such as "
            f"'%d.%m.%Y %H:%M:%S', of %{' %'.join(_ALLOWED)}"
        )
    if "f" in letters and not text.endswith((".%f", ",%f")):
        raise TimeFormatError(f"{text!r}: %f is understood at the end only, after . or ,")
    return TimeFormat(text)


def detect(samples: list[str]) -> TimeFormat | None:
    """The one format that nearly all samples are written in; None if there is none.

    Raises
    ------
    TimeFormatError
        If day and month cannot be told apart.
    """
    samples = [s.strip() for s in samples if s.strip()]
    if not samples:
        return None
    enough = 0.8 * len(samples)
    for length, form in _UNIX.items():
        pattern = re.compile(rf"[12]\d{{{length - 1}}}(?:\.\d+)?")
        if sum(bool(pattern.fullmatch(s)) for s in samples) >= enough:
            return TimeFormat(form)
    for form, pattern_text in _FORMS:
        pattern = re.compile(pattern_text)
        if sum(bool(pattern.fullmatch(s)) for s in samples) >= enough:
            return TimeFormat(form)
    # A column of which some have seconds and some have not, in one of the forms above.
    if sum(bool(re.fullmatch(_ISO, s)) for s in samples) >= enough:
        return TimeFormat("iso")
    return _slashed(samples, enough)


def _slashed(samples: list[str], enough: float) -> TimeFormat | None:
    found = [m for s in samples if (m := _SLASHED.fullmatch(s))]
    if len(found) < enough:
        return None
    first = any(int(m[1]) > 12 for m in found)
    second = any(int(m[2]) > 12 for m in found)
    year = "%Y" if len(found[0][3]) == 4 else "%y"
    hours = "%I" if found[0][5] else "%H"
    clock = f"{hours}:%M:%S" if found[0][4].count(":") == 2 else f"{hours}:%M"
    half = "" if not found[0][5] else " %p" if found[0][5].startswith(" ") else "%p"
    by_day, by_month = (f"{date}{year} {clock}{half}" for date in ("%d/%m/", "%m/%d/"))
    if first == second:
        raise TimeFormatError(
            f"whether {samples[0]!r} begins with the day or the month cannot be told; say it with "
            f"--time-format '{by_day}' or '{by_month}'"
        )
    return TimeFormat(by_day if first else by_month)


def parse(strings: Any, time_format: TimeFormat) -> tuple[Ints, Bools]:
    """A column of times.

    Parameters
    ----------
    strings : pyarrow string array of length n
    time_format : TimeFormat

    Returns
    -------
    milliseconds : (n,) int64
        Since 1970-01-01, of UTC or of the local wall clock (``time_format.is_local``); 0 where it
        cannot be read.
    readable : (n,) bool
    """
    strings = pc.utf8_trim_whitespace(strings)
    form = time_format.form
    if form.startswith("unix"):
        return _unix(strings, form)
    if form == "iso":
        made = _cast(strings, pa.timestamp("ns"), f"^{_ISO}$")
    elif form == "iso_zoned":
        made = _cast(strings, pa.timestamp("ns", "UTC"), f"^{_ISO_ZONED}$")
    else:
        return _strptime(strings, form)
    nanoseconds, readable = with_validity(made.cast(pa.int64()))
    return nanoseconds // 1_000_000, readable


def _unix(strings: Any, form: str) -> tuple[Ints, Bools]:
    per = _PER_MS[form]
    if per is None:
        pattern = r"^\d{1,12}(\.\d+)?$"
        seconds, readable = with_validity(_cast(strings, pa.float64(), pattern))
        readable &= np.abs(seconds) < _LARGEST_SECONDS
        return np.round(np.where(readable, seconds, 0.0) * 1000).astype(np.int64), readable
    whole, readable = with_validity(_cast(strings, pa.int64(), r"^\d{1,19}$"))
    return whole // per, readable


def _strptime(strings: Any, form: str) -> tuple[Ints, Bools]:
    fraction: NDArray[np.float64] | None = None
    if form.endswith((".%f", ",%f")):
        parts = pc.extract_regex(strings, r"^(?P<t>.*)[.,](?P<f>\d{1,9})$")
        strings = pc.struct_field(parts, "t")
        digits = _cast(
            pc.binary_join_element_wise("0.", pc.struct_field(parts, "f"), ""),
            pa.float64(),
            r"^0\.\d+$",
        )
        fraction, _ = with_validity(digits)
        form = form[:-3]
    made = pc.strptime(strings, format=form, unit="s", error_is_null=True)
    seconds, readable = with_validity(made.cast(pa.int64()))
    if "%d" in form:
        readable &= _day_exists(strings, seconds, readable, form)
    milliseconds = seconds * 1000
    if fraction is not None:
        milliseconds = milliseconds + np.floor(fraction * 1000 + 1e-9).astype(np.int64)
    return milliseconds, readable


def _day_exists(strings: Any, seconds: Ints, readable: Bools, form: str) -> Bools:
    """False for a 30th of February, which the C library takes for the 1st or 2nd of March."""
    exists = np.ones(seconds.size, bool)
    days = seconds.astype("datetime64[s]").astype("datetime64[D]")
    day = (days - days.astype("datetime64[M]")).astype(int) + 1
    suspects = np.flatnonzero(readable & (day <= 3))
    if suspects.size:
        pattern = re.escape(form).replace("\\%", "%").replace("%d", r"(?P<d>\d{1,2})", 1)
        pattern = re.sub(r"%(.)", lambda m: r"[^0-9]+" if m[1] in "bBp" else r"\d{1,4}", pattern)
        # RE2 reads an escaped blank as a mistake.
        pattern = pattern.replace("\\ ", " ").replace("\\/", "/").replace("\\:", ":")
        written = pc.struct_field(
            pc.extract_regex(strings.take(to_arrow(suspects)), f"^{pattern}"), "d"
        )
        number, _ = with_validity(_cast(written, pa.int64(), r"^\d+$"))
        exists[suspects] = number == day[suspects]
    return exists


def _cast(strings: Any, kind: Any, pattern: str) -> Any:
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


def numbers(strings: Any, decimal: str) -> tuple[NDArray[np.float64], Bools, Bools]:
    """A column of numbers.

    Returns
    -------
    values : (n,) float64
        NaN where there is none.
    missing, wrong : (n,) bool
        Nothing written (empty, ``null``, ``NaN``, ``NA``, ``-``), and not a number.
    """
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    strings = pc.utf8_trim_whitespace(strings)
    if decimal == ",":
        pointed = pc.fill_null(pc.match_substring(strings, "."), False)
        strings = pc.if_else(
            pointed, pa.scalar("x"), pc.replace_substring(strings, ",", ".", max_replacements=1)
        )
    else:
        pointed = None
    made = _cast(strings, pa.float64(), r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?$")
    read, valid = with_validity(made)
    values = np.where(valid, read, np.nan)
    missing = np.zeros(values.size, bool)
    wrong = ~np.isfinite(values)
    if wrong.any():
        where = np.flatnonzero(wrong)
        rest = pc.utf8_lower(strings.take(to_arrow(where)))
        empty = pc.is_in(rest, value_set=pa.array(["", "null", "nan", "na", "n/a", "none", "-"]))
        missing[where] = to_numpy(pc.fill_null(empty, True))
        wrong &= ~missing
        values[wrong] = np.nan
    return values, missing, wrong
