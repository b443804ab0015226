"""Queries for what is published of the portfolio, as ``exporter.portfolio.measurements`` has it.

Days and months are stamped with their beginning in the market's zone, not the browser's.
One belongs to the time range if its stamp, moved by half a day, lies in it: so a range from
midnight to midnight holds the same days in every zone.
"""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Sequence

from exporter.portfolio.measurements import KEPT_AT, MEASUREMENTS

PLANTS = '"site" =~ /^$site$/'
DAYS = "time >= ${__from}ms - 12h AND time < ${__to}ms - 12h"
"""Rows of days and months that belong to the time range."""
IN_RANGE = "$timeFilter"
"""Rows that are stamped with a moment: readings, events, settlement periods."""
UNTIL = "time <= ${__to}ms"
"""Rows of which the newest holds."""
EVERYTHING = "time > 0"
STAMP = "15m"
"""Stamps of days lie on quarter hours in every zone, so that no two fall into one bucket."""
IMPORT = "import it with fleetscope import, then fleetscope portfolio --publish"


def empty(what: str) -> str:
    """What a panel says where nothing is stored."""
    return f"No {what} in this time range: {IMPORT}"


def rows(
    select: str,
    measurement: str,
    *,
    where: str = PLANTS,
    when: str = DAYS,
    by: Sequence[str] = (),
    every: str = "",
    more: str = "",
) -> str:
    """InfluxQL over one measurement of the portfolio.

    Parameters
    ----------
    select : str
        What stands behind SELECT.
    measurement : str
        One of ``MEASUREMENTS``.
    where : str
        Condition on tags and fields; empty for none.
    when : str
        Condition on time.
    by : sequence of str
        Tags to group by.
    every : str
        Width of time buckets; empty buckets are left out.
    more : str
        What stands at the end.

    Raises
    ------
    KeyError
        There is no such measurement.
    """
    name = MEASUREMENTS[measurement].name
    condition = f"{where} AND {when}" if where else when
    groups = [*([f"time({every})"] if every else []), *(f'"{tag}"' for tag in by)]
    grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
    filled = " fill(none)" if every else ""
    return (
        f'SELECT {select} FROM "{KEPT_AT}"."{name}" WHERE {condition}{grouped}{filled} {more}'
    ).strip()


def daily(select: str, measurement: str, *, where: str = PLANTS, by: Sequence[str] = ()) -> str:
    """InfluxQL: rows of days put together over sites and tags, each day by itself."""
    return rows(select, measurement, where=where, by=by, every=STAMP)


def summed(field: str, measurement: str, *, where: str = PLANTS) -> str:
    """InfluxQL: one sum over the time range."""
    return rows(f'sum("{field}")', measurement, where=where)


def newest(
    fields: Sequence[str], measurement: str, *, by: Sequence[str] = ("site",), where: str = PLANTS
) -> str:
    """InfluxQL: the newest value of each field, by tags."""
    select = ", ".join(f'last("{name}") AS "{name}"' for name in fields)
    return rows(select, measurement, where=where, when=UNTIL, by=by)


def headline_query(text: str) -> str:
    """InfluxQL of a headline with its placeholders filled in."""
    return text.replace("$plants", PLANTS).replace("$days", DAYS).replace("$until", UNTIL)


_COMPUTED = f'SELECT max("through") AS "t" FROM "{KEPT_AT}"."publication" GROUP BY "site"'
AGE_QUERY = f'SELECT (${{__to}} - min("t") * 1000) / 1000 AS "v" FROM ({_COMPUTED})'
"""Seconds between what was known of the plant that is furthest behind, and the range's end."""
DATA_UNTIL = f'SELECT last("through_day") FROM "{KEPT_AT}"."publication" WHERE {EVERYTHING}'
