"""The half hour that is worked out ahead equals the model at each of its minutes."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from exporter.collect import sun
from exporter.collect.sun import STEP_SECONDS, STEPS, Outlook, SunError, outlook
from scoring.pv_power import Expected, expected_power

# 2026-06-21, from a little before sunrise in the first place.
TIME = 1_782_014_400.0
SITES = np.array(
    [
        [48.2, -33.9, np.nan, 0.0],
        [16.4, 151.2, 10.0, 0.0],
        [30.0, np.nan, 10.0, 0.0],
        [180.0, np.nan, 90.0, 0.0],
        [8.0, 5.0, 5.0, np.nan],
    ]
)


@pytest.mark.slow
async def test_each_minute_is_that_of_the_model() -> None:
    found = await outlook(["a", "b", "c", "d"], TIME, SITES)
    for step in range(STEPS):
        for seconds in (0.0, STEP_SECONDS - 0.001):
            expected = found.at(TIME + step * STEP_SECONDS + seconds)
            model = expected_power(TIME + step * STEP_SECONDS, *SITES)
            for field in fields(Expected):
                assert np.array_equal(
                    getattr(expected, field.name), getattr(model, field.name), equal_nan=True
                )
    assert found.at(TIME - 1) is None
    assert found.at(TIME + STEPS * STEP_SECONDS) is None


def test_it_is_renewed_before_its_end_and_after_a_step_of_the_clock() -> None:
    found = Outlook([], TIME, np.zeros((STEPS, 3, 0)))
    end = TIME + STEPS * STEP_SECONDS
    assert [found.lasts(t) for t in (TIME - 1, TIME, end - 200, end - 100, end + 1)] == [
        *(False, True, True, False, False)
    ]


async def test_a_program_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SunError, match="solar_capacity_kw"):
        await outlook(["a"], TIME, SITES[:4])
    monkeypatch.setattr(sun, "_LIMIT_SECONDS", 0.0)
    with pytest.raises(SunError, match="TimeoutError"):
        await outlook(["a"], TIME, SITES)
