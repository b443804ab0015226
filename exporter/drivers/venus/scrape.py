"""Options of the Venus drivers, what one scrape may ask, whom it asks, and what it gathers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from pydantic import Field

from exporter.config.field_types import Text
from exporter.drivers.transport.http.options import HttpOptions
from exporter.drivers.venus.ac_input import AcInput
from exporter.drivers.venus.layout import Layout
from exporter.drivers.venus.readings import Collector
from exporter.drivers.venus.tree import OTHER_CLASSES, Tree, service_class
from exporter.drivers.venus.values import text
from exporter.model.snapshot import BatterySnapshot, Implausible, Notice


class VenusOptions(HttpOptions):
    """Options of a Venus site, over whichever protocol."""

    serial: Text | None = Field(
        None,
        description="Serial number of its controller; readings of another one are not taken",
    )

    ignored_devices: Annotated[tuple[Text, ...], Field(max_length=100)] = Field(
        (),
        description="Ids of devices that nobody misses when they are gone, such as `battery/512`",
    )

    def identity(self) -> tuple[object, ...]:
        """The serial number alone: a new certificate does not make another device."""
        return (self.serial,)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one scrape may ask of a site.

    Attributes
    ----------
    requests : int
        Requests in all.
    others : int
        Devices that no figure of the site depends on.
    meter_seconds, other_seconds : float
        Time from one reading of the grid meter, or of another such device, to the next.
    request_seconds : float
        Time after which the bridge itself gives up a request; infinite where it never does.
    """

    requests: int
    others: int
    meter_seconds: float
    other_seconds: float
    request_seconds: float = math.inf

    def longest_waiting(
        self,
        services: Iterable[str],
        read: Mapping[str, float],
        now: float,
        *,
        meter_first: bool,
    ) -> str | None:
        """The device that is due and waited longest since ``read`` (monotonic seconds); None where
        none is due."""
        due = []
        for service in services:
            kind = service_class(service)
            every = self.meter_seconds if kind == "grid" else self.other_seconds
            last = read.get(service, -math.inf)
            if kind in OTHER_CLASSES and last < now and now - last >= every:
                due.append((not (kind == "grid" and meter_first), last, service))
        return min(due)[2] if due else None


class Bridge(Protocol):
    """Answers as the Venus HTTP bridge does: its routes and documents."""

    async def get_json(
        self, path: str, params: dict[str, str], *, patience_seconds: float | None = None
    ) -> Any:
        """The document of a route.

        Raises
        ------
        NotFoundError
            For a service or path that is not there.
        ScrapeError
            For every other failure.
        """


@dataclass(slots=True)
class Scrape:
    """What one scrape has gathered so far."""

    site: str
    deadline: float
    requests_left: int
    services_asked: bool = False
    silence_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    readings: Collector = field(default_factory=lambda: Collector("site", "system"))
    batteries: dict[str, BatterySnapshot] = field(default_factory=dict)
    alarms: dict[str, dict[str, int]] = field(default_factory=dict)
    alarm_texts: dict[str, dict[str, str]] = field(default_factory=dict)
    implausible: list[Implausible] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    trees: dict[str, Tree] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    inputs: dict[str, AcInput] = field(default_factory=dict)

    def add_battery(self, found: tuple[BatterySnapshot, list[Implausible]]) -> None:
        snapshot, implausible = found
        self.batteries[snapshot.device] = snapshot
        self.implausible += implausible


def properties_of(serial: Any, system_type: Any, firmware: Any) -> dict[str, str]:
    """What a site says of itself, from the values of its system tree."""
    named = {
        "serial": text(serial),
        "system_type": text(system_type),
        "firmware": text(firmware),
    }
    return {key: value for key, value in named.items() if value}
