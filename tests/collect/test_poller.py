"""The poll loop, with small real drivers on a real loop and scheduler."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, ClassVar, Self

import pytest
from apscheduler.schedulers import base as scheduler_base

from exporter.collect import poller as poller_module
from exporter.collect.poller import LONGEST_BACKOFF_SECONDS, Poller, backoff_turns, moments_of
from exporter.config.fleet import Fleet
from exporter.drivers.base import Driver, DriverContext, Endpoint
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot

INTERVAL = 0.4


@dataclass
class Field:
    """What the drivers of a test do, by site, and what they saw."""

    manners: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    running: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    most: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    closed: list[str] = field(default_factory=list)
    taken: list[Snapshot] = field(default_factory=list)
    step: float = 0.0

    def wall(self) -> float:
        return time.time() + self.step

    def outcomes(self, site: str) -> list[Outcome]:
        return [s.outcome for s in self.taken if s.site == site]


class SmallDriver(Driver):
    """A driver whose site behaves as the test says."""

    scene: ClassVar[Field]

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        self.endpoint, self.context = endpoint, context

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        return cls(endpoint, context)

    async def scrape(self) -> Snapshot:
        site, scene = self.endpoint.site, self.scene
        scene.starts[site].append(time.monotonic())
        scene.running[site] += 1
        scene.most[site] = max(scene.most[site], scene.running[site])
        try:
            if site in scene.manners:
                await scene.manners[site]()
        finally:
            scene.running[site] -= 1
        return Snapshot(site, self.context.wall_clock(), 0.0, Outcome.OK)

    async def close(self) -> None:
        self.scene.closed.append(self.endpoint.url)


def fleet(*ids: str, **common: Any) -> Fleet:
    sites = [{"id": i, "api_endpoint": f"http://{i}.example.com"} | common for i in ids]
    return Fleet.model_validate({"sites": sites})


@asynccontextmanager
async def polling(scene: Field, of: Fleet, interval: float = INTERVAL) -> AsyncIterator[Poller]:
    async with HttpClient() as http:
        poller = Poller(
            registry={"venus-http": type("SceneDriver", (SmallDriver,), {"scene": scene})},
            context=DriverContext(Transports(HttpTransport(http)), scene.wall, time.monotonic),
            sink=scene.taken.append,
            default_interval=interval,
            rng=random.Random(1),
        )
        poller.start(of)
        try:
            yield poller
        finally:
            await poller.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - any condition, not an event
            await asyncio.sleep(0.005)


async def hang() -> None:
    await asyncio.sleep(3600)


async def fail() -> None:
    raise ScrapeError(Outcome.REFUSED, "refused")


async def test_sites_are_spread_over_the_interval() -> None:
    scene = Field()
    ids = [f"s{n}" for n in range(20)]
    async with polling(scene, fleet(*ids), interval=2.0) as poller:
        due = sorted(t.timer.due for t in poller._targets.values())
    gaps = [b - a for a, b in pairwise(due)]
    moment = 2.0 / moments_of(20)
    assert due[-1] - due[0] < 2.0 + moment
    # The golden ratio leaves no gap above 2.62 times the mean one, whatever the number; a start
    # waits for its moment.
    assert max(gaps) < 2.7 * 2.0 / 20 + moment
    assert max(Counter(round(d / moment) for d in due).values()) <= 3


@pytest.mark.parametrize(
    ("sites", "most"), [(1, 1), (100, 9), (1000, 60), (4000, 60), (10_000, 110), (30_000, 320)]
)
def test_a_moment_starts_few_sites(sites: int, most: int) -> None:
    moments = moments_of(sites)
    phases = (number * 0.6180339887498949 % 1.0 for number in range(1, sites + 1))
    assert max(Counter(int(phase * moments) for phase in phases).values()) <= most


async def test_every_site_is_polled_in_turn() -> None:
    scene = Field()
    async with polling(scene, fleet("a", "b", "c")):
        await until(lambda: all(len(scene.starts[s]) >= 4 for s in "abc"))
    assert {s.outcome for s in scene.taken} == {Outcome.OK}
    counts = [len(scene.starts[s]) for s in "abc"]
    assert max(counts) - min(counts) <= 1


async def test_a_scrape_longer_than_the_interval_never_overlaps() -> None:
    scene = Field(manners={"slow": lambda: asyncio.sleep(2.5 * INTERVAL)})
    async with polling(scene, fleet("slow", "quick")) as poller:
        await until(lambda: len(scene.starts["slow"]) >= 3)
        assert poller.stats.skipped > 0
        lag = poller.lag_seconds
    assert scene.most["slow"] == 1
    assert len(scene.starts["quick"]) > 2 * len(scene.starts["slow"])
    assert lag < INTERVAL, "a turn left out for the site's own slowness is no lag of the loop"


async def test_a_hanging_site_delays_no_other() -> None:
    scene = Field(manners={f"h{n}": hang for n in range(30)})
    async with polling(scene, fleet("fine", *scene.manners)):
        await until(lambda: len(scene.starts["fine"]) >= 4)
    assert all(len(scene.starts[site]) == 1 for site in scene.manners)
    assert {s.site for s in scene.taken} == {"fine"}


async def test_a_scrape_that_no_driver_ends_is_ended_and_the_next_one_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller_module, "LONGEST_SCRAPE_SECONDS", 2 * INTERVAL)
    scene = Field(manners={"stuck": hang})
    async with polling(scene, fleet("stuck", "fine")):
        await until(lambda: len(scene.starts["stuck"]) >= 2)
    assert scene.most["stuck"] == 1
    assert set(scene.outcomes("stuck")) == {Outcome.TIMEOUT}
    assert set(scene.outcomes("fine")) == {Outcome.OK}
    assert "no end" in next(s.detail for s in scene.taken if s.site == "stuck")


async def test_a_fault_in_a_driver_fails_that_site_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def fault() -> None:
        raise ZeroDivisionError

    scene = Field(manners={"bad": fault})
    async with polling(scene, fleet("bad", "good")):
        await until(lambda: len(scene.starts["good"]) >= 3 and scene.outcomes("bad"))
    assert set(scene.outcomes("bad")) == {Outcome.MALFORMED}
    assert set(scene.outcomes("good")) == {Outcome.OK}
    assert "ZeroDivisionError" in scene.taken[[s.site for s in scene.taken].index("bad")].detail


async def test_a_sink_that_fails_is_logged_and_polling_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Field()
    async with polling(scene, fleet("a")) as poller:

        def sink(_: Snapshot) -> None:
            raise KeyError("unknown reading")

        poller.sink = sink
        await until(lambda: len(scene.starts["a"]) >= 3)
    assert "a Snapshot was not taken" in caplog.text


async def test_a_failing_site_is_left_alone_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    scene = Field(manners={"bad": fail})
    async with polling(scene, fleet("bad", "good"), interval=0.1):
        await until(lambda: len(scene.starts["good"]) >= 16)
        assert 2 <= len(scene.starts["bad"]) <= 6
        del scene.manners["bad"]
        await until(lambda: Outcome.OK in scene.outcomes("bad"))
    about = [r.getMessage() for r in caplog.records if "site bad" in r.getMessage()]
    assert about == ["site bad: refused: refused", "site bad: answers again"]


@pytest.mark.parametrize("interval", [1.0, 7.0, 10.0, 60.0, 200.0, 299.0, 300.0, 3600.0])
def test_backoff_doubles_with_jitter_up_to_five_minutes(interval: float) -> None:
    rng = random.Random(5)
    longest = max(interval, LONGEST_BACKOFF_SECONDS)
    for failures in range(1, 60):
        waits = {backoff_turns(interval, failures, rng) * interval for _ in range(50)}
        wanted = min(interval * 2 ** min(failures - 1, 20), LONGEST_BACKOFF_SECONDS)
        assert max(waits) <= longest
        assert interval <= min(waits)
        assert min(waits) >= 0.75 * wanted - interval / 2 or min(waits) == interval
        if 8 * interval <= wanted:
            assert len(waits) > 1, "sites that failed together must not come back together"


async def test_a_changed_site_is_tried_at_once_though_it_was_left_alone() -> None:
    scene = Field(manners={"a": fail})
    async with polling(scene, fleet("a"), interval=3.0) as poller:
        poller._targets["a"].failures = 8
        poller._targets["a"].not_before = time.monotonic() + 300
        del scene.manners["a"]
        poller.reconfigure(fleet("a", api_endpoint="http://elsewhere.example.com"))
        await until(lambda: scene.outcomes("a") == [Outcome.OK])
        assert scene.closed == ["http://a.example.com"]


async def test_any_change_of_a_failing_site_is_reason_to_try_it_at_once() -> None:
    scene = Field()
    async with polling(scene, fleet("a", "b"), interval=3000.0) as poller:
        poller._targets["a"].failures = 8
        poller._targets["a"].not_before = time.monotonic() + 300
        poller.reconfigure(fleet("a", "b", name="renamed"))
        await until(lambda: scene.outcomes("a") == [Outcome.OK])
        await asyncio.sleep(0.05)
        assert scene.starts["b"] == [], "a healthy one keeps its place in the spread"


async def test_never_two_scrapes_of_a_site_across_a_reload() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            raise

    scene = Field(manners={"a": stubborn})
    async with polling(scene, fleet("a", "b")) as poller:
        await until(lambda: scene.running["a"])
        for number in range(3):
            poller.reconfigure(fleet("a", "b", api_endpoint=f"http://n{number}.example.com"))
        poller.reconfigure(fleet("b"))
        del scene.manners["a"]
        poller.reconfigure(fleet("a", "b"))
        await until(lambda: scene.outcomes("a"))
    assert scene.most["a"] == 1


async def test_a_removed_site_is_forgotten_and_its_driver_closed() -> None:
    scene = Field(manners={"a": hang})
    async with polling(scene, fleet("a", "b")) as poller:
        await until(lambda: scene.running["a"])
        poller.reconfigure(fleet("b"))
        await until(lambda: scene.closed)
        seen = len(scene.starts["b"])
        await until(lambda: len(scene.starts["b"]) >= seen + 2)
    assert len(scene.starts["a"]) == 1
    assert scene.running["a"] == 0
    assert scene.closed[0] == "http://a.example.com"


async def test_an_added_site_is_polled_beside_the_others() -> None:
    scene = Field()
    async with polling(scene, fleet("a")) as poller:
        poller.reconfigure(fleet("a", "new"))
        await until(lambda: scene.outcomes("new"))


async def test_stopping_ends_scrapes_under_way_and_closes_every_driver() -> None:
    scene = Field(manners={f"h{n}": hang for n in range(5)})
    async with polling(scene, fleet(*scene.manners)):
        await until(lambda: sum(scene.running.values()) == 5)
    assert sum(scene.running.values()) == 0
    assert len(scene.closed) == 5
    assert scene.taken == []


async def test_jobs_of_the_service_run_inside_the_loop() -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    async with polling(Field(), fleet("a")) as poller:
        poller.every(0.02, lambda: loops.append(asyncio.get_running_loop()), "job")
        await until(lambda: len(loops) >= 2)
    assert set(loops) == {asyncio.get_running_loop()}


@pytest.mark.slow
@pytest.mark.parametrize("step", [3600.0, -3600.0])
async def test_a_step_of_the_clock_leaves_no_gap_and_no_double(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Field()

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=scene.step)

    monkeypatch.setattr(scheduler_base, "datetime", Stepped)
    interval = 1.0
    ids = [f"s{n}" for n in range(8)]
    async with polling(scene, fleet(*ids), interval=interval) as poller:
        job_runs: list[float] = []
        poller.every(interval, lambda: job_runs.append(time.monotonic()), "job")
        await until(lambda: all(len(scene.starts[s]) >= 2 for s in ids))
        scene.step = step
        seen = {s: len(scene.starts[s]) for s in ids}
        runs = len(job_runs)
        # APScheduler looks at its clock again, as it does whenever a job is added.
        poller._scheduler.wakeup()
        await until(lambda: all(len(scene.starts[s]) >= seen[s] + 2 for s in ids))
        await until(lambda: len(job_runs) > runs)
    for site in ids:
        starts = scene.starts[site]
        for earlier, later in pairwise(starts):
            # Half a turn early or late is right on a busy machine, a doubled or lost one is not.
            assert round((later - earlier) / interval) == 1
