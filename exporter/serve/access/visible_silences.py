"""Silences as the caller of the request under way sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from exporter.model.silences import Silence, Silences
from exporter.serve.access.roles import Visibility

WIDER = "a silence that is not of this site alone"


def without_words(silence: Silence) -> Silence:
    """A silence without its author, comment and matchers, which may speak of other projects."""
    return replace(silence, author="", comment=WIDER, matchers="")


class VisibleSilences:
    """Silences, of which whoever sees some projects alone reads no words of a wider one.

    Parameters
    ----------
    silences : Silences
    seen : callable
        What the caller of the request under way sees.
    """

    def __init__(self, silences: Silences, seen: Callable[[], Visibility]) -> None:
        self._silences = silences
        self._seen = seen

    async def silences(self) -> list[Silence]:
        """As :meth:`Silences.silences`; whoever asks leaves out the sites that it does not see."""
        found = await self._silences.silences()
        if self._seen().projects is None:
            return found
        return [one if one.site is not None else without_words(one) for one in found]
