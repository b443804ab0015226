"""Batteries of a Venus device: readings and cells, from their own trees and the system tree.

Pure, no I/O. Sources: Victron's D-Bus path documentation, dbus-systemcalc-py, dbus-serialbattery.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.drivers.venus.layout import (
    LIKE,
    MOST_CELLS,
    Cell,
    Extremes,
    Layout,
    cell_label,
    cell_of,
    layout_of,
)
from exporter.drivers.venus.not_available import is_not_available, other_unit
from exporter.drivers.venus.readings import Collector
from exporter.drivers.venus.tree import (
    MOST_BATTERIES,
    Tree,
    device_id,
    pruned,
    service_class,
    service_name,
)
from exporter.drivers.venus.values import is_wrong_type, number, shown, text
from exporter.model.quantities import CELL_CELSIUS, CELL_VOLTS
from exporter.model.snapshot import MISSING, BatterySnapshot, Cells, Implausible, Notice

BATTERY_PATHS = {
    "soc_percent": "Soc",
    "soh_percent": "Soh",
    "voltage_v": "Dc/0/Voltage",
    "current_a": "Dc/0/Current",
    "power_w": "Dc/0/Power",
    "temperature_c": "Dc/0/Temperature",
    "cell_min_v": "System/MinCellVoltage",
    "cell_max_v": "System/MaxCellVoltage",
    "cell_min_temperature_c": "System/MinCellTemperature",
    "cell_max_temperature_c": "System/MaxCellTemperature",
    "cell_count": "System/NrOfCellsPerBattery",
    "modules_online": "System/NrOfModulesOnline",
    "modules_offline": "System/NrOfModulesOffline",
    "modules_blocking_charge": "System/NrOfModulesBlockingCharge",
    "modules_blocking_discharge": "System/NrOfModulesBlockingDischarge",
    "capacity_ah": "InstalledCapacity",
    "consumed_ah": "ConsumedAmphours",
    "time_to_go_s": "TimeToGo",
    "charge_limit_a": "Info/MaxChargeCurrent",
    "discharge_limit_a": "Info/MaxDischargeCurrent",
    "cycles": "History/ChargeCycles",
    "charged_kwh": "History/ChargedEnergy",
    "discharged_kwh": "History/DischargedEnergy",
}
MINIMUM_SOC_PATHS = ("Control/ActiveSocLimit", "Settings/CGwacs/BatteryLife/MinimumSocLimit")
"""Of the system tree: the limit in force, which BatteryLife may have raised, and, over Modbus, the
setting."""
_SYSTEM_BATTERY_PATHS = {
    "soc_percent": "Dc/Battery/Soc",
    "voltage_v": "Dc/Battery/Voltage",
    "current_a": "Dc/Battery/Current",
    "power_w": "Dc/Battery/Power",
    "temperature_c": "Dc/Battery/Temperature",
    "capacity_ah": "Dc/Battery/Capacity",
    "consumed_ah": "Dc/Battery/ConsumedAmphours",
    "time_to_go_s": "Dc/Battery/TimeToGo",
}


def read_battery(
    service: str,
    tree: Tree,
    *,
    active: bool,
    system: Tree | None,
    device: str | None = None,
    layout: Layout | None = None,
) -> tuple[BatterySnapshot, list[Implausible]]:
    """A battery from its own tree, completed from the system tree where it speaks for the site.

    Parameters
    ----------
    service : str
        Full service name, a battery, or a Multi that stands in for one.
    tree : mapping
        Its tree; empty where only the system tree speaks of it.
    active : bool
        Whether it is the battery that the site runs on.
    system : mapping or None
        The system tree, given for the active battery only.
    device : str or None
        Its id where the system tree knows it, else it is read from ``tree``.
    layout : Layout or None
        That of ``tree``, where it is known.
    """
    into = Collector(device or device_id(service, tree), "battery")
    if tree and service_class(service) == "battery":
        into.take_all(BATTERY_PATHS, tree)
        # Where both are given, this one is what is left of it.
        into.fall_back("capacity_ah", tree.get("Capacity"))
    if system is not None:
        for name, path in _SYSTEM_BATTERY_PATHS.items():
            into.fall_back(name, system.get(path))
        # A setting alone is no sign of a battery.
        if any(value == value for value in into.readings.values()):  # noqa: PLR0124 - not NaN
            in_force, setting = MINIMUM_SOC_PATHS
            into.take("minimum_soc_percent", system.get(in_force))
            if setting in system:
                into.fall_back("minimum_soc_percent", system[setting])
    cells, extremes = _read_cells(tree, layout or layout_of(tree), into)
    _put_spread(extremes, into)
    snapshot = BatterySnapshot(
        device=into.device,
        active=active,
        readings=into.readings,
        cell_min_id=cell_id(tree.get("System/MinVoltageCellId")),
        cell_max_id=cell_id(tree.get("System/MaxVoltageCellId")),
        cells=cells,
    )
    if cells is not None and (snapshot.cell_min_id is None or snapshot.cell_max_id is None):
        snapshot = _name_extremes(snapshot, cells)
    return snapshot, into.implausible


def cell_id(value: Any) -> str | None:
    """The id of a cell as the device writes it: ``0101``, ``C3``, or a number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return text(value)


def _read_cells(
    tree: Tree, layout: Layout, into: Collector
) -> tuple[Cells | None, Extremes | None]:
    """Per-cell voltages and temperatures, in whichever format the device publishes them."""
    if not layout.has_cells:
        return None, None
    found = layout.cells(list(tree.values()))
    if found is not None:
        return found
    cells = read_each_cell(pruned(tree), into)
    return (cells, _extremes(cells)) if cells is not None else (None, None)


def read_each_cell(tree: Tree, into: Collector) -> Cells | None:
    """The cells of a tree one by one: what is missing is kept apart from what is implausible."""
    volts: dict[Cell, float] = {}
    celsius: dict[Cell, float] = {}
    for path, value in tree.items():
        if value.__class__ is list and not value:
            continue
        about = cell_of(path)
        if about is not None and about[0] == "voltage_v":
            volts[about[1]] = _cell_value(value, CELL_VOLTS, about[1], "voltage_v", into)
        elif about is not None:
            celsius[about[1]] = _cell_value(value, CELL_CELSIUS, about[1], "temperature_c", into)
    order = sorted(volts.keys() | celsius.keys())[:MOST_CELLS]
    voltages = array("d", [volts.get(cell, MISSING) for cell in order])
    temperatures = array("d", [celsius.get(cell, MISSING) for cell in order])
    if all(math.isnan(value) for value in (*voltages, *temperatures)):
        return None
    return Cells(tuple(cell_label(cell) for cell in order), voltages, temperatures)


def _cell_value(
    value: Any, limits: tuple[float, float], cell: Cell, name: str, into: Collector
) -> float:
    read = number(value)
    quantity = f"cell {cell_label(cell)} {name}"
    if is_wrong_type(value):
        into.implausible.append(Implausible(into.device, quantity, MISSING, shown(value)))
        return MISSING
    like = LIKE[name]
    if math.isnan(read) or is_not_available(like, read, "battery"):
        return MISSING
    if not limits[0] <= read <= limits[1]:
        hint = other_unit(like, read)
        into.implausible.append(Implausible(into.device, quantity, read, hint=hint))
        return MISSING
    return read


def _extremes(cells: Cells) -> Extremes:
    known = [v for v in cells.voltages_v if not math.isnan(v)]
    hot = [v for v in cells.temperatures_c if not math.isnan(v)]
    return Extremes(
        min(known, default=MISSING),
        max(known, default=MISSING),
        min(hot, default=MISSING),
        max(hot, default=MISSING),
    )


def _put_spread(extremes: Extremes | None, into: Collector) -> None:
    if extremes is not None and not math.isnan(extremes.low_v):
        into.fall_back("cell_min_v", extremes.low_v)
        into.fall_back("cell_max_v", extremes.high_v)
    if extremes is not None and not math.isnan(extremes.low_c):
        into.fall_back("cell_min_temperature_c", extremes.low_c)
        into.fall_back("cell_max_temperature_c", extremes.high_c)
    low = into.readings.get("cell_min_v", MISSING)
    high = into.readings.get("cell_max_v", MISSING)
    if not math.isnan(low) or not math.isnan(high):
        # Rounded to a tenth of a millivolt: finer is noise of the floating point subtraction.
        into.put("cell_spread_v", round(high - low, 4))
    elif "cell_min_v" in into.readings:
        into.put("cell_spread_v", MISSING)


def _name_extremes(snapshot: BatterySnapshot, cells: Cells) -> BatterySnapshot:
    known = [
        (volts, label)
        for volts, label in zip(cells.voltages_v, cells.labels, strict=True)
        if not math.isnan(volts)
    ]
    if not known:
        return snapshot
    return BatterySnapshot(
        device=snapshot.device,
        active=snapshot.active,
        readings=snapshot.readings,
        cell_min_id=snapshot.cell_min_id or min(known)[1],
        cell_max_id=snapshot.cell_max_id or max(known)[1],
        cells=cells,
    )


@dataclass(frozen=True, slots=True)
class ListedBattery:
    """A battery other than the active one, as the system tree lists it."""

    service: str
    instance: Any
    values: Mapping[str, Any]


_LISTED_KEYS = {
    "soc_percent": "soc",
    "voltage_v": "voltage",
    "current_a": "current",
    "power_w": "power",
    "temperature_c": "temperature",
}


def listed_batteries(system: Tree, active: str | None) -> list[ListedBattery]:
    """Batteries that the system tree lists, but for the active one."""
    listed = system.get("Batteries")
    if isinstance(listed, str):
        try:
            listed = json.loads(listed)
        except (ValueError, RecursionError):
            return []
    found = []
    for entry in listed[:MOST_BATTERIES] if isinstance(listed, list) else ():
        service = service_name(entry.get("id")) if isinstance(entry, dict) else None
        if service and service != active and service_class(service) == "battery":
            found.append(ListedBattery(service, entry.get("instance"), entry))
    return found


def read_listed(battery: ListedBattery, device: str) -> tuple[BatterySnapshot, list[Implausible]]:
    """Readings that the system tree lists of a battery other than the active one."""
    into = Collector(device, "battery")
    for name, key in _LISTED_KEYS.items():
        # What the list leaves out is not asked for here; the battery's own tree has it.
        if key in battery.values:
            into.take(name, battery.values[key])
    return BatterySnapshot(device, False, into.readings), into.implausible


_PENDING = 18


@dataclass(frozen=True, slots=True)
class BankMember:
    """What a battery adds to the site's usable capacity; NaN is unknown."""

    pending: bool
    soc_percent: float
    capacity_ah: float


# What a battery says of its part in the bank, as it stands in its tree.
MemberValues = tuple[Any, ...]


def member_values(tree: Tree) -> MemberValues:
    """What :func:`bank_member` reads of a battery's own tree."""
    get = tree.get
    return get("State"), get("Soc"), get("InstalledCapacity"), get("Capacity")


def is_pending(values: MemberValues) -> bool:
    """Whether a battery waits to be connected."""
    return number(values[0]) == _PENDING


def bank_member(values: MemberValues) -> BankMember:
    """A battery's part in the site, from its own values."""
    _, soc, installed_ah, capacity_ah = values
    into = Collector("", "battery")
    soc_percent = into.take("soc_percent", soc)
    capacity = into.take("capacity_ah", installed_ah)
    if math.isnan(capacity):
        capacity = into.take("capacity_ah", capacity_ah)
    return BankMember(is_pending(values), soc_percent, capacity)


def pending_notices(bank: Mapping[str, MemberValues]) -> list[Notice]:
    """One notice for each battery that waits to be connected, by device id."""
    if not any(map(is_pending, bank.values())):
        return []
    members = {device: bank_member(values) for device, values in bank.items()}
    ready = [m for m in members.values() if not m.pending]
    capacities = [m.capacity_ah for m in members.values()]
    if any(math.isnan(c) for c in capacities):
        left = f"{len(ready)} of {len(members)} batteries can be used"
    else:
        usable = math.fsum(m.capacity_ah for m in ready)
        left = f"{usable:.0f} of {math.fsum(capacities):.0f} Ah can be used"
    found = []
    for device, member in sorted(members.items()):
        if member.pending:
            at = "" if math.isnan(member.soc_percent) else f" at {member.soc_percent:.0f} %"
            found.append(Notice("bms_pending", device, f"{device} is pending{at}; {left}"))
    return found
