"""Takes Snapshots into the fleet state and the database, those of one turn of the loop together.

Replies of many sites come at once. Each stage runs over all of them before the next one does, while
its code and tables are in the processor's caches: a fifth less time than all stages for each site.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from exporter.collect.state import FleetState
from exporter.model.snapshot import Snapshot
from exporter.store.cell_cadence import CellStore
from exporter.store.line_protocol import snapshot_lines
from exporter.store.writer import Writer

log = logging.getLogger(__name__)


class SnapshotSink:
    """Snapshots in, in the order in which they came.

    Parameters
    ----------
    state : FleetState
    cells : CellStore
    writer_of : callable
        The writer of a site by its id; None where it is not stored.
    taken : callable
        Called with each Snapshot once the state has it.
    monotonic : callable
        Seconds that never jump.

    Attributes
    ----------
    cell_issues : frozenset of str
        Sites of which every scrape of the cells is stored.
    """

    def __init__(
        self,
        state: FleetState,
        cells: CellStore,
        writer_of: Callable[[str], Writer | None],
        taken: Callable[[Snapshot], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._state = state
        self._cells = cells
        self._writer_of = writer_of
        self._taken = taken
        self._monotonic = monotonic
        self._waiting: list[Snapshot] = []
        # By the identity of a Snapshot: the way in by which its site was read before it.
        self._ways: dict[int, str] = {}
        self.cell_issues: frozenset[str] = frozenset()

    def take(self, snapshot: Snapshot) -> None:
        """Take a Snapshot at the next turn of the event loop, or at :meth:`flush`."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(snapshot)

    def flush(self) -> None:
        """Take what waits now."""
        waiting, self._waiting = self._waiting, []
        self._ways.clear()
        for stage in (self._apply, self._store, self._store_cells):
            waiting = [snapshot for snapshot in waiting if _passes(snapshot, stage)]

    def _apply(self, snapshot: Snapshot) -> None:
        if snapshot.way:
            self._ways[id(snapshot)] = self._state.way_of(snapshot.site)
        if snapshot.current:
            self._state.apply(snapshot, self._monotonic())
        self._taken(snapshot)

    def _store(self, snapshot: Snapshot) -> None:
        if (writer := self._writer_of(snapshot.site)) is not None:
            writer.add(snapshot_lines(snapshot, self._ways.get(id(snapshot), "")))

    def _store_cells(self, snapshot: Snapshot) -> None:
        if (writer := self._writer_of(snapshot.site)) is not None:
            every = snapshot.site in self.cell_issues
            writer.add_blocks(self._cells.blocks(snapshot, every=every))


def _passes(snapshot: Snapshot, stage: Callable[[Snapshot], None]) -> bool:
    """Whether a stage was done; a Snapshot of which it was not costs the others nothing."""
    try:
        stage(snapshot)
    except Exception:
        log.exception("site %s: a Snapshot was not taken", snapshot.site)
        return False
    return True
