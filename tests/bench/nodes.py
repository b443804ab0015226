"""Nodes that push at one moment, over HTTP and over MQTT: ``python -m tests.bench.nodes``.

The service as it is delivered, with a queue on disk and an InfluxDB 1.x of its own, 1,000 nodes
that post from addresses of their own, and 1,000 with connections of their own to one mosquitto.
Each sends a point at the same moment of every interval. What is in InfluxDB afterwards is counted,
node by node; memory is the largest that was seen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from provisioning.local.ports import Ports
from simulator.mqtt_client import connected
from tests.bench.influx import Influx
from tests.bench.scale import cpu_by_process, memory_mib
from tests.drivers.mosquitto import EXECUTABLE, Mosquitto
from tests.service_process import ServiceProcess, serving, until

TOKEN = "a-token-of-nodes"
PATIENCE_SECONDS = 60.0


def point(name: str, moment: float, turn: int) -> bytes:
    """What a node sends: a whole site with its battery."""
    readings = {
        "grid_power_w": 1000 + turn,
        "load_power_w": 2000 + turn,
        "grid_frequency_hz": 50.01,
    }
    battery = {"device": "battery/0", "readings": {"soc_percent": 50 + turn, "power_w": 900}}
    document = {"site": name, "measured": moment, "readings": readings, "batteries": [battery]}
    return json.dumps(document).encode()


@dataclass(slots=True)
class Run:
    """What was sent, and how it was answered.

    Attributes
    ----------
    statuses : Counter
        Answers over HTTP by status.
    seconds : list of float
        How long each took.
    memory : list of dict
        MiB of each process, one a second.
    """

    sites: int
    turns: int
    interval: float
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    memory: list[dict[str, float]] = field(default_factory=list)

    async def post(self, url: str, start: float) -> None:
        """Post every node's points, one of each at the same moment."""
        for turn in range(self.turns):
            await _sleep_until(start + turn * self.interval)
            await asyncio.gather(*(self._one(url, n, turn) for n in range(self.sites)))

    async def _one(self, url: str, number: int, turn: int) -> None:
        """Post a point from an address of the node's own; send it again where it is not taken."""
        parts = urlsplit(url)
        body = point(f"h{number:04}", time.time(), turn)
        head = (
            f"POST /api/v1/telemetry HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer "
            f"{TOKEN}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        source = (f"127.1.{number // 250}.{number % 250 + 1}", 0)
        begun = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    reader, writer = await asyncio.open_connection(
                        parts.hostname, parts.port, local_addr=source
                    )
                    writer.write(head.encode() + body)
                    status = (await reader.read()).split(b" ", 2)[1].decode()
                    writer.close()
            except (OSError, TimeoutError, IndexError) as error:
                status = type(error).__name__
            self.statuses[status] += 1
            if status == "202":
                self.seconds.append(time.monotonic() - begun)
                return
            await asyncio.sleep(1.0)

    async def publish(self, port: int, start: float) -> None:
        """Publish every node's points, each over a connection of its own."""

        async def node(number: int) -> None:
            name = f"m{number:04}"
            async with connected("127.0.0.1", port, name, lambda *_: None) as (client, _):
                for turn in range(self.turns):
                    await _sleep_until(start + turn * self.interval)
                    client.publish(f"fleet/{name}/telemetry", point(name, time.time(), turn))
                    await client.drain()
                client.ping()
                await asyncio.sleep(2.0)

        await asyncio.gather(*(node(number) for number in range(self.sites)))

    async def watch(self, pid: int) -> None:
        """Note the memory each second until cancelled."""
        while True:
            self.memory.append(await asyncio.to_thread(memory_mib, pid))
            await asyncio.sleep(1.0)


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


def fleet(sites: int, url: str, interval: float) -> dict[str, Any]:
    """The nodes of both kinds."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    common = {"driver": "push", "interval_seconds": interval}
    over_http = [{"id": f"h{n:04}", "token_sha256": digest} for n in range(sites)]
    over_mqtt = [{"id": f"m{n:04}", "api_endpoint": url} for n in range(sites)]
    return {"sites": [common | one for one in (*over_http, *over_mqtt)]}


def stored(influx: Influx) -> Counter[str]:
    """Points of each node in InfluxDB."""
    asked = 'SELECT count("load_power_w") FROM "raw"."site" GROUP BY "site"'
    query = urllib.parse.urlencode({"db": "fleet", "q": asked})
    with urllib.request.urlopen(f"{influx.url}/query?{query}", timeout=60) as reply:
        series = json.load(reply)["results"][0].get("series", [])
    return Counter({one["tags"]["site"]: one["values"][0][1] for one in series})


async def play(run: Run, service: ServiceProcess, broker: Mosquitto) -> dict[str, float]:
    """Send everything; CPU seconds of each process meanwhile."""
    before = cpu_by_process(service.process.pid)
    watching = asyncio.create_task(run.watch(service.process.pid))
    start = time.monotonic() + 15.0
    await asyncio.gather(run.post(service.url, start), run.publish(broker.port, start))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    after = cpu_by_process(service.process.pid)
    return {name: round(used - before.get(name, 0.0), 2) for name, used in after.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.nodes", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000, help="over each protocol")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--interval", type=float, default=10.0)
    args = parser.parse_args()
    if EXECUTABLE is None or shutil.which("influxd") is None:
        sys.exit("mosquitto or InfluxDB 1.x is not installed")
    run = Run(args.nodes, args.turns, args.interval)
    with (
        tempfile.TemporaryDirectory(prefix="fleetscope-bench-") as name,
        Influx.running() as influx,
    ):
        folder = Path(name)
        broker = Mosquitto(folder, Ports(usual=False).pick(0))
        broker.start()
        try:
            file = folder / "fleet.json"
            file.write_text(json.dumps(fleet(args.nodes, broker.url, args.interval)), "utf-8")
            settings = {"influxdb_url": influx.url, "influxdb_api": "v1"}
            with serving(file, queue_dir=str(folder / "queue"), **settings) as service:
                until(lambda: service.get("/readyz")[0] == 200)
                used = asyncio.run(play(run, service, broker))
                expected = 2 * args.nodes * args.turns
                found = Counter[str]()
                with contextlib.suppress(AssertionError):
                    until(lambda: stored(influx).total() >= expected, PATIENCE_SECONDS)
                found = stored(influx)
        finally:
            broker.stop()
    both = {kind: sum(v for k, v in found.items() if k[0] == kind) for kind in "hm"}
    seconds = sorted(run.seconds)
    print(
        json.dumps(
            {
                "nodes": 2 * args.nodes,
                "points_sent": expected,
                "points_stored": {"http": both["h"], "mqtt": both["m"]},
                "nodes_short_of_points": sum(v < args.turns for v in found.values())
                + 2 * args.nodes
                - len(found),
                "answers": dict(run.statuses),
                "post_seconds": {
                    "median": round(statistics.median(seconds), 3),
                    "p99": round(seconds[int(0.99 * len(seconds))], 3),
                    "most": round(seconds[-1], 3),
                },
                "cpu_seconds": used,
                "memory_mib_first_and_most": {
                    name: (run.memory[0].get(name), max(one.get(name, 0.0) for one in run.memory))
                    for name in run.memory[-1]
                },
                "load": round(os.getloadavg()[0], 1),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
