"""The lexicons, compiled: which concepts the words at a place of a sentence stand for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from exporter.ask.language.text import sentence
from exporter.model.quantities import ROWS


def _quantities(language: str) -> list[tuple[str, str]]:
    """What each quantity is called, from its row."""
    return [
        (f"metric:{question.name}", question.phrases[language])
        for row in ROWS
        for question in row.questions
        if language in question.phrases
    ]


_FOLDER = Path(__file__).with_name("phrases")


def entries(name: str) -> list[tuple[str, str]]:
    """Concepts and their phrases, as a file in ``phrases`` lists them."""
    found: list[list[str]] = []
    for line in (_FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith((" ", "\t")):
            found[-1][1] += line
        elif line and not line.startswith("#"):
            concepts, _, phrases = line.partition(" =")
            found.append(["" if concepts == "-" else concepts, phrases])
    return [
        (concepts, "|".join(phrase.strip() for phrase in phrases.split("|")))
        for concepts, phrases in found
    ]


LANGUAGES = {name: [*entries(name), *_quantities(name)] for name in ("en", "de", "uk")}
_SHORTEST_STEM = 2
_SHORTEST_MISSPELT = 5
_SURE_STEM = 6
_LONG = 11
_VOWELS = frozenset("aeiouyаеєиіїоуюя")
# Keys that lie side by side, and letters that sound alike.
_KEYS = tuple(
    row[n : n + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm", "йцукенгшщзхї", "фівапролджє", "ячсмитьбю")
    for n in range(len(row) - 1)
)
_NEAR = (*_KEYS, "ck", "sz", "cs", "td", "pb", "fv", "iy")


class Lexicon:
    """Phrases of some languages.

    Parameters
    ----------
    entries : iterable of (concepts, phrases)
        Concepts divided by blanks, phrases by ``|``; ``*`` at the end of a word stands for any
        ending.
    also : iterable of str
        Words that mean something elsewhere, such as those of periods: they too may be misspelt.
    """

    def __init__(self, entries: Iterable[tuple[str, str]], also: Iterable[str] = ()) -> None:
        self._exact: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = defaultdict(list)
        self._stems: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = defaultdict(list)
        self.words: dict[str, set[str]] = defaultdict(set)
        self._offered: dict[str, set[str]] = defaultdict(set)
        for concepts, phrases in entries:
            meaning = tuple(concepts.split())
            for phrase in phrases.split("|"):
                self._add(phrase, meaning)
        for word in also:
            if len(word) >= _SHORTEST_MISSPELT:
                self.words[word[0]].add(word)
                self._offered[word[0]].add(word)

    def _add(self, phrase: str, meaning: tuple[str, ...]) -> None:
        pattern: list[str] = []
        for part in phrase.split():
            stem = part.endswith("*")
            words = [token.word for token in sentence(part.removesuffix("*")).tokens]
            if stem:
                words[-1] += "*"
            pattern += words
        first = pattern[0]
        if first.endswith("*"):
            self._stems[first[:_SHORTEST_STEM]].append((tuple(pattern), meaning))
        else:
            self._exact[first].append((tuple(pattern), meaning))
        for word in pattern:
            if len(word) >= _SHORTEST_MISSPELT and not word.endswith("*"):
                self.words[word[0]].add(word)
                # An unknown word must not be read as one that means nothing: it would be ignored.
                if meaning:
                    self._offered[word[0]].add(word)

    def match(self, words: Sequence[str], at: int) -> tuple[tuple[str, ...], int] | None:
        """Concepts of the longest phrase that begins at a word, and the index after it."""
        first = words[at]
        best: tuple[tuple[str, ...], int] | None = None
        rank = (0, 0)
        for pattern, meaning in (*self._exact[first], *self._stems[first[:_SHORTEST_STEM]]):
            if _fits(pattern, words, at):
                # Of two phrases of a length, the one that says more of the words.
                new = (len(pattern), sum(len(part.rstrip("*")) for part in pattern))
                if new > rank:
                    best, rank = (meaning, at + len(pattern)), new
        return best

    def _close_to_short(self, word: str) -> str | None:
        """Of four letters, only a letter doubled is plainly a slip: another would be a word."""
        doubled = [n for n in range(1, len(word)) if word[n] == word[n - 1]]
        if len(word) < _SHORTEST_MISSPELT - 1 or not doubled:
            return None
        single = word[: doubled[0]] + word[doubled[0] + 1 :]
        return single if single in self._exact else None

    def close_to(self, word: str) -> str | None:
        """The one word of the lexicon that a misspelt one must be; None if it is not plain."""
        from rapidfuzz.distance import DamerauLevenshtein

        if len(word) < _SHORTEST_MISSPELT:
            return self._close_to_short(word)
        most = 1 if len(word) < 11 else 2
        found: dict[int, list[str]] = defaultdict(list)
        for known in self._offered[word[0]]:
            if len(word) < _LONG and len(known) == len(word) and not _slip(word, known):
                continue
            distance = DamerauLevenshtein.distance(word, known, score_cutoff=most)
            if distance <= most:
                found[distance].append(known)
        if not found:
            return None
        nearest = sorted(found[min(found)], key=len)
        # "Temperaturs" is near the word and its plural, "recoverd" near two forms of one verb.
        if len(nearest) == 1:
            return nearest[0]
        longer = all(known.startswith(nearest[0]) for known in nearest[1:])
        return nearest[0] if longer and len(nearest[0]) >= _SURE_STEM else None


def _slip(word: str, known: str) -> bool:
    """Whether two words of a length differ as a slip of a finger or an ear makes them.

    "Stale" is no misspelt "state": a short word with another letter is as a rule another word.
    """
    pairs = [(a, b) for a, b in zip(word, known, strict=True) if a != b]
    if len(pairs) == 2:
        return pairs[0] == pairs[1][::-1]
    return all(
        (a in _VOWELS and b in _VOWELS) or any(a in near and b in near for near in _NEAR)
        for a, b in pairs
    )


def _fits(pattern: tuple[str, ...], words: Sequence[str], at: int) -> bool:
    if at + len(pattern) > len(words):
        return False
    return all(
        word.startswith(part[:-1]) if part.endswith("*") else word == part
        for part, word in zip(pattern, words[at:], strict=False)
    )


@cache
def lexicon(*languages: str) -> Lexicon:
    """The lexicon of some languages, compiled once."""
    periods = [word for _, words in entries("periods") for word in words.split("|")]
    return Lexicon((entry for language in languages for entry in LANGUAGES[language]), periods)


@cache
def places() -> Lexicon:
    """Countries as other languages, and adjectives, call them."""
    return Lexicon(entries("places"))
