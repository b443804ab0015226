"""Readings of a device, out of raw values and its template. Pure, no I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from exporter.drivers.template.template_model import Reading, Source, Template
from exporter.drivers.venus.readings import Collector, total
from exporter.drivers.venus.values import is_wrong_type, number
from exporter.model.quantities import BATTERY_QUANTITIES
from exporter.model.snapshot import MISSING, BatterySnapshot, Implausible

NOT_READ = object()
"""In place of a raw value whose request failed: nothing new is known of it."""
Raw = Callable[[Source], Any]
_LEVELS = (0.0, 1.0, 2.0)


def value_of(source: Source, raw: Any) -> Any:
    """A raw value as its row means it: a number, None for no value, or what is of a wrong type."""
    if raw is None or raw in source.missing or (isinstance(raw, float) and math.isnan(raw)):
        return None
    if source.bit is not None:
        whole = number(raw)
        if not math.isfinite(whole):
            return raw if is_wrong_type(raw) else None
        raw = float(int(whole) >> source.bit & 1)
    if source.values is not None:
        key = _key(raw)
        # A text that the template does not know is of a wrong type, and is named.
        return source.values.get(key, raw if isinstance(raw, str) else f"{key} is not in values")
    if is_wrong_type(raw):
        return raw
    plain = number(raw)
    return None if math.isnan(plain) else plain * source.scale + source.offset


def _key(raw: Any) -> str:
    """A raw value as a key of ``values``: ``true``, ``3``, or its text."""
    if isinstance(raw, bool):
        return str(raw).lower()
    return f"{raw:g}" if isinstance(raw, float) else str(raw)


def _put(reading: Reading, raw_of: Raw, into: Collector) -> None:
    values: list[Any] = []
    for source in reading.sources:
        raw = raw_of(source)
        if raw is NOT_READ:
            return
        value = value_of(source, raw)
        if value is None and source.optional:
            continue
        values.append(value)
    wrong = next((v for v in values if is_wrong_type(v)), None)
    if wrong is not None:
        into.take(reading.quantity, wrong)
    elif not values or None in values:
        into.put(reading.quantity, MISSING)
    else:
        # Beyond nine digits it is noise of the multiplication.
        whole = math.fsum(values) if all(map(math.isfinite, values)) else math.inf
        into.put(reading.quantity, round(whole, 9))


class DeviceReadings:
    """What one reading of a device found.

    Attributes
    ----------
    site : Collector
    batteries : list of BatterySnapshot
    alarms : dict
        Levels by device and alarm.
    implausible : list of Implausible
    """

    def __init__(self, template: Template, raw_of: Raw) -> None:
        self.site = Collector("site", "template")
        self.alarms: dict[str, dict[str, int]] = {}
        packs: dict[str, Collector] = {}
        for reading in template.readings:
            device = reading.battery
            if device is None:
                _put(reading, raw_of, self.site)
            else:
                into = packs.setdefault(device, Collector(device, "battery"))
                _put(reading, raw_of, into)
        self._read_alarms(template, raw_of)
        self._add_pv()
        self.batteries = _batteries(list(packs.values()))
        self.implausible: list[Implausible] = list(self.site.implausible)
        for into in packs.values():
            self.implausible += into.implausible

    def _read_alarms(self, template: Template, raw_of: Raw) -> None:
        for alarm in template.alarms:
            value = value_of(alarm, raw_of(alarm))
            if isinstance(value, float) and value in _LEVELS:
                self.alarms.setdefault(alarm.device, {})[alarm.alarm] = int(value)

    def _add_pv(self) -> None:
        """The PV of a site is that of its parts, where the device does not give the whole."""
        readings, names = self.site.readings, ("pv_dc_power_w", "pv_ac_power_w")
        given = [name for name in names if name in readings]
        if "pv_power_w" in readings or not given:
            return
        parts: Sequence[float] = [readings[name] for name in given]
        partial = any(self.site.rejected(name) for name in given)
        self.site.put("pv_power_w", MISSING if partial else total(parts))


def _batteries(packs: list[Collector]) -> list[BatterySnapshot]:
    found = []
    for index, into in enumerate(packs):
        readings = into.readings
        if not readings:
            continue
        low, high = readings.get("cell_min_v"), readings.get("cell_max_v")
        if low is not None and high is not None and "cell_spread_v" not in readings:
            into.put("cell_spread_v", round(high - low, 4))
        found.append(BatterySnapshot(into.device, index == 0, readings))
    return found


def quantities_of(template: Template) -> tuple[list[str], list[str]]:
    """Quantities that a template gives: of the site, and of its batteries."""
    names = [reading.quantity for reading in template.readings]
    battery = [name for name in names if name in BATTERY_QUANTITIES]
    return [name for name in names if name not in BATTERY_QUANTITIES], battery
