"""Sessions of those who ask: the question before, for as long as a follow-up may come."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable

from exporter.ask.language.followup import Context

MOST_SESSIONS = 1000
FORGOTTEN_AFTER_SECONDS = 3600.0


class Sessions:
    """Contexts by session id; the oldest is forgotten when there are too many.

    A context is only for askers with the rights of the one who left it.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Context, Hashable]] = OrderedDict()

    def open(self, session: str | None, rights: Hashable = None) -> tuple[str, Context | None]:
        """The session's id and context; a new id where none was given or it is not known."""
        while self._kept:
            oldest, (time, _, _) = next(iter(self._kept.items()))
            if self._clock() - time < FORGOTTEN_AFTER_SECONDS:
                break
            del self._kept[oldest]
        if session is not None and session in self._kept:
            _, context, owner = self._kept[session]
            if owner == rights:
                return session, context
        # An id that nobody can guess: one's session is not read with another's follow-up.
        return secrets.token_urlsafe(12), None

    def keep(self, session: str, context: Context, rights: Hashable = None) -> None:
        """Remember what was asked and answered."""
        self._kept.pop(session, None)
        self._kept[session] = (self._clock(), context, rights)
        while len(self._kept) > MOST_SESSIONS:
            self._kept.popitem(last=False)
