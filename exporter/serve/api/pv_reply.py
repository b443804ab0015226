"""PV against the sun as the API gives it."""

from __future__ import annotations

from typing import Any

from exporter.energy.stored_pv import PvAccount
from scoring.pv_losses import CAUSE_LABELS, FAULTS

_DAY = ("measured_kwh", "expected_kwh", "low_kwh", "high_kwh", "unobserved_kwh")
_RATIOS = ("performance_ratio", "performance_ratio_25c")


def pv_shown(made: PvAccount, sites: int) -> dict[str, Any]:
    """An account with at least one day; ``sites`` are so many that were asked about."""
    return {
        **{
            name: round(made.total(name), 4)
            for name in ("measured_kwh", "expected_kwh", "clipped_kwh", "unobserved_kwh")
        },
        "lost_kwh": round(made.lost_kwh, 4),
        "lost_value": _rounded(made.lost_value),
        **{name: _rounded(made.ratio(name)) for name in _RATIOS},
        "by_weather": all(day["by_weather"] for day in made.days),
        "losses": [
            {
                "cause": cause.value,
                "label": CAUSE_LABELS[cause],
                "fault": cause in FAULTS,
                "kwh": round(kwh, 4),
                "value": _rounded(value),
            }
            for cause, (kwh, value) in made.losses.items()
        ],
        "inverters": [
            {"site": site, "inverter": name, "kwh": round(kwh, 4), "lost_kwh": round(lost, 4)}
            for (site, name), (kwh, lost) in made.inverters.items()
        ],
        "soiling": _soiling(made) if sites == 1 else None,
        "days": [_day(day) for day in made.days] if sites == 1 else [],
    }


def _soiling(made: PvAccount) -> dict[str, float | None]:
    last = made.days[-1]
    soiled = last.get("soiled_ratio")
    return {
        "percent_per_day": last.get("soiling_percent_per_day"),
        "low": last.get("soiling_low"),
        "high": last.get("soiling_high"),
        "soiled_percent": None if soiled is None else round(100 * soiled, 2),
    }


def _day(day: dict[str, Any]) -> dict[str, Any]:
    return {
        "start": day["time"],
        "seconds": day["seconds"],
        **{name: day[name] for name in _DAY},
        "own_band": bool(day["own_band"]),
        "by_weather": bool(day["by_weather"]),
        **{name: day.get(name) for name in _RATIOS},
        "losses": {cause.value: kwh for cause, kwh in day["losses"].items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
