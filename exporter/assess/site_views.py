"""What an Assessment keeps of each site in addition to its arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.collect.battery_state import BatteryState
from exporter.collect.site_record import SiteRecord
from exporter.collect.state import FleetState
from exporter.model.packed_cells import PackedCells
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import Cells, Outcome, Readings

PER_BATTERY = tuple(
    row.name for row in QUANTITIES.values() if row.gauge is not None and row.gauge.per_battery
)


@dataclass(frozen=True, slots=True)
class SiteView:
    """What an Assessment keeps of a site in addition to its arrays: a copy of the state.

    ``alarms`` are the levels that devices report, 1 a warning and 2 an alarm, by device and name.
    """

    outcome: Outcome | None
    detail: str
    outcomes: dict[Outcome, int]
    implausible_total: int
    packs: tuple[PackView, ...]
    alarms: dict[tuple[str, str], int]
    properties: dict[str, str]
    active_battery: str | None
    way: str
    """The way in by which a site that has several was read last; else empty."""
    way_changes: int
    version: int
    """That of the record from which it was made."""
    valid_until: float
    """Monotonic seconds after which a value in it becomes stale."""

    @property
    def of_batteries(self) -> dict[str, dict[str, float]]:
        """The quantities that have a gauge for each battery, by quantity and device."""
        return {
            name: {pack.device: pack.readings[name] for pack in self.packs if name in pack.fresh}
            for name in PER_BATTERY
        }


@dataclass(frozen=True, slots=True)
class PackView:
    """One battery as it was last read: readings (NaN is missing) and, where it has them, cells.

    ``seen`` is in monotonic seconds. ``fresh`` are the quantities with a gauge for each battery
    that it has and that are not stale.
    """

    device: str
    active: bool
    seen: float
    readings: Readings
    cell_min_id: str | None
    cell_max_id: str | None
    cells: Cells | PackedCells | None
    fresh: tuple[str, ...]


def views_of(
    state: FleetState, now: float, previous: tuple[SiteView, ...] | None
) -> tuple[SiteView, ...]:
    """A view of every site; the previous one where nothing has changed.

    Parameters
    ----------
    state : FleetState
    now : float
        Monotonic seconds.
    previous : tuple of SiteView or None
        Those of the Assessment before, of the same fleet.
    """
    limits = state.stale_after.tolist()
    if previous is None:
        return tuple(_view(r, s, now) for r, s in zip(state.records, limits, strict=True))
    rows = zip(previous, state.records, limits, strict=True)
    return tuple(
        [
            old if old.version == r.version and now <= old.valid_until else _view(r, s, now)
            for old, r, s in rows
        ]
    )


def _view(record: SiteRecord, stale_after: float, now: float) -> SiteView:
    active_battery, valid_until = None, math.inf
    for battery in record.batteries.values():
        if not battery.active:
            continue
        if active_battery is None:
            active_battery = battery.device
        for seen in _times_of(battery):
            if now <= seen + stale_after < valid_until:
                valid_until = seen + stale_after
    return SiteView(
        outcome=record.outcome,
        detail=record.detail,
        outcomes=dict(record.outcomes),
        implausible_total=record.implausible_total,
        packs=tuple([_pack(b, stale_after, now) for b in record.batteries.values()]),
        alarms=_alarms(record) if record.alarm_level > 0 else {},
        properties=record.properties,
        active_battery=active_battery,
        way=record.way,
        way_changes=record.way_changes,
        version=record.version,
        valid_until=valid_until,
    )


def _times_of(battery: BatteryState) -> Iterable[float]:
    """Monotonic seconds at which the quantities with a gauge for each battery were read."""
    readings, older = battery.readings, battery.older
    if older:
        return [battery.time_of(name) for name in PER_BATTERY if name in readings]
    return () if readings.keys().isdisjoint(PER_BATTERY) else (battery.seen,)


def _alarms(record: SiteRecord) -> dict[tuple[str, str], int]:
    return {
        (device, name): level
        for device, levels in record.alarms.items()
        for name, level in levels.items()
        if level > 0
    }


def _pack(battery: BatteryState, stale_after: float, now: float) -> PackView:
    readings = battery.readings
    # Batteries other than the active one are read in turn, not every time.
    oldest = stale_after if battery.active else math.inf
    older = battery.older
    known = [name for name in PER_BATTERY if not math.isnan(readings.get(name, math.nan))]
    if older:
        fresh = tuple([name for name in known if now - battery.time_of(name) <= oldest])
    else:
        fresh = tuple(known) if now - battery.seen <= oldest else ()
    return PackView(
        device=battery.device,
        active=battery.active,
        seen=battery.seen,
        readings=readings,
        cell_min_id=battery.cell_min_id,
        cell_max_id=battery.cell_max_id,
        cells=battery.cells,
        fresh=PER_BATTERY if len(fresh) == len(PER_BATTERY) else fresh,
    )
