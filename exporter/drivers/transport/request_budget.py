"""Requests that all sites behind one account may send together."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class RequestBudget:
    """The requests of one account: so many at once, and so many a second after that.

    Attributes
    ----------
    at_once, per_second : float
    """

    at_once: float
    per_second: float
    _left: float | None = None
    _at: float = 0.0
    _closed_until: float = 0.0

    def take(self, now: float) -> bool:
        """Whether a request may be sent at this moment, in monotonic seconds."""
        left = self.at_once if self._left is None else self._left
        self._left = min(self.at_once, left + (now - self._at) * self.per_second)
        self._at = now
        if now < self._closed_until or self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def close(self, until: float) -> None:
        """Send nothing before a moment: the peer has said that it was too much."""
        self._closed_until = max(self._closed_until, until)


@dataclass(slots=True)
class RequestBudgets:
    """A budget for each account, by its authorization. VRM counts 200 requests in a window from
    which three a second fall out (its API documentation, rate limiting): a third is left for
    others who use the token."""

    at_once: float = 130.0
    per_second: float = 2.0
    _budgets: dict[str, RequestBudget] = field(default_factory=dict)

    def of(self, authorization: str | None) -> RequestBudget:
        """The budget of an account."""
        key = authorization or ""
        if key not in self._budgets:
            self._budgets[key] = RequestBudget(self.at_once, self.per_second)
        return self._budgets[key]
