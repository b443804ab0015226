"""A device in a process of its own, and calls to a service that may give it orders."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.controlled import ControlledSite, modbus_server
from simulator.controlled_bridge import ControlledBridge
from tests.service_process import ServiceProcess

TOKEN = "a-token-for-orders-1"


class Device:
    """A controllable site in a thread of its own: a Modbus server whose wire is recorded, or a
    Venus HTTP bridge."""

    def __init__(self, site: ControlledSite, *, bridge: bool = False) -> None:
        self.site = site
        self.port = 0
        self._bridge = bridge
        self.functions: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._server: Any = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(20)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def cut(self) -> None:
        """Listen no more; the site keeps what it was sent."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(20)

    def mend(self) -> None:
        """Listen again, at the same port."""
        starting = self._server.start("127.0.0.1", self.port)
        asyncio.run_coroutine_threadsafe(starting, self._loop).result(20)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = ControlledBridge(self.site) if self._bridge else self._recorded()
        self.port = self._loop.run_until_complete(self._server.start())
        self._started.set()
        self._loop.run_forever()
        self._loop.close()

    def _recorded(self) -> Any:
        server = modbus_server(self.site)
        answer = server._answer

        def recorded(unit: int, body: bytes) -> bytes:
            self.functions.append(body[0])
            found: bytes = answer(unit, body)
            return found

        server._answer = recorded  # type: ignore[method-assign]
        return server


@contextmanager
def device(site: ControlledSite, *, bridge: bool = False) -> Iterator[Device]:
    running = Device(site, bridge=bridge)
    running.start()
    try:
        yield running
    finally:
        running.stop()


BLOCK = {"enabled": True, "max_charge_kw": 5, "max_discharge_kw": 5}


def described(name: str, driver: str, url: str, **more: Any) -> dict[str, Any]:
    """A site of the fleet file that takes orders."""
    block = BLOCK | more.pop("dispatch", {})
    site = {"id": name, "driver": driver, "api_endpoint": url, "capacity_kwh": 10}
    return {**site, "dispatch": block, **more}


def bridged(name: str, port: int) -> dict[str, Any]:
    """A site behind an HTTP bridge, whose set-point nothing but a write ends."""
    persistent = {"allow_persistent": True}
    return described(name, "venus-http", f"http://127.0.0.1:{port}", dispatch=persistent)


def write_fleet(path: Path, ports: dict[str, int], *also: dict[str, Any], **dispatch: Any) -> None:
    sites = [
        described(name, "modbus-tcp", f"modbus://127.0.0.1:{port}", dispatch=dispatch)
        for name, port in ports.items()
    ]
    path.write_text(json.dumps({"sites": [*sites, *also]}), "utf-8")


def ask(
    service: ServiceProcess,
    method: str,
    path: str,
    document: Any = None,
    token: str = TOKEN,
    **headers: str,
) -> tuple[int, Any]:
    raw = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{service.url}/api/v1/{path}", raw, method=method)
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {token}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
