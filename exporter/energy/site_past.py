"""What forecasts and plans learn from: PV, load and sky of one site in quarter hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from exporter.config.fleet import Site
from exporter.energy.measured import FLOWS, read_flows
from exporter.energy.pv_expected import can_expect, expected_slots
from exporter.energy.slot_readings import SlotReading, read_one
from exporter.energy.tariff_file import zone_of_site
from exporter.history.influxql import InfluxQL, quoted
from scoring.forecast import HORIZON_SLOTS, SLOT_SECONDS, Series

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

QUANTITIES = ("pv", "load")
FULL_PERCENT = 98.0
"""From this charge on PV may be held back where nothing is fed in."""
LITTLE_EXPORT_SHARE = 0.02
_LEARNED = tuple(flow for flow in FLOWS if flow.name in (*QUANTITIES, "grid_export"))


@dataclass(frozen=True, slots=True)
class SitePast:
    """The past of one site up to a moment, on the grid of quarter hours.

    Attributes
    ----------
    first : int
        Number of the first slot since 1970.
    watts : dict of "pv" or "load" to float array, shape (K,)
        NaN where unknown; for PV also where it was held back.
    held_back : int
        Slots of PV that were left out for that.
    """

    site: Site
    first: int
    watts: dict[str, FloatArray]
    held_back: int = 0

    def series(
        self, quantity: str, clear: FloatArray | None, weather: FloatArray | None = None
    ) -> Series:
        """As forecasts take it."""
        count = len(self.watts[quantity]) + HORIZON_SLOTS
        weekday, quarter = clock_of(self.site, self.first, count)
        if quantity != "pv":
            clear = weather = None
        return Series(self.first, self.watts[quantity], clear, weekday, quarter, weather)


async def read_past(
    stored: InfluxQL, site: Site, device: str | None, start: float, end: float
) -> SitePast:
    """Read it; both ends are cut to whole quarter hours.

    Parameters
    ----------
    device : str or None
        The battery that counts.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    first, last = int(start // SLOT_SECONDS), int(end // SLOT_SECONDS)
    begin, until = float(first * SLOT_SECONDS), float(last * SLOT_SECONDS)
    active = {site.id: device} if device else {}
    found = await read_flows(stored, [site.id], begin, until, SLOT_SECONDS, active, _LEARNED)
    flows = found.sites.get(site.id, {})
    nothing = np.full(last - first, np.nan)
    watts = {
        name: flows[name].steps_kwh * (3.6e6 / SLOT_SECONDS) if name in flows else nothing.copy()
        for name in (*QUANTITIES, "grid_export")
    }
    exported = watts.pop("grid_export")
    soc = await read_charge(stored, site.id, device, first, last)
    held = (soc >= FULL_PERCENT) & ~(exported > LITTLE_EXPORT_SHARE * watts["pv"])
    held &= watts["pv"] > 0
    watts["pv"][held] = np.nan
    return SitePast(site, first, watts, int(held.sum()))


async def read_charge(
    stored: InfluxQL, site: str, device: str | None, first: int, last: int
) -> FloatArray:
    """Mean state of charge of each slot, %; NaN where unknown.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    where = f'"device" = {quoted(device)}' if device else ""
    return await read_one(
        stored, site, SlotReading("battery", "soc_percent", where=where), first, last
    )


def clock_of(site: Site, first: int, count: int) -> tuple[IntArray, IntArray]:
    """Weekday (0 is Monday) and quarter hour of the day of some slots, in the site's time zone."""
    zone = zone_of_site(site)
    weekday, quarter = np.empty(count, np.int64), np.empty(count, np.int64)
    place = 0
    while place < count:
        # The offset from UTC changes at whole hours at most; a look at each hour is enough.
        moment = datetime.fromtimestamp((first + place) * SLOT_SECONDS, UTC)
        offset = moment.astimezone(zone).utcoffset() or timedelta()
        until = min(count, place + 4 - (first + place) % 4)
        local = (first + np.arange(place, until)) + int(offset.total_seconds()) // SLOT_SECONDS
        weekday[place:until] = (local // 96 + 3) % 7
        quarter[place:until] = local % 96
        place = until
    return weekday, quarter


def clear_sky(site: Site, first: int, count: int) -> FloatArray | None:
    """AC power under a clear sky in the middle of some slots, W; None without place or size."""
    if not can_expect(site):
        return None
    return expected_slots(site, first, count, None).power_w
