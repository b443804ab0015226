"""What a reader keeps from scrape to scrape: Snapshots are those of one that makes all anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from exporter.drivers.base import DriverContext
from exporter.drivers.transport.http.json_client import NotFoundError
from exporter.drivers.venus.ac_input import AcInput
from exporter.drivers.venus.ac_sources import AcSources
from exporter.drivers.venus.derived import Derived
from exporter.drivers.venus.http_driver import BUDGET, VenusHttpOptions
from exporter.drivers.venus.readings import Collector
from exporter.drivers.venus.site_reader import SiteReader
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot

PREFIX = "com.victronenergy."
SYSTEM = f"{PREFIX}system"
NAMES = (
    "battery.ttyO0",
    "battery.ttyO1",
    "vebus.ttyS4",
    "grid.cg0",
    "solarcharger.ttyS2",
    "solarcharger.ttyS5",
    "pvinverter.p1",
)


class Site:
    """Trees of a site, of which something changes now and then."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.trees: dict[str, dict[str, Any]] = {}
        self.mapped: list[str] = []
        self.failing: dict[str, ScrapeError] = {}
        for name in rng.sample(NAMES, rng.randrange(1, len(NAMES))):
            self._plug(name)

    def _plug(self, name: str) -> None:
        rng, service = self._rng, PREFIX + name
        self.trees[service] = {
            "DeviceInstance": rng.choice((0, 1, 276, 512)),
            "Connected": rng.choice((1, 1, 1, 1, 0)),
            "State": rng.choice((3, 9, 9, 18)),
            "Soc": 50.0,
            "InstalledCapacity": rng.choice(([], 300.0)),
            "Capacity": rng.choice(([], None, 200.0)),
            "Ac/ActiveIn/L1/V": 230.0,
            "Ac/ActiveIn/L1/F": 50.0,
            "Ac/L1/Voltage": 230.0,
            "Ac/Power": 100.0,
            "Alarms/GridLost": rng.choice((0, 1, 2, [])),
            "Alarms/LowSoc": 0,
            "ErrorCode": rng.choice((0, 1, 17, 99)),
            "Mode": rng.choice((1, 3, 4)),
            **{f"Voltages/Cell{n}": 3.3 for n in range(rng.choice((0, 4)))},
        }
        if rng.random() < 0.8:
            self.mapped.append(service)

    def step(self) -> None:
        """Change numbers, and sometimes more."""
        rng = self._rng
        self.failing.clear()
        for tree in self.trees.values():
            for path in ("Soc", "Ac/ActiveIn/L1/V", "Voltages/Cell1"):
                if isinstance(tree.get(path), float):
                    tree[path] = round(tree[path] * rng.uniform(0.99, 1.01), 3)
        services = list(self.trees)
        match rng.randrange(12) if services else 0:
            case 0:
                self._plug(rng.choice(NAMES))
            case 1:
                gone = rng.choice(services)
                del self.trees[gone]
                self.mapped = [s for s in self.mapped if s != gone or rng.random() < 0.3]
            case 2:
                tree = self.trees[rng.choice(services)]
                tree[rng.choice(list(tree))] = rng.choice((0, 1, [], None, True, "7", [1], 18))
            case 3:
                outcome = rng.choice((Outcome.TIMEOUT, Outcome.MALFORMED, Outcome.REFUSED))
                self.failing[rng.choice((*services, SYSTEM))] = ScrapeError(outcome, "as the test")
            case 4:
                rng.shuffle(self.mapped)

    def system(self) -> dict[str, Any]:
        """The system tree."""
        batteries = [s for s in self.trees if ".battery." in s]
        return {
            "Serial": "c0619ab00001",
            "SystemType": "ESS",
            "Ac/ActiveIn/Source": 1,
            "Dc/Battery/Soc": 51.0,
            "Dc/Battery/BatteryService": batteries[0] if batteries else [],
            "Batteries": [{"id": s, "instance": 7, "soc": 40.0} for s in batteries[1:]],
            **{
                f"ServiceMapping/{'_'.join(s.split('.')[:3])}_{n}": s
                for n, s in enumerate(self.mapped)
            },
        }

    async def get_json(
        self, path: str, params: dict[str, str], *, patience_seconds: float | None = None
    ) -> Any:
        """See :class:`exporter.drivers.venus.scrape.Bridge`."""
        if path == "/services":
            return {"services": [SYSTEM, *self.trees]}
        if path == "/health":
            return {}
        service = params["service"]
        if service in self.failing:
            raise self.failing[service]
        if service == SYSTEM:
            return {"value": self.system()}
        if service not in self.trees or params["path"] != "/":
            raise NotFoundError("as the test")
        return {"value": dict(self.trees[service])}


class Anew(Derived[Any]):
    """Makes its value each time."""

    def of(self, made_of: tuple[Any, ...], make: Callable[..., Any]) -> Any:
        return make(*made_of)


def make_anew(reader: SiteReader) -> SiteReader:
    """The reader, keeping nothing that can be made anew."""
    reader._is_taken = lambda *_: False  # type: ignore[method-assign]
    for name, value in vars(reader).items():
        if isinstance(value, Derived):
            setattr(reader, name, Anew(value._value))
    return reader


async def outcome_of(reader: SiteReader) -> Snapshot | tuple[Outcome, str]:
    try:
        return await reader.scrape()
    except ScrapeError as error:
        return error.outcome, error.detail


@pytest.mark.parametrize("seed", range(4))
async def test_a_reader_that_keeps_what_did_not_change_finds_the_same(seed: int) -> None:
    taken = [kept for part in range(10) for kept in await compared(10 * seed + part)]
    assert any(taken)
    assert not all(taken)


async def compared(seed: int) -> list[bool]:
    """Compare both readers of a site; returns whether one of them kept the mapping, by scrape."""
    rng = random.Random(seed)
    site, clock = Site(rng), [0.0]
    context = DriverContext(None, lambda: clock[0], lambda: clock[0])  # type: ignore[arg-type]
    options = VenusHttpOptions.model_validate({})
    keeping = SiteReader("alpha", site, options, context, BUDGET)
    anew = make_anew(SiteReader("alpha", site, options, context, BUDGET))
    taken: list[bool] = []
    is_taken = keeping._is_taken

    def noted(*given: Any) -> bool:
        taken.append(is_taken(*given))
        return taken[-1]

    keeping._is_taken = noted  # type: ignore[method-assign]
    for _ in range(60):
        site.step()
        clock[0] += rng.choice((10.0, 10.0, 10.0, 700.0))
        first, second = await outcome_of(keeping), await outcome_of(anew)
        # NaN is not equal to itself.
        assert repr(first) == repr(second)
    return taken


class Devices(dict[str, AcInput]):
    """Devices that are none, judged as if there were some."""

    def __bool__(self) -> bool:
        return True


@pytest.mark.parametrize("seed", range(20))
def test_a_site_without_a_device_on_the_grid_is_judged_as_by_the_whole_walk(seed: int) -> None:
    rng = random.Random(seed)
    quick, whole = AcSources(), AcSources()
    for _ in range(30):
        system = {
            "Ac/ActiveIn/Source": rng.choice((0, 1, 2, 3, 240, [], "2", True)),
            "Ac/In/0/Source": rng.choice((0, 1, 2, 3, 240)),
            "Ac/In/NumberOfAcInputs": rng.choice((0, 1, 2)),
            "SystemType": rng.choice(("ESS", "Hub-1")),
        }
        found: list[tuple[str, str]] = []
        if rng.random() < 0.5:
            quick.learn(system)
            whole.learn(system)
        if rng.random() < 0.1:
            quick._frequencies = [50.0, 50.1, 50.2, 50.3, 50.4]
            whole._frequencies = quick._frequencies.copy()
        for sources, devices in ((quick, {}), (whole, Devices())):
            into = Collector("site", "system")
            notices = sources.judge(system, [f"{PREFIX}battery.ttyO0"], devices, into)
            found.append((repr(into.readings), repr((notices, into.implausible))))
        assert found[0] == found[1]
