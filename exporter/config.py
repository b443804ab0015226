"""The fleet file: its model. How it is read, and how mistakes are told, is in fleet_file.py."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from exporter.drivers import DRIVERS

Priority = Literal["high", "medium", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "medium", "low")
_HOST = re.compile(r"[A-Za-z0-9._-]+\Z|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?\Z")
_TIMEZONES = available_timezones()


def _mistake(message: str) -> PydanticCustomError:
    return PydanticCustomError("fleet_file", "{message}", {"message": message})


def _check_endpoint(value: str) -> str:
    expected = "expected http://HOST:PORT or https://HOST:PORT, with a path prefix if need be"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise _mistake(f"not a URL ({error}); {expected}") from error
    if parts.username is not None or parts.password is not None:
        raise _mistake("holds a user name or password; secrets never go into the fleet file")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _mistake(expected)
    if not _HOST.match(parts.hostname) or any(c.isspace() or ord(c) < 32 for c in value):
        raise _mistake(f"the host is not one; {expected}")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise _mistake(f"has a query or fragment, which is not part of an endpoint; {expected}")
    if port == 0:
        raise _mistake(f"port 0 cannot be reached; {expected}")
    return value.rstrip("/")


def _check_driver(value: str) -> str:
    if value not in DRIVERS:
        raise _mistake(f"no such driver; one of: {', '.join(sorted(DRIVERS))}")
    return value


def _check_timezone(value: str) -> str:
    if value not in _TIMEZONES:
        raise _mistake("not an IANA time zone; expected one such as Europe/Madrid")
    return value


def _no_numbers_from_text(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        raise _mistake("expected a number, without quotes")
    return value


def _plain_text(value: str) -> str:
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise _mistake("has a line break or control character; expected text on one line")
    return value


Number = Annotated[float, BeforeValidator(_no_numbers_from_text)]
Text = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_plain_text),
]
SiteId = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Contact(_Model):
    """Whom to call about a site."""

    name: Text | None = None
    phone: Text | None = None
    email: Annotated[Text, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None


SohLimit = Annotated[Number, Field(gt=0, le=100)]
BandEdge = Annotated[Number, Field(ge=40, le=70)]
HeatLimit = Annotated[Number, Field(ge=-20, le=100)]
SpreadLimit = Annotated[Number, Field(gt=0, le=2)]
SocLimit = Annotated[Number, Field(ge=0, le=100)]


class Thresholds(_Model):
    """Limits that turn readings into issues. Frequencies are for a nominal 50 Hz."""

    battery_soh_warning: SohLimit = 85.0
    battery_soh_critical: SohLimit = 70.0
    grid_frequency_min: BandEdge = 49.5
    grid_frequency_max: BandEdge = 50.5
    temperature_max: HeatLimit = 45.0
    cell_spread_warning: SpreadLimit = 0.10
    cell_spread_critical: SpreadLimit = 0.15
    soc_critical: SocLimit = 10.0


_ORDERS = (
    ("battery_soh_critical", "battery_soh_warning"),
    ("grid_frequency_min", "grid_frequency_max"),
    ("cell_spread_warning", "cell_spread_critical"),
)


def contradictions(thresholds: Thresholds, nominal_hz: float = 50) -> list[str]:
    """What makes a set of thresholds impossible; empty where nothing does."""
    wrong = [
        f"{low} {getattr(thresholds, low):g} must be below {high} {getattr(thresholds, high):g}"
        for low, high in _ORDERS
        if getattr(thresholds, low) >= getattr(thresholds, high)
    ]
    low_hz, high_hz = thresholds.grid_frequency_min, thresholds.grid_frequency_max
    if low_hz < high_hz and not low_hz < nominal_hz < high_hz:
        wrong.append(
            f"the band {low_hz:g} to {high_hz:g} Hz must hold the nominal {nominal_hz:g} Hz"
        )
    return wrong


class ThresholdOverrides(_Model):
    """The thresholds of one site; what is left out comes from the fleet's."""

    battery_soh_warning: SohLimit | None = None
    battery_soh_critical: SohLimit | None = None
    grid_frequency_min: BandEdge | None = None
    grid_frequency_max: BandEdge | None = None
    temperature_max: HeatLimit | None = None
    cell_spread_warning: SpreadLimit | None = None
    cell_spread_critical: SpreadLimit | None = None
    soc_critical: SocLimit | None = None


class Site(_Model):
    """One site of the fleet."""

    id: SiteId
    name: Text | None = None
    location: Text | None = None
    api_endpoint: Annotated[
        str, StringConstraints(strict=True, max_length=500), AfterValidator(_check_endpoint)
    ]
    driver: Annotated[str, AfterValidator(_check_driver)] = "venus-http"
    battery_type: Text | None = None
    capacity_kwh: Annotated[Number, Field(gt=0, le=1e7)] | None = None
    solar_capacity_kw: Annotated[Number, Field(ge=0, le=1e7)] | None = None
    priority: Priority = "medium"
    contact: Contact | None = None
    latitude: Annotated[Number, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[Number, Field(ge=-180, le=180)] | None = None
    tilt: Annotated[Number, Field(ge=0, le=90)] | None = None
    azimuth: Annotated[Number, Field(ge=0, le=360)] | None = None
    timezone: Annotated[str, AfterValidator(_check_timezone)] | None = None
    region: Text | None = None
    vendor: Text | None = None
    grid_nominal_hz: Literal[50, 60] = 50
    grid_nominal_v: Annotated[Number, Field(ge=50, le=1000)] | None = None
    off_grid: Annotated[bool, Field(strict=True)] = False
    interval_seconds: Annotated[Number, Field(ge=1, le=3600)] | None = None
    tags: tuple[Text, ...] = ()
    thresholds: ThresholdOverrides = ThresholdOverrides()

    @property
    def title(self) -> str:
        """Its name, or its id where it has none."""
        return self.name or self.id

    @property
    def nominal_v(self) -> float:
        """Nominal phase voltage: as configured, else 230 V at 50 Hz and 120 V at 60 Hz."""
        return self.grid_nominal_v or (230.0 if self.grid_nominal_hz == 50 else 120.0)


class Fleet(_Model):
    """The whole fleet file."""

    sites: tuple[Site, ...] = Field(min_length=1)
    thresholds: Thresholds = Thresholds()

    def thresholds_of(self, site: Site) -> Thresholds:
        """The thresholds in force for a site.

        The fleet's frequency band is for 50 Hz and moves by 10 Hz for a 60 Hz site; a site's own
        band is taken as it stands.
        """
        values = self.thresholds.model_dump()
        shift = site.grid_nominal_hz - 50
        values["grid_frequency_min"] += shift
        values["grid_frequency_max"] += shift
        values.update(site.thresholds.model_dump(exclude_none=True))
        return Thresholds.model_construct(**values)
