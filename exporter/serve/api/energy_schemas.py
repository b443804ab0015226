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
    course: EnergyCourse
    by_site: list[SiteEnergy]
    queries: list[str]
