"""What the trees of a Venus device mean: from D-Bus paths to readings. Pure, no I/O.

Sources: Victron's D-Bus path documentation, dbus-systemcalc-py and dbus-serialbattery.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.model.quantities import CELL_CELSIUS, CELL_VOLTS, QUANTITIES
from exporter.model.snapshot import MISSING, BatterySnapshot, Cells, Implausible
from exporter.model.text import plain_line

Tree = Mapping[str, Any]

PREFIX = "com.victronenergy."
SYSTEM = PREFIX + "system"
PHASES = ("L1", "L2", "L3")
_NO_TEMPERATURE = (-273.15, -273.0)
_NO_TIME_TO_GO = 864000
_HUGE = 1e300
_LARGEST_INSTANCE = 1_000_000
# Far above what any site has; without limits a site that is out of its mind fills the storage of
# all with series. Lynx packs have at most 16 cells each, serial batteries 32 or so.
MOST_SERVICES = 256
MOST_BATTERIES = 64
MOST_CELLS = 2048
MOST_ALARMS = 256
# dbus-serialbattery writes Voltages/Cell3 (format 1) or Cell/3/Volts (format 2); Lynx BMS NG
# writes Battery/1/Cell/3/Voltage.
_CELL_VOLTAGE = re.compile(
    r"(?:Voltages/Cell(\d{1,5})|Cell/(\d{1,5})/Volts|Battery/(\d{1,5})/Cell/(\d{1,5})/Voltage)\Z"
)
_CELL_TEMPERATURE = re.compile(
    r"(?:Temperatures/Cell(\d{1,5})|Cell/(\d{1,5})/Temperature"
    r"|Battery/(\d{1,5})/Cell/(\d{1,5})/Temperature)\Z"
)
_ALARM_NAME = re.compile(r"[A-Za-z0-9 _./-]{1,100}\Z")
_SERVICE_NAME = re.compile(r"com\.victronenergy\.[A-Za-z0-9_.-]{1,120}\Z")


def number(value: Any) -> float:
    """A JSON value as a number; NaN for whatever is not one.

    ``[]``, ``null``, strings, booleans and nested values are not numbers. Infinite and huge ones
    come out infinite, so that the physical limits reject and count them.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return MISSING
    try:
        return float(value)
    except OverflowError:
        return math.inf


def text(value: Any) -> str | None:
    """A JSON value as a non-empty text on one line, None for whatever is not one."""
    return plain_line(value[:200]) if isinstance(value, str) and value else None


def service_name(value: Any) -> str | None:
    """A full D-Bus service name, None for anything else."""
    return value if isinstance(value, str) and _SERVICE_NAME.match(value) else None


def service_class(service: str) -> str:
    """The class of a service: ``battery`` of ``com.victronenergy.battery.ttyO0``."""
    return service.removeprefix(PREFIX).split(".", 1)[0]


def service_list(document: Any) -> list[str]:
    """The service names of a ``/services`` reply; empty where it holds none."""
    names = document.get("services") if isinstance(document, dict) else None
    known = [n for n in names if service_name(n)] if isinstance(names, list) else []
    return known[:MOST_SERVICES]


def pruned(tree: Tree) -> Tree:
    """A tree without what no reading comes from: nested values, which may be large."""
    kept = {p: v for p, v in tree.items() if v.__class__ is not list and v.__class__ is not dict}
    if "Batteries" in tree:
        kept["Batteries"] = tree["Batteries"]
    return kept


def _is_sentinel(name: str, value: float) -> bool:
    """Whether a number is what the device writes where it has none."""
    if name == "time_to_go_s":
        return value == _NO_TIME_TO_GO
    return "temperature" in name and value in _NO_TEMPERATURE


@dataclass(slots=True)
class Collector:
    """Gathers the readings of one device and keeps the implausible ones apart."""

    device: str
    readings: dict[str, float] = field(default_factory=dict)
    implausible: list[Implausible] = field(default_factory=list)

    def put(self, name: str, value: float) -> float:
        """Record a value under a quantity's name; returns it, or NaN if it cannot be used."""
        if math.isnan(value) or _is_sentinel(name, value):
            value = MISSING
        elif not QUANTITIES[name].plausible(value):
            self.implausible.append(Implausible(self.device, name, value))
            value = MISSING
        self.readings[name] = value
        return value

    def fall_back(self, name: str, value: float) -> None:
        """Record a value from a second source where the first has none."""
        rejected = any(item.quantity == name for item in self.implausible)
        if not rejected and math.isnan(self.readings.get(name, MISSING)):
            self.put(name, value)


def device_id(service: str, tree: Tree) -> str:
    """Stable id of a device: class and instance, as Victron's own mappings write it.

    The name of a service depends on the port that a device is plugged into; its instance does not.
    """
    instance = number(tree.get("DeviceInstance"))
    if not 0 <= instance <= _LARGEST_INSTANCE:
        return service.removeprefix(PREFIX)
    return f"{service_class(service)}/{instance:.0f}"


def total(values: Iterable[float]) -> float:
    """Sum of the values that exist; NaN where none does, infinite where one is or it overflows."""
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return MISSING
    return math.fsum(known) if all(abs(v) < _HUGE for v in known) else math.inf


def _phase_power(tree: Tree, group: str) -> float:
    return total(number(tree.get(f"{group}/{phase}/Power")) for phase in PHASES)


def read_system(tree: Tree, into: Collector) -> None:
    """Powers and state from the system tree; never a frequency, which it does not have."""
    into.put("grid_power_w", _phase_power(tree, "Ac/Grid"))
    into.put("genset_power_w", _phase_power(tree, "Ac/Genset"))
    into.put("load_power_w", _phase_power(tree, "Ac/Consumption"))
    dc = into.put("pv_dc_power_w", number(tree.get("Dc/Pv/Power")))
    groups = ("Ac/PvOnGrid", "Ac/PvOnOutput", "Ac/PvOnGenset")
    ac = into.put("pv_ac_power_w", total(_phase_power(tree, group) for group in groups))
    # Without a part that was rejected, the rest is not the whole.
    rejected = {item.quantity for item in into.implausible} & {"pv_dc_power_w", "pv_ac_power_w"}
    into.put("pv_power_w", MISSING if rejected else total((dc, ac)))
    into.put("pv_disabled", number(tree.get("Pv/Disable")))
    into.put("system_state", number(tree.get("SystemState/State")))


def battery_service(tree: Tree, services: Iterable[str]) -> str | None:
    """The service that speaks for the battery.

    First the system tree's own word (``Dc/Battery/BatteryService``, then ``ActiveBatteryService``
    through ``ServiceMapping``, then ``ActiveBmsService``), then the list of services.
    """
    named = service_name(tree.get("Dc/Battery/BatteryService"))
    if named:
        return named
    active = text(tree.get("ActiveBatteryService"))
    if active and "/" in active:
        mapped = tree.get("ServiceMapping/" + active.replace(".", "_").replace("/", "_"))
        if service_name(mapped):
            return str(mapped)
    bms = service_name(tree.get("ActiveBmsService"))
    if bms:
        return bms
    batteries = sorted(s for s in services if service_class(s) == "battery")
    return batteries[0] if batteries else None


_BATTERY_PATHS = {
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
    "capacity_ah": "Capacity",
    "consumed_ah": "ConsumedAmphours",
    "time_to_go_s": "TimeToGo",
    "charge_limit_a": "Info/MaxChargeCurrent",
    "discharge_limit_a": "Info/MaxDischargeCurrent",
    "cycles": "History/ChargeCycles",
    "charged_kwh": "History/ChargedEnergy",
    "discharged_kwh": "History/DischargedEnergy",
}
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


def mapped_services(system: Tree) -> dict[str, str]:
    """Service name to device id, from the system tree's ``ServiceMapping``."""
    found: dict[str, str] = {}
    for path, value in system.items():
        if len(found) >= MOST_SERVICES:
            break
        if path.startswith("ServiceMapping/") and (name := service_name(value)):
            instance = path.rpartition("_")[2]
            if instance.isdigit():
                found[name] = f"{service_class(name)}/{instance}"
    return found


def read_battery(
    service: str, tree: Tree, *, active: bool, system: Tree | None, device: str | None = None
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
    """
    into = Collector(device or device_id(service, tree))
    if tree and service_class(service) == "battery":
        for name, path in _BATTERY_PATHS.items():
            into.put(name, number(tree.get(path)))
    if system is not None:
        for name, path in _SYSTEM_BATTERY_PATHS.items():
            into.fall_back(name, number(system.get(path)))
    cells = _read_cells(tree, into)
    _put_spread(cells, into)
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


def _read_cells(tree: Tree, into: Collector) -> Cells | None:
    """Per-cell voltages and temperatures, in whichever format the device publishes them."""
    volts: dict[tuple[int, ...], float] = {}
    celsius: dict[tuple[int, ...], float] = {}
    for path, value in tree.items():
        if "Cell" not in path:
            continue
        if match := _CELL_VOLTAGE.match(path):
            cell = tuple(int(part) for part in match.groups() if part)
            volts[cell] = _cell_value(value, CELL_VOLTS, cell, "voltage_v", into)
        elif match := _CELL_TEMPERATURE.match(path):
            cell = tuple(int(part) for part in match.groups() if part)
            celsius[cell] = _cell_value(value, CELL_CELSIUS, cell, "temperature_c", into)
    order = sorted(volts.keys() | celsius.keys())[:MOST_CELLS]
    voltages = tuple(volts.get(cell, MISSING) for cell in order)
    temperatures = tuple(celsius.get(cell, MISSING) for cell in order)
    if all(math.isnan(value) for value in (*voltages, *temperatures)):
        return None
    return Cells(tuple(_cell_label(cell) for cell in order), voltages, temperatures)


def _cell_label(cell: tuple[int, ...]) -> str:
    return "/".join(map(str, cell))


def _cell_value(
    value: Any, limits: tuple[float, float], cell: tuple[int, ...], name: str, into: Collector
) -> float:
    read = number(value)
    if math.isnan(read) or _is_sentinel(name, read):
        return MISSING
    if not limits[0] <= read <= limits[1]:
        quantity = f"cell {_cell_label(cell)} {name}"
        into.implausible.append(Implausible(into.device, quantity, read))
        return MISSING
    return read


def _put_spread(cells: Cells | None, into: Collector) -> None:
    known = [v for v in cells.voltages_v if not math.isnan(v)] if cells else []
    if known:
        into.fall_back("cell_min_v", min(known))
        into.fall_back("cell_max_v", max(known))
    hot = [v for v in cells.temperatures_c if not math.isnan(v)] if cells else []
    if hot:
        into.fall_back("cell_min_temperature_c", min(hot))
        into.fall_back("cell_max_temperature_c", max(hot))
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


def other_batteries(system: Tree, active: str) -> list[tuple[BatterySnapshot, list[Implausible]]]:
    """Batteries that the system tree lists beside the active one, with what it says of them."""
    listed = system.get("Batteries")
    if isinstance(listed, str):
        try:
            listed = json.loads(listed)
        except (ValueError, RecursionError):
            return []
    if not isinstance(listed, list):
        return []
    found = []
    for entry in listed[:MOST_BATTERIES]:
        if not isinstance(entry, dict):
            continue
        service = service_name(entry.get("id"))
        if not service or service == active or service_class(service) != "battery":
            continue
        into = Collector(device_id(service, {"DeviceInstance": entry.get("instance")}))
        for name, key in (
            ("soc_percent", "soc"),
            ("voltage_v", "voltage"),
            ("current_a", "current"),
            ("power_w", "power"),
            ("temperature_c", "temperature"),
        ):
            into.put(name, number(entry.get(key)))
        found.append((BatterySnapshot(into.device, False, into.readings), into.implausible))
    return found


_ALARM_GROUPS = ("Alarms/", "Dvcc/Alarms/", "Dc/Battery/Alarms/", "Ac/Alarms/")
_ERROR_PATHS = ("VebusError", "ErrorCode")


def read_alarms(tree: Tree) -> dict[str, int]:
    """Alarm levels of a device: 0 ok, 1 warning, 2 alarm; per-phase ones as ``L1/Overload``.

    A non-zero error code of a device is an alarm of level 2 under the code's own name.
    """
    levels: dict[str, int] = {}
    for path, value in tree.items():
        if "Alarms/" in path:
            group = next((g for g in _ALARM_GROUPS if path.startswith(g)), None)
            level = number(value)
            if group is None or len(levels) >= MOST_ALARMS:
                continue
            if level in (0.0, 1.0, 2.0):
                name = path[len(group) :] if group == "Alarms/" else path.replace("Alarms/", "")
                if _ALARM_NAME.match(name):
                    levels[name] = int(level)
    for path in _ERROR_PATHS:
        code = number(tree.get(path))
        if not math.isnan(code):
            levels[path] = 0 if code == 0 else 2
    return levels
