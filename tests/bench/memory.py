"""Whether memory stays flat: ``python -m tests.bench.memory --sites 1000 --minutes 60``.

The exporter as it is delivered polls the static fleet and ``/metrics`` is scraped every 15 s, as in
:mod:`tests.bench.scale`. The memory of all processes is sampled every minute; the slope is that of
the least squares line through the samples after the first ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from provisioning.local.ports import Ports
from tests.bench.scale import FIRST_ROUND_SECONDS, Scraper, _running, memory_mib
from tests.bench.static_fleet import StaticFleet, listening, pinned

SAMPLE_SECONDS = 60.0
START_SECONDS = 600.0


async def measure(args: Any) -> dict[str, Any]:
    """Samples and slope."""
    with tempfile.TemporaryDirectory(prefix="fleetscope-bench-") as name:
        os.chmod(name, 0o755)
        folder = Path(name)
        fleet = StaticFleet(folder, Ports(usual=False).pick(0), vebus=False)
        await fleet.start(args.server_cpu)
        try:
            return await _sampled(fleet, folder, args)
        finally:
            assert fleet.process is not None
            fleet.process.terminate()
            await fleet.process.wait()


async def _sampled(fleet: StaticFleet, folder: Path, args: Any) -> dict[str, Any]:
    port = Ports(usual=False).pick(0)
    file = folder / "fleet.json"
    file.write_text(json.dumps(fleet.fleet(args.sites, args.interval)), "utf-8")
    env = {
        "FLEETSCOPE_INFLUXDB_URL": fleet.url,
        "FLEETSCOPE_INFLUXDB_API": "v1",
        "FLEETSCOPE_QUEUE_DIR": str(folder / "queue"),
    }
    command = (sys.executable, "-m", "exporter", "run", "--fleet", str(file))
    listen = ("--listen", f"127.0.0.1:{port}")
    samples: list[tuple[float, dict[str, float]]] = []
    async with _running(
        *pinned(args.cpu), *command, *listen, log=folder / "exporter.log", env=env
    ) as pid:
        await listening(port, FIRST_ROUND_SECONDS)
        scraper = Scraper(f"http://127.0.0.1:{port}/metrics")
        scraping = asyncio.create_task(scraper.run())
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < args.minutes * 60:
            samples.append((now, memory_mib(pid)))
            print(json.dumps({"minutes": round(now / 60, 1), **samples[-1][1]}), file=sys.stderr)
            fleet.forget()
            await asyncio.sleep(SAMPLE_SECONDS)
        scraping.cancel()
    parts = ("collector", "serve.process", "all")
    return {
        "sites": args.sites,
        "minutes": args.minutes,
        "first_mib": samples[0][1],
        "last_mib": samples[-1][1],
        "slope_mib_an_hour": {part: _slope(samples, part) for part in parts},
        "outcomes": scraper.outcomes(),
    }


def _slope(samples: list[tuple[float, dict[str, float]]], part: str) -> float | None:
    """MiB an hour; None without samples after the start."""
    late = [(t, found[part]) for t, found in samples if t >= START_SECONDS and part in found]
    if len(late) < 2:
        return None
    times, sizes = zip(*late, strict=True)
    return round(float(np.polyfit(times, sizes, 1)[0]) * 3600, 2)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.memory", description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--cpu", type=int, help="core of the exporter; any without it")
    parser.add_argument("--server-cpu", type=int, help="core of nginx; any without it")
    print(json.dumps(asyncio.run(measure(parser.parse_args())), indent=1))


if __name__ == "__main__":
    main()
