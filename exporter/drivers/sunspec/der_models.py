"""What SunSpec's DER models 702 to 714 say beside the power of model 701. Pure, no I/O.

Source: SunSpec DER Information Model Specification (IEEE 1547-2018), models 702 to 714.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.drivers.sunspec.model_rows import Model
from exporter.drivers.venus.readings import total
from exporter.model.snapshot import MISSING

CAPACITY, ENTER_SERVICE, CONTROLS, STORAGE, DC_PORTS = 702, 703, 704, 713, 714
DER_MODELS = frozenset(range(702, 715))
_FUNCTIONS = {
    705: "volt-var",
    706: "volt-watt",
    707: "low-voltage trip",
    708: "high-voltage trip",
    709: "low-frequency trip",
    710: "high-frequency trip",
    711: "frequency droop",
    712: "watt-var",
}
_PV, _STORAGE_PORT = 0, 1
_FAULT = 3
# A limit holds the inverter back where it makes almost all that the limit allows.
_AT_LIMIT = 0.97


@dataclass(slots=True)
class DerReadings:
    """What the DER models of one unit say.

    Attributes
    ----------
    pv_w : list of float
        DC power of the PV ports.
    battery : dict
        Readings of its storage, by quantity; empty where it has none.
    alarms : dict
        Levels of its storage and ports.
    held_back : float
        1 while its power is held below what it could be, 0 while not, NaN unknown.
    remarks : list of str
        What people should know of its settings.
    properties : dict
        Ratings and functions in force, as text.
    """

    pv_w: list[float] = field(default_factory=list)
    battery: dict[str, float] = field(default_factory=dict)
    alarms: dict[str, int] = field(default_factory=dict)
    held_back: float = MISSING
    remarks: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)


def read_der(by_id: Mapping[int, Sequence[Model]], watts: float) -> DerReadings:
    """Read the DER models of a unit.

    Parameters
    ----------
    by_id : mapping of model id to sequence of Model
    watts : float
        AC power of the unit, W; NaN unknown.
    """
    found = DerReadings()
    rated_w = _first(by_id, CAPACITY, "WMaxRtg")
    if not math.isnan(rated_w):
        found.properties["rated_power"] = f"{rated_w:.0f} W"
    _read_controls(by_id, watts, found)
    _read_storage(by_id, found)
    for model in by_id.get(DC_PORTS, ()):
        _read_ports(model, found)
    enabled = [name for number, name in _FUNCTIONS.items() if _first(by_id, number, "Ena") == 1]
    if enabled:
        found.properties["grid_functions"] = ", ".join(enabled)
    return found


def _first(by_id: Mapping[int, Sequence[Model]], number: int, point: str) -> float:
    models = by_id.get(number, ())
    return models[0].number(point) if models else MISSING


def _read_controls(by_id: Mapping[int, Sequence[Model]], watts: float, into: DerReadings) -> None:
    """Permission to run, and limits of power that somebody has set."""
    # Some devices leave the model at zero and feed in all the same.
    forbidden = _first(by_id, ENTER_SERVICE, "ES") == 0 and not watts > 0
    if forbidden:
        into.remarks.append("may not feed in (model 703)")
    if CONTROLS not in by_id:
        into.held_back = 1.0 if forbidden else MISSING
        return
    share = _first(by_id, CONTROLS, "WMaxLimPct") / 100.0
    limited = _first(by_id, CONTROLS, "WMaxLimPctEna") == 1 and share < 1
    fixed = _first(by_id, CONTROLS, "WSetEna") == 1
    if limited:
        into.remarks.append(f"is limited to {100 * share:g} % of its power (model 704)")
    if fixed:
        into.remarks.append("has a fixed power (model 704)")
    largest_w = _first(by_id, CAPACITY, "WMax")
    if math.isnan(largest_w):
        largest_w = _first(by_id, CAPACITY, "WMaxRtg")
    # Without a rating nobody knows where the limit lies.
    at_limit = math.isnan(largest_w) or watts >= _AT_LIMIT * share * largest_w
    into.held_back = float(forbidden or fixed or (limited and at_limit))


def _read_storage(by_id: Mapping[int, Sequence[Model]], into: DerReadings) -> None:
    if STORAGE not in by_id:
        return
    into.battery["soc_percent"] = _first(by_id, STORAGE, "SoC")
    into.battery["soh_percent"] = _first(by_id, STORAGE, "SoH")
    state = _first(by_id, STORAGE, "Sta")
    into.alarms["Storage"] = int(state) if state in (0, 1, 2) else 0
    energy_wh = _first(by_id, STORAGE, "WHRtg")
    if not math.isnan(energy_wh):
        into.properties["storage_energy"] = f"{energy_wh / 1000:g} kWh"


def _read_ports(model: Model, into: DerReadings) -> None:
    """DC ports: those of PV, and those of storage, whose power flows out when it discharges."""
    count = model.number("NPrt")
    repeats = model.repeats()
    volts: list[float] = []
    amperes: list[float] = []
    storage_w: list[float] = []
    for port in repeats if math.isnan(count) else repeats[: int(count)]:
        kind = port.number("PrtTyp")
        if port.number("DCSta") == _FAULT:
            into.alarms["DcPort"] = 2
        if kind == _PV:
            into.pv_w.append(port.number("DCW"))
        elif kind == _STORAGE_PORT:
            storage_w.append(port.number("DCW"))
            amperes.append(port.number("DCA"))
            volts.append(port.number("DCV"))
    if not storage_w:
        return
    into.battery["power_w"] = -total(storage_w)
    into.battery["current_a"] = -total(amperes)
    known = [v for v in volts if not math.isnan(v)]
    into.battery["voltage_v"] = math.fsum(known) / len(known) if known else MISSING
