"""Nodes that send by themselves: to the telemetry route of a service, or to a broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from simulator import companions
from simulator.engine import Simulator
from simulator.mqtt_client import MqttError, connected
from simulator.scenario import Companion

log = logging.getLogger(__name__)

SEND_SECONDS = 5.0
PATIENCE_SECONDS = 5.0
_SILENT = frozenset({"offline", "hang"})


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a node posts its telemetry, and its token."""

    url: str
    token: str


def _due(simulator: Simulator, nodes: list[Companion]) -> dict[str, dict[str, Any]]:
    """The latest point of each node that is not silent, by its id."""
    simulator.advance()
    found = {}
    for node in nodes:
        faults = {active.fault for active in simulator.faults_of(node.of)}
        if not faults & _SILENT:
            found[node.id] = companions.point(node, simulator.state(node.of))
    return found


async def post_nodes(
    simulator: Simulator, nodes: list[Companion], destinations: Mapping[str, Destination]
) -> None:
    """Post the nodes' points until cancelled; one that is not taken is not sent again."""
    while True:
        for name, point in _due(simulator, nodes).items():
            if name in destinations:
                try:
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        status = await _post(destinations[name], json.dumps(point).encode())
                    if status != "202":
                        log.warning("%s: its telemetry is refused with status %s", name, status)
                except (OSError, TimeoutError) as error:
                    log.info("%s: cannot send: %s", name, error)
        await asyncio.sleep(SEND_SECONDS)


async def _post(to: Destination, body: bytes) -> str:
    """Post telemetry; the status of the answer, empty without one."""
    parts = urlsplit(to.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = (
        f"POST {parts.path}/api/v1/telemetry HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {to.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        writer.write(head.encode() + body)
        await writer.drain()
        line = (await reader.readline()).decode("latin-1").split()
        return line[1] if len(line) > 1 else ""
    finally:
        writer.transport.abort()


async def publish_nodes(simulator: Simulator, nodes: list[Companion], host: str, port: int) -> None:
    """Publish the nodes' points at a broker until cancelled; connects again by itself."""
    while True:
        with contextlib.suppress(OSError, MqttError):
            name = f"nodes-{nodes[0].id}"
            async with connected(host, port, name, lambda *_: None) as (client, receiving):
                while not receiving.done():
                    for node, point in _due(simulator, nodes).items():
                        client.publish(f"fleet/{node}/telemetry", json.dumps(point).encode())
                    client.ping()
                    await client.drain()
                    await asyncio.sleep(SEND_SECONDS)
        await asyncio.sleep(1.0)
