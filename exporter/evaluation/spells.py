"""Times during which something was said of a site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scoring.issues import Severity

Active = Mapping[tuple[str, str], Severity]
"""What holds at a moment: site id and code of an issue to its severity."""


@dataclass(frozen=True, slots=True)
class Spell:
    """One issue of one site from its first to its last assessment, Unix seconds.

    ``severity`` is the worst that it had. ``end`` is the first assessment without it, or the last
    one of the recording.
    """

    site: str
    code: str
    severity: Severity
    begin: float
    end: float


class SpellTracker:
    """Makes spells of what holds at each moment."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], tuple[float, Severity]] = {}
        self._ended: list[Spell] = []

    def observe(self, time: float, active: Active) -> list[tuple[str, str]]:
        """Take in what holds now, by site and code; times must ascend. Returns what begins."""
        begun = [key for key in active if key not in self._open]
        for key in [k for k in self._open if k not in active]:
            self._end(key, time)
        for key, severity in active.items():
            begin, worst = self._open.get(key, (time, severity))
            self._open[key] = (begin, max(worst, severity))
        return begun

    def finish(self, time: float) -> tuple[Spell, ...]:
        """End what is still open; all spells by their beginning."""
        for key in list(self._open):
            self._end(key, time)
        return tuple(sorted(self._ended, key=lambda s: (s.begin, s.site, s.code)))

    def _end(self, key: tuple[str, str], time: float) -> None:
        begin, severity = self._open.pop(key)
        self._ended.append(Spell(*key, severity, begin, time))


def of_site(spells: Iterable[Spell]) -> dict[str, list[Spell]]:
    """Spells by site id."""
    found: dict[str, list[Spell]] = {}
    for spell in spells:
        found.setdefault(spell.site, []).append(spell)
    return found
