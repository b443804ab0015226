"""A real mosquitto of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.drivers.transport.mqtt.broker import Broker

EXECUTABLE = shutil.which("mosquitto") or (
    "/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None
)
needs_mosquitto = pytest.mark.skipif(EXECUTABLE is None, reason="mosquitto is not installed")


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Mosquitto:
    """A broker that can be stopped and started again on the same port."""

    folder: Path
    port: int
    extra: str = "allow_anonymous true"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert EXECUTABLE is not None
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nmax_queued_messages 0\nset_tcp_nodelay true\n"
            f"user root\n{self.extra}\n",
            "utf-8",
        )
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [EXECUTABLE, "-c", str(config)], stdout=log, stderr=subprocess.STDOUT
            )
        for _ in range(300):
            assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("mosquitto does not listen")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def mosquitto(folder: Path, extra: str = "allow_anonymous true") -> Iterator[Mosquitto]:
    """A broker on a free port of the loopback until the block ends."""
    broker = Mosquitto(folder, free_port(), extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


async def subscribed(broker: Broker) -> None:
    """Wait until the broker has confirmed every subscription."""
    async with asyncio.timeout(60):
        await broker.connected()
        while broker._connection is None or broker._connection._subscribing:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
