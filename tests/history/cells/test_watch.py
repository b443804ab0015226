"""The process that judges cells, and how often it is sent."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from datetime import date

import pytest

from exporter.history.cells.renewal import EVERY_SECONDS, CellWatch
from exporter.history.influxql import InfluxQL

SILENT = "http://127.0.0.1:1"


def watch() -> CellWatch:
    return CellWatch(InfluxQL(SILENT, "fleet", {}), time.time)


@pytest.mark.slow
def test_every_site_is_told_of_and_the_work_is_counted() -> None:
    sites = ["alpha", "beta", "gamma"]
    databases = [{"url": SILENT, "database": "fleet", "headers": {}}]
    job = {"databases": databases, "sites": dict.fromkeys(sites, 0), "spread_seconds": 3}
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "exporter.history.cells"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
    )
    *told, last = (json.loads(line) for line in done.stdout.splitlines())
    assert [found["site"] for found in told] == sites
    assert all(found["fault"].startswith(SILENT) for found in told)
    # The pauses between the sites are no work.
    assert told[2]["time"] - told[0]["time"] >= 1.5
    assert 0 < last["busy_seconds"] < time.monotonic() - before - 1.5


async def test_a_round_through_the_process_gives_its_work() -> None:
    one = watch()
    busy = await one.renew({"alpha": None}, 0.0)
    assert busy is not None
    assert busy > 0
    assert one.latest(["alpha"])["alpha"].fault is not None


async def test_rounds_go_on_until_they_are_stopped() -> None:
    one, asked = watch(), 0

    def sites() -> dict[str, date | None]:
        nonlocal asked
        asked += 1
        return {"alpha": date(2023, 10, 1)}

    running = asyncio.create_task(one.run(sites))
    while not one.latest(["alpha"]):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.05)
    await one.stop()
    await asyncio.wait_for(running, 30)
    assert (asked, one.every_seconds) == (1, EVERY_SECONDS)


def test_work_that_does_not_fit_into_the_hour_makes_rounds_longer_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="exporter")
    one = watch()
    one.adapt(1700.0)
    assert (one.every_seconds, caplog.text) == (EVERY_SECONDS, "")
    one.adapt(3000.0)
    assert one.every_seconds == 6000.0
    assert "takes 3000 s for all sites; from now on it is done every 100 minutes" in caplog.text
    one.adapt(300.0)
    assert one.every_seconds == EVERY_SECONDS
