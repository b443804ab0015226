"""Critical cells: what the history of each says, how far off it is and when it reaches a limit."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table

from exporter.model.cell_findings import FORECAST_MV
from exporter.store.line_protocol import SEVERITY_LEVELS
from grafana.kit import look
from grafana.kit.panels import (
    CELLS_URL,
    HIDDEN,
    WRAPPED,
    Face,
    coloured,
    columns,
    grid,
    link,
    ordered,
    transform,
)
from grafana.kit.queries import ON_SITE, SITES, or_missing, prom_table

PACK_URL = "/d/fleetscope-pack/?${__url_time_range}&var-site=${site}&var-pack=${__data.fields.Pack}"
ONE = '{site="$site"}'
ON_CELL = "on (job, instance, site, pack, cell)"
BY = "max by (pack, cell, reason, severity)"
FAR_MV = FORECAST_MV[-1]
NEAREST = 8
REASONS = {
    "imbalance_rest": "Out of balance at rest",
    "imbalance_load": "Out of balance under load",
    "deviation": "Off its pack at rest",
    "temperature": "Warmer than its pack",
    "trend": "Drifts",
    "sudden_change": "Changed suddenly",
    "resistance": "High resistance",
    "sensor_stuck": "Reading is stuck",
    "sensor_noisy": "Reading jumps",
    "sensor_silent": "No reading",
    "none": "Nothing yet in the history of single cells, which is judged hourly; what stands out "
    "now is below",
}


def _days() -> dict[str, object]:
    return {
        "unit": look.DAYS,
        "decimals": 0,
        "custom.width": 84,
        "noValue": "–",
        "mappings": [look.missing_as("–"), look.as_text({"0": "Reached"})],
    } | coloured(look.limits("text", (0, look.SEVERITY_COLOURS["critical"]), (30, "text")))


def critical() -> table.Panel:
    """The worst cells of the site: a row for each reason."""
    finding = f"fleetscope_cell_finding{ONE}"
    severity = " or ".join(
        f'{BY} ({level:g} * fleetscope_cell_finding{{site="$site",severity="{name}"}})'
        for name, level in sorted(SEVERITY_LEVELS.items(), key=lambda item: -item[1])
    )

    # Tables that are merged are not empty in Grafana's eyes, and would not say why.
    nothing = f'label_replace(vector(0), "reason", "none", "", "") unless on () {finding}'

    def beside(metric: str) -> str:
        """A figure of the cell in every row of it."""
        return or_missing(
            f"{BY} ({finding} * {ON_CELL} group_left () {metric})", f"{BY} ({finding})"
        )

    ahead = dict(zip("CDE", FORECAST_MV, strict=True))
    face = Face(
        title="Critical cells",
        description="The worst cells of the site, by their history of up to 91 days: what is said "
        "of each, how far it is from its pack's median at rest, and in how many days it will be "
        "30, 60 and 100 mV off if its trend goes on. A dash is a cell without such a trend. "
        "Renewed hourly; click on a pack to see its cells.",
        size=(24, 6),
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        targets=[
            prom_table(f"{severity} or ({nothing})", "A"),
            prom_table(beside(f"fleetscope_cell_deviation_volts{ONE}"), "B"),
            *(
                prom_table(
                    beside(
                        f'fleetscope_cell_forecast_seconds{{site="$site",millivolts="{mv}"}} '
                        "/ 86400"
                    ),
                    ref,
                )
                for ref, mv in ahead.items()
            ),
        ],
        transformations=[
            transform("merge"),
            transform(
                "sortBy",
                fields={},
                sort=[{"field": "Value #A", "desc": True}, {"field": "cell", "desc": False}],
            ),
            columns(
                {
                    "Value #A": "Severity",
                    "pack": "Pack",
                    "cell": "Cell",
                    "reason": "What is said of it",
                    "Value #B": "Off its pack",
                    **{f"Value #{ref}": f"{mv} mV in" for ref, mv in ahead.items()},
                },
                drop=["Time", "severity"],
            ),
        ],
        overrides={
            "Severity": {
                "mappings": [*look.severity_mappings(), look.as_text({"0": "–"}, "transparent")],
                "custom.width": 76,
                "custom.align": "left",
                "custom.cellOptions": {"type": "color-background", "mode": "basic"},
            },
            "Pack": {**WRAPPED, **link("Open the pack", PACK_URL)},
            "Cell": {"custom.width": 56},
            "What is said of it": {"mappings": [look.as_text(REASONS)], "custom.minWidth": 140},
            "Off its pack": {
                "unit": look.UNITS["V"],
                "decimals": 3,
                "custom.width": 84,
                "noValue": "–",
                "mappings": [look.missing_as("–")],
            },
            **{f"{mv} mV in": _days() for mv in ahead.values()},
        },
    )
    return grid(face)


def nearest() -> table.Panel:
    """The cells of the chosen sites that reach the farthest limit first."""
    ahead = (
        f'fleetscope_cell_forecast_seconds{{millivolts="{FAR_MV}"}} / 86400 and {ON_SITE} {SITES}'
    )
    named = f"({ahead}) * {ON_SITE} group_left (name) fleetscope_site_info"
    face = Face(
        title="Cells that drift",
        description=f"The {NEAREST} cells of the chosen sites that will be {FAR_MV} mV from their "
        "pack's median at rest first, if their trend goes on, and in how many days. Click on a "
        "site to see its cells.",
        size=(8, 8),
        unit=look.NUMBER,
        empty="No cell of the chosen sites has a trend that leads there",
        targets=[
            prom_table(f"max by (site, name, pack, cell) (bottomk({NEAREST}, {named}))"),
        ],
        transformations=[
            ordered("Value"),
            columns(
                {
                    "name": "Site",
                    "pack": "Pack",
                    "cell": "Cell",
                    "Value": f"{FAR_MV} mV in",
                    "site": "site",
                },
                drop=["Time"],
            ),
        ],
        overrides={
            "Site": {**WRAPPED, **link("Open its cells", CELLS_URL)},
            "Pack": WRAPPED,
            "Cell": {"custom.width": 56},
            f"{FAR_MV} mV in": _days(),
            "site": HIDDEN,
        },
    )
    return grid(face)
