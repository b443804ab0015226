"""How often sign-ins failed of late, by address and by user; bounded in number."""

from __future__ import annotations

import math
from collections import OrderedDict

MOST_KEYS = 8192
FREE = 3
LONGEST_SECONDS = 8.0
HALF_LIFE_SECONDS = 60.0


class Failures:
    """Counts failures, and says how long the answer to the next one waits.

    A count halves every :data:`HALF_LIFE_SECONDS`. The first :data:`FREE` failures of an address
    or a user are answered at once; each one after that doubles the wait, from a quarter of a
    second to :data:`LONGEST_SECONDS`.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def add(self, client: str, name: str, now: float) -> float:
        """Count a failure; the seconds that its answer waits.

        Parameters
        ----------
        client : str
            Address.
        name : str
            User; empty where none was named.
        now : float
            Monotonic seconds.
        """
        counts = [self._count(f"address {client}", now)]
        if name:
            counts.append(self._count(f"user {name[:256]}", now))
        beyond = min(max(counts) - FREE, 16.0)
        return 0.0 if beyond <= 0 else min(LONGEST_SECONDS, 0.25 * math.pow(2.0, beyond))

    def _count(self, key: str, now: float) -> float:
        count, since = self._counts.pop(key, (0.0, now))
        count = count * math.pow(0.5, (now - since) / HALF_LIFE_SECONDS) + 1.0
        self._counts[key] = (count, now)
        if len(self._counts) > MOST_KEYS:
            self._counts.popitem(last=False)
        return count
