"""Whether a query accounts for the words that steer: only, or, now, still, on average, will.

Each test takes an item and what was asked; see :mod:`.accounting`.
"""

from __future__ import annotations

from exporter.ask.catalogue import METRICS
from exporter.ask.language import accounting_tables as tables
from exporter.ask.language.accounting_asked import Asked
from exporter.ask.language.tagging import Item
from exporter.ask.query import PARTS_OF_TIME, What


def by_part_of_time(item: Item, asked: Asked) -> bool:
    return asked.query.group_by in PARTS_OF_TIME


def on_days(item: Item, asked: Asked) -> bool:
    return asked.query.lasting is not None or asked.query.times is not None


def unsilenced(item: Item, asked: Asked) -> bool:
    return asked.query.events == "unsilenced"


def at_once(item: Item, asked: Asked) -> bool:
    """Over a period, conditions are each looked for by itself."""
    return asked.query.period is None


def average(item: Item, asked: Asked) -> bool:
    """A share is a mean by itself; an amount is a total, whatever is asked."""
    shares = ("self_consumption", "self_sufficiency", "plant_availability", "fade")
    if asked.query.what in tables.FIGURES:
        return asked.query.figure in shares
    return asked.query.what in (What.VALUE, What.HISTORY, What.COMPARE)


def future(item: Item, asked: Asked) -> bool:
    return asked.query.with_cost or asked.query.what in tables.WORDS["future"]


def still(item: Item, asked: Asked) -> bool:
    query = asked.query
    return query.period is None or query.what is What.FORECAST or query.events == "ongoing"


def whole(item: Item, asked: Asked) -> bool:
    """Not heard from since six: in all that time, not once in it."""
    return asked.query.period is None or asked.query.lasting is not None


def moved(item: Item, asked: Asked) -> bool:
    """How far something fell: sites are in that order where one side is bad news."""
    query = asked.query
    return query.order in ("worst", "best") or len(query.sites) == 1 or not query.metrics


def but(item: Item, asked: Asked) -> bool:
    """But is between two things: one whose first is not read would be answered by half."""
    small = {"", "which", "site", "verb", "past", "what", "where", "now", "still"}
    return any(i.at < item.at and i.kind not in small for i in asked.items)


def reason(item: Item, asked: Asked) -> bool:
    """Causes: of points and issues, and of losses; costs have none."""
    query = asked.query
    figures = (None, "pv_lost", "pv_expected", "lost")
    return query.figure in figures and not query.with_cost


def then(item: Item, asked: Asked) -> bool:
    """At the beginning it leads on; later it says what came after what, which no query does."""
    first = [i.at for i in asked.items if i.kind not in ("lead", "and")]
    return not first or item.at < min(first) or item.value != "then"


def recently(item: Item, asked: Asked) -> bool:
    return asked.query.period is not None


def now(item: Item, asked: Asked) -> bool:
    """Now and yesterday are two questions."""
    period = asked.query.period
    return period is None or period.end >= asked.now


def begin(item: Item, asked: Asked) -> bool:
    return asked.query.events is not None or asked.query.what is What.SINCE


def place_in_answer(item: Item, asked: Asked) -> bool:
    """The first one, the same: of an answer before, and there is none."""
    return item.value in ("", "there")


def severity(item: Item, asked: Asked) -> bool:
    return asked.query.severity is not None


def repeat(item: Item, asked: Asked) -> bool:
    return asked.query.times is not None


def group(item: Item, asked: Asked) -> bool:
    query = asked.query
    return query.group_by is not None or any(f.attribute == item.value for f in query.filters)


def filter_word(item: Item, asked: Asked) -> bool:
    return bool(asked.query.filters)


def lasting(item: Item, asked: Asked) -> bool:
    return asked.query.lasting is not None


def energy(item: Item, asked: Asked) -> bool:
    query = asked.query
    units = {METRICS[m].unit for m in asked.measured if m}
    return "kWh" in units or query.what in tables.FIGURES or query.what is What.FORECAST


def or_word(item: Item, asked: Asked) -> bool:
    """Between things of a kind: a place or a condition, whichever, is in no query."""
    before, behind = asked.next_to(item)
    return any({before.kind, behind.kind} <= kinds for kinds in tables.JOINED) or not before.kind


def by(item: Item, asked: Asked) -> bool:
    return asked.next_to(item)[1].kind != "period"


def only(item: Item, asked: Asked) -> bool:
    """Only what stands beside it: only in Spain. Whether only Spain is hot is another question."""
    narrowed = {"value", "filt", "severity", "cond", "top", "first", "number", "cause"}
    before, behind = asked.next_to(item)
    if before.kind == "site":
        before = asked.next_to(before)[0]
    beside = any(i.kind in narrowed or i.value == "attention" for i in (before, behind))
    return beside and asked.words[0] not in tables.YES_OR_NO
