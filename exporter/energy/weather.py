"""Weather that was measured or forecast: the forms in which it comes, and what is stored of it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from exporter.history.influxql import InfluxQL, between, quoted
from exporter.model.levels import LEVELS
from exporter.store.line_protocol import tag
from scoring.forecast import SLOT_SECONDS, WEATHER_HOURS
from scoring.pv_power import Sky

FloatArray = NDArray[np.float64]
Stamps = Literal["start", "end"]
MEASUREMENT = "weather"
KEPT_AT = LEVELS[2].name
"""Kept as long as the roll-up of hours, which is for ever unless the settings say otherwise."""
AHEAD = "weather_ahead"
AHEAD_KEPT_AT = LEVELS[1].name
UNKNOWN = -9999.0
"""In rows that are compared, where NaN equals nothing."""
LONGEST_SECONDS = 10_800.0
MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Column:
    """A quantity of the weather: unit, limits of physics, and the names that it comes under."""

    name: str
    unit: str
    meaning: str
    low: float
    high: float
    names: tuple[str, ...]


COLUMNS: tuple[Column, ...] = (
    Column(
        *("ghi_w_m2", "W/m²", "Irradiance on a horizontal plane", -20, 1700),
        ("ghi_w_m2", "ghi", "shortwave_radiation", "global_horizontal_irradiance"),
    ),
    Column(
        *("dni_w_m2", "W/m²", "Irradiance of the beam", -20, 1500),
        ("dni_w_m2", "dni", "direct_normal_irradiance"),
    ),
    Column(
        *("dhi_w_m2", "W/m²", "Diffuse irradiance on a horizontal plane", -20, 1000),
        ("dhi_w_m2", "dhi", "diffuse_radiation", "diffuse_horizontal_irradiance"),
    ),
    Column(
        *("poa_w_m2", "W/m²", "Irradiance in the plane of the arrays", -20, 1800),
        ("poa_w_m2", "poa", "poa_global", "global_tilted_irradiance"),
    ),
    Column(
        *("air_c", "°C", "Air temperature", -90, 65),
        ("air_c", "temp_air", "temperature_2m", "temperature"),
    ),
    Column(
        *("wind_m_s", "m/s", "Wind", 0, 120),
        ("wind_m_s", "wind_speed", "wind_speed_10m", "windspeed_10m"),
    ),
    Column(*("snow_m", "m", "Depth of snow", 0, 30), ("snow_m", "snow_depth")),
    Column(
        *("rain_mm", "mm", "Rain of the row's time", 0, 1000), ("rain_mm", "rain", "precipitation")
    ),
)
_TO_BASE: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "W/m²": {"W/m2": (1.0, 0.0), "W/m^2": (1.0, 0.0), "kW/m²": (1000.0, 0.0)},
    "°C": {"C": (1.0, 0.0), "°F": (5 / 9, -32.0), "K": (1.0, -273.15)},
    "m/s": {
        "km/h": (1 / 3.6, 0.0),
        "mp/h": (0.44704, 0.0),
        "mph": (0.44704, 0.0),
        "kn": (0.514444, 0.0),
    },
    "m": {"cm": (0.01, 0.0), "ft": (0.3048, 0.0), "inch": (0.0254, 0.0)},
    "mm": {"cm": (10.0, 0.0), "inch": (25.4, 0.0)},
}
"""By the unit of a column the others that it may come in: factor, and what is added before."""
_STARTS = ("time", "start", "timestamp", "datetime", "date")


class WeatherError(Exception):
    """Weather that cannot be used; its text says why."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Weather of one place: each row counts from its start for its length.

    Attributes
    ----------
    starts, seconds : float arrays, shape (K,)
        Ascending Unix seconds, and lengths.
    columns : dict of column name to float array, shape (K,)
        NaN where unknown.
    refused : int
        Values outside physics, which are taken as unknown.
    """

    starts: FloatArray
    seconds: FloatArray
    columns: Mapping[str, FloatArray]
    refused: int = 0

    def means(self, name: str, first: int, count: int) -> FloatArray:
        """Mean of a column over each slot; NaN where less than half of a slot is known."""
        values = self.columns.get(name)
        if values is None or not self.starts.size:
            return np.full(count, np.nan)
        known = np.isfinite(values)
        starts, ends = self.starts[known], (self.starts + self.seconds)[known]
        edges = SLOT_SECONDS * np.arange(first, first + count + 1, dtype=np.float64)
        length = _covered(starts, ends, np.ones(len(starts)), edges)
        total = _covered(starts, ends, values[known], edges)
        enough = length >= SLOT_SECONDS / 2
        return np.where(enough, total / np.where(enough, length, 1.0), np.nan)

    def amounts(self, name: str, first: int, count: int) -> FloatArray:
        """An amount of each slot, spread evenly over its row; NaN where nothing is known."""
        values = self.columns.get(name)
        if values is None or not self.starts.size:
            return np.full(count, np.nan)
        rates = Weather(self.starts, self.seconds, {name: values / self.seconds})
        return rates.means(name, first, count) * SLOT_SECONDS

    def sky(self, first: int, elevation_deg: FloatArray) -> Sky:
        """The weather of slots; an hour's irradiance is given the shape of the sun's height.

        Parameters
        ----------
        first : int
            Slot since 1970.
        elevation_deg : float array, shape (N,)
            Of the sun in the middle of each slot.
        """
        count = len(elevation_deg)
        found = {
            name: self.means(name, first, count)
            for name in ("ghi_w_m2", "dni_w_m2", "dhi_w_m2", "poa_w_m2", "air_c", "wind_m_s")
        }
        height = np.maximum(np.sin(np.radians(elevation_deg)), 0.0)
        found["ghi_w_m2"] = found["ghi_w_m2"] * self._shape(first, height)
        return Sky.of(count, **found)

    def _shape(self, first: int, height: FloatArray) -> FloatArray:
        """Factor of each slot: its height of the sun over the mean of its row."""
        count = len(height)
        slots = np.arange(first, first + count)
        middle = SLOT_SECONDS * (slots + 0.5)
        row = np.searchsorted(self.starts, middle, side="right") - 1
        wide = (row >= 0) & (self.seconds[np.maximum(row, 0)] > SLOT_SECONDS)
        shape = np.ones(count)
        for one in np.unique(row[wide]).tolist():
            here = wide & (row == one)
            mean = float(height[here].mean())
            # A row that the time cuts has no shape of its own.
            whole = here.sum() * SLOT_SECONDS >= self.seconds[one] - 1
            if mean > 0 and whole:
                shape[here] = height[here] / mean
        return shape


def _covered(
    starts: FloatArray, ends: FloatArray, values: FloatArray, edges: FloatArray
) -> FloatArray:
    """Integral over each slot of a value that holds from start to end; rows do not overlap."""
    grown = np.concatenate(([0.0], np.cumsum(values * (ends - starts))))
    place = np.searchsorted(starts, edges, side="right")
    within = np.zeros(len(edges))
    inside = place > 0
    row = np.maximum(place - 1, 0)
    if starts.size:
        within[inside] = values[row[inside]] * np.clip(
            edges[inside] - starts[row[inside]], 0.0, (ends - starts)[row[inside]]
        )
        before = np.where(inside, grown[row], 0.0)
    else:
        before = np.zeros(len(edges))
    return np.diff(before + within)


def parse_weather(body: bytes, stamps: Stamps | None) -> Weather:
    """Read weather from CSV with a header, or from JSON of Open-Meteo's shape.

    CSV has a column ``time`` and some of :data:`COLUMNS` by any of their names. Times are Unix
    seconds or ISO 8601 with an offset; Open-Meteo's local times have theirs in
    ``utc_offset_seconds``.

    Parameters
    ----------
    body : bytes
    stamps : "start", "end" or None
        See :class:`exporter.energy.weather_file.WeatherSource`.

    Raises
    ------
    WeatherError
    """
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise WeatherError("is not UTF-8") from error
    if not text:
        raise WeatherError("is empty")
    try:
        if text[0] == "{":
            times, given, units = _open_meteo(json.loads(text))
            stamps = stamps or "end"
        else:
            times, given, units = _csv(text)
            stamps = stamps or "start"
    except (ValueError, OverflowError, RecursionError, TypeError) as error:
        raise WeatherError(f"is neither CSV nor JSON of Open-Meteo's shape: {error}") from error
    return _checked(times, given, units, stamps)


Given = Mapping[str, Sequence[Any]]


def _open_meteo(value: dict[str, Any]) -> tuple[list[float], Given, Mapping[str, str]]:
    if value.get("error"):
        raise WeatherError(f"says: {str(value.get('reason'))[:200]}")
    kind = next((k for k in ("minutely_15", "hourly") if isinstance(value.get(k), dict)), None)
    if kind is None:
        raise WeatherError("has neither hourly nor minutely_15")
    table = value[kind]
    if not isinstance(table.get("time"), list):
        raise WeatherError(f"has no {kind}.time")
    offset = timedelta(seconds=float(value.get("utc_offset_seconds") or 0.0))
    times = [_moment(one, offset) for one in table["time"]]
    units = value.get(f"{kind}_units") or {}
    if not isinstance(units, dict):
        raise WeatherError(f"has {kind}_units that are no object")
    return times, {k: v for k, v in table.items() if k != "time" and isinstance(v, list)}, units


def _csv(text: str) -> tuple[list[float], Given, Mapping[str, str]]:
    rows = csv.reader(io.StringIO(text), delimiter=";" if ";" in text.split("\n", 1)[0] else ",")
    header = [name.strip().lower() for name in next(rows)]
    place = next((header.index(name) for name in _STARTS if name in header), None)
    if place is None:
        raise WeatherError("has no column time")
    lines = [line for line in rows if any(cell.strip() for cell in line)]
    if any(len(line) != len(header) for line in lines):
        raise WeatherError("has a row with another number of columns than its header")
    times = [_moment(line[place].strip(), None) for line in lines]
    given = {
        name: [line[n].strip() or None for line in lines]
        for n, name in enumerate(header)
        if n != place
    }
    return times, given, {}


def _moment(value: Any, offset: timedelta | None) -> float:
    """Unix seconds; a time without an offset is read with the one that is given."""
    try:
        return float(value)
    except ValueError:
        pass
    moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    if moment.tzinfo is None:
        if offset is None:
            raise WeatherError(f"holds the time {str(value)[:40]!r} without an offset such as Z")
        moment = moment.replace(tzinfo=UTC) - offset
    return moment.timestamp()


def _checked(times: list[float], given: Given, units: Mapping[str, str], stamps: Stamps) -> Weather:
    if not times:
        raise WeatherError("holds no row")
    if len(times) > MOST_ROWS:
        raise WeatherError(f"holds more than {MOST_ROWS} rows")
    stamp, keep = np.unique(np.array(times, dtype=np.float64), return_index=True)
    if not np.isfinite(stamp).all() or np.abs(stamp).max() > 1e11:
        raise WeatherError("holds a time that is none")
    steps = np.diff(stamp)
    usual = float(np.median(steps)) if steps.size else 3600.0
    if usual > LONGEST_SECONDS:
        raise WeatherError(f"has a row every {usual / 3600:.1f} h; 3 h at most")
    columns: dict[str, FloatArray] = {}
    refused = 0
    for column in COLUMNS:
        name = next((name for name in column.names if name in given), None)
        if name is None:
            continue
        values = np.array([_number(one) for one in given[name]], dtype=np.float64)
        if len(values) != len(times):
            raise WeatherError(f"has not as many values of {name} as times")
        values = _in_base(values[keep], column, name, str(units.get(name) or column.unit))
        outside = (values < column.low) | (values > column.high)
        refused += int(outside.sum())
        columns[column.name] = np.where(outside, np.nan, values)
        if column.unit == "W/m²":
            # Sensors show some watts below 0 at night.
            columns[column.name] = np.maximum(columns[column.name], 0.0)
    if not columns:
        names = ", ".join(column.names[-1] for column in COLUMNS)
        raise WeatherError(f"has no column that is known; such as {names}")
    seconds = np.full(len(stamp), usual)
    starts = stamp - usual if stamps == "end" else stamp
    seconds[:-1] = np.minimum(seconds[:-1], steps)
    if stamps == "end":
        starts[1:] = np.maximum(starts[1:], stamp[:-1])
        seconds[1:] = stamp[1:] - starts[1:]
        seconds[0] = usual
    return Weather(starts, seconds, columns, refused)


def _in_base(values: FloatArray, column: Column, name: str, unit: str) -> FloatArray:
    """Values in the unit of a column.

    Raises
    ------
    WeatherError
        Another unit is not guessed.
    """
    if unit == column.unit:
        return values
    known = _TO_BASE[column.unit]
    if unit not in known:
        raise WeatherError(f"gives {name} in {unit[:20]}; expected {column.unit}")
    factor, added = known[unit]
    return (values + added) * factor


def _number(value: Any) -> float:
    if value is None or isinstance(value, bool):
        return math.nan
    try:
        return float(str(value).replace(",", "."))
    except ValueError as error:
        raise WeatherError(f"holds {str(value)[:40]!r}, which is no number") from error


def _shown(names: Sequence[str], values: Sequence[float]) -> str:
    """Fields of a row, without what is unknown."""
    return ",".join(
        f"{name}={value!r}"
        for name, value in zip(names, values, strict=True)
        if not math.isnan(value)
    )


def ahead_lines(place: str, weather: Weather, now: float, hours: int) -> list[str]:
    """Line protocol of what is said now of times ahead, by how long before them it was said.

    A row of a lead was known so many hours before it begins: the lead counts from the next full
    hour on. Rows of ``hours`` hours are written, those of the later ones until newer ones come.
    """
    names = ["seconds", *weather.columns]
    table = np.column_stack([weather.seconds, *weather.columns.values()])
    full = -(-now // 3600) * 3600
    lines = []
    for lead in WEATHER_HOURS:
        begin = full + 3600 * lead
        here = (weather.starts >= begin) & (weather.starts < begin + 3600 * hours)
        series = f"{AHEAD},place={tag(place)},lead={lead}h"
        for start, row in zip(weather.starts[here].tolist(), table[here].tolist(), strict=True):
            lines.append(f"{series} {_shown(names, row)} {round(start * 1000)}")
    return lines


def weather_lines(place: str, weather: Weather, known: set[tuple[float, ...]]) -> list[str]:
    """Line protocol of rows that are new or changed.

    Parameters
    ----------
    place : str
    weather : Weather
    known : set
        Rows that were stored before; becomes those of this weather.
    """
    names = list(weather.columns)
    table = np.column_stack([weather.starts, weather.seconds, *weather.columns.values()])
    rows = [tuple(row) for row in np.where(np.isnan(table), UNKNOWN, table).tolist()]
    lines = []
    for row in rows:
        if row in known:
            continue
        values = [math.nan if value == UNKNOWN else value for value in row[1:]]
        shown = _shown(("seconds", *names), values)
        lines.append(f"{MEASUREMENT},place={tag(place)} {shown} {round(row[0] * 1000)}")
    known.clear()
    known.update(rows)
    return lines


async def read_weather(
    stored: InfluxQL, place: str, start: float, end: float, lead: int | None = None
) -> Weather:
    """What is stored of a place; with a lead what was said so many hours before.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    names = [column.name for column in COLUMNS]
    columns = ", ".join(f'"{name}"' for name in ("seconds", *names))
    source, of_lead = f'"{KEPT_AT}"."{MEASUREMENT}"', ""
    if lead is not None:
        source, of_lead = f'"{AHEAD_KEPT_AT}"."{AHEAD}"', f"AND \"lead\" = '{lead}h' "
    read = await stored.select(
        f'SELECT {columns} FROM {source} WHERE "place" = {quoted(place)} '  # noqa: S608
        f"{of_lead}AND {between(start - LONGEST_SECONDS, end)}"
    )
    rows = np.array(
        [[math.nan if v is None else v for v in row] for series in read for row in series.rows],
        dtype=np.float64,
    ).reshape(-1, 2 + len(names))
    found = dict(zip(names, rows[:, 2:].T, strict=True))
    return Weather(rows[:, 0] / 1000.0, rows[:, 1], found)
