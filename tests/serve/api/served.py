"""The real application over a fleet that the test moves, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import math
import random
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from exporter.assess.assessment import FleetAssessment, assess
from exporter.assess.costs import PriceList
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.energy.tariff_file import TariffFile
from exporter.history.influxql import InfluxQL
from exporter.model.snapshot import BatterySnapshot, Cells, Outcome, Snapshot
from exporter.serve.application import Server, make_app

START = 1_780_000_000.0
ODD_NAMES = (
    "<script>window.hit = 1</script>",
    'O\'Brien "Nord" & Söhne',
    "🔋 Сонячна ⚡ станція",
    "<img src=x onerror=window.hit=1>",
    "a & b < c > d \\ `${1}` {{x}}",
)


def plan(count: int, **common: Any) -> Fleet:
    """A fleet of so many sites in four regions; the first five have names that bite."""
    sites = []
    for n in range(count):
        odd = ODD_NAMES[n] if n < len(ODD_NAMES) else f"Site {n:04}"
        sites.append(
            {
                "id": f"s{n:04}",
                "name": odd,
                "location": odd if n < len(ODD_NAMES) else f"Town {n % 40}",
                "region": ("north", "south", "east", "west")[n % 4],
                "vendor": ("Alpha", "Beta")[n % 2],
                "battery_type": ("LFP 5", "LFP 10", "LFP 15")[n % 3],
                "capacity_kwh": 10.0,
                "solar_capacity_kw": 8.0,
                "priority": ("high", "medium", "low")[n % 3],
                "api_endpoint": f"http://192.0.2.{n % 250 + 1}:8088",
            }
            | common
        )
    return Fleet.model_validate({"sites": sites})


def snapshot(site: str, time: float, rng: random.Random, **changed: float) -> Snapshot:
    """A healthy site's Snapshot with a pack of 16 cells; ``changed`` readings differ."""
    volts = tuple(3.30 + rng.gauss(0, 0.003) for _ in range(16))
    battery = {
        "soc_percent": rng.uniform(30, 90),
        "soh_percent": rng.uniform(93, 99),
        "voltage_v": sum(volts),
        "power_w": rng.uniform(-2000, 2000),
        "temperature_c": rng.uniform(18, 26),
        "cell_min_v": min(volts),
        "cell_max_v": max(volts),
        "cell_spread_v": max(volts) - min(volts),
    }
    readings = {
        "grid_connected": 1.0,
        "grid_frequency_hz": 50.0 + rng.gauss(0, 0.01),
        "grid_voltage_v": 230.0,
        "grid_voltage_min_v": 229.0,
        "grid_voltage_max_v": 231.0,
        "grid_power_w": rng.uniform(-1500, 1500),
        "load_power_w": rng.uniform(200, 3000),
        "pv_power_w": rng.uniform(0, 4000),
    }
    labels = tuple(str(n) for n in range(1, 17))
    cells = Cells(labels, volts, tuple(22.0 if n % 2 else math.nan for n in range(16)))
    battery |= {k: v for k, v in changed.items() if k in battery}
    readings |= {k: v for k, v in changed.items() if k in readings}
    pack = BatterySnapshot("battery/512", True, battery, "C3", "C7", cells)
    return Snapshot(site, time, 0.1, Outcome.OK, "", readings, (pack,))


@dataclass
class ServedFleet:
    """The fleet, its state and the latest Assessment, behind a server."""

    fleet: Fleet
    stored: InfluxQL | None = None
    prices: PriceList | None = None
    tariffs: TariffFile | None = None
    now: float = 1000.0
    latest: FleetAssessment = field(init=False)
    port: int = 0

    def __post_init__(self) -> None:
        self.state = FleetState(self.fleet, 10.0)
        self.rng = random.Random(7)
        self.latest = assess(self.state, self.now, self.wall)

    @property
    def wall(self) -> float:
        return START + self.now

    def assess(self) -> None:
        self.latest = assess(self.state, self.now, self.wall, self.latest)

    def scrape(self, **changed: Mapping[str, float] | None) -> None:
        """Scrape every site once; by id, readings that differ, or None for no answer."""
        self.now += 10.0
        for site in self.fleet.sites:
            difference = changed.get(site.id, {})
            if difference is None:
                failed = Snapshot(site.id, self.wall, 2.0, Outcome.TIMEOUT, "gave up after 2 s")
                self.state.apply(failed, self.now)
            else:
                found = snapshot(site.id, self.wall, self.rng, **difference)
                self.state.apply(found, self.now)
        self.now += 1.0
        self.assess()

    def reconfigure(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.state.reconfigure(fleet)
        self.assess()

    @contextlib.contextmanager
    def serving(self) -> Iterator[ServedFleet]:
        app = make_app(
            lambda: self.latest,
            lambda: None,
            CollectorRegistry(),
            self.stored,
            self.prices,
            tariffs=self.tariffs,
        )
        listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self.port = listener.getsockname()[1]
        server = Server(app, "127.0.0.1", self.port)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            yield self
        finally:
            server.stop()
            thread.join()
            listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, *, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )
            reply = connection.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        status, _, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)
