"""A fleet that costs little: trees of a Venus device as static files behind nginx.

nginx answers as the bridge does, with one reply for each connection. It stands in for InfluxDB as
well, and its access log says from outside when each site was asked.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BATTERY = "com.victronenergy.battery.ttyUSB0"
VEBUS = "com.victronenergy.vebus.ttyS4"
SYSTEM = "com.victronenergy.system"
CELLS = 260
VARIANTS = 8
SAMPLES_PER_PAGE = 550
TREES = {"system": SYSTEM, "battery": BATTERY, "vebus": VEBUS}

_CONFIGURATION = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
  keepalive_timeout 0;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;
  types {{ application/json json; text/plain txt; }}
  map $arg_service $tree {{ default none; {trees} }}
  map $tree $logged {{ system 1; battery 1; default 0; }}
  split_clients $connection $variant {{ {variants} }}
  log_format asked '$msec $tree $request_uri';
  access_log off;
  server {{
    listen 127.0.0.1:{port} backlog=4096 reuseport;
    root {folder}/replies;
    location ~ ^/s[0-9]+/value$ {{
      access_log {folder}/asked.log asked buffer=32k flush=1s if=$logged;
      try_files /$tree-$variant.json =404;
    }}
    location ~ ^/s[0-9]+/services$ {{ try_files /services.json =404; }}
    location ~ ^/p[0-9]+/metrics$ {{ default_type text/plain; try_files /page-$variant.txt =404; }}
    location /write {{ keepalive_timeout 60; return 204; }}
    location /query {{ keepalive_timeout 60; default_type application/json;
                       return 200 '{{"results":[{{}}]}}'; }}
  }}
}}
"""


def system_tree(rng: random.Random, *, vebus: bool) -> dict[str, Any]:
    """The system tree, about 3.6 KB."""
    tree: dict[str, Any] = {
        "Mgmt/ProcessName": "/opt/victronenergy/dbus-systemcalc-py/dbus_systemcalc.py",
        "Mgmt/ProcessVersion": "2.256",
        "DeviceInstance": 0,
        "Connected": 1,
        "FirmwareBuild": "20240114",
        "Serial": "c0619ab00001",
        "SystemType": "ESS",
        "SystemState/State": 9,
        "Pv/Disable": 0,
        "Hub": 4,
        "ActiveBatteryService": "com.victronenergy.battery/512",
        "ServiceMapping/com_victronenergy_battery_512": BATTERY,
        "Dc/Battery/BatteryService": BATTERY,
        "Dc/Battery/Soc": round(rng.uniform(20, 95), 1),
        "Dc/Battery/Voltage": round(rng.uniform(50, 54), 2),
        "Dc/Battery/Current": round(rng.uniform(-40, 40), 1),
        "Dc/Battery/Power": round(rng.uniform(-2000, 2000), 1),
        "Dc/Battery/Temperature": round(rng.uniform(18, 32), 1),
        "Dc/Pv/Power": round(rng.uniform(0, 4000), 1),
        "Dc/Pv/Current": round(rng.uniform(0, 80), 1),
        "Ac/In/NumberOfAcInputs": 1,
        "Ac/ActiveIn/Source": 1,
    }
    if vebus:
        tree["VebusService"] = VEBUS
        tree["ServiceMapping/com_victronenergy_vebus_276"] = VEBUS
    for group in ("Grid", "Consumption", "ConsumptionOnInput", "ConsumptionOnOutput"):
        for phase in ("L1", "L2", "L3"):
            tree[f"Ac/{group}/{phase}/Power"] = round(rng.uniform(-500, 1500), 1)
            tree[f"Ac/{group}/{phase}/Current"] = round(rng.uniform(-3, 6), 2)
        tree[f"Ac/{group}/NumberOfPhases"] = 3
    for group in ("PvOnGrid", "PvOnOutput", "PvOnGenset", "Genset"):
        for phase in ("L1", "L2", "L3"):
            tree[f"Ac/{group}/{phase}/Power"] = []
        tree[f"Ac/{group}/NumberOfPhases"] = []
    for name in ("CircuitBreakerTripped",):
        tree[f"Dc/Battery/Alarms/{name}"] = []
    for number in range(60):
        tree[f"Control/Entry{number}"] = 0
    return tree


def battery_tree(rng: random.Random, cells: int = CELLS) -> dict[str, Any]:
    """The tree of a battery with so many cells, about 17 KB with 260."""
    volts = [round(rng.gauss(3.31, 0.004), 4) for _ in range(cells)]
    celsius = [round(rng.gauss(24.0, 0.8), 2) for _ in range(cells)]
    low, high = volts.index(min(volts)), volts.index(max(volts))
    tree: dict[str, Any] = {
        "Mgmt/ProcessName": "dbus-serialbattery",
        "DeviceInstance": 512,
        "ProductName": "SerialBattery",
        "Serial": "1234567",
        "Connected": 1,
        "Soc": round(rng.uniform(20, 95), 1),
        "Soh": round(rng.uniform(95, 99), 1),
        "State": 9,
        "ErrorCode": 0,
        "TimeToGo": round(rng.uniform(10_000, 80_000)),
        "Capacity": round(rng.uniform(100, 400), 1),
        "InstalledCapacity": 450.0,
        "ConsumedAmphours": round(rng.uniform(-200, -10), 1),
        "Dc/0/Voltage": round(sum(volts[:16]), 2),
        "Dc/0/Current": round(rng.uniform(-40, 40), 1),
        "Dc/0/Power": round(rng.uniform(-2000, 2000), 1),
        "Dc/0/Temperature": round(rng.uniform(18, 32), 1),
        "Info/MaxChargeCurrent": 100.0,
        "Info/MaxDischargeCurrent": 120.0,
        "History/ChargeCycles": 233,
        "History/ChargedEnergy": round(rng.uniform(5_000, 5_100), 2),
        "History/DischargedEnergy": round(rng.uniform(4_000, 4_100), 2),
        "System/NrOfCellsPerBattery": 16,
        "System/NrOfModulesOnline": 16,
        "System/NrOfModulesOffline": 0,
        "System/NrOfModulesBlockingCharge": 0,
        "System/NrOfModulesBlockingDischarge": 0,
        "System/MinCellVoltage": volts[low],
        "System/MaxCellVoltage": volts[high],
        "System/MinCellTemperature": min(celsius),
        "System/MaxCellTemperature": max(celsius),
        "System/MinVoltageCellId": f"C{low + 1}",
        "System/MaxVoltageCellId": f"C{high + 1}",
    }
    alarms = "LowVoltage HighVoltage LowSoc HighTemperature LowTemperature CellImbalance"
    tree |= {f"Alarms/{name}": 0 for name in alarms.split()}
    tree |= {f"Settings/Entry{n}": 0 for n in range(40)}
    tree |= {f"Voltages/Cell{n}": v for n, v in enumerate(volts, 1)}
    tree |= {f"Temperatures/Cell{n}": c for n, c in enumerate(celsius, 1)}
    return tree


def vebus_tree(rng: random.Random) -> dict[str, Any]:
    """The tree of an inverter on the grid."""
    tree: dict[str, Any] = {"DeviceInstance": 276, "Connected": 1, "State": 3, "Mode": 3}
    tree |= {"Ac/ActiveIn/ActiveInput": 0, "Ac/ActiveIn/Connected": 1, "Ac/In/1/Type": 1}
    tree |= {"Ac/NumberOfPhases": 1, "Ac/ActiveIn/L1/F": round(rng.gauss(50, 0.02), 2)}
    tree |= {"Ac/ActiveIn/L1/V": round(rng.gauss(231, 1), 1), "VebusError": 0}
    return tree | {f"Devices/0/Entry{n}": 0 for n in range(60)}


def _page(rng: random.Random) -> str:
    """What vmagent is given: samples of two gauges of the same cells, and some more."""
    lines = [f'battery_cell_volts{{cell="{n}"}} {rng.gauss(3.31, 0.004):.3f}' for n in range(260)]
    lines += [f'battery_cell_celsius{{cell="{n}"}} {rng.gauss(24, 1):.1f}' for n in range(260)]
    more = SAMPLES_PER_PAGE - len(lines)
    lines += [f'site_reading{{name="reading_{n}"}} {rng.gauss(0, 1000):.1f}' for n in range(more)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Asked:
    """When sites were asked, by the access log: Unix seconds by site, for each tree."""

    times: dict[str, dict[str, list[float]]]

    def gaps(self, after: float) -> list[float]:
        """Seconds between the starts of scrapes of each site, from a moment on, ascending."""
        return sorted(
            later - earlier
            for times in self.times["system"].values()
            for earlier, later in itertools.pairwise(times)
            if earlier >= after
        )

    def count(self, tree: str, begin: float, end: float) -> int:
        """Requests for a tree in a span of time."""
        return sum(begin <= t < end for times in self.times[tree].values() for t in times)

    def full_round(self, sites: int) -> float | None:
        """When the last of all sites was asked for its battery; None while some were not."""
        first = [times[0] for times in self.times["battery"].values()]
        return max(first) if len(first) >= sites else None


class StaticFleet:
    """nginx with the replies of a fleet, in a folder of its own.

    Parameters
    ----------
    folder : Path
    port : int
    vebus : bool
        Whether a site has an inverter, which makes three requests of a scrape instead of two.
    """

    def __init__(self, folder: Path, port: int, *, vebus: bool = False) -> None:
        self._folder = folder
        self._port = port
        self._vebus = vebus
        self.url = f"http://127.0.0.1:{port}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, cpu: int | None) -> None:
        """Write the replies and serve them, on one processor where it is given."""
        replies = self._folder / "replies"
        replies.mkdir()
        rng = random.Random(1)
        for variant in range(VARIANTS):
            trees = {
                "system": system_tree(rng, vebus=self._vebus),
                "battery": battery_tree(rng),
                "vebus": vebus_tree(rng),
            }
            for name, tree in trees.items():
                document = {"service": TREES[name], "path": "/", "value": tree}
                (replies / f"{name}-{variant}.json").write_text(json.dumps(document), "utf-8")
            (replies / f"page-{variant}.txt").write_text(_page(rng), "utf-8")
        services = [SYSTEM, BATTERY, *([VEBUS] if self._vebus else [])]
        (replies / "services.json").write_text(json.dumps({"services": services}), "utf-8")
        share = 100 / VARIANTS
        configuration = _CONFIGURATION.format(
            folder=self._folder,
            port=self._port,
            trees=" ".join(f"{service} {name};" for name, service in TREES.items()),
            variants=" ".join(
                f"{share:g}% {n};" if n < VARIANTS - 1 else f"* {n};" for n in range(VARIANTS)
            ),
        )
        file = self._folder / "nginx.conf"
        file.write_text(configuration, "utf-8")
        self.process = await asyncio.create_subprocess_exec(
            *pinned(cpu), "nginx", "-c", str(file), "-p", str(self._folder)
        )
        await listening(self._port)

    def fleet(self, sites: int, interval: float) -> dict[str, Any]:
        """The fleet file."""
        regions, types = ("north", "south", "east", "west"), ("LFP A", "LFP B", "LFP C")
        return {
            "sites": [
                {
                    "id": f"site_{n:05d}",
                    "name": f"Site {n}",
                    "location": "Leipzig",
                    "api_endpoint": f"{self.url}/s{n:05d}",
                    "battery_type": types[n % 3],
                    "region": regions[n % 4],
                    "capacity_kwh": 23.0,
                    "solar_capacity_kw": 8.0,
                    "priority": "medium",
                    "latitude": 51.3,
                    "longitude": 12.4,
                    "tilt": 30.0,
                    "azimuth": 180.0,
                    "interval_seconds": interval,
                }
                for n in range(sites)
            ]
        }

    def asked(self) -> Asked:
        """What the access log says."""
        times: dict[str, dict[str, list[float]]] = {
            "system": defaultdict(list),
            "battery": defaultdict(list),
        }
        log = self._folder / "asked.log"
        for line in log.read_text("utf-8").splitlines() if log.exists() else ():
            if found := re.match(r"([\d.]+) (\w+) /(s\d+)/", line):
                times[found[2]][found[3]].append(float(found[1]))
        for of_tree in times.values():
            for of_site in of_tree.values():
                of_site.sort()
        return Asked(times)

    def forget(self) -> None:
        """Empty the access log."""
        log = self._folder / "asked.log"
        if log.exists():
            os.truncate(log, 0)


def pinned(cpu: int | None) -> tuple[str, ...]:
    """The words that keep a command on one processor."""
    return () if cpu is None else ("taskset", "-c", str(cpu))


async def listening(port: int, seconds: float = 20.0) -> None:
    """Wait until something listens on a port of the loopback address.

    Raises
    ------
    TimeoutError
    """
    async with asyncio.timeout(seconds):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return
