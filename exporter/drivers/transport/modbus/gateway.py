"""One connection to a Modbus TCP device or gateway, shared by all units behind it."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from dataclasses import dataclass, field

from exporter.config.addresses import Network, is_refused
from exporter.config.endpoints import ascii_host
from exporter.drivers.transport.http.connections import AddressRefusedError
from exporter.drivers.transport.modbus.frames import (
    HEADER_BYTES,
    ExceptionReplyError,
    Header,
    Request,
    WriteRequest,
    check_written,
    parse_header,
    parse_registers,
)
from exporter.model.snapshot import Outcome, ScrapeError

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 3.0
DEFAULT_PORT = 502
# A reply has 260 bytes at most; what is beyond waits in the kernel, and the sender with it.
_BUFFER_BYTES = 1024
_MOST_TRANSACTION = 0xFFFF


@dataclass(slots=True, eq=False)
class Gateway:
    """The connection to one host and port. Connects when first asked, and again after a failure.

    Attributes
    ----------
    host : str
    port : int
    allowed : tuple of networks
        Where devices may be although ``addresses.REFUSED_NETWORKS`` has them.
    users : int
        Sites that share it.
    connections : int
        Connections made so far.
    """

    host: str
    port: int
    allowed: tuple[Network, ...] = ()
    users: int = 0
    connections: int = 0
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _transaction: int = 0
    _used: bool = False

    async def read(self, request: Request) -> tuple[int, ...]:
        """Registers of a unit, in a transaction of their own.

        Raises
        ------
        ExceptionReplyError
            Where the device refuses; the connection stays.
        ScrapeError
            For every other failure; its outcome says which.
        """
        header, body = await self._exchange(request)
        try:
            return parse_registers(request, header, body)
        except ExceptionReplyError:
            raise
        except ScrapeError:
            self.close()
            raise

    async def write(self, request: WriteRequest) -> None:
        """Set registers of a unit, in a transaction of their own. Raises as :meth:`read` does.

        Values are absolute, so that a write that is repeated on a new connection harms none.
        """
        header, body = await self._exchange(request)
        try:
            check_written(request, header, body)
        except ExceptionReplyError:
            raise
        except ScrapeError:
            self.close()
            raise

    async def _exchange(self, request: Request | WriteRequest) -> tuple[Header, bytes]:
        async with self._lock:
            try:
                return await self._transact(request)
            except ConnectionResetError:
                # The device closed the connection since it was used last: asking twice harms none.
                self.close()
                return await self._once(request)

    def close(self) -> None:
        """Drop the connection; the next request makes another."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
        self._used = False

    async def _once(self, request: Request | WriteRequest) -> tuple[Header, bytes]:
        try:
            return await self._transact(request)
        except ConnectionResetError as error:
            self.close()
            raise ScrapeError(
                Outcome.REFUSED, f"{request}: the connection was closed without an answer"
            ) from error

    async def _transact(self, request: Request | WriteRequest) -> tuple[Header, bytes]:
        """One request and its reply. A connection whose state is not known is dropped."""
        reader, writer = await self._connected(request)
        fresh, self._used = not self._used, True
        self._transaction = self._transaction % _MOST_TRANSACTION + 1
        transaction = self._transaction
        whole = True
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                writer.write(request.frame(transaction))
                await writer.drain()
                head = await reader.readexactly(HEADER_BYTES)
                whole = False
                header = parse_header(head, str(request))
                body = await reader.readexactly(header.following)
        except TimeoutError as error:
            # The reply may still come, and would pass for the next one's.
            self.close()
            detail = f"{request}: no whole answer within {REQUEST_SECONDS:.0f} s"
            raise ScrapeError(Outcome.TIMEOUT, detail) from error
        except asyncio.CancelledError:
            self.close()
            raise
        except (asyncio.IncompleteReadError, OSError) as error:
            partial = not whole or bool(getattr(error, "partial", b""))
            self.close()
            if partial:
                detail = f"{request}: the reply was cut short"
                raise ScrapeError(Outcome.TRUNCATED, detail) from error
            if not fresh:
                raise ConnectionResetError from error
            detail = f"{request}: the connection was closed without an answer"
            raise ScrapeError(Outcome.REFUSED, detail) from error
        except ScrapeError:
            self.close()
            raise
        if header.transaction != transaction:
            self.close()
            detail = f"{request}: the reply is of transaction {header.transaction}, out of step"
            raise ScrapeError(Outcome.MALFORMED, detail)
        return header, body

    async def _connected(
        self, request: Request | WriteRequest
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = self._reader, self._writer
        if reader is not None and writer is not None:
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            self.close()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                opened = await self._open()
        except TimeoutError as error:
            detail = f"{request}: gave up connecting after {CONNECT_SECONDS:.0f} s"
            raise ScrapeError(Outcome.TIMEOUT, detail) from error
        except socket.gaierror as error:
            detail = f"{request}: no address for this host name"
            raise ScrapeError(Outcome.DNS, detail) from error
        except AddressRefusedError as error:
            raise ScrapeError(Outcome.REFUSED, f"{request}: {error.strerror}") from error
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, type(error).__name__)
            raise ScrapeError(Outcome.REFUSED, f"{request}: no connection ({name})") from error
        self._reader, self._writer = opened
        self.connections += 1
        return opened

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first address that answers; each is checked as it is connected to."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        last: OSError = OSError(errno.EHOSTUNREACH, "no address")
        for family, _, _, _, address in found:
            host = str(address[0])
            if is_refused(ipaddress.ip_address(host.partition("%")[0]), self.allowed):
                last = AddressRefusedError()
                continue
            try:
                # By its address, so that the loop makes the socket and nobody else closes it.
                return await asyncio.open_connection(
                    host, int(address[1]), family=family, limit=_BUFFER_BYTES
                )
            except OSError as error:
                last = error
        raise last


@dataclass(slots=True)
class ModbusTransport:
    """Modbus TCP for all sites: units behind one gateway share its connection.

    Attributes
    ----------
    allowed : tuple of networks
        Where devices may be although ``addresses.REFUSED_NETWORKS`` has them.
    """

    allowed: tuple[Network, ...] = ()
    _gateways: dict[tuple[str, int], Gateway] = field(default_factory=dict)

    def gateway(self, host: str, port: int | None) -> Gateway:
        """The connection to a host; give it back with :meth:`release`."""
        key = (ascii_host(host.replace("%25", "%")), port or DEFAULT_PORT)
        gateway = self._gateways.get(key)
        if gateway is None:
            gateway = self._gateways[key] = Gateway(*key, self.allowed)
        gateway.users += 1
        return gateway

    def release(self, gateway: Gateway) -> None:
        """Give a connection back; the last one that does closes it."""
        gateway.users -= 1
        if gateway.users <= 0:
            self._gateways.pop((gateway.host, gateway.port), None)
            gateway.close()
