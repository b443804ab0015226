"""What the sender needs of an InfluxDB of either API, and what its answers mean."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

from exporter.model.levels import DEFAULT_RETENTION, LEVELS, PORTFOLIO, RAW

if TYPE_CHECKING:
    from exporter.store.connection import Connection

LONGEST_WAIT_SECONDS = 60.0
# Where the server names no time. Short, so that fresh points arrive soon after its return.
LONGEST_UNASKED_SECONDS = 3.0
WRITE_SECONDS = 10.0
# Every InfluxDB answers 204 once it has stored all points. A proxy's page comes with 200, as did
# the incomplete requests of 0.9; 201 is a partial write.
TAKEN = 204
ROLLUPS = tuple(level.name for level in LEVELS)
POLICIES = (RAW, *ROLLUPS, PORTFOLIO)
"""All retention policies, or last parts of buckets' names."""


_DROPPED = re.compile(r"dropped=(\d+)")
_ABOUT_POINTS = ("unable to parse", "partial write", "field type conflict", "beyond retention")


class RetryLaterError(Exception):
    """The server did not take the batch; it is kept and sent again.

    Attributes
    ----------
    after : float or None
        Seconds that the server asked to wait, None where it named none.
    broken_off : bool
        The connection ended, or time did, after it had been made and before the answer: which is
        also how some servers meet a batch that is too large for them.
    """

    def __init__(self, reason: str, after: float | None = None, broken_off: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.broken_off = broken_off


class NotAllowedError(Exception):
    """The credentials do not allow the creation of databases; they may allow writes."""


class RefusedError(Exception):
    """The server refuses the batch; it may have stored parts of it.

    Attributes
    ----------
    words : str
        What the server said.
    left_out : int or None
        Number of points that it says it has left out; None where it names none.
    """

    def __init__(self, reason: str, words: str, left_out: int | None = None) -> None:
        super().__init__(reason)
        self.words = words
        self.left_out = left_out

    @property
    def about_points(self) -> bool:
        """Whether InfluxDB itself refuses the points, rather than a proxy before it."""
        return any(known in self.words for known in _ABOUT_POINTS)


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
        RetryLaterError, RefusedError
        """

    async def close(self) -> None:
        """Close connections."""


class InfluxTarget:
    """What both APIs have in common."""

    def __init__(
        self,
        connection: Connection,
        retention: str,
        rollup_retention: Mapping[str, str] = DEFAULT_RETENTION,
    ) -> None:
        self._url = connection.url
        self._database = connection.database
        self._headers = connection.headers
        self._org = connection.organisation
        self._retention = {**rollup_retention, RAW: retention}
        # Several batches may find at the same time that something is absent.
        self._preparing = asyncio.Lock()


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


def left_out(text: str) -> int | None:
    """Points that a partial write left out, as the server says; None where it gives no number.

    Lines that could not be read are listed one by one and are not in ``dropped``.
    """
    dropped = _DROPPED.search(text)
    return int(dropped[1]) + text.count("unable to parse '") if dropped else None


def wait_seconds(failures: int, asked: float | None, rng: random.Random) -> float:
    """Seconds to wait after ``failures`` in a row: what the server asked for, 60 at most, else 1,
    2, 3, 3 …; plus up to a quarter at random, so that several exporters do not come back together.
    """
    if asked is None:
        base = min(2.0 ** min(failures - 1, 10), LONGEST_UNASKED_SECONDS)
    else:
        base = min(asked, LONGEST_WAIT_SECONDS)
    return base * (1 + 0.25 * rng.random())
