"""The folder of a queue on disk: it belongs to one exporter, and keeps some space in reserve."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class QueueInUseError(Exception):
    """Another exporter has this queue; its text says which process."""


class FolderLock:
    """An advisory lock (flock(2)) on a file in the folder; the kernel frees it with its holder.

    On a file system that is read-only it may be taken later, as soon as the file can be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether it has been taken."""
        return self._descriptor is not None

    def take(self) -> None:
        """Take the lock, making the folder where it is absent; again if it was removed.

        Raises
        ------
        QueueInUseError
        OSError
            The file cannot be made.
        """
        if self._descriptor is not None and is_same(os.fstat(self._descriptor), self._path):
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise QueueInUseError(
                f"the queue in {self._path.parent} is in use by the exporter with process id "
                f"{holder}; give each exporter a FLEETSCOPE_QUEUE_DIR of its own"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self.release()
        self._descriptor = descriptor
        with contextlib.suppress(OSError):
            # Only so that a second exporter can say whose it is.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Release the lock. The file stays, since two exporters could lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_same(opened: os.stat_result, path: Path) -> bool:
    """Whether an open file is still the one at ``path``; yes where that is unknown."""
    try:
        return os.path.samestat(opened, path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


RESERVE_BYTES = 512 * 1024
_RESERVE = "reserve"


def keep_reserve(folder: Path) -> None:
    """Reserve space: even on a full disk, deleting records needs some.

    A disk that has no room for it is left as it is.
    """
    path = folder / _RESERVE
    if path.exists():
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        use_reserve(folder)


def use_reserve(folder: Path) -> None:
    """Free the reserved space."""
    with contextlib.suppress(OSError):
        (folder / _RESERVE).unlink()
