"""Dispatch · Virtual plant: the sites that take orders as one plant."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit import look
from grafana.kit.dashboard import dashboard
from grafana.kit.panels import Spec, colour, lines, tiles
from grafana.kit.queries import never_empty, prom, prom_now, prom_table
from grafana.kit.tables import Column, joined, listing, ordered

NONE = "No site takes orders: it needs dispatch in the fleet file, and FLEETSCOPE_DISPATCH"
NO_PROJECT = "No project"
WATTS = "watt"
POWER = "fleet:plant_power_watts:sum"
ENERGY = "fleet:plant_energy_joules:sum"
SITES = "fleet:plant_sites:sum"
# Joules are no unit of an operator.
KWH = "kwatth"
GIVE, TAKE = "#c8a415", look.FLOWS["Battery charge"]
"""Colours of what the plant could give and take."""


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-dispatch-plant", [])
    made.with_panel(_now()).with_panel(_energy_now())
    made.with_panel(_power()).with_panel(_energy())
    made.with_panel(_frequency()).with_panel(_available())
    return made.with_panel(_projects())


def _now() -> stat.Panel:
    spec = Spec(
        title="Power now",
        description="Battery power of the sites that take orders, positive when charging, and what "
        "they could give and take more than now within all limits.",
        size=(12, 6),
        unit=WATTS,
        empty=NONE,
        decimals=1,
        colour=look.fixed("text"),
        targets=[
            prom_now(f'{POWER}{{kind="battery"}}', "Battery", "A"),
            prom_now(f'{POWER}{{kind="up"}}', "Can give", "B"),
            prom_now(f'{POWER}{{kind="down"}}', "Can take", "C"),
        ],
    )
    return tiles(spec, rows=True, beside=True, value=22, title=13)


def _energy_now() -> stat.Panel:
    spec = Spec(
        title="Charge now",
        description="State of charge weighted by usable energy, energy above the floor, and sites "
        "that answer out of all that take orders.",
        size=(12, 6),
        unit=look.NUMBER,
        empty=NONE,
        low=0,
        colour=look.fixed("text"),
        targets=[
            prom_now("fleet:plant_soc_ratio:mean", "State of charge", "A"),
            prom_now(f'{ENERGY}{{kind="above_floor"}} / 3.6e6', "Above the floor", "B"),
            prom_now(f'{SITES}{{kind="online"}}', "Online", "C"),
            prom_now(f'{SITES}{{kind="all"}}', "Sites", "D"),
        ],
        overrides={
            "State of charge": {"unit": look.RATIO},
            "Above the floor": {"unit": KWH},
        },
    )
    return tiles(spec, rows=True, beside=True, value=22, title=13)


def _power() -> timeseries.Panel:
    spec = Spec(
        title="Power and headroom",
        description="Battery power with what the plant could give (downwards) and take (upwards) "
        "from there; dashed, what is contracted both ways.",
        size=(12, 9),
        unit=WATTS,
        empty=NONE,
        targets=[
            prom(f'{POWER}{{kind="battery"}}', "Battery", "A"),
            prom(
                f'{POWER}{{kind="battery"}} + ignoring (kind) {POWER}{{kind="down"}}',
                "Could take",
                "B",
            ),
            prom(
                f'{POWER}{{kind="battery"}} - ignoring (kind) {POWER}{{kind="up"}}',
                "Could give",
                "C",
            ),
            prom(f'{POWER}{{kind="contracted_down"}}', "Contracted to take", "D"),
            prom(f'-{POWER}{{kind="contracted_up"}}', "Contracted to give", "E"),
        ],
        overrides={
            "Battery": colour(look.ACCENT),
            "Could take": colour(TAKE),
            "Could give": colour(GIVE),
            "Contracted to take": colour(TAKE) | look.DASHED,
            "Contracted to give": colour(GIVE) | look.DASHED,
        },
    )
    return lines(spec)


def _energy() -> timeseries.Panel:
    spec = Spec(
        title="Energy",
        description="Energy above the floors, and room below the ceilings, of all batteries.",
        size=(12, 9),
        unit=KWH,
        empty=NONE,
        low=0,
        targets=[
            prom(f'{ENERGY}{{kind="above_floor"}} / 3.6e6', "Above the floor", "A"),
            prom(f'{ENERGY}{{kind="below_ceiling"}} / 3.6e6', "Below the ceiling", "B"),
        ],
        overrides={
            "Above the floor": colour(look.ACCENT),
            "Below the ceiling": colour(look.SECOND),
        },
    )
    return lines(spec)


def _frequency() -> timeseries.Panel:
    frequency = "fleetscope_grid_frequency_hertz"
    spec = Spec(
        title="Frequency",
        description="How far the grid is from its nominal 50 or 60 Hz: the median over sites of "
        "each kind, and the lowest and highest of all.",
        size=(12, 8),
        unit=look.UNITS["Hz"],
        empty="No site gives a frequency",
        decimals=2,
        targets=[
            prom(f"quantile(0.5, {frequency} < 55) - 50", "Median at 50 Hz", "A"),
            prom(f"quantile(0.5, {frequency} >= 55) - 60", "Median at 60 Hz", "B"),
            prom(f"min({frequency} - round({frequency}, 10))", "Lowest", "C"),
            prom(f"max({frequency} - round({frequency}, 10))", "Highest", "D"),
        ],
        overrides={
            "Median at 50 Hz": colour(look.ACCENT),
            "Median at 60 Hz": colour(look.FLOWS["Battery charge"]),
            "Lowest": colour(look.SECOND) | look.DASHED,
            "Highest": colour(look.FLOWS["Grid import"]) | look.DASHED,
        },
    )
    return lines(spec)


def _available() -> timeseries.Panel:
    spec = Spec(
        title="Available",
        description="Share of the contracted power that could be given and taken, and of the sites "
        "that answer.",
        size=(12, 8),
        unit=look.RATIO,
        empty=NONE,
        low=0,
        high=1,
        targets=[
            prom(
                f'clamp_max({POWER}{{kind="up"}} / ignoring (kind) '
                f'{POWER}{{kind="contracted_up"}}, 1)',
                "To give",
                "A",
            ),
            prom(
                f'clamp_max({POWER}{{kind="down"}} / ignoring (kind) '
                f'{POWER}{{kind="contracted_down"}}, 1)',
                "To take",
                "B",
            ),
            prom(
                f'{SITES}{{kind="online"}} / ignoring (kind) {SITES}{{kind="all"}}',
                "Sites that answer",
                "C",
            ),
        ],
        overrides={
            "To give": colour(GIVE),
            "To take": colour(TAKE),
            "Sites that answer": colour(look.SECOND),
        },
    )
    return lines(spec)


def _projects() -> table.Panel:
    def of(name: str, kind: str) -> str:
        return f'sum by (project) (fleetscope_plant_{name}{{kind="{kind}"}})'

    spec = Spec(
        title="By project",
        description="The plant of each project, and that of the sites without one.",
        size=(24, 7),
        unit=look.NUMBER,
        empty=NONE,
        targets=[
            prom_table(never_empty(_named(expr), {"project": NONE}), ref)
            for ref, expr in (
                ("A", of("sites", "all")),
                ("B", of("sites", "online")),
                ("C", of("power_watts", "battery")),
                ("D", of("power_watts", "up")),
                ("E", of("power_watts", "down")),
                ("F", "max by (project) (fleetscope_plant_soc_ratio)"),
                ("G", f"{of('energy_joules', 'above_floor')} / 3.6e6"),
            )
        ],
        transformations=[joined("project"), ordered("project")],
    )
    columns = [
        Column("project", "Project"),
        Column("Value #A", "Sites", 80, decimals=0),
        Column("Value #B", "Online", 80, decimals=0),
        Column("Value #C", "Battery", 120, WATTS, 1),
        Column("Value #D", "Can give", 120, WATTS, 1),
        Column("Value #E", "Can take", 120, WATTS, 1),
        Column("Value #F", "Charge", 90, look.RATIO, 0),
        Column("Value #G", "Above the floor", 130, KWH, 1),
    ]
    drop = ["Time", *(f"Time {n}" for n in range(1, 8))]
    return listing(spec, columns, drop=drop)


def _named(expr: str) -> str:
    # Prometheus leaves an empty label out, and a table is joined by what is there.
    return f'label_replace({expr}, "project", "{NO_PROJECT}", "project", "")'
