"""AC inputs as single devices show them: voltages, frequency, phases. Pure, no I/O.

What kind of source an input has is decided for the site as a whole, in ``ac_sources.py``. Sources:
Victron's D-Bus path documentation and dbus-systemcalc-py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from exporter.drivers.venus.readings import Collector
from exporter.drivers.venus.tree import PHASES, Tree, service_class, service_name
from exporter.drivers.venus.values import number
from exporter.model.frequency_step import VEBUS_PERIOD_STEP_S

NO_INPUT = 240
_MODE_INVERTER_ONLY, _MODE_OFF = 2, 4
_STATE_OFF = 0
# A dead phase next to live ones may show some induced voltage.
_DEAD_BELOW = 0.3
# Phases of three-phase supplies; split-phase ones have 120 V.
_THREE_PHASE_ABOVE_V = 180.0


def ac_services(tree: Tree, services: Iterable[str]) -> list[str]:
    """Services that know an AC input or the grid: vebus, then multi, then grid meter.

    Of several single-phase Multi RS each knows its own phase; their ``acsystem`` knows them all.
    """
    return list(_ac_order(service_name(tree.get("VebusService")), tuple(services)))


@functools.lru_cache(maxsize=4096)
def _ac_order(vebus: str | None, services: tuple[str, ...]) -> tuple[str, ...]:
    known = sorted(services)
    order: list[str] = []
    if vebus:
        order.append(vebus)
    for kind in ("vebus", "acsystem", "multi", "grid"):
        order += [s for s in known if service_class(s) == kind and s not in order]
    return tuple(order)


@dataclass(frozen=True, slots=True)
class AcInput:
    """One AC input, or one grid meter, at one moment.

    Attributes
    ----------
    exists : bool
        False for a device without any AC input.
    connected : float
        1 while power can flow, 0 while the input is dead or disconnected, NaN unknown, as while
        the inverter is off.
    index : int or None
        Which input is the active one, from 0; None where none is, and for a meter.
    live : bool
        Whether there is voltage and frequency, connected or not.
    refused : bool
        Whether the device is on and does not use a live input, although nothing set it so.
    frequency_hz : float
    voltages_v : dict
        By phase, of the phases that are not dead.
    lost : tuple of str
        Dead phases that should be live.
    available : frozenset of int
        Inputs, from 0, that have voltage, whether they are the active one or not.
    period_step_s : float
        Resolution of the period that the frequency is made of, where it is known, else NaN.
    """

    exists: bool = True
    connected: float = math.nan
    index: int | None = None
    live: bool = False
    refused: bool = False
    frequency_hz: float = math.nan
    voltages_v: Mapping[str, float] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    available: frozenset[int] = frozenset()
    period_step_s: float = math.nan


@dataclass(frozen=True, slots=True)
class Electrical:
    """Voltages by phase and frequencies, as read."""

    voltages_v: Mapping[str, float]
    frequencies_hz: tuple[float, ...]

    @property
    def live_hz(self) -> float:
        """The first frequency that is not 0, NaN without one."""
        return next((f for f in self.frequencies_hz if not math.isnan(f) and f != 0), math.nan)

    @property
    def highest_v(self) -> float:
        """The highest phase voltage, 0 without any."""
        return max((v for v in self.voltages_v.values() if not math.isnan(v)), default=0.0)

    @property
    def known(self) -> bool:
        """Whether anything was read at all."""
        values = (*self.voltages_v.values(), *self.frequencies_hz)
        return any(not math.isnan(v) for v in values)

    def phases(self) -> tuple[dict[str, float], list[str]]:
        """Voltages of the live phases, and the names of those that are dead."""
        top = self.highest_v
        known = {p: v for p, v in self.voltages_v.items() if not math.isnan(v)}
        alive = {p: v for p, v in known.items() if top > 0 and v >= _DEAD_BELOW * top}
        return alive, [p for p in known if p not in alive]


def lost_phases(
    alive: Collection[str], dead: Collection[str], highest_v: float, expected: Collection[str]
) -> tuple[str, ...]:
    """Dead phases that should be live.

    A three-phase device on one or two phases reads 0 V on the others, so a dead phase counts only
    where it is expected (declared, or seen live before), or where the live ones show that the
    supply has three phases: L1 and L3, L2 and L3, or two at a voltage that no split phase has.
    """
    if not alive:
        return ()
    pattern = "L3" in alive or (len(alive) == 2 and highest_v > _THREE_PHASE_ABOVE_V)
    return tuple(
        p for p in PHASES if p in dead and (p in expected or (pattern and len(alive) == 2))
    )


def _combine(
    read: Electrical,
    connected: float,
    *,
    index: int | None,
    expected: Collection[str],
    may_refuse: bool,
    period_step_s: float = math.nan,
) -> AcInput:
    """One input from what was read of it.

    A unit that does not use a live input is disconnected from it and still measures it; after a
    loss the voltage may stand at its last value, but the frequency is 0.
    """
    alive, dead = read.phases()
    frequency = read.live_hz
    live = not math.isnan(frequency) and bool(alive)
    gone = read.known and not alive and math.isnan(frequency)
    if gone or (connected == 0 and not live):
        return AcInput(connected=0.0, index=index, period_step_s=period_step_s)
    return AcInput(
        connected=1.0 if live or alive else connected,
        index=index,
        live=live or bool(alive),
        refused=live and connected == 0 and may_refuse,
        frequency_hz=frequency,
        voltages_v=alive,
        lost=lost_phases(alive, dead, read.highest_v, expected),
        period_step_s=period_step_s,
    )


def _is_off(tree: Tree) -> bool:
    return number(tree.get("Mode")) == _MODE_OFF or number(tree.get("State")) == _STATE_OFF


def _is_ignored(tree: Tree) -> bool:
    """Whether mode, a switch or ESS keeps the unit from using its input."""
    if number(tree.get("Mode")) == _MODE_INVERTER_ONLY:
        return True
    paths = [f"Ac/{group}/IgnoreAcIn{n}" for group in ("Control", "State") for n in (1, 2)]
    return any(number(tree.get(path)) == 1 for path in paths)


def read_vebus_input(tree: Tree, seen: Collection[str] = ()) -> AcInput:
    """AC input of a Multi or Quattro on VE.Bus.

    A disconnected input has ``ActiveInput`` 240 or ``Connected`` 0 and reads 0.0 V and 0.0 Hz.

    Parameters
    ----------
    tree : mapping
    seen : collection of str
        Phases that were live before.
    """
    if number(tree.get("Ac/NumberOfAcInputs")) == 0:
        return AcInput(exists=False)
    phases = number(tree.get("Ac/NumberOfPhases"))
    count = 3 if math.isnan(phases) else int(max(1, min(3, phases)))
    names = PHASES[:count]
    declared = names if not math.isnan(phases) else ()
    return _read_inverter_input(
        tree,
        {p: f"Ac/ActiveIn/{p}" for p in names},
        connected=number(tree.get("Ac/ActiveIn/Connected")),
        expected={*declared, *seen},
        period_step_s=VEBUS_PERIOD_STEP_S,
    )


def read_multi_input(tree: Tree, seen: Collection[str] = ()) -> AcInput:
    """AC input of a Multi RS: ``Ac/In/<n>``, n being the active input counted from 1."""
    if number(tree.get("Ac/NumberOfAcInputs")) == 0:
        return AcInput(exists=False)
    active = number(tree.get("Ac/ActiveIn/ActiveInput"))
    n = int(active) + 1 if active in (0, 1, 2, 3) else 1
    phases = number(tree.get("Ac/NumberOfPhases"))
    declared = PHASES[: int(phases)] if phases in (1, 2, 3) else ()
    return _read_inverter_input(
        tree,
        {p: f"Ac/In/{n}/{p}" for p in PHASES},
        connected=math.nan,
        expected={*declared, *seen},
        period_step_s=math.nan,
    )


def _read_inverter_input(
    tree: Tree,
    groups: Mapping[str, str],
    *,
    connected: float,
    expected: Collection[str],
    period_step_s: float,
) -> AcInput:
    active = number(tree.get("Ac/ActiveIn/ActiveInput"))
    if active == NO_INPUT:
        connected = 0.0
    index = int(active) if active in (0, 1, 2, 3) else None
    read = Electrical(
        {p: number(tree.get(f"{group}/V")) for p, group in groups.items()},
        tuple(number(tree.get(f"{group}/F")) for group in groups.values()),
    )
    off = _is_off(tree)
    found = _combine(
        read,
        connected,
        index=index,
        expected=expected,
        may_refuse=not off and not _is_ignored(tree),
        period_step_s=period_step_s,
    )
    if off and not found.live:
        # A unit that is off measures nothing.
        return AcInput(index=None, period_step_s=period_step_s)
    paths = ((n, f"Ac/State/AcIn{n + 1}Available") for n in (0, 1))
    return replace(found, available=frozenset(n for n, p in paths if number(tree.get(p)) == 1))


def read_grid_meter(tree: Tree, seen: Collection[str] = ()) -> AcInput:
    """Grid meter: voltage of each phase, and the frequency on newer ones.

    Its own average ``Ac/Voltage`` counts dead phases and is not used.
    """
    frequencies = [number(tree.get("Ac/Frequency"))]
    frequencies += [number(tree.get(f"Ac/{p}/Frequency")) for p in PHASES]
    read = Electrical({p: number(tree.get(f"Ac/{p}/Voltage")) for p in PHASES}, tuple(frequencies))
    declared = number(tree.get("NrOfPhases"))
    expected = PHASES[: int(declared)] if declared in (1, 2, 3) else ()
    return _combine(read, math.nan, index=None, expected={*expected, *seen}, may_refuse=False)


_INPUT_READERS = {
    "vebus": read_vebus_input,
    "multi": read_multi_input,
    "acsystem": read_multi_input,
    "grid": read_grid_meter,
}


def read_ac_input(service: str, tree: Tree, seen: Collection[str] = ()) -> AcInput:
    """AC input of any of the services that :func:`ac_services` names."""
    return _INPUT_READERS[service_class(service)](tree, seen)


def read_grid_energy(tree: Tree, into: Collector) -> None:
    """Energy counters of the grid meter."""
    into.take("grid_import_kwh", tree.get("Ac/Energy/Forward"))
    into.take("grid_export_kwh", tree.get("Ac/Energy/Reverse"))
