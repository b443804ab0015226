"""Options of the Venus drivers, and what one scrape gathers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from exporter.config.field_types import Text
from exporter.drivers.transport.http.options import HttpOptions
from exporter.drivers.venus.ac_input import AcInput
from exporter.drivers.venus.readings import Collector
from exporter.drivers.venus.tree import Tree
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
    inputs: dict[str, AcInput] = field(default_factory=dict)

    def add_battery(self, found: tuple[BatterySnapshot, list[Implausible]]) -> None:
        snapshot, implausible = found
        self.batteries[snapshot.device] = snapshot
        self.implausible += implausible


def properties_of(system: Tree) -> dict[str, str]:
    """What a site says of itself: serial, product, firmware."""
    named = {
        "serial": text(system.get("Serial")),
        "system_type": text(system.get("SystemType")),
        "firmware": text(system.get("FirmwareBuild")),
    }
    return {key: value for key, value in named.items() if value}
