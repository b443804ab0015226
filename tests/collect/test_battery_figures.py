"""The quick way to the figures of one battery gives what the way for several gives."""

from __future__ import annotations

import math
import random

from exporter.collect.battery_state import (
    OF_ACTIVE,
    OF_WORST,
    BatteryState,
    battery_figures,
    worst_of,
)

NAMES = (*OF_ACTIVE, *{name for figure in OF_WORST for name in figure.sources})


def random_readings(rng: random.Random) -> dict[str, float]:
    """Some quantities, of which some are missing."""
    names = rng.sample(NAMES, rng.randrange(len(NAMES)))
    return {
        name: rng.choice((math.nan, 0.0, -0.0, round(rng.uniform(-60, 60), 2))) for name in names
    }


def same(one: list[float], other: list[float]) -> bool:
    return list(map(repr, one)) == list(map(repr, other))


def test_figures_of_one_battery_are_those_of_the_worst_of_one() -> None:
    rng = random.Random(15)
    for _ in range(2000):
        battery = BatteryState("battery/1", True, 0.0)
        battery.take(random_readings(rng), 100.0)
        values, times = battery_figures([battery], rng.choice((50.0, 150.0)))
        worst = [worst_of([battery], figure, 50.0) for figure in OF_WORST]
        expected = [battery.readings.get(name, math.nan) for name in OF_ACTIVE]
        assert same(values, expected + [value for value, _ in worst])
        ages = [battery.time_of(name) for name in OF_ACTIVE]
        assert same(times, ages + [time for _, time in worst])


def test_each_reading_is_as_old_as_its_last_scrape() -> None:
    rng = random.Random(16)
    for _ in range(300):
        battery = BatteryState("battery/1", True, 0.0)
        readings: dict[str, float] = {}
        times: dict[str, float] = {}
        for turn in range(rng.randrange(1, 6)):
            read = random_readings(rng)
            before = dict(battery.readings)
            kept = battery.readings
            battery.take(read, 10.0 * turn)
            assert same(list(kept.values()), list(before.values())), "a view may still hold it"
            readings |= read
            times |= dict.fromkeys(read, 10.0 * turn)
        assert same([battery.readings[n] for n in readings], list(readings.values()))
        assert battery.readings.keys() == readings.keys()
        assert all(battery.time_of(name) == time for name, time in times.items())
        assert math.isnan(battery.time_of("no_such_reading"))
