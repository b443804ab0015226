"""A short run of every target; ``make fuzz`` is the long one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.slow

SHORT = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", TARGETS)
def test_any_input(name: str) -> None:
    target: Any = TARGETS[name]
    SHORT(target)()
