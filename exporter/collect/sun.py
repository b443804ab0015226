"""What a clear sky allows each site to make, worked out ahead by a program of its own.

The library for it and what it loads take 100 MB and seconds, which the collector has not. So the
program (``python -m exporter.collect.sun``) works out every minute of the next half hour, and ends.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from exporter.model.workers import Program, ProgramError
from scoring.pv_power import Expected

STEP_SECONDS = 60.0
STEPS = 30
# The next half hour is begun this long before the end.
AHEAD_SECONDS = 120.0
_LIMIT_SECONDS = 120.0
_NAMES = tuple(field.name for field in fields(Expected))
FloatArray = NDArray[np.float64]


class SunError(Exception):
    """The expectation could not be worked out; the text says why."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Expected values of sites in the half hour from ``start``, Unix seconds.

    ``values`` has shape (steps, fields of Expected, sites).
    """

    ids: Sequence[str]
    start: float
    values: FloatArray

    def at(self, time: float) -> Expected | None:
        """What is expected at a moment (Unix seconds), to the minute; None outside of its time."""
        step = int((time - self.start) // STEP_SECONDS)
        if not 0 <= step < len(self.values):
            return None
        return Expected(*self.values[step])

    def lasts(self, time: float) -> bool:
        """Whether it is far from its end."""
        left = self.start + len(self.values) * STEP_SECONDS - time
        return self.start <= time and left > AHEAD_SECONDS


async def outlook(ids: Sequence[str], time: float, sites: FloatArray) -> Outlook:
    """Work out the half hour from ``time``.

    Parameters
    ----------
    ids : sequence of N str
    time : float
        Unix seconds.
    sites : float array, shape (K, N)
        Latitude, longitude, tilt, azimuth, capacity and what else is known of each array, as
        :func:`scoring.pv_power.expected_power` takes them.

    Raises
    ------
    SunError
    """
    given = io.BytesIO()
    np.savez(given, sites=sites, times=time + STEP_SECONDS * np.arange(STEPS))
    try:
        written = await Program("exporter.collect.sun").output(given.getvalue(), _LIMIT_SECONDS)
        values = np.load(io.BytesIO(written))
    except (OSError, TimeoutError, ValueError, ProgramError) as error:
        raise SunError(f"{type(error).__name__}: {error}") from error
    return Outlook(ids, time, values)


def main() -> None:
    """Read what :func:`outlook` writes, and write the values."""
    from scoring.pv_power import expected_power

    given = np.load(io.BytesIO(sys.stdin.buffer.read()))
    found = [expected_power(float(time), *given["sites"]) for time in given["times"]]
    np.save(sys.stdout.buffer, np.array([[getattr(one, name) for name in _NAMES] for one in found]))


if __name__ == "__main__":
    main()
