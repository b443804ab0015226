"""A fleet of fourteen sites in two countries with known faults, judged by the real scoring."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from exporter.ask.answerer import Answerer
from exporter.ask.language_model import LanguageModel
from exporter.ask.lookup import Directory
from exporter.assess.assessment import FleetAssessment, assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.snapshot import BatterySnapshot, Cells, Outcome, Snapshot
from exporter.serve.application import Server, make_app
from tests.assess.test_assessment import BATTERY, GRID

WALL = 1_773_844_200.0
"""2026-03-18 15:30 in Berlin, a Wednesday."""

_PLACES = {
    "Sevilla, Spain": ("iberia", "Europe/Madrid"),
    "Leipzig, Germany": ("central-europe", "Europe/Berlin"),
    "Zürich, Switzerland": ("alps", "Europe/Zurich"),
}
_SITES = (
    # id, name, place, battery, vendor, priority, tags, faults
    ("site_alpha", "Alpha", 0, "Pylontech US3000C", "Pylontech", "high", ["household"], "soh"),
    ("site_beta", "Beta", 1, "BYD LVS", "BYD", "high", ["warehouse"], "frequency"),
    ("site_gamma", "Gamma", 0, "EVE LF280K", "EVE", "medium", ["household"], "spread"),
    ("site_delta", "Delta", 0, "EVE LF280K", "EVE", "low", ["household"], "hot"),
    ("site_epsilon", "Epsilon", 1, "BYD LVS", "BYD", "medium", ["clinic"], "offline"),
    ("depot_north", "Depot North", 1, "BYD LVS", "BYD", "high", ["warehouse"], "grid_lost"),
    ("depot_south", "Depot South", 0, "BYD LVS", "BYD", "medium", ["warehouse"], ""),
    ("bakery-7", "Bäckerei „Müller“ 🥐", 2, "Pylontech US3000C", "Pylontech", "low", [], "soc"),
    ("farm-1", "<b>Farm</b> O'Brien", 2, "EVE LF280K", "EVE", "medium", ["farm"], ""),
    ("farm-2", "Farm Two", 2, "EVE LF280K", "EVE", "medium", ["farm"], "silent"),
    ("school", "School", 0, "EVE LF280K", "EVE", "medium", [], ""),
    ("clinic", "Clinic", 1, "EVE LF280K", "EVE", "high", ["clinic"], ""),
    ("harbour", "Harbour", 0, "Pylontech US3000C", "Pylontech", "low", [], ""),
    ("untried", "Untried", 1, "BYD LVS", "BYD", "low", [], "untried"),
)
_BATTERIES = {
    "soh": {"soh_percent": 68.0},
    "spread": {"cell_spread_v": 0.12},
    "hot": {"temperature_c": 47.0},
    "soc": {"soc_percent": 6.0},
}
_CELLS = Cells(("1", "7", "8"), (3.31, 3.20, 3.32), (24.0, math.nan, 25.0))
_GRIDS = {"frequency": {"grid_frequency_hz": 49.3}, "grid_lost": {"grid_connected": 0.0}}


def sample_fleet() -> Fleet:
    """The fleet file."""
    places = list(_PLACES)
    return Fleet.model_validate(
        {
            "sites": [
                {
                    "id": site,
                    "name": name,
                    "location": places[place],
                    "region": _PLACES[places[place]][0],
                    "timezone": _PLACES[places[place]][1],
                    "battery_type": battery,
                    "vendor": vendor,
                    "priority": priority,
                    "contact": {"name": "Maria", "phone": "+34 123 456"},
                    "tags": tags,
                    "solar_capacity_kw": 10,
                    "capacity_kwh": 20,
                    "api_endpoint": f"http://{site}.example.com",
                }
                for site, name, place, battery, vendor, priority, tags, _ in _SITES
            ]
        }
    )


def judged() -> FleetAssessment:
    """Its Assessment."""
    state = FleetState(sample_fleet(), 10.0)
    for number, (site, *_, fault) in enumerate(_SITES):
        if fault == "untried":
            continue
        if fault == "offline":
            state.apply(Snapshot(site, WALL, 2.0, Outcome.TIMEOUT, "gave up"), 1000.0)
            continue
        battery = BATTERY | {"soh_percent": 92.0 + number / 4, "power_w": 100.0 * (number - 5)}
        readings = GRID | {"pv_power_w": 1000.0 + 10 * number, "grid_power_w": 50.0 * (number - 7)}
        state.apply(
            Snapshot(
                site=site,
                time=WALL - 1,
                duration=0.1 + number / 100,
                outcome=Outcome.OK,
                readings=readings | _GRIDS.get(fault, {}),
                batteries=()
                if fault == "silent"
                else (
                    BatterySnapshot(
                        *("battery/0", True, battery | _BATTERIES.get(fault, {})),
                        cells=_CELLS if fault == "spread" else None,
                    ),
                ),
            ),
            1000.0,
        )
    return assess(state, 1001.0, WALL)


@pytest.fixture(scope="session")
def assessment() -> FleetAssessment:
    return judged()


@pytest.fixture(scope="session")
def directory(assessment: FleetAssessment) -> Directory:
    return Directory(assessment.fleet)


@pytest.fixture
def answerer(assessment: FleetAssessment) -> Answerer:
    return Answerer(lambda: assessment)


@contextlib.contextmanager
def serving(assessment: FleetAssessment, model: LanguageModel | None = None) -> Iterator[str]:
    """The real application over a fleet, on a real socket, without an InfluxDB."""
    app = make_app(lambda: assessment, lambda: None, CollectorRegistry(), model=model)
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(app, "127.0.0.1", 0)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


@pytest.fixture(scope="session")
def url(assessment: FleetAssessment) -> Iterator[str]:
    with serving(assessment) as address:
        yield address
