"""The fleet file in force: read at start, read again on demand, the last good one kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from exporter.config import isolated_reader
from exporter.config.driver_options import Declarations
from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, load_fleet, nodes_path
from exporter.config.shards import WHOLE, Shard
from exporter.config.watched_file import WatchedFile

log = logging.getLogger(__name__)


# To check a file takes many times its size, which the process that polls would keep.
_LARGE_BYTES = 256 * 1024


class FleetFile:
    """The fleet file, read again in a process of its own (see isolated_reader).

    Of a file that several exporters share, ``fleet`` is the part of this one's shard.
    """

    def __init__(
        self,
        path: Path,
        wall_clock: Callable[[], float],
        drivers: Declarations,
        shard: Shard = WHOLE,
    ) -> None:
        self.path = path
        self._shard = shard
        self._wall_clock = wall_clock
        self._file = WatchedFile(
            "fleet file",
            lambda: isolated_reader.read(path, drivers),
            lambda _: (path, nodes_path(path)),
            _first(path, drivers),
            FleetFileError,
        )
        self._part = shard.part_of(self._file.value)
        self.success_time = wall_clock()

    @property
    def fleet(self) -> Fleet:
        """The fleet in force."""
        return self._part

    @property
    def whole(self) -> Fleet:
        """The fleet of all shards."""
        return self._file.value

    @property
    def all_sites(self) -> int:
        """Number of sites in the file, over all shards."""
        return len(self._file.value.sites)

    @property
    def successful(self) -> bool:
        """Whether what is on disk now is in force."""
        return self._file.successful

    def changed(self) -> bool:
        """Whether the file was touched since it was read last, well or not."""
        return self._file.changed()

    def reload(self) -> Fleet | None:
        """Read the file again; the new fleet, or None where it is refused or says the same.

        May be called in a thread: it changes nothing but this object.
        """
        before = self._part
        if not self._file.reload():
            return None
        self.success_time = self._wall_clock()
        self._part = self._shard.part_of(self._file.value)
        if self._part == before:
            self._part = before
            return None
        log.info("fleet file taken: %d sites", len(self.fleet.sites))
        return self.fleet


def _first(path: Path, drivers: Declarations) -> Fleet:
    """The fleet at the start: a small one is read here, which is sooner.

    Raises
    ------
    FleetFileError
    """
    try:
        large = path.stat().st_size > _LARGE_BYTES
    except OSError:
        large = False
    if large:
        return isolated_reader.read(path, drivers, bounded=False)
    return load_fleet(path, drivers)
