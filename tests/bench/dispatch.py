"""Telemetry and dispatches under load: ``python -m tests.bench.dispatch --seconds 20``.

The whole service with its journal on the disk, 2,000 nodes that push and 100 batteries over Modbus
that are played in one process. wrk sends one point of another node each time, then orders: dry
ones, and ones that are carried out, each of which takes over from the one before at its site.
Reported are requests a second and how long they took, as wrk has it, and the refusals.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import yaml

from exporter.control.journal import JournalReader
from simulator.controlled import ControlledSite, modbus_server
from tests.service_process import ServiceProcess, serving, until
from tests.stack.dispatch_service import TOKEN, ask

NODES, BATTERIES = 2000, 100
NODE_TOKEN = "a-token-of-nodes"
_TELEMETRY = """
local n = {nodes}
local at = 0
local id = 0
local threads = 0
function setup(thread) thread:set("first", threads * 1000003); threads = threads + 1 end
function init() at = first end
function request()
  at = at + 1
  local body = string.format('{{"site":"n%04d","measured":%.3f,"readings":{{"load_power_w":%d}}}}',
    at % n, {now} + at * 0.001, at % 5000)
  return wrk.format("POST", "/api/v1/telemetry", {{["Authorization"] = "Bearer {token}",
    ["Content-Type"] = "application/json"}}, body)
end
"""
_DISPATCH = """
local n = {batteries}
local at = 0
local threads = 0
function setup(thread) thread:set("first", threads * 1000003); threads = threads + 1 end
function init() at = first end
function request()
  at = at + 1
  local body = string.format('{{"targets":["b%03d"],"action":"charge","kw":%.1f,"seconds":60,' ..
    '"reason":"load","dry_run":{dry}}}', at % n, 1 + at % 3)
  return wrk.format("POST", "/api/v1/dispatch", {{["Authorization"] = "Bearer {token}",
    ["Content-Type"] = "application/json", ["Idempotency-Key"] = "k{dry}" .. at}}, body)
end
"""


class Batteries:
    """Batteries at ports of their own, in a thread."""

    def __init__(self) -> None:
        self.sites = [ControlledSite(portal=f"c0619ab{n:05}") for n in range(BATTERIES)]
        self.ports: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def _run(self) -> None:
        async def begin() -> None:
            for site in self.sites:
                self.ports.append(await modbus_server(site).start())

        self._loop.run_until_complete(begin())
        self._ready.set()
        self._loop.run_forever()


def fleet(ports: list[int]) -> dict[str, Any]:
    """The fleet file of it."""
    digest = hashlib.sha256(NODE_TOKEN.encode()).hexdigest()
    nodes = [{"id": f"n{n:04}", "driver": "push", "token_sha256": digest} for n in range(NODES)]
    batteries = [
        {
            "id": f"b{n:03}",
            "driver": "modbus-tcp",
            "api_endpoint": f"modbus://127.0.0.1:{port}",
            "capacity_kwh": 10,
            "dispatch": {"enabled": True, "max_charge_kw": 5, "max_discharge_kw": 5},
        }
        for n, port in enumerate(ports)
    ]
    return {"sites": nodes + batteries}


def load(folder: Path, url: str, script: str, seconds: int, connections: int) -> dict[str, str]:
    """What wrk reports of a script."""
    path = folder / "load.lua"
    path.write_text(script, "utf-8")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", str(path), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {"requests/s": re.search(r"Requests/sec:\s+(\S+)", text)}
    found |= {f"p{p}": re.search(rf"{p}%\s+(\S+)", text) for p in (50, 90, 99)}
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    count = re.search(r"(\d+) requests in", text)
    row = {name: match[1] if match else "?" for name, match in found.items()}
    return row | {"requests": count[1] if count else "?", "refused": refused[1] if refused else "0"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--connections", type=int, default=8)
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed (Debian: apt-get install wrk)")
    batteries = Batteries()
    batteries.start()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fleet.json").write_text(json.dumps(fleet(batteries.ports)), "utf-8")
        limits = {"rate_limit": {"interval": 0, "burst": 100_000}}
        (folder / "web.yml").write_text(yaml.safe_dump(limits), "utf-8")
        with serving(
            folder / "fleet.json",
            dispatch="on",
            dispatch_journal=str(folder / "orders.sqlite"),
            change_token=TOKEN,
            web_config=str(folder / "web.yml"),
            caller_seconds="3600",
            interval_seconds="10",
        ) as service:
            until(lambda: service.get("/readyz")[0] == 200)
            until(lambda: _dry(service) == BATTERIES)
            report(folder, service, args.seconds, args.connections)
            ask(
                service,
                "POST",
                "dispatch",
                {"targets": "all", "action": "release", "reason": "end"},
            )
            until(lambda: not any(site.forced for site in batteries.sites))
        reader = JournalReader(folder / "orders.sqlite")
        print(f"journal: {reader.last_number()} rows, broken at {reader.broken_at()}")
        print(f"forced at the end: {sum(site.forced for site in batteries.sites)} of {BATTERIES}")


def _dry(service: ServiceProcess) -> int:
    """Batteries that would take an order."""
    body = {"targets": "all", "action": "hold", "reason": "ready?"}
    found = ask(service, "POST", "dispatch", body)[1].get("orders", [])
    return sum(order["state"] == "dry" for order in found)


def report(folder: Path, service: ServiceProcess, seconds: int, connections: int) -> None:
    """Print a line for each kind of request."""
    import time

    rows = {
        "telemetry": _TELEMETRY.format(nodes=NODES, now=time.time() - 200, token=NODE_TOKEN),
        "dispatch, dry": _DISPATCH.format(batteries=BATTERIES, dry="true", token=TOKEN),
        "dispatch, carried out": _DISPATCH.format(batteries=BATTERIES, dry="false", token=TOKEN),
    }
    print(f"load average {os.getloadavg()[0]:.1f}, {connections} connections, {seconds} s each")
    for name, script in rows.items():
        print(name, load(folder, service.url, script, seconds, connections))


if __name__ == "__main__":
    main()
