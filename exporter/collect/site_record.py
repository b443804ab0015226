"""What is kept of a site in addition to the arrays of the fleet state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.collect.battery_state import BatteryState
from exporter.model.snapshot import Implausible, Notice, Outcome, Snapshot
from scoring.limits import LIMITS

HOT_C = LIMITS["temperature_max"].default
JUMP_C, JUMP_SECONDS = 30.0, 900.0
"""By which no pack warms from one reading to the next, and for how long the one before counts: a
loose wire does, and so does a fire, which the next reading confirms."""


@dataclass(slots=True)
class SiteRecord:
    """What is kept of a site in addition to the arrays; ``version`` grows with every Snapshot.

    ``alarm_level`` is the highest of all devices, -1 without any; ``unusable`` and ``wrong_types``
    count the quantities whose last value could not be used, and ``latest_implausible`` is the one
    that came last, whether or not its quantity was read well since. ``way`` is the way in by which
    a site that has several was read last.
    """

    version: int = 0
    alarm_level: int = -1
    unusable: int = 0
    wrong_types: int = 0

    batteries: dict[str, BatteryState] = field(default_factory=dict)
    alarms: dict[str, Mapping[str, int]] = field(default_factory=dict)
    alarm_times: dict[str, float] = field(default_factory=dict)
    alarm_texts: dict[str, Mapping[str, str]] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    implausible: dict[tuple[str, str], Implausible] = field(default_factory=dict)
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    implausible_total: int = 0
    latest_implausible: Implausible | None = None
    outcome: Outcome | None = None
    detail: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    way: str = ""
    way_changes: int = 0
    hottest_c: float = math.nan
    hottest_at: float = -math.inf
    hottest_read: tuple[float, float] = (math.nan, math.nan)
    hottest_told_c: float = math.nan
    jumped: Implausible | None = None
    fell: bool = False

    def believed(self, hottest_c: float, read_at: float) -> float:
        """The temperature of the hottest place: that of before, while no second reading confirms
        one that no pack reaches so fast. One that the next reading denies is implausible.

        Parameters
        ----------
        hottest_c : float
            °C.
        read_at : float
            Monotonic seconds at which it was read.
        """
        if (hottest_c, read_at) == self.hottest_read:
            return self.hottest_told_c
        self.hottest_read, self.hottest_told_c = (hottest_c, read_at), hottest_c
        step = hottest_c - self.hottest_c
        far = step > JUMP_C or step < -JUMP_C
        if far and read_at - self.hottest_at <= JUMP_SECONDS:
            if step < 0.0 and not self.fell:
                # Believed, and not yet what the next reading is held against.
                self.fell = True
                return hottest_c
            # A battery that is hot already may do anything.
            if step > 0.0 and self.jumped is None and not self.hottest_c > HOT_C:
                every = self.batteries.values()
                device = next((b.device for b in every if hottest_c in b.readings.values()), "")
                hint = f"{step:.0f} °C above the readings before and after"
                self.jumped = Implausible(device, "temperature_c", hottest_c, hint=hint)
                self.hottest_told_c = self.hottest_c
                return self.hottest_c
        elif self.jumped is not None:
            self.latest_implausible = self.jumped
            self.implausible_total += 1
            self.unusable += 1
        self.hottest_c, self.hottest_at, self.jumped, self.fell = hottest_c, read_at, None, False
        return hottest_c


def note_unusable(record: SiteRecord, snapshot: Snapshot) -> None:
    """Keep the values that could not be used, and forget those whose quantity was read well."""
    if record.implausible:
        for device, quantity in _read_anew(snapshot, record):
            record.implausible.pop((device, quantity), None)
    if snapshot.implausible:
        record.implausible_total += len(snapshot.implausible)
        record.implausible.update({(i.device, i.quantity): i for i in snapshot.implausible})
        outside = [item for item in snapshot.implausible if not item.given]
        record.latest_implausible = outside[-1] if outside else record.latest_implausible


def _read_anew(snapshot: Snapshot, record: SiteRecord) -> list[tuple[str, str]]:
    """Values that could not be used before and were read again, by device and quantity.

    What one scrape reads of a device may be a part: a battery beside the active one is listed every
    time and read whole once a minute.
    """
    read = {("site", name) for name in snapshot.readings}
    whole = set()
    for battery in snapshot.batteries:
        read |= {(battery.device, name) for name in battery.readings}
        if "cell_min_v" in battery.readings:
            whole.add(battery.device)
    return [
        (device, quantity)
        for device, quantity in record.implausible
        if (device, quantity) in read or (device in whole and quantity.startswith("cell "))
    ]
