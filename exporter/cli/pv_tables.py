"""PV against the sun in a terminal: a part of ``fleetscope energy``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def pv_sentences(pv: dict[str, Any], cost: dict[str, Any] | None) -> list[str]:
    """What was made of what was expected, and what took most of the rest."""
    made, expected, lost = pv["measured_kwh"], pv["expected_kwh"], pv["lost_kwh"]
    share = f" ({100 * made / expected:.0f} %)" if expected > 0 else ""
    against = "the weather" if pv["by_weather"] else "a clear sky"
    line = f"PV made {made:z,.1f} of {expected:z,.1f} kWh{share} that {against} allowed"
    if pv["performance_ratio"] is not None:
        line += f"; performance ratio {pv['performance_ratio']:.2f}"
        line += f", {pv['performance_ratio_25c']:.2f} at 25 °C"
    lines = [f"{line}."]
    known = [one for one in pv["losses"] if one["cause"] != "rest" and one["kwh"] >= 0.05]
    parts = [
        f"{one['label']} {one['kwh']:z,.1f} kWh{_money(one['value'], cost)}"
        for one in sorted(known, key=lambda one: -one["kwh"])
    ]
    rest = next((one["kwh"] for one in pv["losses"] if one["cause"] == "rest"), 0.0)
    parts.append(f"weather and what nothing explains {rest:z,.1f} kWh")
    lines.append(f"Of {lost:z,.1f} kWh below that: {', '.join(parts)}.")
    if pv["clipped_kwh"] >= 0.05:
        lines.append(f"The inverters' limit took {pv['clipped_kwh']:z,.1f} kWh, as it should.")
    if pv["unobserved_kwh"] >= 0.05:
        lines.append(f"Another {pv['unobserved_kwh']:z,.1f} kWh were expected while nobody looked.")
    return lines


def _money(value: float | None, cost: dict[str, Any] | None) -> str:
    return f" ({value:z,.2f} {cost['currency']})" if value is not None and cost else ""


def show_pv(out: Console, pv: dict[str, Any], moment: Callable[[float], datetime]) -> None:
    """The days, inverters and the trend of dirt."""
    from exporter.cli.console import plain_table

    if pv["days"]:
        table = plain_table(
            *("", "Made", "Expected", "Band", "Ratio", "At 25 °C", "Largest loss"),
            title="PV by day",
        )
        for day in pv["days"]:
            ratios = (day["performance_ratio"], day["performance_ratio_25c"])
            table.add_row(
                f"{moment(day['start']):%a %d %b %Y}",
                f"{day['measured_kwh']:z,.1f} kWh",
                f"{day['expected_kwh']:z,.1f} kWh",
                f"{day['low_kwh']:z,.1f} to {day['high_kwh']:z,.1f}"
                + ("" if day["own_band"] else " (assumed)"),
                *("–" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
                _largest(day["losses"], pv),
            )
        out.print(table)
    if pv["inverters"]:
        table = plain_table("Site", "Inverter", "Made", "Below its share")
        for one in pv["inverters"]:
            lost = f"{one['lost_kwh']:z,.1f} kWh" if one["lost_kwh"] >= 0.05 else ""
            table.add_row(one["site"], one["inverter"], f"{one['kwh']:z,.1f} kWh", lost)
        out.print(table)
    trend = pv["soiling"]
    if trend is not None and trend["percent_per_day"] is not None:
        out.print(
            f"Trend since the last cleaning: {trend['percent_per_day']:+.2f} % a day (90 %: "
            f"{trend['low']:+.2f} to {trend['high']:+.2f}).",
            markup=False,
        )


def _largest(losses: dict[str, float], pv: dict[str, Any]) -> str:
    labels = {one["cause"]: one["label"] for one in pv["losses"]}
    known = {cause: kwh for cause, kwh in losses.items() if kwh >= 0.05}
    if not known:
        return ""
    cause = max(known, key=lambda one: known[one])
    return f"{labels[cause]} {known[cause]:z,.1f} kWh"
