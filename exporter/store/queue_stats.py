"""The numbers of the queue for the metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from exporter.config.settings import Settings
from exporter.store.queue import Fate, Queue


@dataclass(frozen=True, slots=True)
class SpoolNumbers:
    """The queue at one moment.

    Attributes
    ----------
    points : mapping of Fate to int
        Empty while it is not known yet what an earlier run has left: a counter that began at 0
        and jumped would look like that many new points.
    bytes, limit_bytes : int
    oldest : float or None
        Unix seconds of the oldest batch that waits.
    longest_seconds : float or None
        Age at which a batch is dropped; None without a limit.
    durable : bool or None
        Whether what waits is on disk; None without a queue on disk.
    """

    points: Mapping[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    bytes: int = 0
    limit_bytes: int = 0
    oldest: float | None = None
    longest_seconds: float | None = None
    durable: bool | None = None

    @classmethod
    def together(cls, spools: Collection[SpoolNumbers]) -> SpoolNumbers:
        """The numbers of several queues as of one; zeros without any."""
        known = all(spool.points for spool in spools)
        durable = [spool.durable for spool in spools if spool.durable is not None]
        return cls(
            points={f: sum(s.points[f] for s in spools) for f in Fate} if known else {},
            bytes=sum(spool.bytes for spool in spools),
            limit_bytes=sum(spool.limit_bytes for spool in spools),
            oldest=min((s.oldest for s in spools if s.oldest is not None), default=None),
            longest_seconds=next((s.longest_seconds for s in spools), None),
            durable=all(durable) if durable else None,
        )

    @classmethod
    def of(cls, queue: Queue | None, settings: Settings) -> SpoolNumbers:
        """The numbers of a queue; zeros where nothing is stored."""
        if queue is None:
            return cls()
        return cls(
            points=queue.counts,
            bytes=queue.bytes,
            limit_bytes=queue.limit,
            oldest=queue.oldest_time,
            longest_seconds=None if queue.durable is None else settings.queue_hours * 3600.0,
            durable=queue.durable,
        )
