"""Periods in words: ``this week``, ``since Monday``, ``last 7 days``, in a time zone.

English, German and Ukrainian. A week begins on Monday; a period ends now unless it says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from exporter.ask.language.text import Token
from exporter.ask.query import Period, QueryError

_FORMS = {
    "minute": "minute|minutes|min|mins|minuten|хвилина|хвилини|хвилин",
    "hour": "hour|hours|h|hr|hrs|stunde|stunden|std|година|години|годин|год",
    "day": "day|days|d|tag|tage|tagen|день|дні|днів|дня|доба|доби|добу",
    "week": "week|weeks|w|wk|woche|wochen|тиждень|тижні|тижнів|тижня",
    "month": "month|months|mo|monat|monate|monaten|monats|місяць|місяці|місяців|місяця",
    "quarter": "quarter|quarters|quartal|quartals|квартал|кварталу",
    "year": "year|years|y|yr|jahr|jahre|jahren|jahres|рік|роки|років|року",
}
_UNITS = {word: unit for unit, words in _FORMS.items() for word in words.split("|")}
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_DAYS = (
    "monday|mon|montag|montags|понеділок|понеділка",
    "tuesday|tue|tues|dienstag|вівторок|вівторка",
    "wednesday|wed|mittwoch|середа|середи|середу",
    "thursday|thu|thurs|donnerstag|четвер|четверга",
    "friday|fri|freitag|пʼятниця|ятницю|ятниці",
    "saturday|sat|samstag|sonnabend|субота|суботи|суботу",
    "sunday|sun|sonntag|неділя|неділі|неділю",
)
_WEEKDAYS = {word: day for day, words in enumerate(_DAYS) for word in words.split("|")}
_MONTH_NAMES = (
    "january|jan|januar|січень|січня|січні",
    "february|feb|februar|лютий|лютого|лютому",
    "march|mar|marz|березень|березня|березні",
    "april|apr|квітень|квітня|квітні",
    "may|mai|травень|травня|травні",
    "june|jun|juni|червень|червня|червні",
    "july|jul|juli|липень|липня|липні",
    "august|aug|серпень|серпня|серпні",
    "september|sep|sept|вересень|вересня|вересні",
    "october|oct|oktober|okt|жовтень|жовтня|жовтні",
    "november|nov|листопад|листопада|листопаді",
    "december|dec|dezember|dez|грудень|грудня|грудні",
)
_MONTHS = {word: n for n, words in enumerate(_MONTH_NAMES, 1) for word in words.split("|")}
_NUMBERS = {
    word: n
    for n, words in enumerate(
        (
            "a|an|one|ein|eine|einen|один|одну",
            "two|zwei|couple|два|дві",
            "three|drei|три",
            "four|vier|чотири",
            "five|funf|пять",
            "six|sechs|шість",
            "seven|sieben|сім",
            "eight|acht|вісім",
            "nine|neun|девять",
            "ten|zehn|десять",
        ),
        1,
    )
    for word in words.split("|")
} | {"twelve": 12, "zwolf": 12, "fourteen": 14, "vierzehn": 14, "thirty": 30, "dreissig": 30}
_THIS = {
    "this",
    "current",
    "diese",
    "dieser",
    "dieses",
    "diesen",
    "diesem",
    "цей",
    "цього",
    "цьому",
    "ця",
    "цю",
    "поточний",
}
_LAST = {
    "last",
    "previous",
    "letzte",
    "letzten",
    "letzter",
    "letztes",
    "letztem",
    "минулий",
    "минулого",
    "минулому",
}
_LAST |= {"vorige", "voriger", "vorigen", "минулої", "минула"}
_ROLLING = {
    "past",
    "vergangene",
    "vergangenen",
    "vergangener",
    "останній",
    "останні",
    "останніх",
    "останнього",
}
_ROLLING |= {"останню"}
_SINCE = {"since", "from", "after", "seit", "ab", "von", "vom", "з", "із", "від", "starting"}
_UNTIL = {"until", "till", "to", "through", "before", "bis", "до", "по"}
_OVER = {"over", "in", "during", "within", "for", "across", "innerhalb", "uber", "за", "протягом"}
_THE = {"the", "der", "die", "das", "den", "dem", "des", "of", "on", "am", "im", "у", "в", "at"}
_THE |= {"beginning", "start", "um", "zum", "anfang", "початку", "last", "past"}
_AND = {"and", "und", "і", "та", "й"}
_AGO = {"ago", "тому"}
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{1,2}):(\d{2}))?")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})\b")
_FEWEST_DAYS_OF_MONTH = 28


class FuturePeriodError(QueryError):
    """A period that has not happened yet."""


class Reader:
    """Reads periods out of tokens.

    Parameters
    ----------
    text : str
    tokens : sequence of Token
    now : datetime
        With a time zone.
    zone : tzinfo
        The time zone that the words are meant in.
    """

    def __init__(self, text: str, tokens: Sequence[Token], now: datetime, zone: tzinfo) -> None:
        self._text = text
        self._tokens = tokens
        self.now = now.astimezone(zone)
        self._zone = zone

    def at(self, index: int) -> tuple[Period, int] | None:
        """The period that begins with a token and the index after it; None where none does.

        Raises
        ------
        QueryError
            For a period that ends before it begins, or lies in the future.
        """
        try:
            found = self._period(index)
        except OverflowError:
            raise QueryError("that lies beyond every calendar") from None
        if found is None:
            return None
        start, end, after = found
        if start >= self.now:
            raise FuturePeriodError(
                f"{start:%Y-%m-%d %H:%M} has not come yet; only what has been can be told"
            )
        words = self._text[self._tokens[index].start : self._tokens[after - 1].end]
        return Period(start, min(end, self.now) if end > start else end, words), after

    def _word(self, index: int) -> str:
        return self._tokens[index].word if index < len(self._tokens) else ""

    def _period(self, i: int) -> tuple[datetime, datetime, int] | None:
        word = self._word(i)
        days = self._days_of_month(i)
        if days:
            return days
        if word in ("between", "zwischen", "між"):
            first = self._moment(i + 1)
            if first and self._word(first[2]) in _AND:
                last = self._moment(first[2] + 1)
                if last:
                    return first[0], last[1], last[2]
            return None
        if word in _SINCE:
            first = self._moment(i + 1)
            if first is None:
                return self._rolling(i + 1)
            if self._word(first[2]) in _UNTIL:
                last = self._moment(first[2] + 1)
                if last:
                    return first[0], last[1], last[2]
            return first[0], self.now, first[2]
        if word in _OVER:
            skip = i + 1
            while self._word(skip) in _THE and self._word(skip) not in _LAST | _ROLLING:
                skip += 1
            rolled = skip > i + 1 or word == "over"
            if rolled and self._word(skip) in _LAST and self._word(skip + 1) in _UNITS:
                # Over the last week: seven days, not the calendar's.
                return self._back(1, _UNITS[self._word(skip + 1)], skip + 2)
            # Over a year has been; in a year is to come.
            return self._named(skip) or self._rolling(skip, told=word not in ("in", "за", "для"))
        return self._named(i) or self._rolling(i)

    def _days_of_month(self, i: int) -> tuple[datetime, datetime, int] | None:
        """``between 10 and 12 March``, ``10 to 12 March``, ``10-12 March``."""
        words = ("between", "zwischen", "між", "from", "von", "vom", "з", "since")
        opened = self._word(i) in words
        i += opened
        if i >= len(self._tokens) or self._tokens[i].number is None:
            return None
        first, after = self._tokens[i].number, self._ordinal(i + 1)
        joined = self._word(after) in _UNTIL | (_AND if opened else set())
        hyphen = self._text[self._tokens[i].end :].lstrip()[:1] in ("-", "–")
        after += joined
        last = self._tokens[after].number if after < len(self._tokens) else None
        month = self._ordinal(after + 1)
        while self._word(month) == "of":
            month += 1
        if not (joined or hyphen) or last is None or self._word(month) not in _MONTHS:
            return None
        _, end, behind = self._day_of(int(last), month)
        start = end - timedelta(days=1)
        assert first is not None
        return self._date(start.year, start.month, int(first)), end, behind

    def _ordinal(self, i: int) -> int:
        return i + (self._word(i) in ("st", "nd", "rd", "th", "го"))

    def _rolling(self, i: int, *, told: bool = False) -> tuple[datetime, datetime, int] | None:
        """``last 7 days``, ``past week``, ``24 h``."""
        word = self._word(i)
        over = told
        told = word in _LAST | _ROLLING or (word in _THE and self._word(i + 1) in _LAST | _ROLLING)
        calendar = told and word not in ("the", *_ROLLING) and self._word(i + 1) in _LAST
        if calendar and self._word(i + 2) in _UNITS:
            # Of last month, der letzten Woche: the calendar's.
            return self._named(i + 1)
        if told:
            i += 1 if word in _LAST | _ROLLING else 2
        if word in ("next", "coming", "nachste", "nachsten", "наступний", "наступного"):
            raise FuturePeriodError("the future is not known; only what has been can be told")
        number = self._number(i)
        if number is not None and self._word(i + 1) in _UNITS:
            unit, after = _UNITS[self._word(i + 1)], i + 2
            if self._word(after) in _AGO:
                end = self._minus(number, unit)
                day = datetime.combine(end.date(), time(), self._zone)
                return day, day + timedelta(days=1), after + 1
            digits = self._tokens[i].number is not None
            return self._back(number, unit, after) if told or over or digits else None
        if told and word not in _LAST and self._word(i) in _UNITS:
            return self._back(1, _UNITS[self._word(i)], i + 1)
        return None

    def _number(self, i: int) -> float | None:
        if i >= len(self._tokens):
            return None
        number = self._tokens[i].number
        return number if number is not None else _NUMBERS.get(self._word(i))

    def _minus(self, number: float, unit: str) -> datetime:
        if unit in _SECONDS and unit in ("minute", "hour"):
            back = self.now.astimezone(UTC) - timedelta(seconds=number * _SECONDS[unit])
            return back.astimezone(self._zone)
        days = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}[unit]
        if number * days > 36_500:
            raise QueryError("more than a hundred years is too long a period")
        # Days on the calendar: the same time of day, also across a change of the clock.
        return self.now - timedelta(days=number * days)

    def _back(self, number: float, unit: str, after: int) -> tuple[datetime, datetime, int]:
        if number <= 0 or number > 1e6:
            raise QueryError("a period has a length from one minute on")
        return self._minus(number, unit), self.now, after

    def _named(self, i: int) -> tuple[datetime, datetime, int] | None:
        word, after = self._word(i), self._word(i + 1)
        today = self._day(self.now)
        if word in _THIS and after in _UNITS and _UNITS[after] not in ("minute", "hour"):
            return self._begin(_UNITS[after], today), self.now, i + 2
        if word in _THIS and after in ("morning", "morgen", "ранок"):
            return today, min(self.now, today + timedelta(hours=12)), i + 2
        if word in _LAST and after in _UNITS and _UNITS[after] not in ("minute", "hour"):
            end = self._begin(_UNITS[after], today)
            return self._begin(_UNITS[after], self._day(end - timedelta(hours=12))), end, i + 2
        if word in _LAST and after in ("minute", "hour", "stunde", "година", "годину"):
            return self._back(1, "hour" if after != "minute" else "minute", i + 2)
        if (word in _LAST and after in ("night", "nacht")) or word in ("overnight", "уночі"):
            start = today - timedelta(hours=6)
            end = min(self.now, today + timedelta(hours=6))
            return start, end, i + (1 if word in ("overnight", "уночі") else 2)
        weekend = i + (word in _LAST | _THIS | _ROLLING | {"the", "das", "am"})
        if self._word(weekend) in ("weekend", "wochenende", "вихідні", "вихідних"):
            back = today.weekday() - 5 if today.weekday() >= 5 else today.weekday() + 2
            saturday = self._day(today - timedelta(days=back) + timedelta(hours=1))
            return saturday, self._day(saturday + timedelta(days=2, hours=1)), weekend + 1
        if word in _LAST and after in _WEEKDAYS:
            day = self._weekday(_WEEKDAYS[after], before_today=True)
            return day, day + timedelta(days=1), i + 2
        if word in ("tomorrow", "morgen", "завтра"):
            raise FuturePeriodError("the future is not known; only what has been can be told")
        if word in ("to", "until"):
            return None
        if word in ("week", "month", "year") and after in ("to",):
            if self._word(i + 2) in ("date", "now"):
                return self._begin(word, today), self.now, i + 3
            return None
        moment = self._moment(i, bare=True)
        if moment is None:
            return None
        return moment[0], moment[1], moment[2]

    def _day(self, moment: datetime) -> datetime:
        return datetime.combine(moment.date(), time(), self._zone)

    def _begin(self, unit: str, day: datetime) -> datetime:
        if unit == "week":
            return self._day(day - timedelta(days=day.weekday()))
        if unit == "month":
            return day.replace(day=1)
        if unit == "quarter":
            return day.replace(day=1, month=3 * ((day.month - 1) // 3) + 1)
        return day.replace(day=1, month=1) if unit == "year" else day

    def _weekday(self, weekday: int, *, before_today: bool = False) -> datetime:
        today = self._day(self.now)
        back = (today.weekday() - weekday) % 7
        if back == 0 and before_today:
            back = 7
        return self._day(today - timedelta(days=back))

    def _moment(self, i: int, *, bare: bool = False) -> tuple[datetime, datetime, int] | None:
        """A day or time: when it begins, when it ends, and the index after it."""
        while not bare and self._word(i) in _THE and self._word(i + 1):
            i += 1
        if i >= len(self._tokens):
            return None
        dated = self._dated(i)
        if dated:
            return dated
        word, after = self._word(i), self._word(i + 1)
        today = self._day(self.now)
        day = timedelta(days=1)
        if word in ("today", "heute", "сьогодні", "midnight", "mitternacht"):
            return today, today + day, i + 1
        if word in ("yesterday", "gestern", "вчора", "учора"):
            end = i + 1
            if after in ("evening", "abend"):
                return today - timedelta(hours=6), today, end + 1
            if after in ("morning", "noon"):
                return self._day(today - timedelta(hours=12)), today - timedelta(hours=12), end + 1
            return self._day(today - timedelta(hours=12)), today, end
        if word in ("noon", "mittag") and not bare:
            noon = today + timedelta(hours=12)
            return noon if noon < self.now else noon - day, self.now, i + 1
        if word in _WEEKDAYS and not (bare and word in ("sun", "sat", "mon", "wed")):
            start = self._weekday(_WEEKDAYS[word])
            clock = self._clock(i + 1, start) if not bare else None
            return clock or (start, start + day, i + 1)
        if word in _MONTHS and not (bare and word in ("may", "mar", "sep")):
            return self._month(i)
        number = self._number(i)
        if number is not None and after in _UNITS and self._word(i + 2) in _AGO and not bare:
            start = self._minus(number, _UNITS[after])
            return start, start + day, i + 3
        if not bare and word in _THIS | _LAST:
            named = self._named(i)
            if named:
                return named
        if not bare and word in _UNITS and _UNITS[word] in ("week", "month", "year", "day"):
            start = self._begin(_UNITS[word], today)
            return start, self.now, i + 1
        return self._clock(i, today) if not bare else None

    def _clock(self, i: int, day: datetime) -> tuple[datetime, datetime, int] | None:
        """``8:00``, ``8 am``: a time of a day, and if it is still to come today, of yesterday."""
        while self._word(i) in ("at", "um", "о"):
            i += 1
        if i >= len(self._tokens):
            return None
        token = self._tokens[i]
        match = _CLOCK.match(self._text, token.start)
        if match:
            hour, minute, after = int(match[1]), int(match[2]), self._after(match.end())
        elif token.number is not None and self._word(i + 1) in ("am", "pm", "uhr"):
            pm = self._word(i + 1) == "pm" and token.number < 12
            hour, minute, after = int(token.number) + (12 if pm else 0), 0, i + 2
        else:
            return None
        if hour > 23 or minute > 59:
            return None
        moment = datetime.combine(day.date(), time(hour, minute), self._zone)
        if moment >= self.now:
            moment = datetime.combine(
                day.date() - timedelta(days=1), time(hour, minute), self._zone
            )
        return moment, self.now, after

    def _after(self, place: int) -> int:
        return next((n for n, t in enumerate(self._tokens) if t.start >= place), len(self._tokens))

    def _dated(self, i: int) -> tuple[datetime, datetime, int] | None:
        start = self._tokens[i].start
        match = _ISO.match(self._text, start)
        if match:
            year, month, day = int(match[1]), int(match[2]), int(match[3])
            moment = self._date(year, month, day)
            if match[4]:
                moment = moment.replace(hour=min(23, int(match[4])), minute=min(59, int(match[5])))
            return moment, moment + timedelta(days=0 if match[4] else 1), self._after(match.end())
        match = _DOTTED.match(self._text, start)
        if match:
            year = int(match[3]) if match[3] else self.now.year
            moment = self._date(year, int(match[2]), int(match[1]))
            if not match[3] and moment > self.now:
                moment = self._date(year - 1, int(match[2]), int(match[1]))
            return moment, moment + timedelta(days=1), self._after(match.end())
        number = self._tokens[i].number
        after = i + 1
        if number is not None and self._word(after) in ("st", "nd", "rd", "th", "го"):
            after += 1
        while self._word(after) == "of":
            after += 1
        if number is not None and self._word(after) in _MONTHS:
            return self._day_of(int(number), after)
        return None

    def _day_of(self, day: int, month_at: int) -> tuple[datetime, datetime, int]:
        month, after = _MONTHS[self._word(month_at)], month_at + 1
        year = self._tokens[after].number if after < len(self._tokens) else None
        if year is not None and 1990 <= year <= 2200:
            moment = self._date(int(year), month, day)
            return moment, moment + timedelta(days=1), after + 1
        moment = self._date(self.now.year, month, day)
        if moment > self.now:
            moment = self._date(self.now.year - 1, month, day)
        return moment, moment + timedelta(days=1), after

    def _date(self, year: int, month: int, day: int) -> datetime:
        try:
            return datetime(year, month, day, tzinfo=self._zone)
        except (ValueError, OverflowError):
            raise QueryError(f"{year}-{month:02}-{day:02} is not a date") from None

    def _month(self, i: int) -> tuple[datetime, datetime, int]:
        month = _MONTHS[self._word(i)]
        number = self._tokens[i + 1].number if i + 1 < len(self._tokens) else None
        if number is not None and 1 <= number <= 31 and number == int(number):
            start = self._date(self.now.year, month, int(number))
            if start > self.now:
                start = self._date(self.now.year - 1, month, int(number))
            after = i + 2
            if self._word(after) in ("st", "nd", "rd", "th"):
                after += 1
            return start, start + timedelta(days=1), after
        year, after = self.now.year, i + 1
        if number is not None and 1990 <= number <= 2200:
            year, after = int(number), i + 2
        start = self._date(year, month, 1)
        if number is None and start > self.now:
            start = self._date(year - 1, month, 1)
        end = (start + timedelta(days=_FEWEST_DAYS_OF_MONTH + 4)).replace(day=1)
        return start, end, after


def read_period(text: str, now: datetime, zone: tzinfo) -> Period:
    """A period that is a text of its own, such as ``7d`` or ``since Monday``.

    Raises
    ------
    QueryError
        If it is none, with forms that are.
    """
    from exporter.ask.language.text import sentence

    parsed = sentence(text)
    tokens = parsed.tokens
    reader = Reader(parsed.text, tokens, now, zone)
    for prefix in ("", "since "):
        if prefix:
            parsed = sentence(prefix + text)
            tokens = parsed.tokens
            reader = Reader(parsed.text, tokens, now, zone)
        found = reader.at(0) if tokens else None
        if found and found[1] == len(tokens):
            return Period(found[0].start, found[0].end, text.strip())
    raise QueryError(
        f"{text[:80]!r} is no period; expected one such as 7d, 24h, today, this week, "
        "since Monday, 2026-03-01 or from 2026-03-01 to 2026-03-08"
    )
