"""What a driver is: a class that declares itself to the fleet file, and what it can do.

A driver inherits :class:`Driver` and is Pollable or Subscribed; one that can also set something
is Writable. All that it reads ends in a Snapshot.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from exporter.config.driver_options import DriverDeclaration, DriverOptions
from exporter.config.fleet import WayIn
from exporter.drivers.transport import Transports
from exporter.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a driver knows of its site.

    Attributes
    ----------
    site : str
        Site id.
    url : str
        The site's ``api_endpoint``, without a trailing slash.
    options : DriverOptions
        An instance of the driver's own ``options`` model.
    """

    site: str
    url: str
    options: DriverOptions


@dataclass(frozen=True, slots=True)
class DriverContext:
    """What the service lends to its drivers.

    Attributes
    ----------
    transports : Transports
        Shared clients, one for each transport.
    wall_clock, monotonic : callables
        Unix seconds, and seconds that never jump.
    """

    transports: Transports
    wall_clock: Callable[[], float]
    monotonic: Callable[[], float]


class Driver(DriverDeclaration):
    """One site, over one protocol. Knows nothing of scores, storage or schedules."""

    @classmethod
    @abstractmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """The driver of one site. Does no I/O: that begins with the first reading."""

    async def close(self) -> None:
        """Release what the driver holds. Nothing is read afterwards."""


@runtime_checkable
class Pollable(Protocol):
    """A site that answers when it is asked."""

    async def scrape(self) -> Snapshot:
        """Read the site once.

        Returns
        -------
        Snapshot
            With outcome ``ok`` or ``partial``.

        Raises
        ------
        ScrapeError
            When nothing could be read; the caller makes a Snapshot of it.
        """


@runtime_checkable
class Subscribed(Protocol):
    """A site that sends on its own; the driver keeps the latest of all values."""

    async def subscribe(self) -> None:
        """Receive until cancelled. Reconnects by itself, and raises nothing but cancellation."""

    async def latest(self) -> Snapshot | None:
        """The site as it is known now. The caller asks once an interval.

        Returns
        -------
        Snapshot or None
            Values older than the protocol's own sign of life are left out. None where nothing new
            came and the site need not be silent for that.

        Raises
        ------
        ScrapeError
            When no value is fresh; outcome ``timeout`` where the site is silent.
        """


@runtime_checkable
class Buffered(Protocol):
    """A site that also sends what it measured earlier, or more often than once an interval."""

    def drain(self) -> list[Snapshot]:
        """What came since the last call and belongs to other moments than the latest Snapshot."""


@dataclass(frozen=True, slots=True)
class RawValue:
    """A value as the device gave it, for people.

    Attributes
    ----------
    device : str
        ``site``, or the id of a battery.
    quantity : str
    place : str
        Where it was: a path, or a unit and register.
    raw : str
        What was there; empty where nothing was.
    """

    device: str
    quantity: str
    place: str
    raw: str


@runtime_checkable
class Explaining(Protocol):
    """A driver that can say where each of its readings comes from."""

    def raw_values(self) -> list[RawValue]:
        """What the last reading was made of; empty before the first."""


@runtime_checkable
class Recording(Protocol):
    """A driver that keeps raw values only while somebody wants to see them."""

    def keep_raw(self) -> None:
        """Keep what :meth:`Explaining.raw_values` needs, for some minutes from now on."""


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that can be set at a site.

    Attributes
    ----------
    unit : str
    minimum, maximum : float
        Range that the device takes, in ``unit``.
    volatile : bool
        Whether the device forgets it on a restart. What is not volatile wears flash memory.
    reversion_seconds : float or None
        Time after which the device falls back by itself without a new write; None: never.
    step : float
        What the device resolves, in ``unit``; 0 where it takes any value.
    """

    unit: str
    minimum: float
    maximum: float
    volatile: bool
    reversion_seconds: float | None
    step: float = 0.0


@runtime_checkable
class Writable(Protocol):
    """A site at which set-points can be written. Names are those of :meth:`capabilities`."""

    def capabilities(self) -> Mapping[str, Capability]:
        """What can be set, by name: ``grid_setpoint_w`` and others."""

    async def write(self, name: str, value: float) -> None:
        """Set a value.

        Raises
        ------
        ScrapeError
            When the device refused it or did not answer; its detail quotes the device.
        """

    async def release(self, name: str, before: float = math.nan) -> None:
        """Give a value back to the device's own control.

        ``before`` is what the device had in force before the first write, NaN where it had
        nothing; a device that cannot forget a value gets this one. Raises as :meth:`write` does.
        """

    async def read_setpoint(self, name: str) -> float:
        """The value that the device has in force, NaN without one. Raises as :meth:`write`."""


Registry = Mapping[str, type[Driver]]
"""Driver name, as the fleet file writes it, to the driver's class."""


def endpoint_of(site: str, way: WayIn, kind: type[Driver]) -> Endpoint:
    """What the driver of one way in knows of its site, by its id; options that were never given
    are the defaults."""
    options = kind.options() if way.options is None else way.options
    return Endpoint(site, way.api_endpoint, options)


def reader_of(driver: Driver) -> Callable[[], Awaitable[Snapshot | None]]:
    """What reads the next Snapshot of a site: it asks the site, or takes what the site sent.

    It gives None where nothing is new, and raises ScrapeError; see :class:`Pollable` and
    :class:`Subscribed`.
    """
    if isinstance(driver, Pollable):
        return driver.scrape
    if isinstance(driver, Subscribed):
        return driver.latest
    raise TypeError(f"{type(driver).__name__} is neither Pollable nor Subscribed")


async def read_snapshot(driver: Driver) -> Snapshot | None:
    """The next Snapshot of a site, once; see :func:`reader_of`."""
    return await reader_of(driver)()
