"""What is said of a device whose clock is wrong."""

from __future__ import annotations

from exporter.model.snapshot import Notice

CLOCK_SECONDS = 300.0
"""A clock that is further off is not believed."""


def clock_notices(offset_seconds: float) -> tuple[Notice, ...]:
    """None for a clock that is believed, or of which nothing is known.

    Parameters
    ----------
    offset_seconds : float
        How far the clock is ahead; NaN where it is not known.
    """
    if not abs(offset_seconds) > CLOCK_SECONDS:
        return ()
    how = "ahead" if offset_seconds > 0 else "behind"
    detail = f"{abs(offset_seconds) / 60:.0f} min {how}; times of receipt are used"
    return (Notice("device_clock", "site", detail),)
