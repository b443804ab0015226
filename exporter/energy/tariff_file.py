"""The tariff file: what energy costs and earns, and what CO2 it stands for, by site and time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, model_validator

from exporter.config.fleet import DAYS, Day, Site, TimeOfDay
from exporter.config.side_file import SideModel, beside, load

FloatArray = NDArray[np.float64]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
Amount = Annotated[float, Field(ge=-1e6, le=1e6)]
PriceUnit = Literal["kWh", "MWh", "ct/kWh"]
TO_PER_KWH: Mapping[str, float] = {"kWh": 1.0, "MWh": 1e-3, "ct/kWh": 1e-2}


class Series(SideModel):
    """Amounts that change with time, from a file or an address.

    ``unit`` says what they are given per: a unit of currency per kWh or MWh, or a hundredth of it
    per kWh. For CO2 it is grams per kWh, or per MWh.
    """

    file: Path | None = None
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$")] | None = None
    unit: PriceUnit = "kWh"
    refresh_minutes: Annotated[int, Field(ge=5, le=1440)] = 60

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("name either file, a path, or url, an address")
        return self


class Window(SideModel):
    """A price at some times of the day, in the site's local time.

    An ``end`` that is not after ``start`` lies on the next day; ``days`` and ``months`` are those
    on which it starts.
    """

    price: Amount
    start: TimeOfDay
    end: TimeOfDay
    days: tuple[Day, ...] = DAYS
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = tuple(range(1, 13))


class Rate(SideModel):
    """An amount per kWh: fixed, by time of use, or dynamic.

    ``price`` counts where no window does, and where a series has no value. What a series gives is
    multiplied by ``factor`` (such as a tax) after ``add`` (such as network charges) was added.
    """

    price: Amount | None = None
    windows: Annotated[tuple[Window, ...], Field(max_length=100)] = ()
    series: Name | None = None
    add: Amount = 0.0
    factor: Annotated[float, Field(gt=0, le=100)] = 1.0

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.price is None and not self.windows and self.series is None:
            raise ValueError("names neither price, windows nor series")
        if self.windows and self.series is not None:
            raise ValueError("has windows and a series; keep one")
        return self

    @property
    def flat(self) -> bool:
        """Whether it is the same at all times."""
        return not self.windows and self.series is None

    def at(self, times: FloatArray, zone: tzinfo, known: Mapping[str, FloatArray]) -> FloatArray:
        """The amount per kWh at some times.

        Parameters
        ----------
        times : float array, shape (K,)
            Unix seconds.
        zone : tzinfo
            Of the site.
        known : mapping of series name to float array, shape (K,)
            What each series gives then, per kWh; NaN is unknown.

        Returns
        -------
        float array, shape (K,)
            NaN where there is none.
        """
        usual = np.nan if self.price is None else self.price
        found = np.full(len(times), usual)
        if self.series is not None:
            given = known.get(self.series, np.full(len(times), np.nan))
            return np.where(np.isnan(given), found, (given + self.add) * self.factor)
        if not self.windows:
            return found
        local = [datetime.fromtimestamp(t, UTC).astimezone(zone) for t in times.tolist()]
        minute = np.array([t.hour * 60 + t.minute for t in local])
        day = np.array([t.weekday() for t in local])
        month = np.array([t.month for t in local])
        eve_month = np.array([t.month if t.day > 1 else (t.month - 2) % 12 + 1 for t in local])
        # The first window that holds a time counts.
        for window in reversed(self.windows):
            start = window.start.hour * 60 + window.start.minute
            end = window.end.hour * 60 + window.end.minute
            days = np.isin(np.arange(7), [DAYS.index(name) for name in window.days])
            today = days[day] & np.isin(month, window.months)
            if start < end:
                holds = today & (minute >= start) & (minute < end)
            else:
                eve = days[(day - 1) % 7] & np.isin(eve_month, window.months)
                holds = (today & (minute >= start)) | (eve & (minute < end))
            found[holds] = window.price
        return found


class Co2(SideModel):
    """Grams of CO2 that a kWh from the grid stands for."""

    grams_per_kwh: Annotated[float, Field(ge=0, le=2000)] | None = None
    series: Name | None = None
    assumption: Annotated[str, StringConstraints(min_length=1, max_length=500)]

    @property
    def rate(self) -> Rate:
        """As an amount per kWh."""
        return Rate(price=self.grams_per_kwh, series=self.series)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.grams_per_kwh is None and self.series is None:
            raise ValueError("names neither grams_per_kwh nor series")
        return self


class Tariff(SideModel):
    """What energy from the grid costs, and what energy into it earns."""

    grid: Rate
    feed_in: Rate = Rate(price=0.0)
    standing_per_day: Annotated[float, Field(ge=0, le=1e6)] = 0.0

    @property
    def flat(self) -> bool:
        """Whether its prices are the same at all times."""
        return self.grid.flat and self.feed_in.flat


StrategyName = Literal["self-consumption", "cost", "co2", "peak-shaving", "backup-reserve"]


class Mandate(SideModel):
    """A standing approval: which plans are followed without anybody's look at each.

    Without ``sites`` it is for all; ``most_at_risk`` is the most that a plan may lose, in the
    currency of the file, if nothing of what it buys for the battery is ever used.
    """

    sites: tuple[str, ...] = ()
    strategy: StrategyName | None = None
    most_kw: Annotated[float, Field(gt=0, le=1e6)] | None = None
    until: datetime
    most_at_risk: Annotated[float, Field(ge=0, le=1e9)] | None = None

    @model_validator(mode="after")
    def _zoned(self) -> Self:
        if self.until.tzinfo is None:
            raise ValueError("until needs an offset such as +01:00")
        return self


class Planning(SideModel):
    """How batteries are planned for."""

    strategy: StrategyName = "cost"
    sites: Annotated[dict[str, StrategyName], Field(default_factory=dict)]
    wear_per_kwh: Annotated[float, Field(ge=0, le=100)] = 0.03
    round_trip_efficiency: Annotated[float, Field(gt=0.25, le=1)] = 0.90
    reserve_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    peak_price_per_kw: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    fleet_import_kw: Annotated[float, Field(gt=0, le=1e7)] | None = None
    mandates: Annotated[tuple[Mandate, ...], Field(max_length=1000)] = ()

    def strategy_of(self, site: str) -> StrategyName:
        """The strategy of a site."""
        return self.sites.get(site, self.strategy)


class TariffFile(SideModel):
    """Tariffs, and who has which; ``sites`` win over ``projects``, and these over ``default``."""

    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    tariffs: Annotated[dict[Name, Tariff], Field(min_length=1, max_length=1000)]
    default: Name | None = None
    projects: Annotated[dict[str, Name], Field(default_factory=dict)]
    sites: Annotated[dict[str, Name], Field(default_factory=dict)]
    series: Annotated[dict[Name, Series], Field(max_length=20, default_factory=dict)]
    co2: Co2 | None = None
    planning: Annotated[Planning, Field(default_factory=lambda: Planning.model_validate({}))]

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        used = [self.default, *self.projects.values(), *self.sites.values()]
        for name in used:
            if name is not None and name not in self.tariffs:
                raise ValueError(f"there is no tariff {name!r}; one of: {', '.join(self.tariffs)}")
        rates = [rate for t in self.tariffs.values() for rate in (t.grid, t.feed_in)]
        rates += [self.co2.rate] if self.co2 else []
        for rate in rates:
            if rate.series is not None and rate.series not in self.series:
                raise ValueError(f"there is no series {rate.series!r} under series")
        return self

    def of(self, site: Site) -> tuple[str, Tariff] | None:
        """The tariff of a site and its name; None where it has none."""
        name = self.sites.get(site.id) or self.projects.get(site.project or "") or self.default
        return (name, self.tariffs[name]) if name is not None else None


def zone_of_site(site: Site) -> tzinfo:
    """The time zone of a site, in which its days begin and its tariff counts; else UTC."""
    return ZoneInfo(site.timezone) if site.timezone else UTC


def load_tariffs(path: Path) -> TariffFile:
    """Read a tariff file. Files that it names lie beside it, unless their paths are absolute.

    Raises
    ------
    exporter.config.side_file.SideFileError
    """
    found = load(path, TariffFile)
    return found.model_copy(update={"series": beside(path, found.series)})
