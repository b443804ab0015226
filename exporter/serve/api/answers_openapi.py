"""How the routes of answers are described: parameters, an example of each reply, the problems."""

from __future__ import annotations

from typing import Any

from exporter.ask.figures import CAUSES, FIGURES
from exporter.ask.query import EVENTS, ORDERS, SEVERITIES, SHOWN_UNITS, WHAT_MEANINGS
from exporter.ask.request import PARAMETERS
from exporter.serve.api.problems import MEDIA_TYPE

_TIME = 1_780_000_000.0
_SEVERAL = {"site", "filter", "condition", "where", "metric", "cause"}
_CLOSED = {
    "what": [what.value for what in WHAT_MEANINGS],
    "order": list(ORDERS),
    "severity": list(SEVERITIES),
    "events": list(EVENTS),
    "unit": list(SHOWN_UNITS),
    "figure": list(FIGURES),
    "cause": list(CAUSES),
}
EXAMPLE = {
    "query": {"what": "which", "conditions": ["low_soh"], "filters": ["region:yorkshire"]},
    "understood": "sites, low state of health, region yorkshire",
    "headline": "1 site of 4 sites asked about: low state of health.",
    "attention": True,
    "sites": ["site_alpha"],
    "cost": None,
    "coverage": None,
    "tables": [
        {
            "title": "Low state of health",
            "total": 1,
            "columns": [
                {
                    "key": "soh",
                    "label": "State of health",
                    "kind": "number",
                    "unit": "%",
                    "decimals": 1,
                }
            ],
            "rows": [{"site": "site_alpha", "name": "Alpha", "status": "CRITICAL", "soh": 68.0}],
        }
    ],
    "evidence": {
        "time": _TIME,
        "readings": [
            {
                "site": "site_alpha",
                "quantity": "battery_soh",
                "value": 68.0,
                "unit": "%",
                "time": _TIME - 3,
                "threshold": 70.0,
            }
        ],
        "missing": ["state of health of 1 site is not known: not judged by it"],
        "notes": [],
        "promql": ['max by (site) (fleetscope_site_issue{code="battery_soh"})'],
        "influxql": [],
    },
}
ASKED = {"question": "which sites have low SOH?", "session": "Zt4eJ0x2mQ0", "notes": []} | EXAMPLE
NAMES = {"time": _TIME, "sites": [{"id": "site_alpha", "name": "Alpha"}]}
_PROBLEMS = {
    404: ("Not Found", "there is no site 'Alpa'; did you mean site_alpha (Alpha)?"),
    422: ("Unprocessable Content", "there is no metric 'colour'; one of score, soc, soh"),
    503: ("Service Unavailable", "the past is in InfluxDB: no answer within 60 s"),
}


def responses(example: dict[str, Any], *problems: int) -> dict[int | str, dict[str, Any]]:
    """The replies of a route: its example, and the problems that it may answer with."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": "The answer", "content": content}
    }
    for status in problems:
        title, detail = _PROBLEMS[status]
        shown = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        body = {MEDIA_TYPE: {"schema": {"type": "object"}, "example": shown}}
        found[status] = {"description": title, "content": body}
    return found


def parameters(*names: str) -> dict[str, Any]:
    """The parameters of a query, or some of them."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name == "what",
                "description": description,
                "schema": _schema(name),
            }
            for name, description in PARAMETERS.items()
            if not names or name in names
        ]
    }


def _schema(name: str) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "integer" if name == "limit" else "string"}
    if name in _CLOSED:
        one["enum"] = _CLOSED[name]
    return {"type": "array", "items": one} if name in _SEVERAL else one
