"""What a writer needs of an InfluxDB, whichever its API."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

from exporter.levels import LEVELS, RAW

LONGEST_WAIT_SECONDS = 60.0
WRITE_SECONDS = 10.0
ROLLUPS = tuple(level.name for level in LEVELS)


_DROPPED = re.compile(r"dropped=(\d+)")


class RetryLaterError(Exception):
    """The server did not take the batch now; it is kept and sent again.

    Attributes
    ----------
    after : float or None
        Seconds that the server asked to wait, None where it named none.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class NotAllowedError(Exception):
    """The credentials do not allow creating databases; writing may be allowed all the same."""


class RejectedError(Exception):
    """The server will never take some or all points of the batch.

    Attributes
    ----------
    rejected : int or None
        Number of points, None for the whole batch.
    """

    def __init__(self, reason: str, rejected: int | None = None) -> None:
        super().__init__(reason)
        self.rejected = rejected


class Target(Protocol):
    """One InfluxDB."""

    async def prepare(self) -> None:
        """Create databases, buckets and retention where they are absent.

        Raises
        ------
        RetryLaterError, NotAllowedError
        """

    async def write(self, body: bytes, policy: str = RAW) -> None:
        """Write gzip-compressed lines with millisecond stamps to a retention policy or bucket.

        Raises
        ------
        RetryLaterError, RejectedError
        """

    async def close(self) -> None:
        """Close connections."""


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a ``Retry-After`` header in either of its forms (RFC 9110, 10.2.3), 60 at most.

    None where there is no header or it says nothing that can be read.
    """
    if not header:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        seconds = float(header.strip()[:9])
    else:
        try:
            when = parsedate_to_datetime(header)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


def rejected_points(text: str) -> int | None:
    """Points that a partial write left out, by the server's words; None where it names no number.

    Lines that could not be read are listed one by one and are not in ``dropped``.
    """
    dropped = _DROPPED.search(text)
    return int(dropped[1]) + text.count("unable to parse '") if dropped else None


def wait_seconds(failures: int, asked: float | None, rng: random.Random) -> float:
    """Seconds to wait after ``failures`` in a row: what the server asked for, else 1, 2, 4 … 60;
    plus up to a quarter at random, so that several exporters do not come back together."""
    base = asked if asked is not None else 2.0 ** min(failures - 1, 10)
    return min(base, LONGEST_WAIT_SECONDS) * (1 + 0.25 * rng.random())
