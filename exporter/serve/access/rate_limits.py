"""Token buckets, one for each client; bounded in number."""

from __future__ import annotations

from collections import OrderedDict

MOST_CLIENTS = 4096


class Buckets:
    """At most ``burst`` at once and one each ``interval`` seconds, for each client.

    An ``interval`` of 0 is no limit. Of more than :data:`MOST_CLIENTS` clients the one that was
    not heard of for longest is forgotten.
    """

    def __init__(self, interval: float, burst: int) -> None:
        self.interval, self.burst = interval, burst
        # For each client the moment at which its bucket is full again.
        self._full: OrderedDict[str, float] = OrderedDict()

    def has(self, client: str, now: float) -> bool:
        """Whether one more may come now."""
        full = max(self._full.get(client, now), now)
        return full - now <= self.interval * (self.burst - 1) or not self.interval

    def take(self, client: str, now: float) -> bool:
        """Count one that comes now; False, and not counted, where it is one too many."""
        if not self.interval:
            return True
        if not self.has(client, now):
            return False
        self._full[client] = max(self._full.get(client, now), now) + self.interval
        self._full.move_to_end(client)
        if len(self._full) > MOST_CLIENTS:
            self._full.popitem(last=False)
        return True
