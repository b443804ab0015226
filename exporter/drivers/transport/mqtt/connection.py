"""One connection to an MQTT broker: opened, read, kept alive, closed; every end has its reason."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporter.config.addresses import Network, is_refused
from exporter.drivers.transport.http.connections import AddressRefusedError
from exporter.drivers.transport.http.trust import SYSTEM_TRUST, Trust, authorities
from exporter.drivers.transport.mqtt import packets
from exporter.drivers.transport.mqtt.packets import PacketError, PacketReader, PacketType
from exporter.model.snapshot import Outcome, ScrapeError
from exporter.model.text import plain_line

CONNECT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 30
# The broker answers a ping at once, so that even a slow link carries something in this time.
SILENT_SECONDS = 75.0
# Above this a broker that does not read is given up.
MOST_UNSENT_BYTES = 1024 * 1024
# Messages may take this share of the event loop, which polls other sites too.
_BUSY_SHARE = 0.5
_UNPAUSED_SECONDS = 0.005

OnMessage = Callable[[bytes, bytes, bool], None]
"""Takes topic, payload and whether the broker had it retained."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker listens, and how it is trusted."""

    host: str
    port: int
    tls: bool = False
    trust: Trust = SYSTEM_TRUST


@dataclass(frozen=True, slots=True)
class Login:
    """A user of a broker; None where it wants none."""

    username: str | None = None
    password: str | None = None


class Connection(asyncio.Protocol):
    """A connection that the broker has accepted; made by :func:`open_connection`.

    Attributes
    ----------
    closed : asyncio.Future of ScrapeError
        Done at its end, with the reason.
    """

    def __init__(self, on_message: OnMessage, level: int = packets.LEVEL) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._on_message = on_message
        self.level = level
        self._reader = PacketReader(self._published, self._received)
        self._transport: asyncio.Transport | None = None
        self._begun = False
        self._packet_id = 0
        self._subscribing: dict[int, tuple[str, ...]] = {}
        self._refused: set[str] = set()
        self._heard = loop.time()
        self._paused: asyncio.TimerHandle | None = None
        self.accepted: asyncio.Future[int] = loop.create_future()
        self.closed: asyncio.Future[ScrapeError] = loop.create_future()

    @property
    def oversized(self) -> int:
        """Messages that were too large and left out."""
        return self._reader.oversized

    def is_refused(self, topic_filter: str) -> bool:
        """Whether the broker does not let this user subscribe to a filter."""
        return topic_filter in self._refused

    def send(self, packet: bytes) -> None:
        """Send a packet; never blocks."""
        if self._transport is None or self.closed.done():
            return
        self._transport.write(packet)
        if self._transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self.end(ScrapeError(Outcome.TIMEOUT, "MQTT: the broker does not read any more"))

    def subscribe(self, filters: Iterable[tuple[str, int]]) -> None:
        """Subscribe to topic filters, each with its QoS."""
        asked = tuple(filters)
        number = self._next_id()
        self._subscribing[number] = tuple(name for name, _ in asked)
        self._refused.difference_update(self._subscribing[number])
        self.send(packets.subscribe(number, asked))

    def unsubscribe(self, topic_filter: str) -> None:
        """Receive a filter's messages no more."""
        self.send(packets.unsubscribe(self._next_id(), [topic_filter]))

    async def keep_alive(self) -> None:
        """Ping the broker until the connection ends, and end it where nothing comes back."""
        while not self.closed.done():
            self.send(packets.PING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE_SECONDS / 2):
                    await asyncio.shield(self.closed)
            silent = self._loop.time() - self._heard
            if silent > SILENT_SECONDS and self._paused is None:
                detail = f"MQTT: the broker has sent nothing for {silent:.0f} s"
                self.end(ScrapeError(Outcome.TIMEOUT, detail))

    def end(self, reason: ScrapeError) -> None:
        """End the connection; the first reason stands."""
        if not self.closed.done():
            self.closed.set_result(reason)
        if not self.accepted.done():
            self.accepted.cancel()
        if self._paused is not None:
            self._paused.cancel()
        if self._transport is not None:
            self._transport.abort()

    def disconnect(self) -> None:
        """End the connection as MQTT asks for."""
        self.send(packets.DISCONNECT)
        if self._transport is not None:
            self._transport.close()
        if not self.closed.done():
            self.closed.set_result(ScrapeError(Outcome.REFUSED, "MQTT: closed by this program"))

    # -- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's has no common base

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`. Reads no more than a share of the loop's time."""
        begun = time.perf_counter()
        self._heard = self._loop.time()
        try:
            if not self._begun and data[0] >> 4 != PacketType.CONNACK:
                raise PacketError("the first reply is not the one to CONNECT")
            self._begun = True
            self._reader.feed(data)
        except PacketError as error:
            self.end(ScrapeError(Outcome.MALFORMED, f"MQTT: {error}"))
            return
        spent = time.perf_counter() - begun
        if spent > _UNPAUSED_SECONDS and self._transport is not None and self._paused is None:
            self._transport.pause_reading()
            wait = spent * (1 - _BUSY_SHARE) / _BUSY_SHARE
            self._paused = self._loop.call_later(wait, self._resume)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        how = type(exc).__name__ if exc is not None else "closed by the broker"
        self.end(ScrapeError(Outcome.REFUSED, f"MQTT: the connection ended ({how})"))

    def _resume(self) -> None:
        self._paused = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # -- packets ------------------------------------------------------------------------------

    def _published(
        self, topic: bytes, payload: bytes, retained: bool, packet_id: int | None
    ) -> None:
        if len(topic) <= packets.LONGEST_TOPIC:
            self._on_message(topic, payload, retained)
        if packet_id is not None:
            self.send(packets.puback(packet_id))

    def _received(self, kind: int, body: bytes) -> None:
        if not self.accepted.done():
            # MQTT 5 adds properties, none of which matters here.
            whole = len(body) == 2 or (self.level == packets.LEVEL_5 and len(body) > 2)
            if kind != PacketType.CONNACK or not whole:
                raise PacketError("the reply to CONNECT is not of two bytes")
            self.accepted.set_result(body[1])
        else:
            self._acknowledged(kind, body)

    def _acknowledged(self, kind: int, body: bytes) -> None:
        """Take in what follows CONNACK."""
        if kind == PacketType.SUBACK and len(body) > 2:
            asked = self._subscribing.pop(body[0] << 8 | body[1], ())
            refused = zip(asked, body[2:], strict=False)
            self._refused.update(name for name, code in refused if code & 0x80)

    def _next_id(self) -> int:
        self._packet_id = self._packet_id % 0xFFFF + 1
        return self._packet_id


async def open_connection(
    address: Address,
    login: Login,
    client_id: str,
    on_message: OnMessage,
    allowed: tuple[Network, ...] = (),
    make: Callable[[OnMessage], Connection] = Connection,
) -> Connection:
    """Connect to a broker and sign in.

    Parameters
    ----------
    address : Address
    login : Login
    client_id : str
    on_message : callable
    allowed : tuple of networks
        Where brokers may be although ``connections.REFUSED_NETWORKS`` has them.
    make : callable
        The kind of connection.

    Raises
    ------
    ScrapeError
        With outcome ``dns``, ``refused``, ``timeout``, ``tls`` or ``malformed``; its detail names
        no address.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await _connected(address, lambda: make(on_message), allowed)
            try:
                await _sign_in(connection, login, client_id)
            except BaseException:
                connection.end(ScrapeError(Outcome.REFUSED, "MQTT: given up"))
                raise
    except TimeoutError:
        detail = f"MQTT: gave up connecting after {CONNECT_SECONDS:.0f} s"
        raise ScrapeError(Outcome.TIMEOUT, detail) from None
    except socket.gaierror:
        raise ScrapeError(Outcome.DNS, "MQTT: no address for this host name") from None
    except AddressRefusedError as error:
        raise ScrapeError(Outcome.REFUSED, f"MQTT: {error.strerror}") from None
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or type(error).__name__
        raise ScrapeError(Outcome.TLS, f"MQTT: {plain_line(str(reason))[:200]}") from None
    except OSError as error:
        # The error's own text holds the address.
        reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
        raise ScrapeError(Outcome.REFUSED, f"MQTT: no connection ({reason})") from None
    return connection


async def _sign_in(connection: Connection, login: Login, client_id: str) -> None:
    who = (client_id, login.username, login.password)
    connection.send(packets.connect(*who, KEEP_ALIVE_SECONDS, connection.level))
    try:
        code = await connection.accepted
    except asyncio.CancelledError:
        if connection.closed.done():
            raise connection.closed.result() from None
        raise
    if code:
        reason = packets.CONNACK_REASONS.get(code, f"the broker refuses (code {code})")
        raise ScrapeError(Outcome.REFUSED, f"MQTT: {reason}")


async def _connected(
    address: Address, make: Callable[[], Connection], allowed: tuple[Network, ...]
) -> Connection:
    """A connection to the first address of a host that takes one; not signed in yet."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    context = _context(address.trust) if address.tls else None
    failure: OSError = OSError("no address")
    for family, _, _, _, where in infos:
        host = str(where[0])
        if is_refused(ipaddress.ip_address(host.partition("%")[0]), allowed):
            failure = AddressRefusedError()
            continue
        try:
            # By its address, so that the loop makes the socket and nobody else closes it.
            transport, connection = await loop.create_connection(
                make,
                host,
                int(where[1]),
                family=family,
                ssl=context,
                server_hostname=address.host if context is not None else None,
            )
        except ssl.SSLError:
            raise
        except OSError as error:
            failure = error
            continue
        if context is not None and address.trust.certificate_sha256 is not None:
            _check_fingerprint(transport, connection, address.trust.certificate_sha256)
        return connection
    raise failure


def _context(trust: Trust) -> ssl.SSLContext:
    if trust.certificate_sha256 is not None:
        context = ssl.create_default_context()
        # The fingerprint is compared instead, and names one certificate.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if trust.ca_file is None:
        return ssl.create_default_context()
    try:
        return authorities(trust.ca_file)
    except ValueError as error:
        raise ScrapeError(Outcome.TLS, f"ca_file: {error}") from error


def _check_fingerprint(
    transport: asyncio.BaseTransport, connection: Connection, fingerprint: str
) -> None:
    encrypted = transport.get_extra_info("ssl_object")
    given = encrypted.getpeercert(binary_form=True) if encrypted is not None else None
    if given is None or hashlib.sha256(given).hexdigest() != fingerprint:
        detail = "MQTT: the certificate is not the one of certificate_sha256"
        error = ScrapeError(Outcome.TLS, detail)
        connection.end(error)
        raise error
