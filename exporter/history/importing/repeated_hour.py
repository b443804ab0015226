"""The hour that the clock shows twice when daylight saving ends: which pass a row belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporter.history.importing.time_text import FIRST, SECOND, UNKNOWN

Ints = NDArray[np.int64]

_STEP_BACK_MS = 5 * 60_000
_DISORDER_MS = 15 * 60_000


def passes(local: Ints) -> Ints:
    """The pass of each row of one repeated hour, by the order of the rows.

    The rows of the first pass come before those of the second, and between them the clock goes
    back once. Rows that do not fit in (more than 15 minutes behind the rows before them) stay
    unknown, and so do all of them where the clock never goes back or a tenth does not fit: then
    only one pass was recorded, or the order says nothing.

    Parameters
    ----------
    local : (n,) int64
        Milliseconds of the wall clock, in the order of the file.

    Returns
    -------
    (n,) int64
        0 first pass, 1 second, 2 unknown.
    """
    steps = np.diff(local)
    if steps.size and np.median(steps) < 0:
        found = passes(local[::-1])[::-1]  # newest first
        return found
    half = local.size // 2
    if (
        local.size > 1
        and local.size % 2 == 0
        and np.array_equal(local[:half], local[half:])
        and bool((steps[: half - 1] > 0).all())
    ):
        return np.repeat(np.array([FIRST, SECOND]), half)
    back = np.flatnonzero(steps <= -_STEP_BACK_MS)
    back = back[np.argsort(steps[back], kind="stable")][:8]
    best: Ints | None = None
    for cut in (back + 1).tolist():
        found = np.repeat(np.array([FIRST, SECOND]), (cut, local.size - cut))
        for part in (slice(0, cut), slice(cut, None)):
            late = np.maximum.accumulate(local[part]) - local[part] > _DISORDER_MS
            found[part][late] = UNKNOWN
        if best is None or np.count_nonzero(found == UNKNOWN) < np.count_nonzero(best == UNKNOWN):
            best = found
    if best is None or np.count_nonzero(best == UNKNOWN) > 0.1 * local.size:
        return np.full(local.size, UNKNOWN)
    return best
