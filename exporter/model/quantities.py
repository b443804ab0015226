"""The tables of quantities, by name.

Drivers, storage, roll-ups, gauges, questions, labels on every face and the generated documents read
these rows. A new quantity is one row in ``site_quantities.py`` or ``battery_quantities.py`` and one
line in the mapping of a driver.
"""

from __future__ import annotations

from exporter.model.battery_quantities import BATTERY
from exporter.model.derived_quantities import DERIVED_ROWS
from exporter.model.quantity import (
    CELL_CELSIUS,
    CELL_VOLTS,
    KEPT,
    POWER_WATTS,
    Derived,
    Measurement,
    Quantity,
    RollupKind,
)
from exporter.model.site_quantities import SITE

__all__ = [
    "API_KEYS",
    "BATTERY_QUANTITIES",
    "CELL_CELSIUS",
    "CELL_VOLTS",
    "DERIVED",
    "KEPT",
    "METER_QUANTITIES",
    "OTHER_LABELS",
    "QUANTITIES",
    "ROWS",
    "SITE_QUANTITIES",
    "Derived",
    "Measurement",
    "Quantity",
    "RollupKind",
    "label",
]

QUANTITIES: dict[str, Quantity] = {row.name: row for row in (*SITE, *BATTERY)}
SITE_QUANTITIES = tuple(row.name for row in SITE)
BATTERY_QUANTITIES = tuple(row.name for row in BATTERY)

DERIVED: dict[str, Derived] = {row.name: row for row in DERIVED_ROWS}
ROWS: tuple[Quantity | Derived, ...] = (*SITE, *BATTERY, *DERIVED_ROWS)
"""Every figure of a live site, measured or derived."""

API_KEYS: dict[str, str] = {row.api_key: row.name for row in DERIVED_ROWS if row.api_key}
"""Key of a site's readings in the API to the derived quantity whose figure it is."""

METER_QUANTITIES: dict[str, Quantity] = {
    row.name: row
    for row in (
        Quantity(
            name="active_power_w",
            label="active power",
            measurement=Measurement.METER,
            unit="W",
            minimum=-POWER_WATTS,
            maximum=POWER_WATTS,
            meaning="Active power of a meter, in the meter's own sense of sign",
        ),
        Quantity(
            name="power_factor",
            label="power factor",
            measurement=Measurement.METER,
            unit="",
            minimum=-1,
            maximum=1,
            meaning="Power factor of a meter",
            decimals=2,
        ),
        Quantity(
            name="energy_import_kwh",
            label="energy in",
            measurement=Measurement.METER,
            unit="kWh",
            minimum=0,
            maximum=1e9,
            meaning="Energy counter of a meter, in",
            kind=RollupKind.COUNTER,
            decimals=1,
        ),
        Quantity(
            name="energy_export_kwh",
            label="energy out",
            measurement=Measurement.METER,
            unit="kWh",
            minimum=0,
            maximum=1e9,
            meaning="Energy counter of a meter, out",
            kind=RollupKind.COUNTER,
            decimals=1,
        ),
        Quantity(
            name="interval_import_kwh",
            label="energy in per interval",
            measurement=Measurement.METER,
            unit="kWh",
            minimum=-1e6,
            maximum=1e6,
            meaning="Energy of a meter in one interval, in; not a counter",
            kind=RollupKind.AMOUNT,
            decimals=3,
        ),
        Quantity(
            name="interval_export_kwh",
            label="energy out per interval",
            measurement=Measurement.METER,
            unit="kWh",
            minimum=-1e6,
            maximum=1e6,
            meaning="Energy of a meter in one interval, out; not a counter",
            kind=RollupKind.AMOUNT,
            decimals=3,
        ),
    )
}
"""Readings of single meters, live ones and imported files. Those of the meter at the grid
connection are readings of the site too; no score and no gauge reads these."""

OTHER_LABELS = {
    "latitude": "the sun (no coordinates)",
    "scrapes": "any scrape",
}
"""Labels of inputs of the scores that are no quantities."""


def label(name: str) -> str:
    """What a person calls a quantity, or an input of the scores that is no quantity."""
    row = QUANTITIES.get(name) or DERIVED.get(name)
    return row.label if row else OTHER_LABELS.get(name, name.replace("_", " "))
