"""The whole fleet of several shards, as the server of one of them answers for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from exporter.assess.assessment import FleetAssessment, UnseenShard
from exporter.assess.merged_fleet import MergedFleet, ShardPart, part_of
from exporter.config.fleet import Fleet
from exporter.config.settings import Settings
from exporter.config.shards import shard_of
from exporter.model.http import HttpClient, RequestError
from exporter.serve.publication import Publication
from exporter.serve.shards.part_format import PartError, decode

log = logging.getLogger(__name__)

GATHER_SECONDS = 10.0
# A part stays in force over two requests that fail; after that nobody knows how its sites are.
STALE_SECONDS = 2.5 * GATHER_SECONDS
REQUEST_SECONDS = 20.0
CONNECT_SECONDS = 3.0
LARGEST_PART = 512 * 1024 * 1024
MOST_AT_ONCE = 8


@dataclass(slots=True)
class _Peer:
    """Another shard: its latest part, and what became of the last request to it."""

    shard: str
    url: str
    part: ShardPart | None = None
    received: float = 0.0
    received_time: float | None = None
    reason: str = "it was not asked yet"


class ShardFleet:
    """Gathers the parts of the other shards and merges them with this one's.

    Parameters
    ----------
    settings : Settings
        With the addresses of all shards and their token.
    own : callable
        The latest Publication of this shard, with the fleet of all of them.
    """

    def __init__(self, settings: Settings, own: Callable[[], Publication]) -> None:
        assert settings.shard_token is not None  # the settings ask for it
        self._own = own
        self._interval = settings.interval_seconds
        self._shard = settings.shard_of_count
        count = self._shard.count
        self._peers = [
            _Peer(f"{index}/{count}", url)
            for index, url in enumerate(settings.shard_addresses)
            if index != self._shard.index
        ]
        token = settings.shard_token.get_secret_value()
        ca_file = settings.shard_ca_file
        self._http = HttpClient(
            {"Authorization": f"Bearer {token}"}, str(ca_file) if ca_file else None
        )
        self._merger: MergedFleet | None = None
        self._sites: dict[int, list[str]] = {}
        self._merged: FleetAssessment | None = None
        self._publication: Publication | None = None

    async def run(self) -> None:
        """Gather and merge until cancelled."""
        limit = asyncio.Semaphore(MOST_AT_ONCE)

        async def ask(peer: _Peer) -> None:
            async with limit:
                await asyncio.to_thread(self._ask, peer)

        while True:
            begun = time.monotonic()
            await asyncio.gather(*(ask(peer) for peer in self._peers))
            try:
                self._merged = await asyncio.to_thread(self._merge)
            except Exception:
                log.exception("the parts of the shards were not merged")
            await asyncio.sleep(max(1.0, begun + GATHER_SECONDS - time.monotonic()))

    def assessment(self) -> FleetAssessment:
        """The latest Assessment of the whole fleet; of this shard's sites alone before any other
        was asked."""
        if self._merged is None:
            self._merged = self._merge()
        return self._merged

    def publication(self) -> Publication:
        """The same as a Publication, which stays one object as long as nothing changes."""
        own, merged = self._own(), self.assessment()
        before = self._publication
        if before is None or before.assessment is not merged or before.waiting != own.waiting:
            self._publication = before = replace(own, assessment=merged, whole=None)
        return before

    def _ask(self, peer: _Peer) -> None:
        """Ask a shard for its part, and keep it or the reason why there is none."""
        known = {} if peer.part is None else peer.part.cells
        after = max((cells.time for cells in known.values()), default=None)
        before = peer.reason
        try:
            reply = self._http.request(
                "GET",
                f"{peer.url}/api/v1/shard",
                seconds=REQUEST_SECONDS,
                connect_seconds=CONNECT_SECONDS,
                largest=LARGEST_PART,
                params=None if after is None else {"cells_after": repr(after)},
            )
            if reply.status != 200:
                raise PartError(f"status {reply.status}")
            part = decode(reply.body, time.monotonic(), known)
            if part.shard != peer.shard:
                raise PartError(f"it is shard {part.shard!s:.20}")
            peer.part, peer.reason = part, ""
            peer.received, peer.received_time = time.monotonic(), time.time()
        except (RequestError, PartError) as error:
            peer.reason = str(error).removeprefix(f"{peer.url}/api/v1/shard: ")
        if peer.reason != before:
            how = f"does not answer: {peer.reason}" if peer.reason else "answers"
            log.log(
                logging.WARNING if peer.reason else logging.INFO, "shard %s %s", peer.shard, how
            )

    def _merge(self) -> FleetAssessment:
        own = self._own()
        assert own.whole is not None  # published where shards are named
        merger = self._merger
        if merger is None or merger.fleet is not own.whole:
            known = None if merger is None else merger.previous
            merger = self._merger = MergedFleet(own.whole, self._interval, known)
            self._sites = _sites_by_shard(own.whole, self._shard.count)
        now = time.monotonic()
        count = self._shard.count
        parts = [part_of(own.assessment, f"{self._shard.index}/{count}")]
        missing = []
        for peer in self._peers:
            if peer.part is not None and now - peer.received <= STALE_SECONDS:
                parts.append(peer.part)
            else:
                sites = self._sites[int(peer.shard.partition("/")[0])]
                missing.append(
                    UnseenShard(peer.shard, tuple(sites), peer.received_time, peer.reason)
                )
        return merger.assess(parts, missing, now, time.time())


def _sites_by_shard(fleet: Fleet, count: int) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for site in fleet.sites:
        found[shard_of(site.id, count)].append(site.id)
    return found
