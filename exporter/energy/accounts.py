"""The energy account of sites over a period: flows, shares, from where to where, cost and CO2.

API, command line, report and dashboards read it here, so that they give the same figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

import numpy as np
from numpy.typing import NDArray

from exporter.config.fleet import Site
from exporter.energy.buckets import Step, edges, gathered
from exporter.energy.market_prices import Prices, read_prices
from exporter.energy.measured import EXPECTED, FLOWS, Measured, MeasuredFlows, read_flows
from exporter.energy.stored_pv import PvAccount, read_pv_of_sites
from exporter.energy.tariff_file import Tariff, TariffFile, zone_of_site
from exporter.history.influxql import InfluxQL
from scoring.flows import links, self_consumption, self_sufficiency, unaccounted_kwh

FloatArray = NDArray[np.float64]
BASES = (900, 3600, 86_400)
MOST_VALUES = 1_500_000
"""Of InfluxDB for one account; more is read in coarser steps."""
MOST_PV_DAYS = 40_000
"""Days times sites."""
GRAMS_PER_KG = 1000.0


@dataclass(slots=True)
class FlowSum:
    """A flow over a period, of one site or of several.

    Attributes
    ----------
    kwh : float
    observed_hours : float
        Time of which it is known; of several sites the sum.
    peak_w : float or None
        Highest mean power of a step; a step in which a counter was read after a gap is none.
    peak_time : float or None
        When that step begins, Unix seconds.
    sources : tuple of str
        ``counter``, ``power`` or both.
    sites : int
        Of how many sites it is known.
    """

    kwh: float
    observed_hours: float
    peak_w: float | None
    peak_time: float | None
    sources: tuple[str, ...]
    sites: int
    resets: int = 0
    glitches: int = 0

    @property
    def average_w(self) -> float | None:
        """Mean power over the observed time; of several sites that of all together."""
        return 1000 * self.kwh * self.sites / self.observed_hours if self.observed_hours else None


@dataclass(slots=True)
class Money:
    """What energy cost and earned; ``unpriced_kwh`` has no price and is in no figure.

    Attributes
    ----------
    import_cost, feed_in_income, standing, net : float
        In the currency of the tariff file; ``net`` is cost less income.
    average_price : float or None
        Per kWh from the grid.
    tariffs : tuple of str
    """

    currency: str
    tariffs: tuple[str, ...]
    import_cost: float = 0.0
    feed_in_income: float = 0.0
    standing: float = 0.0
    unpriced_kwh: float = 0.0
    priced_import_kwh: float = 0.0

    @property
    def net(self) -> float:
        """Cost less income."""
        return self.import_cost + self.standing - self.feed_in_income

    @property
    def average_price(self) -> float | None:
        """Per kWh from the grid."""
        return self.import_cost / self.priced_import_kwh if self.priced_import_kwh else None


@dataclass(slots=True)
class Co2Sum:
    """CO2 of energy from the grid, and what energy into it spared elsewhere; kg."""

    assumption: str
    import_kg: float = 0.0
    feed_in_kg: float = 0.0
    unknown_kwh: float = 0.0


@dataclass(slots=True)
class Account:
    """Everything that is known of some sites over a period.

    Attributes
    ----------
    bounds : float array, shape (K + 1,)
        Edges of the steps, Unix seconds.
    course_kwh : dict of flow to float array, shape (K,)
        NaN where nothing is known.
    cost : float array, shape (K,), or None
    base_seconds : int
        Length of the steps that it was worked out in.
    pv : PvAccount or None
        PV against the sun over the days that begin in the period; None where there are too many.
    """

    start: float
    end: float
    zone: tzinfo
    step: Step
    bounds: FloatArray
    base_seconds: int
    flows: dict[str, FlowSum] = field(default_factory=dict)
    course_kwh: dict[str, FloatArray] = field(default_factory=dict)
    links: dict[tuple[str, str], float] = field(default_factory=dict)
    by_site: dict[str, dict[str, float]] = field(default_factory=dict)
    money: Money | None = None
    cost: FloatArray | None = None
    co2: Co2Sum | None = None
    pv: PvAccount | None = None
    statements: list[str] = field(default_factory=list)

    def kwh(self, flow: str) -> float | None:
        """Energy of a flow; None where it is unknown."""
        found = self.flows.get(flow)
        return None if found is None else found.kwh

    @property
    def self_consumption(self) -> float | None:
        """Share of PV energy that was used on the sites, 0 to 1."""
        return self_consumption(self.kwh("pv"), self.kwh("grid_export"))

    @property
    def self_sufficiency(self) -> float | None:
        """Share of the load that did not come from the grid, 0 to 1."""
        return self_sufficiency(self.kwh("load"), self.kwh("grid_import"))

    @property
    def unaccounted_kwh(self) -> float | None:
        """What came in less what went out: losses where it is above 0."""
        return unaccounted_kwh({flow.name: self.kwh(flow.name) for flow in FLOWS})


def base_seconds(sites: int, seconds: float) -> int:
    """The finest steps in which so many sites can be read over such a period."""
    flows = len(FLOWS) + 1
    return next((b for b in BASES if 2 * sites * flows * seconds / b <= MOST_VALUES), BASES[-1])


async def account(
    stored: InfluxQL,
    sites: Sequence[Site],
    active: Mapping[str, str],
    start: float,
    end: float,
    zone: tzinfo,
    step: Step,
    tariffs: TariffFile | None = None,
) -> Account:
    """The energy account of some sites.

    Parameters
    ----------
    stored : InfluxQL
    sites : sequence of Site
    active : mapping of site id to device
        The battery that counts where a site has several.
    start, end : float
        Unix seconds, the latter not included.
    zone : tzinfo
        In which days begin.
    step : Step
        Of the course.
    tariffs : TariffFile, optional

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    ids = [site.id for site in sites]
    base = base_seconds(len(sites), end - start)
    found = await read_flows(stored, ids, start, end, base, active, (*FLOWS, EXPECTED))
    prices: dict[str, Prices] = {}
    if tariffs is not None and tariffs.series:
        prices = await read_prices(stored, tariffs.series, start, end)
    made = Account(start, end, zone, step, edges(step, start, end, zone), base)
    made.statements = found.statements
    _add_flows(made, found)
    _add_links(made, found)
    if tariffs is not None:
        _add_money(made, found, sites, tariffs, prices)
    if len(sites) * (end - start) <= MOST_PV_DAYS * 86_400:
        made.pv = await read_pv_of_sites(stored, sites, start, end, zone)
    return made


async def costs(
    stored: InfluxQL,
    sites: Sequence[Site],
    active: Mapping[str, str],
    start: float,
    end: float,
    tariffs: TariffFile,
) -> Money | None:
    """What energy of some sites cost and earned, as :func:`account` gives it; None without any.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    base = base_seconds(len(sites), end - start)
    traded = [flow for flow in FLOWS if flow.name in ("grid_import", "grid_export")]
    found = await read_flows(stored, [s.id for s in sites], start, end, base, active, traded)
    prices = await read_prices(stored, tariffs.series, start, end)
    made = Account(start, end, UTC, "year", edges("year", start, end, UTC), base)
    _add_money(made, found, sites, tariffs, prices)
    return made.money


def _add_flows(made: Account, found: MeasuredFlows) -> None:
    for flow in (*FLOWS, EXPECTED):
        parts = {s: flows[flow.name] for s, flows in found.sites.items() if flow.name in flows}
        if not parts:
            continue
        total = _total([part.steps_kwh for part in parts.values()])
        peak_kwh = _total([_without_leaps(part) for part in parts.values()])
        peak_w = peak_time = None
        if not np.isnan(peak_kwh).all() and flow is not EXPECTED:
            place = int(np.nanargmax(peak_kwh))
            # A step that the period cuts counts in full, so that its few seconds make no peak.
            length = min(found.step_seconds, made.end - made.start)
            peak_w = float(peak_kwh[place]) * 3.6e6 / length
            peak_time = float(max(found.starts[place], made.start))
        made.flows[flow.name] = FlowSum(
            kwh=sum(part.kwh for part in parts.values()),
            observed_hours=sum(part.seconds for part in parts.values()) / 3600,
            peak_w=peak_w,
            peak_time=peak_time,
            sources=tuple(sorted({part.source for part in parts.values()})),
            sites=len(parts),
            resets=sum(part.resets for part in parts.values()),
            glitches=sum(part.glitches for part in parts.values()),
        )
        made.course_kwh[flow.name] = gathered(found.starts, total, made.bounds)
        for site, part in parts.items():
            made.by_site.setdefault(site, {})[flow.name] = part.kwh


def _total(parts: Sequence[FloatArray]) -> FloatArray:
    """The sum over sites; NaN where nothing is known of any."""
    stacked = np.stack(parts)
    known = ~np.isnan(stacked)
    return np.where(known.any(axis=0), np.nansum(stacked, axis=0), np.nan)


def _without_leaps(part: Measured) -> FloatArray:
    """Steps of a counter without those that hold what grew over a gap before them."""
    if part.source == "power":
        return part.steps_kwh
    before = np.append(np.nan, part.steps_kwh[:-1])
    return np.where(np.isnan(before), np.nan, part.steps_kwh)


def _add_links(made: Account, found: MeasuredFlows) -> None:
    names = [flow.name for flow in FLOWS]
    for flows in found.sites.values():
        steps = {name: flows[name].steps_kwh for name in names if name in flows}
        if "load" not in steps:
            continue
        for pair, kwh in links(steps).items():
            made.links[pair] = made.links.get(pair, 0.0) + kwh


def _add_money(
    made: Account,
    found: MeasuredFlows,
    sites: Sequence[Site],
    tariffs: TariffFile,
    prices: Mapping[str, Prices],
) -> None:
    middle = found.starts
    known = {name: series.at(middle) for name, series in prices.items()}
    days = (made.end - made.start) / 86_400
    cost = np.full(len(found.starts), np.nan)
    money = Money(tariffs.currency, ())
    names: set[str] = set()
    co2 = Co2Sum(tariffs.co2.assumption) if tariffs.co2 is not None else None
    for site in sites:
        flows = found.sites.get(site.id, {})
        bought = _steps(flows, "grid_import", len(middle))
        sold = _steps(flows, "grid_export", len(middle))
        if not flows or (np.isnan(bought).all() and np.isnan(sold).all()):
            continue
        zone = zone_of_site(site)
        if co2 is not None and tariffs.co2 is not None:
            grams = tariffs.co2.rate.at(middle, zone, known)
            co2.import_kg += float(np.nansum(bought * grams)) / GRAMS_PER_KG
            co2.feed_in_kg += float(np.nansum(sold * grams)) / GRAMS_PER_KG
            co2.unknown_kwh += float(np.nansum(np.where(np.isnan(grams), bought, 0.0)))
        named = tariffs.of(site)
        if named is None:
            continue
        names.add(named[0])
        _add_site(money, cost, bought, sold, named[1], (middle, zone, known))
        money.standing += named[1].standing_per_day * days
    if names:
        money.tariffs = tuple(sorted(names))
        made.money = money
        made.cost = gathered(found.starts, cost, made.bounds)
    made.co2 = co2


def _add_site(
    money: Money,
    cost: FloatArray,
    bought: FloatArray,
    sold: FloatArray,
    tariff: Tariff,
    at: tuple[FloatArray, tzinfo, Mapping[str, FloatArray]],
) -> None:
    price, earned = tariff.grid.at(*at), tariff.feed_in.at(*at)
    paid, income = bought * price, sold * earned
    money.import_cost += float(np.nansum(paid))
    money.feed_in_income += float(np.nansum(income))
    money.priced_import_kwh += float(np.nansum(np.where(np.isnan(price), 0.0, bought)))
    for energy, rate in ((bought, price), (sold, earned)):
        money.unpriced_kwh += float(np.nansum(np.where(np.isnan(rate), energy, 0.0)))
    known = ~np.isnan(paid) | ~np.isnan(income)
    step = np.nan_to_num(paid) - np.nan_to_num(income)
    cost[known] = np.nan_to_num(cost[known]) + step[known]


def _steps(flows: Mapping[str, Measured], name: str, count: int) -> FloatArray:
    found = flows.get(name)
    return np.full(count, math.nan) if found is None else found.steps_kwh
