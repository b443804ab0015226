"""The fleet file in force: read at start, read again on demand, the last good one kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from exporter.config import isolated_reader
from exporter.config.driver_options import Declarations
from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, load_fleet

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class FleetFile:
    """Watches one fleet file.

    The file is told changed by its time, size and inode, which also works for files that are
    replaced and for those mounted into a container, where notifications do not arrive.
    """

    def __init__(self, path: Path, wall_clock: Callable[[], float], drivers: Declarations) -> None:
        self.path = path
        self._drivers = drivers
        self._wall_clock = wall_clock
        self._stamp = self._read_stamp()
        self.fleet = load_fleet(path, drivers)
        self.successful = True
        self.success_time = wall_clock()
        self._complaint = ""

    def changed(self) -> bool:
        """Whether the file was touched since it was read last, well or not."""
        return self._read_stamp() != self._stamp

    def reload(self) -> Fleet | None:
        """Read the file again; the new fleet, or None where it is refused or says the same.

        May be called in a thread: it changes nothing but this object.
        """
        self._stamp = self._read_stamp()
        try:
            fleet = isolated_reader.read(self.path, self._drivers)
        except FleetFileError as error:
            self.successful = False
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("fleet file refused, the one before stays in force: %s", error)
            return None
        self.successful, self._complaint = True, ""
        self.success_time = self._wall_clock()
        if fleet == self.fleet:
            return None
        self.fleet = fleet
        log.info("fleet file taken: %d sites", len(fleet.sites))
        return fleet

    def _read_stamp(self) -> Stamp | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino)
