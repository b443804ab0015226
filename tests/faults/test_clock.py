"""Our own clock steps, under the whole service: polls keep their rhythm, and no point is lost."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.faults.proxy import Manner, Proxy
from tests.faults.rows import Site
from tests.faults.store import Store
from tests.faults.test_kills import scrapes
from tests.service_process import serving, until, write_fleet

pytestmark = pytest.mark.stack

TOKEN = "change-me-4711-4711"
# Seconds that the clock is off, one after the other. By 4 s the new points would meet the very
# moments of those before; by an hour schedules that go by the wall clock would sleep that long.
STEPS = (0, -4, -3604, -4, 3596, -4)
POLLS_AT_EACH = 6


@contextlib.contextmanager
def listening(url: str) -> Iterator[list[bytes]]:
    """Events as they arrive, on one connection that is never made anew."""
    events: list[bytes] = []
    stop = Event()

    def listen() -> None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=60) as reply:
            for line in reply:
                if line.startswith(b"id:"):
                    events.append(line)
                if stop.is_set():
                    return

    thread = Thread(target=listen)
    thread.start()
    try:
        yield events
    finally:
        stop.set()
        thread.join()


def reached(site: Site, polls: int, events: list[bytes], told: int) -> bool:
    return site.served >= polls and len(events) > told


def test_the_clock_steps_and_nothing_is_late_twice_or_lost(
    proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0\n", "ascii")
    fleet = tmp_path / "fleet.json"
    stepping = Path(__file__).parent / "stepping"
    other = {"PYTHONPATH": f"{stepping}:{Path.cwd()}", "CLOCK_OFFSET_FILE": str(offset)}
    settings = {
        **{"influxdb_url": proxy.url, "influxdb_api": "v1", "queue_dir": str(tmp_path / "queue")},
        **{"change_token": TOKEN, "rollups": "false", "queue_hours": "0.5"},
    }
    with Site().serving() as site:
        write_fleet(fleet, {"a": site.url})
        with serving(fleet, also=other, **settings) as service:
            until(lambda: service.scrapes("a") >= 3)
            with listening(service.url + "/api/v1/events") as events:
                for number, seconds in enumerate(STEPS):
                    # What waits meanwhile is not too old by an hour, whatever the clock says.
                    proxy.manner = Manner.REFUSE if number % 2 else Manner.PASS
                    new = offset.with_suffix(".new")
                    new.write_text(f"{seconds:+d}\n", "ascii")
                    new.replace(offset)
                    polls, told = site.served + POLLS_AT_EACH, len(events)
                    until(partial(reached, site, polls, events, told))
                    assessed = service.metric("assessment_timestamp_seconds")
                    assert assessed is not None
                    assert abs(assessed - time.time() - seconds) < 60
                proxy.manner = Manner.PASS
                assert service.metric("clock_steps_total") == len(STEPS) - 1
                change = urllib.request.Request(
                    service.url + "/-/reload",
                    b"",
                    {"Authorization": f"Bearer {TOKEN}"},
                )
                assert urllib.request.urlopen(change, timeout=30).status == 202
                last = site.served
                until(lambda: set(scrapes(store)) >= set(range(1, last + 1)))
                # Something new is always under way: what was made by now is written.
                made = service.metric('points_total{fate="produced"}')
                assert made is not None
                until(lambda: (service.metric('points_total{fate="written"}') or 0) >= made)
                assert service.metric('points_total{fate="dropped"}') == 0
                assert service.metric('points_total{fate="rejected"}') == 0
            assert service.stop() == 0
    found = scrapes(store)
    assert len(found) == len(set(found))
    # A busy machine may be half a turn late; a lost or a doubled turn it is not.
    assert [round(later - earlier) for earlier, later in pairwise(site.times)] == [1] * (
        len(site.times) - 1
    )
