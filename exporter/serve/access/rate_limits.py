"""Token buckets, one for each client; bounded in number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from exporter.config.fleet import Project

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


class ProjectQuotas:
    """The requests that callers of each project may send together.

    Parameters are those of the fleet file in force, so a new file counts at once.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, Buckets] = {}

    def exhausted(
        self, projects: Iterable[str], quotas: Mapping[str, Project], now: float
    ) -> str | None:
        """Count a request for each of its caller's projects; the first that has none left.

        Parameters
        ----------
        projects : iterable of str
        quotas : mapping of project to Project
        now : float
            Monotonic seconds.
        """
        limits = {
            name: quotas[name].requests_per_minute
            for name in projects
            if name in quotas and quotas[name].requests_per_minute
        }
        for name, most in limits.items():
            if most and not self._of(most).has(name, now):
                return name
        for name, most in limits.items():
            if most:
                self._of(most).take(name, now)
        return None

    def _of(self, most: int) -> Buckets:
        """Buckets that hold a minute's requests."""
        return self._buckets.setdefault(most, Buckets(60.0 / most, most))
