"""What a report says. Plain values, so that every form of it has the same figures."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.assess.costs import Figure


@dataclass(frozen=True, slots=True)
class Change:
    """A site whose status at the end differs from that at the beginning."""

    site: str
    name: str
    before: str
    after: str
    score_before: float
    score_after: float


@dataclass(frozen=True, slots=True)
class PastIssue:
    """An issue that began within the period; ``ended`` where it is over."""

    site: str
    name: str
    code: str
    severity: str
    sentence: str
    since: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Attention:
    """A site that needs attention now, with everything it takes to act, and what it may cost."""

    site: str
    name: str
    location: str | None
    priority: str
    status: str
    score: float | None
    confidence: float | None
    """How sure the score is, 0 to 1; None where the site does not answer."""
    sentences: tuple[str, ...]
    action: str
    since: float
    figures: tuple[Figure, ...]
    unpriced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Worsening:
    """A value that is getting worse, and when it reaches its limit; Unix seconds.

    ``latest`` is None where it may never get there; ``days`` is the number of days with readings.
    """

    site: str
    name: str
    quantity: str
    unit: str
    level: float
    per_month: float
    limit: float
    when: float
    earliest: float
    latest: float | None
    times: tuple[float, ...]
    values: tuple[float, ...]
    days: int = 0


@dataclass(frozen=True, slots=True)
class SitePeriod:
    """One site over the period; None is unknown.

    ``observed`` is the share of the period in which the site was polled, ``availability`` the share
    of that time in which it answered; None below :data:`exporter.history.coverage.LEAST_SHARE`.
    ``throughput_kwh`` is what went into and out of the battery, ``efficiency`` the share of what
    was charged that came out again, what it holds more or less than before left out.
    ``self_consumption`` is the share of PV energy that was used on the site, ``self_sufficiency``
    the share of consumption that did not come from the grid. Shares are 0 to 1.
    """

    site: str
    name: str
    availability: float | None
    availability_before: float | None
    observed: float
    mean_score: float | None
    mean_score_before: float | None
    pv_kwh: float | None
    load_kwh: float | None
    import_kwh: float | None
    export_kwh: float | None
    charged_kwh: float | None
    discharged_kwh: float | None
    throughput_kwh: float | None = None
    efficiency: float | None = None
    self_consumption: float | None = None
    self_sufficiency: float | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What of the period was observed, over all sites; ``share`` is 0 to 1.

    Where it is not ``enough``, the report gives no availability, no mean score and no trend, and
    does not say that nothing happened.
    """

    share: float
    enough: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class PvLossSum:
    """Energy that a cause took from PV; ``value`` in the currency of :class:`PvSum`."""

    cause: str
    label: str
    kwh: float
    value: float | None


@dataclass(frozen=True, slots=True)
class PvSum:
    """PV of the fleet against the sun over the days that begin in the period, of what was observed.

    ``by_weather`` is false where some days know only a clear sky; the losses add up to
    ``expected_kwh`` less ``measured_kwh``.
    """

    measured_kwh: float
    expected_kwh: float
    clipped_kwh: float
    unobserved_kwh: float
    performance_ratio: float | None
    by_weather: bool
    currency: str
    losses: tuple[PvLossSum, ...]


@dataclass(frozen=True, slots=True)
class TariffSum:
    """What energy cost and earned by the tariff file, in its currency; ``unpriced_kwh`` is in no
    figure."""

    currency: str
    tariffs: tuple[str, ...]
    import_cost: float
    feed_in_income: float
    standing: float
    net: float
    unpriced_kwh: float


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report; times are Unix seconds, energies kWh, shares 0 to 1."""

    made: float
    start: float
    end: float
    version: str
    sites: int
    observed: Observed
    counts: dict[str, int]
    mean_score: float | None
    mean_score_before: float | None
    availability: float | None
    availability_before: float | None
    score_times: tuple[float, ...]
    score_values: tuple[float, ...]
    energy_days: tuple[float, ...]
    energy_by_day: dict[str, tuple[float | None, ...]]
    energy: dict[str, float | None]
    throughput_kwh: float | None
    efficiency: float | None
    self_consumption: float | None
    self_sufficiency: float | None
    common: tuple[str, ...]
    attention: tuple[Attention, ...]
    changes: tuple[Change, ...]
    began: tuple[PastIssue, ...]
    worsening: tuple[Worsening, ...]
    periods: tuple[SitePeriod, ...]
    currency: str | None
    cost_total: float | None
    energy_costs: tuple[Figure, ...]
    assumptions: tuple[str, ...]
    unpriced: tuple[str, ...]
    missing: tuple[str, ...]
    queries: tuple[str, ...]
    pv: PvSum | None = None
    tariff: TariffSum | None = None
