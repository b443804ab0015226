"""A query from the parameters of a request, with sites and filters spelled as people spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from exporter.ask.lookup import Directory
from exporter.ask.periods.reader import read_bounds, read_period
from exporter.ask.query import (
    WHAT_MEANINGS,
    Period,
    Query,
    QueryError,
    What,
    comparison_from,
    condition_from,
    filter_from,
    lasting_from,
)

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})\Z")
_TRUE = {"1", "true", "yes"}
PARAMETERS = {
    "what": "What is asked",
    "site": "Sites by id, name or part of either",
    "filter": "Only some sites, such as region:iberia, tag:clinic or !vendor:BYD",
    "condition": "What must hold, such as hot or !offline",
    "where": "A comparison that must hold, such as soh<80",
    "any_of": "1: one of the conditions and comparisons is enough",
    "metric": "What is measured, such as score or soh",
    "order": "Which come first",
    "limit": "Most rows",
    "severity": "Least severity of the issues that count",
    "period": "A past period in words, such as this week or 7d",
    "since": "Begin of a past period, such as 30m, monday, 13:10, 2026-03-01T13:10 or Unix seconds",
    "until": "Its end; now without it",
    "against": "Another period whose figures stand beside, such as last week",
    "tz": "Time zone that the words are meant in, such as Europe/Berlin or +02:00; else UTC",
    "count": "1: how many, rather than which",
    "cost": "1: what it will cost, too",
    "events": "Of a timeline only the issues that have begun or ended",
    "cell": "Only the cell of this number, or of this pack and number such as 3/12, of what=cells",
    "lasting": "How long conditions must have held at a stretch, such as >2h or <10m",
    "times": "How often at least conditions began to hold in the period, of what=which",
    "unit": "A unit that values are shown in, such as °F or kW",
    "figure": "Of what=energy or what=portfolio, such as pv_lost or revenue",
    "cause": "Only what it took, of a figure that is a loss, such as curtailed or communication",
    "group_by": "An attribute whose values are compared instead of sites, such as region",
}


def zone_of(name: str | None) -> tzinfo:
    """The time zone of a name such as Europe/Berlin, or of an offset such as +02:00; else UTC.

    Raises
    ------
    QueryError
        If there is no such time zone.
    """
    if not name:
        return ZoneInfo("UTC")
    offset = _OFFSET.match(name.strip().replace(" ", "+"))
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise QueryError(
            f"there is no time zone {name[:60]!r}; expected one such as Europe/Berlin or +02:00"
        ) from None


def query_from(
    parameters: Mapping[str, Sequence[str]], directory: Directory, now: datetime
) -> Query:
    """The query that parameters describe.

    Parameters
    ----------
    parameters : mapping of name to values
        Names are :data:`PARAMETERS`; ``site``, ``filter``, ``condition``, ``where`` and ``metric``
        may come several times.
    directory : Directory
    now : datetime
        With a time zone.

    Raises
    ------
    QueryError
    exporter.ask.lookup.UnknownSiteError
    """
    unknown = sorted(set(parameters) - set(PARAMETERS))
    if unknown:
        raise QueryError(f"unknown parameter {unknown[0][:40]!r}; one of {', '.join(PARAMETERS)}")

    def one(name: str) -> str | None:
        values = parameters.get(name) or ()
        if len(values) > 1:
            raise QueryError(f"{name} is given {len(values)} times; once is enough")
        return values[0].strip() or None if values else None

    def word(name: str) -> str | None:
        value = one(name)
        return value.lower() if value else value

    what = word("what")
    if what not in {kind.value for kind in What}:
        known = ", ".join(kind.value for kind in WHAT_MEANINGS)
        raise QueryError(f"what={str(what)[:40]} is not known; one of {known}")
    limit = one("limit")
    if limit is not None and not re.fullmatch(r"\d{1,5}", limit):
        raise QueryError(f"limit={limit[:40]} is not a whole number")
    times = one("times")
    if times is not None and not re.fullmatch(r"\d{1,4}", times):
        raise QueryError(f"times={times[:40]} is not a whole number")
    filters = (filter_from(text) for text in parameters.get("filter", ()))
    chosen: dict[str, Any] = {
        "sites": tuple(dict.fromkeys(directory.find(s) for s in parameters.get("site", ()))),
        "filters": tuple(dict.fromkeys(directory.match_filter(f) for f in filters)),
        "conditions": tuple(condition_from(text) for text in parameters.get("condition", ())),
        "comparisons": tuple(comparison_from(text) for text in parameters.get("where", ())),
        "metrics": tuple(dict.fromkeys(m.strip().lower() for m in parameters.get("metric", ()))),
    }
    return Query(
        what=What(what),
        any_of=word("any_of") in _TRUE,
        order=word("order"),
        limit=int(limit) if limit else None,
        severity=word("severity"),
        period=period_of(
            one("period"),
            one("since"),
            one("until"),
            zone_of(one("tz")),
            now,
            ahead=what == What.FORECAST,
        ),
        count=word("count") in _TRUE,
        with_cost=word("cost") in _TRUE,
        group_by=word("group_by"),
        events=word("events"),
        cell=one("cell"),
        lasting=lasting_from(lasting) if (lasting := one("lasting")) else None,
        times=int(times) if times else None,
        unit=one("unit"),
        figure=word("figure"),
        beside=_against(one("against"), zone_of(one("tz")), now),
        causes=tuple(dict.fromkeys(c.strip().lower() for c in parameters.get("cause", ()))),
        **chosen,
    )


def _against(words: str | None, zone: tzinfo, now: datetime) -> Period | None:
    return read_period(words, now, zone) if words else None


def period_of(
    words: str | None,
    since: str | None,
    until: str | None,
    zone: tzinfo,
    now: datetime,
    *,
    ahead: bool = False,
) -> Period | None:
    """A period from words, or from its two ends; None where nothing is given.

    ``ahead`` is whether words such as tomorrow may be meant.

    Raises
    ------
    QueryError
    """
    if words and (since or until):
        raise QueryError("give either period, or since and until")
    if words:
        return read_period(words, now, zone, ahead=ahead)
    if until and not since:
        raise QueryError("until needs since")
    if not since:
        return None
    return read_bounds(since, until, now, zone)
