"""The simulated past that forecasts of the demo learn from."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from exporter.model.levels import LEVELS
from provisioning.local.past import DAYS, lines_by_level
from simulator.scenario import Scenario

NOW = datetime(2026, 6, 21, 11, 7, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def past() -> dict[str, list[str]]:
    return lines_by_level(Scenario.load("demo"), NOW)


def test_it_ends_with_the_last_whole_window_and_holds_every_window_once(
    past: dict[str, list[str]],
) -> None:
    for level in LEVELS[:2]:
        stamps = [
            int(line.rsplit(" ", 1)[1]) // 1000
            for line in past[level.name]
            if line.startswith("site,site=site_alpha ")
        ]
        assert len(set(stamps)) == len(stamps)
        assert set(stamps) == set(range(min(stamps), max(stamps) + 1, level.seconds))
        # Quarter hours are what is simulated.
        assert max(stamps) + level.seconds == NOW // 900 * 900
    assert max(stamps) - min(stamps) >= DAYS * 86_400 - 3600


def test_a_site_that_never_answers_has_no_past(past: dict[str, list[str]]) -> None:
    sites = {re.split("[=, ]", line)[2] for line in past["rollup_15m"]}
    wanted = {site.id for site in Scenario.load("demo").sites} - {"site_epsilon"}
    assert sites == wanted


def test_power_adds_up_and_the_sun_shines_by_day(past: dict[str, list[str]]) -> None:
    lines = [line for line in past["rollup_15m"] if line.startswith("site,site=site_alpha ")]
    fields = [dict(f.split("=") for f in line.split(" ")[1].split(",")) for line in lines]
    hours = [datetime.fromtimestamp(int(x.rsplit(" ", 1)[1]) / 1000, UTC).hour for x in lines]
    pv = [float(row["pv_power_w_mean"]) for row in fields]
    assert max(pv) > 2000
    assert {watts for watts, hour in zip(pv, hours, strict=True) if hour < 3} == {0.0}
    for row in fields:
        assert float(row["load_power_w_wh"]) == pytest.approx(float(row["load_power_w_mean"]) / 4)
