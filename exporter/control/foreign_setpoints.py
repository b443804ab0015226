"""Set-points at sites that take orders, which nobody ordered here. Looks, and writes nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable

from exporter.control.gate import WriteGate
from exporter.control.setpoints import setpoint_for
from exporter.drivers.base import Driver, Writable
from exporter.model.orders import OrderAction
from exporter.model.snapshot import ScrapeError

LOOK_SECONDS = 60.0


class ForeignSetpoints:
    """Looks at one site after another, at each once a minute.

    Parameters
    ----------
    enabled : callable
        Ids of the sites that take orders.
    driver_of : callable
    is_ours : callable
        Whether a site has an open order.

    Attributes
    ----------
    found : dict
        Set-points in force, W by site id.
    """

    def __init__(
        self,
        enabled: Callable[[], Iterable[str]],
        driver_of: Callable[[str], Driver | None],
        is_ours: Callable[[str], bool],
    ) -> None:
        self._enabled = enabled
        self._driver_of = driver_of
        self._is_ours = is_ours
        self.found: dict[str, float] = {}

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            sites = list(self._enabled())
            self.found = {site: value for site, value in self.found.items() if site in set(sites)}
            for site in sites:
                await self._look(site)
                await asyncio.sleep(LOOK_SECONDS / len(sites))
            if not sites:
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, site: str) -> None:
        driver = self._driver_of(site)
        value = math.nan
        if isinstance(driver, Writable) and not self._is_ours(site):
            known = driver.capabilities()
            name = setpoint_for(OrderAction.RELEASE, known)
            # What outlives a restart is the site's own setting as well.
            if name is not None and known[name].volatile:
                try:
                    value = await WriteGate.read(driver, name)
                except ScrapeError:
                    # Whether it answers is for polling to report.
                    return
        if math.isnan(value) or self._is_ours(site):
            self.found.pop(site, None)
        else:
            self.found[site] = value
