"""The contracts of a portfolio: one YAML file of services, guarantees, exclusions and partners."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from exporter.config.fleet import SiteId
from exporter.config.side_file import SideFileError, SideModel, load
from scoring.money.availability import DownCategory
from scoring.money.guarantees import Guarantee, Tier
from scoring.money.partners import Minimum, Payout, Step, payouts


def _amount(value: object) -> object:
    # The shortest text that is this number, so that 11.4 is no binary fraction.
    return repr(value) if isinstance(value, float) else value


Amount = Annotated[Decimal, BeforeValidator(_amount), Field(allow_inf_nan=False)]
NotNegative = Annotated[Amount, Field(ge=0)]


class EnergyService(SideModel):
    """Energy at the price of a market: export less import, by settlement period."""

    pays: Literal["energy"]
    name: str = "energy"
    market: str
    seconds: int = Field(default=1800, gt=0, le=86_400)


class ResponseCurve(SideModel):
    """Power asked for by frequency: none within the dead-band, all at ``full_hz`` off nominal.

    In between it is a line, or two that meet at a ``knee``: Hz off nominal, and the share of power
    there, 0 to 1.
    """

    nominal_hz: float = Field(default=50.0, gt=40, lt=70)
    deadband_hz: float = Field(default=0.0, ge=0, lt=1)
    knee: tuple[float, float] | None = None
    full_hz: float = Field(gt=0, le=2)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.deadband_hz < self.full_hz:
            raise ValueError("full_hz: expected more than deadband_hz")
        if self.knee is not None:
            off_hz, share = self.knee
            if not (self.deadband_hz < off_hz < self.full_hz and 0 <= share <= 1):
                raise ValueError(
                    "knee: expected Hz between deadband_hz and full_hz and a share, such as "
                    "[0.2, 0.05]"
                )
        return self


class AvailabilityService(SideModel):
    """Power that is kept available in certain local hours of each day, paid for what was there."""

    pays: Literal["availability"]
    name: str
    mw: NotNegative
    price: Amount
    hours: tuple[int, int] = (0, 24)
    curve: ResponseCurve | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not 0 <= self.hours[0] < self.hours[1] <= 24:
            raise ValueError("hours: expected two whole hours such as [7, 15], the first earlier")
        return self


class CapacityService(SideModel):
    """Capacity, paid by the day whatever happens."""

    pays: Literal["capacity"]
    name: str
    mw: NotNegative
    price: Amount


Service = Annotated[
    EnergyService | AvailabilityService | CapacityService, Field(discriminator="pays")
]


class TierTerms(SideModel):
    """A tier of a penalty, see :class:`scoring.money.guarantees.Tier`."""

    points: NotNegative | None = None
    per_point: NotNegative


class GuaranteeTerms(SideModel):
    """A guaranteed availability of a month in percent, with what is owed below it."""

    name: Literal["availability"]
    target: Amount
    tiers: tuple[TierTerms, ...]
    cap: NotNegative
    least_coverage: float = Field(default=0.0, ge=0, le=1)
    excluded: frozenset[DownCategory] = frozenset()
    document: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.guarantee()
        return self

    def guarantee(self) -> Guarantee:
        """As it is judged."""
        return Guarantee(
            name=self.name,
            target=self.target,
            tiers=tuple(Tier(tier.points, tier.per_point) for tier in self.tiers),
            cap=self.cap,
            least_coverage=self.least_coverage,
        )


class SiteContract(SideModel):
    """What one site is, sells and guarantees."""

    id: SiteId
    name: str = ""
    vendor: str = ""
    region: str = ""
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    power_kw: float = Field(gt=0)
    usable_kwh: float = Field(gt=0)
    charge_efficiency: float = Field(default=0.95, gt=0, le=1)
    discharge_efficiency: float = Field(default=0.95, gt=0, le=1)
    soc_min: float = Field(default=0.0, ge=0, lt=100)
    soc_max: float = Field(default=100.0, gt=0, le=100)
    wear_per_cycle: NotNegative | None = None
    cycles_a_year: float | None = Field(default=None, gt=0)
    end_of_life_soh: float | None = Field(default=None, gt=0, lt=100)
    services: tuple[Service, ...] = ()
    guarantees: tuple[GuaranteeTerms, ...] = ()

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if not self.soc_min < self.soc_max:
            raise ValueError("soc_max: expected more than soc_min")
        return self


class StepTerms(SideModel):
    """A step of the waterfall."""

    until: NotNegative | None = None
    shares: dict[str, NotNegative] = Field(min_length=1)


class MinimumTerms(SideModel):
    """A guaranteed minimum of a partner."""

    partner: str
    amount: NotNegative
    guarantor: str


class Partners(SideModel):
    """Who gets what of the revenue of all sites, by the month."""

    steps: tuple[StepTerms, ...] = Field(min_length=1)
    minima: tuple[MinimumTerms, ...] = ()

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        named = [minimum.partner for minimum in self.minima]
        if len(named) > len(set(named)):
            raise ValueError("minima: a partner has one minimum")
        for minimum in self.minima:
            if minimum.partner == minimum.guarantor:
                raise ValueError(f"minima: {minimum.partner} guarantees its own minimum")
        self.payouts(Decimal(0))
        return self

    def payouts(self, revenue: Decimal) -> dict[str, Payout]:
        """Who gets what of the revenue of a month; see :func:`scoring.money.partners.payouts`."""
        return payouts(
            revenue,
            [Step(step.until, step.shares) for step in self.steps],
            [Minimum(m.partner, m.amount, m.guarantor) for m in self.minima],
        )


class Contracts(SideModel):
    """All contracts."""

    zone: str
    currency: str = Field(min_length=3, max_length=3)
    sites: tuple[SiteContract, ...]
    partners: Partners | None = None

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        names = [site.id for site in self.sites]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"sites: {', '.join(twice)} more than once")
        for site in self.sites:
            services = [service.name for service in site.services]
            if len(services) > len(set(services)):
                raise ValueError(f"{site.id}: two services of one name")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"zone: {self.zone!r} is no time zone such as Europe/London") from None
        return self


def load_contracts(path: Path) -> Contracts:
    """Read the file.

    Raises
    ------
    SideFileError
        With every mistake found.
    """
    return load(path, Contracts)


__all__ = ["Contracts", "SideFileError", "SiteContract", "load_contracts"]
