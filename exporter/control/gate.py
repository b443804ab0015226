"""The one way to write to a device. Nothing else calls ``write`` or ``release`` of a driver."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from enum import StrEnum

from exporter.drivers.base import Writable
from exporter.model.snapshot import Outcome, ScrapeError

IO_SECONDS = 10.0


class DispatchMode(StrEnum):
    """The switch of the exporter, FLEETSCOPE_DISPATCH."""

    OFF = "off"
    DRY = "dry"
    ON = "on"


class NotAllowedError(Exception):
    """A switch forbids the write; nothing was sent."""


class WriteGate:
    """Asks the switches before each write, and bounds the time that it may take.

    Parameters
    ----------
    mode : DispatchMode
    enabled : callable
        Whether a site takes orders, by its id.

    Attributes
    ----------
    writes : int
        Writes and releases that were sent.
    """

    def __init__(self, mode: DispatchMode, enabled: Callable[[str], bool]) -> None:
        self.mode = mode
        self._enabled = enabled
        self.writes = 0

    def allows(self, site: str) -> bool:
        """Whether set-points may be written at a site."""
        return self.mode is DispatchMode.ON and self._enabled(site)

    async def write(self, site: str, driver: Writable, name: str, value: float) -> None:
        """Write a set-point.

        Raises
        ------
        NotAllowedError
        ScrapeError
            As :meth:`exporter.drivers.base.Writable.write`, and with outcome ``timeout``.
        """
        if not self.allows(site):
            raise NotAllowedError(f"{site}: orders are {self.mode}, or dispatch.enabled is not set")
        if not math.isfinite(value):
            raise NotAllowedError(f"{site}: {value} is no set-point")
        self.writes += 1
        async with _bounded():
            await driver.write(name, value)

    async def release(
        self, site: str, driver: Writable, name: str, before: float, *, owed: bool
    ) -> None:
        """Give a device back to its own control.

        ``owed`` says that the journal has an order that may have been written to this device: it
        ends whatever the switches say, since a switch that is turned off must not leave a battery
        forced. Raises as :meth:`write` does.
        """
        if not owed and not self.allows(site):
            raise NotAllowedError(f"{site}: orders are {self.mode}, or dispatch.enabled is not set")
        self.writes += 1
        async with _bounded():
            await driver.release(name, before)

    @staticmethod
    async def read(driver: Writable, name: str) -> float:
        """The set-point in force; raises ScrapeError. Reading is allowed always."""
        async with _bounded():
            return await driver.read_setpoint(name)


@contextlib.asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    """Turns a device that does not answer in time into a ScrapeError."""
    try:
        async with asyncio.timeout(IO_SECONDS):
            yield
    except TimeoutError:
        detail = f"the device did not answer within {IO_SECONDS:.0f} s"
        raise ScrapeError(Outcome.TIMEOUT, detail) from None
