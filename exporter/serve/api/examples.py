"""An example of every reply for the OpenAPI description, and the schema that it implies.

The tests compare each example with what the service answers.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from exporter.serve.api.problems import MEDIA_TYPE

_TIME = 1_780_000_000.0
_ISSUE = {
    "code": "battery_soh",
    "component": "battery",
    "severity": "critical",
    "value": 68.0,
    "threshold": 70.0,
    "unit": "%",
    "deduction": 50.0,
    "sentence": "State of health is 68 %, below 70 %",
    "action": "Check the warranty terms and plan a capacity test; order a replacement if it "
    "confirms.",
    "since": _TIME - 86400,
}
_COMPONENTS = {"battery": 50.0, "grid": 100.0, "solar": None, "connectivity": 100.0}
_PAGE = {"total": 1, "offset": 0, "limit": 100, "next": None}
_SITE = {
    "id": "site_alpha",
    "name": "Alpha",
    "location": "Leeds, UK",
    "region": "yorkshire",
    "vendor": "Victron",
    "battery_type": "Pylontech US3000C",
    "priority": "high",
    "status": "CRITICAL",
    "score": 49.0,
    "components": _COMPONENTS,
    "weights": {"battery": 0.4, "grid": 0.3, "solar": 0.2, "connectivity": 0.1},
    "coverage": 0.8,
    "missing": ["latitude"],
    "attention_rank": 1,
    "performance_rank": 12,
    "issues": [_ISSUE],
    "outlier_scores": {"soh": -6.1},
    "readings": {"soc_percent": 74.0, "soh_percent": 68.0, "power_w": -520.0},
    "reading_ages_seconds": {"soc_percent": 3.1, "soh_percent": 3.1, "power_w": 3.1},
    "up": True,
    "outcome": "ok",
    "detail": "",
    "last_success": _TIME - 3,
    "scrape_seconds": 0.08,
    "properties": {"serial": "c0619ab00001"},
}
_BRIEF = {
    "id": "site_alpha",
    "name": "Alpha",
    "location": "Leeds, UK",
    "region": "yorkshire",
    "vendor": "Victron",
    "battery_type": "Pylontech US3000C",
    "priority": "high",
    "status": "CRITICAL",
    "score": 49.0,
    "components": _COMPONENTS,
    "attention_rank": 1,
    "issues": 1,
    "worst": _ISSUE,
    "missing": ["latitude"],
    "readings": {"soc_percent": 74.0, "power_w": -520.0},
    "in_maintenance": False,
}
_THRESHOLDS = {
    "battery_soh_warning": 85.0,
    "battery_soh_critical": 70.0,
    "grid_frequency_min": 49.5,
    "grid_frequency_max": 50.5,
    "temperature_max": 45.0,
    "cell_spread_warning": 0.1,
    "cell_spread_critical": 0.15,
    "soc_critical": 10.0,
}
_FIGURE = {
    "item": "new battery",
    "amount": 25_200.0,
    "currency": "EUR",
    "quantity": 56.0,
    "unit": "kWh",
    "price": 450.0,
    "assumption": "list price of the module maker, without installation",
}

EXAMPLES: dict[str, Any] = {
    "fleet": {
        "time": _TIME,
        "version": "0.1.0",
        "sites": 12,
        "counts": {
            "HEALTHY": 7,
            "GOOD": 0,
            "WARNING": 3,
            "CRITICAL": 1,
            "OFFLINE": 1,
            "UNKNOWN": 0,
        },
        "mean_score": 82.1,
        "median_score": 98.5,
        "attention": ["site_epsilon", "site_alpha"],
        "common_issues": [
            {
                "code": "grid_frequency",
                "sites": ["site_beta", "site_zeta", "site_eta"],
                "attribute": "region",
                "value": "yorkshire",
                "sentence": "3 sites have grid_frequency, all of them in region yorkshire",
            }
        ],
    },
    "issues": {
        "time": _TIME,
        **_PAGE,
        "issues": [{"site": "site_alpha", "name": "Alpha", **_ISSUE}],
    },
    "sites": {"time": _TIME, **_PAGE, "sites": [_SITE]},
    "brief": {"time": _TIME, **_PAGE, "sites": [_BRIEF]},
    "site": {
        "time": _TIME,
        **_SITE,
        "in_maintenance": False,
        "capacity_kwh": 56.0,
        "solar_capacity_kw": 12.0,
        "off_grid": False,
        "thresholds": _THRESHOLDS,
    },
    "packs": {
        "time": _TIME,
        "site": "site_alpha",
        "packs": [
            {
                "device": "battery/512",
                "active": True,
                "age_seconds": 3.1,
                "readings": {"voltage_v": 52.5, "cell_spread_v": 0.02},
                "cell_min_id": "C3",
                "cell_max_id": "C7",
                "cells": [{"cell": "1", "voltage_v": 3.281, "temperature_c": None}],
            }
        ],
    },
    "cells": {
        "site": "site_alpha",
        "time": _TIME,
        "fault": None,
        "packs": [
            {
                "pack": "battery/512",
                "start": _TIME - 90 * 86400,
                "end": _TIME,
                "samples": 207360,
                "resting_windows": 1210,
                "trend_basis": "rest",
                "spread_rest_v": 0.024,
                "cells": [
                    {
                        "cell": "7",
                        "deviation_v": -0.018,
                        "temperature_k": 0.4,
                        "slope_v_per_day": -0.001,
                        "slope_low": -0.0011,
                        "slope_high": -0.0009,
                        "resistance_ratio": 1.02,
                        "forecasts": [
                            {"millivolts": 30, "days": 12.0, "earliest": 10.0, "latest": 14.0}
                        ],
                    }
                ],
                "findings": [
                    {
                        "cell": "7",
                        "reason": "trend",
                        "severity": "warning",
                        "value": -0.001,
                        "unit": "V/day",
                        "since": _TIME - 18 * 86400,
                        "sentence": "Cell 512/7 falls 1.00 mV a day against its pack and reaches "
                        "30 mV (warning) in about 12 days (10 to 14)",
                    }
                ],
                "cycling": {
                    "days": 90.0,
                    "cycles": 94.5,
                    "equivalent_full": 61.2,
                    "depth_counts": [3.0, 21.5],
                    "charged_kwh": 3512.0,
                    "discharged_kwh": 3301.0,
                    "missing_hours": 2.5,
                    "efficiency": 0.94,
                    "efficiency_uncertainty": 0.01,
                    "temperature_hours": [120.0, 1800.0],
                },
                "health": {
                    "reported_percent": 97.0,
                    "reported_class": "nominal",
                    "measured_percent": None,
                    "measured_uncertainty": None,
                    "measured_spans": 0,
                    "estimate": {
                        "percent": 92.4,
                        "calendar": 5.4,
                        "cycles": 2.2,
                        "imbalance": 0.0,
                        "years": 2.15,
                        "full_cycles": 63.0,
                        "cycles_basis": "counters",
                        "formula": "100 - min(2.5 * years, 15) - min(0.035 * full cycles, 20) "
                        "- imbalance",
                    },
                },
            }
        ],
    },
    "ranking": {
        "time": _TIME,
        "by": "soh_percent",
        "unit": "%",
        **_PAGE,
        "unknown": 2,
        "ranking": [
            {"place": 1, "id": "site_alpha", "name": "Alpha", "status": "CRITICAL", "value": 68.0}
        ],
    },
    "outliers": {
        "time": _TIME,
        "metrics": [
            {
                "metric": "soh",
                "unit": "%",
                "worse": "low",
                "meaning": "State of health lower than that of comparable batteries.",
                "scored": 11,
                "sites": [
                    {
                        "id": "site_alpha",
                        "name": "Alpha",
                        "z": -6.1,
                        "flagged": True,
                        "concern": True,
                        "median": 95.0,
                        "mad": 1.5,
                        "group": "fleet",
                        "members": 11,
                    }
                ],
            }
        ],
    },
    "compare": {
        "time": _TIME,
        "sites": [
            {"id": "site_alpha", "name": "Alpha", "status": "CRITICAL"},
            {"id": "site_beta", "name": "Beta", "status": "WARNING"},
        ],
        "metrics": [
            {
                "metric": "soh_percent",
                "unit": "%",
                "values": {"site_alpha": 68.0, "site_beta": None},
                "fleet_median": 95.0,
                "fleet_known": 11,
            }
        ],
    },
    "history": {
        "metric": "soc_percent",
        "site": "site_alpha",
        "unit": "%",
        "since": _TIME - 86400,
        "until": _TIME,
        "query": 'SELECT "soc_percent" FROM "battery" WHERE "site" = \'site_alpha\' AND …',
        "stretch_seconds": 0,
        "series": [
            {
                "tags": {"device": "battery/512"},
                "read": 8640,
                "times": [_TIME - 86400, _TIME - 43200, _TIME],
                "values": [74.0, None, 71.5],
                "minimum": 12.0,
                "maximum": 98.0,
            }
        ],
    },
    "report": {
        "made": _TIME,
        "start": _TIME - 604800,
        "end": _TIME,
        "version": "0.1.0",
        "sites": 12,
        "counts": {
            "HEALTHY": 11,
            "GOOD": 0,
            "WARNING": 0,
            "CRITICAL": 1,
            "OFFLINE": 0,
            "UNKNOWN": 0,
        },
        "mean_score": 91.4,
        "mean_score_before": 93.0,
        "availability": 0.997,
        "availability_before": None,
        "score_times": [_TIME - 7200, _TIME - 3600],
        "score_values": [93.0, 91.0],
        "energy_days": [_TIME - 86400],
        "energy_by_day": {"pv_kwh": [310.5]},
        "energy": {"pv_kwh": 2140.0, "import_kwh": 310.0},
        "common": [],
        "attention": [
            {
                "site": "site_alpha",
                "name": "Alpha",
                "location": "Leeds, UK",
                "priority": "high",
                "status": "CRITICAL",
                "score": 49.0,
                "sentences": [_ISSUE["sentence"]],
                "action": _ISSUE["action"],
                "since": _TIME - 86400,
                "figures": [_FIGURE],
                "unpriced": [],
            }
        ],
        "changes": [
            {
                "site": "site_alpha",
                "name": "Alpha",
                "before": "WARNING",
                "after": "CRITICAL",
                "score_before": 69.0,
                "score_after": 49.0,
            }
        ],
        "began": [
            {
                "site": "site_alpha",
                "name": "Alpha",
                "code": "battery_soh",
                "severity": "critical",
                "sentence": _ISSUE["sentence"],
                "since": _TIME - 86400,
                "ended": False,
            }
        ],
        "worsening": [
            {
                "site": "site_beta",
                "name": "Beta",
                "quantity": "soh_percent",
                "unit": "%",
                "level": 87.1,
                "per_month": -0.6,
                "limit": 85.0,
                "when": _TIME + 9e6,
                "earliest": _TIME + 8e6,
                "latest": _TIME + 11e6,
                "times": [_TIME - 86400],
                "values": [87.1],
            }
        ],
        "periods": [
            {
                "site": "site_alpha",
                "name": "Alpha",
                "availability": 0.998,
                "availability_before": None,
                "observed": 1.0,
                "mean_score": 60.2,
                "mean_score_before": None,
                "pv_kwh": 210.0,
                "load_kwh": 180.4,
                "import_kwh": 31.0,
                "export_kwh": 55.2,
                "charged_kwh": 70.1,
                "discharged_kwh": 66.0,
            }
        ],
        "currency": "EUR",
        "cost_total": 25_380.0,
        "energy_costs": [],
        "assumptions": ["new battery: list price of the module maker, without installation"],
        "unpriced": ["energy to the grid: no feed_in_per_kwh in the price list"],
        "missing": [],
        "queries": ["SELECT …"],
    },
}
_PROBLEMS = {
    404: ("Not Found", "there is no site with the id 'site_omega'"),
    422: ("Unprocessable Content", "limit: expected greater than or equal to 1"),
    503: ("Service Unavailable", "nothing is stored: FLEETSCOPE_INFLUXDB_URL is not set"),
}


def of(
    name: str, *problems: int, also: str | None = None, media: tuple[str, ...] = ()
) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route: its example, and the problems that it may answer with.

    ``also`` names an example of another form that the reply can have, ``media`` are other
    types of it.
    """
    example = EXAMPLES[name]
    schema = _schema(example)
    if also is not None:
        schema = {"anyOf": [schema, _schema(EXAMPLES[also])]}
    content: dict[str, Any] = {"application/json": {"schema": schema, "example": example}}
    content |= {kind: {} for kind in media}
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": "The answer", "content": content},
        304: {"description": "The caller has it already, by its ETag"},
    }
    for status in sorted({422, *problems}):
        title, detail = _PROBLEMS[status]
        told = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        body = {MEDIA_TYPE: {"schema": _schema(told), "example": told}}
        found[status] = {"description": title, "content": body}
    return found


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problems that any route may answer with, before it sees the request."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
        schema = _schema(told | {"detail": ""})
        found[status] = {"description": told["title"], "content": {MEDIA_TYPE: {"schema": schema}}}
    return found


def _schema(value: Any, inner: bool = False) -> dict[str, Any]:
    """A schema that the value and its like fulfil: any value within it may be missing."""
    if isinstance(value, dict):
        parts = {key: _schema(part, inner=True) for key, part in value.items()}
        return {"type": ["object", "null"] if inner else "object", "properties": parts}
    if isinstance(value, list):
        return {"type": "array", "items": _schema(value[0]) if value else {}}
    if isinstance(value, bool):
        return {"type": ["boolean", "null"]}
    if isinstance(value, (int, float)):
        return {"type": ["number", "null"]}
    return {"type": ["string", "null"]} if isinstance(value, str) else {}
