"""What is due when, and how much at once."""

from __future__ import annotations

import pytest

from exporter.history.rollups.due import GRACE_MS, HOUR_MS, Day, due, task_of
from exporter.history.rollups.source import DAY_MS
from exporter.model.levels import LEVELS

MINUTE = 60_000
MIDNIGHT = 20_500 * DAY_MS
NAMES = [level.name for level in LEVELS]


def levels_due(done: int, now: int) -> list[str]:
    tasks = due(dict.fromkeys(NAMES, done), now, ["a"], {})
    return sorted({name for task in tasks for name in task.since_ms})


@pytest.mark.parametrize(
    ("minutes", "names"),
    [
        (4, []),
        (5, ["rollup_15m", "rollup_5m"]),
        (15, ["rollup_15m", "rollup_1h", "rollup_5m"]),
        (60, sorted(NAMES)),
    ],
)
def test_each_level_has_its_pace(minutes: int, names: list[str]) -> None:
    noon = MIDNIGHT + 12 * HOUR_MS
    assert levels_due(noon, noon + minutes * MINUTE) == names


def test_a_window_is_made_again_after_its_end() -> None:
    """Yesterday is whole at the first turn of today, with all that came until then."""
    now = MIDNIGHT + 1000
    (task, *_) = due(dict.fromkeys(NAMES, MIDNIGHT - HOUR_MS), now, ["a"], {})
    assert task.since_ms["rollup_1d"] == MIDNIGHT - DAY_MS
    assert task.since_ms["rollup_5m"] <= MIDNIGHT - GRACE_MS
    assert (task.start_ms, task.stop_ms) == (MIDNIGHT - DAY_MS, now)


def test_what_the_server_does_not_keep_is_not_sent() -> None:
    kept = {"rollup_5m": MIDNIGHT + HOUR_MS}
    task = task_of(Day(MIDNIGHT, "a", "site"), MIDNIGHT + 9 * DAY_MS, kept)
    assert task.since_ms["rollup_5m"] == MIDNIGHT + HOUR_MS
    assert task.since_ms["rollup_1d"] == MIDNIGHT
    assert task.stop_ms == MIDNIGHT + DAY_MS


def test_long_ranges_take_few_sites_at_once() -> None:
    sites = [f"s{n}" for n in range(120)]
    evening = MIDNIGHT + 23 * HOUR_MS
    short = due(dict.fromkeys(NAMES, evening), evening + 5 * MINUTE, sites, {})
    assert max(len(task.sites) for task in short) == 50
    long = due(dict.fromkeys(NAMES, evening - MINUTE), evening, sites, {})
    assert max(len(task.sites) for task in long) == 2
    for tasks in (short, long):
        cells = [site for task in tasks if task.measurement == "cell" for site in task.sites]
        assert cells == sites
