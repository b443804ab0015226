"""What a site over MQTT costs, and one over HTTP: ``python -m tests.bench.mqtt --sites 2000``.

``fleetscope run`` as it is delivered, on one core, reads Venus devices of 260 cells that publish at
one mosquitto, on the other core: all values once when asked, then so many changes a second and a
heartbeat every three. Afterwards it reads as many sites of 260 cells from nginx, as
``tests.bench.scale`` does. CPU is what the operating system accounts for all processes of each
program.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from exporter.drivers.transport.mqtt import packets
from provisioning.local.ports import Ports
from simulator.mqtt_client import connected
from simulator.venus_mqtt import topics_of
from tests.bench.scale import Scraper, _running, cpu_by_process, memory_mib
from tests.bench.static_fleet import StaticFleet, listening, pinned
from tests.drivers.bridge import BATTERY, site_trees
from tests.drivers.mosquitto import EXECUTABLE, Mosquitto

CELLS = 260
HEARTBEAT_SECONDS = 3


def portal(number: int) -> str:
    """The portal id of a device."""
    return f"c0619a{number:06x}"


class Devices:
    """Venus devices at one broker, whose messages are made beforehand."""

    def __init__(self, sites: int, changes: int) -> None:
        trees = site_trees()
        for number in range(1, CELLS + 1):
            trees[BATTERY][f"Voltages/Cell{number}"] = 3.3
            trees[BATTERY][f"Temperatures/Cell{number}"] = 22.0
        del trees["com.victronenergy.system"]["Serial"]
        self._topics = topics_of(trees)
        self._changing = [t for t, v in self._topics.items() if "/Cell" in t or "Power" in t]
        self._sites, self._changes = sites, changes
        self.sent = self.full = 0
        self._begun = time.monotonic()
        self._asked: set[str] = set()
        self._rng = random.Random(1)

    @property
    def seconds(self) -> float:
        """Since when it publishes."""
        return time.monotonic() - self._begun

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a keepalive; an empty one asks for all values."""
        if b"suppress-republish" not in payload:
            self._asked.add(topic.split("/")[1])

    async def publish(self, port: int) -> None:
        """Publish until cancelled."""
        names = [portal(number) for number in range(self._sites)]
        name = "devices"
        async with connected("127.0.0.1", port, name, self.receive) as (client, receiving):
            client.subscribe("R/+/keepalive")
            for one in names:
                client.publish(f"N/{one}/system/0/Serial", _value(one), retain=True)
            second = 0
            while not receiving.done():
                begun = time.monotonic()
                for one in names:
                    await self._answer(client)
                    self._send_changes(client, one, heartbeat=second % HEARTBEAT_SECONDS == 0)
                    await client.drain()
                    # Requests are taken between the messages.
                    await asyncio.sleep(0)
                second += 1
                while (left := begun + 1.0 - time.monotonic()) > 0:
                    await self._answer(client)
                    await asyncio.sleep(min(left, 0.02))

    async def _answer(self, client: Any) -> None:
        """Who is asked for everything answers at once, as a device does."""
        while self._asked:
            self._send_all(client, self._asked.pop())
            await client.drain()

    def _send_all(self, client: Any, one: str) -> None:
        found = [packets.publish(f"N/{one}/{t}", _value(v)) for t, v in self._topics.items()]
        found.append(packets.publish(f"N/{one}/full_publish_completed", _value(int(time.time()))))
        client._writer.write(b"".join(found))
        self.full += 1

    def _send_changes(self, client: Any, one: str, *, heartbeat: bool) -> None:
        chosen = self._rng.sample(self._changing, self._changes)
        change = 0.001 * self._rng.randrange(-9, 10)
        found = []
        for topic in chosen:
            value = self._topics[topic]
            if isinstance(value, float):
                found.append(packets.publish(f"N/{one}/{topic}", _value(round(value + change, 3))))
        if heartbeat:
            found.append(packets.publish(f"N/{one}/heartbeat", _value(int(time.time()))))
        client._writer.write(b"".join(found))
        self.sent += len(found)


def _value(value: Any) -> bytes:
    return orjson.dumps({"value": None if value == [] else value})


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run both fleets one after the other, and what the exporter used for each."""
    with tempfile.TemporaryDirectory(prefix="fleetscope-bench-") as name:
        folder, ports = Path(name), Ports(usual=False)
        broker = Mosquitto(folder, ports.pick(0))
        broker.start()
        assert broker.process is not None
        devices = Devices(args.sites, args.changes)
        publishing = asyncio.create_task(devices.publish(broker.port))
        try:
            fleet = _subscribed(args, broker)
            over_mqtt = await _measured(args, folder, fleet, ports.pick(0), broker.process.pid)
            messages = devices.sent / max(1e-9, devices.seconds)
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
            broker.stop()
        found = {
            "sites": args.sites,
            "cells": CELLS,
            "messages_per_site_and_second": round(messages / args.sites, 1),
            "full_publications": devices.full,
            "mqtt": over_mqtt,
        }
        if args.http:
            found["http"] = await _over_http(args, folder, ports)
        return found


async def _over_http(args: argparse.Namespace, folder: Path, ports: Ports) -> dict[str, Any]:
    # The workers of nginx may run as another user.
    os.chmod(folder, 0o755)
    nginx = StaticFleet(folder, ports.pick(0), vebus=True)
    await nginx.start(None)
    assert nginx.process is not None
    try:
        fleet = nginx.fleet(args.sites, args.interval)
        return await _measured(args, folder, fleet, ports.pick(0), nginx.process.pid)
    finally:
        nginx.process.terminate()
        await nginx.process.wait()


def _subscribed(args: argparse.Namespace, broker: Mosquitto) -> dict[str, Any]:
    """The fleet file of the devices at the broker."""
    return {
        "sites": [
            {
                "id": f"s{number:05d}",
                "driver": "venus-mqtt",
                "api_endpoint": broker.url,
                "portal": portal(number),
                "interval_seconds": args.interval,
            }
            for number in range(args.sites)
        ]
    }


async def _measured(
    args: argparse.Namespace, folder: Path, fleet: dict[str, Any], port: int, peer: int
) -> dict[str, Any]:
    """What a fleet costs; ``peer`` is the process that it is read from."""
    file = folder / "fleet.json"
    file.write_text(json.dumps(fleet), "utf-8")
    command = (sys.executable, "-m", "exporter", "run", "--fleet", str(file))
    log = folder / "log"
    listen = ("--listen", f"127.0.0.1:{port}")
    async with _running(*pinned(args.cpu), *command, *listen, log=log, env={}) as pid:
        await listening(port, args.first)
        scraper = Scraper(f"http://127.0.0.1:{port}/metrics")
        begun = time.monotonic()
        while True:
            await asyncio.to_thread(scraper.once)
            up = sum(
                line.startswith("fleetscope_site_up{") and line.endswith(" 1.0")
                for line in scraper.text.splitlines()
            )
            if up == args.sites or time.monotonic() - begun > args.first:
                break
            await asyncio.sleep(2.0)
        first = time.monotonic() - begun
        await asyncio.sleep(args.interval)
        await asyncio.to_thread(scraper.once)
        outcomes, cpu, peers = scraper.outcomes(), cpu_by_process(pid), cpu_by_process(peer)
        start = time.monotonic()
        await asyncio.sleep(args.seconds)
        seconds = time.monotonic() - start
        used = {k: v - cpu.get(k, 0.0) for k, v in cpu_by_process(pid).items()}
        peer_used = sum(cpu_by_process(peer).values()) - sum(peers.values())
        await asyncio.to_thread(scraper.once)
        after = scraper.outcomes()
        intervals = args.sites * seconds / args.interval
        return {
            "sites_read": up,
            "all_sites_read_s": round(first, 1),
            "cpu_ms_per_site_and_interval": round(1000 * sum(used.values()) / intervals, 3),
            "by_process": {k: round(1000 * v / intervals, 3) for k, v in used.items() if v},
            "cores": round(sum(used.values()) / seconds, 3),
            "peer_cores": round(peer_used / seconds, 3),
            "scrapes": {k: v - outcomes.get(k, 0) for k, v in after.items()},
            "scrapes_due": round(intervals),
            "lag_s": scraper.value("scrape_loop_lag_seconds"),
            "memory_mib": memory_mib(pid),
            "log_lines": len(log.read_text("utf-8").splitlines()),
            "load": round(os.getloadavg()[0], 1),
        }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.mqtt", description=__doc__)
    parser.add_argument("--sites", type=int, default=2000)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--first", type=float, default=150.0, help="longest wait for all sites")
    parser.add_argument("--changes", type=int, default=10, help="of a site in a second")
    parser.add_argument("--cpu", type=int, default=1, help="core of the exporter")
    parser.add_argument("--no-http", dest="http", action="store_false", help="MQTT alone")
    args = parser.parse_args()
    if EXECUTABLE is None:
        sys.exit("mosquitto is not installed")
    print(json.dumps(asyncio.run(measure(args)), indent=1))


if __name__ == "__main__":
    main()
