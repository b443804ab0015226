"""Prices of a month: troughs at night, peaks in the evening, and nights on which wind pays.

The shape follows day-ahead prices of Great Britain: a trough from one to five, a peak from half
past four to half past seven in the evening, hours that resemble the one before (AR(1)), and some
windy nights below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
QUARTER_SECONDS = 900
SETTLEMENT_SECONDS = 1800
"""Prices and statements are by half hour, as in Great Britain; metering is by quarter hour."""


@dataclass(frozen=True, slots=True)
class Market:
    """Quarter hours of one month of local days, which are 92 or 100 where clocks change.

    ``times`` are Unix seconds of the starts, shape (N,); ``day`` counts local days from 0 and
    ``hour`` is local time; ``price`` is what came and ``expected`` what was known the day before,
    both a MWh.
    """

    zone: ZoneInfo
    times: FloatArray
    day: NDArray[np.int64]
    hour: FloatArray
    price: FloatArray
    expected: FloatArray


def market(year: int, month: int, zone: str, seed: int) -> Market:
    """Prices of one month."""
    rng = np.random.default_rng([seed, year, month])
    local = ZoneInfo(zone)
    begin = datetime(year, month, 1, tzinfo=local)
    end = (begin + timedelta(days=32)).replace(day=1)
    times = np.arange(begin.timestamp(), end.timestamp(), QUARTER_SECONDS)
    moments = [datetime.fromtimestamp(time, local) for time in times]
    day = np.array([(m.date() - begin.date()).days for m in moments])
    hour = np.array([m.hour + m.minute / 60 for m in moments])
    shape = (
        62.0
        - 34.0 * np.exp(-(((hour - 3.0) / 2.2) ** 2))
        + 88.0 * np.exp(-(((hour - 18.0) / 1.7) ** 2))
        + 16.0 * np.exp(-(((hour - 8.0) / 1.5) ** 2))
    )
    level = rng.normal(0.0, 9.0, day[-1] + 1)[day]
    windy = (rng.random(day[-1] + 1) < 0.15)[day] & (hour < 6)
    noise = np.zeros(len(times))
    steps = rng.normal(0.0, 3.0, len(times))
    for n in range(1, len(times)):
        noise[n] = 0.85 * noise[n - 1] + steps[n]
    known = shape + level - 55.0 * windy
    return Market(
        zone=local,
        times=times,
        day=day,
        hour=hour,
        price=_by_period(known + noise),
        expected=_by_period(known),
    )


def _by_period(price: FloatArray) -> FloatArray:
    """One price for both quarter hours of a settlement period."""
    pairs = price.reshape(-1, SETTLEMENT_SECONDS // QUARTER_SECONDS)
    found: FloatArray = np.repeat(np.round(pairs.mean(axis=1), 2), pairs.shape[1])
    return found
