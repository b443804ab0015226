"""A silence of Alertmanager: for how long, by whom and why alerts send no message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

ACKNOWLEDGED = "Acknowledged: "
"""How the comment begins where somebody is at it."""


class NoSilencesError(Exception):
    """Which silences there are is not known; the text says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence.

    Attributes
    ----------
    id, author, comment : str
    starts, ends : float
        Unix seconds.
    site : str or None
        The one site whose alerts it silences; None where it is wider or narrower than that.
    alert : str or None
        The one alert; None for all alerts of the site.
    matchers : str
        What it silences, as Alertmanager writes it.
    """

    id: str
    author: str
    comment: str
    starts: float
    ends: float
    site: str | None
    alert: str | None
    matchers: str

    @property
    def acknowledges(self) -> bool:
        """Whether somebody is at it."""
        return self.comment.startswith(ACKNOWLEDGED)


class Silences(Protocol):
    """Knows every silence that has not ended."""

    async def silences(self) -> list[Silence]:
        """All of them, the one that ends last first.

        Raises
        ------
        NoSilencesError
        """
        ...
