"""Keeps the points that InfluxDB refused, each with the server's own words."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from exporter.store.bisection import Refused

log = logging.getLogger(__name__)

FILE = "rejects.jsonl"
MOST_BYTES = 16 * 1024 * 1024


class RefusedPoints:
    """A file of one JSON object a line: ``time``, ``words`` of the server, ``point``.

    At 16 MiB it becomes ``rejects.1.jsonl`` in place of the one before, and a new one is begun.

    Parameters
    ----------
    folder : Path or None
        None where nothing is kept on disk: the log says what was refused all the same.
    wall_clock : callable
        Unix seconds.
    """

    def __init__(self, folder: Path | None, wall_clock: Callable[[], float]) -> None:
        self._path = folder / FILE if folder is not None else None
        self._wall_clock = wall_clock

    def write(self, refused: Sequence[Refused]) -> None:
        """Append; blocks for the disk, and never raises."""
        if self._path is None or not refused:
            return
        time = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat(timespec="milliseconds")
        lines = [
            orjson.dumps({"time": time, "words": one.words, "point": one.line}) + b"\n"
            for one in refused
        ]
        try:
            if self._path.exists() and self._path.stat().st_size > MOST_BYTES:
                self._path.replace(self._path.with_suffix(".1.jsonl"))
            with os.fdopen(
                os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab"
            ) as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.error("%d refused points are not in %s: %s", len(refused), self._path, error)
