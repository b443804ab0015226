"""Times as files write them: which format a column has, and whole columns of it at once."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from exporter.history.importing.arrow_arrays import to_arrow, to_numpy, with_validity
from exporter.history.importing.number_dialect import cast
from exporter.history.importing.time_text import UNKNOWN, plain, plain_column
from exporter.history.importing.zone_names import OF_SEVERAL_ZONES, offset_ms

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_UNIX = {10: "unix_s", 13: "unix_ms", 16: "unix_us", 19: "unix_ns"}
_PER_MS = {"unix_s": None, "unix_ms": 1, "unix_us": 1000, "unix_ns": 1_000_000}
_NAMED = ("iso", "iso_zoned", *_PER_MS, "excel")
_EXCEL_EPOCH_DAYS = 25_569
_EXCEL_DAYS = (32_874, 73_051)  # 1990 to 2100
_DAY_MS = 86_400_000
_YEAR_2000_MS = 946_684_800_000
_LARGEST_SECONDS = 1e11
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
_ISO = rf"\d{{4}}-\d\d-\d\d([ T]{_CLOCK})?"
_ISO_ZONED = rf"\d{{4}}-\d\d-\d\d[ T]{_CLOCK}(Z|[+-]\d\d(:?\d\d)?)"
_DATE = (
    r"(?P<ymd>\d{4}(?P<s1>[-/.])\d{1,2}(?P=s1)\d{1,2})"
    r"|(?P<compact>20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    r"|(?P<triple>\d{1,2}(?P<s2>[-/.])\d{1,2}(?P=s2)(?:\d{4}|\d\d))"
    r"|(?P<dby>\d{1,2}(?P<s3>\. ?|[- /])(?P<month>[A-Za-z]{3,9})(?P<s4>\.? |[-/])(?:\d{4}|\d\d))"
    r"|(?P<bdy>[A-Za-z]{3,9}\.? \d{1,2}(?P<s5>,? )\d{4})"
)
_SHAPE = re.compile(
    rf"(?:{_DATE})(?:(?P<join>T|,? ?| - |_|-|;)"
    r"(?P<clock>\d{1,2}(?P<c>[:.h])\d\d(?:(?P=c)\d\d(?P<fraction>[.,]\d{1,9})?)?|\d{6}|\d{4})"
    r"(?P<half> ?[AP]M)?)?"
    r"(?P<zone> ?(?:Z|\(?(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?\)?| \(?[A-Z]{2,5}\)?))?"
)
_ZONE = r"Z|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?|[A-Z]{2,5}"
_ZONE_BEHIND = rf"^(?P<time>.*(?:\d|\d ?[AP]M)) ?\(?(?P<zone>{_ZONE})\)?$"
_ALLOWED = "dmyYHMSIpbBjf"
_ENOUGH = 0.8
_SHOWN_SAMPLES, _MOST_OFFSETS = 50, 3
_SHORTEST_TIME, _LONGEST_TIME = 6, 64
_USUAL_TIME = re.compile(
    rf"{_ISO}|{_ISO_ZONED}|\d\d\.\d\d\.\d{{4}} \d\d:\d\d(?::\d\d)?"
    r"|[12]\d{9}(?:\d{3}|\d{6}|\d{9})?(?:[.,]\d+)?"
)
_USUAL_NUMBER = re.compile(r"[-+]?\d{1,7}(?:[.,]\d+)?")
_LONGEST_STEP_DAYS, _MONTH_STEP_DAYS = 2, 27


class TimeFormatError(ValueError):
    """Times whose format cannot be known, or a format that cannot be used."""


class OpenOrderError(TimeFormatError):
    """Times whose day and month may be exchanged; ``options`` are the formats that fit."""

    def __init__(self, samples: Sequence[str], options: Sequence[TimeFormat]) -> None:
        self.options = tuple(options)
        # One that the formats read as different days shows what is asked.
        sample = next(
            (s for s in samples if len({read_one(s, option) for option in options}) > 1),
            samples[0],
        )
        readings = " or ".join(
            f"{read_one(sample, option)} (--time-format '{option.said}')" for option in options
        )
        super().__init__(
            f"whether {sample!r} begins with the day or the month cannot be known; it may be "
            f"{readings}"
        )


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """One way of writing times.

    Attributes
    ----------
    form : str
        ``iso``, ``iso_zoned``, ``unix_s``, ``unix_ms``, ``unix_us``, ``unix_ns``, ``excel`` (days
        since 1900), or a format of ``strptime``.
    zoned : bool
        Whether an offset or the abbreviation of a zone stands behind it.
    timezone : str or None
        The zone whose own abbreviations these are, such as CST of America/Chicago.
    utc : bool
        Whether the heading says that the times are of UTC.
    """

    form: str
    zoned: bool = False
    timezone: str | None = None
    utc: bool = False

    @property
    def said(self) -> str:
        """As :func:`named_format` takes it."""
        return f"{self.form} %Z" if self.zoned else self.form

    @property
    def is_local(self) -> bool:
        """Whether it needs a time zone."""
        local = self.form != "iso_zoned" and not self.form.startswith("unix")
        return local and not self.zoned and not self.utc


def named_format(text: str, timezone: str | None = None) -> TimeFormat:
    """The format that a person names; ``%Z`` at the end stands for a zone or an offset.

    Raises
    ------
    TimeFormatError
    """
    if text in _NAMED:
        return TimeFormat(text)
    zoned = text.endswith(("%Z", "%z"))
    form = text[:-2].rstrip() if zoned else text
    letters = re.findall(r"%(.)", form)
    if not letters or set(letters) - set(_ALLOWED):
        raise TimeFormatError(
            f"{text!r} is not a time format; expected {', '.join(_NAMED)}, or one such as "
            f"'%d.%m.%Y %H:%M:%S', of %{' %'.join(_ALLOWED)}, with %Z at the end for a zone"
        )
    if "f" in letters and not form.endswith((".%f", ",%f")):
        raise TimeFormatError(f"{text!r}: %f is understood at the end only, after . or ,")
    return TimeFormat(form, zoned, timezone if zoned else None)


def detect(samples: list[str], timezone: str | None = None) -> TimeFormat | None:
    """The one format that nearly all samples are written in; None if there is none.

    Raises
    ------
    OpenOrderError
        If day and month may be exchanged.
    TimeFormatError
        If the abbreviation of a zone stands for several.
    """
    samples = [s.strip() for s in samples if s.strip()]
    if not samples:
        return None
    enough = _ENOUGH * len(samples)
    some = samples[:: max(len(samples) // 5, 1)]
    for length, form in _UNIX.items():
        pattern = re.compile(rf"[12]\d{{{length - 1}}}(?:[.,]\d+)?")
        if _most(samples, some, pattern, enough):
            return TimeFormat(form)
    for form, pattern_text in (("iso", _ISO), ("iso_zoned", _ISO_ZONED)):
        if form == "iso_zoned" and _are_intervals(samples):
            continue
        if _most(samples, some, re.compile(pattern_text), enough):
            return TimeFormat(form)
    intervals = _are_intervals(samples)
    return _by_shape([plain(s, intervals=intervals) for s in samples], enough, timezone)


def _are_intervals(samples: list[str]) -> bool:
    """Whether what stands behind a dash is the end of an interval: an offset hardly changes."""
    ends = {s[-5:] for s in samples if re.search(r"\d-\d\d:\d\d$", s)}
    return len(ends) > _MOST_OFFSETS


def _most(samples: list[str], some: list[str], pattern: re.Pattern[str], enough: float) -> bool:
    """Whether enough samples follow a pattern; none of a few is a quick no."""
    if not any(pattern.fullmatch(s) for s in some):
        return False
    return sum(bool(pattern.fullmatch(s)) for s in samples) >= enough


@lru_cache(maxsize=65_536)
def looks_like_time(cell: str) -> bool:
    """Whether a cell holds a date, with or without a time of day, in any spelling."""
    text = cell.strip()
    if not _SHORTEST_TIME <= len(text) <= _LONGEST_TIME:
        return False
    if _USUAL_TIME.fullmatch(text):
        return True
    return not _USUAL_NUMBER.fullmatch(text) and _SHAPE.fullmatch(plain(text)) is not None


def _by_shape(samples: list[str], enough: float, timezone: str | None) -> TimeFormat | None:
    found: dict[tuple[TimeFormat, ...], int] = {}
    for sample in samples:
        options = _formats(sample, timezone)
        if options:
            found[options] = found.get(options, 0) + 1
    if not found:
        return None
    options = max(found, key=lambda key: found[key])
    # A few of them may lack what the others have, such as 24:00 or the seconds.
    if found[options] < enough:
        return None
    usual = [s for s in samples if _formats(s, timezone) == options]
    zone = re.search(r"[A-Z]{3,5}(?=\)?$)", usual[0])
    if options[0].zoned and zone and offset_ms(zone[0], timezone) is None:
        raise TimeFormatError(
            f"{zone[0]} of {usual[0]!r} is the abbreviation of several time zones; say --timezone "
            "America/Chicago or the like"
        )
    return _in_order(usual, options)


@lru_cache(maxsize=4096)
def _formats(sample: str, timezone: str | None) -> tuple[TimeFormat, ...]:
    """The formats that a sample may have, by its shape."""
    match = _SHAPE.fullmatch(sample)
    if match is None:
        return ()
    zone = (match["zone"] or "").strip(" ()")
    if zone and offset_ms(zone, timezone) is None and zone not in OF_SEVERAL_ZONES:
        return ()
    clock = _clock(match)
    if clock is None:
        return ()
    return tuple(
        TimeFormat(_iso_or(date + clock), bool(zone), timezone if zone else None)
        for date in _dates(match)
    )


def _iso_or(form: str) -> str:
    return "iso" if re.fullmatch(r"%Y-%m-%d([ T]%H:%M(:%S)?)?", form) else form


def _dates(match: re.Match[str]) -> list[str]:
    if match["ymd"]:
        return [match["s1"].join(("%Y", "%m", "%d"))]
    if match["compact"]:
        return ["%Y%m%d"]
    if match["triple"]:
        separator = match["s2"]
        year = "%Y" if len(match["triple"].split(separator)[2]) == 4 else "%y"
        orders = [("%d", "%m", year)]
        if separator != ".":
            orders.append(("%m", "%d", year))
            if year == "%y" and separator == "-":
                orders.append((year, "%m", "%d"))
        return [separator.join(order) for order in orders]
    month = "%b"
    if match["dby"]:
        year = "%Y" if match["dby"][-4:].isdecimal() else "%y"
        return [f"%d{match['s3']}{month}{match['s4']}{year}"]
    point = "." if "." in match["bdy"] else ""
    return [f"{month}{point} %d{match['s5']}%Y"]


def _clock(match: re.Match[str]) -> str | None:
    if not match["clock"]:
        return ""
    clock, mark, half = match["clock"], match["c"], match["half"]
    if mark is None:
        parts = ["%H", "%M", "%S"][: len(clock) // 2]
        form = "".join(parts)
    else:
        whole = clock.split(match["fraction"])[0] if match["fraction"] else clock
        form = mark.join(["%H", "%M", "%S"][: whole.count(mark) + 1])
        if match["fraction"]:
            form += ".%f"
    if half:
        form = form.replace("%H", "%I") + (" %p" if half.startswith(" ") else "%p")
    return (match["join"] or "") + form


def _in_order(samples: list[str], options: tuple[TimeFormat, ...]) -> TimeFormat:
    """Of formats that differ in the order of day, month and year, the one that all samples fit.

    Raises
    ------
    OpenOrderError
    """
    if len(options) == 1:
        return options[0]
    fitting = [
        (option, times)
        for option in options
        if (times := _times_within_reason(samples, option)) is not None
    ]
    steady = [option for option, times in fitting if _steady(times)]
    if (
        len(fitting) > 1
        and len(steady) == 1
        and all(option in steady or _leaps(times) for option, times in fitting)
    ):
        return steady[0]
    if len(fitting) == 1:
        return fitting[0][0]
    raise OpenOrderError(
        list(dict.fromkeys(samples))[:_SHOWN_SAMPLES], [option for option, _ in fitting] or options
    )


def _times_within_reason(samples: list[str], option: TimeFormat) -> Ints | None:
    """Milliseconds, if all samples are days between 2000 and tomorrow in that format."""
    times, readable, _ = parse(pa.array(samples), option)
    tomorrow = time.time() * 1000 + _DAY_MS
    within = (times > _YEAR_2000_MS) & (times < tomorrow)
    return times if readable.all() and within.all() else None


def _date_steps(times: Ints) -> Ints:
    """Days from each date to the next other one."""
    days = times // _DAY_MS
    steps = np.abs(np.diff(days))
    return steps[steps > 0]


def _steady(times: Ints) -> bool:
    steps = _date_steps(times)
    return bool(steps.size and steps.max() <= _LONGEST_STEP_DAYS)


def _leaps(times: Ints) -> bool:
    steps = _date_steps(times)
    return bool(steps.size and steps.min() >= _MONTH_STEP_DAYS)


def resolve_order(strings: Any, options: Sequence[TimeFormat]) -> tuple[TimeFormat, ...]:
    """Of formats with exchanged day and month, those that a whole column fits.

    One row that only one of them reads proves it, unless another row proves another one.

    Parameters
    ----------
    strings : pyarrow string array of length n
    options : sequence of TimeFormat
    """
    read, steady, leaping = [], [], []
    for option in options:
        times, readable, _ = parse(strings, option)
        read.append(readable)
        steady.append(_steady(times[readable]))
        leaping.append(_leaps(times[readable]))
    readers = np.sum(read, axis=0)
    proven = [n for n, readable in enumerate(read) if (readable & (readers == 1)).any()]
    fitting = proven or [n for n, readable in enumerate(read) if readable.any()]
    if len(fitting) > 1 and sum(steady[n] for n in fitting) == 1:
        one = next(n for n in fitting if steady[n])
        if all(n == one or leaping[n] for n in fitting):
            fitting = [one]
    return tuple(options[n] for n in fitting)


def read_one(text: str, time_format: TimeFormat) -> str:
    """A time as a format reads it: ``3 Apr 2024 01:00``."""
    times, readable, _ = parse(pa.array([text]), time_format)
    if not readable[0]:
        return "no time"
    moment = np.datetime64(int(times[0]), "ms").item()
    return f"{moment.day} {moment:%b %Y %H:%M}"


def parse(strings: Any, time_format: TimeFormat) -> tuple[Ints, Bools, Ints]:
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
    passes : (n,) int64
        Which pass of a repeated hour the text itself names; else
        :data:`~exporter.history.importing.time_text.UNKNOWN`.
    """
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    strings = pc.utf8_trim_whitespace(strings)
    times, readable = _parse(strings, time_format)
    passes = np.full(times.size, UNKNOWN)
    if readable.all():
        return times, readable, passes
    # Only those that the format alone does not read pay for what is unusual in their spelling.
    where = np.flatnonzero(~readable)
    others, next_day, named = plain_column(
        strings.take(to_arrow(where)), intervals=not time_format.zoned
    )
    found, read = _parse(others, time_format)
    times[where] = np.where(read, found + np.where(next_day, _DAY_MS, 0), 0)
    readable[where] = read
    passes[where] = np.where(read, named, UNKNOWN)
    return times, readable, passes


def _parse(strings: Any, time_format: TimeFormat) -> tuple[Ints, Bools]:
    form = time_format.form
    if time_format.zoned:
        return _zoned(strings, form, time_format.timezone)
    if form.startswith("unix"):
        return _unix(strings, form)
    if form == "excel":
        return _excel(strings)
    if form == "iso":
        made = cast(strings, pa.timestamp("ns"), f"^{_ISO}$")
    elif form == "iso_zoned":
        made = cast(strings, pa.timestamp("ns", "UTC"), f"^{_ISO_ZONED}$")
    else:
        return _strptime(strings, form)
    nanoseconds, readable = with_validity(made.cast(pa.int64()))
    return nanoseconds // 1_000_000, readable


def _zoned(strings: Any, form: str, timezone: str | None) -> tuple[Ints, Bools]:
    parts = pc.extract_regex(strings, _ZONE_BEHIND)
    times, readable = _parse(
        pc.fill_null(pc.utf8_trim_whitespace(pc.struct_field(parts, "time")), ""), TimeFormat(form)
    )
    coded = pc.fill_null(pc.struct_field(parts, "zone"), "").dictionary_encode()
    offsets = [offset_ms(zone, timezone) for zone in coded.dictionary.to_pylist()]
    known = np.array([offset is not None for offset in offsets])
    ahead = np.array([offset or 0 for offset in offsets], np.int64)
    place = to_numpy(coded.indices.cast(pa.int64()))
    readable &= known[place]
    return np.where(readable, times - ahead[place], 0), readable


def _unix(strings: Any, form: str) -> tuple[Ints, Bools]:
    per = _PER_MS[form]
    if per is None:
        pattern = r"^\d{1,12}(\.\d+)?$"
        strings = pc.replace_substring(strings, ",", ".", max_replacements=1)
        seconds, readable = with_validity(cast(strings, pa.float64(), pattern))
        readable &= np.abs(seconds) < _LARGEST_SECONDS
        return np.round(np.where(readable, seconds, 0.0) * 1000).astype(np.int64), readable
    whole = pc.replace_substring_regex(strings, r"[.,]\d+$", "")
    number, readable = with_validity(cast(whole, pa.int64(), r"^\d{1,19}$"))
    return number // per, readable


def _excel(strings: Any) -> tuple[Ints, Bools]:
    strings = pc.replace_substring(strings, ",", ".", max_replacements=1)
    days, readable = with_validity(cast(strings, pa.float64(), r"^\d{5}(\.\d+)?$"))
    readable &= (days >= _EXCEL_DAYS[0]) & (days < _EXCEL_DAYS[1])
    seconds = np.round(np.where(readable, days - _EXCEL_EPOCH_DAYS, 0.0) * 86_400)
    return (seconds * 1000).astype(np.int64), readable


def _strptime(strings: Any, form: str) -> tuple[Ints, Bools]:
    fraction: NDArray[np.float64] | None = None
    if form.endswith((".%f", ",%f")):
        parts = pc.extract_regex(strings, r"^(?P<t>.*)[.,](?P<f>\d{1,9})$")
        strings = pc.struct_field(parts, "t")
        digits = cast(
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
    return np.where(readable, milliseconds, 0), readable


def _day_exists(strings: Any, seconds: Ints, readable: Bools, form: str) -> Bools:
    """False for a 30th of February, which the C library takes for the 1st or 2nd of March."""
    exists = np.ones(seconds.size, bool)
    days = seconds.astype("datetime64[s]").astype("datetime64[D]")
    day = (days - days.astype("datetime64[M]")).astype(int) + 1
    suspects = np.flatnonzero(readable & (day <= 3))
    if suspects.size:
        pattern = re.escape(form).replace("\\%", "%").replace("%d", r"(?P<d>\d{1,2})", 1)
        pattern = re.sub(r"%(.)", _digits_of, pattern)
        # RE2 reads an escaped blank as a mistake.
        pattern = pattern.replace("\\ ", " ").replace("\\/", "/").replace("\\:", ":")
        written = pc.struct_field(
            pc.extract_regex(strings.take(to_arrow(suspects)), f"^{pattern}"), "d"
        )
        number, _ = with_validity(cast(written, pa.int64(), r"^\d+$"))
        exists[suspects] = number == day[suspects]
    return exists


def _digits_of(match: re.Match[str]) -> str:
    if match[1] in "bBp":
        return r"[^0-9]+"
    return r"\d{4}" if match[1] == "Y" else r"\d{1,2}"
