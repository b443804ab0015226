"""What components weigh, what holds the overall score down, and where statuses begin. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"battery": 0.40, "grid": 0.30, "solar": 0.20, "connectivity": 0.10}
)
CRITICAL_CAP = 49.0
WARNING_CAP = 69.0

HEALTHY_FROM = 90.0
GOOD_FROM = 70.0
WARNING_FROM = 50.0
