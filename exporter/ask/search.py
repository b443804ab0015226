"""Search for sites by part of anything that a list shows of them, and by what comes near."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.ask.lookup import fold, tokens
from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Fleet, Site
from exporter.config.site_kinds import DEFAULT_KIND
from scoring.status import Status

NEAR_PERCENT = 75
SHORTEST_NEAR = 3
"""Letters of a word that may be misspelled; shorter ones are near to everything."""
_FLEETS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of sites, those that need attention most first.

    Attributes
    ----------
    rows : tuple of int
    meant : tuple of str
        Words that were taken for others that come near them; empty where the text itself is found.
    """

    rows: tuple[int, ...]
    meant: tuple[str, ...] = ()


class SiteSearch:
    """Finds sites; what is searched of a fleet is prepared once.

    A text is looked for as it is. Where no site has it, each of its words may stand anywhere; and
    where that finds nothing either, words of the fleet that come near it count.
    """

    def __init__(self) -> None:
        self._prepared: list[tuple[Fleet, tuple[str, ...]]] = []

    def find(self, assessment: FleetAssessment, text: str, *, near: bool = True) -> Found:
        """The sites that a text finds.

        Parameters
        ----------
        assessment : FleetAssessment
        text : str
        near : bool
            Whether misspelled words count.
        """
        wanted = fold(text.strip())
        order = assessment.by_attention()
        if not wanted:
            return Found(tuple(order))
        status = assessment.scores.overall.status
        fixed = self._texts(assessment.fleet)
        texts = [
            f"{one}\n{Status(int(s)).name.lower()}" for one, s in zip(fixed, status, strict=True)
        ]
        rows = tuple(row for row in order if wanted in texts[row])
        words = tokens(text)
        if not rows and words:
            rows = tuple(row for row in order if all(word in texts[row] for word in words))
        if rows or not near or not words:
            return Found(rows)
        return self._near(order, texts, words)

    def _near(self, order: list[int], texts: list[str], words: tuple[str, ...]) -> Found:
        from rapidfuzz import fuzz, process

        known = {word for text in texts for word in tokens(text)}
        choices: list[set[str]] = []
        meant = []
        for word in words:
            if any(word in text for text in texts) or len(word) < SHORTEST_NEAR:
                choices.append({word})
                continue
            close = {
                found
                for found, _, _ in process.extract(
                    word, known, scorer=fuzz.ratio, limit=5, score_cutoff=NEAR_PERCENT
                )
            }
            choices.append(close)
            meant += sorted(close)
        rows = tuple(
            row
            for row in order
            if all(any(word in texts[row] for word in close) for close in choices)
        )
        return Found(rows, tuple(meant) if rows else ())

    def _texts(self, fleet: Fleet) -> tuple[str, ...]:
        for known, texts in self._prepared:
            if known is fleet:
                return texts
        made = tuple(_searched(site) for site in fleet.sites)
        # Callers with other rights see other fleets.
        self._prepared = [(fleet, made), *self._prepared[: _FLEETS - 1]]
        return made


def _searched(site: Site) -> str:
    """What a search looks at, but for the status."""
    # The usual kind would be found in every site.
    kind = site.kind if site.kind != DEFAULT_KIND else None
    parts = (
        *(site.id, site.title, site.location, site.region),
        *(site.battery_type, site.vendor, kind, site.priority, *site.tags),
    )
    return fold("\n".join(part for part in parts if part))
