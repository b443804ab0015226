"""What an Assessment keeps of each site in addition to its arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exporter.collect.battery_state import BatteryState
from exporter.collect.state import FleetState, SiteRecord
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import Cells, Outcome, Readings

PER_BATTERY = tuple(
    row.name for row in QUANTITIES.values() if row.gauge is not None and row.gauge.per_battery
)


@dataclass(frozen=True, slots=True)
class SiteView:
    """What an Assessment keeps of a site in addition to its arrays: a copy of the state.

    ``of_batteries`` has the quantities that have a gauge for each battery, by quantity and device.
    ``alarms`` are the levels that devices report, 1 a warning and 2 an alarm, by device and name.
    """

    outcome: Outcome | None
    detail: str
    outcomes: dict[Outcome, int]
    implausible_total: int
    of_batteries: dict[str, dict[str, float]]
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


@dataclass(frozen=True, slots=True)
class PackView:
    """One battery as it was last read: readings (NaN is missing) and, where it has them, cells.

    ``seen`` is in monotonic seconds.
    """

    device: str
    active: bool
    seen: float
    readings: Readings
    cell_min_id: str | None
    cell_max_id: str | None
    cells: Cells | None


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
    times = (
        battery.time_of(name) + stale_after
        for battery in record.batteries.values()
        if battery.active
        for name in PER_BATTERY
        if name in battery.readings
    )
    return SiteView(
        outcome=record.outcome,
        detail=record.detail,
        outcomes=dict(record.outcomes),
        implausible_total=record.implausible_total,
        of_batteries={name: _of_batteries(name, record, stale_after, now) for name in PER_BATTERY},
        packs=tuple(_pack(b) for b in record.batteries.values()),
        alarms={
            (device, name): level
            for device, levels in (record.alarms if record.alarm_level > 0 else {}).items()
            for name, level in levels.items()
            if level > 0
        },
        properties=record.properties,
        active_battery=next((b.device for b in record.batteries.values() if b.active), None),
        way=record.way,
        way_changes=record.way_changes,
        version=record.version,
        valid_until=min((time for time in times if time >= now), default=math.inf),
    )


def _of_batteries(
    name: str, record: SiteRecord, stale_after: float, now: float
) -> dict[str, float]:
    """What each battery says of a quantity, as far as it is not stale."""
    found = {}
    for device, battery in record.batteries.items():
        value = battery.readings.get(name, math.nan)
        # Batteries other than the active one are read in turn, not every time.
        oldest = stale_after if battery.active else math.inf
        if not math.isnan(value) and now - battery.time_of(name) <= oldest:
            found[device] = value
    return found


def _pack(battery: BatteryState) -> PackView:
    read = battery.latest
    return PackView(
        device=battery.device,
        active=battery.active,
        seen=battery.seen,
        readings=battery.readings,
        cell_min_id=battery.cell_min_id,
        cell_max_id=battery.cell_max_id,
        cells=read.cells if read else None,
    )
