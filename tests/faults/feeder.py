"""A process to be killed: puts numbered points into a queue on disk and says which are down.

``python -m tests.faults.feeder FOLDER URL FIRST`` makes one point every 20 ms, from index FIRST.
Each line that it prints is the number of points that were on disk when it was printed, and the
counts of the books at that moment. SIGTERM ends it in order.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from exporter.store import writer
from exporter.store.queue import Fate
from tests.faults.plant import plant
from tests.faults.store import line


async def main(folder: str, url: str, first: str) -> None:
    writer.FLUSH_SECONDS = 0.2
    async with plant(url, Path(folder), index=int(first)) as running:
        queue = running.writer.queue
        while not queue.counts:  # noqa: ASYNC110 - it becomes known once
            await asyncio.sleep(0.01)
        before = queue.counts[Fate.PRODUCED]
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        while not ended.is_set():
            running.writer.add([line(running.index)])
            running.index += 1
            await asyncio.sleep(0.02)
            down = int(first) + queue.counts[Fate.PRODUCED] - before
            print(json.dumps({"down": down, "counts": queue.counts}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
