"""What is known of the batteries of a site, and the site's figures that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.model.packed_cells import PackedCells
from exporter.model.quantities import API_KEYS, BATTERY_QUANTITIES, DERIVED
from exporter.model.quantity import Derived
from exporter.model.snapshot import MISSING, Cells, Readings

OF_ACTIVE = tuple(name for name in BATTERY_QUANTITIES if name not in API_KEYS)
OF_WORST = tuple(row for row in DERIVED.values() if row.sources)
_PICKS: tuple[tuple[Callable[[list[float]], float], tuple[str, ...]], ...] = tuple(
    (min if row.pick == "low" else max, row.sources) for row in OF_WORST
)
_NO_TIMES: Mapping[str, float] = {}


@dataclass(slots=True)
class BatteryState:
    """What is known of one battery: its latest readings, each with its time.

    ``older`` has the times of readings that are not of the last scrape; the others are as old as
    ``seen``. Readings are those of a Snapshot wherever it has them all, and never changed in place.
    """

    device: str
    active: bool
    seen: float
    readings: Readings = field(default_factory=dict)
    older: Mapping[str, float] = field(default_factory=lambda: _NO_TIMES)
    cell_min_id: str | None = None
    cell_max_id: str | None = None
    cells: Cells | PackedCells | None = None

    def take(self, readings: Readings, now: float) -> None:
        """Take readings of one scrape; what it did not ask for stays as old as it is."""
        if self.readings.keys() <= readings.keys():
            self.readings, self.older = readings, _NO_TIMES
        else:
            left = self.readings.keys() - readings.keys()
            self.older = {name: self.time_of(name) for name in left}
            self.readings = {**self.readings, **readings}
        self.seen = now

    def time_of(self, name: str) -> float:
        """Monotonic seconds at which a reading was taken, NaN without one."""
        if name not in self.readings:
            return MISSING
        return self.older.get(name, self.seen)


def battery_figures(
    batteries: list[BatteryState], oldest: float
) -> tuple[list[float], list[float]]:
    """A site's battery figures and their times, in the order of the columns.

    Parameters are those of :func:`worst_of`, which gives the figures of the worst battery.
    """
    first = batteries[0]
    get, seen = first.readings.get, first.seen
    values = [get(name, MISSING) for name in OF_ACTIVE]
    if len(batteries) > 1 or first.older:
        worst = [worst_of(batteries, figure, oldest) for figure in OF_WORST]
        return (
            values + [value for value, _ in worst],
            [first.time_of(name) for name in OF_ACTIVE] + [time for _, time in worst],
        )
    # One battery, read whole: what nearly every scrape finds.
    readings = first.readings
    times = [seen if name in readings else MISSING for name in OF_ACTIVE]
    for pick, sources in _PICKS:
        known = [v for name in sources if (v := get(name, MISSING)) == v]
        values.append(pick(known) if known else MISSING)
        times.append(seen if known else MISSING)
    return values, times


def worst_of(batteries: list[BatteryState], figure: Derived, oldest: float) -> tuple[float, float]:
    """The worst reading among batteries and its time, both NaN where none is known.

    Parameters
    ----------
    batteries : list of BatteryState
        The active one first.
    figure : Derived
        Its ``sources`` and which extreme of them counts.
    oldest : float
        Monotonic seconds. Readings of the active battery from before count only where there is no
        later one.
    """
    sign = 1.0 if figure.pick == "low" else -1.0
    first = batteries[0]
    known: list[tuple[bool, float, float]] = []
    for battery in batteries:
        for name in figure.sources:
            value = battery.readings.get(name, MISSING)
            if value == value:  # noqa: PLR0124 - not NaN, and cheaper than asking
                time = battery.time_of(name)
                if battery is not first and time < first.seen:
                    # Batteries other than the active one are read in turn, not every time.
                    time = first.seen
                known.append((time < oldest, sign * value, time))
    if not known:
        return MISSING, MISSING
    _, value, time = min(known)
    return sign * value, time
