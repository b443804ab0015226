"""A sentence beside the query that came out of it, as the tests of its words see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exporter.ask.catalogue import CONDITIONS
from exporter.ask.language import accounting_tables as tables
from exporter.ask.language.parts import ENERGY
from exporter.ask.language.tagging import Item
from exporter.ask.query import Query


@dataclass(frozen=True, slots=True)
class Asked:
    """A sentence and the query that came out of it."""

    items: list[Item]
    query: Query
    now: datetime
    words: tuple[str, ...]
    ends: dict[int, int]

    def one_behind(self, item: Item) -> bool:
        """Whether the word for one site or battery stands behind an item."""
        after = self.ends.get(item.at, item.at + 1)
        return after < len(self.words) and self.words[after] in tables.ONE

    def has(self, kind: str) -> bool:
        """Whether there is an item of a kind."""
        return any(item.kind == kind for item in self.items)

    def sets_against(self, item: Item) -> bool:
        """Whether an item is what sets the two periods of the query against each other."""
        if self.query.beside is None:
            return False
        compares = item.kind == "intent" and item.value in ("compare", "history")
        more = item.kind == "order" and any(
            i.kind in ("comparative", "op") and i.at == item.at for i in self.items
        )
        return compares or more or item.kind in tables.BESIDE

    def next_to(self, item: Item) -> tuple[Item, Item]:
        """The items before and behind one."""
        items = [i for i in self.items if i.kind != "verb"]
        place = next(n for n, i in enumerate(items) if i is item)
        nothing = Item("")
        before = items[place - 1] if place else nothing
        behind = items[place + 1] if place + 1 < len(items) else nothing
        return before, behind

    @property
    def measured(self) -> set[str]:
        """Metrics that the query names in any way."""
        query = self.query
        found = {*query.metrics, *(c.metric for c in query.comparisons)}
        found |= {CONDITIONS[c.name].metric or "" for c in query.conditions}
        found |= {c.name.removeprefix("no_") for c in query.conditions}
        return found | {ENERGY.get(metric, metric) for metric in found}
