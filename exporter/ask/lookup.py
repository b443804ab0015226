"""Finding what a person means: sites by id, name or part of either; regions, makes and tags."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from exporter.ask.query import Filter
from exporter.config.fleet import Fleet, Site

_TOKEN = re.compile(r"\d+[.,]\d+|\d+|[^\W\d_]+")
_SIMILAR_PERCENT = 72
LONGEST_NAME = 200
_SIGNS = re.compile(r"""[<>≤≥=%°€$£&"„“”«»]""")


class UnknownSiteError(Exception):
    """No site, or more than one, is called that.

    Attributes
    ----------
    suggestions : tuple of str
        Ids that may have been meant.
    """

    def __init__(self, message: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(message)
        self.suggestions = suggestions


def fold(text: str) -> str:
    """Text for comparison: without case, width and, on Latin letters, accents."""
    folded = []
    for char in unicodedata.normalize("NFKC", text).casefold():
        parts = unicodedata.normalize("NFD", char)
        # Cyrillic й and ї are letters of their own.
        folded.append(parts[0] if parts[0] < "\u0250" else char)
    return "".join(folded)


@lru_cache(maxsize=65_536)
def tokens(text: str) -> tuple[str, ...]:
    """Words and numbers of a text, folded; whatever stands between them does not count."""
    return tuple(_TOKEN.findall(fold(text)))


def location_parts(location: str | None) -> list[str]:
    """``Sevilla, Spain`` as Sevilla and Spain, and as a whole."""
    if not location:
        return []
    parts = [part.strip() for part in location.split(",") if part.strip()]
    return parts if len(parts) == 1 else [location, *parts]


def group_values(site: Site, attribute: str) -> list[str]:
    """The groups of an attribute that a site is in: of a location its last part, the country."""
    values = attribute_values(site, attribute)
    return values[-1:] if attribute == "location" else values


def attribute_values(site: Site, attribute: str) -> list[str]:
    """What a site has under an attribute; empty where it has nothing."""
    if attribute == "site":
        return [site.id]
    if attribute == "tag":
        return list(site.tags)
    if attribute == "location":
        return location_parts(site.location)
    if attribute == "protocol":
        return protocols(site)
    value = getattr(site, attribute)
    return [value] if value else []


# A protocol on top of that of the address, and that of a driver whose address names none.
_ABOVE = {"sunspec": "SunSpec", "vrm": "VRM", "push": "push"}
_SCHEMES = {"http": "HTTP", "https": "HTTP", "mqtt": "MQTT", "mqtts": "MQTT", "modbus": "Modbus"}
_USUAL = {
    "venus-mqtt": "MQTT",
    "template-mqtt": "MQTT",
    "modbus-tcp": "Modbus",
    "sunspec": "Modbus",
}


def protocols(site: Site) -> list[str]:
    """What a site is read over, the best way in first; with the names of the drivers."""
    found: list[str] = []
    for way in site.ways:
        scheme = way.api_endpoint.partition("://")[0].casefold()
        below = _SCHEMES.get(scheme) or _USUAL.get(way.driver, "HTTP")
        found += [name for name in (_ABOVE.get(way.driver), below, way.driver) if name]
    return list(dict.fromkeys(found))


class Directory:
    """Everything in a fleet that has a name."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.titles = {site.id: site.title for site in fleet.sites}
        self._rows = {site.id: row for row, site in enumerate(fleet.sites)}
        self._named: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._words: dict[str, list[str]] = defaultdict(list)
        self.filters: dict[tuple[str, ...], list[Filter]] = defaultdict(list)
        for site in fleet.sites:
            names = {tokens(site.id), tokens(site.title)} - {()}
            for name in names:
                self._named[name].append(site.id)
            for word in {word for name in names for word in name}:
                self._words[word].append(site.id)
            for attribute in ("region", "location", "battery_type", "vendor", "tag", "protocol"):
                for value in attribute_values(site, attribute):
                    known = self.filters[tokens(value)]
                    if not any(f.attribute == attribute for f in known):
                        known.append(Filter(attribute, value))
        self.filters.pop((), None)
        self.models = self._models()
        # Names that a sentence cannot be split around: with signs, or without any letter.
        self.signed = sorted(
            (
                (site.title.casefold(), site.id)
                for site in fleet.sites
                if _SIGNS.search(site.title) or not tokens(site.title)
            ),
            key=lambda pair: (-len(pair[0]), pair),
        )
        self._folded = [
            {site: fold(text) for site, text in texts.items()}
            for texts in (self.titles, {site: site for site in self.titles})
        ]
        self.longest = max(map(len, (*self._named, *self.filters, ())), default=0)

    def _models(self) -> dict[tuple[str, ...], list[Filter]]:
        """Battery types by what tells them from others: ``US3000C`` of ``Pylontech US3000C``."""
        found: dict[tuple[str, ...], list[Filter]] = defaultdict(list)
        for phrase, filters in self.filters.items():
            for wanted in filters:
                if wanted.attribute != "battery_type":
                    continue
                for start in range(1, len(phrase)):
                    part = phrase[start:]
                    mixed = {word[0].isdigit() for word in part} == {True, False}
                    if mixed and not part[0][0].isdigit() and part not in self.filters:
                        found[part].append(wanted)
        return found

    def row(self, site: str) -> int:
        """Row of a site in the Assessment.

        Raises
        ------
        UnknownSiteError
        """
        if site not in self._rows:
            raise UnknownSiteError(f"there is no site with the id {site[:80]!r}", ())
        return self._rows[site]

    def named(self, phrase: tuple[str, ...]) -> list[str]:
        """Ids of the sites whose id or name consists of exactly these words."""
        return self._named.get(phrase, [])

    def with_word(self, word: str) -> list[str]:
        """Ids of the sites that have this word in their id or name."""
        return self._words.get(word, [])

    def find(self, text: str) -> str:
        """The id of the one site that a text means.

        Raises
        ------
        UnknownSiteError
            If it is none or more than one; its suggestions are what comes closest.
        """
        text = text.strip()
        if text in self._rows:
            return text
        if len(text) > LONGEST_NAME:
            # To compare it with every name would take seconds.
            raise UnknownSiteError(f"there is no site {text[:80]!r}", ())
        phrase = tokens(text)
        for found in (self.named(phrase), self._by_part(phrase, text)):
            if len(found) == 1:
                return found[0]
            if found:
                shown = tuple(found[:5])
                more = f" and {len(found) - 5} more" if len(found) > 5 else ""
                listed = ", ".join(self.label(site) for site in shown)
                raise UnknownSiteError(
                    f"{text[:80]!r} may be {len(found)} sites: {listed}{more}; name one", shown
                )
        close = self.similar(text)
        hint = ", ".join(self.label(site) for site in close)
        raise UnknownSiteError(
            f"there is no site {text[:80]!r}" + (f"; did you mean {hint}?" if hint else ""), close
        )

    def _by_part(self, phrase: tuple[str, ...], text: str) -> list[str]:
        if phrase:
            sets = [
                {
                    site
                    for word, sites in self._words.items()
                    if word == part or (len(part) >= 3 and part in word)
                    for site in sites
                }
                for part in phrase
            ]
            found = set.intersection(*sets)
            exact = {
                site for site in found if all(site in self._words.get(part, ()) for part in phrase)
            }
            found = exact or found
        else:
            # A name of signs only, such as one emoji.
            found = {i for i, title in self.titles.items() if text and text in title}
        return [site.id for site in self.fleet.sites if site.id in found]

    def label(self, site: str) -> str:
        """Id and name, or just the one of both where they are the same."""
        title = self.titles[site]
        return site if title == site else f"{site} ({title})"

    def similar(self, text: str, most: int = 3) -> tuple[str, ...]:
        """Ids of the sites whose id or name is most like a text, best first."""
        from rapidfuzz import fuzz, process

        wanted = fold(text)
        best: dict[str, float] = {}
        for folded in self._folded:
            for _, score, site in process.extract(
                wanted, folded, scorer=fuzz.WRatio, limit=most, score_cutoff=_SIMILAR_PERCENT
            ):
                best[site] = max(score, best.get(site, 0.0))
        return tuple(sorted(best, key=lambda site: (-best[site], site))[:most])

    def match_filter(self, wanted: Filter) -> Filter:
        """A filter with the value as the fleet file spells it.

        Raises
        ------
        UnknownSiteError
            If no site has such a value; its suggestions are what comes closest.
        """
        from rapidfuzz import process

        if wanted.attribute == "site":
            return Filter("site", self.find(wanted.value), wanted.negate)
        if wanted.attribute == "priority":
            known: Iterable[str] = ("high", "medium", "low")
        else:
            known = sorted(
                {v for s in self.fleet.sites for v in attribute_values(s, wanted.attribute)}
            )
        by_fold = {fold(value): value for value in known}
        exact = by_fold.get(fold(wanted.value))
        if exact is not None:
            return Filter(wanted.attribute, exact, wanted.negate)
        name = wanted.attribute.replace("_", " ")
        close = [by_fold[m[0]] for m in process.extract(fold(wanted.value), list(by_fold), limit=3)]
        hint = f"; it has {', '.join(close)}" if close else "; no site has any"
        raise UnknownSiteError(f"no site has the {name} {wanted.value[:80]!r}{hint}", tuple(close))
