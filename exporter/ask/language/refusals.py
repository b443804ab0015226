"""Sentences that want something other than an answer: orders, promises, the meaning of a word.

Their words are those of questions, so only their form tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exporter.ask.language.tagging import NUMBERS

NOTHING_CHANGES = (
    "nothing can be changed from here; only questions are answered (a ticket is opened by "
    "'fleetscope ticket')"
)
_NOTHING_WATCHED = (
    "nothing is watched for anybody from here; alerts are sent by Alertmanager, by the rules and "
    "contacts that it is set up with"
)
MEANING = (
    "the glossary (docs/glossary.md) says what words mean, 'explain Alpha' how points are "
    "lost; here their values can be asked for, such as 'state of health of Alpha'"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words before what a sentence wants.
_POLITE = _words(
    """please pls kindly could can would will you we i want wanna to like need let lets us now hey
    hi hello ok and then just should bitte kannst konntest du ich mochte jetzt und будь ласка
    можеш я хочу"""
)
# Verbs that begin no question.
_ORDERS = _words(
    """set put stop start switch turn reboot restart reset disable enable shut activate deactivate
    delete remove rename create edit acknowledge ack silence mute snooze dispatch install upgrade
    discharge subscribe schedule disconnect reconnect pause resume force adjust increase decrease
    reduce assign cancel replace feed make
    schalte starte stoppe entlade setze stelle losche aktiviere deaktiviere fahre begrenze erhohe
    senke beende
    увімкни вимкни перезавантаж постав встанови зупини запусти заряди розряди видали створи"""
)
# Verbs that are also the names of things: an order only with what they are to be done to.
_ORDERS_WITH_OBJECT = _words(
    """charge order change open close move call lower raise fix repair buy book limit connect
    update clean keep ping lade"""
)
_OBJECTS = _words(
    """a an the all every each my our its it them this that these those up everything die den das
    der alle один всі"""
)
# German puts an order's verb last: Alpha bitte entladen.
_INFINITIVES = _words(
    """laden aufladen entladen anrufen abschalten einschalten ausschalten schalten starten
    neustarten stoppen senken erhohen begrenzen andern setzen stellen eintragen loschen beenden
    stummschalten benachrichtigen informieren kontaktieren bestellen buchen"""
)
# Of those, what nobody asks about.
_ONLY_ORDERED = frozenset(("stummschalten", "abschalten", "ausschalten", "neustarten"))
_COMPARING = frozenset(("beside", "next", "side", "against", "together", "neben"))
_WATCH = frozenset(("notify", "remind", "alert", "warn", "page", "sms", "benachrichtige"))
_TELL = frozenset(("tell", "let", "inform", "message", "ping", "sag", "melde"))
_QUESTION_WORDS = frozenset(("wer", "wen", "wem", "was", "wie", "wo", "wan", "war", "wel"))
_TIMES = frozenset(("when", "whenever", "once", "wenn", "sobald", "коли", "якщо"))
_ONCE = frozenset(("when", "whenever", "once", "if", "as", "wenn", "sobald", "коли", "якщо"))


def refusal(words: Sequence[str], is_name: Callable[[str], bool]) -> str | None:
    """Why a sentence is none that is answered; None if it may be a question.

    Parameters
    ----------
    words : sequence of str
        Folded.
    is_name : callable
        Whether a word belongs to the name of a site.
    """
    if _asks_for_a_meaning(words):
        return MEANING
    rest = list(words)
    while rest and rest[0] in _POLITE and not (rest[0] == "let" and "know" in rest[:3]):
        rest = rest[1:]
    if not rest:
        return None
    first, after = rest[0], rest[1] if len(rest) > 1 else ""
    watch = first in _WATCH and (after in ("me", "us") or _ONCE & set(rest[1:]))
    tell = first in _TELL and _TIMES & set(rest[1:5])
    if watch or tell:
        return _NOTHING_WATCHED
    ordered = words[-1] in _ONLY_ORDERED or ("bitte" in words and words[-1] in _INFINITIVES)
    if ordered and not _QUESTION_WORDS & {word[:3] for word in words}:
        return NOTHING_CHANGES
    if is_name(first):
        return None
    # "Feed-in yesterday" is energy, "feed in 5 kW" an order.
    feed_in = (first, after) == ("feed", "in") and not any(word.isdigit() for word in rest)
    # "Make me a ranking" wants a list.
    listed = first == "make" and after in ("me", "us")
    if first in _ORDERS and not _COMPARING & set(rest) and not feed_in and not listed:
        return NOTHING_CHANGES
    # "Order the sites by score" puts in order; "order a battery" does not.
    if (
        first in _ORDERS_WITH_OBJECT
        and (after in _OBJECTS or after.isdigit() or after in NUMBERS or is_name(after))
        and "by" not in rest
    ):
        return NOTHING_CHANGES
    return None


def _asks_for_a_meaning(words: Sequence[str]) -> bool:
    said = " ".join(words)
    if " stand for" in said or " stands for" in said or said.startswith("wofur steht "):
        return True
    if said.startswith(("define ", "definition of ", "meaning of ", "the meaning of ")):
        return True
    if said.startswith(("what does ", "what do ", "what is ")) and words[-1] in ("mean", "meant"):
        return True
    return said.startswith(
        (
            "what is a ",
            "what is an ",
            "what is meant by ",
            "what are the units",
            "was bedeutet ",
            "was bedeuten ",
            "was heisst ",
            "was ist ein ",
            "was ist eine ",
            "що таке ",
            "що означа",
        )
    )
