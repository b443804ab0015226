"""Shards: which of several exporters with one fleet file polls a site.

Each site belongs to the shard with the highest hash of shard and id (rendezvous hashing), so that
one more shard takes about one site in n and moves no other.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.config.fleet import Fleet

MOST_SHARDS = 1000
_WRITTEN = re.compile(r"(\d{1,4})/(\d{1,4})\Z")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` shards, ``index`` from 0."""

    index: int
    count: int

    def part_of(self, fleet: Fleet) -> Fleet:
        """The fleet with the sites of this shard alone, in their order."""
        if self.count == 1:
            return fleet
        mine = tuple(s for s in fleet.sites if shard_of(s.id, self.count) == self.index)
        return fleet.model_copy(update={"sites": mine})


WHOLE = Shard(0, 1)


def shard_of(site_id: str, count: int) -> int:
    """The shard that polls a site, of so many."""
    return max(range(count), key=lambda index: _hash(index, site_id))


def parse_shard(text: str) -> Shard:
    """A shard as it is written, ``0/4`` to ``3/4``.

    Raises
    ------
    ValueError
    """
    found = _WRITTEN.match(text)
    index, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 <= index < count <= MOST_SHARDS:
        raise ValueError(f"expected INDEX/COUNT, such as 0/4 to 3/4, at most {MOST_SHARDS} shards")
    return Shard(index, count)


def _hash(index: int, site_id: str) -> bytes:
    return hashlib.blake2b(f"{index}:{site_id}".encode(), digest_size=8).digest()
