"""What devices say of themselves: their own alarms, and values outside physics."""

from __future__ import annotations

import numpy as np

from scoring.issues import NOTHING_HELD, BoolArray, Finding, FloatArray, Held, judge
from scoring.rules import DEVICE_ALARM, DEVICE_WARNING, IMPLAUSIBLE_READING, WRONG_TYPE


def assess_devices(
    *,
    alarm_level: FloatArray,
    implausible: FloatArray,
    wrong_types: FloatArray,
    answering: BoolArray,
    held: Held = NOTHING_HELD,
) -> tuple[Finding, ...]:
    """Issues that belong to no component: nothing is deducted, but a warning caps the score.

    Parameters
    ----------
    alarm_level : float array, shape (N,)
        Highest alarm level of all devices: 0 ok, 1 warning, 2 alarm; NaN unknown.
    implausible : float array, shape (N,)
        Number of quantities whose last value was outside physics.
    wrong_types : float array, shape (N,)
        Number of quantities whose last value was no number.
    answering : bool array, shape (N,)
    held : mapping of code to HeldIssue
        The judgement before; see :func:`scoring.issues.judge`.

    Returns
    -------
    tuple of Finding
        An alarm (level 2) is a warning, since the device has acted on it or is about to; a
        warning of a device (level 1) and an implausible value are infos.
    """
    return (
        judge(DEVICE_ALARM, alarm_level, {}, answering & (alarm_level >= 2)),
        judge(DEVICE_WARNING, alarm_level, {}, answering & (alarm_level == 1)),
        judge(
            IMPLAUSIBLE_READING,
            np.where(implausible > 0, implausible, np.nan),
            {},
            answering & (implausible > 0),
            held=held,
            lasting=answering,
        ),
        judge(WRONG_TYPE, wrong_types, {}, answering & (wrong_types > 0)),
    )
