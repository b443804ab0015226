"""Registers of SunSpec points as a device gave them, kept only while somebody wants to see them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from exporter.drivers.base import RawValue
from exporter.drivers.sunspec.model_rows import Model, Point
from exporter.drivers.sunspec.site_models import INVERTERS, METERS

KEPT_SECONDS = 300.0
_METERS, _INVERTERS = tuple(METERS), tuple(INVERTERS)
_EITHER = _METERS + _INVERTERS
_VOLTS = ("PhVphA", "PhVphB", "PhVphC", "VL1", "VL2", "VL3")
_TRACKERS = (160, 714)
Source = tuple[Sequence[int], Sequence[str]]

# Models, and their points that a quantity is made of.
_SITE: Mapping[str, tuple[Source, ...]] = {
    "grid_power_w": ((_METERS, ("W",)),),
    "grid_import_kwh": ((_METERS, ("TotWhImp", "TotWhExp")),),
    "grid_export_kwh": ((_METERS, ("TotWhImp", "TotWhExp")),),
    "grid_frequency_hz": ((_EITHER, ("Hz",)),),
    "grid_voltage_v": ((_EITHER, _VOLTS),),
    "grid_voltage_min_v": ((_EITHER, _VOLTS),),
    "grid_voltage_max_v": ((_EITHER, _VOLTS),),
    "grid_connected": ((_EITHER, (*_VOLTS, "Hz")),),
    "pv_dc_power_w": ((_TRACKERS, ("DCW",)),),
    "pv_ac_power_w": ((_INVERTERS, ("W",)),),
    "pv_power_w": ((_TRACKERS, ("DCW",)), (_INVERTERS, ("W",))),
    "load_power_w": ((_METERS, ("W",)), (_INVERTERS, ("W",))),
}
_BATTERY: Mapping[str, tuple[Source, ...]] = {
    "soc_percent": (((802, 713), ("SoC",)), ((124,), ("ChaState",))),
    "minimum_soc_percent": (((124,), ("MinRsvPct",)),),
    "soh_percent": (((802, 713), ("SoH",)),),
    "voltage_v": (((802,), ("V",)), ((124,), ("InBatV",)), ((714,), ("DCV",))),
    "current_a": (((802,), ("A", "ChaSt")), ((714,), ("DCA",))),
    "power_w": (((802,), ("W", "ChaSt")), (_TRACKERS, ("DCW",))),
    "temperature_c": (((803, 804), ("ModTmpAvg",)),),
    "cell_min_v": (((802,), ("CellVMin",)),),
    "cell_max_v": (((802,), ("CellVMax",)),),
    "cell_spread_v": (((802,), ("CellVMin", "CellVMax")),),
    "capacity_ah": (((802,), ("AHRtg",)),),
    "charge_limit_a": (((802,), ("AChaMax",)),),
    "discharge_limit_a": (((802,), ("ADisChaMax",)),),
    "cycles": (((802,), ("NCyc",)),),
}


class RawPoints:
    """The latest models of each unit, from the first wish to see them until some minutes after the
    last one."""

    def __init__(self) -> None:
        self._models: dict[int, list[Model]] = {}
        self._until = -math.inf

    def begin(self, now: float) -> None:
        """Keep models from now (monotonic seconds) on."""
        self._until = now + KEPT_SECONDS

    def keep(self, unit: int, models: list[Model], now: float) -> None:
        """Take what a unit gave at a moment (monotonic seconds)."""
        if now <= self._until:
            self._models[unit] = models
        else:
            self._models.clear()

    def raw_values(self) -> list[RawValue]:
        """The registers of each quantity; empty before anything was kept."""
        found = [
            *_values("site", _SITE, self._models),
            *(
                value
                for unit, models in self._models.items()
                for value in _values(f"battery/{unit}", _BATTERY, {unit: models})
            ),
        ]
        return [value for value in found if value.raw]


def _values(
    device: str,
    sources: Mapping[str, tuple[Source, ...]],
    models: Mapping[int, list[Model]],
) -> Iterator[RawValue]:
    for quantity, wanted in sources.items():
        parts = [
            part
            for numbers, points in wanted
            for unit, of_unit in models.items()
            for model in of_unit
            if model.place.model in numbers
            for part in _parts(unit, model, points)
        ]
        places = " + ".join(place for place, _ in parts)
        yield RawValue(device, quantity, places[:300], ", ".join(raw for _, raw in parts)[:300])


def _parts(unit: int, model: Model, points: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Place and raw content of each point that a model has."""
    group = model.rows.group
    for name in points:
        if (point := model.rows.points.get(name)) is not None:
            yield _part(unit, model, name, point, 0)
        elif group is not None and (point := group.points.get(name)) is not None:
            for repeat in model.repeats():
                yield _part(unit, model, name, point, repeat.start)


def _part(unit: int, model: Model, name: str, point: Point, start: int) -> tuple[str, str]:
    first = start + point.at
    words = model.words[first : first + point.registers]
    shown = " ".join(f"0x{word:04X}" for word in words) or "not there"
    at = model.rows.scale_factors.get(point.sf) if point.sf is not None else None
    if at is not None and at < len(model.words):
        power = model.words[at]
        shown += f" × 10^{power - 0x10000 if power & 0x8000 else power}"
    place = f"unit {unit} model {model.place.model} {name} at {model.place.address + first}"
    return place, shown
