"""German turns of phrase, written out: verbs in two pieces, and words that lie apart.

A lexicon reads words that stand side by side. German puts the half of a verb, or its ``nicht``, at
the end of a sentence; these rows bring them together.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_END = r"(?=\s*(?:[?!.,;]|$))"
_UMLAUTS = (
    "fuer ueber* koennen koennt* moecht* waer* haett* laeuft laedt faellt groess* hoechst* "
    "hoeh* naechst* zurueck* stoer* ausfaell* waerm* frueh* maerz verguet* pruef* schwaech* "
    "haelt traegt verfueg* erloes* laend* fuenf* zwoelf* zuverlaess* zustaend* gehoert zuerich "
    "baeckerei mueller ungewoehn* ursaech* rueck* kaelt* loes* gegenueb* uebrig* erklaer* "
    "spaet* kuemm* wuerd* muess* kapazitaet* prioritaet* sued oester*"
)
_SPELLED = re.compile(
    r"\b(?:" + "|".join(word.replace("*", r"\w*") for word in _UMLAUTS.split()) + r")\b",
    re.I,
)

# What is being done now; "wird" alone is of what is to come.
_PASSIVE = {
    "geladen": "ladend",
    "entladen": "entladend",
    "eingespeist": "einspeisend",
    "bezogen": "bezieht",
} | {
    word: word
    for word in ("verbraucht", "erzeugt", "produziert", "gewartet", "abgefragt", "stummgeschaltet")
}
_AHEAD = r"morgen|abend|nächst|kommend|künftig|demnächst|bald|voraussichtlich|prognose|plan"

_HOW_MUCH = r"\b(?:was|wie ?viel(?: strom| energie)?)"
_ENDS = r"(batterien?|akkus?|speichern?|netz)\b"

REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    *(
        (
            re.compile(
                rf"^(?!.*\b(?:{_AHEAD}))(.*)\b(?:wird|werden)\b(.*)\b{word}\b(?! (?:werden|sein))",
                re.I,
            ),
            rf"\1\2{plain}",
        )
        for word, plain in _PASSIVE.items()
    ),
    # "Grad" for "gerade": no number stands before it, and nobody asks how many.
    (re.compile(r"(?<![\d°])(?<!\d )(?<!viel )(?<!viele )(?<!in )\bgrad\b(?! [CF]\b)"), "gerade"),
    (re.compile(r"\b(gibt|geht|was|wie|wer|gab|sieht|läuft|ist|brennt)['’]s\b", re.I), r"\1 es"),
    (
        re.compile(
            r"\b(?:fällt|fallen|fiel|fielen)\b((?:(?!\b(?:netz|strom)).)+?)\baus" + _END, re.I
        ),
        r"\1 ausgefallen",
    ),
    (
        re.compile(
            r"\b(meldet sich|melden sich|antwortet|antworten|reagiert|reagieren|funktioniert"
            r"|funktionieren|läuft|laufen)\b((?:(?!\bnicht\b)[^,?.])+?)\b(nicht(?: mehr| richtig)?)"
            + _END,
            re.I,
        ),
        r"\2 \1 \3",
    ),
    (
        re.compile(
            r"\bwas stimmt (mit|bei|an|in)\b((?:(?!\bnicht\b)[^,?.])+?)\bnicht" + _END, re.I
        ),
        r"was ist \1\2",
    ),
    (re.compile(r"\b(was hat sich\b.+?)\bverändert\b", re.I), r"\1geändert"),
    (re.compile(r"\b(heute|diese woche|diesen monat|dieses jahr) schon\b", re.I), r"\1"),
    # How long a battery lasts without grid is no forecast that is known.
    (
        re.compile(
            r"\bwie lange (?:hält|halten|reicht|reichen)\b(.*\bohne (?:netz|strom)\b)(?: durch\b)?",
            re.I,
        ),
        r"wie lange noch\1",
    ),
    # Silent alarms are silenced; a silent site sends no data.
    (
        re.compile(
            r"\b(?:der |die |den )?(?:alarme?|alerts?)\b(.*)"
            r"\b(?:stumm|stummgeschaltet|gemutet|quittiert)\b",
            re.I,
        ),
        r"\1stummgeschaltet",
    ),
    (re.compile(r"\bseit(?=\s*\?*\s*$)", re.I), "seit wann"),
    (re.compile(r"\bwann geht\b(.+?)\bder (?:strom|saft) aus\b", re.I), r"wann ist\1leer"),
    # When a reading is at its limit; a status is no reading.
    (
        re.compile(r"\bwann (wird|werden)\b(.*\b(?:zell\w*|soh|temperatur)\b.*)\bkritisch\b", re.I),
        r"wann \1\2",
    ),
    # What went into the battery: how much, and the way.
    (
        re.compile(
            rf"{_HOW_MUCH}\b(.*?)\b(?:ging|geht|floss|fließt|flossen|fließen)\b(.+?)"
            rf"\b(?:in (?:die|den|das)|ins) {_ENDS}",
            re.I,
        ),
        r"wie viel\1\2floss in \3",
    ),
    (
        re.compile(
            rf"{_HOW_MUCH}\b(.*?)\b(?:kam|kommt|kamen|floss|fließt|flossen|fließen)\b(.+?)"
            rf"\b(?:aus (?:der|den|dem)|vom) {_ENDS}",
            re.I,
        ),
        r"wie viel\1\2floss aus \3",
    ),
    # How much is being used now is a power.
    (
        re.compile(
            r"\bwie ?viel (?:strom|energie)\b(?=.*\b(?:gerade|jetzt|momentan|aktuell|derzeit)\b)"
            r"(?=.*(?:verbrauch|erzeug|produzier|zieh|bezogen|speis))",
            re.I,
        ),
        "wie viel",
    ),
    # Offline for two hours now, not within two hours.
    (
        re.compile(
            r"^(?!.*\b(?:wie oft|was|wie lange|wie viele? mal)\b)(.*\b(?:ist|sind)\b.*)\bseit"
            r"(?= (?:\d+|einer|zwei|drei|vier|fünf|sechs|acht|zehn|zwölf) ?"
            r"(?:h|std|stunden?|min|minuten?|tag(?:en|e)?|wochen?)\b"
            r".*\b(?:offline|erreichbar|ausgefallen|weg|kritisch|stumm|ohne|kein|heiß|leer|wartung)\b)",
            re.I,
        ),
        r"\1seit mindestens",
    ),
    (
        re.compile(
            r"\b(?:fällt|fallen|fiel|fielen)\b(.*?)\b(?:das |der )?(netz|strom)\b(.*?)\baus" + _END,
            re.I,
        ),
        r"\1\3 \2 ausgefallen",
    ),
    (re.compile(r"\bwie (?:schneidet|schneiden) (.+?) ab" + _END, re.I), r"vergleiche \1"),
    (
        re.compile(
            r"\bdas (netz|strom)\b(.+?)\b(weg|ausgefallen|verschwunden|zurück|wieder da)\b", re.I
        ),
        r"\2\1 \3",
    ),
    (re.compile(r"\bder (strom)\b(.+?)\b(weg|ausgefallen)\b", re.I), r"\2\1 \3"),
    (
        re.compile(r"\bwann (ist|sind)\b(?=.*\b(?:ausgefallen|offline gegangen)\b)", re.I),
        r"seit wann \1",
    ),
    (re.compile(r"\bwie lange? dauert\b(?=.*\bschon\b)", re.I), "seit wann ist"),
    (re.compile(r"\b(mehr|weniger) (\w+) als\b", re.I), r"\2 \1 als"),
    # What was charged is an energy; how far a battery is charged is its level.
    (
        re.compile(
            r"\b((?:wie ?viel|wie ?viele (?:kwh|kilowattstunden)|was)\b(?! prozent)"
            r".*\b(?:hat|haben|wurden?)\b.*)\bgeladen\b",
            re.I,
        ),
        r"\1eingespeichert",
    ),
    (
        re.compile(
            r"\b((?:wie ?viel|wie ?viele (?:kwh|kilowattstunden)|was)\b(?! prozent)"
            r".*\b(?:hat|haben|wurden?)\b.*)\bentladen\b",
            re.I,
        ),
        r"\1ausgespeichert",
    ),
    (
        re.compile(
            r"\b(laden|entladen|lädt|entlädt|speisen|speist|produzieren|erzeugen)"
            r"((?: gerade| jetzt| momentan| aktuell| derzeit)?) nichts?\b",
            re.I,
        ),
        r"\2 nicht \1",
    ),
    (
        re.compile(
            r"\b(?:wie geht es|wie steht es um|status|zustand|zellspannung)(?: von)? (?=zelle \d)",
            re.I,
        ),
        "",
    ),
    (re.compile(r"\bwas war (?=(?:zwischen|um) \d)", re.I), "was war los "),
    # What has Alpha produced: how much, and not what is wrong with it.
    (
        re.compile(
            r"\bwas (hat|haben)\b(?=.*\b(?:produziert|erzeugt|verbraucht|eingespeist|bezogen"
            r"|eingespeichert|ausgespeichert|geliefert|exportiert|importiert)\b)",
            re.I,
        ),
        r"wie viel \1",
    ),
)


def written_out(text: str, is_name: Callable[[str], bool]) -> str:
    """The text with such phrases written out, and ``ae`` as ``ä`` in the words that have it.

    Parameters
    ----------
    text : str
    is_name : callable
        Whether a folded word belongs to the name of a site: that one stays as it is.
    """
    text = _SPELLED.sub(
        lambda match: match[0] if is_name(match[0].casefold()) else _with_umlaut(match[0]), text
    )
    for pattern, plain in REWRITES:
        text = pattern.sub(plain, text)
    return text


def _with_umlaut(word: str) -> str:
    return re.sub(
        "[aou]e",
        lambda match: {"a": "ä", "o": "ö", "u": "ü"}[match[0][0].lower()],
        word,
        flags=re.I,
    )
