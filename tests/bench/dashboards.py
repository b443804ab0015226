"""What dashboards ask of InfluxDB: ``python -m tests.bench.dashboards --url URL --site ID``.

Asks every InfluxQL query of Cells and Pack, one after the other, over ranges from an hour to two
years that end with the site's last cell, at the level and interval that Grafana would choose.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.history.rollups.source import Source
from exporter.model.levels import RAW
from exporter.store.connection import Connection
from grafana.generate import all_panels
from grafana.kit.levels import CELLS, CHOICE_QUERY, DETAILS

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
DAY_MS = 86_400_000
RANGES_DAYS = (1 / 24, 1, 7, 30, 180, 365, 730)
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
STEPS_S = (10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
COLUMNS = 1000
"""Points that a panel asks for where it does not say how many."""


def seconds(duration: str) -> int:
    """Of ``15m``."""
    return int(duration[:-1]) * UNITS_S[duration[-1]]


def rows_of(source: Source, query: str) -> list[list[Any]]:
    """All rows of the answer."""
    return [list(row) for part in source.ask(query) for row in part.rows]


def choice(source: Source, start: int, stop: int) -> list[str]:
    """The level's name, and its least intervals in the order of the three variables."""
    query = CHOICE_QUERY.replace("$__to", str(stop)).replace("$__from", str(start))
    found = rows_of(source, query)
    return str(found[0][1]).split(" ") if found else [RAW, "10s", "1m", "15m"]


def queries(
    name: str, site: str, packs: list[str], level: list[str], start: int, stop: int
) -> Iterator[tuple[str, str]]:
    """Panel and query, with the variables filled in; repeated panels once for each pack."""
    (path,) = FOLDER.rglob(f"fleetscope-{name}.json")
    dashboard = json.loads(path.read_text("utf-8"))
    least = {detail.interval: level[1 + detail.place] for detail in DETAILS}
    for panel in all_panels(dashboard):
        interval = panel.get("interval") or "10s"
        wanted = (stop - start) / 1000 / (panel.get("maxDataPoints") or COLUMNS)
        step = max(next((s for s in STEPS_S if s >= wanted), STEPS_S[-1]),
                   seconds(least.get(interval, interval)))  # fmt: skip
        escaped = [re.escape(pack).replace("/", "\\/") for pack in packs]
        every = [f"({'|'.join(escaped)})"]
        chosen = [packs[0]] if name == "pack" else escaped if panel.get("repeat") else every
        for target in panel.get("targets", ()):
            if " FROM " not in (target.get("query") or ""):
                continue
            for pack in chosen:
                yield panel["title"], filled(target["query"], site, pack, level[0], step,
                                             start, stop)  # fmt: skip


def filled(query: str, site: str, pack: str, level: str, step: int, start: int, stop: int) -> str:
    """A query as Grafana would send it."""
    values: Mapping[str, str] = {
        "$__interval": f"{step}s",
        "$timeFilter": f"time >= {start}ms AND time <= {stop}ms",
        "${__from}": str(start),
        "${__to}": str(stop),
        "$site": site,
        "$pack": pack,
        "$kept": "max",
        **{f"${detail.name}": level for detail in DETAILS},
    }
    for name in sorted(values, key=len, reverse=True):
        query = query.replace(name, values[name])
    return query


def main() -> None:
    """Print the time of all, and of the slowest panel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--database", default="fleet")
    parser.add_argument("--site", required=True)
    options = parser.parse_args()
    source = Source(Connection(options.url, options.database, {}))
    where = (
        f'FROM "rollup_1d"."{CELLS.name.removesuffix("_level")}" WHERE site = \'{options.site}\''
    )
    stop = int(rows_of(source, f"SELECT last(voltage_v_max) {where}")[0][0]) + DAY_MS
    parts = source.ask(f"SELECT last(voltage_v_max) {where} GROUP BY pack")
    packs = sorted(dict(part.tags)["pack"] for part in parts)
    print(f"{'range':>8}  {'level':<11}{'dashboard':<10}{'all':>8}  slowest panel")
    for days in RANGES_DAYS:
        start = stop - round(days * DAY_MS)
        level = choice(source, start, stop)
        for name in ("cells", "pack"):
            took: dict[str, float] = {}
            for title, query in queries(name, options.site, packs, level, start, stop):
                before = time.perf_counter()
                rows_of(source, query)
                took[title] = took.get(title, 0.0) + time.perf_counter() - before
            slowest = max(took, key=lambda title: took[title])
            print(f"{days:>6.3g} d  {level[0]:<11}{name:<10}{sum(took.values()):>6.2f} s  "
                  f"{took[slowest]:.2f} s {slowest}", flush=True)  # fmt: skip
    source.close()


if __name__ == "__main__":
    main()
