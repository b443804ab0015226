"""The replies of the API about energy as types; see :mod:`exporter.serve.api.schemas`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class EnergyFlow(TypedDict):
    """A flow of energy over the period."""

    label: str
    kwh: float
    average_w: Annotated[float | None, Field(description="Over the observed time")]
    peak_w: Annotated[float | None, Field(description="Highest mean power of a resolution step")]
    peak_time: Annotated[float | None, Field(description="When that step begins")]
    current_w: Annotated[float | None, Field(description="Now, where the period reaches to now")]
    observed_percent: float
    source: Annotated[str, Field(description="counter, power, or counter+power")]
    sites: Annotated[int, Field(description="Of how many sites it is known")]
    resets: int
    glitches: int


@with_config(_CLOSED)
class EnergyLink(TypedDict):
    """Energy that went from one flow to another."""

    source: str
    target: str
    kwh: float


@with_config(_CLOSED)
class EnergyCost(TypedDict):
    """What energy cost and earned."""

    currency: str
    tariffs: list[str]
    import_cost: float
    feed_in_income: float
    standing: float
    net: Annotated[float, Field(description="Cost and standing charge less income")]
    average_price: Annotated[float | None, Field(description="Per kWh from the grid")]
    unpriced_kwh: Annotated[float, Field(description="Energy without a price, in no figure")]


@with_config(_CLOSED)
class EnergyCo2(TypedDict):
    """CO2 of energy from the grid, and what energy into it spared."""

    assumption: str
    import_kg: float
    feed_in_kg: float
    unknown_kwh: float


@with_config(_CLOSED)
class EnergyCourse(TypedDict):
    """The steps of the calendar, and what each of them holds."""

    starts: list[float]
    end: float
    kwh: dict[str, list[float | None]]
    cost: list[float | None] | None


@with_config(_CLOSED)
class SiteEnergy(TypedDict):
    """One site's part."""

    site: str
    name: str
    kwh: dict[str, float]


@with_config(_CLOSED)
class PvLoss(TypedDict):
    """Energy that a cause took."""

    cause: str
    label: str
    fault: Annotated[bool, Field(description="Whether somebody has to mend something")]
    kwh: Annotated[float, Field(description="Of the rest below 0 where more came than expected")]
    value: Annotated[float | None, Field(description="In the currency of the tariff file")]


@with_config(_CLOSED)
class PvInverter(TypedDict):
    """A PV inverter with a meter of its own."""

    site: str
    inverter: str
    kwh: float
    lost_kwh: Annotated[float, Field(description="Less than its usual share beside the others")]


@with_config(_CLOSED)
class PvSoiling(TypedDict):
    """Trend of the performance ratio since the last cleaning; null with too few days."""

    percent_per_day: float | None
    low: float | None
    high: float | None
    soiled_percent: Annotated[float | None, Field(description="What dirt may take now")]


@with_config(_CLOSED)
class PvDayRow(TypedDict):
    """A day of one site."""

    start: float
    seconds: float
    measured_kwh: float
    expected_kwh: float
    low_kwh: Annotated[float, Field(description="Nine of ten days without a fault give more")]
    high_kwh: float
    own_band: Annotated[bool, Field(description="The site's own days show it; else assumed")]
    by_weather: bool
    performance_ratio: float | None
    performance_ratio_25c: float | None
    unobserved_kwh: float
    losses: dict[str, float]


@with_config(_CLOSED)
class PvAgainstSun(TypedDict):
    """PV against the sun over the days that begin in the period, of what was observed."""

    measured_kwh: float
    expected_kwh: float
    lost_kwh: Annotated[float, Field(description="Expected less measured: the sum of all losses")]
    lost_value: float | None
    clipped_kwh: Annotated[float, Field(description="Beyond the AC limit by design; no loss")]
    unobserved_kwh: Annotated[float, Field(description="Expected of unobserved time; no loss")]
    performance_ratio: Annotated[float | None, Field(description="IEC 61724-1")]
    performance_ratio_25c: float | None
    by_weather: Annotated[bool, Field(description="False: some days know only a clear sky")]
    losses: list[PvLoss]
    inverters: list[PvInverter]
    soiling: Annotated[PvSoiling | None, Field(description="Of one site")]
    days: Annotated[list[PvDayRow], Field(description="Of one site; else empty")]


@with_config(_CLOSED)
class EnergyReply(TypedDict):
    """Energy of sites over a period; a flow that is not there is unknown."""

    period: str
    since: float
    until: float
    tz: str
    step: str
    resolution_seconds: int
    sites: list[str]
    flows: dict[str, EnergyFlow]
    self_consumption_percent: float | None
    self_sufficiency_percent: float | None
    unaccounted_kwh: Annotated[
        float | None, Field(description="What came in less what went out: losses, if above 0")
    ]
    links: list[EnergyLink]
    cost: EnergyCost | None
    co2: EnergyCo2 | None
    pv: Annotated[PvAgainstSun | None, Field(description="Null where no day was judged")]
    course: EnergyCourse
    by_site: list[SiteEnergy]
    queries: list[str]


@with_config(_CLOSED)
class ForecastScore(TypedDict):
    """How good a method was over the last 14 days, each issue knowing what was known then."""

    method: str
    lead: Annotated[str, Field(description="all, or the hour that begins 1h, 6h or 24h ahead")]
    why: Annotated[str, Field(description="Why the method that serves does")]
    mae_w: float
    pinball_w: float
    coverage: Annotated[float, Field(description="Share within p10 and p90; 0.8 would be right")]
    slots: float
    skill: Annotated[float, Field(description="1 less its error as a share of yesterday's")]
    serves: bool


@with_config(_CLOSED)
class ForecastMiss(TypedDict):
    """A quarter hour outside of the band that was forecast 24 h before."""

    start: float
    forecast_w: float
    measured_w: float
    missed_w: Annotated[float, Field(description="What came less the forecast")]
    beyond_w: Annotated[float, Field(description="How far that is outside of the band")]
    method: str


@with_config(_CLOSED)
class FleetForecastReply(TypedDict):
    """A forecast of all sites that the caller sees, together."""

    quantity: str
    since: float
    until: float
    sites: Annotated[int, Field(description="Of how many sites there is a forecast")]
    without: Annotated[list[str], Field(description="Sites without one, in no sum")]
    starts: list[float]
    p10_w: list[float | None]
    p50_w: list[float | None]
    p90_w: list[float | None]


@with_config(_CLOSED)
class ForecastReply(TypedDict):
    """A forecast of a power."""

    site: str
    quantity: str
    lead: str
    since: float
    until: float
    starts: list[float]
    p10_w: list[float]
    p50_w: list[float]
    p90_w: list[float]
    methods: Annotated[list[str], Field(description="Which served, neighbours for a new site")]
    scores: list[ForecastScore]
    misses: Annotated[list[ForecastMiss], Field(description="The worst of seven days")]


@with_config(_CLOSED)
class PlanSlot(TypedDict):
    """A quarter of an hour of a plan."""

    start: float
    action: Annotated[
        str, Field(description="auto (follows load and sun), charge, discharge, hold")
    ]
    reason: str
    power_w: Annotated[float | None, Field(description="Set-point of charge or discharge")]
    battery_w: Annotated[float | None, Field(description="What is expected, charging above 0")]
    import_w: float | None
    export_w: float | None
    soc_percent: Annotated[float | None, Field(description="Expected at its end")]
    buy: Annotated[float | None, Field(description="Price per kWh from the grid")]
    sell: Annotated[float | None, Field(description="Price per kWh into the grid")]


@with_config(_CLOSED)
class PlanSummary(TypedDict):
    """What the newest plan is expected to bring against plain self-consumption."""

    issued: float
    strategy: str | None
    note: Annotated[str | None, Field(description="Why there is no better plan, or what is tight")]
    currency: str | None
    saving: Annotated[float | None, Field(description="With wear and stored energy, over 36 h")]
    cost: float | None
    plain_cost: float | None
    wear: float | None
    plain_wear: float | None
    stored: Annotated[float | None, Field(description="Worth of what the battery holds more")]
    plain_stored: float | None
    co2_kg: float | None
    plain_co2_kg: float | None
    orders: Annotated[float | None, Field(description="Slots that do not follow load and sun")]


@with_config(_CLOSED)
class PlanOrder(TypedDict):
    """An order of a plan."""

    id: str
    state: str


@with_config(_CLOSED)
class PlanStandingReply(TypedDict):
    """What became of an approval or a withdrawal."""

    mode: Annotated[str, Field(description="off, dry or on, as the dispatcher is switched")]
    site: str
    standing: Annotated[str, Field(description="proposed, approved, mandated or suspended")]
    why: str
    orders: list[PlanOrder]


@with_config(_CLOSED)
class PlanReply(TypedDict):
    """A plan of a site."""

    site: str
    since: float
    until: float
    standing: Annotated[str, Field(description="proposed, approved, mandated or suspended")]
    why: Annotated[str, Field(description="What became of its orders, or why there are none")]
    summary: PlanSummary | None
    slots: list[PlanSlot]


@with_config(_CLOSED)
class SavingsBill(TypedDict):
    """What a course costs; ``total`` is energy and wear less what is stored more in the end."""

    energy: float
    wear: float
    stored: float
    total: float


@with_config(_CLOSED)
class SavingsReply(TypedDict):
    """What was saved over a period."""

    site: str
    since: float
    until: float
    currency: str
    saved: Annotated[float | None, Field(description="Against plain self-consumption")]
    missed: Annotated[
        float | None, Field(description="What a plan that knew everything would have saved as well")
    ]
    forecast_errors: Annotated[
        float | None, Field(description="The part of it that wrong forecasts cost")
    ]
    not_followed: Annotated[
        float | None, Field(description="The part of it that what was not carried out cost")
    ]
    coverage: Annotated[float | None, Field(description="Share of the period that was observed")]
    measured: SavingsBill | None
    plain: SavingsBill | None
    planned: Annotated[
        SavingsBill | None,
        Field(description="Plans followed to the letter; null where fewer than 80 % had one"),
    ]
    best: SavingsBill | None
    why: Annotated[str, Field(description="Why nothing can be said, else empty")]
