"""The connection to a broker: a real mosquitto, and listeners that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trustme

from exporter.drivers.transport.http.trust import Trust
from exporter.drivers.transport.mqtt import broker as broker_module
from exporter.drivers.transport.mqtt import connection as connection_module
from exporter.drivers.transport.mqtt import packets
from exporter.drivers.transport.mqtt.broker import Broker, Subscription
from exporter.drivers.transport.mqtt.connection import Address, Login, open_connection
from exporter.drivers.transport.mqtt.packets import PacketError, PacketReader
from exporter.model.snapshot import Outcome, ScrapeError
from simulator.mqtt_client import connected
from tests.drivers.mosquitto import Mosquitto, free_port, mosquitto, needs_mosquitto, subscribed
from tests.drivers.venus.gx import eventually

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ACCEPTED = b"\x20\x02\x00\x00"


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, bytes, bool]] = []
        self.connections = 0

    def connected(self) -> None:
        self.connections += 1

    def receive(self, topic: bytes, payload: bytes, retained: bool) -> None:
        self.messages.append((topic, payload, retained))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(broker_module, "LONGEST_WAIT_SECONDS", 0.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@contextlib.asynccontextmanager
async def peer(behave: Peer) -> AsyncIterator[int]:
    """The port of a listener that behaves so to everyone."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await behave(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()


async def failure(address: Address, login: Login | None = None) -> ScrapeError:
    """How connecting fails."""
    with pytest.raises(ScrapeError) as caught:
        await open_connection(address, login or Login(), "test", lambda *_: None)
    assert str(address.port) not in caught.value.detail
    return caught.value


def broker_at(port: int) -> Broker:
    return Broker(Address("127.0.0.1", port), Login)


async def publish(port: int, topic: str, payload: bytes, **options: bool) -> None:
    async with connected("127.0.0.1", port, "publisher", lambda *_: None) as (client, _):
        client.publish(topic, payload, **options)
        await client.drain()
        await asyncio.sleep(0.05)


async def _hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.sleep(60)


def _sends(raw: bytes) -> Peer:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(raw)
        await writer.drain()
        await reader.read()

    return behave


@pytest.mark.parametrize(
    ("behave", "outcome", "words"),
    [
        (_hangs, Outcome.TIMEOUT, "gave up connecting"),
        (_sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Outcome.MALFORMED, "first reply"),
        (_sends(b"\x20\xff\xff\xff\xff\x7f"), Outcome.MALFORMED, "length"),
        (_sends(b"\x20\x02\x00\x05"), Outcome.REFUSED, "user name or password"),
        (_sends(b"\x20\x02\x00\x01"), Outcome.REFUSED, "does not speak MQTT 3.1.1"),
        (_sends(b"\x20\x02\x00"), Outcome.TIMEOUT, "gave up connecting"),
    ],
)
async def test_connecting_fails_with_a_reason(
    behave: Peer, outcome: Outcome, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 2.0)
    async with peer(behave) as port:
        error = await failure(Address("127.0.0.1", port))
    assert error.outcome is outcome
    assert words in error.detail


async def test_a_closed_port_and_an_unknown_host() -> None:
    assert (await failure(Address("127.0.0.1", free_port()))).outcome is Outcome.REFUSED
    assert (await failure(Address("nowhere.invalid", 1883))).outcome is Outcome.DNS


async def test_no_broker_is_reached_at_a_metadata_address() -> None:
    error = await failure(Address("169.254.169.254", 1883))
    assert error.outcome is Outcome.REFUSED
    assert "FLEETSCOPE_ALLOWED_NETWORKS" in error.detail


@needs_mosquitto
async def test_passwords_and_certificates(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "cert.pem").read_text())
    passwords = tmp_path / "passwords"
    command = ["mosquitto_passwd", "-b", "-c", passwords, "fleet", "s3cret"]
    subprocess.run(command, check=True)  # noqa: ASYNC221 - nothing else runs yet
    extra = (
        f"allow_anonymous false\npassword_file {passwords}\n"
        f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    )
    right = Login("fleet", "s3cret")
    pinned = Trust(certificate_sha256=hashlib.sha256(der).hexdigest())
    with mosquitto(tmp_path, extra) as server:

        def address(trust: Trust, host: str = "127.0.0.1") -> Address:
            return Address(host, server.port, True, trust)

        for trust in (Trust(ca_file=str(tmp_path / "ca.pem")), pinned):
            opened = await open_connection(address(trust), right, "test", lambda *_: None)
            opened.disconnect()
        refused = await failure(address(pinned), Login("fleet", "wrong"))
        assert refused.outcome is Outcome.REFUSED
        assert "wrong" not in refused.detail
        for trust in (
            Trust(),
            Trust(ca_file=str(tmp_path / "other.pem")),
            Trust(certificate_sha256="00" * 32),
        ):
            assert (await failure(address(trust), right)).outcome is Outcome.TLS


@needs_mosquitto
async def test_messages_reach_the_listener_of_their_prefix(running: Mosquitto) -> None:
    broker, one, two = broker_at(running.port), Heard(), Heard()
    with (
        broker.listening(Subscription(b"N/one/", ("N/one/#",), one)),
        broker.listening(Subscription(b"N/two/", ("N/two/#",), two, qos=1)),
    ):
        await subscribed(broker)
        await publish(running.port, "N/one/a/b", b"1")
        await publish(running.port, "N/two/c", b"2")
        await publish(running.port, "N/three/c", b"3")
        await eventually(lambda: bool(one.messages) and bool(two.messages))
    assert one.messages == [(b"a/b", b"1", False)]
    assert two.messages == [(b"c", b"2", False)]
    assert broker.connections == 1
    assert not broker.in_use


@needs_mosquitto
async def test_a_broker_that_comes_back_is_subscribed_to_again(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as server:
        broker, heard = broker_at(server.port), Heard()
        with broker.listening(Subscription(b"N/one/", ("N/one/#",), heard)):
            await broker.connected()
            server.stop()
            await eventually(lambda: broker.error is not None)
            # An hour of it is many tries that fail alike.
            await eventually(lambda: broker.failures > 5)
            assert broker.error is not None
            assert broker.error.outcome is Outcome.REFUSED
            server.start()
            await subscribed(broker)
            assert broker.error is None
            await publish(server.port, "N/one/a", b"1")
            await eventually(lambda: bool(heard.messages))
            assert heard.connections == 2


@needs_mosquitto
async def test_another_client_with_the_same_id_is_noticed(running: Mosquitto) -> None:
    broker = broker_at(running.port)
    with broker.listening(Subscription(b"N/one/", ("N/one/#",), Heard())):
        for _ in range(broker_module._SUSPICIOUS_ENDS):
            await broker.connected()
            async with connected("127.0.0.1", running.port, broker.client_id, lambda *_: None):
                await eventually(lambda: broker.error is not None)
        assert broker.error is not None
        assert "another client may use the same client id" in broker.error.detail


@needs_mosquitto
async def test_a_large_message_is_left_out_and_the_next_is_read(running: Mosquitto) -> None:
    broker, heard = broker_at(running.port), Heard()
    with broker.listening(Subscription(b"N/one/", ("N/one/#",), heard)):
        await subscribed(broker)
        await publish(running.port, "N/one/large", b"x" * 2_000_000)
        await publish(running.port, "N/one/small", b"1")
        await eventually(lambda: bool(heard.messages))
        assert broker._connection is not None
        assert broker._connection.oversized == 1
    assert heard.messages == [(b"small", b"1", False)]


async def test_a_slow_link_carries_packets_in_single_bytes() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        for byte in ACCEPTED + packets.publish("N/one/a", b'{"value":1}'):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.002)
        await reader.read()
        await asyncio.sleep(60)

    heard = Heard()
    async with peer(slow) as port:
        broker = broker_at(port)
        with broker.listening(Subscription(b"N/one/", ("N/one/#",), heard)):
            await eventually(lambda: bool(heard.messages))
    assert heard.messages == [(b"a", b'{"value":1}', False)]


async def test_a_silent_broker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "KEEP_ALIVE_SECONDS", 1)
    monkeypatch.setattr(connection_module, "SILENT_SECONDS", 1.0)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(ACCEPTED)
        while await reader.read(100):
            pass

    async with peer(silent) as port:
        broker = broker_at(port)
        with broker.listening(Subscription(b"N/one/", ("N/one/#",), Heard())):
            await eventually(lambda: broker.error is not None)
            assert broker.error is not None
            assert broker.error.outcome is Outcome.TIMEOUT


async def test_a_flood_leaves_the_loop_time_for_others() -> None:
    message = packets.publish("N/one/a", b'{"value":1}') * 2000

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(ACCEPTED)
        while True:
            writer.write(message)
            await writer.drain()

    heard, turns = Heard(), 0
    async with peer(flood) as port:
        broker = broker_at(port)
        with broker.listening(Subscription(b"N/one/", ("N/one/#",), heard)):
            await broker.connected()
            connection = broker._connection
            assert connection is not None
            paused = 0
            for _ in range(200):
                await asyncio.sleep(0.001)
                turns += 1
                paused += connection._paused is not None
    assert turns == 200
    assert len(heard.messages) > 1000
    assert paused > 0


@pytest.mark.parametrize(
    "raw",
    [
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x30\x01\x00",  # half of a topic's length
        b"\x30\x04\x00\x09ab",  # a topic longer than its packet
        b"\x30\x02\x00\x00",  # no topic
        b"\x34\x07\x00\x01a\x00\x01xx",  # QoS 2
        b"\x32\x03\x00\x01a",  # QoS 1 without a packet id
    ],
)
def test_what_is_no_packet_is_refused(raw: bytes) -> None:
    with pytest.raises(PacketError):
        PacketReader(lambda *_: None, lambda *_: None).feed(raw)


def test_packets_are_read_however_they_are_cut() -> None:
    stream = b"".join(packets.publish(f"t/{n}", b"x" * n) for n in range(300)) + packets.PING
    for size in (1, 2, 3, 7, 64, 5000):
        found: list[tuple[bytes, int]] = []
        others: list[int] = []
        reader = PacketReader(
            lambda topic, payload, *_: found.append((topic, len(payload))),  # noqa: B023
            lambda kind, _: others.append(kind),  # noqa: B023
        )
        for at in range(0, len(stream), size):
            reader.feed(stream[at : at + size])
        assert found == [(b"t/%d" % n, n) for n in range(300)]
        assert others == [12]
