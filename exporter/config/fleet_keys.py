"""What each key of the fleet file means, for its reference."""

from __future__ import annotations

from scoring.limits import CONFIGURABLE
from scoring.rule import Limit, Severity
from scoring.rules import RULES

SITE_KEYS = {
    "id": "Stable name in metrics, storage and addresses: letters, digits and `_.:-`, 64 at most. "
    "A site with a new id has no past",
    "name": "What people call it; the `id` where it has none",
    "location": "Place, as people say it; questions find sites by it",
    "api_endpoint": "Where it listens: `http://HOST:PORT`, or the scheme of its driver; `push` "
    "alone does without it",
    "driver": "How the site is asked; each driver has further keys ([drivers](#drivers))",
    "drivers": "Several ways in, the best one first, instead of `driver` and `api_endpoint` "
    "([ways in](#several-ways-in))",
    "kind": "What the site is ([kinds](#kinds)): it decides what is missing where it is not given",
    "battery_type": "Sites of one type are compared with each other",
    "capacity_kwh": "Nominal energy of the battery, kWh; costs go by it",
    "solar_capacity_kw": "Installed PV, kW; none or 0 is a site without PV",
    "commissioned": "Day on which the battery went into service (`2023-10-01`), from 1990; an "
    "estimate of its state of health by age is made only with it "
    "([cells.md](cells.md#state-of-health))",
    "priority": "Decides how soon alerts are sent, and the order between equal scores",
    "latitude": "Degrees, north positive",
    "longitude": "Degrees, east positive",
    "tilt": "Of the PV, degrees from horizontal; taken as 30 where it is not given. Without it, or "
    "without an azimuth (from 1° on), PV must be low for six hours of judged time without a night "
    "between, make nothing for 90 minutes, or fall beside its own past for three days",
    "azimuth": "Of the PV, degrees east of north (180 is south); towards the equator where it is "
    "not given",
    "timezone": "IANA name such as `Europe/Madrid`, for maintenance and days; UTC where there is "
    "none",
    "region": "Sites of one region share weather, grid and network: they are compared, and their "
    "alerts become one",
    "project": "Customer to whom the site belongs: letters, digits, `_` and `-`, 32 at most. Sites "
    "of other projects are no peers, and people see the projects of their roles "
    "([security.md](security.md#projects-and-roles))",
    "vendor": "Maker of the battery, to choose and group by",
    "grid_nominal_hz": "Nominal frequency",
    "grid_nominal_v": "Nominal phase voltage; 230 at 50 Hz and 120 at 60 Hz where it is not given",
    "off_grid": "`true` where there should be no grid, so that none is missed",
    "interval_seconds": "Seconds between scrapes; `FLEETSCOPE_INTERVAL_SECONDS` where it is not "
    "given",
    "tags": "Words to choose sites by",
}
PROJECT_KEYS = {
    "name": "What people call it",
    "most_sites": "Sites that it may have; a file with more is refused",
    "share": "How many times the limits of one caller all its callers have together",
    "requests_per_minute": "Requests that its callers may send together",
}
_DEGREES = {
    Severity.INFO: "for information",
    Severity.WARNING: "a warning",
    Severity.CRITICAL: "critical",
}


def _threshold_meaning(limit: Limit) -> str:
    """What the rules make of a threshold."""
    parts = []
    subject = ""
    for rule in RULES:
        for level in reversed(rule.levels):
            if level.limit != limit.name:
                continue
            unit = f" in {limit.unit}" if limit.unit else ""
            subject = f"{rule.subject[0].upper()}{rule.subject[1:]}{unit}"
            side = (
                f"{level.further:g} {limit.unit} further"
                if level.further
                else f"{level.side.value} it"
            )
            parts.append(f"{side} {_DEGREES[level.severity]}")
    if not parts:
        return limit.note
    parts = list(dict.fromkeys(parts))
    return f"{subject}; {', '.join(parts)}" + (f"; {limit.note}" if limit.note else "")


THRESHOLD_KEYS = {limit.name: _threshold_meaning(limit) for limit in CONFIGURABLE}
