"""Requests on bare sockets: what one costs, and that none leaves anything behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import uvloop

from exporter.drivers.transport.http import exchanges
from exporter.drivers.transport.http.json_client import HttpClient, get_json
from exporter.model.snapshot import Outcome, ScrapeError
from tests.drivers.transport.http.test_plain_client import OK, REPLIES, sending

REPLY = OK + b"Content-Length: 2\r\n\r\n{}"


class CountedSocket(socket.socket):
    """A socket that counts the calls of those that connect, not of the listener's."""

    calls: ClassVar[Counter[str]] = Counter()
    connects = False

    def connect_ex(self, *given: Any) -> int:
        self.connects = True
        self.calls["connect"] += 1
        return super().connect_ex(*given)

    def send(self, *given: Any) -> int:
        self.calls["send"] += self.connects
        return super().send(*given)

    def recv_into(self, *given: Any) -> int:
        self.calls["recv"] += self.connects
        return super().recv_into(*given)

    def close(self) -> None:
        self.calls["close"] += self.connects
        super().close()


def open_sockets() -> int:
    """Sockets that this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            continue
    return found


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A site that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - any condition, not an event
            await asyncio.sleep(0.01)


async def test_a_request_is_one_call_of_each_kind_and_sets_no_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 40
    async with sending([REPLY]) as url, HttpClient() as http:
        monkeypatch.setattr(socket, "SocketType", CountedSocket)
        CountedSocket.calls = Counter()
        loop = asyncio.get_running_loop()
        timers: list[float] = []
        call_later = loop.call_later

        def counted(delay: float, *given: Any, **named: Any) -> Any:
            timers.append(delay)
            return call_later(delay, *given, **named)

        monkeypatch.setattr(loop, "call_later", counted)
        found = await asyncio.gather(*(get_json(http, url, "/value", {}) for _ in range(count)))
    assert found == [{}] * count
    calls = CountedSocket.calls
    assert (calls["connect"], calls["send"], calls["close"]) == (count, count, count)
    # A reply that came with the end of its stream may take one more to see that end.
    assert calls["recv"] <= 2 * count
    assert timers.count(exchanges.TICK_SECONDS) <= count // 4


async def test_a_request_that_is_broken_off_leaves_no_socket() -> None:
    with silent() as url:
        async with HttpClient() as http:
            before = open_sockets()
            asking = [asyncio.create_task(get_json(http, url, "/value", {})) for _ in range(5)]
            await until(lambda: open_sockets() == before + 5)
            for task in asking:
                task.cancel()
            ended = await asyncio.gather(*asking, return_exceptions=True)
            assert {type(one) for one in ended} == {asyncio.CancelledError}
            assert not http.plain.under_way
            assert open_sockets() == before


async def test_a_silent_site_ends_by_its_own_time_alone() -> None:
    with silent() as hangs:
        async with sending([REPLY]) as url, HttpClient() as http:
            asking = asyncio.create_task(get_json(http, hangs, "/value", {}, patience_seconds=0.5))
            while not asking.done():
                assert await get_json(http, url, "/value", {}) == {}
            with pytest.raises(ScrapeError) as caught:
                await asking
    assert caught.value.outcome is Outcome.TIMEOUT
    assert not http.plain.under_way


@pytest.mark.parametrize("name", ["too large", "a head that is too large", "chunked", "no HTTP"])
def test_no_number_of_a_socket_is_closed_twice(name: str) -> None:
    """In the event loop of the service, which closes by number what it is given."""

    async def ask_and_open_files() -> None:
        async with sending([REPLIES[name]]) as url, HttpClient() as http:
            asked = await asyncio.gather(
                *(get_json(http, url, "/value", {}) for _ in range(5)), return_exceptions=True
            )
            # The failures hold what they came through, and files now take the numbers.
            files = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
            del asked
            gc.collect()
            await asyncio.sleep(0)
            for number in files:
                os.close(number)

    uvloop.run(ask_and_open_files())


async def test_an_error_of_one_request_leaves_the_others_their_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expire = exchanges.Exchange.expire
    raised: list[object] = []

    def once(exchange: exchanges.Exchange) -> None:
        if not raised:
            raised.append(exchange)
            raise OSError(errno.EBADF, "not a socket any more")
        expire(exchange)

    monkeypatch.setattr(exchanges.Exchange, "expire", once)
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    with silent() as url:
        async with HttpClient() as http:
            async with asyncio.timeout(60):
                with pytest.raises(ScrapeError) as caught:
                    await get_json(http, url, "/value", {}, patience_seconds=0.2)
    assert caught.value.outcome is Outcome.TIMEOUT
    assert len(raised) == len(told) == 1


async def test_a_reset_in_a_reply_is_a_reply_cut_short() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"\r\n{")
        await writer.drain()
        await asyncio.sleep(0.05)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server, HttpClient() as http:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ScrapeError) as caught:
            await get_json(http, url, "/value", {})
    assert caught.value.outcome is Outcome.TRUNCATED


async def test_closing_the_client_ends_what_is_under_way() -> None:
    with silent() as url:
        http = HttpClient()
        asking = asyncio.create_task(get_json(http, url, "/value", {}))
        await until(lambda: http.plain.under_way)
        await http.close()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_failure_is_freed_without_a_search_for_cycles() -> None:
    """Such a search is rare in the exporter, and what failures leave would wait for it."""
    with silent() as url:
        async with HttpClient() as http:

            async def fail() -> None:
                with pytest.raises(ScrapeError):
                    await get_json(http, url, "/value", {}, patience_seconds=0.01)

            await fail()
            gc.collect()
            gc.disable()
            try:
                await asyncio.gather(*(fail() for _ in range(20)))
                garbage = gc.collect()
            finally:
                gc.enable()
    # Each failure was nine objects; what else the test itself leaves is less than one for each.
    assert garbage < 20
