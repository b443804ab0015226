"""Options of sites that speak Modbus TCP."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from exporter.config.driver_options import DriverOptions
from exporter.config.field_types import Text
from exporter.drivers.template.template_driver import checked_template

GX_MAP = "victron-gx"


def _check_map(value: str, info: ValidationInfo) -> str:
    return value if value == GX_MAP else checked_template(value, info)


Unit = Annotated[int, Field(ge=0, le=255, strict=True)]
Units = Annotated[tuple[Unit, ...], Field(max_length=32)]


class GxUnits(BaseModel):
    """Units of the devices behind a GX. A class that is left out is looked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    battery: Units | None = Field(default=None, description="Batteries, the site's own first")
    vebus: Units | None = Field(default=None, description="Multis and Quattros")
    multi: Units | None = Field(default=None, description="Multi RS")
    grid: Units | None = Field(default=None, description="Grid meters")
    pvinverter: Units | None = Field(default=None, description="PV inverters")
    solarcharger: Units | None = Field(default=None, description="Solar chargers")


class GxBlock(BaseModel):
    """The block ``modbus`` of a site with a GX device."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    map: Annotated[Text, AfterValidator(_check_map)] = Field(
        default=GX_MAP,
        description="`victron-gx`, or the map of another device: a template over Modbus, by name "
        "or as a file ([devices.md](devices.md))",
    )
    unit: Unit | None = Field(
        default=None, description="Unit of the device; 100 for a GX, else as the map has it"
    )
    units: GxUnits = Field(
        default=GxUnits(),
        description="Units of the devices behind a GX, found by themselves otherwise",
    )


class ModbusTcpOptions(DriverOptions):
    """Options of the driver ``modbus-tcp``."""

    modbus: GxBlock = Field(GxBlock(), description="How its registers are read")
    serial: Text | None = Field(
        None,
        description="Serial number of its controller; readings of another one are not taken",
    )
    ignored_devices: Annotated[tuple[Text, ...], Field(max_length=100)] = Field(
        (),
        description="Ids of devices that nobody misses when they are gone, such as `battery/512`",
    )

    def identity(self) -> tuple[object, ...]:
        """What makes it another device: its map, its unit and its serial number."""
        return (self.modbus.map, self.modbus.unit, self.serial)
