"""Periods as people write them, in the asker's time zone: the one reader of all faces.

English, German and Ukrainian; ISO 8601; durations such as ``30m``. A week begins on Monday. A day
means all of it, a time to the minute means that minute, a time to the hour (``8 am``, midnight)
the hour that begins then, *two hours ago* the hour around that time. A period never reaches beyond
now. The words are data (``language/phrases/periods.txt``), their order is a table (:mod:`.rows`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from functools import cache
from typing import Any

from exporter.ask.language.lexicon import entries
from exporter.ask.language.text import Token, sentence
from exporter.ask.periods import rows, spans
from exporter.ask.periods.calendar import SECONDS, Calendar
from exporter.ask.periods.rows import HALVES, HELD, MOMENTS, NAMED, ROWS, Row
from exporter.ask.periods.spans import FUTURE, FuturePeriodError, Span
from exporter.ask.query import Period, QueryError

_FIRST_UNIX = 1e8
_DURATION_SECONDS = {**SECONDS, "day": 86_400, "week": 604_800}
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[Tt ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s?([Zz]|[+-]\d{2}:?\d{2})?)?(?![\d:])"
)
_ISO_MONTH = re.compile(r"(\d{4})-(\d{2})(?![-\d:])")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})?(?!\d)")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?(?![\d:])")
_DASH = re.compile(r"\s*[-–/]\s*")
_IN_ONE_PIECE = (
    (_ISO, "iso"),
    (_ISO_MONTH, "iso_month"),
    (_DOTTED, "dotted"),
    (_CLOCK, "clock"),
)
FORMS = (
    "expected one such as 30m, 7d, today, this week, since Monday, 13:10, between 13:10 and 13:20, "
    "2026-03, 2026-03-01, 2026-03-01T13:10 or from 2026-03-01 to 2026-03-08"
)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word, number or time: what it may be, and the tokens that it covers."""

    kinds: dict[str, Any]
    begin: int
    end: int


@cache
def _classes() -> dict[str, dict[str, Any]]:
    """The classes of each word, with their values."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for concept, words in entries("periods"):
        kind, _, value = concept.partition(":")
        for word in words.split("|"):
            found[word][kind] = float(value) if kind == "number" else value
    return dict(found)


class PeriodReader:
    """Reads periods out of the tokens of a text.

    Parameters
    ----------
    text : str
    tokens : sequence of Token
    now : datetime
        With a time zone.
    zone : tzinfo
        The time zone that the words are meant in.
    ahead : bool
        Whether a period may lie in the future, as one that a forecast is asked of.
    """

    def __init__(
        self,
        text: str,
        tokens: Sequence[Token],
        now: datetime,
        zone: tzinfo,
        *,
        ahead: bool = False,
    ) -> None:
        self._text = text
        self._tokens = tokens
        self.calendar = Calendar(now, zone, ahead=ahead)
        self._words = self._lexed()
        self._place = {word.begin: n for n, word in enumerate(self._words) if word.kinds}

    def at(self, index: int) -> tuple[Period, int] | None:
        """The period that begins with a token and the index after it; None where none does.

        Raises
        ------
        QueryError
            For a period that ends before it begins, or lies in the future.
        """
        found = self._longest(ROWS, index)
        if found is None:
            return None
        span, after = found
        words = self._text[self._tokens[index].start : self._tokens[after - 1].end]
        return self.period(span, words), after

    def duration(self, index: int) -> tuple[float, int] | None:
        """The seconds of a length such as *two hours* that begins with a token, and the index after
        it; None where none does."""
        place = self._place.get(index)
        if place is None or place + 1 >= len(self._words):
            return None
        number, unit = self._words[place].kinds.get("number"), self._words[place + 1].kinds
        if number is None or unit.get("unit") not in _DURATION_SECONDS:
            return None
        after = self._words[place + 1].end
        tail = self._words[place + 2].kinds if place + 2 < len(self._words) else {}
        if "ago" in tail:
            return None
        return number * _DURATION_SECONDS[unit["unit"]], after

    def whole(self) -> Span | None:
        """The whole text as one span, small words before it left out; None where it is none."""
        for word in self._words:
            found = self._longest(ROWS, word.begin)
            if found and found[1] == len(self._tokens):
                return found[0]
            if "filler" not in word.kinds:
                return None
        return None

    def period(self, span: Span, words: str) -> Period:
        """A span that has been, up to now; one that is to come where that may be asked.

        Raises
        ------
        QueryError
        """
        if self.calendar.ahead and span.start >= self.calendar.now:
            return Period(span.start, span.end, words)
        if span.start >= self.calendar.now:
            raise FuturePeriodError(f"{span.start:%Y-%m-%d %H:%M} has not come yet; {FUTURE}")
        return Period(span.start, min(span.end, self.calendar.now), words)

    def _lexed(self) -> list[_Word]:
        found: list[_Word] = []
        index = 0
        while index < len(self._tokens):
            token = self._tokens[index]
            if found and _DASH.fullmatch(self._text[self._tokens[index - 1].end : token.start]):
                found.append(_Word({"dash": ""}, -1, index))
            word = self._special(index) or self._plain(index, found[-1].kinds if found else {})
            found.append(word)
            index = word.end
        return found

    def _special(self, index: int) -> _Word | None:
        """A date or a time of day that stands in one piece."""
        start = self._tokens[index].start
        for pattern, kind in _IN_ONE_PIECE:
            match = pattern.match(self._text, start)
            if match:
                after = (n for n, t in enumerate(self._tokens) if t.start >= match.end())
                value = f"{match[1]}:{match[2]}" if kind == "clock" else match
                return _Word({kind: value}, index, next(after, len(self._tokens)))
        return None

    def _plain(self, index: int, before: dict[str, Any]) -> _Word:
        token = self._tokens[index]
        kinds = dict(_classes().get(token.word, {}))
        number = token.number
        if number is not None:
            kinds |= {"number": number, "digits": number}
            if 1990 <= number <= 2200:
                kinds["year"] = number
        if "am" in kinds and not before.keys() & {"number", "clock"}:
            del kinds["am"]
        if (len(token.word) == 1 and "digits" not in before) or token.raw == "W":
            # A capital one is watts, not weeks.
            kinds.pop("unit", None)
        if "tomorrow" in kinds and before.keys() & {"day", "weekday", "this"}:
            del kinds["tomorrow"]
        elif {"tomorrow", "part"} <= kinds.keys():
            del kinds["part"]
        return _Word(kinds, index, index + 1)

    def _longest(self, rows: Sequence[Row], index: int) -> tuple[Span, int] | None:
        """The longest span that begins at a token, and the index of the token after it."""
        place = self._place.get(index)
        if place is None:
            return None
        best: tuple[int, Row, list[Any]] | None = None
        for row in rows:
            found = self._walk(row.pattern, place, place, [])
            if found and (best is None or found[0] > best[0]):
                best = (found[0], row, found[1])
        if best is None:
            return None
        try:
            span = best[1].make(self.calendar, *best[2])
        except OverflowError:
            raise QueryError("that lies beyond every calendar") from None
        return None if span is None else (span, self._words[best[0] - 1].end)

    def _walk(
        self, pattern: tuple[str, ...], first: int, place: int, values: list[Any]
    ) -> tuple[int, list[Any]] | None:
        """The place after a pattern and what it holds; None where it does not fit."""
        if not pattern:
            return place, values
        element, rest = pattern[0].removesuffix("?"), pattern[1:]
        held = element in HELD
        if place < len(self._words):
            for value, after in self._element(element, place):
                found = self._walk(rest, first, after, [*values, value] if held else values)
                if found:
                    return found
            if place > first and "filler" in self._words[place].kinds:
                found = self._walk(pattern, first, place + 1, values)
                if found:
                    return found
        if pattern[0] != element:
            return self._walk(rest, first, place, [*values, None] if held else values)
        return None

    def _element(self, element: str, place: int) -> list[tuple[Any, int]]:
        """What an element of a pattern may be at a place: a value, and the place after it."""
        kinds = self._words[place].kinds
        if element in ("moment", "named"):
            rows = MOMENTS if element == "moment" else NAMED
            found = self._longest(rows, self._words[place].begin)
            return [(found[0], self._after(found[1]))] if found else []
        if element == "time":
            return self._time(place)
        if element == "hour":
            hour = kinds.get("digits", kinds.get("number", -1))
            bare = [(time(int(hour) % 24, second=1), place + 1)] if hour in range(25) else []
            return self._time(place) or bare
        if element.endswith("!"):
            element = element[:-1] if "short" not in kinds else ""
        return [(kinds[element], place + 1)] if element in kinds else []

    def _after(self, index: int) -> int:
        """The place of a token, or of the dash in front of it."""
        place = next((n for n, w in enumerate(self._words) if w.begin >= index), len(self._words))
        dashed = 0 < place < len(self._words) and "dash" in self._words[place - 1].kinds
        return place - 1 if dashed else place

    def _time(self, place: int) -> list[tuple[Any, int]]:
        """A time of day: ``13:10``, ``8 am``, ``10 Uhr``, noon."""
        kinds = self._words[place].kinds
        after = self._words[place + 1].kinds if place + 1 < len(self._words) else {}
        suffix = next((s for s in ("am", "pm", "oclock") if s in after), "")
        if "clock" in kinds:
            hour, _, minute = str(kinds["clock"]).partition(":")
        elif suffix and kinds.get("digits") in range(25):
            hour, minute = str(int(kinds["digits"])), ""
        else:
            return []
        found = int(hour) + 12 * (suffix == "pm" and int(hour) < 12)
        found -= 12 * (suffix == "am" and found == 12)
        if found > 24 or int(minute or 0) > 59:
            return []
        # Marks: a second where it is an hour without minutes, microseconds for "pm" and the rest.
        moment = time(found % 24, int(minute or 0), 0 if minute else 1, HALVES.get(suffix, 0))
        return [(moment, place + (2 if suffix else 1))]


def read_span(
    text: str, now: datetime, zone: tzinfo, *, ahead: bool = False
) -> tuple[Span, PeriodReader]:
    """What a text of its own means, such as ``7d``, ``13:10`` or ``since Monday``.

    Raises
    ------
    QueryError
        If it is no period, with forms that are.
    """
    # The + of an offset arrives as a blank where a caller of HTTP did not encode it.
    parsed = sentence(re.sub(r"(T[\d:.]+) (\d\d:\d\d)\Z", r"\1+\2", text.strip()))
    reader = PeriodReader(parsed.text, parsed.tokens, now, zone, ahead=ahead)
    seconds = parsed.tokens[0].number if len(parsed.tokens) == 1 else None
    if seconds is not None and _FIRST_UNIX <= seconds < 1e11:
        return spans.at(datetime.fromtimestamp(seconds, zone)), reader
    if [token.word for token in parsed.tokens] == ["now"]:
        return spans.at(reader.calendar.now), reader
    found = reader.whole()
    if found is None:
        raise QueryError(f"{text[:80]!r} is no period; {FORMS}")
    return found, reader


def read_period(text: str, now: datetime, zone: tzinfo, *, ahead: bool = False) -> Period:
    """The period that a text means, up to now; one that is to come too, with ``ahead``.

    Raises
    ------
    QueryError
        If it is none, with forms that are, or has not been yet.
    """
    span, reader = read_span(text, now, zone, ahead=ahead)
    if span.first == reader.calendar.now and not (ahead and span.last > span.first):
        raise QueryError(f"{text[:80]!r} is no period; {FORMS}")
    return reader.period(span, text.strip())


def read_bounds(since: str, until: str | None, now: datetime, zone: tzinfo) -> Period:
    """The period between two texts, such as ``13:10`` and ``13:20``, or ``7d`` and ``1d``.

    Parameters
    ----------
    since : str
    until : str, optional
        Now without it.

    Raises
    ------
    QueryError
    """
    first, reader = read_span(since, now, zone)
    if until is None:
        return reader.period(rows.since(reader.calendar, first), f"since {since}")
    last, _ = read_span(until, now, zone)
    return reader.period(rows.between(reader.calendar, first, last), f"{since} to {until}")


def read_moment(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The point in time that a text means, such as ``2026-03-01T13:10`` or ``7d`` ago.

    Raises
    ------
    QueryError
    """
    return read_span(text, now, zone)[0].first
