"""Names, instances and serial numbers of a site's services."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from simulator.scenario import Site

Tree = dict[str, Any]

PREFIX = "com.victronenergy."
VRM_ROOT = "v2"
VEBUS_INSTANCE = 276
MULTI_INSTANCE = 0
BATTERY_INSTANCE = 512
SOLAR_INSTANCE = 279
GRID_INSTANCE = 30
PV_INSTANCE = 32


def digits(site: Site, salt: str, length: int = 8) -> str:
    """Hexadecimal digits that belong to this site and ``salt`` and never change."""
    made = "".join(
        f"{zlib.crc32(f'{site.id}/{salt}/{part}'.encode()):08x}" for part in range(-(-length // 8))
    )
    return made[:length]


def portal_of(site: Site) -> str:
    """The VRM portal id of a site: the serial number of its controller."""
    return "c0619ab" + digits(site, "system", 5)


def installation_of(site: Site) -> int:
    """The number of a site in VRM, its ``idSite``."""
    return 100_000 + zlib.crc32(f"vrm/{site.id}".encode()) % 900_000


@dataclass(frozen=True)
class Services:
    """Full service names of a site; None where it has no such device."""

    battery: str
    vebus: str | None
    multi: str | None
    solarcharger: str | None
    grid: str | None
    pvinverter: str | None

    @property
    def inverter(self) -> str:
        """The vebus or the RS device, whichever the site has."""
        return self.vebus or self.multi or ""

    @property
    def inverter_instance(self) -> int:
        """Device instance of :attr:`inverter`."""
        return VEBUS_INSTANCE if self.vebus else MULTI_INSTANCE

    def all(self) -> list[str]:
        """Every service of the site, sorted, with the two that every site has."""
        own = (
            self.battery,
            self.vebus,
            self.multi,
            self.solarcharger,
            self.grid,
            self.pvinverter,
            PREFIX + "system",
            PREFIX + "settings",
        )
        return sorted(name for name in own if name)

    def instances(self) -> dict[str, tuple[str, int]]:
        """Service to class and device instance, in the order of the system's mapping."""
        known = (
            (self.inverter, "vebus" if self.vebus else "multi", self.inverter_instance),
            (self.grid, "grid", GRID_INSTANCE),
            (self.pvinverter, "pvinverter", PV_INSTANCE),
            (self.battery, "battery", BATTERY_INSTANCE),
            (self.solarcharger, "solarcharger", SOLAR_INSTANCE),
            (PREFIX + "settings", "settings", 0),
        )
        return {name: (kind, number) for name, kind, number in known if name}


def service_names(site: Site, *, battery_suffix: str | None = None) -> Services:
    """Services of a site; ``battery_suffix`` renames its battery service."""
    rs = site.kind == "multi-rs"
    has_pv = site.solar.capacity_kw > 0.0
    dc_pv = has_pv and site.solar.coupling == "dc"
    return Services(
        battery=f"{PREFIX}battery.{battery_suffix or site.battery.service}",
        vebus=None if rs else f"{PREFIX}vebus.ttyS4",
        multi=f"{PREFIX}multi.socketcan_can0_vi0_uc{int(digits(site, 'multi', 5), 16)}"
        if rs
        else None,
        solarcharger=f"{PREFIX}solarcharger.ttyS5" if dc_pv and not rs else None,
        grid=f"{PREFIX}grid.cgwacs_ttyUSB0_di{GRID_INSTANCE}_mb1" if site.grid_meter else None,
        pvinverter=f"{PREFIX}pvinverter.cgwacs_ttyUSB0_di{PV_INSTANCE}_mb2"
        if has_pv and not dc_pv
        else None,
    )
