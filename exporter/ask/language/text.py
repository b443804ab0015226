"""A sentence as tokens: folded words and numbers, each with its place in the text."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from exporter.ask.lookup import fold

LONGEST_TEXT = 500
MOST_WORDS = 60
_TOKEN = re.compile(r"\d+[.,]\d+|\d+|[^\W\d_]+|[<>≤≥]=?|[=%°€$£?&]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”"]+)[“”"]|«([^»]+)»')
_RANGE = r"(\d+(?:[.,]\d+)?)\s*(?:-|–|to|and|bis|und)\s*(\d+(?:[.,]\d+)?)"
_REWRITES = (
    (re.compile(r"\b(what|how|who|where|when|why|which|that|it|there|let)['’]s\b", re.I), r"\1 is"),
    (re.compile(r"\b(what|how|who|where)s\b", re.I), r"\1 is"),
    (re.compile(r"\b(what|how|which|why|they|you|we)['’]re\b", re.I), r"\1 are"),
    (re.compile(r"\b(that|there)s\b", re.I), r"\1 is"),
    (re.compile(r"\bcan['’]?t\b", re.I), "can not"),
    (re.compile(r"\bim\b", re.I), "i am"),
    (re.compile(r"\bwon['’]t\b", re.I), "will not"),
    (re.compile(r"\b(is|are|was|were|do|does|did|has|have|had)n['’]?t\b", re.I), r"\1 not"),
    (re.compile(r"\b(i|you|we|they)['’](?:ve|d|m)\b", re.I), r"\1 have"),
    (re.compile(r"\b(what|it|that|this)['’]ll\b", re.I), r"\1 will"),
    (re.compile(r"\bhow['’]d\b", re.I), "how did"),
    (re.compile(r"\bwie['’]s\b", re.I), "wie es"),
    (re.compile(r"\bw/o\b", re.I), "without"),
    (re.compile(r"\bw/|\bw (?=(?:phone|contact|name|number|reason|value)s?\b)", re.I), "with "),
    # Beyond two bounds: below the one or above the other.
    (
        re.compile(rf"\b(?:outside(?: of)?|not between|not in) (?:the range )?{_RANGE}", re.I),
        r"below \1 or above \2",
    ),
    (
        re.compile(rf"\b(?:außerhalb|ausserhalb|nicht zwischen)(?: von)? {_RANGE}", re.I),
        r"unter \1 oder über \2",
    ),
    (
        re.compile(rf"\bbetween {_RANGE}(?=\s*(?:%|°|percent|hz|kw|w\b|v\b))", re.I),
        r"between \1 and \2",
    ),
    (
        re.compile(
            r"^(?!.*\b(?:today|now|current\w*|moment|this|last|week|month|morning|since)\b)(.*)"
            r" than yesterday(?=[\s?.!]*$)",
            re.I,
        ),
        r"\1 today than yesterday",
    ),
    (
        re.compile(r"\bthis (week|month|year)\b(.*) than last(?=[\s?.!]*$)", re.I),
        r"this \1\2 than last \1",
    ),
    (
        re.compile(
            r"\b(?:make it through|get through|last through|last|survive|make it)"
            r" (?:(?:the|this) night|(?:until|till|to) (?:the )?(?:morning|sunrise|dawn))\b",
            re.I,
        ),
        "survive tonight",
    ),
    (re.compile(r"(?<=\S )since[\s?]*$", re.I), "since when"),
    (re.compile(r"\bhalf[- ](?:charged|charge|full|empty)\b", re.I), "50 % charge"),
    (re.compile(r"\b(?:btw|btwn) (?=\d)", re.I), "between "),
    (re.compile(r"\bfrom the sun\b", re.I), "from solar"),
    (re.compile(r"\s\+\s"), " and "),
    # The word alone says when; beside a voltage it is a quantity.
    (re.compile(r"\b(voltages?) and currents?\b", re.I), r"\1 and battery current"),
    (
        re.compile(r"\bcurrents? and (?=(?:the )?(?:pack |battery )?voltages?\b)", re.I),
        "battery current and ",
    ),
    (re.compile(r"\bo['’]clock\b", re.I), "oclock"),
    (re.compile(r"\b(a|p)\.?\s?m\.(?=\W|$)", re.I), r"\1m"),
    # A capital A behind a number is no article.
    (re.compile(r"(\d)\s?A\b"), r"\1 amps"),
    (
        re.compile(
            r"\b(?:the )?(?:start|begin|beginning) of (?:the|this) year\b"
            r"|\bnew year(?:['’]s)?(?: day)?\b",
            re.I,
        ),
        "ytd",
    ),
    # A second "noch" would be read as "still".
    (re.compile(r"\bweder\b((?:(?!\bnoch\b).)+)\bnoch\b(?!.*\bnoch\b)", re.I), r"nicht\1und nicht"),
    (re.compile(r"\ba quarter of(?: the| their| its)? (?=charge\b)", re.I), "25 % "),
    (re.compile(r"\bhalf of(?: the| their| its)? (?=charge\b)", re.I), "50 % "),
    (re.compile(r"\bout of (\w+)['’]s battery\b", re.I), r"out of the battery of \1"),
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or sign: folded, as it was written, and where."""

    word: str
    raw: str
    start: int
    end: int

    @property
    def number(self) -> float | None:
        """Its value, with a decimal point or comma; None for a word, a fraction such as ½, and
        what is too large for a number."""
        if not _NUMBER.fullmatch(self.word):
            return None
        value = float(self.word.replace(",", "."))
        return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Sentence:
    """The text as it is understood, its tokens, and the spans that stood between quotes."""

    text: str
    tokens: tuple[Token, ...]
    quoted: tuple[tuple[int, int, str], ...]


def sentence(text: str) -> Sentence:
    """Split a text; contractions and some turns of phrase are written out."""
    for pattern, plain in _REWRITES:
        text = pattern.sub(plain, text)
    tokens = tuple(
        Token(fold(m[0]), m[0], m.start(), m.end()) for m in _TOKEN.finditer(text) if m[0] != "?"
    )
    quoted = tuple(
        (m.start(), m.end(), next(g for g in m.groups() if g)) for m in _QUOTED.finditer(text)
    )
    return Sentence(text, tokens, quoted)
