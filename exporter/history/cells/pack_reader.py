"""The stored past of a site's packs, read from InfluxDB in bounded memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exporter.history.cells.pack_grid import Grid, Known, PackPast, in_order
from exporter.history.influxql import InfluxQL, Series, between, quoted
from exporter.history.level_choice import level_of, table
from exporter.model.levels import DAY, LEVELS, RAW_RANGE_DAYS, Level

HISTORY_DAYS = 91
GRID_SECONDS = 600
DETAIL_CHUNK_DAYS = 7
ROLLED_CHUNK_DAYS = 14
ROLLED = next(level for level in LEVELS if level.seconds == 900)
"""An hour of rest still makes a window of four samples; the next one is too coarse for that."""
_LAST_KNOWN = ("soh_percent", "capacity_ah", "charged_kwh", "discharged_kwh")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the time that is read at one level, on an even grid; Unix seconds."""

    begin: float
    end: float
    step: int
    level: Level | None
    chunk_days: int

    @property
    def steps(self) -> int:
        """Places of the grid."""
        return int((self.end - self.begin) // self.step)

    def chunks(self, until: float) -> list[str]:
        """Conditions on the time, of as much as is read at once; nothing from ``until`` on."""
        edges = np.arange(self.begin, min(self.end, until), self.chunk_days * DAY).tolist()
        ends = [*edges[1:], min(self.end, until)]
        return [between(start, end) for start, end in zip(edges, ends, strict=True)]


async def read_packs(stored: InfluxQL, site: str, until: float) -> list[str]:
    """The packs of a site with cells that were stored in the time before ``until``."""
    source = _from("cell", site, between(until - HISTORY_DAYS * DAY, until))
    found = await stored.select(f'SELECT last("voltage_v") {source} GROUP BY "pack"')
    return list(in_order([series.tags["pack"] for series in found]))


async def last_stored(stored: InfluxQL, site: str, until: float) -> float | None:
    """When a cell of the site was stored last, Unix seconds; None if never before ``until``."""
    source = _from("cell", site, f"time < {round(until * 1000)}ms")
    for series in await stored.select(f'SELECT last("voltage_v") {source}'):
        return float(series.rows[0][0]) / 1000.0
    return None


async def stretches(stored: InfluxQL, site: str, until: float) -> list[Stretch]:
    """The two stretches in which the time before ``until`` is read.

    The last days are read in full detail, at one moment in ten minutes: a loose sense wire jumps
    from sample to sample, which a mean evens out. What is older is read from the roll-up, where
    there is one. Its means do for current and voltages: what a current puts a cell off by is in
    proportion to it, so a mean current next to zero puts the mean of a cell off by next to nothing.
    """
    tail = float((int(until) // DAY - RAW_RANGE_DAYS) * DAY)
    begin = tail - (HISTORY_DAYS - RAW_RANGE_DAYS) * DAY
    of_site = f'"site" = {quoted(site)}'
    level = await level_of(stored, "cell", "voltage_v", begin, tail, of_site, (ROLLED,))
    old = (
        Stretch(begin, tail, GRID_SECONDS, None, DETAIL_CHUNK_DAYS)
        if level is None
        else Stretch(begin, tail, level.seconds, level, ROLLED_CHUNK_DAYS)
    )
    return [old, Stretch(tail, grid_end(until), GRID_SECONDS, None, DETAIL_CHUNK_DAYS)]


def grid_end(until: float) -> float:
    """The end of the last place of a grid of full detail that reaches to ``until``."""
    return float((int(until) // GRID_SECONDS + 1) * GRID_SECONDS)


async def read_pack(
    stored: InfluxQL, site: str, pack: str, until: float, parts: list[Stretch]
) -> PackPast:
    """The past of one pack before ``until``, in the stretches that :func:`stretches` gave.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    grids = []
    for part in parts:
        grid = Grid.empty(part.begin, part.step, part.steps)
        for span in part.chunks(until):
            of_cells = _from("cell", site, f'"pack" = {quoted(pack)}', span, level=part.level)
            for series in await stored.select(_cells_of(part, of_cells)):
                grid.put_cell(series.tags["cell"], series.rows)
            of_pack = _from("battery", site, f'"device" = {quoted(pack)}', span, level=part.level)
            for series in await stored.select(_battery_of(part, of_pack)):
                grid.put_battery(series.rows)
        grids.append(grid)
    of_device = f'"device" = {quoted(pack)}'
    known = Known()
    # Far back it takes InfluxDB long, and hardly ever is there more.
    for begin, end in ((parts[1].begin, until), (parts[0].begin, parts[1].begin)):
        found = await _last_known(stored, site, of_device, begin, end)
        known = known.over(found.get(pack, known))
        if known.whole:
            break
    if not any(np.isfinite(grid.battery[1]).any() for grid in grids):
        soh = await _put_charge_of_system(stored, site, pack, until, parts, grids)
        known = known.over(soh)
    return PackPast(grids[0], grids[1], known)


def _system_of(pack: str) -> str:
    """The battery that a pack is a part of, by its name: bms1 of bms1/3; nothing of pack3."""
    return pack.rpartition("/")[0]


async def _put_charge_of_system(
    stored: InfluxQL, site: str, pack: str, until: float, parts: list[Stretch], grids: list[Grid]
) -> Known:
    """Take the state of charge, and the health, of the whole for those of a part without any."""
    system = _system_of(pack)
    if not system:
        return Known()
    of_system = f'"device" = {quoted(system)}'
    for part, grid in zip(parts, grids, strict=True):
        for span in part.chunks(until):
            source = _from("battery", site, of_system, span, level=part.level)
            question = (
                f'SELECT "soc_percent_mean" {source}'
                if part.level is not None
                else f'SELECT first("soc_percent") {source} GROUP BY time({part.step}s) fill(none)'
            )
            for series in await stored.select(question):
                grid.put_charge(series.rows)
    found = await _last_known(stored, site, of_system, parts[0].begin, until)
    return Known(soh_percent=found.get(system, Known()).soh_percent)


async def read_newer(
    stored: InfluxQL, site: str, packs: dict[str, PackPast], since: float, until: float
) -> tuple[dict[str, PackPast], float] | None:
    """The packs with what was stored from ``since`` to ``until``, Unix seconds, added to the old.

    Returns
    -------
    tuple of the packs and the beginning of the last step that held anything, or None
        -inf and the same packs if nothing did. None if everything has to be read again: a pack
        is new, or it was silent for days.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    made = {
        pack: PackPast(past.old, past.new.until(grid_end(until)), past.known)
        for pack, past in packs.items()
    }
    span = between(since, until)
    step = f"time({GRID_SECONDS}s)"
    source = _from("cell", site, span)
    columns = 'first("voltage_v"), first("temperature_c")'
    latest = -math.inf
    question = f'SELECT {columns} {source} GROUP BY {step}, "pack", "cell" fill(none)'
    found = await stored.select(question)
    if not found:
        return packs, latest
    if until - since > RAW_RANGE_DAYS * DAY:
        return None
    for series in found:
        if series.tags["pack"] not in made:
            return None
        made[series.tags["pack"]].new.put_cell(series.tags["cell"], series.rows)
        latest = max(latest, series.rows[-1][0] / 1000.0)
    source = _from("battery", site, span)
    columns = 'first("current_a"), first("soc_percent"), mean("power_w")'
    question = f'SELECT {columns} {source} GROUP BY {step}, "device" fill(none)'
    batteries = await stored.select(question)
    for series in batteries:
        if series.tags["device"] in made:
            made[series.tags["device"]].new.put_battery(series.rows)
    # As in read_pack: a pack with a charge of its own has its gaps, and nothing else's in them.
    own = {s.tags["device"] for s in batteries if any(row[2] is not None for row in s.rows)}
    for series in batteries:
        charge = [(row[0], row[2]) for row in series.rows]
        for pack, past in made.items():
            if pack not in own and _system_of(pack) == series.tags["device"]:
                past.new.put_charge(charge)
    known = await _last_known(stored, site, "", since, until)
    for pack, past in made.items():
        past.known = known.get(pack, past.known).over(past.known)
    return made, latest


def _cells_of(part: Stretch, source: str) -> str:
    if part.level is not None:
        return f'SELECT "voltage_v_mean", "temperature_c_max" {source} GROUP BY "cell"'
    columns = 'first("voltage_v"), first("temperature_c")'
    return f'SELECT {columns} {source} GROUP BY time({part.step}s), "cell" fill(none)'


def _battery_of(part: Stretch, source: str) -> str:
    if part.level is not None:
        return f'SELECT "current_a_mean", "soc_percent_mean", "power_w_mean" {source}'
    columns = 'first("current_a"), first("soc_percent"), mean("power_w")'
    return f"SELECT {columns} {source} GROUP BY time({part.step}s) fill(none)"


async def _last_known(
    stored: InfluxQL, site: str, device: str, begin: float, until: float
) -> dict[str, Known]:
    source = _from("battery", site, *([device] if device else []), between(begin, until))
    question = ", ".join(f'last("{name}")' for name in _LAST_KNOWN)
    found = await stored.select(f'SELECT {question} {source} GROUP BY "device"')
    return {series.tags["device"]: _known(series) for series in found}


def _known(series: Series) -> Known:
    return Known(*(math.nan if v is None else float(v) for v in series.rows[0][1:]))


def _from(measurement: str, site: str, *conditions: str, level: Level | None = None) -> str:
    source = f'FROM {table(level, measurement)} WHERE "site" = {quoted(site)}'
    return " AND ".join((source, *conditions))
