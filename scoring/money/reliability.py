"""How often a plant fails, and how long until it is back (ISO/TR 12489)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

REPEAT_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, in Unix seconds.

    ``began`` is when the plant stopped, ``detected`` when somebody knew, ``repair_began`` when the
    repair started, ``restored`` when it worked again; None where that is not known or not yet so.
    """

    began: float
    detected: float | None
    repair_began: float | None
    restored: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Means over the failures of which enough is known; None where there is no such failure.

    ``restoration_s`` is the time from failure to service (detection, waiting and repair),
    ``repair_s`` that of the repair alone, ``between_s`` the operating time for each failure, and
    the numbers say over how many failures each is taken.
    """

    failures: int
    restoration_s: float | None
    restored: int
    repair_s: float | None
    repaired: int
    between_s: float | None


def reliability(failures: Sequence[Failure], operating_seconds: float) -> Reliability:
    """Times of a plant's failures.

    Parameters
    ----------
    failures : sequence of Failure
        Those that began in the period.
    operating_seconds : float
        Time in the period during which the plant was observed to work.

    Raises
    ------
    ValueError
        If the times of a failure run backwards, or the operating time is negative.
    """
    if operating_seconds < 0:
        raise ValueError("operating time is negative")
    for failure in failures:
        times = [failure.began, failure.detected, failure.repair_began, failure.restored]
        known = [time for time in times if time is not None]
        if known != sorted(known):
            raise ValueError(f"times of the failure at {failure.began:.0f} run backwards")
    down = [f.restored - f.began for f in failures if f.restored is not None]
    repair = [
        f.restored - f.repair_began
        for f in failures
        if f.restored is not None and f.repair_began is not None
    ]
    return Reliability(
        failures=len(failures),
        restoration_s=sum(down) / len(down) if down else None,
        restored=len(down),
        repair_s=sum(repair) / len(repair) if repair else None,
        repaired=len(repair),
        between_s=operating_seconds / len(failures) if failures else None,
    )


def repeats(start: float, same: Sequence[float]) -> int:
    """How many of the same failures began in the 30 days until ``start``, that one included.

    The beginning of the 30 days does not count: failures on days 0, 10 and 30 make two on day 30.
    The length is ours.

    Parameters
    ----------
    start : float
        Unix seconds.
    same : sequence of float
        Beginnings of failures of the same device with the same code, in any order.
    """
    return sum(start - REPEAT_SECONDS < one <= start for one in same)
