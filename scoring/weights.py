"""What each component weighs in the overall score, and what holds that score down. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"battery": 0.40, "grid": 0.30, "solar": 0.20, "connectivity": 0.10}
)
CRITICAL_CAP = 49.0
WARNING_CAP = 69.0
