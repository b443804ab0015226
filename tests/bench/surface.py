"""What the surface of cells costs: ``python -m tests.bench.surface``.

Starts an InfluxDB 1.x of its own, writes 260 cells over 630 days as the exporter's roll-ups keep
them, starts the exporter with it, and opens the page of cells in Chromium: how long until the
surface is drawn, how long the API takes, and how many bytes it answers. ``--keep`` leaves the
servers up to look at until a line is entered; ``--pictures FOLDER`` saves pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from exporter.model.levels import DAY, LEVELS
from exporter.store.connection import Connection
from exporter.store.influx_v1 import InfluxV1
from provisioning.local.ports import Ports
from tests.bench.influx import Influx

PACKS, CELLS, DAYS = 5, 52, 630
SITE = "plant"
KEPT_DAYS = {"rollup_1d": DAYS, "rollup_1h": 90, "rollup_15m": 14}
"""How far back the bench writes each level; a range of 630 days reads the longest windows."""
GAP_DAYS = (200, 209)
SILENT = (3, 17, 400)
"""Pack, cell, and the day from which it gives no reading."""


def values(times: np.ndarray, pack: int) -> tuple[np.ndarray, np.ndarray]:
    """Volts and degrees of a pack at times in days since the beginning, shape (times, cells)."""
    rng = np.random.default_rng((pack, times.size))
    cell = np.arange(CELLS)
    level = 3.29 + 0.03 * np.sin(times / 29.0)[:, None] + 0.0006 * np.sin(cell * 1.7)
    volts = level + rng.normal(0, 0.0008, (times.size, CELLS))
    if pack == 1:
        volts[:, 17] -= 0.075 * np.clip((times - 250) / 380, 0, None)
    if pack == 4:
        volts[:, 40] += np.where((times > 500) & (times < 540), 0.03, 0.0)
    season = 22 - 9 * np.cos(times / 365.25 * 2 * np.pi)
    heat = (
        season[:, None] + 3 * np.exp(-(((cell - 26) / 14) ** 2)) + rng.normal(0, 0.3, volts.shape)
    )
    return volts, heat


def lines(level: str, seconds: int, end: int) -> Iterator[str]:
    """Rows of a roll-up that ends at ``end``, Unix seconds."""
    begin = end - DAYS * DAY
    stamps = np.arange(end - KEPT_DAYS[level] * DAY, end, seconds)
    days = (stamps - begin) / DAY
    seen = ~((days >= GAP_DAYS[0]) & (days < GAP_DAYS[1]))
    for pack in range(PACKS):
        volts, heat = values(days, pack)
        for cell in range(CELLS):
            head = f"cell,site={SITE},pack=bms1/{pack + 1},cell={cell + 1} "
            known = seen.copy()
            if (pack, cell) == SILENT[:2]:
                known &= days < SILENT[2]
            columns = zip(
                (stamps[known] * 1000).tolist(),
                volts[known, cell].tolist(),
                heat[known, cell].tolist(),
                strict=True,
            )
            for stamp, v, t in columns:
                yield (
                    f"{head}voltage_v_mean={v:.5f},voltage_v_min={v - 0.04:.4f},"
                    f"voltage_v_max={v + 0.04:.4f},temperature_c_min={t - 4:.1f},"
                    f"temperature_c_max={t:.1f} {stamp}"
                )


def write(url: str, policy: str, found: Iterator[str]) -> int:
    """Write lines; returns how many."""
    count, part = 0, []

    def send() -> None:
        body = "\n".join(part).encode()
        target = f"{url}/write?db=fleet&rp={policy}&precision=ms"
        urllib.request.urlopen(target, body, timeout=60).close()

    for line in found:
        part.append(line)
        if len(part) == 20_000:
            send()
            count += len(part)
            part.clear()
    if part:
        send()
    return count + len(part)


async def prepare(url: str) -> None:
    """The database with its retention policies."""
    target = InfluxV1(Connection(url, "fleet"), "inf", {x.name: "inf" for x in LEVELS})
    await target.prepare()
    await target.close()


@contextlib.contextmanager
def exporter(url: str, folder: Path) -> Iterator[str]:
    """The exporter over one site that does not answer; its past is what is looked at."""
    port = Ports(usual=False).pick(0)
    fleet = folder / "fleet.yaml"
    site = {
        "id": SITE,
        "name": "Plant 1",
        "location": "Sevilla, Spain",
        "api_endpoint": "http://127.0.0.1:9",
    }
    fleet.write_text(json.dumps({"sites": [site]}), "utf-8")
    environment = os.environ | {
        "FLEETSCOPE_INFLUXDB_URL": url,
        "FLEETSCOPE_INFLUXDB_API": "v1",
        "FLEETSCOPE_ROLLUPS": "false",
    }
    command = [sys.executable, "-m", "exporter", "run", "--fleet", str(fleet)]
    with Path(folder, "exporter.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{port}"], stdout=log, stderr=log, env=environment
        )
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                assert process.poll() is None, Path(folder, "exporter.log").read_text("utf-8")
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/healthz", timeout=2).close()
                    break
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait()


def api(address: str, query: str) -> tuple[float, int]:
    """Seconds and bytes of one reply, compressed."""
    request = urllib.request.Request(
        f"{address}/api/v1/surface?site={SITE}&{query}", headers={"Accept-Encoding": "gzip"}
    )
    before = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as reply:
        return time.perf_counter() - before, len(reply.read())


def look(address: str, rounds: int, pictures: Path | None) -> None:
    """Open the page and print when the surface was drawn."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium is not None, "Chromium is not installed"
    drawn = "performance.getEntriesByName('fleetscope-drawn')[0]?.startTime"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--enable-unsafe-swiftshader"]
        )
        for number in range(rounds):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{address}/cells?site={SITE}&period={DAYS}d")
            while (at := page.evaluate(drawn)) is None:
                page.wait_for_timeout(20)
            print(f"  drawn {at / 1000:.2f} s after the address was opened (round {number + 1})")
            page.close()
        if pictures is not None:
            take(browser, address, pictures)
        browser.close()


def take(browser: object, address: str, folder: Path) -> None:
    """Pictures of the page at three widths, both themes and views."""
    folder.mkdir(parents=True, exist_ok=True)
    for width, theme, query in (
        (1280, "light", "quantity=deviation"),
        (1280, "dark", "quantity=deviation"),
        (1920, "dark", "quantity=temperature"),
        (1920, "light", "quantity=deviation&pack=bms1/2"),
        (390, "light", "quantity=deviation&pack=bms1/2"),
        (390, "dark", "quantity=deviation&shape=heatmap"),
        (1280, "light", "quantity=deviation&shape=heatmap"),
        (1280, "dark", "quantity=voltage&shape=heatmap&period=7d"),
    ):
        page = browser.new_page(  # type: ignore[attr-defined]
            viewport={"width": width, "height": 900}, color_scheme=theme
        )
        period = "" if "period" in query else f"&period={DAYS}d"
        page.goto(f"{address}/cells?site={SITE}&{query}{period}")
        while page.evaluate("performance.getEntriesByName('fleetscope-drawn').length") == 0:
            page.wait_for_timeout(50)
        page.wait_for_timeout(300)
        name = query.replace("&", "-").replace("=", "-").replace("/", "-")
        page.screenshot(path=folder / f"{width}-{theme}-{name}.png", full_page=True)
        page.close()


def main() -> None:
    """Run with servers of its own in a folder that is removed afterwards."""
    import asyncio

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    end = int(time.time()) // DAY * DAY
    with Influx.running() as server, tempfile.TemporaryDirectory() as folder:
        asyncio.run(prepare(server.url))
        before = time.perf_counter()
        rows = sum(
            write(server.url, level.name, lines(level.name, level.seconds, end))
            for level in LEVELS
            if level.name in KEPT_DAYS
        )
        print(f"written: {rows} rows in {time.perf_counter() - before:.0f} s", flush=True)
        with exporter(server.url, Path(folder)) as address:
            for query in ("period=630d", "period=630d", "period=630d&quantity=temperature",
                          "period=90d", "period=7d"):  # fmt: skip
                took, size = api(address, query)
                print(f"  {query}: {took:.2f} s, {size / 1000:.0f} kB", flush=True)
            look(address, options.rounds, options.pictures)
            if options.keep:
                print(address, flush=True)
                sys.stdin.readline()


if __name__ == "__main__":
    main()
