"""What alerts on sites and on regions share, recorded before they are evaluated.

Alerts find the few sites that they may speak of here, so that each of them need not read a series
of every site.
"""

from __future__ import annotations

from provisioning.prometheus.alert import (
    EACH_SITE,
    NOT_IN_MAINTENANCE,
    WATCHED,
    Record,
    indented,
)
from scoring.outliers import OUTLIER_METRICS, THRESHOLD
from scoring.rules import (
    BATTERY_TEMPERATURE,
    GRID_FREQUENCY,
    GRID_LOST,
    GRID_VOLTAGE,
)
from scoring.status import Status

REMARK = """\
First come recordings of what these alerts read of every site."""

COOLER_BY = 2
"""Degrees below its limit at which a battery is no longer too hot."""
LATCHED = "site:battery_temperature_limit:latched"
TEMPERATURE = "fleetscope_battery_temperature_celsius"
UNWELL = "site:status:unwell"
BEYOND = "site:outlier_score:beyond"
_UNWELL = (Status.OFFLINE, Status.CRITICAL, Status.WARNING)
_GRID = (GRID_LOST, GRID_FREQUENCY, GRID_VOLTAGE)


def _outside() -> str:
    """Outlier scores in the bad direction only: hotter, wider apart, more aged, less PV."""
    high, low = (
        "|".join(m.name for m in OUTLIER_METRICS if m.worse in (side, "both"))
        for side in ("high", "low")
    )
    return (
        f'fleetscope_site_outlier_score{{metric=~"{high}"}} > {THRESHOLD:g}\n'
        f'or fleetscope_site_outlier_score{{metric=~"{low}"}} < -{THRESHOLD:g}'
    )


RECORDS = (
    Record(
        UNWELL,
        f'fleetscope_site_status{{status=~"{"|".join(s.name for s in _UNWELL)}"}} == 1',
    ),
    Record(BEYOND, _outside()),
    Record(
        LATCHED,
        "max by (job, instance, site) (\n"
        f'  fleetscope_site_issue_threshold{{code="{BATTERY_TEMPERATURE.code}"}}\n'
        ")\n"
        "or\n"
        "(\n"
        f"  {LATCHED}\n"
        f"  and {EACH_SITE}\n"
        f"    ({TEMPERATURE} > {EACH_SITE} {LATCHED} - {COOLER_BY})\n"
        ")",
        f"Hysteresis of {COOLER_BY} °C: the limit that a battery has passed, kept until it is "
        f"{COOLER_BY} °C\nbelow it. The rule reads what it wrote at its last evaluation.",
    ),
    Record(
        WATCHED,
        f"(\n{indented(NOT_IN_MAINTENANCE, 2)}\n)\n"
        f"and {EACH_SITE}\n"
        "  (\n"
        "    fleetscope_site_issue\n"
        f"    or {UNWELL}\n"
        f"    or {LATCHED}\n"
        "    or fleetscope_cell_finding\n"
        "  )",
        "Of the sites that are counted as watched below, those of which an alert may have\n"
        "something to say, with whatever alerts say of them. A site in planned maintenance is not\n"
        "here and raises no alert: alerts on sites join this, or leave such sites out themselves.",
    ),
    Record(
        "region:sites_watched:count", f"count by (region) (\n{indented(NOT_IN_MAINTENANCE, 2)}\n)"
    ),
    Record(
        "region:sites_offline:count",
        f"count by (region) (\n"
        f'  {UNWELL}{{status="{Status.OFFLINE.name}"}}\n'
        f"    * {EACH_SITE} group_left (region) {WATCHED}\n"
        ")",
    ),
    Record(
        "region:sites_grid_issue:count",
        "count by (region, code) (\n"
        f'  fleetscope_site_issue{{code=~"{"|".join(rule.code for rule in _GRID)}"}}\n'
        f'    * {EACH_SITE} group_left (region) {WATCHED}{{region!=""}}\n'
        ")",
    ),
)
