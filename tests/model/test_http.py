"""The HTTP client against real listeners that misbehave."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from exporter.model.http import HttpClient, RequestError

OK = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def listener(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Reads a request's head and hands the connection to ``answer``, until it is closed."""
    server = socket.create_server(("127.0.0.1", 0))
    heads: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += connection.recv(65536)
                    heads.append(head)
                    answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()


def whole(body: bytes, *headers: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        length = b"Content-Length: %d\r\n" % len(body)
        connection.sendall(OK + length + b"".join(headers) + b"Connection: close\r\n\r\n" + body)

    return answer


def test_a_redirect_is_an_answer_and_a_cookie_is_not_sent_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        heads.append(b"")
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nSet-Cookie: a=b\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )

    client = HttpClient({"Authorization": "Token x"})
    with listener(answer) as url:
        for _ in range(2):
            assert client.request("GET", url, seconds=5).status == 302
    assert len(heads) == 2
    assert client._session is not None
    assert not client._session.cookies


def test_what_is_too_large_is_not_read_to_its_end() -> None:
    with (
        listener(whole(b"x" * 3_000_000)) as url,
        pytest.raises(RequestError, match="larger than 1 MiB"),
    ):
        HttpClient().request("GET", url, seconds=5, largest=1024 * 1024)


def test_a_trickle_ends_at_the_deadline() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x")
            time.sleep(0.05)

    with listener(answer) as url, pytest.raises(RequestError, match="takes too long") as caught:
        HttpClient().request("GET", url, seconds=0.5)
    assert caught.value.sent


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 1000\r\n\r\nhalf")

    with listener(answer) as url, pytest.raises(RequestError) as caught:
        HttpClient().request("GET", url, seconds=5)
    assert caught.value.sent


def test_what_was_never_sent_is_known_as_such() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/path"
        with pytest.raises(RequestError, match="Connection refused") as caught:
            HttpClient().request("POST", url, seconds=5, json={})
    assert not caught.value.sent
    assert str(caught.value).startswith(url)
    assert " object at " not in str(caught.value)


def test_silence_ends_after_the_time_given() -> None:
    with listener(lambda _: time.sleep(5)) as url, pytest.raises(RequestError) as caught:
        HttpClient().request("POST", url, seconds=0.2, data=b"x")
    assert caught.value.sent
