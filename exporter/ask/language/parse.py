"""A question in plain language to a Query, or a plain statement that it is not understood."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from exporter.ask.answerer import EXAMPLES
from exporter.ask.language.accounting import check
from exporter.ask.language.followup import Context, merge
from exporter.ask.language.german import written_out
from exporter.ask.language.grammar import Grammar
from exporter.ask.language.lexicon import lexicon
from exporter.ask.language.parts import GrammarError
from exporter.ask.language.refusals import MEANING, refusal
from exporter.ask.language.tagging import Tagged, Tagger
from exporter.ask.language.text import LONGEST_TEXT, MOST_WORDS, sentence
from exporter.ask.lookup import Directory
from exporter.ask.query import Query, QueryError

# A sentence is of one language as a rule; a mixture is tried last. Cyrillic is apart by itself.
_LANGUAGES = (("en", "uk"), ("de", "uk"), ("en", "de", "uk"))


_OF_THE_FIELD = {
    *("intent", "cond", "metric", "comp", "state", "order", "site", "named", "value", "filt"),
    *("group", "energy"),
}


class NotUnderstoodError(Exception):
    """A text that is no question that can be answered; it says why, and gives examples.

    Attributes
    ----------
    examples : tuple of str
        What can be asked instead.
    final : bool
        Whether nobody could answer it, such as an order to change something.
    """

    def __init__(self, reason: str, examples: tuple[str, ...] = (), *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final
        self.examples = examples or tuple(EXAMPLES.values())


@dataclass(frozen=True, slots=True)
class Understood:
    """A query, and how words were read that were spelled otherwise."""

    query: Query
    notes: tuple[str, ...] = ()


def understand(
    text: str,
    directory: Directory,
    now: datetime,
    zone: tzinfo,
    context: Context | None = None,
) -> Understood:
    """The query that a text asks.

    Parameters
    ----------
    text : str
        At most 500 characters and 60 words.
    directory : Directory
    now : datetime
        With a time zone.
    zone : tzinfo
        Of the person who asks: what Monday means.
    context : Context, optional
        The question before, which a follow-up changes.

    Raises
    ------
    NotUnderstoodError
    """
    if len(text) > LONGEST_TEXT:
        raise NotUnderstoodError(f"the question is longer than {LONGEST_TEXT} characters")
    text = written_out(text, lambda word: bool(directory.with_word(word)))
    text = _with_ids(text, directory)
    if not any(c.isalnum() for c in text):
        raise NotUnderstoodError("there is no question")
    words = [token.word for token in sentence(text).tokens]
    if len(words) > MOST_WORDS:
        raise NotUnderstoodError(
            f"the question has {len(words)} words; {MOST_WORDS} are the most", final=True
        )
    refused = refusal(words, lambda word: bool(directory.with_word(word)))
    if refused:
        raise NotUnderstoodError(refused, final=True)
    tagged = _tag(text, directory, now, zone)
    if tagged.ambiguous:
        found = tagged.ambiguous[0]
        raise NotUnderstoodError(str(found), found.suggestions, final=True)
    if tagged.unknown:
        raise _unknown(tagged, directory)
    asked = [(item.at, item.kind) for item in tagged.items if item.at > 1]
    if words[:2] in (["what", "is"], ["was", "ist"]) and asked == [(2, "metric")]:
        raise NotUnderstoodError(MEANING, final=True)
    try:
        grammar = Grammar(now, zone)
        parts = grammar.parts(tagged)
        query = merge(parts, tagged, context, grammar) if context else None
        if query is not None:
            check(tagged, query, now, follows=True)
        return Understood(query or check(tagged, grammar.query(parts), now), tuple(tagged.notes))
    except (GrammarError, QueryError) as error:
        final = isinstance(error, GrammarError) and error.final
        raise NotUnderstoodError(str(error), final=final) from error


def _with_ids(text: str, directory: Directory) -> str:
    """The text with ids in place of names that hold signs which mean something in a sentence."""
    for title, site in directory.signed:
        place = text.casefold().find(title)
        if place >= 0 and len(text.casefold()) == len(text):
            text = f'{text[:place]} "{site}" {text[place + len(title) :]}'
    return text


def _tag(text: str, directory: Directory, now: datetime, zone: tzinfo) -> Tagged:
    best: Tagged | None = None
    try:
        for languages in _LANGUAGES:
            tagged = Tagger(directory, lexicon(*languages), now, zone).tag(text)
            if best is None or _doubt(tagged) < _doubt(best):
                best = tagged
            if _doubt(best) == 0:
                break
    except QueryError as error:
        raise NotUnderstoodError(str(error), final=True) from error
    assert best is not None
    return best


def _doubt(tagged: Tagged) -> int:
    return 3 * len(tagged.unknown) + len(tagged.notes)


def _unknown(tagged: Tagged, directory: Directory) -> NotUnderstoodError:
    words = ", ".join(repr(word[:40]) for word in tagged.unknown[:3])
    close = [site for word in tagged.unknown[:3] for site in directory.similar(word, 2)]
    hint = ""
    if close:
        names = " or ".join(directory.label(site) for site in dict.fromkeys(close[:3]))
        hint = f"; did you mean the site {names}?"
    plural = "words" if len(tagged.unknown) > 1 else "word"
    return NotUnderstoodError(
        f"the {plural} {words} {'are' if plural == 'words' else 'is'} not known{hint}",
        # Where no word is one of the field, it is no question about the fleet; and nobody knows
        # what is to come.
        final=tagged.has("ahead") or not any(item.kind in _OF_THE_FIELD for item in tagged.items),
    )
