"""Sites as plain JSON values, in the two sizes that the API gives them in."""

from __future__ import annotations

import math
from typing import Any

from exporter import __version__
from exporter.assess.assessment import FleetAssessment, Issue, as_dict, common_dicts
from exporter.config.fleet import Fleet, Site
from exporter.config.maintenance import in_maintenance
from scoring.status import Status

BRIEF_READINGS = (
    "soc_percent",
    "soh_percent",
    "power_w",
    "pv_power_w",
    "grid_power_w",
    "load_power_w",
)
"""The readings of a site in a list of many."""


def fleet_dict(assessment: FleetAssessment) -> dict[str, Any]:
    """The fleet as a whole."""
    return {
        "time": assessment.time,
        "version": __version__,
        "sites": len(assessment.fleet.sites),
        "counts": {status.name: count for status, count in assessment.counts.items()},
        "mean_score": assessment.mean,
        "median_score": assessment.median,
        "attention": [assessment.fleet.sites[row].id for row in assessment.needing_attention()],
        "common_issues": common_dicts(assessment),
        "unseen": _unseen(assessment),
    }


def _unseen(assessment: FleetAssessment) -> dict[str, Any] | None:
    """The part of the fleet that nobody sees now; None where all of it is seen."""
    if not assessment.unseen:
        return None
    return {
        "sites": assessment.unseen_sites,
        "ratio": round(assessment.unseen_sites / len(assessment.fleet.sites), 4),
        "sentence": assessment.unseen_sentence,
        "shards": [
            {"shard": s.shard, "sites": len(s.sites), "since": s.since, "reason": s.reason}
            for s in assessment.unseen
        ],
    }


def site_dict(assessment: FleetAssessment, row: int) -> dict[str, Any]:
    """Everything about one site, with the thresholds in force for it."""
    place = assessment.fleet.sites[row]
    return {
        "time": assessment.time,
        **as_dict(assessment.site(row)),
        "in_maintenance": in_maintenance(assessment.fleet, place, assessment.time),
        "capacity_kwh": place.capacity_kwh,
        "solar_capacity_kw": place.solar_capacity_kw,
        "off_grid": place.off_grid,
        "blocks": place.blocks,
        "thresholds": _thresholds(assessment.fleet, row),
        "contact": _contact(place),
    }


def _contact(site: Site) -> dict[str, str | None] | None:
    """Whom to call; the Assessment holds the contacts that the caller may see."""
    contact = site.contact
    if contact is None:
        return None
    return {"name": contact.name, "phone": contact.phone, "email": contact.email}


def _thresholds(fleet: Fleet, row: int) -> dict[str, float]:
    return fleet.thresholds_of(fleet.sites[row]).model_dump()


def brief(assessment: FleetAssessment, row: int) -> dict[str, Any]:
    """One site in a list of many: its state, its worst issue, where its power goes."""
    place = assessment.fleet.sites[row]
    scores = assessment.scores
    issues = assessment.issues[row]
    return {
        "id": place.id,
        "name": place.title,
        "location": place.location,
        "region": place.region,
        "project": place.project,
        "vendor": place.vendor,
        "battery_type": place.battery_type,
        "kind": place.kind,
        "priority": place.priority,
        "status": Status(int(scores.overall.status[row])).name,
        "score": _number(float(scores.overall.score[row])),
        "components": {part.name: _number(float(part.score[row])) for part in scores.components},
        "attention_rank": int(scores.attention[row]),
        "issues": len(issues),
        "worst": issue_dict(issues[0]) if issues else None,
        "missing": [name for name, mask in scores.overall.missing if mask[row]],
        "readings": {
            name: round(value, 1)
            for name in BRIEF_READINGS
            if not math.isnan(value := float(assessment.readings[name][row]))
        },
        "in_maintenance": in_maintenance(assessment.fleet, place, assessment.time),
    }


def issue_dict(issue: Issue) -> dict[str, Any]:
    """One issue, with everything that an Assessment says of it."""
    return {field: getattr(issue, field) for field in Issue.__slots__}


def pack_dicts(assessment: FleetAssessment, row: int) -> list[dict[str, Any]]:
    """The batteries of a site that tell of cells, as last read; a missing value is null."""
    return [
        {
            "device": pack.device,
            "active": pack.active,
            "age_seconds": round(assessment.monotonic - pack.seen, 1),
            "readings": {k: v for k, v in pack.readings.items() if not math.isnan(v)},
            "cell_min_id": pack.cell_min_id,
            "cell_max_id": pack.cell_max_id,
            "cells": [
                {"cell": label, "voltage_v": _number(volts), "temperature_c": _number(celsius)}
                for label, volts, celsius in (
                    zip(
                        pack.cells.labels,
                        pack.cells.voltages_v,
                        pack.cells.temperatures_c,
                        strict=True,
                    )
                    if pack.cells
                    else ()
                )
            ],
        }
        for pack in assessment.records[row].packs
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
