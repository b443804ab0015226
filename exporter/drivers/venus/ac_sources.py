"""Which source feeds a site: grid, generator or shore; and what that says of the grid.

Keeps what was learnt of a site: kinds of its inputs, and phases that were live.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from exporter.drivers.venus.ac_input import AcInput
from exporter.drivers.venus.readings import Collector
from exporter.drivers.venus.tree import Tree, service_class
from exporter.drivers.venus.values import number
from exporter.model.frequency_step import SAMPLES, smallest_step
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import Implausible, Notice


class Source(IntEnum):
    """What an AC input is fed by, as Victron numbers it."""

    UNKNOWN = 0
    GRID = 1
    GENERATOR = 2
    SHORE = 3
    NONE = 240


_KINDS = (Source.GRID, Source.GENERATOR, Source.SHORE)
_NAMES = {Source.GENERATOR: "a generator", Source.SHORE: "shore power"}
# Without a device nothing is known of either. The order is that of the readings of a device.
_NO_GRID = dict.fromkeys(
    (
        "grid_connected",
        "grid_voltage_v",
        "grid_voltage_min_v",
        "grid_voltage_max_v",
        "grid_frequency_hz",
        "grid_frequency_step_hz",
    ),
    math.nan,
)
_NO_OTHER = dict.fromkeys(("ac_input_frequency_hz", "ac_input_voltage_v"), math.nan)


def _source(value: object) -> Source:
    if value is None:
        return Source.UNKNOWN
    read = number(value)
    return Source(int(read)) if read in (1, 2, 3, 240) else Source.UNKNOWN


@dataclass(slots=True)
class AcSources:
    """The AC inputs of one site.

    Attributes
    ----------
    kinds : dict
        Source by input, from 0; what the system says, else what was seen or the settings hold.
    seen_phases : dict
        Phases that were live, by service.
    """

    kinds: dict[int, Source] = field(default_factory=dict)
    seen_phases: dict[str, set[str]] = field(default_factory=dict)
    _frequencies: list[float] = field(default_factory=list)
    _grid_was_live: bool = False

    def learn(self, system: Tree) -> None:
        """Take the kinds of inputs from the system tree; old firmware does not have them."""
        for index, path in enumerate(("Ac/In/0/Source", "Ac/In/1/Source")):
            source = _source(system.get(path))
            if source in _KINDS:
                self.kinds[index] = source

    def learn_device(self, tree: Tree) -> None:
        """Take the kinds of inputs from an inverter: ``Ac/In/<n>/Type``, n from 1."""
        for n in (1, 2):
            source = _source(tree.get(f"Ac/In/{n}/Type"))
            if source in _KINDS:
                self.kinds.setdefault(n - 1, source)

    def learn_settings(self, index: int, value: object) -> None:
        """Take the kind of an input from ``/Settings/SystemSetup/AcInput<n>``."""
        source = _source(value)
        if source in _KINDS:
            self.kinds.setdefault(index, source)

    def judge(
        self, system: Tree, services: Iterable[str], found: Mapping[str, AcInput], into: Collector
    ) -> list[Notice]:
        """Record what feeds the site and what is known of its grid; returns what to report.

        Parameters
        ----------
        system : mapping
        services : iterable of str
            All services of the site.
        found : mapping of service to AcInput
            Those that are known, in the order of ``ac_input.ac_services``.
        into : Collector
        """
        if not found:
            return self._judge_without_device(system, services, into)
        for service, ac in found.items():
            self.seen_phases.setdefault(service, set()).update(ac.voltages_v)
        meter = _best([ac for s, ac in found.items() if service_class(s) == "grid"])
        inverter = _best([ac for s, ac in found.items() if service_class(s) != "grid"])
        has_meter = any(service_class(s) == "grid" for s in services)
        source = self._active_source(system, inverter, has_meter)
        into.put("ac_source", math.nan if source is Source.UNKNOWN else float(source))
        grid = self._grid_of_inverter(source, inverter, self._grid_expected(has_meter, inverter))
        if meter is not None and not (grid is not None and grid.live):
            grid = meter if meter.live or grid is None else grid
        elif meter is not None and grid is not None:
            grid = replace(grid, lost=tuple(dict.fromkeys((*grid.lost, *meter.lost))))
        self._put_grid(grid, into)
        expected = self._grid_expected(has_meter, inverter)
        into.put("grid_expected", math.nan if expected is None else float(expected))
        other = inverter if source in _NAMES and inverter and inverter.live else None
        _put_other(other, into)
        return _notices(source, grid, inverter, other)

    def _judge_without_device(
        self, system: Tree, services: Iterable[str], into: Collector
    ) -> list[Notice]:
        """As :meth:`judge`, of a site that has no device which knows the grid."""
        has_meter = any(service_class(s) == "grid" for s in services)
        source = self._active_source(system, None, has_meter)
        expected = self._grid_expected(has_meter, None)
        readings = into.readings
        readings["ac_source"] = math.nan if source is Source.UNKNOWN else float(source)
        readings |= _NO_GRID
        if self._frequencies:
            into.put("grid_frequency_step_hz", self._step(math.nan, math.nan))
        readings["grid_expected"] = math.nan if expected is None else float(expected)
        readings |= _NO_OTHER
        return []

    def _active_source(self, system: Tree, inverter: AcInput | None, has_meter: bool) -> Source:
        """What feeds the site now; learns the kind of an input from it."""
        source = _source(system.get("Ac/ActiveIn/Source"))
        index = inverter.index if inverter is not None else None
        if index is not None and source in _KINDS:
            self.kinds.setdefault(index, source)
        if source is Source.UNKNOWN and index is not None:
            source = self.kinds.get(index, Source.UNKNOWN)
        single = len(self.kinds) <= 1 and number(system.get("Ac/In/NumberOfAcInputs")) in (1,)
        if (
            source is Source.GENERATOR
            and has_meter
            and single
            and system.get("SystemType") == "ESS"
        ):
            # An ESS with a grid meter and one input hangs on the grid, whatever the input's label,
            # which is a generator by default.
            source = Source.GRID
        return source

    def _grid_of_inverter(
        self, source: Source, inverter: AcInput | None, expected: bool | None
    ) -> AcInput | None:
        """The grid as the inverter's input shows it; None where it says nothing of a grid."""
        if inverter is None or not inverter.exists or math.isnan(inverter.connected):
            return None
        if not inverter.live:
            return inverter if expected else None
        if source in _NAMES:
            # Some units know of an input that they do not use.
            grids = {index for index, kind in self.kinds.items() if kind is Source.GRID}
            there = bool(grids & inverter.available)
            return AcInput(connected=float(there)) if expected else None
        if expected is False:
            # A generator that warms up.
            return None
        self._grid_was_live = True
        return inverter

    def _grid_expected(self, has_meter: bool, inverter: AcInput | None) -> bool | None:
        """Whether the site has a grid to lose; None where nothing says so."""
        if has_meter or Source.GRID in self.kinds.values() or self._grid_was_live:
            return True
        if inverter is None or not inverter.exists or self.kinds:
            return False
        return None

    def _put_grid(self, grid: AcInput | None, into: Collector) -> None:
        grid = grid or AcInput()
        into.put("grid_connected", grid.connected)
        _put_voltages(grid, into, "grid_voltage_v", spread=True)
        frequency = into.put("grid_frequency_hz", grid.frequency_hz)
        into.put("grid_frequency_step_hz", self._step(frequency, grid.period_step_s))

    def _step(self, frequency: float, period_step_s: float) -> float:
        """Resolution of the frequency in Hz: of the device, or the smallest step seen of late."""
        if not math.isnan(period_step_s):
            return period_step_s * frequency**2
        if not math.isnan(frequency):
            self._frequencies = [*self._frequencies[1 - SAMPLES :], frequency]
        return smallest_step(self._frequencies)


def _best(inputs: list[AcInput]) -> AcInput | None:
    """Of several devices the one that knows most: live, then connected or not, then any."""
    order = sorted(inputs, key=lambda ac: (not ac.live, math.isnan(ac.connected), not ac.exists))
    return order[0] if order else None


def _notices(
    source: Source, grid: AcInput | None, inverter: AcInput | None, other: AcInput | None
) -> list[Notice]:
    found = []
    if other is not None and grid is not None and grid.connected == 0:
        found.append(Notice("on_generator", "site", _NAMES[source]))
    if inverter is not None and inverter.refused and source not in _NAMES and grid is inverter:
        volts = max(inverter.voltages_v.values(), default=math.nan)
        detail = f"{volts:.0f} V, {inverter.frequency_hz:.2f} Hz"
        found.append(Notice("grid_rejected", "site", detail))
    if grid is not None and grid.connected == 1 and grid.lost:
        found.append(Notice("grid_phase_lost", "site", " and ".join(grid.lost)))
    return found


def _put_other(other: AcInput | None, into: Collector) -> None:
    """Frequency and voltage of a generator or of shore power, which have bands of their own."""
    ac = other or AcInput()
    into.put("ac_input_frequency_hz", ac.frequency_hz)
    _put_voltages(ac, into, "ac_input_voltage_v", spread=False)


def _put_voltages(ac: AcInput, into: Collector, name: str, *, spread: bool) -> None:
    volts = [v for v in ac.voltages_v.values() if QUANTITIES[name].plausible(v)]
    into.put(name, math.fsum(volts) / len(volts) if volts else math.nan)
    if spread:
        into.put("grid_voltage_min_v", min(volts, default=math.nan))
        into.put("grid_voltage_max_v", max(volts, default=math.nan))
    bad = [v for v in ac.voltages_v.values() if v not in volts]
    if bad:
        into.implausible.append(Implausible(into.device, name, bad[0]))
