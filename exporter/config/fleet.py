"""The models of the fleet file. fleet_file.py reads it and explains mistakes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
)

from exporter.config.dispatch_block import NO_DISPATCH, DispatchBlock
from exporter.config.driver_options import DEFAULT_DRIVER, DriverOptions
from exporter.config.endpoints import check_endpoint
from exporter.config.field_types import Number, Text, field_error
from exporter.config.site_kinds import (
    BLOCKS,
    DEFAULT_KIND,
    DEFAULT_ROLE,
    Bess,
    Datacentre,
    Meter,
    Pv,
    SiteKind,
)
from exporter.config.thresholds import ThresholdOverrides, Thresholds

Options = TypeVar("Options", bound=DriverOptions)
MOST_WAYS = 5
Priority = Literal["high", "medium", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "medium", "low")
_TIMEZONES = available_timezones()


def _check_driver(value: str, info: ValidationInfo) -> str:
    # Without a context, as where a program makes a site, there is no registry to compare with.
    if info.context is not None and value not in info.context:
        raise field_error(f"no such driver; one of: {', '.join(sorted(info.context))}")
    return value


def _check_timezone(value: str) -> str:
    if value not in _TIMEZONES:
        raise field_error("not an IANA time zone; expected one such as Europe/Madrid")
    return value


def _some_sites(value: Any) -> Any:
    # Not a limit of the field: sites that are wrong would count as sites that are not there.
    if value == []:
        raise field_error("expected at least one site")
    return value


SiteId = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")
]


ProjectId = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Contact(_Model):
    """Whom to call about a site."""

    name: Text | None = None
    phone: Text | None = None
    email: Annotated[Text, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None


def _check_moment(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise field_error(
            "expected a date and time such as 2026-03-01T08:00, with an offset (+01:00, Z) if it "
            "is not the site's own time"
        ) from None


def _check_commissioned(value: Any) -> date:
    # Somewhere on Earth it is tomorrow already.
    latest = (datetime.now(UTC) + timedelta(hours=14)).date()
    try:
        found = date.fromisoformat(value)
    except (TypeError, ValueError):
        raise field_error("expected a date such as 2023-10-01") from None
    if not FIRST_COMMISSIONED <= found <= latest:
        raise field_error(f"expected a date from {FIRST_COMMISSIONED} to today")
    return found


def _check_time_of_day(value: Any) -> time:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", value):
        hour, minute = (int(part) for part in value.split(":"))
        if hour < 24 and minute < 60:
            return time(hour, minute)
    raise field_error("expected a time of day from 00:00 to 23:59; put it in quotes")


def _some_days(value: Any) -> Any:
    if value == []:
        raise field_error("expected at least one day; leave the key out for every day")
    return value


FIRST_COMMISSIONED = date(1990, 1, 1)
Commissioned = Annotated[date, PlainValidator(_check_commissioned)]
Moment = Annotated[datetime, PlainValidator(_check_moment)]
TimeOfDay = Annotated[time, PlainValidator(_check_time_of_day)]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = get_args(Day)


class MaintenanceWindow(_Model):
    """Planned work from ``start`` to ``end``; without an offset they are the site's local time."""

    start: Moment
    end: Moment
    reason: Text | None = None


class MuteTime(_Model):
    """Hours of the week without alerts, in the site's local time.

    ``days`` are those on which it starts, all seven where it is left out. An ``end`` that is not
    after ``start`` lies on the next day.
    """

    start: TimeOfDay
    end: TimeOfDay
    days: Annotated[tuple[Day, ...], BeforeValidator(_some_days)] = DAYS
    reason: Text | None = None


Endpoint = Annotated[
    str, StringConstraints(strict=True, max_length=500), AfterValidator(check_endpoint)
]


class WayIn(_Model):
    """One of several ways in to a site: an entry of ``drivers``."""

    driver: Annotated[str, AfterValidator(_check_driver)]
    api_endpoint: Endpoint = ""
    # As in a site: options of the driver are keys of the entry.
    _options: DriverOptions | None = PrivateAttr(None)

    @property
    def options(self) -> DriverOptions | None:
        """The options of its driver; None where it was made without a file."""
        return self._options

    def with_options(self, options: DriverOptions | None) -> WayIn:
        """The same way with the options of its driver."""
        way = self.model_copy()
        way._options = options
        return way

    @property
    def identity(self) -> tuple[object, ...]:
        """Values that identify the device behind it."""
        own = () if self._options is None else self._options.identity()
        return self.api_endpoint, self.driver, *own


class Site(_Model):
    """One site of the fleet."""

    id: SiteId
    name: Text | None = None
    location: Text | None = None
    # Before the endpoint, whose form depends on it.
    driver: Annotated[str, AfterValidator(_check_driver)] = DEFAULT_DRIVER
    api_endpoint: Endpoint = ""
    drivers: Annotated[tuple[WayIn, ...], Field(max_length=MOST_WAYS)] = ()
    kind: SiteKind = DEFAULT_KIND
    battery_type: Text | None = None
    capacity_kwh: Annotated[Number, Field(gt=0, le=1e7)] | None = None
    solar_capacity_kw: Annotated[Number, Field(ge=0, le=1e7)] | None = None
    commissioned: Commissioned | None = None
    priority: Priority = "medium"
    contact: Contact | None = None
    latitude: Annotated[Number, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[Number, Field(ge=-180, le=180)] | None = None
    tilt: Annotated[Number, Field(ge=0, le=90)] | None = None
    azimuth: Annotated[Number, Field(ge=0, le=360)] | None = None
    timezone: Annotated[str, AfterValidator(_check_timezone)] | None = None
    region: Text | None = None
    project: ProjectId | None = None
    vendor: Text | None = None
    grid_nominal_hz: Literal[50, 60] = 50
    grid_nominal_v: Annotated[Number, Field(ge=50, le=1000)] | None = None
    off_grid: Annotated[bool, Field(strict=True)] = False
    interval_seconds: Annotated[Number, Field(ge=1, le=3600)] | None = None
    tags: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    bess: Bess | None = None
    pv: Pv | None = None
    meter: Meter | None = None
    datacentre: Datacentre | None = None
    thresholds: ThresholdOverrides = ThresholdOverrides()
    maintenance: Annotated[tuple[MaintenanceWindow, ...], Field(max_length=1000)] = ()
    mute_times: Annotated[tuple[MuteTime, ...], Field(max_length=1000)] = ()
    dispatch: DispatchBlock = NO_DISPATCH
    # No key of the file: the options are keys of the site, and fleet_file.py puts them here.
    _options: DriverOptions | None = PrivateAttr(None)

    @property
    def options(self) -> DriverOptions | None:
        """The options of its driver; None where the site was made without a file."""
        return self._options

    def with_options(self, options: DriverOptions) -> Site:
        """The same site with the options of its driver."""
        site = self.model_copy()
        site._options = options
        return site

    def with_ways(self, options: Sequence[DriverOptions | None]) -> Site:
        """The same site with the options of each of its ``drivers``; what looks at a site's one
        driver sees the first of them."""
        ways = tuple(w.with_options(o) for w, o in zip(self.drivers, options, strict=True))
        first = ways[0]
        known = {"driver": first.driver, "api_endpoint": first.api_endpoint, "drivers": ways}
        site = self.model_copy(update=known)
        site._options = first.options
        return site

    @property
    def ways(self) -> tuple[WayIn, ...]:
        """Its ways in, the best one first."""
        if self.drivers:
            return self.drivers
        only = WayIn.model_construct(driver=self.driver, api_endpoint=self.api_endpoint)
        return (only.with_options(self._options),)

    @property
    def way_names(self) -> tuple[str, ...]:
        """What its ways in are called: by their drivers, numbered where a driver stands twice."""
        drivers = [way.driver for way in self.ways]
        return tuple(
            name if drivers.count(name) == 1 else f"{name}-{drivers[: index + 1].count(name)}"
            for index, name in enumerate(drivers)
        )

    def options_of(self, kind: type[Options]) -> Options | None:
        """The options of its first way in that has options of a kind."""
        found = (way.options for way in self.ways)
        return next((options for options in found if isinstance(options, kind)), None)

    @property
    def identity(self) -> tuple[object, ...]:
        """Values that identify its device: where one changes, the site starts afresh. With several
        ways in, the best one counts: another way in reaches the same device."""
        return self.ways[0].identity

    @property
    def title(self) -> str:
        """Its name, or its id where it has none."""
        return self.name or self.id

    @property
    def profile(self) -> str:
        """Its row of :data:`scoring.kinds.REQUIRED`: what it should report."""
        if self.kind == "meter":
            role = DEFAULT_ROLE if self.meter is None else self.meter.role
            return f"meter {role}"
        if self.kind == "datacentre" and self.datacentre and self.datacentre.battery_kwh:
            return "datacentre battery"
        return self.kind

    def completed(self) -> Site:
        """The same site with the capacities that its blocks give where it has none of its own."""
        known: dict[str, float] = {}
        if self.solar_capacity_kw is None and self.pv is not None and self.pv.arrays:
            known["solar_capacity_kw"] = sum(array.kwp for array in self.pv.arrays)
        if self.capacity_kwh is None:
            usable = self.bess.usable_kwh if self.bess is not None else None
            backup = self.datacentre.battery_kwh if self.datacentre is not None else None
            if usable or backup:
                known["capacity_kwh"] = usable or backup or 0.0
        return self.model_copy(update=known) if known else self

    @property
    def blocks(self) -> dict[str, Any]:
        """Its blocks by name, as plain JSON values; what is not given is left out."""
        named = {name: getattr(self, name) for name in BLOCKS}
        return {
            name: block.model_dump(mode="json", exclude_none=True)
            for name, block in named.items()
            if block is not None
        }

    @property
    def nominal_v(self) -> float:
        """Nominal phase voltage: as configured, else 230 V at 50 Hz and 120 V at 60 Hz."""
        return self.grid_nominal_v or (230.0 if self.grid_nominal_hz == 50 else 120.0)


class Project(_Model):
    """One customer of the installation: a group of sites that others do not see."""

    name: Text | None = None
    most_sites: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    share: Annotated[int, Field(strict=True, ge=1, le=100)] = 4
    requests_per_minute: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None


class Fleet(_Model):
    """The whole fleet file."""

    sites: Annotated[tuple[Site, ...], BeforeValidator(_some_sites)]
    thresholds: Thresholds = Thresholds()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    mute_times: tuple[MuteTime, ...] = ()
    projects: Annotated[dict[ProjectId, Project], Field(max_length=1000)] = {}

    def thresholds_of(self, site: Site) -> Thresholds:
        """The thresholds in force for a site.

        The fleet's frequency band is for 50 Hz and moves by 10 Hz for a 60 Hz site; a site's own
        band is taken as it stands.
        """
        values = self.thresholds.model_dump()
        shift = site.grid_nominal_hz - 50
        values["grid_frequency_min"] += shift
        values["grid_frequency_max"] += shift
        if site.bess is not None and site.bess.soc_min is not None:
            values["soc_critical"] = site.bess.soc_min
        values.update(site.thresholds.model_dump(exclude_none=True))
        return Thresholds.model_construct(**values)
