"""Series of prices: the forms in which they are published, and what is stored of them.

The collector reads every series of the tariff file and stores it, so that the past keeps its
prices after the service has forgotten them, and everybody reads the same.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.history.influxql import InfluxQL, between, quoted
from exporter.model.levels import LEVELS
from exporter.store.line_protocol import tag

FloatArray = NDArray[np.float64]
MEASUREMENT = "price"
KEPT_AT = LEVELS[2].name
"""Kept as long as the roll-up of hours, which is for ever unless the settings say otherwise."""
LONGEST_SECONDS = 86_400.0
MOST_VALUES = 400_000
_LARGEST = 1e9


class PriceError(Exception):
    """A series that cannot be used; its text says why."""


@dataclass(frozen=True, slots=True)
class Prices:
    """A series: each value counts from its start for its length.

    Attributes
    ----------
    starts, seconds, values : float arrays, shape (K,)
        Ascending Unix seconds, lengths, and amounts per kWh.
    """

    starts: FloatArray
    seconds: FloatArray
    values: FloatArray

    def at(self, times: FloatArray) -> FloatArray:
        """What counts at some times, shape (N,); NaN where nothing is known."""
        if not self.starts.size:
            return np.full(len(times), np.nan)
        place = np.searchsorted(self.starts, times, side="right") - 1
        safe = np.maximum(place, 0)
        holds = (place >= 0) & (times < self.starts[safe] + self.seconds[safe])
        return np.where(holds, self.values[safe], np.nan)


def parse_prices(body: bytes, per_kwh: float) -> Prices:
    """Read a series in any of the forms that are published.

    CSV with a head of ``time,price`` (and ``end``), or JSON: a list of objects, or the replies of
    Energy-Charts, aWATTar, Tibber and Octopus. Times are Unix seconds or milliseconds, or ISO 8601
    with an offset; one without an offset is refused, since an hour of the year has two meanings.

    Parameters
    ----------
    body : bytes
    per_kwh : float
        What turns the amounts into amounts per kWh.

    Raises
    ------
    PriceError
    """
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise PriceError("is not UTF-8") from error
    if not text:
        raise PriceError("is empty")
    try:
        rows = _json_rows(json.loads(text)) if text[0] in "{[" else _csv_rows(text)
    except (ValueError, RecursionError) as error:
        raise PriceError(f"is neither CSV nor JSON: {error}") from error
    return _checked(rows, per_kwh)


Row = tuple[float, float, float]
"""Start, end (NaN is unknown), amount."""


def _checked(rows: Iterable[Row], per_kwh: float) -> Prices:
    found: dict[float, Row] = {}
    for row in rows:
        if not math.isfinite(row[2]) or abs(row[2]) > _LARGEST:
            raise PriceError(f"holds {row[2]}, which is no price")
        found[row[0]] = row
        if len(found) > MOST_VALUES:
            raise PriceError(f"holds more than {MOST_VALUES} values")
    if not found:
        raise PriceError("holds no price")
    ordered = np.array([found[start] for start in sorted(found)])
    starts, ends = ordered[:, 0], ordered[:, 1]
    following = np.append(np.diff(starts), np.nan)
    usual = float(np.nanmedian(following)) if len(starts) > 1 else 3600.0
    seconds = np.where(np.isnan(ends), following, ends - starts)
    # The last has no next one, and what follows a gap does not reach back over it.
    seconds = np.where(np.isnan(seconds) | (seconds > LONGEST_SECONDS), usual, seconds)
    seconds = np.fmin(seconds, following)
    if (seconds <= 0).any():
        raise PriceError("holds a price that ends before it starts")
    return Prices(starts, seconds, ordered[:, 2] * per_kwh)


def _csv_rows(text: str) -> list[Row]:
    lines = list(csv.DictReader(io.StringIO(text), delimiter=";" if ";" in text[:200] else ","))
    return [_row({(k or "").strip().lower(): v for k, v in line.items()}) for line in lines]


_STARTS = ("time", "start", "starts_at", "startsat", "start_timestamp", "valid_from", "from")
_ENDS = ("end", "end_timestamp", "valid_to", "to")
_AMOUNTS = ("price", "marketprice", "total", "value_inc_vat", "value", "grams", "co2", "intensity")


def _json_rows(value: Any) -> list[Row]:
    if isinstance(value, dict) and isinstance(value.get("unix_seconds"), list):
        amounts = value.get("price", value.get("co2eq"))
        if not isinstance(amounts, list) or len(amounts) != len(value["unix_seconds"]):
            raise PriceError("has not as many prices as times")
        pairs = zip(value["unix_seconds"], amounts, strict=True)
        return [(_moment(t), math.nan, float(p)) for t, p in pairs if p is not None]
    while isinstance(value, dict):
        inner = next((value[k] for k in ("data", "results", "prices") if k in value), None)
        if inner is None:
            days = [value[k] for k in ("today", "tomorrow") if isinstance(value.get(k), list)]
            inner = [row for day in days for row in day] if days else None
        if inner is None:
            raise PriceError("has none of: unix_seconds, data, results, prices, today")
        value = inner
    if not isinstance(value, list):
        raise PriceError("holds no list of prices")
    return [_row({str(k).lower(): v for k, v in row.items()}) for row in value if _is_object(row)]


def _is_object(row: Any) -> bool:
    if not isinstance(row, dict):
        raise PriceError("holds a price without a time")
    return True


def _row(line: Mapping[str, Any]) -> Row:
    def one(names: Sequence[str]) -> Any:
        return next((line[name] for name in names if line.get(name) not in (None, "")), None)

    start, end, amount = one(_STARTS), one(_ENDS), one(_AMOUNTS)
    if start is None or amount is None:
        raise PriceError(f"has a row without {'time' if start is None else 'price'}")
    try:
        number = float(str(amount).replace(",", "."))
    except ValueError as error:
        raise PriceError(f"holds {str(amount)[:40]!r}, which is no price") from error
    return _moment(start), math.nan if end is None else _moment(end), number


def _moment(value: Any) -> float:
    """Unix seconds."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isfinite(number) and not isinstance(value, bool):
        return number / 1000 if abs(number) > 1e11 else number
    try:
        moment = datetime.fromisoformat(str(value).strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise PriceError(f"holds {str(value)[:40]!r}, which is no time") from error
    if moment.tzinfo is None:
        raise PriceError(f"holds the time {str(value)[:40]!r} without an offset such as +01:00")
    return moment.timestamp()


def price_lines(name: str, prices: Prices) -> list[str]:
    """Line protocol of a series."""
    rows = zip(prices.starts.tolist(), prices.seconds.tolist(), prices.values.tolist(), strict=True)
    series = f"{MEASUREMENT},series={tag(name)}"
    return [f"{series} price={p!r},seconds={s!r} {round(t * 1000)}" for t, s, p in rows]


async def read_prices(
    stored: InfluxQL, names: Iterable[str], start: float, end: float
) -> dict[str, Prices]:
    """What is stored of some series, from a day before the period on.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    found = {}
    for name in sorted(set(names)):
        read = await stored.select(
            f'SELECT "seconds", "price" FROM "{KEPT_AT}"."{MEASUREMENT}" '  # noqa: S608
            f'WHERE "series" = {quoted(name)} AND {between(start - LONGEST_SECONDS, end)}'
        )
        rows = np.array([row for series in read for row in series.rows], dtype=np.float64)
        rows = rows.reshape(-1, 3)
        found[name] = Prices(rows[:, 0] / 1000.0, rows[:, 1], rows[:, 2])
    return found
