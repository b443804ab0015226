"""Templates of the user: mistakes with their places, and what values mean."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.base import DriverContext, read_snapshot
from exporter.drivers.template.json_path import look_up, parse_path
from exporter.drivers.template.template_file import load_template, parse_template
from exporter.drivers.transport import Transports
from exporter.drivers.ways_in import open_driver
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from tests.drivers.bridge import Clock, unused_url
from tests.drivers.json_peer import JsonPeer
from tests.drivers.modbus_peers import pymodbus_server
from tests.drivers.template.opened import driver_at

HEAD = """template: box
title: A box
gives: battery
transport: {transport}
source: its manual
switch_on: nothing
"""
HTTP = HEAD.format(transport="http")
MODBUS = HEAD.format(transport="modbus")


def mistakes(text: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        parse_template(text, Path("box.yaml"))
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            HTTP + "requests: {s: /s}\nreadings:\n  - {quantity: soc, path: a}\n",
            ["line 9, column 6: readings[0].quantity: soc: no such quantity; docs/glossary.md has "
             "their names"],
        ),
        (
            HTTP + "requests: {s: /s}\nreadings:\n  - {quantity: soc_percent, paht: a}\n",
            ["line 9, column 29: readings[0].paht: unknown key; did you mean path?"],
        ),
        (
            HTTP + "requests: {s: /s}\nreadings:\n  - {quantity: soc_percent}\n",
            ["line 9, column 5: readings[0]: expected a path"],
        ),
        (
            HTTP + "readings:\n  - {quantity: soc_percent, path: a..b}\n",
            ["line 8, column 29: readings[0].path: a..b: expected keys and numbers with points "
             "between, such as a.b.0.c"],
        ),
        (
            HTTP + "readings:\n  - {quantity: soc_percent, path: a}\n",
            ["line 1, column 1: requests: is missing; a template over http has at least one"],
        ),
        (
            HTTP + "requests: {s: '/s/${id}'}\nreadings:\n  - {quantity: soc_percent, path: a}\n",
            ["line 7, column 12: requests.s: no such parameter id; one of: none"],
        ),
        (
            HTTP + "requests: {s: /s}\nreadings:\n  - {quantity: soc_percent, register: 3}\n",
            ["line 9, column 5: readings[0]: a template over http has paths"],
        ),
        (
            HTTP + "requests: {s: /s}\nreadings:\n  - {quantity: soc_percent, request: t, path: a}"
            "\n",
            ["line 9, column 5: readings[0]: request: no such request; one of: s"],
        ),
        (
            MODBUS + "readings:\n  - {quantity: soc_percent, register: 70000, type: u15}\n",
            [
                "line 8, column 29: readings[0].register: 70000: expected 65535 or less",
                "line 8, column 46: readings[0].type: u15: expected one of 'u16', 'i16', 'u32', "
                "'i32', 'u64', 'i64', 'f32' or 'f64'",
            ],
        ),
        (
            MODBUS + "readings:\n  - {quantity: soc_percent, register: 1}\n"
            "  - {quantity: soc_percent, register: 2}\n",
            ["line 9, column 6: readings[1].quantity: is given twice"],
        ),
        (
            MODBUS + "readings:\n  - {quantity: grid_power_w, register: 1, device: battery/1}\n",
            ["line 8, column 43: readings[0].device: is given for a quantity of the site, which "
             "has no device"],
        ),
        ("template: [a\n", ["line 2, column 1: not YAML: did not find expected ',' or ']'"]),
        ("- a\n", ["line 1, column 1: expected a mapping"]),
    ],
)  # fmt: skip
def test_mistakes_of_a_template_have_their_place(text: str, expected: list[str]) -> None:
    assert mistakes(text) == expected


def fleet_mistakes(folder: Path, *lines: str) -> list[str]:
    body = "".join(f"    {line}\n" for line in lines)
    text = f"sites:\n  - id: a\n    driver: template\n{body}"
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, folder / "fleet.yaml", DRIVERS)
    return [mistake.message for mistake in caught.value.mistakes]


def test_mistakes_of_a_site_with_a_template(tmp_path: Path) -> None:
    at = "api_endpoint: http://192.0.2.1"
    assert fleet_mistakes(tmp_path, at, "template: shelly-3m")[0].startswith(
        "shelly-3m: no such template; did you mean shelly-3em?"
    )
    assert fleet_mistakes(tmp_path, at, "template: home-assistant") == [
        "a mapping: parameters: the parameter soc is missing: Entity of the state of charge in "
        "percent"
    ]
    assert fleet_mistakes(tmp_path, at, "template: huawei-sun2000") == [
        "huawei-sun2000: needs an api_endpoint with modbus"
    ]
    (tmp_path / "box.yaml").write_text(HTTP + "requests: {s: /s}\nreadings: []\n", "utf-8")
    assert fleet_mistakes(tmp_path, at, "template: box.yaml") == [
        "box.yaml: line 8, column 1: readings: is empty; expected at least one reading"
    ]


def test_a_template_of_the_user_is_relative_to_the_fleet_file(tmp_path: Path) -> None:
    own = MODBUS + "readings:\n  - {quantity: soc_percent, register: 1}\n"
    (tmp_path / "box.yaml").write_text(own, "utf-8")
    text = (
        "sites: [{id: a, driver: template, api_endpoint: 'modbus://192.0.2.1', template: box.yaml}]"
    )
    (site,) = parse_fleet(text, tmp_path / "fleet.yaml", DRIVERS).sites
    assert load_template(site.options.template, Path()).template == "box"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", 1),
        ("l.1", 20),
        ("[k=y].v", None),
        ("o.[k=y].v", 2),
        ('"p.q".r', 3),
        ("a.b.c", None),
        ("l.9", None),
        ("l.99999999", None),
    ],
)
def test_paths(path: str, expected: Any) -> None:
    document = {
        "a": {"b": 1},
        "l": [10, 20],
        "o": [{"k": "x"}, {"k": "y", "v": 2}],
        "p.q": {"r": 3},
    }
    assert look_up(document, parse_path(path)) == expected


async def read(text: str, tmp_path: Path, clock: Clock, document: Any) -> Snapshot:
    (tmp_path / "box.yaml").write_text(text, "utf-8")
    peer = JsonPeer({"/s": document})
    async with (
        peer.running(),
        driver_at(peer.url, clock, template=str(tmp_path / "box.yaml")) as driver,
    ):
        return await driver.scrape()


VALUES = (
    HTTP
    + """requests: {s: /s}
readings:
  - {quantity: soc_percent, path: soc, missing: [255, n/a]}
  - {quantity: temperature_c, path: kelvin, offset: -273.15}
  - {quantity: power_w, path: power, scale: -1000}
  - {quantity: grid_connected, path: grid, values: {on: 1, off: 0, "true": 1}}
  - quantity: load_power_w
    sum: [{path: l1}, {path: l2, optional: true}]
alarms:
  - {alarm: Hot, path: state, values: {ok: 0, warn: 1, hot: 2}}
"""
)


async def test_scales_sentinels_and_enumerations(tmp_path: Path, clock: Clock) -> None:
    document = {"soc": 71, "kelvin": 298.15, "power": 1.25, "grid": "on", "l1": 5, "state": "hot"}
    snapshot = await read(VALUES, tmp_path, clock, document)
    (pack,) = snapshot.batteries
    assert pack.readings == {"soc_percent": 71, "temperature_c": 25, "power_w": -1250}
    assert snapshot.readings == {"grid_connected": 1, "load_power_w": 5}
    assert snapshot.alarms == {"battery/0": {"Hot": 2}}
    document |= {"soc": 255, "kelvin": None, "power": "broken", "grid": "maybe", "l2": 6}
    snapshot = await read(VALUES, tmp_path, clock, document | {"state": "odd"})
    (pack,) = snapshot.batteries
    assert all(math.isnan(value) for value in pack.readings.values())
    assert snapshot.readings["load_power_w"] == 11
    assert math.isnan(snapshot.readings["grid_connected"])
    assert snapshot.alarms == {}
    given = {(i.quantity, i.given) for i in snapshot.implausible}
    assert given == {("power_w", 'text "broken"'), ("grid_connected", 'text "maybe"')}


async def test_a_missing_part_of_a_sum_makes_it_missing(tmp_path: Path, clock: Clock) -> None:
    snapshot = await read(VALUES, tmp_path, clock, {"soc": 71, "l2": 6})
    assert math.isnan(snapshot.readings["load_power_w"])


async def test_a_device_of_another_kind_is_malformed(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(ScrapeError) as caught:
        await read(VALUES, tmp_path, clock, {"hello": "world"})
    assert caught.value.outcome is Outcome.MALFORMED
    assert caught.value.detail == "answers, and has no value that the template box names"


async def test_one_failed_request_loses_only_its_readings(clock: Clock) -> None:
    power = {"total_act_power": 100, "a_voltage": 230, "a_freq": 50}
    peer = JsonPeer({"/rpc/EM.GetStatus?id=0": power})
    async with (
        peer.running(),
        driver_at(peer.url, clock, template="shelly-pro-3em") as driver,
    ):
        snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.PARTIAL
    assert snapshot.detail == "GET /rpc/EMData.GetStatus?id=0: status 404"
    assert snapshot.readings["grid_power_w"] == 100
    assert "grid_import_kwh" not in snapshot.readings
    assert "authorization: bearer secret" in peer.headers[0].lower()


async def test_failures_have_their_outcome(clock: Clock) -> None:
    async with driver_at(unused_url(), clock, template="shelly-3em") as driver:
        with pytest.raises(ScrapeError) as caught:
            await driver.scrape()
    assert caught.value.outcome is Outcome.REFUSED
    peer = JsonPeer({}, raw={"/status": b'{"total_power": 12'})
    async with peer.running(), driver_at(peer.url, clock, template="shelly-3em") as driver:
        with pytest.raises(ScrapeError) as caught:
            await driver.scrape()
    assert caught.value.outcome is Outcome.TRUNCATED


async def test_another_device_is_not_taken(clock: Clock) -> None:
    peer = JsonPeer({"/status": {"mac": "A", "total_power": 1}})
    async with (
        peer.running(),
        driver_at(peer.url, clock, template="shelly-3em", serial="B") as driver,
    ):
        with pytest.raises(ScrapeError) as caught:
            await driver.scrape()
    assert "another device answers: it gives serial number A, not B" in caught.value.detail


async def test_units_of_one_device(tmp_path: Path, clock: Clock) -> None:
    """Rows of several units and functions; a unit that is dead loses only its own."""
    text = MODBUS + (
        "readings:\n  - {quantity: soc_percent, register: 5, scale: 0.1}\n"
        "  - {quantity: grid_power_w, register: 7, type: i16, unit: 30, function: input}\n"
    )
    (tmp_path / "box.yaml").write_text(text, "utf-8")
    path = str(tmp_path / "box.yaml")
    async with pymodbus_server({4: {5: 505}, 30: {7: 0xFFF6}}) as port:
        url = f"modbus://127.0.0.1:{port}"
        async with driver_at(url, clock, template=path, unit=4) as driver:
            snapshot = await driver.scrape()
            assert snapshot.batteries[0].readings["soc_percent"] == 50.5
            assert snapshot.readings["grid_power_w"] == -10
        async with driver_at(url, clock, template=path, unit=5) as driver:
            snapshot = await driver.scrape()
            assert snapshot.outcome is Outcome.PARTIAL
            assert snapshot.readings["grid_power_w"] == -10
            assert snapshot.batteries == ()


async def test_the_modbus_driver_takes_a_map_of_the_user(tmp_path: Path, clock: Clock) -> None:
    own = MODBUS + "unit: 9\nreadings:\n  - {quantity: soc_percent, register: 5, scale: 0.1}\n"
    (tmp_path / "box.yaml").write_text(own, "utf-8")
    async with pymodbus_server({9: {5: 505}}) as port:
        text = (
            f"sites:\n  - {{id: a, driver: modbus-tcp, api_endpoint: 'modbus://127.0.0.1:{port}', "
            "modbus: {map: box.yaml}}\n"
        )
        (site,) = parse_fleet(text, tmp_path / "fleet.yaml", DRIVERS).sites
        context = DriverContext(Transports(None), clock.wall, clock.monotonic)  # type: ignore[arg-type]
        driver = open_driver(site, DRIVERS, context)
        snapshot = await read_snapshot(driver)
        await driver.close()
    assert snapshot.batteries[0].readings["soc_percent"] == 50.5
    (tmp_path / "box.yaml").write_text(own.replace("0.1", "'0.1'"), "utf-8")
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, tmp_path / "fleet.yaml", DRIVERS)
    assert caught.value.mistakes[0].message == (
        "box.yaml: line 9, column 42: readings[0].scale: expected a number, without quotes"
    )
