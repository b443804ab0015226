"""Meters of a Venus site as meters: grid, PV inverter, generator, AC loads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from exporter.drivers.venus.tree import Tree, service_class
from exporter.drivers.venus.values import number
from exporter.model.quantities import METER_QUANTITIES
from exporter.model.snapshot import MeterSnapshot

METER_CLASSES = frozenset({"acload", "genset", "grid", "pvinverter"})
_PATHS = {
    "power_factor": "Ac/PowerFactor",
    "energy_import_kwh": "Ac/Energy/Forward",
    "energy_export_kwh": "Ac/Energy/Reverse",
}
_PHASES = tuple(f"Ac/{phase}/Power" for phase in ("L1", "L2", "L3"))


def read_meter(device: str, tree: Tree) -> MeterSnapshot | None:
    """The meter behind a device's tree; None where the tree has none of its readings.

    The energies of a PV inverter and of a generator are what they gave: their ``Forward``.
    """
    given = {name: number(tree.get(path)) for name, path in _PATHS.items()}
    given["active_power_w"] = _power_w(tree)
    readings = {
        name: value
        for name, value in given.items()
        if not math.isnan(value) and METER_QUANTITIES[name].plausible(value)
    }
    return MeterSnapshot(device, readings) if readings else None


def meters_of(
    trees: Mapping[str, Tree], id_of: Callable[[str, Tree], str]
) -> Iterator[MeterSnapshot]:
    """The meters among devices, by service name; ``id_of`` gives the id of a device."""
    for service, tree in trees.items():
        if service_class(service) in METER_CLASSES:
            found = read_meter(id_of(service, tree), tree)
            if found is not None:
                yield found


def _power_w(tree: Tree) -> float:
    """The power of all phases: as the device gives it, else their sum."""
    whole = number(tree.get("Ac/Power"))
    if not math.isnan(whole):
        return whole
    known = [watts for path in _PHASES if not math.isnan(watts := number(tree.get(path)))]
    return math.fsum(known) if known else math.nan
