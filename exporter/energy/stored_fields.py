"""What is stored of energy beside readings, for the reference: measurement to tags and fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exporter.energy import (
    forecasts,
    market_prices,
    misses,
    plan_orders,
    plans,
    pv_days,
    savings,
    weather,
)
from scoring.pv_losses import CAUSE_LABELS

Field = tuple[str, str]
"""Unit and meaning."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A measurement: where it is, its tags, what a row is, and its fields."""

    policy: str
    tags: tuple[str, ...]
    about: str
    fields: Mapping[str, Field]


STORED: Mapping[str, Stored] = MappingProxyType(
    {
        forecasts.MEASUREMENT: Stored(
            forecasts.KEPT_AT,
            ("site", "quantity", "lead"),
            "One row a quarter hour of `pv` and `load`. With the lead `next` it is the newest "
            "forecast of that quarter hour; with `1h`, `6h` and `24h` the one issued so long "
            "before it, written once.",
            {
                "p10_w": ("W", "One of ten values should be lower"),
                "p50_w": ("W", "One of two"),
                "p90_w": ("W", "Nine of ten"),
                "method": ("text", "Which served"),
            },
        ),
        forecasts.SCORES: Stored(
            forecasts.KEPT_AT,
            ("site", "quantity", "method", "lead"),
            "One row a day: each method over the 14 days before, each issue knowing what was known "
            "then.",
            {
                "mae_w": ("W", "Mean error of p50"),
                "pinball_w": ("W", "Mean quantile loss"),
                "coverage": ("–", "Share within p10 and p90"),
                "slots": ("–", "How many quarter hours"),
                "skill": ("–", "1 less the error as a share of that of yesterday's values"),
                "serves": ("–", "1 for the method that serves"),
                "why": ("text", "Why it does"),
            },
        ),
        misses.MEASUREMENT: Stored(
            forecasts.KEPT_AT,
            ("site", "quantity"),
            "Up to five rows a day: the quarter hours that were furthest outside of the band that "
            "was forecast 24 h before, an hour apart.",
            {
                "p50_w": ("W", "Forecast then"),
                "measured_w": ("W", "What came"),
                "missed_w": ("W", "What came less the forecast"),
                "beyond_w": ("W", "How far that is outside of the band"),
                "method": ("text", "Which served then"),
            },
        ),
        plans.MEASUREMENT: Stored(
            forecasts.KEPT_AT,
            ("site",),
            "One row a quarter hour of the newest plan.",
            {
                "mode": ("–", "0 follows load and sun, 1 hold, 2 charge, 3 discharge"),
                "action": ("text", "The same in words"),
                "reason": ("text", "Why"),
                "power_w": ("W", "Set-point, charging above 0; 0 where there is none"),
                "battery_w": ("W", "What is expected"),
                "import_w": ("W", "What is expected from the grid"),
                "export_w": ("W", "What is expected into the grid"),
                "soc_percent": ("%", "Expected at its end"),
                "buy": ("–", "Price per kWh from the grid"),
                "sell": ("–", "Price per kWh into the grid"),
            },
        ),
        plans.SUMMARY: Stored(
            forecasts.KEPT_AT,
            ("site",),
            "One row an issue: what the plan is expected to bring over its 36 h; `plain_` is plain "
            "self-consumption, amounts are in `currency`.",
            {
                "saving": ("–", "With wear and stored energy"),
                "cost": ("–", "Of energy"),
                "plain_cost": ("–", "Of energy"),
                "wear": ("–", "Of the battery"),
                "plain_wear": ("–", "Of the battery"),
                "stored": ("–", "Worth of what the battery holds more in the end"),
                "plain_stored": ("–", "The same"),
                "co2_kg": ("kg", "Of energy from the grid"),
                "plain_co2_kg": ("kg", "The same"),
                "orders": ("–", "Quarter hours that do not follow load and sun"),
                "strategy": ("text", "What it aims at"),
                "note": ("text", "Why there is no better plan, or what cannot be held"),
                "currency": ("text", "Of the tariff file"),
            },
        ),
        savings.MEASUREMENT: Stored(
            forecasts.KEPT_AT,
            ("site",),
            "One row a day of the site's time zone, stamped with its beginning, of sites with a "
            "battery and a tariff: what the battery's course has saved with the load, sun and "
            "prices that came.",
            {
                "saved": ("–", "Against plain self-consumption; below 0 it cost"),
                "possible": ("–", "What a plan that knew everything would have saved"),
                "forecast_errors": ("–", "Of that, lost because forecasts were wrong"),
                "not_followed": ("–", "Of that, lost because the plan was not carried out"),
                "coverage": ("–", "Share of quarter hours that was observed"),
                "currency": ("text", "Of the tariff file"),
            },
        ),
        plan_orders.MEASUREMENT: Stored(
            forecasts.KEPT_AT,
            ("site",),
            "One row each time that it changes: where the plans of a site stand.",
            {
                "standing": ("text", "proposed, approved, mandated or suspended"),
                "why": ("text", "What became of its orders, or why there are none"),
            },
        ),
        market_prices.MEASUREMENT: Stored(
            market_prices.KEPT_AT,
            ("series",),
            "Series of the tariff file, as published.",
            {
                "price": ("–", "Per kWh, in the currency of the tariff file; of CO2 grams"),
                "seconds": ("s", "How long it counts"),
            },
        ),
        weather.MEASUREMENT: Stored(
            weather.KEPT_AT,
            ("place",),
            "What the sources of the weather file say: the name of a source, and for one that is "
            "asked by place its coordinates.",
            {"seconds": ("s", "How long it counts")}
            | {column.name: (column.unit, column.meaning) for column in weather.COLUMNS},
        ),
        weather.AHEAD: Stored(
            weather.AHEAD_KEPT_AT,
            ("place", "lead"),
            "What sources of weather said of times ahead, so many hours (1, 6, 24, 36) before them "
            "at least: what forecasts of PV are made of, and scored by.",
            {"seconds": ("s", "How long it counts")}
            | {column.name: (column.unit, column.meaning) for column in weather.COLUMNS},
        ),
        pv_days.EXPECTED: Stored(
            pv_days.SLOTS_KEPT_AT,
            ("site",),
            "One row a quarter hour: what the PV of a site should give.",
            {
                "expected_w": ("W", "In its weather, else under a clear sky; up to the AC limit"),
                "poa_w_m2": ("W/m²", "Irradiance in the plane of the arrays"),
                "by_weather": ("–", "1 where irradiance is known"),
            },
        ),
        pv_days.DAYS: Stored(
            pv_days.KEPT_AT,
            ("site",),
            "One row a day of the site's time zone, stamped with its beginning: PV against the sun "
            "over what was observed.",
            {
                "measured_kwh": ("kWh", "Made"),
                "expected_kwh": ("kWh", "Expected in the weather, else under a clear sky"),
                "low_kwh": ("kWh", "Nine of ten days without a fault give more"),
                "high_kwh": ("kWh", "Nine of ten give less"),
                "own_band": ("–", "1 where the site's own days show that, 0 where it is assumed"),
                "clipped_kwh": ("kWh", "Beyond the AC limit, by design; not expected"),
                "unobserved_kwh": ("kWh", "Expected of the time that was not observed; no loss"),
                "insolation_kwh_m2": ("kWh/m²", "In the plane of the arrays"),
                "performance_ratio": ("–", "IEC 61724-1; only with irradiance"),
                "performance_ratio_25c": ("–", "The same at a cell temperature of 25 °C"),
                "by_weather": ("–", "1 where irradiance was measured or forecast"),
                "seconds": ("s", "Length of the day so far"),
                "soiled_ratio": ("–", "Share that dirt may take now"),
                "soiling_percent_per_day": ("%", "Trend of the ratio since the last cleaning rain"),
                "soiling_low": ("%", "The lower end of its 90 % interval"),
                "soiling_high": ("%", "The upper end"),
            },
        ),
        pv_days.LOSSES: Stored(
            pv_days.KEPT_AT,
            ("site", "cause"),
            "One row a day and cause; all of a day add up to expected less measured. Causes: "
            + "; ".join(f"`{c.value}`, {label}" for c, label in CAUSE_LABELS.items())
            + ".",
            {
                "kwh": ("kWh", "Lost; of the rest below 0 where more was made than expected"),
                "value": ("–", "What it would have been worth"),
                "currency": ("text", "Of the tariff file"),
            },
        ),
        pv_days.INVERTERS: Stored(
            pv_days.KEPT_AT,
            ("site", "inverter"),
            "One row a day and PV inverter with a meter of its own.",
            {
                "kwh": ("kWh", "Made"),
                "lost_kwh": ("kWh", "Made less than its usual share beside the others"),
            },
        ),
    }
)
