"""Reads a fleet file in a process of its own, so that no file can hurt the one that polls.

A file of megabytes keeps a parser busy for seconds, during which nothing else would run, and one
that is written to do harm may take all memory or end the process. ``python -m
exporter.config.isolated_reader FILE`` serves :func:`read` alone: it takes the registry of drivers
from its standard input and writes what it found to its standard output, both pickled.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from exporter.config.driver_options import Declarations
from exporter.config.fleet import Fleet
from exporter.config.positions import FleetFileError, Mistake
from exporter.config.shared_values import share_values

MOST_SECONDS = 120
MOST_BYTES = 1024**3
# What a Python needs to start; secrets stand in the others.
_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "TZ", "TZDIR")
_reading: set[subprocess.Popen[bytes]] = set()


def read(path: Path, drivers: Declarations, *, bounded: bool = True) -> Fleet:
    """Read and check a fleet file, as :func:`exporter.config.fleet_file.load_fleet` does; blocks.

    Parameters
    ----------
    path : Path
    drivers : Declarations
    bounded : bool
        Give it :data:`MOST_SECONDS` and :data:`MOST_BYTES` at most; not at the start, when nothing
        else runs.

    Raises
    ------
    FleetFileError
        With every mistake found, or with what became of the process.
    """
    limits = ["bounded"] if bounded else []
    command = [sys.executable, "-m", "exporter.config.isolated_reader", str(path.absolute())]
    command += limits
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # The package may be found by the current folder alone.
    kept.setdefault("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    found: Any = None
    with contextlib.suppress(OSError, subprocess.TimeoutExpired, pickle.UnpicklingError, EOFError):
        with subprocess.Popen(  # noqa: S603 - this program, and a path that is no option
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept,
        ) as process:
            _reading.add(process)
            try:
                seconds = MOST_SECONDS if bounded else None
                written, _ = process.communicate(pickle.dumps(dict(drivers)), timeout=seconds)
            finally:
                process.kill()
                _reading.discard(process)
        # Written by this program, and by it alone.
        found = pickle.loads(written)  # noqa: S301
    if isinstance(found, Fleet):
        share_values(found)
        return found
    if isinstance(found, list):
        raise FleetFileError(path, found)
    allowed = f"within {MOST_SECONDS} s and {MOST_BYTES // 1024**3} GiB of memory"
    reason = f"cannot be read {allowed}" if bounded else "cannot be read: its reader ended"
    raise FleetFileError(path, [Mistake(0, 0, "", reason)])


def give_up() -> None:
    """End what is being read: the exporter ends, and does not wait for it."""
    for process in list(_reading):
        process.kill()


def main(path: Path, *, bounded: bool) -> None:
    """Read the file, and write out what it holds."""
    from exporter.config.fleet_file import load_fleet

    # Written by the process that started this one; it names classes, whose modules are imported.
    drivers = pickle.load(sys.stdin.buffer)  # noqa: S301
    if bounded:
        os.nice(5)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    found: Fleet | list[Mistake]
    try:
        found = load_fleet(path, drivers)
        share_values(found)
    except FleetFileError as error:
        found = error.mistakes
    sys.stdout.buffer.write(pickle.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), bounded=sys.argv[2:] == ["bounded"])
