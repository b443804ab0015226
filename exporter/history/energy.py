"""The one place where energy of a period is made: of powers and of counters, exact on gaps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from exporter.history.influxql import InfluxQL, Series, between, name
from exporter.history.level_choice import table
from exporter.history.observed import FloatArray, detail, of_sites, samples, split
from exporter.model.levels import Level
from scoring.counters import Step, counter_steps
from scoring.energy import held_ms, spans

LOOKBACK_SECONDS = 3600.0
COUNTER_LOOKBACK_SECONDS = 86_400.0
"""Of few sites; of many it is an hour, since much would have to be read."""
_FEW_SITES = 6
Part = Literal["net", "in", "out"]
"""Which sign of a power counts: all, above 0 only, or below 0 only (as an energy above 0)."""


@dataclass(slots=True)
class Energy:
    """Energy of one site or device over a period, and how it came about.

    Attributes
    ----------
    kwh : float
        Over the observed time; signed as the power is.
    seconds : float
        Observed time. For a power the time of which it is known; for a counter the time from its
        first to its last reading.
    times : float array, shape (K,)
        Unix seconds, the beginnings of the steps with any energy.
    steps_kwh : float array, shape (K,)
        Energy of each step.
    steps_seconds : float array, shape (K,)
        Observed time of each step; 0 of a counter, which knows only the whole.
    resets, glitches : int
        Of a counter: starts from zero, and bad samples, which add nothing.
    """

    kwh: float = 0.0
    seconds: float = 0.0
    times: FloatArray = field(default_factory=lambda: np.empty(0))
    steps_kwh: FloatArray = field(default_factory=lambda: np.empty(0))
    steps_seconds: FloatArray = field(default_factory=lambda: np.empty(0))
    resets: int = 0
    glitches: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """Which energies are asked for.

    Attributes
    ----------
    measurement, field : str
        A power in watts, or a counter in kilowatt-hours.
    start, end : float
        Unix seconds, the latter not included.
    sites : sequence of str or None
        Site ids; None for all.
    count : int
        Number of sites that are asked about.
    step_seconds : int
        Length of the steps in which the course is given; they begin at multiples of it since 1970.
    extra : str
        Another condition on tags.
    part : Part
        Of a power. Within a window of a roll-up both signs are netted.
    levels : sequence of Level or None
        Roll-ups to read, the finest first; None for those that are meant for the length.
    """

    measurement: str
    field: str
    start: float
    end: float
    sites: Sequence[str] | None
    count: int
    step_seconds: int
    extra: str = ""
    part: Part = "net"
    levels: Sequence[Level] | None = None

    @property
    def where(self) -> str:
        """The condition on tags; may be empty."""
        return " AND ".join(filter(None, (of_sites(self.sites), self.extra)))

    @property
    def by(self) -> tuple[str, ...]:
        """The tags that identify a series."""
        return ("site", "device") if self.measurement == "battery" else ("site",)

    def of_windows(self, columns: str, level: Level, start: float, end: float) -> str:
        """The statement that adds up whole windows of a roll-up."""
        also = f" AND {self.where}" if self.where else ""
        groups = ", ".join(name(tag) for tag in self.by)
        # A longer step would net both signs over all of it.
        step = level.seconds if self.part != "net" else max(self.step_seconds, level.seconds)
        return (
            f"SELECT {columns} FROM {table(level, self.measurement)} "  # noqa: S608
            f"WHERE {between(start, end)}{also} GROUP BY time({step}s), {groups} fill(none)"
        )

    def wanted(self, values: FloatArray) -> FloatArray:
        """What counts of powers or energies."""
        if self.part == "net":
            return values
        return np.maximum(values if self.part == "in" else -values, 0.0)

    def wanted_of(self, value: float) -> float:
        """The same of one."""
        return value if self.part == "net" else max(value if self.part == "in" else -value, 0.0)


class _Steps:
    """Adds up energy by site, device and step."""

    def __init__(self, step_seconds: int) -> None:
        self._step = step_seconds
        self._found: dict[tuple[str, str], Energy] = {}
        self._by_step: dict[tuple[str, str], dict[float, tuple[float, float]]] = {}
        self._read: dict[tuple[str, str], tuple[float, float]] = {}

    def of(self, series: Series) -> Energy:
        """The energy of a series."""
        return self._found.setdefault(_key(series), Energy())

    def add(self, series: Series, time: float, kwh: float, seconds: float = 0.0) -> None:
        """Energy that belongs to the step of a time."""
        self.of(series).seconds += seconds
        steps = self._by_step.setdefault(_key(series), {})
        begin = time // self._step * self._step
        before = steps.get(begin, (0.0, 0.0))
        steps[begin] = before[0] + kwh, before[1] + seconds

    def widen(self, series: Series, begin: float, until: float) -> None:
        """A counter was read from ``begin`` to ``until``; it knows what lies between."""
        first, last = self._read.get(_key(series), (begin, until))
        self._read[_key(series)] = first, last = min(first, begin), max(last, until)
        self.of(series).seconds = last - first

    def done(self) -> dict[tuple[str, str], Energy]:
        """All energies of which something is known."""
        for key, steps in self._by_step.items():
            energy = self._found[key]
            energy.times = np.array(sorted(steps))
            both = np.array([steps[time] for time in sorted(steps)])
            energy.steps_kwh, energy.steps_seconds = both[:, 0], both[:, 1]
            energy.kwh = float(energy.steps_kwh.sum())
        return {key: self._found[key] for key in self._by_step}


def of_site(
    energies: Mapping[tuple[str, str], Energy],
    sites: Collection[str] | None,
    active: Mapping[str, str],
) -> dict[str, Energy]:
    """The energy of each site: of several batteries the active one, or the one known longest.

    Parameters
    ----------
    energies : mapping of (site id, device) to Energy
    sites : collection of str or None
        Which sites; None for all.
    active : mapping of site id to device
        The battery that counts where a site has several.
    """
    devices: dict[str, dict[str, Energy]] = {}
    for (site, device), energy in energies.items():
        if sites is None or site in sites:
            devices.setdefault(site, {})[device] = energy
    found = {}
    for site, each in devices.items():
        most = max(each.values(), key=lambda energy: energy.seconds)
        found[site] = each.get(active.get(site, ""), most)
    return found


def _key(series: Series) -> tuple[str, str]:
    return series.tags["site"], series.tags.get("device", "")


async def energy_of_power(
    stored: InfluxQL, question: Question, statements: list[str] | None = None
) -> tuple[dict[tuple[str, str], Energy], Level | None]:
    """Energy of a power over exactly a period.

    Whole windows come from the roll-up (``<power>_wh``), the edges and what is newer than the
    roll-up from full detail. A gap has no energy (see :mod:`scoring.energy`). Windows that were
    rolled up before roll-ups had energies count with their mean over their whole length;
    ``fleetscope rollup`` makes them again.

    Parameters
    ----------
    stored : InfluxQL
    question : Question
    statements : list, optional
        Takes what was asked of InfluxDB.

    Returns
    -------
    dict of (site id, device) to Energy, and Level or None
        The device is empty for readings of a site. Who has no reading is not there. The level is
        the roll-up that gave the whole windows.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    q, steps = question, _Steps(question.step_seconds)
    rolled = f"{q.field}_wh"
    plan = await split(
        stored, q.measurement, q.field, rolled, q.start, q.end, q.where, q.levels, q.sites
    )
    asked = statements if statements is not None else []
    if plan.level is not None and plan.older is not None:
        columns = f"sum({name(f'{q.field}_mean')}), count({name(f'{q.field}_mean')})"
        asked.append(q.of_windows(columns, plan.level, *plan.older))
        for series in await stored.select(asked[-1]):
            for time, total, count in series.rows:
                if total is not None:
                    seconds = plan.level.seconds
                    kwh = q.wanted_of(total * seconds / 3.6e6)
                    steps.add(series, time / 1000, kwh, count * seconds)
    if plan.level is not None and plan.rolled_start < plan.rolled_end:
        columns = f"sum({name(f'{q.field}_wh')}), sum({name(f'{q.field}_seconds')})"
        asked.append(q.of_windows(columns, plan.level, plan.rolled_start, plan.rolled_end))
        for series in await stored.select(asked[-1]):
            for time, watt_hours, seconds in series.rows:
                if watt_hours is not None:
                    kwh = q.wanted_of(watt_hours / 1000)
                    steps.add(series, time / 1000, kwh, seconds or 0.0)
    for edge in plan.edges:
        read = await detail(
            stored,
            q.measurement,
            q.field,
            edge,
            LOOKBACK_SECONDS,
            q.where,
            q.count,
            q.by,
            asked,
        )
        for series in read:
            _add_power(steps, series, edge, q)
    return steps.done(), plan.level


def _add_power(steps: _Steps, series: Series, edge: tuple[float, float], q: Question) -> None:
    times, watts = samples(series)
    watts, step_seconds = q.wanted(watts), q.step_seconds
    held = held_ms(np.zeros(len(times), dtype=np.int64), times)
    start_ms, end_ms = round(edge[0] * 1000), round(edge[1] * 1000)
    cut = spans(times, held, step_seconds * 1000, start_ms, end_ms)
    windows, place = np.unique(cut.window, return_inverse=True)
    seconds = np.bincount(place, weights=cut.seconds)
    joules = np.bincount(place, weights=cut.seconds * watts[cut.source])
    for window, lasting, energy in zip(windows.tolist(), seconds, joules, strict=True):
        steps.add(series, window * step_seconds, float(energy) / 3.6e6, float(lasting))


async def energy_of_counter(
    stored: InfluxQL, question: Question, statements: list[str] | None = None
) -> tuple[dict[tuple[str, str], Energy], Level | None]:
    """Growth of an energy counter over exactly a period; the rest is as with a power.

    :mod:`scoring.counters` distinguishes resets and wraps from bad samples. What a counter grew by
    between two readings belongs to the step in which the later one lies: a step holds its end and
    not its beginning, since the growth is that of the time before the reading. The same with a gap.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    q, steps = question, _Steps(question.step_seconds)
    rolled = f"{q.field}_last"
    plan = await split(
        stored, q.measurement, q.field, rolled, q.start, q.end, q.where, q.levels, q.sites
    )
    asked = statements if statements is not None else []
    if plan.level is not None and plan.rolled_start < plan.rolled_end:
        columns = ", ".join(
            f"{what}({name(f'{q.field}_{column}')})"
            for what, column in (("sum", "increase"), ("sum", "glitches"))
        )
        asked.append(q.of_windows(columns, plan.level, plan.rolled_start, plan.rolled_end))
        for series in await stored.select(asked[-1]):
            for time, grown, glitches in series.rows:
                steps.of(series).glitches += int(glitches or 0)
                if grown is not None:
                    begin = max(time / 1000, plan.rolled_start)
                    until = min(time / 1000 + q.step_seconds, plan.rolled_end)
                    steps.add(series, begin, grown)
                    steps.widen(series, begin, until)
    lookback = COUNTER_LOOKBACK_SECONDS if q.count <= _FEW_SITES else LOOKBACK_SECONDS
    for edge in plan.edges:
        read = await detail(
            stored,
            q.measurement,
            q.field,
            edge,
            lookback,
            q.where,
            q.count,
            q.by,
            asked,
            counter=True,
        )
        for series in read:
            _add_counter(steps, series, edge)
    return steps.done(), plan.level


def _add_counter(steps: _Steps, series: Series, edge: tuple[float, float]) -> None:
    times, values = samples(series)
    found = counter_steps(np.zeros(len(times), dtype=np.int64), times, values)
    inside = times > edge[0] * 1000
    energy = steps.of(series)
    energy.glitches += int((inside & (found.kinds == Step.GLITCH)).sum())
    energy.resets += int((inside & (found.kinds == Step.RESET)).sum())
    grown = inside & ~np.isnan(found.growth)
    within = (times[grown] - 1) / 1000
    for time, kwh in zip(within.tolist(), found.growth[grown].tolist(), strict=True):
        steps.add(series, time, kwh)
    if inside.any():
        begin = max(float(times[0]) / 1000, edge[0])
        steps.widen(series, begin, float(times[inside][-1]) / 1000)
