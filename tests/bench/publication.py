"""How an Assessment best crosses to another process: ``python -m tests.bench.publication``.

For a fleet of packs with cells: CPU time to write and to read a Publication, and its size, as plain
pickle and as the channel sends it, whole and after a fifth of the sites was scraped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pickle
import random
import socket
import time
from collections.abc import Callable
from typing import Any

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.model.snapshot import BatterySnapshot, Cells, Outcome, Snapshot
from exporter.serve.channel import Channel
from exporter.serve.publication import Decoder, Encoder, Publication
from tests.serve.api.served import plan
from tests.serve.test_metrics import NUMBERS


def _snapshot(site: str, cells: int, rng: random.Random) -> Snapshot:
    labels = tuple(str(n) for n in range(1, cells + 1))
    volts = tuple(3.3 + rng.random() / 100 for _ in labels)
    celsius = tuple(20.0 + rng.random() for _ in labels)
    readings = {
        **{"soc_percent": 50.0, "soh_percent": 97.0, "voltage_v": 52.0, "power_w": 100.0},
        **{"cell_min_v": min(volts), "cell_max_v": max(volts)},
        "cell_spread_v": max(volts) - min(volts),
    }
    pack = BatterySnapshot("battery/512", True, readings, "1", "2", Cells(labels, volts, celsius))
    return Snapshot(site, 1.7e9, 0.1, Outcome.OK, "", {"grid_power_w": 5.0}, (pack,))


def _cpu(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU milliseconds of a call, and its result."""
    begun = time.process_time()
    result = call()
    return 1000 * (time.process_time() - begun), result


async def measure(sites: int, cells: int) -> dict[str, Any]:
    """The figures; times are CPU milliseconds, sizes MB."""
    rng = random.Random(1)
    fleet = plan(sites)
    state = FleetState(fleet, 10.0)
    for site in fleet.sites:
        state.apply(_snapshot(site.id, cells, rng), 1000.0)
    first = assess(state, 1001.0, 1.7e9)
    for site in fleet.sites[: sites // 5]:
        state.apply(_snapshot(site.id, cells, rng), 1002.0)
    second = assess(state, 1003.0, 1.7e9 + 2, first)
    one, other = socket.socketpair()
    channel = await Channel.over(one)
    encoder, decoder = Encoder(), Decoder()
    found: dict[str, Any] = {"sites": sites, "cells": cells}
    for name, assessment in (("whole", first), ("a fifth scraped", second)):
        publication = Publication(assessment, NUMBERS)
        wrote, plain = _cpu(lambda publication=publication: pickle.dumps(publication, 5))
        read, _ = _cpu(lambda plain=plain: pickle.loads(plain))
        found[f"plain pickle, {name}"] = [round(wrote), round(read), round(len(plain) / 1e6, 1)]
        wrote, parts = _cpu(
            lambda publication=publication: channel._dump(encoder.encode(publication))
        )
        raw = [bytes(part) for part in parts]
        read, _ = _cpu(lambda raw=raw: decoder.decode(channel._load(raw)))
        size = sum(map(len, raw)) / 1e6
        found[f"channel, {name}"] = [round(wrote), round(read), round(size, 1)]
    channel.close()
    other.close()
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.publication", description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=260)
    args = parser.parse_args()
    print(json.dumps(asyncio.run(measure(args.sites, args.cells)), indent=1))


if __name__ == "__main__":
    main()
