"""Kinds of sites, and the blocks of the fleet file that describe what only such a site has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from exporter.config.field_types import Number, Text, field_error

SiteKind = Literal["ess", "bess", "pv", "meter", "datacentre"]
SITE_KINDS: tuple[SiteKind, ...] = get_args(SiteKind)
DEFAULT_KIND: SiteKind = "ess"
MeterRole = Literal["grid", "load", "pv", "aux"]

DEFAULT_ROLE: MeterRole = "grid"

KIND_MEANINGS: Mapping[SiteKind, str] = MappingProxyType(
    {
        "ess": "battery and PV of a house or business",
        "bess": "large battery that serves the grid",
        "pv": "PV without a battery",
        "meter": "a meter alone",
        "datacentre": "data centre, which takes load that can be put off",
    }
)
BLOCKS_OF: Mapping[SiteKind, tuple[str, ...]] = MappingProxyType(
    {
        "ess": ("bess", "pv"),
        "bess": ("bess", "pv"),
        "pv": ("pv",),
        "meter": ("meter",),
        "datacentre": ("datacentre",),
    }
)
"""The blocks that a site of each kind may have."""

_Power = Annotated[Number, Field(gt=0, le=1e7)]
_PowerOrNone = Annotated[Number, Field(ge=0, le=1e7)]
_Percent = Annotated[Number, Field(ge=0, le=100)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _some_arrays(value: object) -> object:
    if value == []:
        raise field_error("expected at least one array")
    return value


def _plain_sign(value: object) -> object:
    # true and 1.0 are equal to 1 in Python.
    if type(value) is not int:
        raise field_error("expected 1 or -1")
    return value


class Bess(_Block):
    """The block ``bess``: a battery and its power conversion."""

    rated_kw: _Power | None = Field(None, description="Rated power")
    usable_kwh: _Power | None = Field(
        None, description="Usable energy; `capacity_kwh` where the site gives none"
    )
    pcs_vendor: Text | None = Field(None, description="Maker of the power conversion system")
    inverters: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = Field(
        None, description="Number of inverters"
    )
    aux_meter: Text | None = Field(
        None, description="Device id of the meter of its auxiliaries, such as `acload/40`"
    )
    services: Annotated[tuple[Text, ...], Field(max_length=50)] = Field(
        (), description="What it is paid for, such as `arbitrage` or `reserve`"
    )
    soc_min: _Percent | None = Field(
        None,
        description="Charge below which it should not fall; takes the place of the fleet's "
        "`soc_critical`",
    )
    soc_max: _Percent | None = Field(None, description="Charge above which it should not rise")


class PvArray(_Block):
    """Panels that face one way."""

    kwp: _Power = Field(description="Installed power")
    tilt: Annotated[Number, Field(ge=0, le=90)] | None = Field(
        None, description="Degrees from horizontal; the site's `tilt` where it is not given"
    )
    azimuth: Annotated[Number, Field(ge=0, le=360)] | None = Field(
        None, description="Degrees east of north; the site's `azimuth` where it is not given"
    )
    temperature_coefficient: Annotated[Number, Field(ge=-0.02, le=0)] | None = Field(
        None, description="Change of power per °C of the cells, of the data sheet; -0.0035"
    )
    losses_percent: Annotated[Number, Field(ge=0, le=60)] | None = Field(
        None, description="Lost between panels and inverter; 14"
    )


class Pv(_Block):
    """The block ``pv``: arrays and what limits them."""

    arrays: Annotated[tuple[PvArray, ...], BeforeValidator(_some_arrays), Field(max_length=100)] = (
        Field(
            (),
            description="Panels by the way that they face; their sum is `solar_capacity_kw` where "
            "the site gives none",
        )
    )
    ac_limit_kw: _Power | None = Field(
        None, description="What the inverters can give together; more is never expected"
    )
    curtailment: Annotated[bool, Field(strict=True)] = Field(
        False,
        description="Whether somebody holds the PV back without the site saying so; then it is not "
        "compared with the sun",
    )


class Meter(_Block):
    """The block ``meter``: what the meter measures."""

    role: MeterRole = Field(DEFAULT_ROLE, description="What its power is")
    sign: Annotated[Literal[1, -1], BeforeValidator(_plain_sign)] = Field(
        1,
        description="-1 where the meter counts the other way than import, consumption or "
        "production",
    )


class Datacentre(_Block):
    """The block ``datacentre``."""

    dc_id: (
        Annotated[
            str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")
        ]
        | None
    ) = Field(None, description="What it calls itself, where that is not the site's `id`")
    hostname: Text | None = Field(None, description="Host that sends its telemetry")
    capacity_kw: _Power | None = Field(None, description="Power that it can take")
    battery_kwh: _PowerOrNone | None = Field(
        None, description="Energy of its battery; 0 or none is a data centre without one"
    )
    deferrable_kw: _PowerOrNone | None = Field(
        None, description="Load that can be put off, at most"
    )


BLOCKS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"bess": Bess, "pv": Pv, "meter": Meter, "datacentre": Datacentre}
)
