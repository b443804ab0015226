"""Cadence and dead-band of single cells: less is stored, no change and no gap is hidden."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.assess.assessment import Issue
from exporter.model.snapshot import BatterySnapshot, Cells, Outcome, Snapshot
from exporter.store.cell_cadence import HOLD_SECONDS, CellStore, has_cell_issue
from tests.store.test_line_protocol import Point, parse

nan = math.nan
START = 1_780_000_200.0  # the beginning of a window of five minutes
LABELS = ("1", "2")


def scrape(
    time: float,
    volts: tuple[float, ...] | None = (3.3, 3.31),
    celsius: tuple[float, ...] = (20.0, 21.0),
    labels: tuple[str, ...] = LABELS,
) -> Snapshot:
    cells = None if volts is None else Cells(labels, volts, celsius)
    battery = BatterySnapshot("battery/1", True, {"soc_percent": 50.0}, cells=cells)
    return Snapshot("a", time, 0.1, Outcome.OK, batteries=(battery,))


def failed(time: float) -> Snapshot:
    return Snapshot("a", time, 0.1, Outcome.TIMEOUT)


@dataclass
class Stored:
    store: CellStore
    points: list[Point]

    def take(self, snapshot: Snapshot, *, every: bool = False) -> list[Point]:
        new = [parse(line) for line in self.store.lines(snapshot, every=every)]
        self.points += new
        return new

    def of(self, cell: str) -> list[tuple[float, float | None, int]]:
        """Seconds since the start, voltage and rows left out before, of one cell."""
        return [
            (
                p.stamp / 1000 - START,
                p.fields.get("voltage_v"),  # type: ignore[misc]
                int(p.fields.get("left_out", 0)),
            )
            for p in self.points
            if p.tags["cell"] == cell
        ]


def plain(cadence: float = 60.0) -> Stored:
    return Stored(CellStore(cadence, None, 0.2), [])


def banded(band: float = 0.001) -> Stored:
    return Stored(CellStore(60.0, band, 0.2), [])


def test_one_row_of_each_cell_a_minute() -> None:
    stored = plain()
    for second in range(0, 600, 10):
        stored.take(scrape(START + second))
    assert [time for time, *_ in stored.of("1")] == [60.0 * n for n in range(10)]
    assert len(stored.of("2")) == 10


def test_a_minute_is_a_minute_of_the_clock() -> None:
    stored = plain()
    for second in range(7, 307, 10):
        stored.take(scrape(START + second))
    assert [time // 60 for time, *_ in stored.of("1")] == [0, 1, 2, 3, 4]


def test_every_scrape_while_there_is_a_cell_issue() -> None:
    stored = plain()
    for second in range(0, 60, 10):
        stored.take(scrape(START + second), every=second >= 30)
    assert [time for time, *_ in stored.of("1")] == [0, 30, 40, 50]


def test_cadence_zero_stores_every_scrape() -> None:
    stored = plain(0.0)
    for second in range(0, 60, 10):
        stored.take(scrape(START + second))
    assert len(stored.of("1")) == 6


@pytest.mark.parametrize(
    ("code", "so"),
    [("cell_spread", True), ("battery_temperature", True), ("grid_lost", False)],
)
def test_what_a_cell_issue_is(code: str, so: bool) -> None:
    issue = Issue(code, "battery", "warning", None, None, "", 0.0, "", "", 0.0)
    assert has_cell_issue([issue]) is so


def test_unchanged_rows_are_left_out_and_counted() -> None:
    stored = banded()
    for minute in range(11):
        stored.take(scrape(START + 60 * minute))
    assert stored.of("1") == [(0, 3.3, 0), (300, 3.3, 4), (600, 3.3, 4)]


def test_a_step_stays_a_step_with_its_time() -> None:
    stored = banded()
    volts = [3.3, 3.3, 3.3, 3.31, 3.31, 3.31]
    for minute, value in enumerate(volts):
        stored.take(scrape(START + 60 * minute, (value, 3.3)))
    # The last row before the step has its own time; the one row before it was left out.
    assert stored.of("1") == [(0, 3.3, 0), (120, 3.3, 1), (180, 3.31, 0), (300, 3.31, 1)]
    assert stored.of("2") == [(0, 3.3, 0), (300, 3.3, 4)]


def test_a_slow_drift_is_followed_within_the_band() -> None:
    stored = banded(0.001)
    for minute in range(100):
        stored.take(scrape(START + 60 * minute, (3.3 + 0.0004 * minute, 3.3)))
    times, values = zip(*[(t, v) for t, v, _ in stored.of("1")], strict=True)
    held = [values[np.searchsorted(times, 60 * m, side="right") - 1] for m in range(100)]
    assert max(abs(3.3 + 0.0004 * m - v) for m, v in enumerate(held)) <= 0.001 + 1e-9


def test_before_a_gap_the_last_row_is_stored() -> None:
    stored = banded()
    for minute in range(4):
        stored.take(scrape(START + 60 * minute))
    assert [p.stamp / 1000 - START for p in stored.take(failed(START + 190))] == [180, 180]
    stored.take(failed(START + 200))
    stored.take(scrape(START + 240))
    assert stored.of("1") == [(0, 3.3, 0), (180, 3.3, 2), (240, 3.3, 0)]


def test_silence_is_a_gap_too() -> None:
    stored = banded()
    for minute in (0, 1, 2, 20):
        stored.take(scrape(START + 60 * minute))
    assert stored.of("1") == [(0, 3.3, 0), (120, 3.3, 1), (1200, 3.3, 0)]


def test_a_scrape_that_did_not_ask_for_cells_is_no_gap() -> None:
    stored = banded()
    stored.take(scrape(START))
    stored.take(scrape(START + 60, None))
    stored.take(scrape(START + 120))
    assert stored.of("1") == [(0, 3.3, 0)]


def test_a_temperature_alone_counts_as_a_change_and_so_does_its_loss() -> None:
    stored = banded()
    for minute, celsius in enumerate([20.0, 20.1, 25.0, nan]):
        stored.take(scrape(START + 60 * minute, celsius=(celsius, 20.0)))
    rows = [p for p in stored.points if p.tags["cell"] == "1"]
    assert [p.fields.get("temperature_c") for p in rows] == [20.0, 20.1, 25.0, None]


def test_other_cells_begin_anew() -> None:
    stored = banded()
    stored.take(scrape(START))
    stored.take(scrape(START + 60))
    stored.take(scrape(START + 120, labels=("1", "3")))
    assert stored.of("1") == [(0, 3.3, 0), (60, 3.3, 0), (120, 3.3, 0)]
    assert stored.of("3") == [(120, 3.31, 0)]


def test_a_clock_that_steps_back_hides_nothing() -> None:
    stored = banded()
    for time in (600, 660, 0, 60, 120):
        stored.take(scrape(START + time))
    assert stored.of("1") == [(600, 3.3, 0), (660, 3.3, 0), (0, 3.3, 0)]


def test_removed_sites_are_forgotten() -> None:
    stored = banded()
    stored.take(scrape(START))
    stored.store.forget([])
    assert stored.take(scrape(START + 10)) != []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.sampled_from([3.3, 3.3004, 3.301, 3.35, nan])),
        min_size=1,
        max_size=40,
    )
)
def test_all_that_was_read_can_be_told_from_what_is_stored(course: list[float | None]) -> None:
    """None is a scrape that failed. What is stored accounts for every row, within the band."""
    band, stored, read = 0.0005, banded(0.0005), []
    for minute, value in enumerate(course):
        time = START + 60 * minute
        if value is None:
            stored.take(failed(time))
        else:
            stored.take(scrape(time, (value, 3.3), (nan, 20.0)))
            if not math.isnan(value):
                read.append((60.0 * minute, value))
    stored.take(failed(START + 60 * len(course)))
    told: list[tuple[float, float]] = []
    for time, volts, before in stored.of("1"):
        assert volts is not None
        told += [(told[-1][0] + 60.0 * (n + 1), told[-1][1]) for n in range(before)]
        told.append((time, volts))
    assert [time for time, _ in told] == pytest.approx([time for time, _ in read])
    assert all(abs(a - b) <= band + 1e-9 for (_, a), (_, b) in zip(told, read, strict=True))


def test_no_window_of_five_minutes_is_left_empty() -> None:
    stored = banded()
    for second in range(0, 3600, 10):
        stored.take(scrape(START + second))
    windows = {int((START + time) // HOLD_SECONDS) for time, *_ in stored.of("1")}
    assert len(windows) == 12
