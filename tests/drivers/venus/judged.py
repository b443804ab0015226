"""What the whole chain makes of a site: listener, driver, state, assessment."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from exporter.assess.assessment import FleetAssessment, SiteAssessment, assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from tests.drivers.bridge import (
    BATTERY,
    PREFIX,
    SYSTEM,
    VEBUS,
    Bridge,
    Clock,
    driver_for,
    site_trees,
)

INTERVAL = 10.0
Trees = dict[str, dict[str, Any]]
MAPPING = "ServiceMapping/com_victronenergy_"
SECOND = PREFIX + "battery.socketcan_can1"


class Judged:
    """A site that is polled every ten seconds of its own clock.

    Parameters
    ----------
    bridge : Bridge
        Its listener, running.
    options : mapping
        Keys of the site in the fleet file.
    """

    def __init__(self, bridge: Bridge, **options: Any) -> None:
        self.bridge = bridge
        self.clock = Clock()
        site = {"id": "alpha", "api_endpoint": bridge.url, **options}
        self.state = FleetState(Fleet.model_validate({"sites": [site]}), INTERVAL)
        self.snapshots: list[Snapshot] = []
        self._driver = driver_for(bridge.url, self.clock)

    async def __aenter__(self) -> Judged:
        self._open = await self._driver.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._driver.__aexit__(*error)

    async def scrape(
        self, times: int = 8, each: Callable[[SiteAssessment], None] | None = None
    ) -> SiteAssessment:
        """Scrape so many times; the judgement after the last, and of each to ``each``."""
        for _ in range(times):
            try:
                snapshot = await self._open.scrape()
            except ScrapeError as error:
                snapshot = Snapshot("alpha", self.clock.wall(), 0, error.outcome, error.detail)
            self.snapshots.append(snapshot)
            self.state.apply(snapshot, self.clock.monotonic())
            self.clock.advance(2)
            if each is not None:
                each(self.now)
            self.clock.advance(INTERVAL - 2)
        return self.now

    @property
    def fleet_now(self) -> FleetAssessment:
        return assess(self.state, self.clock.monotonic(), self.clock.wall())

    @property
    def now(self) -> SiteAssessment:
        """The judgement at this moment."""
        return self.fleet_now.site(0)


def codes(site: SiteAssessment) -> dict[str, str]:
    """Active issues of a site: code to severity."""
    return {issue.code: issue.severity for issue in site.issues}


def sentence(site: SiteAssessment, code: str) -> str:
    """The sentence of one active issue."""
    (found,) = (issue.sentence for issue in site.issues if issue.code == code)
    return found


def answered(judged: Judged) -> bool:
    """Whether every scrape was answered."""
    return all(s.outcome in (Outcome.OK, Outcome.PARTIAL) for s in judged.snapshots)


def plain_site() -> Trees:
    """A healthy site: one battery, one Multi on the grid."""
    trees = {name: site_trees()[name] for name in (SYSTEM, BATTERY, VEBUS)}
    for path in [p for p in trees[SYSTEM] if p.startswith(MAPPING)]:
        if trees[SYSTEM][path] not in trees:
            del trees[SYSTEM][path]
    trees[BATTERY]["Alarms/HighTemperature"] = 0
    trees[VEBUS] |= {"Alarms/L1/Overload": 0, "Mode": 3, "State": 3, "Connected": 1}
    trees[SYSTEM]["Ac/ActiveIn/Source"] = 1
    return trees


def with_second_battery(trees: Trees, instance: int, **values: Any) -> Trees:
    trees[SECOND] = trees[BATTERY] | {"DeviceInstance": instance} | values
    trees[SYSTEM][f"{MAPPING}battery_{instance}"] = SECOND
    trees[SYSTEM]["Batteries"] = [
        {"id": BATTERY, "instance": 256, "soc": 75.0},
        {"id": SECOND, "instance": instance, "soc": trees[SECOND]["Soc"], "voltage": 52.5},
    ]
    return trees


@contextlib.asynccontextmanager
async def judged(trees: Trees, **options: Any) -> AsyncIterator[Judged]:
    bridge = Bridge(trees)
    async with bridge.running(), Judged(bridge, **options) as site:
        yield site
