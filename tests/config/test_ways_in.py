"""Several ways in to one site: what is taken, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.sunspec.sunspec_driver import SunSpecOptions
from exporter.drivers.venus.scrape import VenusOptions

MQTT = "{driver: venus-mqtt, api_endpoint: 'mqtt://192.0.2.1', portal: c0619ab12345}"
HTTP = "{driver: venus-http, api_endpoint: 'http://192.0.2.1:8088', serial: c0619ab12345}"


def parsed(*ways: str, more: str = "") -> Fleet:
    lines = "".join(f"      - {way}\n" for way in ways)
    text = f"sites:\n  - id: a\n{more}    drivers:\n{lines}"
    return parse_fleet(text, Path("f.yaml"), DRIVERS)


def mistakes(*ways: str, more: str = "") -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        parsed(*ways, more=more)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_the_first_way_is_the_driver_of_the_site() -> None:
    site = parsed(MQTT, HTTP).sites[0]
    assert (site.driver, site.api_endpoint) == ("venus-mqtt", "mqtt://192.0.2.1")
    assert [way.driver for way in site.ways] == ["venus-mqtt", "venus-http"]
    assert site.way_names == ("venus-mqtt", "venus-http")
    assert site.ways[1].options is not None
    assert isinstance(site.options_of(VenusOptions), VenusOptions)
    assert site.options_of(SunSpecOptions) is None
    assert site.options is site.ways[0].options


def test_two_ways_of_one_driver_have_numbers() -> None:
    other = HTTP.replace("8088", "8089")
    assert parsed(HTTP, other).sites[0].way_names == ("venus-http-1", "venus-http-2")


def test_the_short_form_is_one_way() -> None:
    text = "sites:\n  - {id: a, api_endpoint: 'http://192.0.2.1:8088', serial: X1}\n"
    site = parse_fleet(text, Path("f.yaml"), DRIVERS).sites[0]
    (way,) = site.ways
    assert (way.driver, way.api_endpoint) == ("venus-http", "http://192.0.2.1:8088")
    assert way.options is site.options
    assert way.identity == site.identity


@pytest.mark.parametrize(
    ("ways", "more", "expected"),
    [
        (
            [HTTP.replace("serial", "seril")],
            "",
            "line 4, column 69: sites[0].drivers[0].seril: unknown key; did you mean serial?",
        ),
        (
            [MQTT, HTTP.replace("serial", "portal")],
            "",
            "line 5, column 69: sites[0].drivers[1].portal: is an option of the driver venus-mqtt, "
            "not of this one",
        ),
        (
            ["{driver: venus-mqtt, api_endpoint: 'mqtt://192.0.2.1', portal: []}"],
            "",
            "line 4, column 64: sites[0].drivers[0].portal: an empty list: expected text",
        ),
        (
            ["{driver: venus-htp, api_endpoint: 'http://192.0.2.1'}"],
            "",
            "line 4, column 10: sites[0].drivers[0].driver: venus-htp: no such driver; one of: "
            + ", ".join(sorted(DRIVERS)),
        ),
        (
            [MQTT, "{driver: venus-http}"],
            "",
            "line 5, column 9: sites[0].drivers[1].api_endpoint: is missing; it is required",
        ),
        (
            [MQTT.replace("mqtt://", "http://")],
            "",
            "line 4, column 30: sites[0].drivers[0].api_endpoint: the site's driver needs an "
            "endpoint with mqtt or mqtts",
        ),
        (
            [HTTP, HTTP],
            "",
            "line 5, column 9: sites[0].drivers[1]: is the same as drivers[0]",
        ),
        (
            [HTTP],
            "    api_endpoint: http://192.0.2.2\n",
            "line 3, column 5: sites[0].api_endpoint: is given beside drivers; put it into the "
            "entry that it belongs to",
        ),
        (
            [HTTP],
            "    serial: X1\n",
            "line 3, column 5: sites[0].serial: is given beside drivers; put it into the entry "
            "that it belongs to",
        ),
    ],
)
def test_a_mistake_has_its_place(ways: list[str], more: str, expected: str) -> None:
    assert expected in mistakes(*ways, more=more)


def test_a_list_without_ways_is_refused() -> None:
    text = "sites:\n  - id: a\n    drivers: []\n"
    with pytest.raises(FleetFileError, match=r"sites\[0\]\.drivers: expected at least one way in"):
        parse_fleet(text, Path("f.yaml"), DRIVERS)
