"""Which fields are rolled up, as what kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.history.cells.wear import MEANINGS as WEAR_FIELDS
from exporter.history.cells.wear import MEASUREMENT as WEAR
from exporter.model.quantities import METER_QUANTITIES, ROWS, RollupKind

CELL = "cell"
PACK = "pack"

_BESIDE: dict[str, dict[str, RollupKind]] = {
    "site": {
        "online": RollupKind.STATE,
        "scrape_seconds": RollupKind.MEASURED,
    },
    CELL: {"voltage_v": RollupKind.VOLTAGE, "temperature_c": RollupKind.TEMPERATURE},
    "alarm": {"level": RollupKind.STATE},
    "health": {
        "score": RollupKind.MEASURED,
        "status": RollupKind.STATE,
        "coverage": RollupKind.MEASURED,
    },
    WEAR: dict.fromkeys(WEAR_FIELDS, RollupKind.MEASURED),
    "issue": {"active": RollupKind.STATE, "severity": RollupKind.FLAG},
}


def _fields() -> dict[str, Mapping[str, RollupKind]]:
    found: dict[str, dict[str, RollupKind]] = {}
    for row in (*ROWS, *METER_QUANTITIES.values()):
        if row.measurement is not None:
            found.setdefault(row.measurement.value, {})[row.name] = row.kind
    for measurement, fields in _BESIDE.items():
        found.setdefault(measurement, {}).update(fields)
    return {name: MappingProxyType(fields) for name, fields in found.items()}


FIELDS: Mapping[str, Mapping[str, RollupKind]] = MappingProxyType(_fields())
"""Measurement to field to kind. What is not here is not rolled up."""

POWERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        measurement: frozenset(
            name
            for name, kind in fields.items()
            if kind is RollupKind.MEASURED and name.endswith("power_w")
        )
        for measurement, fields in FIELDS.items()
    }
)
"""Measurement to the powers whose energy is kept: ``<field>_wh``, in ``<field>_seconds``."""

EXTREME_IDS: Mapping[str, Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"battery": {"cell_min_id": ("cell_min_v", "min"), "cell_max_id": ("cell_max_v", "max")}}
)
"""Measurement to text field to the field and the side whose extreme it names: the text is kept as
it was at the first moment of that extreme."""
