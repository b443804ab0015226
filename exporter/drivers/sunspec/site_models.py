"""Readings of a site, out of the SunSpec models of its units. Pure, no I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.drivers.sunspec.der_models import DC_PORTS, DerReadings, read_der
from exporter.drivers.sunspec.events import (
    ASLEEP,
    BATTERY_EVENTS,
    CHARGING,
    DISCHARGING,
    FAULT_STATES,
    INVERTER_EVENTS,
    levels,
)
from exporter.drivers.sunspec.model_rows import Model, Repeat
from exporter.drivers.venus.readings import Collector, total
from exporter.model.quantities import CELL_CELSIUS, CELL_VOLTS, METER_QUANTITIES
from exporter.model.snapshot import MISSING, BatterySnapshot, Cells, Implausible, MeterSnapshot

INVERTERS = frozenset({101, 102, 103, 111, 112, 113, 701})
METERS = frozenset({*range(201, 205), *range(211, 215)})
_MPPT, _STORAGE, _BATTERY, _BANK, _STRING, _MODULE = 160, 124, 802, 803, 804, 805
_VOLTAGES = ("PhVphA", "PhVphB", "PhVphC"), ("VL1", "VL2", "VL3")
# Hybrid inverters list their battery among their trackers, under these names.
_CHARGE_NAMES = ("stcha", "charge")
_DISCHARGE_NAMES = ("stdischa", "discharge")
_DEAD_BELOW_V = 10.0


@dataclass(slots=True)
class SunSpecReadings:
    """What was read of one site so far.

    Attributes
    ----------
    meter_sign : float
        1 where meters count import as positive, -1 where they count export so.
    """

    meter_sign: float = 1.0
    site: Collector = field(default_factory=lambda: Collector("site", "sunspec"))
    batteries: list[BatterySnapshot] = field(default_factory=list)
    alarms: dict[str, dict[str, int]] = field(default_factory=dict)
    implausible: list[Implausible] = field(default_factory=list)
    meters: list[MeterSnapshot] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    properties_of: dict[int, dict[str, str]] = field(default_factory=dict)
    _inverter_w: list[float] = field(default_factory=list)
    _pv_ac_w: list[float] = field(default_factory=list)
    _pv_dc_w: list[float] = field(default_factory=list)
    _held_back: list[float] = field(default_factory=list)
    _meters: list[Model] = field(default_factory=list)
    _inverters: list[Model] = field(default_factory=list)

    def add_unit(self, unit: int, models: Sequence[Model]) -> None:
        """Take the models of one unit."""
        by_id: dict[int, list[Model]] = {}
        for model in models:
            by_id.setdefault(model.place.model, []).append(model)
        for common in by_id.get(1, [])[:1]:
            named = {"serial": common.text("SN")}
            named["system_type"] = f"{common.text('Mn')} {common.text('Md')}".strip()
            self.properties_of[unit] = {k: v for k, v in named.items() if v}
        battery_w = self._add_trackers(unit, by_id.get(_MPPT, []))
        # A device with both 10x and 701 says the same twice.
        inverter = next((m for m in models if m.place.model in INVERTERS), None)
        der = read_der(by_id, MISSING if inverter is None else inverter.number("W"))
        self._add_der(unit, der, with_trackers=_MPPT in by_id)
        has_battery = bool(by_id.keys() & {_STORAGE, _BATTERY} or der.battery)
        has_battery = has_battery or not math.isnan(battery_w)
        if inverter is not None:
            lists_dc = _MPPT in by_id or bool(der.pv_w)
            self._add_inverter(unit, inverter, alone=not has_battery and not lists_dc)
        meters = [m for m in models if m.place.model in METERS]
        self._meters += meters
        for index, meter in enumerate(meters):
            name = f"meter/{unit}" + (f"-{index + 1}" if index else "")
            self._add_meter(name, meter)
        if has_battery:
            self._add_battery(unit, by_id, battery_w, der.battery)

    def _add_der(self, unit: int, der: DerReadings, *, with_trackers: bool) -> None:
        if der.pv_w and not with_trackers:
            self._pv_dc_w.append(total(der.pv_w))
        if not math.isnan(der.held_back):
            self._held_back.append(der.held_back)
        device = f"inverter/{unit}"
        self.remarks += [(device, f"{device} {remark}") for remark in der.remarks]
        if der.properties:
            self.properties_of.setdefault(unit, {}).update(der.properties)
        if der.alarms:
            self.alarms[f"storage/{unit}"] = der.alarms

    def _add_meter(self, device: str, meter: Model) -> None:
        """Take a meter as a meter, whatever it measures."""
        imported, exported = self._counters(meter)
        given = {
            "active_power_w": meter.number("W") * self.meter_sign,
            "energy_import_kwh": imported,
            "energy_export_kwh": exported,
        }
        readings = {
            name: value
            for name, value in given.items()
            if not math.isnan(value) and METER_QUANTITIES[name].plausible(value)
        }
        if readings:
            self.meters.append(MeterSnapshot(device, readings))

    def _counters(self, meter: Model | None) -> tuple[float, float]:
        """Imported and exported energy, kWh."""
        imported, exported = (_counter_kwh(meter, name) for name in ("TotWhImp", "TotWhExp"))
        return (imported, exported) if self.meter_sign > 0 else (exported, imported)

    def finish(self, lost: Iterable[int] = ()) -> None:
        """Make the site's own readings.

        Parameters
        ----------
        lost : iterable of int
            Models of units that did not answer, 0 for one of which nothing is known. A sum without
            its part is no reading: what was known of it stays in force until it is stale.
        """
        gone = set(lost)
        without_meter = bool(gone & {0, *METERS})
        without_inverter = bool(gone & {0, _MPPT, DC_PORTS, *INVERTERS})
        self._put_grid([*self._meters[:1], *self._inverters])
        if not without_meter:
            self._put_meter()
        if not without_inverter:
            self._put_pv()
        if not without_meter and not without_inverter:
            self._put_load()

    def _put_meter(self) -> None:
        into = self.site
        meter = self._meters[0] if self._meters else None
        grid_w = MISSING if meter is None else meter.number("W") * self.meter_sign
        into.put("grid_power_w", grid_w)
        imported, exported = self._counters(meter)
        into.put("grid_import_kwh", imported)
        into.put("grid_export_kwh", exported)

    def _put_pv(self) -> None:
        into = self.site
        dc = into.put("pv_dc_power_w", total(self._pv_dc_w))
        ac = into.put("pv_ac_power_w", total(self._pv_ac_w))
        into.put("pv_power_w", total((dc, ac)))
        if self._held_back:
            into.put("pv_disabled", max(self._held_back))

    def _put_load(self) -> None:
        """What the grid and the inverters give is what the site takes."""
        parts = [self.site.readings["grid_power_w"], *self._inverter_w]
        whole = bool(self._inverter_w) and not any(map(math.isnan, parts))
        self.site.put("load_power_w", math.fsum(parts) if whole else MISSING)

    def _put_grid(self, sources: Iterable[Model]) -> None:
        """Voltage and frequency of the first device that measures them: the meter, if it does."""
        into = self.site
        into.put("grid_expected", 1.0)
        dead = False
        for model in sources:
            hertz, volts = model.number("Hz"), _phase_volts(model)
            alive = [v for v in volts if v >= _DEAD_BELOW_V]
            if alive and hertz != 0:
                into.put("grid_connected", 1.0)
                into.put("grid_frequency_hz", hertz)
                into.put("grid_voltage_v", math.fsum(alive) / len(alive))
                into.put("grid_voltage_min_v", min(alive))
                into.put("grid_voltage_max_v", max(alive))
                return
            dead = dead or (hertz == 0 and bool(volts) and not alive and not _is_asleep(model))
        into.put("grid_connected", 0.0 if dead else MISSING)
        names = ("grid_frequency_hz", "grid_voltage_v", "grid_voltage_min_v", "grid_voltage_max_v")
        for name in names:
            into.put(name, MISSING)

    def _add_trackers(self, unit: int, found: Sequence[Model]) -> float:
        """Take the PV trackers; returns the power of a battery among them, positive charging.

        Of several each is a meter of its own, so that strings can be compared.
        """
        pv, charge, discharge = [], [], []
        for model in found:
            count = model.number("N")
            repeats = model.repeats()
            for repeat in repeats if math.isnan(count) else repeats[: int(count)]:
                name = repeat.text("IDStr").lower().replace(" ", "")
                watts = repeat.number("DCW")
                if any(word in name for word in _DISCHARGE_NAMES):
                    discharge.append(watts)
                elif any(word in name for word in _CHARGE_NAMES):
                    charge.append(watts)
                else:
                    pv.append(watts)
        if found:
            self._pv_dc_w.append(total(pv))
        plausible = METER_QUANTITIES["active_power_w"].plausible
        for number, watts in enumerate(pv, 1):
            if len(pv) > 1 and not math.isnan(watts) and plausible(watts):
                device = f"pvstring/{unit}-{number}"
                self.meters.append(MeterSnapshot(device, {"active_power_w": watts}))
        if not charge and not discharge:
            return MISSING
        return total((total(charge), -total(discharge)))

    def _add_inverter(self, unit: int, model: Model, *, alone: bool) -> None:
        """Take an inverter; ``alone`` where its power is that of its PV and of nothing else."""
        self._inverters.append(model)
        watts = model.number("W")
        self._inverter_w.append(watts)
        if alone:
            self._pv_ac_w.append(watts)
        event = "Alrm" if model.place.model == 701 else "Evt1"
        found = levels(model.bits(event), INVERTER_EVENTS)
        self.alarms[f"inverter/{unit}"] = found | _fault(model)

    def _add_battery(
        self,
        unit: int,
        by_id: dict[int, list[Model]],
        tracker_w: float,
        of_der: Mapping[str, float],
    ) -> None:
        into = Collector(f"battery/{unit}", "battery")
        own = next(iter(by_id.get(_BATTERY, [])), None)
        basic = next(iter(by_id.get(_STORAGE, [])), None)
        if own is not None:
            self._read_battery(own, into)
            self.alarms[into.device] = levels(own.bits("Evt1"), BATTERY_EVENTS) | _fault(own)
        elif basic is not None:
            into.put("soc_percent", basic.number("ChaState"))
            into.put("voltage_v", basic.number("InBatV"))
        if basic is not None:
            into.put("minimum_soc_percent", basic.number("MinRsvPct"))
        # The battery's own model comes first, then what the inverter says of it.
        for quantity, value in of_der.items():
            if math.isnan(into.readings.get(quantity, MISSING)):
                into.put(quantity, value)
        if math.isnan(into.readings.get("power_w", MISSING)):
            into.put("power_w", tracker_w)
        _read_groups([*by_id.get(_BANK, []), *by_id.get(_STRING, [])], into)
        cells = _cells(by_id.get(_MODULE, []), into)
        low, high = (into.readings.get(name, MISSING) for name in ("cell_min_v", "cell_max_v"))
        into.put("cell_spread_v", round(high - low, 4))
        battery = BatterySnapshot(
            device=into.device,
            active=not self.batteries,
            readings=into.readings,
            cell_min_id=_place(own, "CellVMinStr", "CellVMinMod"),
            cell_max_id=_place(own, "CellVMaxStr", "CellVMaxMod"),
            cells=cells,
        )
        self.batteries.append(_named(battery))
        self.implausible += into.implausible

    @staticmethod
    def _read_battery(model: Model, into: Collector) -> None:
        state = model.number("ChaSt")
        for quantity, point in _BATTERY_POINTS.items():
            into.put(quantity, model.number(point))
        for quantity, point in (("current_a", "A"), ("power_w", "W")):
            into.put(quantity, _directed(model.number(point), state))


SITE_POINTS = {
    "grid_power_w": "meter W",
    "grid_import_kwh": "meter TotWhImp",
    "grid_export_kwh": "meter TotWhExp",
    "grid_frequency_hz": "meter or inverter Hz",
    "grid_voltage_v": "meter or inverter PhVphA-C",
    "grid_voltage_min_v": "meter or inverter PhVphA-C",
    "grid_voltage_max_v": "meter or inverter PhVphA-C",
    "grid_connected": "meter or inverter PhVphA-C and Hz",
    "pv_dc_power_w": "model 160 DCW",
    "pv_ac_power_w": "inverter W",
    "pv_power_w": "model 160 DCW, or inverter W",
    "load_power_w": "meter W + inverter W",
}
"""Where readings of a site come from, for people."""

_BATTERY_POINTS = {
    "soc_percent": "SoC",
    "soh_percent": "SoH",
    "voltage_v": "V",
    "cell_min_v": "CellVMin",
    "cell_max_v": "CellVMax",
    "capacity_ah": "AHRtg",
    "charge_limit_a": "AChaMax",
    "discharge_limit_a": "ADisChaMax",
    "cycles": "NCyc",
}


def _directed(value: float, state: float) -> float:
    """Current or power, positive when charging: the state says which way, since the standard does
    not say which sign; without one only 0 is known."""
    if state in (CHARGING, DISCHARGING):
        return abs(value) if state == CHARGING else -abs(value)
    return value if value == 0 else MISSING


def _counter_kwh(meter: Model | None, name: str) -> float:
    """An energy counter; 0 says that the meter does not count it."""
    wh = MISSING if meter is None else meter.number(name)
    return MISSING if wh == 0 else wh / 1000.0


def _phase_volts(model: Model) -> list[float]:
    names = next(group for group in _VOLTAGES if group[0] in model.rows.points)
    return [v for v in (model.number(name) for name in names) if not math.isnan(v)]


def _is_asleep(model: Model) -> bool:
    return any(model.number(name) in states for name, states in ASLEEP.items())


def _fault(model: Model) -> dict[str, int]:
    names = [name for name in FAULT_STATES if name in model.rows.points]
    return {"Fault": 2 if any(model.number(n) == FAULT_STATES[n] for n in names) else 0}


def _place(model: Model | None, string: str, module: str) -> str | None:
    if model is None:
        return None
    parts = [model.number(string), model.number(module)]
    return None if any(map(math.isnan, parts)) else "/".join(f"{part:.0f}" for part in parts)


def _read_groups(models: Sequence[Model], into: Collector) -> None:
    """Temperatures and cells of banks and strings, where the battery's own model lacks them."""
    hot: list[float] = []
    cold: list[float] = []
    mean: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for model in models:
        hot.append(model.number("ModTmpMax"))
        cold.append(model.number("ModTmpMin"))
        mean.append(model.number("ModTmpAvg"))
        low.append(model.number("CellVMin"))
        high.append(model.number("CellVMax"))
        for repeat in model.repeats():
            bank = model.place.model == _BANK
            low.append(repeat.number("StrCellVMin" if bank else "ModCellVMin"))
            high.append(repeat.number("StrCellVMax" if bank else "ModCellVMax"))
    if not models:
        return
    into.put("cell_max_temperature_c", _highest(hot))
    into.put("cell_min_temperature_c", -_highest([-c for c in cold]))
    known = [c for c in mean if not math.isnan(c)]
    into.put("temperature_c", math.fsum(known) / len(known) if known else MISSING)
    if math.isnan(into.readings.get("cell_max_v", MISSING)):
        into.put("cell_max_v", _highest(high))
    if math.isnan(into.readings.get("cell_min_v", MISSING)):
        into.put("cell_min_v", -_highest([-v for v in low]))


def _highest(values: Sequence[float]) -> float:
    return max((v for v in values if not math.isnan(v)), default=MISSING)


def _cells(modules: Sequence[Model], into: Collector) -> Cells | None:
    """Every cell of the modules that list theirs."""
    labels: list[str] = []
    volts: list[float] = []
    celsius: list[float] = []
    for model in modules:
        prefix = "/".join(f"{model.number(name):.0f}" for name in ("StrIdx", "ModIdx"))
        count = model.number("NCell")
        repeats: list[Repeat] = model.repeats()
        for index, repeat in enumerate(repeats if math.isnan(count) else repeats[: int(count)], 1):
            label = f"{prefix}/{index}"
            labels.append(label)
            volts.append(_within(repeat.number("CellV"), CELL_VOLTS, label, "voltage_v", into))
            heat = repeat.number("CellTmp")
            celsius.append(_within(heat, CELL_CELSIUS, label, "temperature_c", into))
    if all(math.isnan(value) for value in (*volts, *celsius)):
        return None
    return Cells(tuple(labels), tuple(volts), tuple(celsius))


def _within(
    value: float, limits: tuple[float, float], label: str, name: str, into: Collector
) -> float:
    if math.isnan(value) or limits[0] <= value <= limits[1]:
        return value
    into.implausible.append(Implausible(into.device, f"cell {label} {name}", value))
    return MISSING


def _named(battery: BatterySnapshot) -> BatterySnapshot:
    """The battery with its extreme cells named, where it lists its cells."""
    if battery.cells is None:
        return battery
    pairs = zip(battery.cells.voltages_v, battery.cells.labels, strict=True)
    known = [(v, label) for v, label in pairs if not math.isnan(v)]
    if not known:
        return battery
    return replace(battery, cell_min_id=min(known)[1], cell_max_id=max(known)[1])


BATTERY_POINTS = {
    **{name: f"model 802 {point}" for name, point in _BATTERY_POINTS.items()},
    "current_a": "model 802 A and ChaSt",
    "power_w": "model 802 W and ChaSt, or model 160 DCW",
    "minimum_soc_percent": "model 124 MinRsvPct",
    "temperature_c": "model 803 or 804 ModTmpAvg",
    "cell_spread_v": "model 802 CellVMax - CellVMin",
}
"""Where readings of a battery come from, for people."""
