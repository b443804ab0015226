"""A day before: an incident at four sites, judged and stored by the real code, step by step."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from exporter.assess.assessment import FleetAssessment, assess
from exporter.assess.issues import Issue
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.snapshot import Outcome, Snapshot
from exporter.store.line_protocol import assessment_lines, event_line, order_line, snapshot_lines
from tests.serve.api.served import snapshot

STEP_SECONDS = 10.0


def midday_zone() -> ZoneInfo:
    """A zone in which it is about noon, so that "yesterday" stays the same while a test runs."""
    hours = 12 - datetime.now(UTC).hour
    return ZoneInfo(f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT")


ZONE = midday_zone()
DAY = (datetime.now(ZONE) - timedelta(days=1)).date()


def at(clock: str) -> float:
    """Unix seconds of a time of that day, such as ``09:15``."""
    hour, minute = (int(part) for part in clock.split(":"))
    return datetime(DAY.year, DAY.month, DAY.day, hour, minute, tzinfo=ZONE).timestamp()


WINDOW = ("09:08", "09:28")
"""What is asked about; things happened before and after it, too."""
OBSERVED = (("09:03", "09:20"), ("09:22", "09:33"))
"""The exporter was stopped between them."""
AWAY = ("09:11", "09:15")
"""The harbour."""
HOT = {
    "mill": (("09:04", "09:06"), ("09:29", "09:31")),
    "quarry": (("09:09", "09:13"), ("09:24", "09:27")),
}
DEGREES = {"09:09": (46.0, 52.0), "09:24": (47.0, 50.0)}
"""Of the quarry: when a stretch begins, and before it ends."""
WORN = "orchard"
RELOAD, MAINTENANCE = "09:23", ("09:12", "09:25")
ORDERS = (
    ("09:05", "o0", "accepted"),
    ("09:06", "o0", "released"),
    ("09:17", "o1", "accepted"),
    ("09:18", "o1", "effective"),
    ("09:26", "o1", "released"),
    ("09:30", "o2", "accepted"),
)
ALERTS = (("harbour", "09:12", "09:16"), ("mill", "09:30", "09:32"))


def fleet_document() -> dict[str, Any]:
    """The fleet file; nothing listens where its sites are read."""
    window = {"start": f"{DAY}T{MAINTENANCE[0]}", "end": f"{DAY}T{MAINTENANCE[1]}"}
    return {
        "sites": [
            {
                "id": name,
                "name": name.capitalize(),
                "timezone": str(ZONE),
                "api_endpoint": "http://127.0.0.1:9",
                "capacity_kwh": 10.0,
                "battery_type": "LFP",
            }
            | ({"maintenance": [window | {"reason": "new fan"}]} if name == "mill" else {})
            for name in ("harbour", "quarry", "mill", "orchard")
        ]
    }


def within(time: float, span: tuple[str, str]) -> bool:
    return at(span[0]) <= time < at(span[1])


def readings(site: str, time: float) -> dict[str, float] | None:
    """What of a site differs from a healthy one; None where it does not answer."""
    if site == "harbour" and within(time, AWAY):
        return None
    if site == WORN:
        return {"soh_percent": 82.0}
    for begin, end in HOT.get(site, ()):
        if within(time, (begin, end)):
            first, last = DEGREES.get(begin, (47.0, 47.0))
            share = (time - at(begin)) / (at(end) - at(begin))
            return {"temperature_c": round(first + (last - first) * share, 1)}
    return {}


def lines() -> Iterator[str]:
    """What the exporter stored."""
    fleet = Fleet.model_validate(fleet_document())
    for run in OBSERVED:
        state, rng = FleetState(fleet, STEP_SECONDS), random.Random(7)
        latest: FleetAssessment | None = None
        stored: dict[tuple[str, str], Issue] = {}
        yield event_line("start", "Fleetscope started", at(run[0]))
        time = at(run[0])
        while time < at(run[1]):
            for site in fleet.sites:
                changed = readings(site.id, time)
                found = (
                    Snapshot(site.id, time, 2.0, Outcome.TIMEOUT, "gave up after 2 s")
                    if changed is None
                    else snapshot(site.id, time, rng, **changed)
                )
                state.apply(found, time)
                yield from snapshot_lines(found)
            latest = assess(state, time + 1, time + 1, latest)
            active = {
                (site.id, issue.code): issue
                for site, issues in zip(fleet.sites, latest.issues, strict=True)
                for issue in issues
            }
            gone = [
                (site, one) for (site, code), one in stored.items() if (site, code) not in active
            ]
            stored = active
            yield from assessment_lines(latest, gone)
            time += STEP_SECONDS
    yield event_line("reload", "Fleet file read again: 4 sites", at(RELOAD))
    for clock, order, state_name in ORDERS:
        texts = {"order": order, "action": "charge", "issuer": "ops", "reason": "peak"}
        yield order_line("orchard", "manual", state_name, {"wanted_w": 1500.0}, texts, at(clock))


def alert_samples() -> Iterator[str]:
    """What Prometheus holds of that hour, scraped every 15 s."""
    times = range(int(at("09:03")), int(at("09:33")), 15)
    yield "# TYPE fleetscope_site_up gauge"
    yield from (f'fleetscope_site_up{{site="harbour"}} 1 {t}' for t in times)
    yield "# TYPE ALERTS gauge"
    for site, begin, end in ALERTS:
        labels = f'alertname="FleetscopeSiteOffline",severity="page",site="{site}"'
        for t in times:
            if at(begin) <= t < at(end):
                yield f'ALERTS{{{labels},alertstate="firing"}} 1 {t}'


def write_fleet(path: Path) -> Path:
    import json

    path.write_text(json.dumps(fleet_document()), "utf-8")
    return path
