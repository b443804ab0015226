"""The one audit log: events of any part of the program, one JSON object a line, appended.

Whoever decides or changes something records an event::

    audit = AuditFile(settings.audit_log)
    audit.record("order", name="anna", site="alpha", order="charge", power_w=2000.0)

Processes may append to the same file: a line is one write.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import orjson

log = logging.getLogger(__name__)

_FIRST = ("address", "method", "name")


class AuditLogError(Exception):
    """The audit log cannot be opened."""


class AuditFile:
    """Appends events to a file; without a path they go to the program's own log.

    The file is opened again when it was moved, so that logrotate needs no signal. Where it cannot
    be written (a full disk), the program's log reports that once and the event too.

    Parameters
    ----------
    path : Path or None

    Raises
    ------
    AuditLogError
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._broken = False
        if path is not None:
            try:
                self._open(path)
            except OSError as error:
                raise AuditLogError(f"{path}: {error.strerror}") from None

    @property
    def is_kept(self) -> bool:
        """Whether events go to a file of their own."""
        return self._path is not None

    def record(self, event: str, **fields: object) -> None:
        """Append an event; never raises OSError.

        Parameters
        ----------
        event : str
            What kind it is, such as ``node`` or ``order``; docs/security.md lists them.
        **fields
            What JSON can hold, without secrets; None is left out. ``name`` is who did it, one that
            the configuration knows and never what somebody typed in its place; ``method`` how they
            signed in (``password``, ``token``, ``oidc``); ``address`` where the request came from.
        """
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            **{key: fields.get(key) or None for key in _FIRST},
            **{key: value for key, value in fields.items() if key not in _FIRST},
        }
        line = orjson.dumps({k: v for k, v in entry.items() if v is not None})
        if self._path is None:
            log.info("audit: %s", line.decode())
            return
        try:
            # One write is one whole line, whoever else appends.
            os.write(self._current(self._path), line + b"\n")
        except OSError as error:
            if not self._broken:
                log.error("the audit log cannot be written: %s", error.strerror)
            self._broken = True
        else:
            self._broken = False

    def _current(self, path: Path) -> int:
        """The open file that the path names now."""
        if self._descriptor is not None:
            held = os.fstat(self._descriptor)
            try:
                named = path.stat()
            except FileNotFoundError:
                named = None
            if named and (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino):
                return self._descriptor
            os.close(self._descriptor)
            self._descriptor = None
        return self._open(path)

    def _open(self, path: Path) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, 0o600)
        return self._descriptor
