"""Energy of every flow of sites in even steps: of counters where there are any, else of powers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from exporter.history.energy import (
    Energy,
    Part,
    Question,
    energy_of_counter,
    energy_of_power,
    of_site,
)
from exporter.history.influxql import InfluxQL
from exporter.history.observed import MOST_NAMED_SITES
from exporter.model.levels import LEVELS, Level

FloatArray = NDArray[np.float64]
Source = Literal["counter", "power"]

COUNTER_KNOWS = 0.9
"""A counter that was read over a smaller share of a period gives way to a power that knows more."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Where the energy of a flow is found.

    Attributes
    ----------
    name, label : str
    power : (measurement, field)
    part : Part
        Which sign of the power belongs to the flow; ``net`` for one that has no opposite.
    counter : (measurement, field) or None
    """

    name: str
    label: str
    power: tuple[str, str]
    part: Part = "net"
    counter: tuple[str, str] | None = None


FLOWS: tuple[Flow, ...] = (
    Flow("pv", "PV", ("site", "pv_power_w")),
    Flow("generator", "generator", ("site", "genset_power_w")),
    Flow(
        "grid_import", "from the grid", ("site", "grid_power_w"), "in", ("site", "grid_import_kwh")
    ),
    Flow(
        "grid_export", "to the grid", ("site", "grid_power_w"), "out", ("site", "grid_export_kwh")
    ),
    Flow("charged", "into the battery", ("battery", "power_w"), "in", ("battery", "charged_kwh")),
    Flow(
        "discharged",
        "out of the battery",
        ("battery", "power_w"),
        "out",
        ("battery", "discharged_kwh"),
    ),
    Flow("load", "load", ("site", "load_power_w")),
)
BY_COUNTER: Mapping[tuple[str, str], Flow] = MappingProxyType(
    {flow.counter: flow for flow in FLOWS if flow.counter is not None}
)
EXPECTED = Flow("pv_expected", "PV under a clear sky", ("site", "pv_expected_w"))


@dataclass(frozen=True, slots=True)
class Measured:
    """Energy of a flow of a site over a period.

    Attributes
    ----------
    kwh : float
    seconds : float
        Time of which it is known.
    steps_kwh : float array, shape (K,)
        Energy of each step; NaN where nothing is known of it.
    steps_seconds : float array, shape (K,)
        Observed time of each step; 0 of a counter.
    source : "counter" or "power"
    resets, glitches : int
        Of a counter.
    """

    kwh: float
    seconds: float
    steps_kwh: FloatArray
    steps_seconds: FloatArray
    source: Source
    resets: int = 0
    glitches: int = 0


@dataclass(slots=True)
class MeasuredFlows:
    """Flows of sites over a period.

    Attributes
    ----------
    starts : float array, shape (K,)
        Unix seconds of the steps; the first may begin before the period.
    step_seconds : int
    sites : dict of site id to (dict of flow to Measured)
        What is unknown is absent.
    statements : list of str
        What was asked of InfluxDB.
    """

    starts: FloatArray
    step_seconds: int
    sites: dict[str, dict[str, Measured]] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)


def levels_for(step_seconds: int) -> tuple[Level, ...]:
    """Roll-ups for steps of that length: the coarsest that fits, then coarser ones for a past of
    which nothing finer is kept."""
    fits = [level for level in LEVELS if level.seconds <= step_seconds]
    coarser = [level for level in LEVELS if level.seconds > step_seconds]
    return tuple((fits[-1:] or list(LEVELS[:1])) + coarser)


async def energies_of_flow(
    stored: InfluxQL,
    flow: Flow,
    sites: Sequence[str] | None,
    count: int,
    start: float,
    end: float,
    step_seconds: int,
    active: Mapping[str, str],
    statements: list[str],
    base_seconds: int | None = None,
) -> tuple[dict[str, tuple[Source, Energy]], Level | None]:
    """Energy of a flow of each site: the counter's, else the power's, as :func:`read_flows` says.

    Parameters
    ----------
    sites : sequence of str or None
        Ids; None for all.
    count : int
        Number of sites that are asked about.
    statements : list of str
        Takes what was asked of InfluxDB.
    base_seconds : int, optional
        Longest window in which both signs of a power may be netted; ``step_seconds`` without it.

    Returns
    -------
    dict of site id to (source, Energy), and Level or None
        The level is the roll-up that gave the whole windows of the counter, else of the power.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """

    levels: list[Level | None] = []

    async def read(source: Source, ids: Sequence[str] | None) -> dict[str, Energy]:
        measurement, name = flow.power if source == "power" else flow.counter or flow.power
        question = Question(
            measurement,
            name,
            start,
            end,
            None if ids is None or len(ids) > MOST_NAMED_SITES else ids,
            count if ids is None else len(ids),
            step_seconds,
            part=flow.part if source == "power" else "net",
            levels=levels_for(base_seconds or step_seconds),
        )
        ask = energy_of_power if source == "power" else energy_of_counter
        energies, level = await ask(stored, question, statements)
        if energies:
            levels.append(level)
        return of_site(energies, None if ids is None else set(ids), active)

    best: dict[str, tuple[Source, Energy]] = {}
    if flow.counter is not None:
        for site, energy in (await read("counter", sites)).items():
            best[site] = ("counter", energy)
    least = COUNTER_KNOWS * (end - start)
    open_sites = None
    if sites is not None:
        open_sites = [s for s in sites if s not in best or best[s][1].seconds < least]
        if not open_sites:
            return best, next(iter(levels), None)
    for site, energy in (await read("power", open_sites)).items():
        known = best.get(site)
        if known is None or (
            known[1].seconds < least and energy.seconds * COUNTER_KNOWS > known[1].seconds
        ):
            best[site] = ("power", energy)
    return best, next(iter(levels), None)


async def read_flows(
    stored: InfluxQL,
    sites: Sequence[str],
    start: float,
    end: float,
    step_seconds: int,
    active: Mapping[str, str],
    flows: Sequence[Flow] = FLOWS,
) -> MeasuredFlows:
    """Energy of each flow of each site, in steps.

    A power is read where a site has no counter, or one that was read over less than 90 % of the
    period while the power is known for longer. A power that changes its sign within a roll-up's
    window counts there with its net energy.

    Parameters
    ----------
    stored : InfluxQL
    sites : sequence of str
        Ids.
    start, end : float
        Unix seconds, the latter not included.
    step_seconds : int
        Steps begin at multiples of it since 1970; those of 900 s begin with every local hour and
        day of any time zone.
    active : mapping of site id to device
        The battery that counts where a site has several.
    flows : sequence of Flow

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    first = int(start // step_seconds)
    count = max(1, int(-(-end // step_seconds)) - first)
    starts = step_seconds * np.arange(first, first + count, dtype=np.float64)
    found = MeasuredFlows(starts, step_seconds)

    async def of_flow(flow: Flow) -> dict[str, tuple[Source, Energy]]:
        best, _ = await energies_of_flow(
            stored, flow, sites, len(sites), start, end, step_seconds, active, found.statements
        )
        return best

    for flow, best in zip(flows, await asyncio.gather(*map(of_flow, flows)), strict=True):
        for site, (source, energy) in best.items():
            found.sites.setdefault(site, {})[flow.name] = _measured(energy, source, starts)
    return found


def _measured(energy: Energy, source: Source, starts: FloatArray) -> Measured:
    step = starts[1] - starts[0] if len(starts) > 1 else np.inf
    steps = np.full(len(starts), np.nan)
    places = np.zeros(len(energy.times), dtype=np.int64)
    if np.isfinite(step):
        places = np.clip(((energy.times - starts[0]) // step).astype(np.int64), 0, len(starts) - 1)
    kwh = np.bincount(places, energy.steps_kwh, len(starts))
    known = np.bincount(places, minlength=len(starts)) > 0
    steps[known] = kwh[known]
    seconds = np.zeros(len(starts))
    np.add.at(seconds, places, energy.steps_seconds)
    return Measured(
        energy.kwh, energy.seconds, steps, seconds, source, energy.resets, energy.glitches
    )
