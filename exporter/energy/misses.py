"""The worst misses of forecasts as they were issued: what came, against what was said before.

They are worked out once a day, of the day that is over, by the forecast as it was kept, which none
changed afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.energy.forecasts import KEPT_AT
from exporter.energy.forecasts import MEASUREMENT as FORECAST
from exporter.energy.site_past import SitePast
from exporter.history.influxql import InfluxQL, between, quoted
from exporter.store.line_protocol import tag, text
from scoring.forecast import DAY_SLOTS, SLOT_SECONDS

MEASUREMENT = "forecast_miss"
LEAD = "24h"
WORST = 5
APART_SLOTS = 4
"""Two misses of one hour are one."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A quarter hour outside of the band of its forecast; W.

    ``missed_w`` is what came less the median; ``beyond_w`` how far that is outside of the band.
    """

    start: float
    p10_w: float
    p50_w: float
    p90_w: float
    measured_w: float
    method: str

    @property
    def missed_w(self) -> float:
        """Above 0 where more came."""
        return self.measured_w - self.p50_w

    @property
    def beyond_w(self) -> float:
        """0 within the band."""
        return max(self.p10_w - self.measured_w, self.measured_w - self.p90_w, 0.0)


def worst(misses: Sequence[Miss]) -> list[Miss]:
    """Those that are furthest outside of their band, an hour apart, the worst first."""
    found: list[Miss] = []
    for one in sorted(misses, key=lambda miss: -miss.beyond_w):
        near = any(abs(one.start - o.start) < APART_SLOTS * SLOT_SECONDS for o in found)
        if one.beyond_w > 0 and not near:
            found.append(one)
        if len(found) == WORST:
            break
    return found


async def misses_of_day(stored: InfluxQL, past: SitePast, quantity: str, last: int) -> list[Miss]:
    """The worst misses of the 96 slots before slot ``last``, which the past holds.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    first = max(last - DAY_SLOTS, past.first)
    read = await stored.select(
        f'SELECT "p10_w", "p50_w", "p90_w", "method" FROM "{KEPT_AT}"."{FORECAST}" '  # noqa: S608
        f'WHERE "site" = {quoted(past.site.id)} AND "quantity" = {quoted(quantity)} '
        f'AND "lead" = {quoted(LEAD)} AND {between(first * SLOT_SECONDS, last * SLOT_SECONDS)}'
    )
    watts = past.watts[quantity]
    found = []
    for series in read:
        for time, p10, p50, p90, method in series.rows:
            place = int(time // (1000 * SLOT_SECONDS)) - past.first
            if 0 <= place < len(watts) and np.isfinite(watts[place]):
                came = float(watts[place])
                found.append(Miss(time / 1000, p10, p50, p90, came, str(method)))
    return worst(found)


def miss_lines(site: str, quantity: str, misses: Sequence[Miss]) -> list[str]:
    """Line protocol of misses, at the time of their quarter hour."""
    series = f"{MEASUREMENT},site={tag(site)},quantity={quantity}"
    return [
        f"{series} p50_w={one.p50_w!r},measured_w={round(one.measured_w, 2)!r},"
        f"missed_w={round(one.missed_w, 2)!r},beyond_w={round(one.beyond_w, 2)!r},"
        f"method={text(one.method)} {round(one.start * 1000)}"
        for one in misses
    ]
