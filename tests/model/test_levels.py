"""Levels of detail: windows that divide a day, shards that fit the retention."""

from __future__ import annotations

import itertools

import pytest

from exporter.model.levels import DAY, LEVELS, duration_seconds, shard_seconds


def test_windows_divide_a_day_and_one_another() -> None:
    seconds = [level.seconds for level in LEVELS]
    assert seconds == sorted(seconds)
    assert all(longer % shorter == 0 for shorter, longer in itertools.pairwise(seconds))
    assert seconds[-1] == DAY


@pytest.mark.parametrize(
    ("name", "duration", "shard"),
    [
        ("raw", "90d", None),
        ("rollup_5m", "180d", 7 * DAY),
        ("rollup_5m", "2d", DAY // 2),
        ("rollup_1d", "1h", 3600),
        ("rollup_1d", "inf", 364 * DAY),
    ],
)
def test_shard_is_at_most_a_quarter_of_what_is_kept(
    name: str, duration: str, shard: int | None
) -> None:
    assert shard_seconds(name, duration) == shard


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("2w", 14 * DAY), ("inf", None)])
def test_durations(text: str, seconds: int | None) -> None:
    assert duration_seconds(text) == seconds
