"""What each caller may use: processor time, requests at once, streams.

A request counts against accounts: its address, its user, and its projects where the caller does not
see all of them. Whoever is within the limits of all its accounts is answered; nobody else's use
matters.
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from exporter.config.fleet import Project
from exporter.serve.access.rate_limits import Buckets
from exporter.serve.access.roles import Caller

ACCOUNTS = "fleetscope.accounts"
METER = "fleetscope.meter"
"""Names in the scope of a request: its accounts, and its :class:`Meter`."""

_USUAL = Project()
MOST_ACCOUNTS = 8192
MOST_UNDER_WAY = 100
_IPV6_NETWORK_BITS = 64
# Seconds of processor time that an account may use at once are refilled in two minutes.
_REFILL_SECONDS = 120.0


class Account(str):
    """Whom a request counts against, by name, with the quota that is in force.

    Attributes
    ----------
    share : int
        How many times the limits of one caller it has.
    requests_per_minute : int or None
        Most requests; None without a limit of its own.
    """

    share: int
    requests_per_minute: int | None

    def __new__(cls, name: str, share: int = 1, requests_per_minute: int | None = None) -> Account:
        """An account; equal to every other one of its name."""
        made = super().__new__(cls, name)
        made.share, made.requests_per_minute = share, requests_per_minute
        return made


Accounts = tuple[Account, ...]


class OverLimitError(Exception):
    """A request beyond what its caller may use.

    Attributes
    ----------
    retry_seconds : int
        When it may come again.
    """

    def __init__(self, detail: str, retry_seconds: float) -> None:
        super().__init__(detail)
        self.retry_seconds = max(1, math.ceil(retry_seconds))


def accounts_of(
    address: str, caller: Caller | None, quotas: Mapping[str, Project] = MappingProxyType({})
) -> Accounts:
    """The accounts of a request.

    Parameters
    ----------
    address : str
        Of the client. Of IPv6 the network counts: one machine has 2^64 addresses.
    caller : Caller or None
        None, or a caller without a password, has no account of a user.
    quotas : mapping of project to Project
        Those of the fleet file in force, so that a new file counts at once.
    """
    found = [Account(f"address {_network(address)}")]
    if caller is not None and caller.name not in ("anyone", "nobody"):
        found.append(Account(f"user {caller.name[:256]}"))
        for name in sorted(caller.visibility.projects or ()):
            quota = quotas.get(name, _USUAL)
            found.append(Account(f"project {name}", quota.share, quota.requests_per_minute))
    return tuple(found)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
    return str(parsed)


class SharedClock:
    """Seconds of one processor, shared out evenly among those who use it at a time.

    Parameters
    ----------
    now : callable
        Seconds: those of a processor, or monotonic ones.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._users = 0
        self._share = 0.0
        self._at = now()

    def enter(self) -> float:
        """Begin to use it; the mark for :meth:`leave`."""
        self._advance()
        self._users += 1
        return self._share

    def leave(self, mark: float) -> float:
        """End the use that began at a mark; its seconds."""
        self._advance()
        self._users -= 1
        return self._share - mark

    def _advance(self) -> None:
        now = self._now()
        if self._users:
            self._share += (now - self._at) / self._users
        self._at = now


class TimeBudgets:
    """Processor seconds of each account; bounded in number.

    An account may use ``seconds`` at once, and what it used is refilled in two minutes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._rate = seconds / _REFILL_SECONDS
        # What each account has used, and when that was noted.
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def charge(self, accounts: Accounts, seconds: float, now: float) -> None:
        """Note a use."""
        for account in accounts:
            self._used[account] = (self._of(account, now) + seconds / account.share, now)
            self._used.move_to_end(account)
        while len(self._used) > MOST_ACCOUNTS:
            self._used.popitem(last=False)

    def wait(self, accounts: Accounts, now: float) -> float:
        """Seconds until all accounts may use some again; 0 where they may now."""
        over = max((self._of(account, now) for account in accounts), default=0.0) - self._seconds
        return max(0.0, over) / self._rate

    def _of(self, account: str, now: float) -> float:
        used, noted = self._used.get(account, (0.0, now))
        return max(0.0, used - (now - noted) * self._rate)


class Usage:
    """The use of one server by all callers.

    Parameters
    ----------
    seconds : float
        Processor time that a caller may use at once.
    now : callable
        Monotonic seconds.
    """

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._now = now
        self._budgets = TimeBudgets(seconds)
        self._clock = SharedClock(now)
        self._under_way: Counter[Account] = Counter()
        self._requests: dict[int, Buckets] = {}

    def begin(self, accounts: Accounts, *, free: bool = False) -> Meter:
        """The meter of a request that begins now.

        Parameters
        ----------
        accounts : tuple of str
        free : bool
            Whether it is answered whatever its caller used, as metrics and health are.

        Raises
        ------
        OverLimitError
        """
        self._count(accounts)
        if not free:
            if wait := self._budgets.wait(accounts, self._now()):
                raise OverLimitError(
                    "what was asked before took all the processor time that a caller may use", wait
                )
            for account in accounts:
                if self._under_way[account] >= MOST_UNDER_WAY * account.share:
                    raise OverLimitError(f"{self._under_way[account]} requests are under way", 1)
        self._under_way.update(accounts)
        return Meter(self, accounts, self._clock.enter())

    def _count(self, accounts: Accounts) -> None:
        """Count a request for every account, or for none where one has none left."""
        now = self._now()
        counted = [
            (account, self._requests.setdefault(most, Buckets(60.0 / most, most)))
            for account in accounts
            if (most := account.requests_per_minute)
        ]
        for account, buckets in counted:
            if not buckets.has(account, now):
                raise OverLimitError(f"the {account} has used its requests_per_minute", 5)
        for account, buckets in counted:
            buckets.take(account, now)

    def charge(self, accounts: Accounts, seconds: float) -> None:
        """Note processor time that was used elsewhere."""
        self._budgets.charge(accounts, seconds, self._now())

    def end(self, accounts: Accounts, mark: float) -> None:
        """Note what a request used in this process."""
        self.charge(accounts, self._clock.leave(mark))
        self._under_way.subtract(accounts)
        for account in accounts:
            if not self._under_way[account]:
                del self._under_way[account]


@dataclass(slots=True)
class Meter:
    """Counts what one request uses in this process, until it is stopped."""

    usage: Usage
    accounts: Accounts
    mark: float
    _running: bool = field(default=True, init=False)

    def stop(self) -> None:
        """Count no further; what remains is waiting, or the caller's own pace."""
        if self._running:
            self._running = False
            self.usage.end(self.accounts, self.mark)

    def charge(self, seconds: float) -> None:
        """Add processor time that the request used in another process."""
        self.usage.charge(self.accounts, seconds)


class Streams:
    """Open event streams; a new one takes the place of the oldest where its caller has too many.

    Where the server has too many, the caller with the most loses its oldest.
    """

    def __init__(self, most: int, most_of_a_caller: int) -> None:
        self._most, self._most_of_a_caller = most, most_of_a_caller
        self._open: OrderedDict[Stream, None] = OrderedDict()

    def open(self, accounts: Accounts) -> Stream:
        """A new stream."""
        stream = Stream(accounts)
        for account in accounts:
            held = self._of(account)
            if len(held) >= self._most_of_a_caller * account.share:
                self._evict(held[0])
        if len(self._open) >= self._most:
            counts = Counter(account for one in self._open for account in one.accounts)
            largest = max(counts, key=lambda account: counts[account] / account.share)
            self._evict(self._of(largest)[0])
        self._open[stream] = None
        return stream

    def close(self, stream: Stream) -> None:
        """The stream has ended."""
        self._open.pop(stream, None)

    def _of(self, account: Account) -> list[Stream]:
        return [stream for stream in self._open if account in stream.accounts]

    def _evict(self, stream: Stream) -> None:
        stream.evicted = True
        self.close(stream)


@dataclass(slots=True, eq=False)
class Stream:
    """One event stream; it ends once it is ``evicted``."""

    accounts: Accounts
    evicted: bool = False
