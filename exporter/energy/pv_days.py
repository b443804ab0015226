"""PV of a site day by day against the sun: expectation with its band, losses by cause, ratios.

Each day is judged once, by what was known by then, and stored; API, command, report, questions and
dashboards read what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from exporter.energy.buckets import edges
from exporter.energy.market_prices import Prices
from exporter.energy.pv_past import HOURS, PvPast
from exporter.energy.tariff_file import TariffFile, zone_of_site
from exporter.model.levels import LEVELS
from exporter.store.line_protocol import tag
from scoring.forecast import SLOT_SECONDS
from scoring.pv_losses import (
    CAUSE_LABELS,
    Cause,
    PvHabits,
    inverter_deficits,
    learn_habits,
    split_losses,
    values_of,
)
from scoring.pv_ratio import Soiling, band, performance, soiling

FloatArray = NDArray[np.float64]

DAYS = "pv_day"
LOSSES = "pv_loss"
INVERTERS = "pv_inverter"
EXPECTED = "pv_expected"
KEPT_AT = LEVELS[2].name
"""Kept as long as the roll-up of hours, which is for ever unless the settings say otherwise."""
SLOTS_KEPT_AT = LEVELS[1].name
LEARNED_DAYS = 35
LEAST_OBSERVED = 0.9
"""A day of which less was observed teaches nothing."""


@dataclass(frozen=True, slots=True)
class PvDay:
    """A day of a site's PV, over the quarter hours whose power and expectation are known; kWh.

    Attributes
    ----------
    start, end : float
        Unix seconds; today ends with what is known.
    measured_kwh, expected_kwh : float
    low_kwh, high_kwh : float
        Eight of ten days without a fault lie within.
    own_band : bool
        Whether the site's own days show that; else it is assumed.
    clipped_kwh : float
        What the limit of the inverters takes by design; not in the expectation.
    unobserved_kwh : float
        Expected of the time in which nothing was observed; in no loss.
    losses_kwh, losses_value : dict of Cause to float
        They add up to ``expected_kwh - measured_kwh``; values in the currency of the tariff file,
        none without a tariff.
    insolation_kwh_m2 : float
    performance, at_25_c : float or None
        After IEC 61724-1, of measured or forecast irradiance only.
    inverters : dict of name to (kWh, lost kWh)
    by_weather : bool
    """

    start: float
    end: float
    measured_kwh: float
    expected_kwh: float
    low_kwh: float
    high_kwh: float
    own_band: bool
    clipped_kwh: float
    unobserved_kwh: float
    losses_kwh: Mapping[Cause, float]
    losses_value: Mapping[Cause, float]
    insolation_kwh_m2: float
    performance: float | None
    at_25_c: float | None
    inverters: Mapping[str, tuple[float, float]]
    by_weather: bool
    soiling: Soiling = field(default_factory=lambda: Soiling(0))

    @property
    def healthy_ratio(self) -> float:
        """Share of the expectation that was made but for known causes; NaN of a day that teaches
        nothing."""
        whole = self.expected_kwh + self.unobserved_kwh
        if not self.expected_kwh > 0 or self.expected_kwh < LEAST_OBSERVED * whole:
            return math.nan
        return 1.0 - self.losses_kwh[Cause.REST] / self.expected_kwh


@dataclass(frozen=True, slots=True, eq=False)
class PvKnowledge:
    """What some weeks of a site have taught, up to a day.

    Attributes
    ----------
    habits : PvHabits
    soiling : Soiling
    ratios : float array, shape (D,)
        Healthy ratios of whole days, the newest last.
    limit_w : float
    """

    habits: PvHabits
    soiling: Soiling
    ratios: FloatArray
    limit_w: float


NOTHING = PvKnowledge(PvHabits(), Soiling(0), np.empty(0), math.nan)


@dataclass(frozen=True, slots=True)
class SlotPrices:
    """Prices per kWh of each slot, and their currency; NaN and empty where there are none."""

    buy: FloatArray
    sell: FloatArray
    currency: str = ""

    @classmethod
    def of(
        cls, past: PvPast, tariffs: TariffFile | None, known: Mapping[str, Prices]
    ) -> SlotPrices:
        """Those of a site."""
        count = len(past.slots.quarter)
        named = tariffs.of(past.site) if tariffs is not None else None
        if named is None or tariffs is None:
            return cls(np.full(count, np.nan), np.full(count, np.nan))
        times = SLOT_SECONDS * np.arange(past.first, past.first + count, dtype=np.float64)
        at = times, zone_of_site(past.site), {n: p.at(times) for n, p in known.items()}
        return cls(named[1].grid.at(*at), named[1].feed_in.at(*at), tariffs.currency)


def learn_pv(past: PvPast, prices: SlotPrices) -> tuple[PvKnowledge, list[PvDay]]:
    """What the weeks of a past teach, and its days, each with the band that was known before it.

    The last day may be unfinished: it teaches nothing.
    """
    days = days_of(past, replace(NOTHING, habits=learn_habits(past.slots)), prices)
    whole = days[:-1]
    trend = Soiling(0)
    if past.slots.by_weather:
        trend = soiling(np.array([_clean_ratio(day) for day in whole]), _rain(past, whole))
    habits = learn_habits(past.slots, trend.soiled)
    ratios = np.array([day.healthy_ratio for day in whole])
    known = PvKnowledge(habits, trend, ratios, past.limit_w)
    judged = []
    for place, day in enumerate(days_of(past, known, prices)):
        low, high, own = band(ratios[:place], by_weather=day.by_weather)
        judged.append(
            replace(
                day,
                low_kwh=low * day.expected_kwh,
                high_kwh=high * day.expected_kwh,
                own_band=own,
            )
        )
    return known, judged


def _clean_ratio(day: PvDay) -> float:
    """The ratio at 25 °C with what causes other than dirt took; NaN where it is unknown."""
    if day.at_25_c is None or math.isnan(day.healthy_ratio) or not day.measured_kwh > 0:
        return math.nan
    others = sum(
        kwh for cause, kwh in day.losses_kwh.items() if cause not in (Cause.REST, Cause.SOILING)
    )
    return day.at_25_c * (day.measured_kwh + others) / day.measured_kwh


def _rain(past: PvPast, days: Sequence[PvDay]) -> FloatArray:
    times = SLOT_SECONDS * (past.first + np.arange(len(past.rain_mm)))
    found = np.full(len(days), np.nan)
    for place, day in enumerate(days):
        here = (times >= day.start) & (times < day.end) & np.isfinite(past.rain_mm)
        if here.any():
            found[place] = float(past.rain_mm[here].sum())
    return found


def days_of(past: PvPast, known: PvKnowledge, prices: SlotPrices) -> list[PvDay]:
    """The days of a past, in the time zone of its site; the band is that of what is known."""
    count = len(past.slots.quarter)
    if not count:
        return []
    start, end = float(past.first * SLOT_SECONDS), float((past.first + count) * SLOT_SECONDS)
    bounds = edges("day", start, end, zone_of_site(past.site))
    times = SLOT_SECONDS * np.arange(past.first, past.first + count, dtype=np.float64)
    losses = split_losses(past.slots, known.habits)
    _, deficits = inverter_deficits(past.slots, known.habits)
    found = []
    for begin, until in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        here = (times >= begin) & (times < until)
        if here.any():
            span = begin, min(until, end)
            found.append(_day(past, known, prices, losses, deficits, here, span))
    return found


def _day(
    past: PvPast,
    known: PvKnowledge,
    prices: SlotPrices,
    losses: Mapping[Cause, FloatArray],
    deficits: Mapping[str, FloatArray],
    here: NDArray[np.bool_],
    span: tuple[float, float],
) -> PvDay:
    slots, judged = past.slots, past.slots.judged & here
    hours = np.where(judged, slots.observed * HOURS, 0.0)
    expected_w = np.nan_to_num(slots.expected_w)

    def kwh(watts: FloatArray, lasting: FloatArray = hours) -> float:
        return float((np.nan_to_num(watts) * lasting).sum()) / 1000.0

    expected = kwh(expected_w)
    unseen = np.where(here, HOURS, 0.0) - hours
    low, high, own = band(known.ratios, by_weather=slots.by_weather)
    value: dict[Cause, float] = {}
    if prices.currency:
        of_day = {cause: watts[here] for cause, watts in losses.items()}
        columns = past.import_w[here], prices.buy[here], prices.sell[here]
        value = values_of(of_day, *columns, hours[here])
    ratio = performance(
        slots.measured_w[here],
        slots.poa_w_m2[here],
        past.expected.cell_c[here],
        past.expected.kwp,
        past.expected.temperature_coefficient,
        hours[here],
    )
    return PvDay(
        *span,
        measured_kwh=kwh(slots.measured_w),
        expected_kwh=expected,
        low_kwh=low * expected,
        high_kwh=high * expected,
        own_band=own,
        clipped_kwh=kwh(np.nan_to_num(slots.possible_w) - expected_w),
        unobserved_kwh=kwh(expected_w, unseen),
        losses_kwh={cause: kwh(watts) for cause, watts in losses.items()},
        losses_value=value,
        insolation_kwh_m2=ratio.insolation_kwh_m2,
        performance=ratio.performance if slots.by_weather else None,
        at_25_c=ratio.at_25_c if slots.by_weather else None,
        inverters={
            name: (kwh(watts), kwh(deficits.get(name, np.zeros(len(here)))))
            for name, watts in slots.inverters_w.items()
        },
        by_weather=slots.by_weather,
        soiling=known.soiling,
    )


def day_lines(site: str, day: PvDay, currency: str) -> list[str]:
    """Line protocol of a day: itself, its losses by cause, its inverters."""
    stamp, of_site = round(day.start * 1000), f"site={tag(site)}"
    trend = day.soiling
    fields: dict[str, float | None] = {
        "measured_kwh": day.measured_kwh,
        "expected_kwh": day.expected_kwh,
        "low_kwh": day.low_kwh,
        "high_kwh": day.high_kwh,
        "own_band": float(day.own_band),
        "clipped_kwh": day.clipped_kwh,
        "unobserved_kwh": day.unobserved_kwh,
        "insolation_kwh_m2": day.insolation_kwh_m2,
        "performance_ratio": day.performance,
        "performance_ratio_25c": day.at_25_c,
        "by_weather": float(day.by_weather),
        "seconds": day.end - day.start,
        "soiled_ratio": trend.soiled if day.by_weather else None,
        "soiling_percent_per_day": trend.percent_per_day,
        "soiling_low": trend.low,
        "soiling_high": trend.high,
    }
    lines = [f"{DAYS},{of_site} {_shown(fields)} {stamp}"]
    for cause in CAUSE_LABELS:
        amount: dict[str, float | None] = {
            "kwh": day.losses_kwh[cause],
            "value": day.losses_value.get(cause),
        }
        money = f',currency="{currency}"' if currency else ""
        lines.append(f"{LOSSES},{of_site},cause={cause.value} {_shown(amount)}{money} {stamp}")
    for name, (made, lost) in day.inverters.items():
        both = _shown({"kwh": made, "lost_kwh": lost})
        lines.append(f"{INVERTERS},{of_site},inverter={tag(name)} {both} {stamp}")
    return lines


def _shown(fields: Mapping[str, float | None]) -> str:
    return ",".join(
        f"{name}={round(value, 5)!r}"
        for name, value in fields.items()
        if value is not None and math.isfinite(value)
    )


def slot_lines(past: PvPast, since: float) -> list[str]:
    """Line protocol of the expectation in quarter hours, from a time on."""
    series = f"{EXPECTED},site={tag(past.site.id)}"
    lines = []
    slots = past.slots
    columns = (slots.expected_w.tolist(), slots.poa_w_m2.tolist())
    for place, (watts, poa) in enumerate(zip(*columns, strict=True)):
        start = (past.first + place) * SLOT_SECONDS
        shown = _shown(
            {"expected_w": watts, "poa_w_m2": poa, "by_weather": float(slots.by_weather)}
        )
        if start >= since and math.isfinite(watts):
            lines.append(f"{series} {shown} {round(start * 1000)}")
    return lines
