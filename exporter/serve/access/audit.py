"""What the HTTP server adds to the audit log: sign-ins, reads of contacts, changes.

No line holds a password, a token, or a user name that the configuration does not have, since that
may be a password in the wrong field.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence

from exporter.model.audit_file import AuditFile
from exporter.serve.access.rate_limits import Buckets
from exporter.serve.access.roles import Caller

# The same is not written again for so long: Prometheus reads contacts every 15 s.
REPEATED_SECONDS = 3600.0
MOST_REMEMBERED = 4096
# Failures of one address, and of all: so many at once, then one in so many seconds.
ADDRESS_BURST, ADDRESS_SECONDS = 20, 10.0
TOTAL_BURST, TOTAL_SECONDS = 200, 0.2
MOST_SITES_NAMED = 20


class AccessAudit:
    """Records what callers did; without a file of their own, only what they changed.

    Parameters
    ----------
    file : AuditFile
    """

    def __init__(self, file: AuditFile) -> None:
        self._file = file
        self._written: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._by_address = Buckets(ADDRESS_SECONDS, ADDRESS_BURST)
        self._all = Buckets(TOTAL_SECONDS, TOTAL_BURST)
        self._suppressed: Counter[str] = Counter()

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
        self._record("action", address, caller, action=action, path=path[:200], status=status)

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
        if self._file.is_kept:
            self._record(event, address, caller, **fields)

    def _record(self, event: str, address: str, caller: Caller | None, **fields: object) -> None:
        who = {"name": caller.name, "method": caller.method} if caller else {}
        self._file.record(event, address=address, **who, **fields)


CONTACTS_HEADER = "fleetscope-contacts"
"""Header by which an answer reports to the guard that it holds contacts; no caller gets it."""


def contacts_header(sites: Sequence[str]) -> dict[str, str]:
    """The header for an answer with the contacts of these sites; nothing without any."""
    if not sites:
        return {}
    return {CONTACTS_HEADER: f"{len(sites)} {','.join(sites[:MOST_SITES_NAMED])}"}
