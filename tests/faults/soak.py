"""``make soak``: random faults and kills, seeded, with the books at the end.

SOAK_MINUTES (10) and SOAK_SEED from the environment. A feeder makes 50 numbered points a second
into a queue on disk; the proxy before InfluxDB 1.x changes its manner every few seconds, and the
feeder is killed or ended at random. At the end every point that was told to be on disk must be in
InfluxDB, each once, and the books must say the same. Exit status 1 if not.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from exporter.store.queue import Fate
from tests.faults.plant import plant
from tests.faults.proxy import LIES, Manner, Proxy
from tests.faults.store import influxdb1
from tests.faults.test_kills import Feeder


def feed(
    folder: Path, proxy: Proxy, first: int, rng: random.Random, end: float
) -> tuple[int, signal.Signals]:
    """One life of the feeder; returns how many points were down, and the manner of its end."""
    feeder = Feeder(folder, proxy.url, first)
    down, ends_at = first, time.monotonic() + rng.uniform(2, 30)
    changes_at = 0.0
    for told in feeder.lines():
        now = time.monotonic()
        down = told["down"]
        if now > changes_at:
            changes_at = now + rng.uniform(1, 8)
            proxy.manner = rng.choice([Manner.PASS, Manner.PASS, Manner.LIE, Manner.HANG, *LIES])
        if now > ends_at or now > end:
            break
    how = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    feeder.process.send_signal(how)
    for told in feeder.lines():
        down = max(down, told["down"])
    feeder.process.communicate()
    return down, how


async def main() -> int:
    """Run, print the seed and the books, and compare."""
    minutes = float(os.environ.get("SOAK_MINUTES", "10"))
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}, {minutes:g} minutes", flush=True)
    rng = random.Random(seed)
    promised: set[int] = set()
    first, lives, kills = 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "influxdb").mkdir()
        with influxdb1(folder / "influxdb") as store, Proxy(store.url, seed).serving() as proxy:
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end:
                down, how = await asyncio.to_thread(feed, folder, proxy, first, rng, end)
                promised |= set(range(first, down))
                lives, kills = lives + 1, kills + (how == signal.SIGKILL)
                print(f"life {lives}: {down - first} points down, then {how.name}", flush=True)
                first = down + 10_000
            proxy.manner = Manner.PASS
            async with plant(proxy.url, folder, index=first) as running:
                while running.counts.get(Fate.SPOOLED, 1) > 0:  # noqa: ASYNC110 - as the books tell
                    await asyncio.sleep(0.5)
                counts = running.counts
            found = store.indices("scrape")
            met = dict(proxy.seen)
    lost, doubled = promised - set(found), len(found) - len(set(found))
    print(f"{lives} lives, {kills} killed; requests by what the proxy did: {met}")
    print("books: " + ", ".join(f"{fate.value} {counts[fate]}" for fate in Fate))
    print(f"promised {len(promised)}, in InfluxDB {len(found)}, lost {len(lost)}, twice {doubled}")
    right = not lost and not doubled and counts[Fate.WRITTEN] == len(found)
    right = right and counts[Fate.SPOOLED] == 0
    print("right" if right else f"WRONG; repeat it with SOAK_SEED={seed}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
