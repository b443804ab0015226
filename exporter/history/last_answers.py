"""When sites answered last, from what is stored: so that a restart does not forget it."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.history.influxql import InfluxQL, between
from exporter.history.observed import of_sites
from exporter.model.levels import DAY

LOOK_BACK_DAYS = 90


async def last_answers(stored: InfluxQL, sites: Sequence[str], now: float) -> dict[str, float]:
    """Unix seconds of the last poll that each site answered, of those that did in 90 days.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    where = " AND ".join(filter(None, (between(now - LOOK_BACK_DAYS * DAY, now), of_sites(sites))))
    # From the newest on: of a site that answers, one row is read.
    found = await stored.select(
        f'SELECT "online" FROM "site" WHERE {where} AND "online" = 1 '  # noqa: S608 - ids of ours
        'GROUP BY "site" ORDER BY time DESC LIMIT 1'
    )
    wanted = set(sites)
    return {
        series.tags["site"]: series.rows[0][0] / 1000.0
        for series in found
        if series.tags["site"] in wanted
    }
