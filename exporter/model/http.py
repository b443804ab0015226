"""The HTTP client of everything but the poll loop and the sender: ``requests``, with limits."""

from __future__ import annotations

import base64
import math
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

BLOCK_BYTES = 256 * 1024
MOST_CONNECTIONS = 16


class RequestError(Exception):
    """No complete answer.

    ``sent`` is False where no connection was made, so that the server cannot have acted.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def basic(username: str, password: str) -> dict[str, str]:
    """The header of a sign-in by name and password."""
    both = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {both}"}


class HttpClient:
    """Requests with a limit on time and size, without redirects, cookies or proxies of the
    environment. Certificates are checked against the authorities of the system. Thread-safe.

    Parameters
    ----------
    headers : mapping
        Sent with every request.
    ca_file : str, optional
        PEM file of the authorities to trust instead of those of the system.
    """

    def __init__(
        self, headers: Mapping[str, str] | None = None, ca_file: str | None = None
    ) -> None:
        self._headers = dict(headers or {})
        self._ca_file = ca_file
        self._session: requests.Session | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        connect_seconds: float = 5.0,
        largest: int = 64 * 1024 * 1024,
        **given: Any,
    ) -> Reply:
        """The answer to one request.

        Parameters
        ----------
        method, url : str
        seconds : float
            Until the last byte of the answer, 1 to 2 times as long where it trickles.
        connect_seconds : float
        largest : int
            Most bytes of the answer.
        **given
            ``params``, ``data``, ``json``, ``files``, ``headers`` as :func:`requests.request`
            takes them.

        Raises
        ------
        RequestError
        """
        status, headers, blocks = self.stream(
            method,
            url,
            seconds=seconds,
            connect_seconds=connect_seconds,
            total_seconds=seconds,
            **given,
        )
        body = bytearray()
        try:
            for block in blocks:
                body += block
                if len(body) > largest:
                    raise RequestError(
                        f"{url}: the answer is larger than {largest // 1024**2} MiB", sent=True
                    )
        finally:
            blocks.close()
        return Reply(status, headers, bytes(body))

    def stream(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        connect_seconds: float = 5.0,
        total_seconds: float = math.inf,
        **given: Any,
    ) -> tuple[int, Mapping[str, str], Blocks]:
        """Status, headers and the body in blocks, which the caller closes.

        ``seconds`` bounds the wait for each block, ``total_seconds`` that for all of them; the
        others are those of :meth:`request`.

        Raises
        ------
        RequestError
        """
        import requests

        until = time.monotonic() + total_seconds
        session = self._session or self._open()
        try:
            reply = session.request(
                method,
                url,
                timeout=(connect_seconds, seconds),
                allow_redirects=False,
                stream=True,
                **given,
            )
        except (requests.RequestException, OSError) as error:
            sent = not isinstance(error, requests.ConnectTimeout) and not _refused(error)
            raise RequestError(f"{url}: {_reason(error)}", sent=sent) from error
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return reply.status_code, headers, Blocks(reply, url, until)

    def close(self) -> None:
        """Close connections that are not in use."""
        if self._session is not None:
            self._session.close()

    def _open(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter

        class SystemTrust(HTTPAdapter):
            """Trusts the authorities of the system; requests would bring its own."""

            def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
                context = ssl.create_default_context(cafile=ca_file)
                super().init_poolmanager(*args, ssl_context=context, **kwargs)

            def cert_verify(self, *_: Any) -> None:
                pass

        ca_file = self._ca_file
        session = requests.Session()
        session.trust_env = False
        session.headers.update(self._headers)
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        plain = HTTPAdapter(pool_maxsize=MOST_CONNECTIONS)
        session.mount("http://", plain)
        session.mount("https://", SystemTrust(pool_maxsize=MOST_CONNECTIONS))
        self._session = session
        return session


class Blocks:
    """The body of an answer, block by block, up to a deadline."""

    def __init__(self, reply: requests.Response, url: str, until: float) -> None:
        self._reply = reply
        self._url = url
        self._until = until

    def __iter__(self) -> Iterator[bytes]:
        from urllib3.exceptions import HTTPError

        raw = self._reply.raw
        try:
            # What has arrived, not a full block: a trickle must not outlast the deadline.
            while block := raw.read1(BLOCK_BYTES, decode_content=True):
                yield block
                if time.monotonic() > self._until:
                    raise RequestError(f"{self._url}: the answer takes too long", sent=True)
        except (HTTPError, OSError) as error:
            raise RequestError(f"{self._url}: {_reason(error)}", sent=True) from error

    def close(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        self._reply.close()


def _refused(error: Exception) -> bool:
    """Whether no connection came about; requests wraps what urllib3 says."""
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError)


def _reason(error: Exception) -> str:
    """The innermost words, without the object addresses that urllib3 prints."""
    cause: Any = error.args[0] if error.args else error
    reason = getattr(cause, "reason", None) or cause
    text = str(reason).rpartition("object at 0x")[2].partition(": ")[2] or str(reason)
    return f"{type(error).__name__}: {text}"
