"""The lower part of the overview: where sites are, and how their scores are spread."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, geomap, stat
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit import look
from grafana.kit.panels import (
    SITE_URL,
    Face,
    bars,
    colour,
    columns,
    link,
    ordered,
    tiles,
    transform,
    world,
)
from grafana.kit.queries import (
    ON_SITE,
    SITES,
    Target,
    prom_now,
    prom_table,
)
from scoring.status import GOOD_FROM, HEALTHY_FROM, WARNING_FROM, Status

NO_SITES = "No site has these properties, or Prometheus reaches no exporter"
MARKERS = 500
BUCKETS = tuple((low, low + 10) for low in range(90, -1, -10))


def add_places(made: Dashboard) -> None:
    """Append the map, the distribution of scores, regions and the number of sites."""
    made.with_panel(_map()).with_panel(_distribution())
    made.with_panel(_regions()).with_panel(_sites())


def _map() -> geomap.Panel:
    placed = (
        f"max by (site, name, status, latitude, longitude) (bottomk({MARKERS}, {SITES}) "
        f"* {ON_SITE} "
        'group_left (latitude, longitude) fleetscope_site_info{latitude!="",longitude!=""})'
    )
    numeric = [
        {"targetField": name, "destinationType": "number"} for name in ("latitude", "longitude")
    ]
    face = Face(
        title="Map",
        description="The chosen sites that the fleet file gives a place to, coloured by status; "
        f"of more than {MARKERS} those with the lowest scores. The worst lie on top. Click on one "
        "to open it.",
        size=(9, 11),
        unit=look.SCORE,
        empty="No chosen site has a latitude and longitude in the fleet file",
        decimals=0,
        mappings=look.status_mappings(),
        targets=[prom_table(placed)],
        transformations=[
            transform("convertFieldType", conversions=numeric, fields={}),
            ordered("Value", descending=True),
            columns(
                {
                    "name": "Site",
                    "status": "Status",
                    "Value": "Score",
                    "latitude": "latitude",
                    "longitude": "longitude",
                    "site": "site",
                },
                drop=["Time"],
            ),
        ],
        overrides={"Site": link("Open the site", SITE_URL)},
    )
    return world(face, latitude="latitude", longitude="longitude", colour="Status")


def _distribution() -> bargauge.Panel:
    answering = SITES.replace("{", '{status!="OFFLINE",', 1)
    targets: list[Target] = []
    overrides = {}
    for ref, (low, high) in zip("ABCDEFGHIJ", BUCKETS, strict=True):
        upper = "" if high == 100 else f" < {high}"
        name = f"{low}–{high}" if high < 100 else f"{low}+"
        targets.append(prom_now(f"count({answering} >= {low}{upper}) or vector(0)", name, ref))
        overrides[name] = colour(_status_colour(low))
    offline = SITES.replace("{", '{status="OFFLINE",', 1)
    targets.append(prom_now(f"count({offline}) or vector(0)", "Offline", "K"))
    overrides["Offline"] = colour(look.STATUS_COLOURS[Status.OFFLINE])
    face = Face(
        title="Distribution of scores",
        description="Number of chosen sites by overall score, in the colour of the status that "
        "the score means. An upper bound belongs to the next bar; 100 is in the first.",
        size=(6, 11),
        unit=look.NUMBER,
        empty=NO_SITES,
        low=0,
        decimals=0,
        targets=targets,
        overrides=overrides,
    )
    return bars(face)


def _status_colour(score: float) -> str:
    for start, status in (
        (HEALTHY_FROM, Status.HEALTHY),
        (GOOD_FROM, Status.GOOD),
        (WARNING_FROM, Status.WARNING),
    ):
        if score >= start:
            return look.STATUS_COLOURS[status]
    return look.STATUS_COLOURS[Status.CRITICAL]


def _regions() -> bargauge.Panel:
    face = Face(
        title="Score by region",
        description="Mean overall score of all sites of each region, the twelve worst regions. An "
        "offline site counts 0.",
        size=(6, 11),
        unit=look.SCORE,
        empty="No site has a region in the fleet file",
        low=0,
        high=100,
        decimals=0,
        thresholds=look.score_limits(),
        colour=look.by_threshold(),
        targets=[
            prom_now(
                'sort(bottomk(12, fleet:region_health_score:mean{region=~"$region"}))', "{{region}}"
            )
        ],
    )
    return bars(face, names_above=True)


def _sites() -> stat.Panel:
    untried = "(fleet:sites:count - sum(fleet:health_score:count)) or fleet:sites:count"
    face = Face(
        title="Sites",
        description="Sites in the fleet files of all exporters, how many of them have not been "
        "asked yet, and how many are being worked on, whatever is chosen above.",
        size=(3, 11),
        unit=look.NUMBER,
        empty="Prometheus reaches no exporter",
        low=0,
        colour=look.fixed("text"),
        targets=[
            prom_now("fleet:sites:count", "Sites", "A"),
            prom_now(untried, "Unasked", "B"),
            prom_now("count(fleetscope_site_maintenance) or vector(0)", "Worked on", "C"),
        ],
    )
    return tiles(face, small=True)
