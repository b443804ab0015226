"""Battery modules that are offline or block, of any battery of a site."""

from __future__ import annotations

import pytest

from exporter.assess.assessment import FleetAssessment, assess
from exporter.collect.state import FleetState
from exporter.model.snapshot import BatterySnapshot
from tests.assess.test_assessment import BATTERY, WALL, fleet, snapshot


def of_modules(*given: dict[str, float]) -> FleetAssessment:
    """A site with batteries of which each reports its modules so; the first one is active."""
    batteries = tuple(
        BatterySnapshot(f"battery/{number}", number == 0, BATTERY | modules)
        for number, modules in enumerate(given)
    )
    state = FleetState(fleet("a"), 60.0)
    state.apply(snapshot("a", batteries=batteries), 0.0)
    return assess(state, 0.0, WALL)


@pytest.mark.parametrize(
    ("modules", "code", "severity"),
    [
        ({"modules_offline": 1.0}, "modules_offline", "warning"),
        ({"modules_blocking_charge": 2.0}, "modules_blocking", "info"),
        ({"modules_blocking_discharge": 1.0}, "modules_blocking", "info"),
    ],
)
@pytest.mark.parametrize("active", [True, False], ids=["active battery", "another battery"])
def test_modules_that_do_not_work(
    modules: dict[str, float], code: str, severity: str, active: bool
) -> None:
    result = of_modules(modules, {}) if active else of_modules({}, modules)
    (issue,) = result.issues[0]
    assert (issue.code, issue.severity, issue.value) == (code, severity, max(modules.values()))
    assert f"battery/{0 if active else 1}" in issue.sentence


def test_modules_that_all_work_are_no_issue() -> None:
    nothing = {"modules_offline": 0.0, "modules_blocking_charge": 0.0}
    assert of_modules(nothing, nothing).issues == ((),)
    assert of_modules({}).issues == ((),)
