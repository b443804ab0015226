"""The memory that requests may take in a worker, over what it holds anyway."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from exporter.model.workers import limit_data

# Threads count with all of their stack, of which work like this needs little.
_STACK_BYTES = 1024 * 1024
_STATUS = Path("/proc/self/status")


class RequestMemory:
    """A limit on the data of this process; beyond it Python raises MemoryError.

    Elsewhere than on Linux there is none.

    Parameters
    ----------
    megabytes : int
        For all requests at once.
    """

    def __init__(self, megabytes: int) -> None:
        self._bytes = megabytes * 1024 * 1024
        threading.stack_size(_STACK_BYTES)

    def limit(self) -> None:
        """Take what is held now for what is held anyway."""
        with contextlib.suppress(OSError, ValueError):
            lines = _STATUS.read_text("ascii").splitlines()
            held = next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))
            limit_data(held * 1024 + self._bytes)
