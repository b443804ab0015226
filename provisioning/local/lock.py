"""One run per folder: the lock, and what it tells about the run that holds it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class AlreadyRunningError(Exception):
    """Another run holds the folder; ``run`` is what it published of itself."""

    def __init__(self, run: dict[str, Any]) -> None:
        super().__init__("a run holds this folder already")
        self.run = run


class RunLock:
    """An advisory lock beside the run's folder (flock(2)); the kernel frees it with its holder.

    The file stays when the lock is freed: to remove it would let two runs lock two files of one
    name.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.with_name(f"{folder.name}.lock")
        self._descriptor: int | None = None

    def read(self) -> dict[str, Any]:
        """What the last holder published, empty if nothing."""
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def holder(self) -> dict[str, Any] | None:
        """What the present holder published, None if nobody holds the lock."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self.read()
        else:
            return None
        finally:
            os.close(descriptor)

    def publish(self, run: dict[str, Any]) -> None:
        """Tell others about this run. Only the holder may."""
        if self._descriptor is None:
            raise RuntimeError("publish() without the lock")
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(run).encode(), 0)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise AlreadyRunningError(self.read()) from None
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
