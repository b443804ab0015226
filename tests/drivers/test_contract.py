"""A driver is one class and one line in a registry: checked, documented, polled."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from exporter.cli.reference import driver_options
from exporter.collect.poller import Poller
from exporter.config import isolated_reader
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.base import DriverContext, Pollable, Registry, Subscribed, Writable
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.model.snapshot import Snapshot
from tests.drivers.toy import ToyOptions, ToyPolled, ToySubscribed

REGISTRY: Registry = {
    "venus-http": DRIVERS["venus-http"],
    "toy": ToyPolled,
    "toy-mqtt": ToySubscribed,
}
FLEET = """sites:
  - {id: asked, api_endpoint: 'toy://192.0.2.1:502', driver: toy, unit: 42}
  - {id: sends, api_endpoint: 'toy://192.0.2.2:502', driver: toy-mqtt, unit: 7, dialect: terse}
  - {id: bridge, api_endpoint: 'http://192.0.2.3:8088', serial: c0619ab00001}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path("fleet.yaml"), REGISTRY)
    return [str(mistake) for mistake in caught.value.mistakes]


def site(*lines: str) -> str:
    return "sites:\n  - id: a\n" + "".join(f"    {line}\n" for line in lines)


def test_each_site_has_the_options_of_its_driver() -> None:
    asked, sends, bridge = parse_fleet(FLEET, Path("fleet.yaml"), REGISTRY).sites
    assert asked.options == ToyOptions(unit=42)
    assert sends.options == ToyOptions(unit=7, dialect="terse")
    assert type(bridge.options) is DRIVERS["venus-http"].options


def test_options_cross_to_the_process_that_reads_a_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET, "utf-8")
    assert isolated_reader.read(path, REGISTRY) == parse_fleet(FLEET, path, REGISTRY)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["api_endpoint: toy://192.0.2.1", "driver: toy", "unit: 300"],
            "line 5, column 5: sites[0].unit: 300: expected 247 or less",
        ),
        (
            ["api_endpoint: toy://192.0.2.1", "driver: toy"],
            "line 2, column 5: sites[0].unit: is missing; it is required",
        ),
        (
            ["api_endpoint: toy://192.0.2.1", "driver: toy", "unit: 1", "dialekt: terse"],
            "line 6, column 5: sites[0].dialekt: unknown key; did you mean dialect?",
        ),
        (
            ["api_endpoint: toy://192.0.2.1", "driver: toy", "unit: 1", "serial: c06"],
            "line 6, column 5: sites[0].serial: is an option of the driver venus-http, not "
            "of this one",
        ),
        (
            ["api_endpoint: http://192.0.2.1", "driver: toy", "unit: 1"],
            "line 3, column 5: sites[0].api_endpoint: the site's driver needs an endpoint with toy",
        ),
        (
            ["api_endpoint: http://192.0.2.1", "unit: 1"],
            "line 4, column 5: sites[0].unit: is an option of the driver toy and toy-mqtt, not of "
            "this one",
        ),
        (
            ["api_endpoint: toy://192.0.2.1", "driver: toi", "unit: 300", "serial: c06"],
            "line 4, column 5: sites[0].driver: toi: no such driver; one of: toy, toy-mqtt, "
            "venus-http",
        ),
    ],
)
def test_mistakes_in_options_have_their_place(lines: list[str], expected: str) -> None:
    assert mistakes(site(*lines)) == [expected]


def test_the_document_shows_each_driver_with_its_options() -> None:
    text = "\n".join(driver_options(REGISTRY))
    assert "### `toy-mqtt`" in text
    assert "A toy that sends. Its `api_endpoint` begins with `toy://`." in text
    assert "| `unit` | number, from 1 to 247 | required | Number of the device on its bus |" in text
    assert "| `dialect` | text | `plain` | Words that the device uses |" in text


async def test_sites_of_both_kinds_are_polled_and_let_go() -> None:
    taken: list[Snapshot] = []
    fleet = parse_fleet(FLEET, Path("fleet.yaml"), REGISTRY)
    fleet = fleet.model_copy(update={"sites": fleet.sites[:2]})
    async with HttpClient() as http:
        context = DriverContext(Transports(HttpTransport(http)), time.time, time.monotonic)
        poller = Poller(REGISTRY, context, taken.append, 0.1, random.Random(1))
        poller.start(fleet)
        sender = poller._targets["sends"].driver
        try:
            async with asyncio.timeout(120):
                while len({s.site for s in taken if s.outcome.answered}) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            await poller.stop()
    asked = next(s for s in taken if s.site == "asked")
    assert asked.readings == {"grid_power_w": 42}
    assert isinstance(sender, ToySubscribed)
    assert sender.subscriptions == 0


def test_every_driver_says_what_it_can() -> None:
    for driver in (*DRIVERS.values(), *REGISTRY.values()):
        assert issubclass(driver, Pollable) != issubclass(driver, Subscribed)
        assert driver.summary.endswith(".")
        assert all(info.description for info in driver.options.model_fields.values())
    assert issubclass(ToyPolled, Writable)
    assert not issubclass(ToySubscribed, Writable)
