"""Which fields are rolled up, as what kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.history.cells.wear import MEANINGS as WEAR_FIELDS
from exporter.history.cells.wear import MEASUREMENT as WEAR
from exporter.model.quantities import METER_QUANTITIES, QUANTITIES, Kind

CELL = "cell"
PACK = "pack"

_BESIDE: dict[str, dict[str, Kind]] = {
    "site": {
        "online": Kind.STATE,
        "scrape_seconds": Kind.MEASURED,
        "pv_expected_w": Kind.MEASURED,
    },
    CELL: {"voltage_v": Kind.VOLTAGE, "temperature_c": Kind.TEMPERATURE},
    "alarm": {"level": Kind.STATE},
    "health": {"score": Kind.MEASURED, "status": Kind.STATE, "coverage": Kind.MEASURED},
    WEAR: dict.fromkeys(WEAR_FIELDS, Kind.MEASURED),
    "issue": {"active": Kind.STATE, "severity": Kind.FLAG},
}


def _fields() -> dict[str, Mapping[str, Kind]]:
    found: dict[str, dict[str, Kind]] = {}
    for quantity in (*QUANTITIES.values(), *METER_QUANTITIES.values()):
        found.setdefault(quantity.measurement.value, {})[quantity.name] = quantity.kind
    for measurement, fields in _BESIDE.items():
        found.setdefault(measurement, {}).update(fields)
    return {name: MappingProxyType(fields) for name, fields in found.items()}


FIELDS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(_fields())
"""Measurement to field to kind. What is not here is not rolled up."""

POWERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        measurement: frozenset(
            name
            for name, kind in fields.items()
            if kind is Kind.MEASURED and name.endswith("power_w")
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
