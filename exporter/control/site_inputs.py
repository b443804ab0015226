"""What the envelope and the verdict need of a site, out of fleet state and fleet file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from exporter.assess.assessment import FleetAssessment
from exporter.collect.state import COLUMN, FleetState
from exporter.config.dispatch_block import DispatchBlock
from exporter.config.fleet import Site
from exporter.config.maintenance import in_maintenance
from scoring.orders.envelope import Bounds, Condition, Readings

_BATTERY = "battery"
_CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class SiteInputs:
    """A site at one moment.

    Attributes
    ----------
    site : Site
    interval_seconds : float
    condition : Condition
    bounds : Bounds
    readings : Readings
    power_w : float
        Battery power, positive when charging; NaN where it is missing or stale.
    capacity_kwh : float
        NaN where the fleet file has none.
    """

    site: Site
    interval_seconds: float
    condition: Condition
    bounds: Bounds
    readings: Readings
    power_w: float
    capacity_kwh: float

    def room_kwh(self, *, charging: bool) -> float:
        """Energy up to the ceiling, or down to the floor; NaN where it is not known."""
        soc, bounds = self.readings.soc_percent, self.bounds
        percent = bounds.soc_ceiling - soc if charging else soc - bounds.soc_floor
        return math.nan if math.isnan(percent) else max(0.0, percent) / 100 * self.capacity_kwh


class InputReader:
    """Reads inputs of sites.

    Parameters
    ----------
    state : FleetState
    latest : callable
        The latest Assessment.
    wall, monotonic : callables
    """

    def __init__(
        self,
        state: FleetState,
        latest: Callable[[], FleetAssessment],
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._state = state
        self._latest = latest
        self._wall = wall
        self._monotonic = monotonic

    def site(self, site_id: str) -> Site | None:
        """A site of the fleet file in force."""
        row = self._state.row.get(site_id)
        return None if row is None else self._state.fleet.sites[row]

    def enabled(self) -> list[str]:
        """Ids of the sites that take orders."""
        return [site.id for site in self._state.fleet.sites if site.dispatch.enabled]

    def persistent(self) -> list[str]:
        """Ids of the sites that take orders which wear flash memory."""
        return [
            site.id
            for site in self._state.fleet.sites
            if site.dispatch.enabled and site.dispatch.allow_persistent
        ]

    def of(self, site_id: str) -> SiteInputs | None:
        """The inputs of a site; None for one that the fleet file does not have."""
        state, row, now = self._state, self._state.row.get(site_id), self._monotonic()
        if row is None:
            return None
        site = state.fleet.sites[row]
        interval = float(state.interval[row])

        def reading(name: str) -> float:
            column = COLUMN[name]
            age = now - float(state.times[row, column])
            fresh = age <= float(state.stale_after[row])
            return float(state.values[row, column]) if fresh else math.nan

        age = now - float(state.last_success[row])
        return SiteInputs(
            site=site,
            interval_seconds=interval,
            condition=Condition(
                online=bool(state.up[row] == 1.0),
                age_seconds=age,
                interval_seconds=interval,
                maintenance=in_maintenance(state.fleet, site, self._wall()),
                critical=self._critical(row, site_id),
            ),
            bounds=_bounds(site.dispatch, float(state.thresholds["temperature_max"][row])),
            readings=Readings(
                soc_percent=reading("soc_percent"),
                voltage_v=reading("voltage_v"),
                charge_limit_a=reading("charge_limit_a"),
                discharge_limit_a=reading("discharge_limit_a"),
                temperature_c=reading("battery_hottest_c"),
                coldest_c=reading("cell_coldest_c"),
                load_w=reading("load_power_w"),
                pv_w=reading("pv_power_w"),
            ),
            power_w=reading("power_w"),
            capacity_kwh=site.capacity_kwh or math.nan,
        )

    def _critical(self, row: int, site_id: str) -> str:
        latest = self._latest()
        sites = latest.fleet.sites
        if row >= len(sites) or sites[row].id != site_id:
            return ""
        found = (i for i in latest.issues[row] if i.component == _BATTERY)
        return next((i.sentence for i in found if i.severity == _CRITICAL), "")


def _bounds(block: DispatchBlock, temperature_max_c: float) -> Bounds:
    def watts(kilowatts: float | None) -> float:
        return math.nan if kilowatts is None else 1000.0 * kilowatts

    return Bounds(
        max_charge_w=1000.0 * (block.max_charge_kw or 0.0),
        max_discharge_w=1000.0 * (block.max_discharge_kw or 0.0),
        import_limit_w=watts(block.import_limit_kw),
        export_limit_w=watts(block.export_limit_kw),
        soc_floor=block.soc_floor,
        soc_ceiling=block.soc_ceiling,
        temperature_max_c=temperature_max_c,
    )
