"""Shares a fleet's power out over its sites: by the energy that each can take or give, up to what
each is allowed."""

from __future__ import annotations

import numpy as np

from scoring.issues import FloatArray

_LEAST_WEIGHT = 1e-9


def shared_power(total_w: float, most_w: FloatArray, room_kwh: FloatArray) -> FloatArray:
    """The share of each site.

    Sites that hold more (or can take more) give more, so that a fleet reaches its floors and
    ceilings together. What one site cannot do goes to those that can.

    Parameters
    ----------
    total_w : float
        Power for all sites together, W and 0 or more.
    most_w : array of shape (N,)
        Most that each site may do, W and 0 or more.
    room_kwh : array of shape (N,)
        Energy between its state of charge and its ceiling (charging) or floor (discharging).
        NaN where it is not known: such a site gets the mean room of the others, or all are equal.

    Returns
    -------
    array of shape (N,)
        W; its sum is ``total_w``, or that of ``most_w`` where the fleet can do no more.
    """
    room = np.maximum(np.where(most_w > 0, room_kwh, 0.0), 0.0)
    known = ~np.isnan(room) & (most_w > 0)
    usual = float(room[known].mean()) if known.any() else 1.0
    weight = np.where(np.isnan(room), usual, room)
    if not (weight[most_w > 0] > 0).any():
        weight = (most_w > 0).astype(np.float64)
    # Whatever has room at all stays in: numbers that differ by more would be lost in sums.
    scaled = weight / max(float(weight.max(initial=0.0)), np.finfo(np.float64).tiny)
    weight = np.where(weight > 0, np.maximum(scaled, _LEAST_WEIGHT), 0.0)
    share = np.zeros(most_w.shape)
    open_ = (most_w > 0) & (weight > 0)
    left = min(total_w, float(most_w[open_].sum()))
    # Each round fills one site at least, so that N rounds are enough.
    while left > 1e-9 and open_.any():
        offered = left * weight / weight[open_].sum()
        full = open_ & (share + offered >= most_w)
        if not full.any():
            share[open_] += offered[open_]
            break
        left -= float((most_w - share)[full].sum())
        share[full] = most_w[full]
        open_ &= ~full
    return share
