"""The set-point of a Victron ESS: power at its AC input, volatile, by whatever way it is written.

Source: Victron's "ESS mode 2 and 3" and its Modbus register list. ``/Overrides/Setpoint`` of hub4
is the set-point that neither outlives a restart nor wears flash memory; registers 2716 and 2717
(Venus 3.50 and later) are the same. After how long it lapses without a new write is not documented;
systemcalc itself rewrites every 5 s, and so does the dispatcher.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.drivers.base import Capability

GRID_SETPOINT = "grid_setpoint_w"
REVERSION_SECONDS = 15.0
_MOST_W = 32_767.0

CAPABILITIES: Mapping[str, Capability] = MappingProxyType(
    {GRID_SETPOINT: Capability("W", -_MOST_W, _MOST_W, True, REVERSION_SECONDS)}
)
