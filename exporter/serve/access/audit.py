"""The audit log: who signed in or failed to, saw contacts, and changed something.

One JSON object a line, appended. No line holds a password, a token, or a user name that the
configuration does not have, since that may be a password in the wrong field.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from exporter.serve.access.rate_limits import Buckets
from exporter.serve.access.roles import Caller

log = logging.getLogger(__name__)

# The same is not written again for so long: Prometheus reads contacts every 15 s.
REPEATED_SECONDS = 3600.0
MOST_REMEMBERED = 4096
# Failures of one address, and of all: so many at once, then one in so many seconds.
ADDRESS_BURST, ADDRESS_SECONDS = 20, 10.0
TOTAL_BURST, TOTAL_SECONDS = 200, 0.2
MOST_SITES_NAMED = 20


class AuditLogError(Exception):
    """The audit log cannot be opened."""


class AuditLog:
    """Appends events to a file; without a path it does nothing.

    The file is opened again when it was moved, so that logrotate needs no signal.

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
        self._written: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._by_address = Buckets(ADDRESS_SECONDS, ADDRESS_BURST)
        self._all = Buckets(TOTAL_SECONDS, TOTAL_BURST)
        self._suppressed: Counter[str] = Counter()
        if path is not None:
            try:
                self._open(path)
            except OSError as error:
                raise AuditLogError(f"{path}: {error.strerror}") from None

    def signed_in(self, caller: Caller, address: str, now: float) -> None:
        """A sign-in that was right; ``now`` in monotonic seconds, here and below."""
        if caller.method and self._is_new(("sign_in", caller.method, caller.name, address), now):
            self._append("sign_in", address, caller)

    def sign_in_failed(self, method: str, known_name: str, address: str, now: float) -> None:
        """One that was wrong; ``known_name`` is empty unless the configuration has that user."""
        self._failure("sign_in_failed", address, now, method=method, name=known_name or None)

    def refused(self, caller: Caller, address: str, action: str, path: str, now: float) -> None:
        """A request that the caller's roles do not allow."""
        who = {"method": caller.method or None, "name": caller.name}
        self._failure("refused", address, now, **who, action=action, path=path[:200])

    def saw_contacts(self, caller: Caller, address: str, path: str, sites: str, now: float) -> None:
        """Contacts that stood in an answer; ``sites`` from :func:`contacts_header`."""
        count, _, named = sites.partition(" ")
        fields = {"path": path[:200], "sites": named.split(",") if named else [], "count": count}
        if self._is_new(("contacts", caller.method, caller.name, address, path, sites), now):
            self._append("contacts_read", address, caller, **fields)

    def changed(self, caller: Caller, address: str, action: str, path: str, status: int) -> None:
        """A request that changes something, and how it was answered."""
        self._append("action", address, caller, action=action, path=path[:200], status=status)

    def configured(self, what: str, **fields: object) -> None:
        """A file that is in force from now on."""
        self._append("configured", "", None, file=what, **fields)

    def _failure(self, event: str, address: str, now: float, /, **fields: object) -> None:
        if not (self._by_address.take(address, now) and self._all.take("", now)):
            self._suppressed[address] += 1
            if len(self._suppressed) > MOST_REMEMBERED:
                # Their number stays, their addresses do not.
                self._suppressed = Counter({"": self._suppressed.total()})
            return
        suppressed = self._suppressed.pop(address, 0) + self._suppressed.pop("", 0)
        if suppressed:
            fields["suppressed"] = suppressed
        self._append(event, address, None, **fields)

    def _is_new(self, key: tuple[str, ...], now: float) -> bool:
        """Whether the same was not written of late."""
        written = self._written.get(key)
        if written is not None and now - written < REPEATED_SECONDS:
            return False
        self._written[key] = now
        self._written.move_to_end(key)
        if len(self._written) > MOST_REMEMBERED:
            self._written.popitem(last=False)
        return True

    def _append(self, event: str, address: str, caller: Caller | None, **fields: object) -> None:
        if self._path is None:
            return
        who = {"method": caller.method or None, "name": caller.name} if caller else {}
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "address": address or None,
            **who,
            **fields,
        }
        line = orjson.dumps({k: v for k, v in entry.items() if v is not None}) + b"\n"
        try:
            # One write is one whole line, whoever else appends.
            os.write(self._current(self._path), line)
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


CONTACTS_HEADER = "fleetscope-contacts"
"""Header by which an answer reports to the guard that it holds contacts; no caller gets it."""


def contacts_header(sites: Sequence[str]) -> dict[str, str]:
    """The header for an answer with the contacts of these sites; nothing without any."""
    if not sites:
        return {}
    return {CONTACTS_HEADER: f"{len(sites)} {','.join(sites[:MOST_SITES_NAMED])}"}
