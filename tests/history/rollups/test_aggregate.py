"""Windows against plain loops over the same samples, and what must not be lost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.history.rollups.aggregate import (
    HOLD_MS,
    Before,
    Samples,
    Windows,
    cut,
    expand_left_out,
    roll_up,
)
from exporter.model.quantities import RollupKind

nan = math.nan
MINUTE, FIVE, DAY = 60_000, 300_000, 86_400_000
START = 20_000 * DAY


def samples(rows: list[tuple[int, int, float]], texts: list[str] | None = None) -> Samples:
    """Samples of one field ``x`` from (series, milliseconds since the start, value)."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    told = {} if texts is None else {"id": np.array(texts, dtype=object)}
    return Samples(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.int64) + START,
        {"x": table[:, 2]},
        told,
    )


def rolled(
    rows: list[tuple[int, int, float]],
    kind: RollupKind,
    window: int = FIVE,
    stop: int = DAY,
    **more: Any,
) -> dict[tuple[int, int], dict[str, float]]:
    """Rows by (series, milliseconds since the start), without what they do not have."""
    return by_window(roll_up(samples(rows), {"x": kind}, window, START, START + stop, **more))


def by_window(windows: Windows) -> dict[tuple[int, int], dict[str, float]]:
    found = {}
    for place, key in enumerate(zip(windows.series, windows.starts - START, strict=True)):
        values = {n: float(c[place]) for n, c in windows.columns.items()}
        found[int(key[0]), int(key[1])] = {n: v for n, v in values.items() if not math.isnan(v)}
    return found


def test_a_spike_of_one_sample_is_there_in_a_day() -> None:
    rows = [(0, n * MINUTE, 3.3) for n in range(1440)]
    rows[777] = (0, 777 * MINUTE, 4.1)
    (day,) = rolled(rows, RollupKind.VOLTAGE, DAY).values()
    assert day["x_max"] == 4.1
    assert day["x_p99"] == pytest.approx(3.3)
    assert day["x_mean"] == pytest.approx(3.3 + 0.8 / 1440)
    assert day["samples"] == 1440


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (RollupKind.FLAG, {"x_max"}),
        (RollupKind.TEMPERATURE, {"x_min", "x_max"}),
        (RollupKind.MEASURED, {"x_min", "x_max", "x_mean"}),
        (RollupKind.VOLTAGE, {"x_min", "x_max", "x_mean", "x_p1", "x_p99"}),
        (RollupKind.COUNTER, {"x_last", "x_increase"}),
        (RollupKind.AMOUNT, {"x_sum"}),
        (RollupKind.STATE, {"x_min", "x_max", "x_0_s", "x_2_s"}),
    ],
)
def test_each_kind_keeps_its_own_and_alarms_are_never_averaged(
    kind: RollupKind, kept: set[str]
) -> None:
    (row,) = rolled([(0, 0, 0.0), (0, MINUTE, 2.0), (0, 2 * MINUTE, 0.0)], kind, stop=FIVE).values()
    assert set(row) == kept | {"samples"}


def test_missing_stays_missing() -> None:
    assert rolled([(0, 0, nan)], RollupKind.VOLTAGE) == {}
    found = rolled([(0, 0, 1.0), (0, FIVE, nan), (0, 2 * FIVE, 2.0)], RollupKind.MEASURED)
    assert sorted(found) == [(0, 0), (0, 2 * FIVE)]


def test_a_counter_across_a_reset_and_a_correction() -> None:
    course = [100.0, 101.5, 101.4, 103.0, 0.5, 2.0]
    rows = [(0, n * MINUTE, value) for n, value in enumerate(course)]
    (row,) = rolled(rows, RollupKind.COUNTER, DAY).values()
    assert row["x_increase"] == pytest.approx(1.5 - 0.1 + 1.6 + 0.5 + 1.5)
    assert row["x_last"] == 2.0


def test_windows_of_a_counter_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(5)
    course = np.cumsum(rng.random(1440))
    rows = [(0, n * MINUTE, value) for n, value in enumerate(course, 1)]
    earlier = Before(np.array([0]), np.array([START]), np.array([0.0]))
    short = rolled(rows, RollupKind.COUNTER, FIVE, before={"x": earlier})
    (day,) = rolled(rows, RollupKind.COUNTER, DAY, before={"x": earlier}).values()
    assert day["x_increase"] == pytest.approx(course[-1])
    assert sum(row["x_increase"] for row in short.values()) == pytest.approx(course[-1])


def test_a_counter_without_a_reading_before_increases_nothing() -> None:
    (row,) = rolled([(0, 1, 500.0)], RollupKind.COUNTER).values()
    assert row == {"x_last": 500.0, "samples": 1.0}


HOUR = 60 * MINUTE


@pytest.mark.parametrize("window", [FIVE, 15 * MINUTE, HOUR, DAY])
def test_a_counter_read_on_the_edge_of_a_window_closes_the_one_before(window: int) -> None:
    """Read on each hour with a reset on an edge (10:00, from zero) and no reading at 4 and 5."""
    used = [0.5, 0.25, 1.0, 0.0, 0.0, 2.0, 0.5, 0.5, 0.75, 3.0, 0.25, 1.5]
    readings = {hour: 700.0 + sum(used[:hour]) for hour in range(13) if hour not in (4, 5)}
    readings |= {hour: 3.0 + sum(used[10:hour]) for hour in (10, 11, 12)}
    rows = [(0, hour * HOUR, value) for hour, value in readings.items()]
    found = rolled(rows, RollupKind.COUNTER, window)
    increases = {key[1]: row["x_increase"] for key, row in found.items() if "x_increase" in row}
    wanted: dict[int, float] = {}
    for hour in range(1, 13):
        if hour in readings:
            # What grew over the gap belongs to the window in which it was read again.
            grown = sum(used[3:6]) if hour == 6 else used[hour - 1]
            begin = (hour * HOUR - 1) // window * window
            wanted[begin] = wanted.get(begin, 0.0) + grown
    assert increases == pytest.approx(wanted)
    # The reading at the beginning closes a window that the range does not hold.
    assert sum(row["samples"] for row in found.values()) == len(readings) - 1


def test_a_range_takes_in_the_counter_that_closes_it_and_no_other_value() -> None:
    rows = [(0, n * FIVE, float(n)) for n in range(13)]
    counted = rolled(rows, RollupKind.COUNTER, stop=HOUR)
    assert [row["x_increase"] for row in counted.values()] == [1.0] * 12
    measured = rolled(rows, RollupKind.MEASURED, stop=HOUR)
    assert [row["x_mean"] for row in measured.values()] == list(range(12))


def test_bad_samples_of_a_counter_add_nothing_and_are_counted() -> None:
    course = 1000 + 0.01 * np.arange(60)
    course[[14, 15, 40]] = 0.0
    rows = [(0, n * MINUTE + 1, value) for n, value in enumerate(course)]
    found = rolled(rows, RollupKind.COUNTER, FIVE)
    assert sum(row.get("x_increase", 0.0) for row in found.values()) == pytest.approx(0.59)
    assert {
        key[1] // FIVE: row["x_glitches"] for key, row in found.items() if "x_glitches" in row
    } == {
        2: 1,
        3: 1,
        8: 1,
    }
    # The last good sample, from which the next window goes on.
    assert found[0, 2 * FIVE]["x_last"] == pytest.approx(1000.13)
    assert sum(row["samples"] for row in found.values()) == 60


def test_a_bad_sample_just_before_the_range_adds_nothing() -> None:
    values = np.array([999.97, 999.98, 999.99, 0.0])
    earlier = Before(np.zeros(4, int), START + MINUTE * np.arange(-4, 0), values)
    rows = [(0, n * MINUTE + 1, 1000 + 0.01 * n) for n in range(10)]
    found = rolled(rows, RollupKind.COUNTER, FIVE, before={"x": earlier})
    assert sum(row["x_increase"] for row in found.values()) == pytest.approx(0.1)


def test_energy_of_a_power_is_exact_on_gaps_and_part_windows() -> None:
    # 10 s apart, 3.6 kW; nothing from minute 7 to minute 21, and the range ends in minute 23.
    times = [n * 10_000 for n in range(138) if not 42 <= n < 126]
    earlier = Before(np.zeros(2, int), START + np.array([-14_000, -4_000]), np.array([3600.0] * 2))
    found = rolled(
        [(0, time, 3600.0) for time in times],
        RollupKind.MEASURED,
        stop=23 * MINUTE,
        before={"x": earlier},
        powers={"x"},
    )
    seconds = {key[1] // FIVE: row["x_seconds"] for key, row in found.items()}
    assert seconds == {0: 300, 1: 120, 4: 120}
    assert sum(row["x_wh"] for row in found.values()) == pytest.approx(sum(seconds.values()))


def test_energy_of_a_quarter_hourly_power_has_no_gaps_at_the_edges() -> None:
    rows = [(0, n * 15 * MINUTE, 400.0) for n in range(96)]
    (day,) = rolled(rows, RollupKind.MEASURED, DAY, powers={"x"}).values()
    assert (day["x_seconds"], day["x_wh"]) == (86_400, pytest.approx(9600.0))


def test_time_in_each_state_over_windows_and_from_before() -> None:
    earlier = Before(np.array([0]), np.array([START - 2 * MINUTE]), np.array([1.0]))
    rows = [(0, 3 * MINUTE, 0.0), (0, 6 * MINUTE, 1.0)]
    found = rolled(rows, RollupKind.STATE, before={"x": earlier})
    assert found[0, 0] == {"x_1_s": 180, "x_0_s": 120, "x_min": 0, "x_max": 0, "samples": 1}
    assert found[0, FIVE] == {"x_0_s": 60, "x_1_s": 240, "x_min": 1, "x_max": 1, "samples": 1}
    # The last one holds for ten minutes: to the end of this window and six more minutes.
    assert found[0, 2 * FIVE]["x_1_s"] == 300
    assert found[0, 3 * FIVE]["x_1_s"] == 60
    assert (0, 4 * FIVE) not in found


def test_a_state_does_not_last_beyond_now() -> None:
    (row,) = rolled([(0, 0, 1.0)], RollupKind.STATE, stop=2 * MINUTE).values()
    assert row["x_1_s"] == 120


def test_the_cell_that_was_extreme_is_named_as_at_the_first_moment() -> None:
    rows = [(0, n * MINUTE, value) for n, value in enumerate([3.3, 3.1, 3.1, 3.4])]
    data = samples(rows, ["C7", "C3", "C9", "C1"])
    windows = roll_up(
        data, {"x": RollupKind.VOLTAGE}, FIVE, START, START + DAY, extreme_ids={"id": ("x", "min")}
    )
    assert windows.texts["id"].tolist() == ["C3"]


def test_left_out_rows_count_as_if_they_were_there() -> None:
    full = [(0, n * MINUTE, 3.3) for n in range(5)] + [(0, 5 * MINUTE, 3.4)]
    thin = [(0, 0, 3.3), (0, 4 * MINUTE, 3.3), (0, 5 * MINUTE, 3.4)]
    back = expand_left_out(samples(thin), np.array([nan, 3.0, nan]))
    assert (back.times - START).tolist() == [n * MINUTE for n in range(6)]
    assert back.values["x"].tolist() == [value for *_, value in full]


def test_rows_left_out_before_the_range_stay_out() -> None:
    back = expand_left_out(samples([(0, 0, 1.0), (1, 0, 2.0)]), np.array([4.0, 4.0]))
    assert back.values["x"].tolist() == [1.0, 2.0]


def test_cut_leaves_out_the_end() -> None:
    assert len(cut(samples([(0, 0, 1.0), (0, 5, 2.0)], ["a", "b"]), START + 5).times) == 1


sample = st.tuples(
    st.integers(0, 2),
    st.integers(0, 40).map(lambda n: n * 45_000),
    st.sampled_from([nan, 0.0, 1.0, 1.5, 2.0, 7.25, 7.2, 100.0]),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(sample, max_size=120, unique_by=lambda s: s[:2]).map(sorted),
    st.dictionaries(st.integers(0, 3), st.sampled_from([0.0, 1.0, 7.3]), max_size=3),
)
def test_as_a_plain_loop_does_it(
    rows: list[tuple[int, int, float]], earlier: dict[int, float]
) -> None:
    stop = 40 * 45_000
    rows = [row for row in rows if row[1] < stop]
    before = Before(
        np.array(list(earlier), dtype=np.int64),
        np.full(len(earlier), START - 60_000),
        np.array(list(earlier.values())),
    )
    # Counters follow from what comes before and behind: tests/scoring/test_counters.py.
    for kind in set(RollupKind) - {RollupKind.COUNTER}:
        found = rolled(rows, kind, stop=stop, before={"x": before})
        expected = loop(rows, kind, stop, earlier)
        assert sorted(found) == sorted(expected)
        for key, row in expected.items():
            assert found[key] == pytest.approx(row), (kind, key)


def loop(
    rows: list[tuple[int, int, float]], kind: RollupKind, stop: int, earlier: dict[int, float]
) -> dict[tuple[int, int], dict[str, float]]:
    found: dict[tuple[int, int], dict[str, float]] = {}
    there = [row for row in rows if not math.isnan(row[2])]
    for number in {series for series, *_ in there} | set(earlier):
        mine = [(time, value) for series, time, value in there if series == number]
        windows: dict[int, list[float]] = {}
        for time, value in mine:
            windows.setdefault(time // FIVE * FIVE, []).append(value)
        for start, values in windows.items():
            row = found.setdefault((number, start), {"samples": 0.0})
            row["samples"] = float(len(values))
            if kind is RollupKind.AMOUNT:
                row["x_sum"] = sum(values)
                continue
            row["x_max"] = max(values)
            if kind is not RollupKind.FLAG:
                row["x_min"] = min(values)
            if kind in (RollupKind.MEASURED, RollupKind.VOLTAGE):
                row["x_mean"] = sum(values) / len(values)
            if kind is RollupKind.VOLTAGE:
                row["x_p1"], row["x_p99"] = np.percentile(values, [1, 99]).tolist()
        whole = [(-60_000, earlier[number])] if number in earlier else []
        whole += mine
        if kind is RollupKind.STATE:
            for place, (time, value) in enumerate(whole):
                end = whole[place + 1][0] if place + 1 < len(whole) else stop
                end = min(end, time + HOLD_MS, stop)
                for second in range(max(time, 0), end, 1000):
                    key = (number, second // FIVE * FIVE)
                    row = found.setdefault(key, {"samples": 0.0})
                    row[f"x_{value:g}_s"] = row.get(f"x_{value:g}_s", 0.0) + 1.0
    return found
