"""Telemetry of nodes: one point or a batch as JSON, checked as a whole before any of it is taken.

A body is a point, a list of points, or ``{"sent": …, "points": […]}``. Names of readings are those
of the glossary. The flat form of data-centre nodes (``dc_id``, ``timestamp``, ``cpu_usage``…) is
taken too, under the same names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from exporter.config.fleet import SiteId
from exporter.model.quantities import (
    BATTERY_QUANTITIES,
    CELL_CELSIUS,
    CELL_VOLTS,
    QUANTITIES,
    SITE_QUANTITIES,
)
from exporter.model.snapshot import MISSING, BatterySnapshot, Cells, Implausible
from exporter.model.text import plain_line

LARGEST_BODY = 64 * 1024
MOST_POINTS = 1000
_MOST_MISTAKES = 20
# Unix seconds of 2000 and 2100: beyond, a number is milliseconds or no time.
_EARLIEST, _LATEST = 946_684_800.0, 4_102_444_800.0


class TelemetryError(Exception):
    """Telemetry that is not taken; its text names each mistake with its place."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a node measured at one moment.

    Attributes
    ----------
    site : str
        Site id, or the ``dc_id`` of a data centre.
    measured : float
        Time of the device, Unix seconds.
    is_flat : bool
        Whether it came in the flat form of data-centre nodes.
    """

    site: str
    measured: float
    readings: Mapping[str, float] = field(default_factory=dict)
    batteries: tuple[BatterySnapshot, ...] = ()
    alarms: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    implausible: tuple[Implausible, ...] = ()
    is_flat: bool = False

    def given(self) -> list[tuple[str, str, str, str]]:
        """Device, quantity, key and value of each reading, as the node gave it."""
        wrong = {(i.device, i.quantity): i.value for i in self.implausible}
        found = []
        for key, device, readings in (
            ("readings", "site", self.readings),
            *((f"batteries {b.device} readings", b.device, b.readings) for b in self.batteries),
        ):
            for quantity, value in readings.items():
                name, scale = _FLAT_NAMES[quantity] if self.is_flat else (f"{key} {quantity}", 1.0)
                raw = wrong.get((device, quantity), value) / scale
                found.append((device, quantity, name, "null" if math.isnan(raw) else f"{raw:.10g}"))
        return found


@dataclass(frozen=True, slots=True)
class Batch:
    """The points of one message; ``sent`` is the device's time when it sent it, NaN unknown."""

    points: tuple[Point, ...]
    sent: float = math.nan


def _moment(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not _EARLIEST <= value <= _LATEST:
            raise ValueError("expected Unix seconds, from 2000 to 2100")
        return float(value)
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("expected a time such as 2026-03-01T08:00:00Z, or Unix seconds") from None
    if found.tzinfo is None:
        raise ValueError("has no time zone; expected Z or an offset such as +01:00")
    return _moment(found.timestamp())


def _number(value: Any) -> Any:
    if isinstance(value, (str, bool)):
        raise ValueError("expected a number or null")
    return MISSING if value is None else value


Moment = Annotated[float, BeforeValidator(_moment)]
Reading = Annotated[float, BeforeValidator(_number), Field(strict=True)]
DeviceId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$")]
AlarmName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _./-]{0,99}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Cells(_Strict):
    voltages_v: Annotated[tuple[Reading, ...], Field(max_length=2048)]
    temperatures_c: Annotated[tuple[Reading, ...], Field(max_length=2048)] = ()


class _Battery(_Strict):
    device: DeviceId
    active: Annotated[bool, Field(strict=True)] = True
    readings: dict[str, Reading]
    cells: _Cells | None = None


class _Point(_Strict):
    site: SiteId | None = None
    measured: Moment
    readings: dict[str, Reading] = {}
    batteries: Annotated[tuple[_Battery, ...], Field(max_length=64)] = ()
    alarms: Annotated[
        dict[DeviceId, Annotated[dict[AlarmName, Literal[0, 1, 2]], Field(max_length=256)]],
        Field(max_length=256),
    ] = {}


class _DataCentre(_Strict):
    """The flat form; power is what the data centre takes."""

    dc_id: SiteId
    timestamp: Moment
    cpu_usage: Reading = MISSING
    soc: Reading = MISSING
    power_kw: Reading = MISSING
    freq: Reading = MISSING
    network_mb_sent: Reading = MISSING
    network_mb_recv: Reading = MISSING
    load_factor: Reading = MISSING


class _Envelope(_Strict):
    sent: Moment
    points: Annotated[list[Any], Field(max_length=MOST_POINTS)]


_POINT, _DATA_CENTRE = TypeAdapter(_Point), TypeAdapter(_DataCentre)
_ENVELOPE = TypeAdapter(_Envelope)
_DATA_CENTRE_NAMES = {
    "cpu_usage": ("cpu_percent", 1.0),
    "power_kw": ("load_power_w", 1000.0),
    "freq": ("grid_frequency_hz", 1.0),
    "network_mb_sent": ("network_sent_mb", 1.0),
    "network_mb_recv": ("network_received_mb", 1.0),
    "load_factor": ("load_factor_ratio", 1.0),
}
_FLAT_NAMES = {name: (key, scale) for key, (name, scale) in _DATA_CENTRE_NAMES.items()}
_FLAT_NAMES["soc_percent"] = ("soc", 1.0)


def parse(body: bytes, site: str | None = None) -> Batch:
    """The telemetry of a message.

    Parameters
    ----------
    body : bytes
        JSON, :data:`LARGEST_BODY` at most.
    site : str or None
        The site that it comes from, where the way in says so; a point that names another is
        refused.

    Raises
    ------
    TelemetryError
    """
    if len(body) > LARGEST_BODY:
        raise TelemetryError(f"telemetry may be {LARGEST_BODY // 1024} KiB at most")
    try:
        document = json.loads(body, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _JsonMistakeError) else "is not JSON"
        raise TelemetryError(plain_line(reason)[:200]) from None
    sent, raw = math.nan, document
    mistakes: list[str] = []
    if isinstance(document, dict) and "points" in document:
        try:
            envelope = _ENVELOPE.validate_python(document)
        except ValidationError as error:
            raise TelemetryError("; ".join(_explained(error, ""))) from None
        sent, raw = envelope.sent, envelope.points
    several = isinstance(raw, list)
    entries = raw if several else [raw]
    if not 1 <= len(entries) <= MOST_POINTS:
        raise TelemetryError(f"expected 1 to {MOST_POINTS} points")
    points = []
    for index, entry in enumerate(entries):
        place = f"points[{index}]." if several else ""
        try:
            points.append(_point(entry, site, place))
        except ValidationError as error:
            mistakes += _explained(error, place)
        except TelemetryError as error:
            mistakes.append(str(error))
        if len(mistakes) >= _MOST_MISTAKES:
            break
    if mistakes:
        raise TelemetryError("; ".join(mistakes[:_MOST_MISTAKES]))
    return Batch(tuple(points), sent)


class _JsonMistakeError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _JsonMistakeError("names a key twice")
    return found


def _no_constant(name: str) -> float:
    raise _JsonMistakeError(f"holds {name}, which is no JSON; expected a number or null")


def _explained(error: ValidationError, place: str) -> list[str]:
    lines = []
    for found in error.errors(include_url=False, include_input=False)[:_MOST_MISTAKES]:
        where = ".".join(plain_line(str(part))[:60] for part in found["loc"])
        message = found["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        if found["type"] in ("model_type", "dict_type"):
            message = "expected an object"
        if found["type"] == "extra_forbidden":
            message = "unknown key"
        lines.append(f"{place}{where}: {message}" if where else f"{place}{message}")
    return lines


def _point(entry: Any, site: str | None, place: str) -> Point:
    if isinstance(entry, dict) and "dc_id" in entry:
        return _of_data_centre(_DATA_CENTRE.validate_python(entry), site)
    point = _POINT.validate_python(entry)
    named = point.site or site
    if named is None:
        raise TelemetryError(f"{place}site: is missing")
    if site is not None and point.site not in (None, site):
        raise TelemetryError(f"{place}site: is not the site that sends it")
    _check_names(point.readings, SITE_QUANTITIES, f"{place}readings")
    implausible: list[Implausible] = []
    batteries = []
    for index, battery in enumerate(point.batteries):
        _check_names(battery.readings, BATTERY_QUANTITIES, f"{place}batteries.{index}.readings")
        batteries.append(_battery(battery, implausible))
    if sum(battery.active for battery in batteries) > 1 and len(batteries) > 1:
        raise TelemetryError(f"{place}batteries: only one may be active")
    readings = _plausible(point.readings, "site", implausible)
    return Point(
        named, point.measured, readings, tuple(batteries), point.alarms, tuple(implausible)
    )


def _of_data_centre(entry: _DataCentre, site: str | None) -> Point:
    implausible: list[Implausible] = []
    given = {
        name: getattr(entry, key) * scale
        for key, (name, scale) in _DATA_CENTRE_NAMES.items()
        if key in entry.model_fields_set
    }
    readings = _plausible(given, "site", implausible)
    batteries: tuple[BatterySnapshot, ...] = ()
    if not math.isnan(entry.soc):
        soc = _plausible({"soc_percent": entry.soc}, "battery/0", implausible)
        batteries = (BatterySnapshot("battery/0", True, soc),)
    return Point(
        site or entry.dc_id,
        entry.timestamp,
        readings,
        batteries,
        implausible=tuple(implausible),
        is_flat=True,
    )


def _check_names(readings: Mapping[str, float], known: Collection[str], place: str) -> None:
    for name in readings:
        if name not in known:
            raise TelemetryError(f"{place}.{plain_line(name)[:60]}: no such quantity")


def _plausible(
    readings: Mapping[str, float], device: str, implausible: list[Implausible]
) -> dict[str, float]:
    found = {}
    for name, value in readings.items():
        found[name] = value
        if not math.isnan(value) and not QUANTITIES[name].plausible(value):
            implausible.append(Implausible(device, name, value))
            found[name] = MISSING
    return found


def _battery(battery: _Battery, implausible: list[Implausible]) -> BatterySnapshot:
    readings = _plausible(battery.readings, battery.device, implausible)
    cells = None
    if battery.cells is not None:
        volts = battery.cells.voltages_v
        celsius = battery.cells.temperatures_c or (MISSING,) * len(volts)
        if len(celsius) != len(volts):
            raise TelemetryError(f"{battery.device}: cells need as many temperatures as voltages")
        volts = _limited(volts, "voltage_v", battery.device, implausible)
        celsius = _limited(celsius, "temperature_c", battery.device, implausible)
        cells = Cells(tuple(str(n + 1) for n in range(len(volts))), volts, celsius)
    return BatterySnapshot(battery.device, battery.active, readings, cells=cells)


def _limited(
    values: tuple[float, ...], name: str, device: str, implausible: list[Implausible]
) -> tuple[float, ...]:
    low, high = CELL_VOLTS if name == "voltage_v" else CELL_CELSIUS
    found = []
    for number, value in enumerate(values, 1):
        if not math.isnan(value) and not low <= value <= high:
            implausible.append(Implausible(device, f"cell {number} {name}", value))
            value = MISSING  # noqa: PLW2901 - what cannot be is missing
        found.append(value)
    return tuple(found)
