"""The Assessment as the caller of the request under way sees it.

The guard sets the caller of each request (:func:`calling`). Whatever answers the request asks a
:class:`VisibleAssessment` for the latest Assessment and gets the part that the caller sees, so no
handler can show more. Context variables reach threads and tasks that a handler starts.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from exporter.assess.assessment import FleetAssessment
from exporter.assess.restriction import restricted, restricted_fleet
from exporter.config.fleet import Fleet
from exporter.serve.access.roles import EVERY_PROJECT, Caller, Role, Visibility

_caller: ContextVar[Caller] = ContextVar("caller")
# Callers with the same rights share a part.
MOST_PARTS = 64
_WHOLE = Visibility()


@contextlib.contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """What runs inside works for this caller."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def delivering(name: str, projects: Collection[str]) -> contextlib.AbstractContextManager[None]:
    """What runs inside works for a delivery, which sees some projects, or all without any."""
    roles = tuple((project, Role.OPERATOR) for project in projects or (EVERY_PROJECT,))
    return calling(Caller(name, roles))


def visibility() -> Visibility:
    """What the caller of the request under way sees.

    Raises
    ------
    LookupError
        Outside a request; nothing is shown by mistake.
    """
    return _caller.get().visibility


@dataclass(slots=True)
class _Part:
    whole_fleet: Fleet
    fleet: Fleet
    whole: FleetAssessment | None = None
    assessment: FleetAssessment | None = None


class VisibleAssessment:
    """Called, it returns the latest Assessment as far as the caller of the request sees it.

    The same object is returned as long as the latest Assessment and the rights stay the same.

    Parameters
    ----------
    latest : callable
        The latest Assessment of the whole fleet.
    """

    def __init__(self, latest: Callable[[], FleetAssessment]) -> None:
        self._latest = latest
        self._parts: OrderedDict[Visibility, _Part] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self) -> FleetAssessment:
        """The part of the latest Assessment.

        Raises
        ------
        LookupError
            Outside a request.
        """
        seen, whole = visibility(), self._latest()
        if seen == _WHOLE:
            return whole
        with self._lock:
            part = self._parts.get(seen)
            if part is None or part.whole_fleet is not whole.fleet:
                fleet = restricted_fleet(whole.fleet, seen.projects, seen.contacts)
                part = self._parts[seen] = _Part(whole.fleet, fleet)
            self._parts.move_to_end(seen)
            if len(self._parts) > MOST_PARTS:
                self._parts.popitem(last=False)
            if part.assessment is None or part.whole is not whole:
                part.whole, part.assessment = whole, restricted(whole, part.fleet)
            return part.assessment
