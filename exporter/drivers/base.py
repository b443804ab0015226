"""The contract of every driver: a site's configuration in, Snapshots out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from exporter.drivers.transport.http.trust import SYSTEM_TRUST, Trust
from exporter.model.snapshot import Snapshot


def nothing(site: str, url: str) -> None:
    """No site is sent any ``Authorization``."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a driver needs to know of a site.

    Attributes
    ----------
    site : str
        Site id.
    url : str
        The site's ``api_endpoint``, without a trailing slash.
    serial : str or None
        Serial number that its device must have; None where the fleet file names none.
    trust : Trust
        What its certificate must be, where it is reached over TLS.
    """

    site: str
    url: str
    serial: str | None = None
    trust: Trust = SYSTEM_TRUST


@dataclass(frozen=True, slots=True)
class DriverContext:
    """What the service lends to its drivers.

    Attributes
    ----------
    http : aiohttp.ClientSession
        One session for all sites; it closes each connection after its reply.
    wall_clock, monotonic : callables
        Unix seconds, and seconds that never jump.
    authorization : callable
        From a site's id and endpoint to what it is sent as ``Authorization``, None for nothing.
    """

    http: aiohttp.ClientSession
    wall_clock: Callable[[], float]
    monotonic: Callable[[], float]
    authorization: Callable[[str, str], str | None] = nothing


class Driver(Protocol):
    """One site, over one protocol. Knows nothing of scores, storage or schedules."""

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

    async def close(self) -> None:
        """Let go of whatever the driver holds."""


DriverFactory = Callable[[Endpoint, DriverContext], Driver]
Registry = Mapping[str, DriverFactory]
