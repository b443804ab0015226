"""A sentence as items: what each of its words stands for. Every word must stand for something."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from exporter.ask.language.lexicon import Lexicon, places
from exporter.ask.language.text import Sentence, Token, sentence
from exporter.ask.lookup import Directory, UnknownSiteError
from exporter.ask.periods.reader import PeriodReader
from exporter.ask.query import Filter, Period

NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            "two|zwei|два|дві",
            "three|drei|три",
            "four|vier|чотири",
            "five|funf|п ять",
            "six|sechs|шість",
            "seven|sieben|сім",
            "eight|acht|вісім",
            "nine|neun",
            "ten|zehn|десять",
        ),
        2,
    )
    for word in words.split("|")
}


_DIGITS = {word: str(number) for word, number in NUMBERS.items()} | dict.fromkeys(
    ("one", "eins", "один"), "1"
)
_FOR = ("for", "seit")
_OVER = ("over", "uber")
_DIRECTIONS = ("north", "south", "east", "west")
_BEFORE_PLACES = ("in", "im", "the")


@dataclass(frozen=True, slots=True)
class Item:
    """What some words stand for: its kind, its value, and the index of the first of them."""

    kind: str
    value: str = ""
    at: int = 0
    number: float = 0.0


@dataclass(slots=True)
class Tagged:
    """Items of a sentence, and what was found among them."""

    text: str
    items: list[Item] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    periods: list[Period] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    ambiguous: list[UnknownSiteError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    """Where the words of an item end, by the index of the first of them."""

    def has(self, kind: str, value: str | None = None) -> bool:
        """Whether there is such an item."""
        return any(i.kind == kind and value in (None, i.value) for i in self.items)

    def values(self, kind: str) -> list[str]:
        """Values of all items of a kind, each once, in order."""
        return list(dict.fromkeys(i.value for i in self.items if i.kind == kind))


class Tagger:
    """Finds items, the longest first, from left to right."""

    def __init__(self, directory: Directory, lexicon: Lexicon, now: datetime, zone: tzinfo) -> None:
        self._directory = directory
        self._lexicon = lexicon
        self._now = now
        self._zone = zone

    def tag(self, text: str) -> Tagged:
        """All items of a text.

        Raises
        ------
        QueryError
            For a period that cannot be.
        """
        parsed = sentence(text)
        reader = PeriodReader(parsed.text, parsed.tokens, self._now, self._zone, ahead=True)
        corrected: dict[int, str] = {}
        notes = []
        covered = self._covered(parsed, reader)
        for index, token in enumerate(parsed.tokens):
            if index in covered or self._known(parsed, index):
                continue
            better = self._lexicon.close_to(token.word)
            if better:
                corrected[index] = better
                notes.append(f"read {token.raw!r} as {better!r}")
        if corrected:
            tokens = tuple(
                Token(corrected.get(n, t.word), t.raw, t.start, t.end)
                for n, t in enumerate(parsed.tokens)
            )
            parsed = Sentence(parsed.text, tokens, parsed.quoted)
        tagged = self._run(parsed)
        tagged.notes = notes
        return tagged

    def _covered(self, parsed: Sentence, reader: PeriodReader) -> set[int]:
        """The words that belong to a phrase or period, read from left to right."""
        words = [token.word for token in parsed.tokens]
        covered: set[int] = set()
        index = 0
        while index < len(words):
            found, period = self._lexicon.match(words, index), reader.at(index)
            after = max(found[1] if found else 0, period[1] if period else 0)
            covered.update(range(index, after))
            index = max(after, index + 1)
        return covered

    def _known(self, parsed: Sentence, index: int) -> bool:
        """Whether a word means something anywhere: then it is not taken for a misspelling."""
        token = parsed.tokens[index]
        if any(start <= token.start < end for start, end, _ in parsed.quoted):
            return True
        if (
            token.number is not None
            or token.word in NUMBERS
            or self._directory.with_word(token.word)
        ):
            return True
        if any(token.word in phrase for phrase in self._directory.filters):
            return True
        words = [t.word for t in parsed.tokens]
        if self._lexicon.match(words, index) or places().match(words, index):
            return True
        return token.word in self._lexicon.words.get(token.word[0], ())

    def _run(self, parsed: Sentence) -> Tagged:
        tagged = Tagged(parsed.text)
        tokens = parsed.tokens
        words = [token.word for token in tokens]
        reader = PeriodReader(parsed.text, tokens, self._now, self._zone, ahead=True)
        index = 0
        while index < len(tokens):
            quoted = next((q for q in parsed.quoted if q[0] < tokens[index].start < q[1]), None)
            if quoted:
                self._quoted(tagged, quoted[2], index)
                index = next((n for n, t in enumerate(tokens) if t.start >= quoted[1]), len(tokens))
                continue
            first, index = index, self._step(tagged, parsed, words, reader, index)
            tagged.ends[first] = index
        return tagged

    def _quoted(self, tagged: Tagged, text: str, index: int) -> None:
        try:
            self._site(tagged, self._directory.find(text), index)
        except UnknownSiteError as error:
            tagged.ambiguous.append(error)

    def _site(self, tagged: Tagged, site: str, index: int) -> None:
        if site not in tagged.sites:
            tagged.sites.append(site)
        tagged.items.append(Item("named", site, index))

    def _step(
        self, tagged: Tagged, parsed: Sentence, words: list[str], reader: PeriodReader, index: int
    ) -> int:
        token = parsed.tokens[index]
        meaning = self._lexicon.match(words, index)
        lasting = self._lasting(tagged, words, reader, index)
        if lasting:
            # "No data for more than": the condition stands in the phrase.
            also = (c.partition(":") for c in (meaning[0] if meaning else ()))
            tagged.items += [Item(k, v, index) for k, _, v in also if k == "cond"]
            tagged.items.append(lasting[0])
            return lasting[1]
        cell = _cell_of_pack(tagged, parsed, index)
        if cell:
            tagged.items.append(Item("number", cell, index, float(parsed.tokens[index + 1].word)))
            return index + 2
        period = reader.at(index)
        names, after_name = self._names(words, index)
        ends = (
            after_name if names else 0,
            period[1] if period else 0,
            meaning[1] if meaning else 0,
        )
        longest = max(ends)
        written = names and _as_written(self._directory, names, parsed, index, after_name)
        if names and ends[0] == longest and (longest > max(ends[1:]) or written):
            return self._named(tagged, names, words, index, after_name)
        if period and ends[1] == longest:
            tagged.periods.append(period[0])
            tagged.items.append(Item("period", period[0].words, index))
            if period[0].start >= self._now:
                tagged.items.append(Item("ahead", "", index))
            return period[1]
        if meaning and ends[2] == longest:
            for concept in meaning[0]:
                kind, _, value = concept.partition(":")
                if kind == "filt":
                    attribute, _, wanted = value.partition("=")
                    tagged.filters.append(Filter(attribute, wanted))
                tagged.items.append(Item(kind, value, index))
            return meaning[1]
        if token.number is None and token.word in NUMBERS:
            tagged.items.append(Item("number", token.word, index, float(NUMBERS[token.word])))
            return index + 1
        if token.number is not None:
            minus = parsed.text[: token.start].endswith((" -", "-")) and token.start > 0
            number = -token.number if minus else token.number
            tagged.items.append(Item("number", token.word, index, number))
            return index + 1
        return self._part(tagged, words, parsed, index)

    def _lasting(
        self, tagged: Tagged, words: list[str], reader: PeriodReader, index: int
    ) -> tuple[Item, int] | None:
        """``more than two hours``, ``for two hours``: how long something held, and the index after.

        A metric that is measured in seconds is compared instead. "Over two hours" is a period
        unless it stands behind a condition or ``for``.
        """
        before = next((item for item in reversed(tagged.items) if item.kind), Item(""))
        if (before.kind, before.value) == ("metric", "response_time"):
            return None
        meaning = self._lexicon.match(words, index)
        operator = next((c[3:] for c in meaning[0] if c.startswith("op:")), "") if meaning else ""
        length = None
        if meaning and operator:
            length = reader.duration(meaning[1])
            behind = before.kind in ("cond", "state") or (index and words[index - 1] in _FOR)
            if words[index] == "past" or (words[index] in _OVER and not behind):
                return None
        elif words[index] in _FOR and before.kind in ("cond", "state"):
            operator, length = ">=", reader.duration(index + 1)
        if length is None or operator == "=":
            return None
        seconds, after = length
        return Item("lasting", operator, index, seconds), after

    def _with_word_or_alias(self, word: str) -> set[str]:
        """Sites that have a word in their name, or what it is called there: Depot Süd."""
        known = places().match([word], 0)
        return set(self._directory.with_word(known[0][0] if known else word))

    def _names(self, words: list[str], index: int) -> tuple[list[str] | list[Filter], int]:
        """Sites or filter values that are called exactly what begins here; the longest."""
        for length in range(min(self._directory.longest, len(words) - index), 0, -1):
            phrase = tuple(words[index : index + length])
            if all(word[0].isdigit() for word in phrase):
                continue
            sites = self._directory.named(phrase)
            if not sites and length > 1:
                # Farm one is "farm-1".
                sites = self._directory.named(tuple(_DIGITS.get(word, word) for word in phrase))
            if sites:
                return sites, index + length
            filters = self._directory.filters.get(phrase) or self._directory.filters.get(
                (*phrase[:-1], phrase[-1].removesuffix("s"))
            )
            filters = filters or self._directory.models.get(phrase)
            if filters:
                return filters, index + length
        return [], index

    def _named_by_both(self, words: list[str], index: int, after: int) -> str | None:
        """The one site that a group's word and the word behind it name: Farm O'Brien."""
        if after != index + 1 or after >= len(words):
            return None
        both = self._with_word_or_alias(words[index]) & self._with_word_or_alias(words[after])
        return next(iter(both)) if len(both) == 1 else None

    def _named(
        self,
        tagged: Tagged,
        names: list[str] | list[Filter],
        words: list[str],
        index: int,
        after: int,
    ) -> int:
        first = names[0]
        whole = self._named_by_both(words, index, after) if isinstance(first, Filter) else None
        if whole is not None:
            self._site(tagged, whole, index)
            return after + 1
        if isinstance(first, Filter):
            # One word for several values of an attribute, such as a model that two makers sell.
            tagged.filters += [
                f for f in names if isinstance(f, Filter) and f.attribute == first.attribute
            ]
            tagged.items.append(Item("value", str(first), index))
        elif len(names) == 1:
            self._site(tagged, first, index)
        else:
            labels = ", ".join(self._directory.label(str(site)) for site in names[:5])
            tagged.ambiguous.append(
                UnknownSiteError(
                    f"{len(names)} sites have that name: {labels}; name one by its id",
                    tuple(str(site) for site in names[:5]),
                )
            )
        return after

    def _part(self, tagged: Tagged, words: list[str], parsed: Sentence, index: int) -> int:
        """A word that is only a part of a name, or nothing that is known."""
        country = places().match(words, index)
        if country:
            names = self._names(country[0][0].split("_"), 0)[0]
            if names:
                return self._named(tagged, names, words, index, country[1])
        length = 1
        sites = set(
            self._directory.with_word(words[index])
            or self._directory.with_word(words[index].removesuffix("s"))
        )
        while sites and index + length < len(words):
            more = sites & self._with_word_or_alias(words[index + length])
            if not more:
                break
            sites, length = more, length + 1
        values = [
            f
            for phrase, filters in self._directory.filters.items()
            if words[index] in phrase
            for f in filters
        ]
        if length == 1 and _is_direction(words, index):
            tagged.unknown.append(parsed.tokens[index].raw)
            return index + 1
        if len(sites) == 1:
            self._site(tagged, next(iter(sites)), index)
            return index + length
        if values:
            attribute = values[0].attribute
            tagged.filters += [f for f in values if f.attribute == attribute]
            tagged.items.append(Item("value", words[index], index))
            return index + 1
        if sites:
            named = " ".join(words[index : index + length])
            ordered = [s.id for s in self._directory.fleet.sites if s.id in sites]
            labels = ", ".join(self._directory.label(site) for site in ordered[:5])
            tagged.ambiguous.append(
                UnknownSiteError(
                    f"{named!r} may be {len(sites)} sites: {labels}; name one", tuple(ordered[:5])
                )
            )
            return index + length
        tagged.unknown.append(parsed.tokens[index].raw)
        return index + 1


def _is_direction(words: list[str], index: int) -> bool:
    """In the north: where sites lie, which is not known, and no part of a name."""
    known = places().match([words[index]], 0)
    before = words[index - 1] if index else ""
    return (known[0][0] if known else words[index]) in _DIRECTIONS and before in _BEFORE_PLACES


def _cell_of_pack(tagged: Tagged, parsed: Sentence, index: int) -> str | None:
    """``3/12`` behind the word for a cell: pack and number."""
    before = next((item for item in reversed(tagged.items) if item.kind), Item(""))
    if (before.kind, before.value) != ("comp", "cells") or index + 1 >= len(parsed.tokens):
        return None
    first, second = parsed.tokens[index], parsed.tokens[index + 1]
    whole = first.word.isdecimal() and second.word.isdecimal()
    return (
        f"{first.word}/{second.word}"
        if whole and parsed.text[first.end : second.start] == "/"
        else None
    )


def _as_written(
    directory: Directory,
    names: list[str] | list[Filter],
    parsed: Sentence,
    index: int,
    after: int,
) -> bool:
    """Whether a name stands there as the fleet file spells it, with its capital letters."""
    raw = parsed.text[parsed.tokens[index].start : parsed.tokens[after - 1].end]
    if index == 0 and not any(not c.isalpha() for c in raw):
        return False
    spelled = [n.value if isinstance(n, Filter) else directory.titles[n] for n in names]
    spelled += [n for n in names if isinstance(n, str)]
    return raw in spelled and raw != raw.lower()
