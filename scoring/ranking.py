"""Ranks of sites: who needs attention most, and who performs best."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.status import Status

Codes = NDArray[np.integer[Any]]


# The ids of a fleet stay, and to sort Python strings costs more than the rest of a ranking.
@functools.lru_cache(maxsize=4)
def _id_order(ids: tuple[str, ...]) -> NDArray[np.intp]:
    """Place of each id in ascending order, shape (N,)."""
    # An object array compares Python strings, which neither pads nor strips them.
    distinct, place = np.unique(np.array(ids, dtype=object), return_inverse=True)
    if distinct.size != len(ids):
        raise ValueError("ids must be unique")
    return place.astype(np.intp, copy=False)


def _ranks(order: NDArray[np.intp]) -> NDArray[np.intp]:
    ranks = np.empty(order.size, dtype=np.intp)
    ranks[order] = np.arange(1, order.size + 1)
    return ranks


def _check(
    overall: NDArray[np.float64], status: Codes, priority: Codes, ids: Sequence[str]
) -> None:
    if not overall.shape == status.shape == priority.shape == (len(ids),):
        raise ValueError("overall, status, priority and ids must have the same length")


def attention_rank(
    overall: NDArray[np.float64],
    status: Codes,
    priority: Codes,
    ids: Sequence[str],
) -> NDArray[np.intp]:
    """Rank of each site by need of attention, 1 for the site that needs it most.

    The worst overall score comes first. A site that is OFFLINE counts as 0, whatever its last
    score was, and comes before others at 0. Ties go to the higher priority and then to the id in
    ascending order. A site that was never assessed (NaN, or status UNKNOWN) comes last.

    Parameters
    ----------
    overall : float array, shape (N,)
        Overall score, 0 to 100; NaN where nothing is known.
    status : int array, shape (N,)
        Values of :class:`scoring.status.Status`.
    priority : int array, shape (N,)
        0 high, 1 medium, 2 low.
    ids : sequence of N str
        Unique site ids.

    Returns
    -------
    int array, shape (N,)
        Every rank from 1 to N once; the order of the input has no influence.

    Raises
    ------
    ValueError
        If the lengths differ or an id occurs twice.
    """
    _check(overall, status, priority, ids)
    offline = status == Status.OFFLINE
    unknown = ~offline & (np.isnan(overall) | (status == Status.UNKNOWN))
    score = np.where(unknown | offline, 0.0, overall)
    return _ranks(np.lexsort((_id_order(tuple(ids)), priority, ~offline, score, unknown)))


def performance_rank(
    overall: NDArray[np.float64],
    status: Codes,
    priority: Codes,
    ids: Sequence[str],
) -> NDArray[np.intp]:
    """Rank of each site by performance, 1 for the best.

    The best overall score comes first; then the sites that are OFFLINE, and last those never
    assessed (NaN, or status UNKNOWN). Ties go to the higher priority and then to the id in
    ascending order. Parameters, result and errors are those of :func:`attention_rank`.
    """
    _check(overall, status, priority, ids)
    offline = status == Status.OFFLINE
    unknown = ~offline & (np.isnan(overall) | (status == Status.UNKNOWN))
    score = np.where(unknown | offline, 0.0, overall)
    return _ranks(np.lexsort((_id_order(tuple(ids)), priority, -score, offline, unknown)))
