"""The grid at a Venus site's AC input: which devices tell of it, and what they say. Pure, no I/O.

Sources: Victron's D-Bus path documentation and dbus-systemcalc-py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.drivers.venus.tree import (
    PHASES,
    Collector,
    Tree,
    number,
    service_class,
    service_name,
)
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import MISSING, Implausible

NO_INPUT = 240


def ac_services(tree: Tree, services: Iterable[str]) -> list[str]:
    """Services that can tell the grid's frequency: vebus, then multi, then grid meter.

    Of several single-phase Multi RS each knows its own phase; their ``acsystem`` knows them all.
    """
    known = sorted(services)
    order: list[str] = []
    vebus = service_name(tree.get("VebusService"))
    if vebus:
        order.append(vebus)
    for kind in ("vebus", "acsystem", "multi", "grid"):
        order += [s for s in known if service_class(s) == kind and s not in order]
    return order


@dataclass(frozen=True, slots=True)
class AcInput:
    """The grid at an AC input: ``connected`` 1, 0 or NaN; V per phase that exists; Hz."""

    connected: float
    frequency_hz: float
    voltages_v: tuple[float, ...]

    @property
    def tells(self) -> bool:
        """Whether it answers the question of the grid, so that no other device need be asked."""
        return self.connected == 0 or not math.isnan(self.frequency_hz)


def _ac_input(connected: float, frequencies: list[float], voltages: list[float]) -> AcInput:
    """The grid as the values of one input show it.

    A unit that is set not to use a live input (inverter only) is disconnected from it and still
    measures it; after a loss the voltage may stand at its last value, but the frequency is 0.
    """
    volts = [v for v in voltages if not math.isnan(v)]
    hertz = [f for f in frequencies if not math.isnan(f)]
    live = [f for f in hertz if f != 0]
    if live and any(volts):
        return AcInput(1.0, live[0], tuple(volts))
    dead = bool(volts or hertz) and not any(volts) and not live
    if connected == 0 or dead:
        return AcInput(0.0, MISSING, ())
    present = 1.0 if live or any(volts) else connected
    return AcInput(present, live[0] if live else MISSING, tuple(volts))


def read_vebus_input(tree: Tree) -> AcInput:
    """AC input of a Multi or Quattro on VE.Bus.

    A disconnected input has ``ActiveInput`` 240 or ``Connected`` 0 and reads 0.0 V and 0.0 Hz.
    """
    phases = number(tree.get("Ac/NumberOfPhases"))
    count = 3 if math.isnan(phases) else int(max(1, min(3, phases)))
    groups = [f"Ac/ActiveIn/{p}" for p in PHASES[:count]]
    connected = number(tree.get("Ac/ActiveIn/Connected"))
    if number(tree.get("Ac/ActiveIn/ActiveInput")) == NO_INPUT:
        connected = 0.0
    return _ac_input(
        connected,
        [number(tree.get(f"{g}/F")) for g in groups],
        [number(tree.get(f"{g}/V")) for g in groups],
    )


def read_multi_input(tree: Tree) -> AcInput:
    """AC input of a Multi RS: ``Ac/In/<n>``, n being the active input counted from 1."""
    active = number(tree.get("Ac/ActiveIn/ActiveInput"))
    connected = 0.0 if active == NO_INPUT else MISSING
    n = int(active) + 1 if active in (0, 1, 2, 3) else 1
    groups = [f"Ac/In/{n}/{p}" for p in PHASES]
    frequencies = [number(tree.get(f"{g}/F")) for g in groups]
    voltages = [number(tree.get(f"{g}/V")) for g in groups]
    # Phases beyond those that the unit has read 0.0 where another one is live.
    live = [v for v in voltages if v != 0]
    known = any(not math.isnan(v) for v in live)
    return _ac_input(connected, frequencies, live if known else voltages)


def read_grid_meter(tree: Tree) -> AcInput:
    """Grid meter: per-phase voltage, and the frequency on newer ones.

    A three-phase meter on fewer phases reads 0.0 V on the dead ones, which are left out; its own
    average ``Ac/Voltage`` counts them and is not used.
    """
    voltages = [number(tree.get(f"Ac/{p}/Voltage")) for p in PHASES]
    live = [v for v in voltages if v != 0]
    known = any(not math.isnan(v) for v in live)
    frequencies = [number(tree.get("Ac/Frequency"))]
    frequencies += [number(tree.get(f"Ac/{p}/Frequency")) for p in PHASES]
    return _ac_input(MISSING, frequencies, live if known else voltages)


_INPUT_READERS = {
    "vebus": read_vebus_input,
    "multi": read_multi_input,
    "acsystem": read_multi_input,
    "grid": read_grid_meter,
}


def read_ac_input(service: str, tree: Tree) -> AcInput:
    """AC input of any of the services that :func:`ac_services` names."""
    return _INPUT_READERS[service_class(service)](tree)


def put_ac_input(found: AcInput, into: Collector) -> None:
    """Record the grid's presence, frequency and voltages."""
    into.put("grid_connected", found.connected)
    into.put("grid_frequency_hz", found.frequency_hz)
    volts = [v for v in found.voltages_v if QUANTITIES["grid_voltage_v"].plausible(v)]
    whole = len(volts) == len(found.voltages_v)
    for name, value in (
        ("grid_voltage_v", math.fsum(volts) / len(volts) if volts else MISSING),
        ("grid_voltage_min_v", min(volts, default=MISSING)),
        ("grid_voltage_max_v", max(volts, default=MISSING)),
    ):
        into.put(name, value)
    if not whole:
        bad = next(v for v in found.voltages_v if v not in volts)
        into.implausible.append(Implausible(into.device, "grid_voltage_v", bad))


def read_grid_energy(tree: Tree, into: Collector) -> None:
    """Energy counters of the grid meter."""
    into.put("grid_import_kwh", number(tree.get("Ac/Energy/Forward")))
    into.put("grid_export_kwh", number(tree.get("Ac/Energy/Reverse")))
