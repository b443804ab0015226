"""What is stored of energy beside readings, for the reference: measurement to tags and fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exporter.energy import forecasts, market_prices, plans

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
        market_prices.MEASUREMENT: Stored(
            market_prices.KEPT_AT,
            ("series",),
            "Series of the tariff file, as published.",
            {
                "price": ("–", "Per kWh, in the currency of the tariff file; of CO2 grams"),
                "seconds": ("s", "How long it counts"),
            },
        ),
    }
)
