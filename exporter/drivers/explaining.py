"""What became of each value that a device gave, and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.drivers.base import RawValue
from exporter.drivers.reading_places import place_of
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import Implausible, Readings


@dataclass(frozen=True, slots=True)
class Explained:
    """One quantity: what became of it, and why.

    ``state`` is one of number, missing, implausible, wrong type and stale. ``age_seconds`` is the
    time since it was read, None where it was read just now.
    """

    device: str
    quantity: str
    value: float
    unit: str
    state: str
    reason: str
    place: str
    raw: str
    age_seconds: float | None = None


def explain(
    driver: str,
    readings: Iterable[tuple[str, Readings]],
    implausible: Iterable[Implausible],
    raws: Iterable[RawValue],
    ages: Mapping[tuple[str, str], float] | None = None,
    stale_after: float = math.inf,
) -> list[Explained]:
    """Explain readings.

    Parameters
    ----------
    driver : str
        Name of the driver that read them.
    readings : iterable of (device, Readings)
        ``site`` stands for the site as a whole.
    implausible : iterable of Implausible
    raws : iterable of RawValue
        What the device gave, as far as it is known.
    ages : mapping of (device, quantity) to float, or None
        Seconds since each was read; None where all were read just now.
    stale_after : float
        Age in seconds beyond which a reading counts for nothing.
    """
    given = {(i.device, i.quantity): i for i in implausible}
    raw = {(r.device, r.quantity): r for r in raws}
    found = []
    for device, of_device in readings:
        for quantity, value in of_device.items():
            unit, source = QUANTITIES[quantity].unit, raw.get((device, quantity))
            age = None if ages is None else ages.get((device, quantity))
            state, reason = _judge(quantity, value, given.get((device, quantity)))
            if state == "number" and age is not None and age > stale_after:
                state, reason = "stale", f"read {age:.0f} s ago, limit {stale_after:.0f} s"
            place = source.place if source else place_of(driver, quantity)
            text = source.raw if source else ""
            found.append(Explained(device, quantity, value, unit, state, reason, place, text, age))
    return found


def _judge(quantity: str, value: float, wrong: Implausible | None) -> tuple[str, str]:
    """The state of a reading, and why it is none."""
    row = QUANTITIES[quantity]
    if wrong is not None and wrong.given:
        return "wrong type", f"the device gives {wrong.given}"
    if wrong is not None:
        limits = f"outside {row.minimum:g} to {row.maximum:g} {row.unit}".rstrip()
        reason = f"{wrong.value:g} is {limits}" + (f"; {wrong.hint}" if wrong.hint else "")
        return "implausible", reason
    if math.isnan(value):
        return "missing", "the device has no such value"
    return "number", ""
