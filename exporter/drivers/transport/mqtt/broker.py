"""A broker as its sites see it: one connection for all of them, kept up while one of them listens.

Every site has topics of its own, named by how they begin. A message costs a look into a dictionary,
whatever the number of sites.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from exporter.config.addresses import Network
from exporter.config.endpoints import ascii_host
from exporter.drivers.transport.http.trust import SYSTEM_TRUST, Trust
from exporter.drivers.transport.mqtt import packets
from exporter.drivers.transport.mqtt.connection import (
    Address,
    Connection,
    Login,
    open_connection,
)
from exporter.drivers.transport.mqtt.requests import request
from exporter.model.snapshot import Outcome, ScrapeError

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
# A connection that lasted this long is opened again without a longer wait than the first one.
STEADY_SECONDS = 30.0
_SUSPICIOUS_ENDS = 3
_FILTERS_OF_PACKET = 200
# Each makes a device send all that it has, some 40 KB, which takes seconds over a slow link.
MOST_FULL_PUBLISHES = 32


class Listener(Protocol):
    """What hears the messages of one topic prefix."""

    def connected(self) -> None:
        """There is a new connection: messages may have been missed. Must not block or raise."""

    def receive(self, topic: bytes, payload: bytes, retained: bool) -> None:
        """Take a message; ``topic`` is what follows the prefix. Must not block or raise."""


@dataclass(eq=False, slots=True)
class Subscription:
    """A prefix that somebody listens to: ``N/c0619ab00001/`` stands for all topics below it.

    ``filters`` are what the broker is asked for.
    """

    prefix: bytes
    filters: tuple[str, ...]
    listener: Listener
    qos: int = 0


class Broker:
    """One broker and one user of it.

    Parameters
    ----------
    address : Address
    login : callable
        Asked at every connection, since passwords change while the service runs.
    allowed : tuple of networks
    rng : random.Random
        For the jitter of reconnections.

    Attributes
    ----------
    client_id : str
        Random: two programs with one id would push each other out for ever.
    connections : int
        How often a connection came about; it tells a listener that it may have missed messages.
    """

    def __init__(
        self,
        address: Address,
        login: Callable[[], Login],
        allowed: tuple[Network, ...] = (),
        rng: random.Random | None = None,
    ) -> None:
        self._address = address
        self._login = login
        self._allowed = allowed
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self.client_id = f"fleetscope-{secrets.token_hex(6)}"
        self.connections = 0
        self.failures = 0
        self._subscriptions: dict[bytes, Subscription] = {}
        self._depths: tuple[int, ...] = ()
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._error: ScrapeError | None = None
        self._short_lives = 0
        self._work: asyncio.Task[None] | None = None
        self.full_publishes = asyncio.Semaphore(MOST_FULL_PUBLISHES)

    @property
    def error(self) -> ScrapeError | None:
        """Why there is no connection; None while there is one, or none was tried yet."""
        return self._error

    def refuses(self, subscription: Subscription) -> bool:
        """Whether the broker does not let its user subscribe to any of the filters."""
        connection = self._connection
        return connection is not None and all(map(connection.is_refused, subscription.filters))

    @property
    def in_use(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscriptions)

    @contextlib.contextmanager
    def listening(self, subscription: Subscription) -> Iterator[None]:
        """Receive the messages of a subscription until the block ends.

        Raises
        ------
        ScrapeError
            With outcome ``malformed`` if another site listens to that prefix.
        """
        if subscription.prefix in self._subscriptions:
            topic = subscription.prefix.decode("utf-8", "replace")
            raise ScrapeError(Outcome.MALFORMED, f"MQTT: another site reads {topic}# too")
        self._subscriptions[subscription.prefix] = subscription
        self._note_depths()
        if self._connection is not None:
            self._subscribe(self._connection, [subscription])
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        try:
            yield
        finally:
            del self._subscriptions[subscription.prefix]
            self._note_depths()
            if not self._subscriptions:
                self._work.cancel()
                self._work = None
            elif self._connection is not None:
                for name in subscription.filters:
                    self._connection.unsubscribe(name)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

    async def connected(self) -> None:
        """Wait until there is a connection."""
        await self._up.wait()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message with QoS 0; without a connection it is lost."""
        if self._connection is not None:
            self._connection.send(packets.publish(topic, payload))

    # -- the connection -----------------------------------------------------------------------

    async def _run(self) -> None:
        """Connect again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        wait = FIRST_WAIT_SECONDS
        while True:
            begun = loop.time()
            try:
                async with self._connect() as connection:
                    begun = loop.time()
                    await connection.keep_alive()
                    error = connection.closed.result()
            except ScrapeError as failure:
                error = failure
            except Exception:
                log.exception("MQTT: a connection failed unexpectedly")
                error = ScrapeError(Outcome.MALFORMED, "MQTT: the connection failed unexpectedly")
            self.failures += 1
            self._error = error
            if loop.time() - begun > STEADY_SECONDS:
                wait, self._short_lives = FIRST_WAIT_SECONDS, 0
            await asyncio.sleep(wait * (1 - 0.25 * self._rng.random()))
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncIterator[Connection]:
        """A connection with all subscriptions made, for as long as the block lasts."""
        connection = await open_connection(
            self._address, self._login(), self.client_id, self._deliver, self._allowed
        )
        try:
            self._connection, self._error = connection, None
            self.connections += 1
            self._subscribe(connection, list(self._subscriptions.values()))
            self._up.set()
            for subscription in list(self._subscriptions.values()):
                subscription.listener.connected()
            yield connection
            self._explain(connection)
        finally:
            self._up.clear()
            self._connection = None
            connection.disconnect()

    def _explain(self, connection: Connection) -> None:
        """Where a broker accepts and closes again and again, say what is likely."""
        self._short_lives += 1
        if self._short_lives < _SUSPICIOUS_ENDS:
            return
        reason = connection.closed.result()
        raise ScrapeError(
            reason.outcome,
            f"{reason.detail}, {self._short_lives} times in a row soon after it was accepted: "
            "another client may use the same client id, or the broker limits this user",
        )

    def _subscribe(self, connection: Connection, subscriptions: list[Subscription]) -> None:
        asked = [(name, s.qos) for s in subscriptions for name in s.filters]
        for first in range(0, len(asked), _FILTERS_OF_PACKET):
            connection.subscribe(asked[first : first + _FILTERS_OF_PACKET])

    def _note_depths(self) -> None:
        """How many levels the prefixes have, most first."""
        depths = {prefix.count(b"/") for prefix in self._subscriptions}
        self._depths = tuple(sorted(depths, reverse=True))

    def _deliver(self, topic: bytes, payload: bytes, retained: bool) -> None:
        for depth in self._depths:
            end = 0
            for _ in range(depth):
                end = topic.find(b"/", end) + 1
                if not end:
                    break
            else:
                found = self._subscriptions.get(topic[:end])
                if found is not None:
                    found.listener.receive(topic[end:], payload, retained)
                    return


def address_of(url: str, trust: Trust) -> Address:
    """The broker at an endpoint, and what its certificate must be."""
    parts = urlsplit(url)
    tls = parts.scheme == "mqtts"
    host = ascii_host((parts.hostname or "").replace("%25", "%"))
    return Address(host, parts.port or (8883 if tls else 1883), tls, trust)


def topic_prefix(url: str) -> str:
    """What topics at a shared broker begin with: the path of its endpoint."""
    path = urlsplit(url).path.strip("/")
    return f"{path}/" if path else ""


async def resubscribe(
    site: str, listen: Callable[[], Awaitable[None]], failed: Callable[[ScrapeError], None]
) -> None:
    """Listen until cancelled: again, a second after each end.

    Parameters
    ----------
    site : str
        For the log.
    listen : callable
        Subscribes and receives. It may return, to be called again.
    failed : callable
        Takes why it ended.
    """
    while True:
        try:
            await listen()
        except ScrapeError as error:
            failed(error)
        except Exception:
            log.exception("site %s: the subscription failed", site)
            failed(ScrapeError(Outcome.MALFORMED, "MQTT: the subscription failed"))
        await asyncio.sleep(RETRY_SECONDS)


@dataclass(slots=True)
class MqttTransport:
    """MQTT for all sites.

    Attributes
    ----------
    login : callable
        From a site's id and endpoint to the name under which its user is known (sites of one
        broker with one user share a connection), and the user.
    allowed : tuple of networks
        Where brokers may be although ``connections.REFUSED_NETWORKS`` has them.
    """

    login: Callable[[str, str], tuple[str, Login]] = lambda _site, _url: ("", Login())
    allowed: tuple[Network, ...] = ()
    _brokers: dict[tuple[Address, str], Broker] = field(default_factory=dict)

    def broker(self, site: str, url: str, trust: Trust = SYSTEM_TRUST) -> Broker:
        """The broker of a site, which it shares with all others that sign in as the same user.

        The caller listens at once: a broker that nobody listens to is forgotten.
        """
        user, _ = self.login(site, url)
        address = address_of(url, trust)
        self._brokers = {key: b for key, b in self._brokers.items() if b.in_use}
        key = (address, user)
        broker = self._brokers.get(key)
        if broker is None:
            broker = Broker(address, lambda: self.login(site, url)[1], self.allowed)
            self._brokers[key] = broker
        return broker

    async def request(
        self,
        site: str,
        url: str,
        trust: Trust,
        topic: str,
        payload: bytes,
        *,
        answer_topic: str,
        expiry_seconds: int,
        patience_seconds: float,
    ) -> bytes:
        """Ask a device at the broker of a site, over a connection of its own; see
        :func:`exporter.drivers.transport.mqtt.requests.request`."""
        return await request(
            address_of(url, trust),
            self.login(site, url)[1],
            topic,
            payload,
            answer_topic=answer_topic,
            expiry_seconds=expiry_seconds,
            patience_seconds=patience_seconds,
            allowed=self.allowed,
        )
