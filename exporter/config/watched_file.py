"""A file in force: read at the start, read again when it changes, the last good value kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

Stamps = dict[Path, tuple[int, int, int] | None]


def _stamps(paths: Iterable[Path]) -> Stamps:
    """What changes when a file does: its time, size and inode, None for an absent one.

    This also works for files that are replaced and for those mounted into a container, where
    notifications do not arrive.
    """
    found: Stamps = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found[path] = None
        else:
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


class WatchedFile(Generic[T]):
    """The value of a file.

    Parameters
    ----------
    name : str
        What it is called in messages: ``fleet file``.
    read : callable
        Reads the value again; raises ``error``.
    paths : callable
        From the value to the files that it was read from.
    value : T
        What was read at the start.
    error : type of Exception
        Its text names every mistake and shows no secret.

    Attributes
    ----------
    value : T
        What is in force.
    successful : bool
        Whether what is on disk now is in force.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], T],
        paths: Callable[[T], Iterable[Path]],
        value: T,
        error: type[Exception],
    ) -> None:
        self.value = value
        self.successful = True
        self._name = name
        self._read = read
        self._paths = paths
        self._error = error
        self._stamps = _stamps(paths(value))
        self._complaint = ""

    def changed(self) -> bool:
        """Whether a file was touched since it was read last, well or not."""
        return _stamps(self._paths(self.value)) != self._stamps

    def reload(self) -> bool:
        """Read it again; True if the value was taken, False if it was refused.

        A mistake is logged once, until it is mended. May be called in a thread.
        """
        # Before it is read: what is written meanwhile is a change.
        self._stamps = _stamps(self._paths(self.value))
        try:
            self.value = self._read()
        except self._error as error:
            self.successful = False
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("%s refused, the previous one stays in force: %s", self._name, error)
            return False
        self.successful, self._complaint = True, ""
        # The new value may name other files.
        self._stamps = _stamps(self._paths(self.value)) | self._stamps
        self._stamps = {path: self._stamps[path] for path in self._paths(self.value)}
        return True
