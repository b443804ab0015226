"""Our Modbus reading beside Telegraf's: ``python -m tests.bench.telegraf --telegraf telegraf``.

Both read the registers of one template from one pymodbus server, each in a process of its own, at
the same interval. Compared are the values, and the CPU that the operating system accounts for a
read, after some reads of start.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from exporter.drivers.template.template_file import load_template
from exporter.drivers.template.template_model import Template
from tests.bench.scale import TICKS
from tests.drivers.bridge import Clock
from tests.drivers.modbus_peers import pymodbus_server
from tests.drivers.template.opened import driver_at
from tests.drivers.template.replies import RECORDED

TEMPLATE = "sungrow-sh"
START_SECONDS = 3.0
_TYPES = {"u16": "UINT16", "i16": "INT16", "u32": "UINT32", "i32": "INT32"}
_READER = "import sys; from tests.bench.telegraf import ours; ours(int(sys.argv[1]), sys.argv[2])"


def ours(port: int, interval: str) -> None:
    """Read at an interval until killed; prints the values of each read on a line."""

    async def read() -> None:
        url = f"modbus://127.0.0.1:{port}"
        async with driver_at(url, Clock(), template=TEMPLATE) as driver:
            while True:
                begun = time.monotonic()
                found = await driver.scrape()
                (battery,) = found.batteries
                print(json.dumps({**found.readings, **battery.readings}), flush=True)
                await asyncio.sleep(max(0.0, float(interval) - (time.monotonic() - begun)))

    asyncio.run(read())


def configuration(template: Template, port: int, interval: float, output: Path) -> str:
    """Telegraf's configuration for the registers of a template."""
    fields = "\n".join(
        f'      {{ address={source.register_}, name="{reading.quantity}", '
        f'type="{_TYPES[source.type.value]}", scale={source.scale:.6f}, output="FLOAT64" }},'
        for reading in template.readings
        for source in reading.sources
    )
    order = "CDAB" if template.word_order == "little" else "ABCD"
    return f"""[agent]
  interval = "{interval * 1000:.0f}ms"
  flush_interval = "1s"
  omit_hostname = true
[[inputs.modbus]]
  name = "box"
  controller = "tcp://127.0.0.1:{port}"
  configuration_type = "request"
  [[inputs.modbus.request]]
    slave_id = {template.unit}
    byte_order = "{order}"
    register = "input"
    measurement = "box"
    optimization = "shrink"
    fields = [
{fields}
    ]
[[outputs.file]]
  files = ["{output}"]
  data_format = "influx"
"""


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


def last_values(output: Path, template: Template) -> dict[str, float]:
    """The latest value of each quantity, in JSON or line protocol, whole lines only."""
    found: dict[str, float] = {}
    for line in output.read_text("utf-8").splitlines(keepends=True)[-50:]:
        if not line.endswith("\n"):
            continue
        if line.startswith("{"):
            found |= json.loads(line)
        else:
            pairs = line.split(" ")[1].split(",")
            found |= {key: float(value) for key, _, value in (p.partition("=") for p in pairs)}
    wanted = {reading.quantity for reading in template.readings}
    return {key: value for key, value in found.items() if key in wanted}


def measured(
    command: list[str], output: Path, template: Template, args: argparse.Namespace
) -> dict[str, Any]:
    """Values, reads and CPU of one reader."""
    with output.with_suffix(".log").open("wb") as log:
        to = output.open("wb") if command[0] == sys.executable else log
        process = subprocess.Popen(command, stdout=to, stderr=log)
        try:
            time.sleep(START_SECONDS)
            reads, used = len(output.read_bytes().splitlines()), cpu_seconds(process.pid)
            time.sleep(args.seconds)
            used = cpu_seconds(process.pid) - used
            time.sleep(1.5)  # Telegraf writes once a second.
            reads = len(output.read_bytes().splitlines()) - reads
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    due = args.seconds / args.interval
    return {
        "values": last_values(output, template),
        "reads_seen": reads,
        "cpu_ms_per_read": round(1000 * used / due, 3),
    }


async def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Both readers, one after the other, at the same server."""
    template, recorded = load_template(TEMPLATE, Path()), RECORDED[TEMPLATE]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with pymodbus_server({recorded.unit: recorded.registers}) as port:
            config = folder / "telegraf.conf"
            config.write_text(
                configuration(template, port, args.interval, folder / "telegraf"), "utf-8"
            )
            commands = {
                "ours": [sys.executable, "-c", _READER, str(port), str(args.interval)],
                "telegraf": [args.telegraf, "--config", str(config), "--quiet"],
            }
            for reader, command in commands.items():
                output = folder / reader
                output.touch()
                found[reader] = await asyncio.to_thread(measured, command, output, template, args)
    ours_, theirs = found["ours"]["values"], found["telegraf"]["values"]
    found["different"] = sorted(
        key
        for key in ours_.keys() | theirs.keys()
        if abs(ours_.get(key, 1e9) - theirs.get(key, -1e9)) > 1e-6
    )
    return found | {"load": round(os.getloadavg()[0], 1)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.telegraf", description=__doc__)
    parser.add_argument("--telegraf", required=True, help="Telegraf's executable, 1.37")
    parser.add_argument("--interval", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, default=20.0)
    print(json.dumps(asyncio.run(compare(parser.parse_args())), indent=1))


if __name__ == "__main__":
    main()
