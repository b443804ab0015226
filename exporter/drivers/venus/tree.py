"""The trees of a Venus device: names of services, ids of devices, and the system tree.

Pure, no I/O. Sources: Victron's D-Bus path documentation and dbus-systemcalc-py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from exporter.drivers.venus.layout import Layout, layout_of
from exporter.drivers.venus.readings import Collector, total
from exporter.drivers.venus.values import number, text
from exporter.model.snapshot import MISSING

Tree = Mapping[str, Any]

PREFIX = "com.victronenergy."
SYSTEM = PREFIX + "system"
PHASES = ("L1", "L2", "L3")
OTHER_CLASSES = frozenset(
    {
        "acsystem",
        "acload",
        "alternator",
        "battery",
        "charger",
        "dcdc",
        "dcgenset",
        "dcload",
        "dcsource",
        "dcsystem",
        "fuelcell",
        "genset",
        "grid",
        "inverter",
        "multi",
        "pvinverter",
        "solarcharger",
        "vebus",
    }
)
"""Devices that are read in turn."""
_LARGEST_INSTANCE = 1_000_000
# Far above what any site has; without limits a site that is out of its mind fills the storage of
# all with series.
MOST_SERVICES = 256
MOST_BATTERIES = 64
_SERVICE_NAME = re.compile(r"com\.victronenergy\.[A-Za-z0-9_.-]{1,120}\Z")


def service_name(value: Any) -> str | None:
    """A full D-Bus service name, None for anything else."""
    return value if isinstance(value, str) and _is_service_name(value) else None


@functools.lru_cache(maxsize=4096)
def _is_service_name(value: str) -> bool:
    return _SERVICE_NAME.match(value) is not None


@functools.lru_cache(maxsize=4096)
def service_class(service: str) -> str:
    """The class of a service: ``battery`` of ``com.victronenergy.battery.ttyO0``."""
    return service.removeprefix(PREFIX).split(".", 1)[0]


def service_list(document: Any) -> list[str]:
    """The service names of a ``/services`` reply; empty where it holds none."""
    names = document.get("services") if isinstance(document, dict) else None
    known = [n for n in names if service_name(n)] if isinstance(names, list) else []
    return known[:MOST_SERVICES]


_NESTED: list[None] = [None]


def pruned(tree: Tree) -> Tree:
    """A tree without the contents of nested values, which may be large: no reading is made of
    them, but a reading's path that holds one is of a wrong type."""
    kept = {
        path: value if value.__class__ is not list and value.__class__ is not dict else _NESTED
        for path, value in tree.items()
        if value or (value.__class__ is not list and value.__class__ is not dict)
    }
    if "Batteries" in tree:
        kept["Batteries"] = tree["Batteries"]
    return kept


def device_id(service: str, tree: Tree) -> str:
    """Stable id of a device: class and instance, as Victron's own mappings write it.

    The name of a service depends on the port that a device is plugged into; its instance does not.
    """
    instance = number(tree.get("DeviceInstance"))
    if not 0 <= instance <= _LARGEST_INSTANCE:
        return service.removeprefix(PREFIX)
    return f"{service_class(service)}/{instance:.0f}"


def _phase_powers(*groups: str) -> tuple[str, ...]:
    return tuple(f"{group}/{phase}/Power" for group in groups for phase in PHASES)


_GRID_POWERS = _phase_powers("Ac/Grid")
_GENSET_POWERS = _phase_powers("Ac/Genset")
_LOAD_POWERS = _phase_powers("Ac/Consumption")
_PV_POWERS = _phase_powers("Ac/PvOnGrid", "Ac/PvOnOutput", "Ac/PvOnGenset")


def read_system(tree: Tree, into: Collector) -> None:
    """Powers and state from the system tree; never a frequency, which it does not have."""
    into.take_total("grid_power_w", map(tree.get, _GRID_POWERS))
    into.take_total("genset_power_w", map(tree.get, _GENSET_POWERS))
    into.take_total("load_power_w", map(tree.get, _LOAD_POWERS))
    dc = into.take("pv_dc_power_w", tree.get("Dc/Pv/Power"))
    ac = into.take_total("pv_ac_power_w", map(tree.get, _PV_POWERS))
    # Without a part that was rejected, the rest is not the whole.
    partial = into.rejected("pv_dc_power_w") or into.rejected("pv_ac_power_w")
    into.put("pv_power_w", MISSING if partial else total((dc, ac)))
    into.take("pv_disabled", tree.get("Pv/Disable"))
    into.take("system_state", tree.get("SystemState/State"))


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


def mapped_services(system: Tree, layout: Layout | None = None) -> dict[str, str]:
    """Service name to device id, from the system tree's ``ServiceMapping``.

    ``layout`` is that of the tree, where it is known.
    """
    found: dict[str, str] = {}
    for path in (layout or layout_of(system)).mappings:
        if len(found) >= MOST_SERVICES:
            break
        if name := service_name(system[path]):
            instance = path.rpartition("_")[2]
            if instance.isdigit():
                found[name] = f"{service_class(name)}/{instance}"
    return found
