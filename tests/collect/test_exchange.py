"""What is known of the last exchange with a site, without asking it again."""

from __future__ import annotations

import math
from typing import Any

from exporter.collect.exchange import exchange_of
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.drivers.base import Driver, RawValue
from exporter.model.snapshot import BatterySnapshot, Implausible, Notice, Outcome, Snapshot


class Explainer(Driver):
    """Knows a raw value once it was asked to keep them; nobody may read it."""

    kept = False

    @classmethod
    def open(cls, *_: object) -> Any:
        raise AssertionError

    async def scrape(self) -> Snapshot:
        raise AssertionError("asked again")

    def keep_raw(self) -> None:
        self.kept = True

    def raw_values(self) -> list[RawValue]:
        return [RawValue("site", "grid_power_w", "grid Ac/Power", "812.5")] if self.kept else []


def state_after(*snapshots: tuple[float, Snapshot]) -> FleetState:
    fleet = Fleet.model_validate({"sites": [{"id": "a", "api_endpoint": "http://a"}]})
    state = FleetState(fleet, 10.0)
    for now, one in snapshots:
        state.apply(one, now)
    return state


def snapshot(**readings: float) -> Snapshot:
    return Snapshot(
        site="a",
        time=1e9,
        duration=0.25,
        outcome=Outcome.OK,
        readings=readings,
        batteries=(BatterySnapshot("battery/0", True, {"soc_percent": math.nan}),),
        implausible=(Implausible("site", "grid_frequency_hz", 700.0, hint="another unit"),),
        notices=(Notice("device_gone", "site", "battery/1"),),
    )


def asked(state: FleetState, driver: Driver, now: float) -> dict[str, Any]:
    found = exchange_of(state, "a", driver, lambda: now)
    assert found is not None
    return found


def rows(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["device"], row["quantity"]): row for row in found["readings"]}


def test_each_value_has_its_state_its_reason_and_its_age() -> None:
    first = snapshot(pv_power_w=100.0, grid_power_w=812.5, grid_frequency_hz=math.nan)
    second = snapshot(grid_power_w=812.5, grid_frequency_hz=math.nan)
    state, driver = state_after((0.0, first), (60.0, second)), Explainer()
    found = asked(state, driver, 61.0)
    assert (found["outcome"], found["scrape_seconds"], found["way_in"]) == (
        "ok",
        0.25,
        "venus-http",
    )
    assert found["notices"] == ["device_gone: battery/1"]
    said = rows(found)
    assert said["site", "grid_power_w"]["age_seconds"] == 1.0
    assert said["site", "pv_power_w"]["state"] == "stale"
    assert said["site", "pv_power_w"]["reason"] == "read 61 s ago, limit 40 s"
    assert said["site", "grid_frequency_hz"]["state"] == "implausible"
    assert said["site", "grid_frequency_hz"]["reason"] == (
        "700 is outside 40 to 70 Hz; another unit"
    )
    assert said["battery/0", "soc_percent"]["state"] == "missing"
    # What was never read is no row.
    assert ("site", "genset_power_w") not in said


def test_raw_values_are_kept_from_the_first_question_on() -> None:
    state, driver = state_after((0.0, snapshot(grid_power_w=812.5))), Explainer()
    driver.keep_raw = lambda: None  # type: ignore[method-assign]
    found = asked(state, driver, 1.0)
    assert (found["raw_values"], found["raw_values_follow"]) == (False, True)
    driver.kept = True
    found = asked(state, driver, 1.0)
    assert (found["raw_values"], found["raw_values_follow"]) == (True, False)
    row = rows(found)["site", "grid_power_w"]
    assert (row["place"], row["raw"]) == ("grid Ac/Power", "812.5")


def test_a_failed_exchange_says_why_and_keeps_what_is_known() -> None:
    failed = Snapshot("a", 1e9, 2.0, Outcome.REFUSED, "port 8088: refused")
    state = state_after((0.0, snapshot(grid_power_w=812.5)), (10.0, failed))
    found = asked(state, Explainer(), 11.0)
    assert (found["outcome"], found["detail"]) == ("refused", "port 8088: refused")
    assert rows(found)["site", "grid_power_w"]["age_seconds"] == 11.0


def test_a_site_that_is_not_polled_has_none() -> None:
    assert exchange_of(state_after(), "a", None) is None
    assert exchange_of(state_after(), "b", Explainer()) is None
