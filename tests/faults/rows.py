"""``make rows``: scrapes lost in each kind of trouble, by the real service, counted by index.

``python -m tests.faults.rows [ROW ...]`` runs all rows, three at once, or those that are named. In
each a site numbers its scrapes, ``fleetscope run`` polls it every second, and InfluxDB is behind a
proxy. The trouble lasts 40 s with the sink away, else 20 s. A scrape is lost if the site answered
it within that time and it is not in InfluxDB 60 s after the trouble has ended. "Fresh after" are
the seconds from the end of the trouble until a scrape that was answered after it could be read from
InfluxDB; where the service was started anew at the end, that includes its start. Rows with a disk
of their own mount a small file system, which needs root; they are left out without it. Exit status
1 if a row without a kill has lost anything, or one with a kill more than two scrapes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.faults.disks import failing_disk, mend, small_disk, turn_read_only
from tests.faults.proxy import Manner, Proxy, Reply
from tests.faults.store import Store, influxdb1
from tests.service_process import ServiceProcess, serving, write_fleet

BEFORE = 5
AT_ONCE = 3
START_SECONDS = 120.0
AWAY_SECONDS, ANSWER_SECONDS = 40.0, 20.0
SETTLE_SECONDS = 60.0


class Site:
    """Answers each scrape with its number; ``served`` is the last one.

    ``times`` are the moments of all of them, by a clock that never jumps.
    """

    def __init__(self) -> None:
        self.served = 0
        self.times: list[float] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reply: dict[str, Any] = {"success": True, "value": {"Soc": 70.0}}
                if self.path == "/services":
                    names = ["com.victronenergy.battery.ttyO0", "com.victronenergy.system"]
                    reply = {"success": True, "services": names, "count": 2}
                elif "com.victronenergy.system" in self.path:
                    reply["value"] = {
                        "Dc/Battery/BatteryService": "com.victronenergy.battery.ttyO0",
                        "Ac/Grid/L1/Power": float(outer.served + 1),
                        "Ac/Grid/NumberOfPhases": 1,
                    }
                    outer.served += 1
                    outer.times.append(time.monotonic())
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(reply).encode())

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[Site]:
        thread = Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@dataclass
class Bench:
    """What one row works with. ``end`` ends the service by a signal and starts another."""

    folder: Path
    proxy: Proxy
    site: Site
    end: Callable[[signal.Signals], None] = lambda _: None
    notes: list[str] = field(default_factory=list)

    @property
    def queue(self) -> Path:
        return self.folder / "queue"


Trouble = Callable[[Bench], None]


def answering(manner: Manner | Reply, seconds: float) -> Trouble:
    def trouble(bench: Bench) -> None:
        bench.proxy.manner = manner
        time.sleep(seconds)
        bench.proxy.manner = Manner.PASS

    return trouble


def away_and(how: signal.Signals) -> Trouble:
    def trouble(bench: Bench) -> None:
        bench.proxy.manner = Manner.REFUSE
        time.sleep(AWAY_SECONDS / 2)
        bench.end(how)
        time.sleep(AWAY_SECONDS / 2)
        bench.proxy.manner = Manner.PASS

    return trouble


def disk_full(manner: Manner) -> Trouble:
    def trouble(bench: Bench) -> None:
        bench.proxy.manner = manner
        with contextlib.suppress(OSError), (bench.queue / "ballast").open("wb") as ballast:
            while True:
                ballast.write(bytes(4096))
                ballast.flush()
        time.sleep(ANSWER_SECONDS)
        # The disk stays full until InfluxDB is back, so that memory alone holds what was made.
        bench.proxy.manner = Manner.PASS
        time.sleep(5.0)
        (bench.queue / "ballast").unlink()

    return trouble


def read_only(bench: Bench) -> None:
    """As ext4 does after a fault of its disk; it is sound again after a restart."""
    bench.proxy.manner = Manner.REFUSE
    time.sleep(5.0)
    turn_read_only(bench.queue)
    time.sleep(ANSWER_SECONDS)
    bench.proxy.manner = Manner.PASS
    time.sleep(5.0)
    bench.end(signal.SIGTERM)


def folder_removed(bench: Bench) -> None:
    bench.proxy.manner = Manner.REFUSE
    time.sleep(ANSWER_SECONDS / 2)
    shutil.rmtree(bench.queue)
    time.sleep(ANSWER_SECONDS / 2)
    bench.end(signal.SIGKILL)
    time.sleep(2.0)
    bench.proxy.manner = Manner.PASS


@dataclass(frozen=True)
class Row:
    """``disk`` mounts a file system of the queue's own; ``may_lose`` in scrapes."""

    trouble: Trouble
    disk: Callable[[Path], AbstractContextManager[Path]] | None = None
    may_lose: int = 0


ROWS = {
    "sink away 40 s": Row(answering(Manner.REFUSE, AWAY_SECONDS)),
    "sink hanging 40 s": Row(answering(Manner.HANG, AWAY_SECONDS)),
    "sink away 40 s, kill -9 after 20 s": Row(away_and(signal.SIGKILL), may_lose=2),
    "sink away 40 s, SIGTERM after 20 s": Row(away_and(signal.SIGTERM)),
    "disk of 4 MB full": Row(disk_full(Manner.PASS), small_disk),
    "disk of 4 MB full, sink away": Row(disk_full(Manner.REFUSE), small_disk),
    "disk turns read-only, sink away, SIGTERM": Row(read_only, failing_disk),
    "queue's folder removed, sink away, kill -9": Row(folder_removed, may_lose=2),
    "400 for 20 s": Row(answering(Reply(400, '{"error":"bad request"}'), ANSWER_SECONDS)),
    "429 for 20 s": Row(answering(Reply(429), ANSWER_SECONDS)),
    "503 for 20 s": Row(answering(Reply(503), ANSWER_SECONDS)),
}


def stored(store: Store, database: str) -> list[int]:
    parameters = f"/query?db={database}&q=SELECT+grid_power_w+FROM+raw.site"
    result = json.loads(store.request(parameters, b""))["results"][0]
    rows = result.get("series", [{"values": []}])[0]["values"]
    return sorted(int(row[1]) for row in rows)


def wait(condition: Callable[[], Any], seconds: float = SETTLE_SECONDS) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def run(name: str, number: int, store: Store, top: Path) -> dict[str, Any]:
    """One row: what was lost, doubled, and how soon the present was back."""
    row, database, folder = ROWS[name], f"row{number}", top / str(number)
    (folder / "queue").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        if row.disk:
            stack.enter_context(row.disk(folder / "queue"))
        proxy = stack.enter_context(Proxy(store.url, number).serving())
        bench = Bench(folder, proxy, stack.enter_context(Site().serving()))
        write_fleet(folder / "fleet.json", {"a": bench.site.url})
        settings = {
            **{"influxdb_url": proxy.url, "influxdb_api": "v1", "influxdb_database": database},
            "queue_dir": str(bench.queue),
        }
        lives = stack.enter_context(contextlib.ExitStack())

        def start(log: str) -> ServiceProcess:
            return lives.enter_context(serving(folder / "fleet.json", log=log, **settings))

        service = [start("first")]

        def end(how: signal.Signals) -> None:
            service[-1].process.send_signal(how)
            service[-1].process.wait()
            if row.disk is failing_disk:
                mend(bench.queue)
            service.append(start("second"))

        bench.end = end
        assert wait(lambda: len(stored(store, database)) >= BEFORE, START_SECONDS), (
            f"{name}: did not start"
        )
        first = bench.site.served + 1
        row.trouble(bench)
        last, ended = bench.site.served, time.monotonic()
        fresh = wait(lambda: any(n > last for n in stored(store, database)))
        seconds = time.monotonic() - ended if fresh else float("inf")
        wanted = set(range(first, last + 1))
        wait(lambda: wanted <= set(stored(store, database)), SETTLE_SECONDS if fresh else 0.0)
        wait(lambda: service[-1].metric('points_total{fate="spooled"}') == 0.0, 10.0)
        assert service[-1].stop() == 0
        found = stored(store, database)
    return {
        "row": name,
        "scrapes": len(wanted),
        "lost": sorted(wanted - set(found)),
        "twice": len(found) - len(set(found)),
        "fresh": seconds,
        "log": [
            (folder / log).read_text("utf-8")
            for log in ("first", "second")
            if (folder / log).exists()
        ],
    }


def main(names: list[str]) -> int:
    """Run the rows and print the table."""
    chosen = names or [name for name, row in ROWS.items() if not row.disk or os.geteuid() == 0]
    if unknown := set(chosen) - set(ROWS):
        print(f"no such row: {', '.join(sorted(unknown))}; there are: {'; '.join(ROWS)}")
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        (top / "influxdb").mkdir()
        with influxdb1(top / "influxdb") as store, ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [pool.submit(run, name, n, store, top) for n, name in enumerate(chosen)]
            results = [job.result() for job in jobs]
    print("| situation | lost | twice | fresh after |\n|---|---|---|---|")
    wrong = 0
    for result in results:
        lost = len(result["lost"])
        print(
            f"| {result['row']} | {lost}/{result['scrapes']} | {result['twice']} "
            f"| {result['fresh']:.1f} s |"
        )
        if (
            lost > ROWS[result["row"]].may_lose
            or result["twice"]
            or result["fresh"] == float("inf")
        ):
            wrong += 1
            print("WRONG:", result["row"], result["lost"], *result["log"], file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
