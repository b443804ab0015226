"""The five statuses of a site and the scores at which they begin."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from scoring.weights import GOOD_FROM, HEALTHY_FROM, WARNING_FROM

__all__ = ["GOOD_FROM", "HEALTHY_FROM", "STATUSES", "WARNING_FROM", "Status", "status_of"]


class Status(IntEnum):
    """Status of a site, ordered from best to worst.

    ``UNKNOWN`` is a site that has not been scraped yet; it is never the result of a scrape.
    """

    UNKNOWN = -1
    HEALTHY = 0
    GOOD = 1
    WARNING = 2
    CRITICAL = 3
    OFFLINE = 4


STATUSES = tuple(s for s in Status if s is not Status.UNKNOWN)


def status_of(overall: NDArray[np.float64], offline: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Status of each site from its overall score.

    Parameters
    ----------
    overall : float array, shape (N,)
        Overall score, 0 to 100; NaN where nothing is known.
    offline : bool array, shape (N,)
        True for a site that does not answer; its status is OFFLINE whatever its score.

    Returns
    -------
    int8 array, shape (N,)
        Values of :class:`Status`: HEALTHY from 90, GOOD from 70, WARNING from 50, CRITICAL below,
        UNKNOWN where the score is NaN.
    """
    status = np.full(overall.shape, Status.CRITICAL, dtype=np.int8)
    status[overall >= WARNING_FROM] = Status.WARNING
    status[overall >= GOOD_FROM] = Status.GOOD
    status[overall >= HEALTHY_FROM] = Status.HEALTHY
    status[np.isnan(overall)] = Status.UNKNOWN
    status[offline] = Status.OFFLINE
    return status
