"""What a site of each kind should report, by component. Data only, free of numpy.

Every reading that a site gives is judged, whatever its kind. What it should give and does not is
missing: it is named, and lowers the coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_BATTERY = ("soh_percent", "temperature_c", "cell_spread_v", "soc_percent")
_GRID = ("grid_connected", "grid_frequency_hz", "grid_voltage_v")
# Only where the fleet file gives a capacity of PV.
_SOLAR = ("pv_power_w", "latitude")

REQUIRED: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ess": {"battery": _BATTERY, "grid": _GRID, "solar": _SOLAR},
        "bess": {"battery": _BATTERY, "grid": _GRID, "solar": _SOLAR},
        # Inverters measure the grid and do not say whether the site has one.
        "pv": {"grid": ("grid_frequency_hz", "grid_voltage_v"), "solar": _SOLAR},
        # Many meters give no frequency.
        "meter grid": {"grid": ("grid_voltage_v", "grid_power_w")},
        "meter load": {"grid": ("grid_voltage_v", "load_power_w")},
        "meter pv": {"grid": ("grid_voltage_v", "pv_power_w")},
        "meter aux": {"grid": ("grid_voltage_v", "load_power_w")},
        "datacentre": {"grid": ("grid_frequency_hz", "load_power_w", "deferrable_power_w")},
        "datacentre battery": {
            "battery": ("soc_percent",),
            "grid": ("grid_frequency_hz", "load_power_w", "deferrable_power_w"),
        },
    }
)
"""Kind, with what its block adds to it, to component to the readings that such a site should give.

A row has any reading; those that a component does not judge count for its coverage alone, so that
a power never makes an unknown grid a perfect one.
"""

MAIN_READING: Mapping[str, str] = MappingProxyType(
    {
        "meter grid": "grid_power_w",
        "meter load": "load_power_w",
        "meter pv": "pv_power_w",
        "meter aux": "load_power_w",
        "datacentre": "load_power_w",
        "datacentre battery": "load_power_w",
    }
)
"""The reading for which a site of a kind is there: a site that answers without it is silent."""
DEFAULT_PROFILE = "ess"
