"""Values and codes of devices in the field, judged by the whole chain."""

from __future__ import annotations

import math

import pytest

from tests.drivers.bridge import BATTERY, PREFIX, PVINVERTER, SYSTEM, VEBUS
from tests.drivers.venus.judged import MAPPING, codes, judged, plain_site, sentence


async def test_a_healthy_site_has_no_issue() -> None:
    async with judged(plain_site()) as site:
        assert codes(await site.scrape()) == {}


# "Not available" written as a number


NOT_AVAILABLE = [
    ("Soh", 0, "soh_percent"),
    ("Soh", -1, "soh_percent"),
    ("Soc", 255, "soc_percent"),
    ("Soc", 6553.5, "soc_percent"),
    ("Dc/0/Temperature", -40, "temperature_c"),
    ("Dc/0/Temperature", -273.1499939, "temperature_c"),
    ("Dc/0/Temperature", 3276.7, "temperature_c"),
    ("System/MaxCellTemperature", 32767, "cell_max_temperature_c"),
    ("System/MinCellVoltage", 65.535, "cell_min_v"),
    ("TimeToGo", 864000.0625, "time_to_go_s"),
    ("TimeToGo", 863999.9375, "time_to_go_s"),
    ("Dc/0/Voltage", 655.35, "voltage_v"),
    ("Dc/0/Current", -3276.8, "current_a"),
    ("History/ChargeCycles", 65535, "cycles"),
    ("History/ChargedEnergy", 6553.5, "charged_kwh"),
    ("Info/MaxChargeCurrent", 65535, "charge_limit_a"),
    ("Capacity", 0, "capacity_ah"),
]


@pytest.mark.parametrize(("path", "value", "name"), NOT_AVAILABLE)
async def test_a_number_that_means_no_value_is_no_reading(
    path: str, value: float, name: str
) -> None:
    trees = plain_site()
    trees[BATTERY][path] = value
    # The system tree repeats what the battery says.
    for own in ("Soc", "Voltage", "Current", "Temperature", "TimeToGo", "Capacity"):
        if path.endswith(own):
            trees[SYSTEM][f"Dc/Battery/{own}"] = value
    async with judged(trees) as site:
        found = await site.scrape()
        battery = site.snapshots[-1].batteries[0]
    assert math.isnan(battery.readings[name])
    assert site.snapshots[-1].implausible == ()
    assert set(codes(found)) <= {"battery_silent"}


@pytest.mark.parametrize(
    ("path", "value"), [("Soc", 0), ("Dc/0/Current", -1), ("Dc/0/Temperature", -1), ("Soh", 1)]
)
async def test_a_number_that_may_be_a_reading_is_one(path: str, value: float) -> None:
    trees = plain_site()
    trees[BATTERY][path] = value
    async with judged(trees) as site:
        await site.scrape(1)
        assert value in site.snapshots[-1].batteries[0].readings.values()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("Dc/0/Temperature", 296.4, "temperature_c 296.4 of battery/256 (looks like kelvin)"),
        ("System/MaxCellVoltage", 3312, "cell_max_v 3312 of battery/256 (looks like millivolts)"),
    ],
)
async def test_another_unit_is_named_and_not_converted(path: str, value: float, said: str) -> None:
    trees = plain_site()
    trees[BATTERY][path] = value
    async with judged(trees) as site:
        found = await site.scrape()
    assert said in sentence(found, "implausible_reading")
    assert found.status.name == "HEALTHY"


# Codes


@pytest.mark.parametrize(
    ("tree", "expected", "said"),
    [
        ({"ErrorCode": 306, "StatusCode": 8}, {}, ""),
        ({"ErrorCode": 509}, {}, ""),
        ({"ErrorCode": 102}, {"device_warning": "info"}, "ErrorCode 102, grid voltage too high"),
        ({"ErrorCode": 408}, {"device_alarm": "critical"}, "ErrorCode 408, DC injected"),
        ({"ErrorCode": 9999}, {"device_warning": "info"}, "ErrorCode 9999, unknown code"),
        ({"StatusCode": 10}, {"device_alarm": "critical"}, "StatusCode 10, error"),
    ],
)
async def test_codes_of_a_pv_inverter(
    tree: dict[str, int], expected: dict[str, str], said: str
) -> None:
    trees = plain_site()
    trees[PVINVERTER] = {"DeviceInstance": 32, "Ac/Power": 0.0, **tree}
    trees[SYSTEM][f"{MAPPING}pvinverter_32"] = PVINVERTER
    async with judged(trees) as site:
        found = await site.scrape()
    assert codes(found) == expected
    assert all(f"{said}" in issue.sentence for issue in found.issues)


@pytest.mark.parametrize(
    ("service", "path", "value", "expected"),
    [
        (VEBUS, "State", 2, {"device_alarm": "critical"}),
        (VEBUS, "Mode", 4, {"device_state": "info"}),
        (VEBUS, "VebusError", 17, {"device_alarm": "critical"}),
        (VEBUS, "State", 244, {}),
        (BATTERY, "State", 10, {"device_alarm": "critical"}),
        (BATTERY, "State", 14, {"device_state": "info"}),
        (SYSTEM, "Dvcc/Alarms/MultipleBatteries", 1, {}),
        (SYSTEM, "Dvcc/Alarms/FirmwareInsufficient", 1, {"device_warning": "info"}),
    ],
)
async def test_states_and_errors_by_class(
    service: str, path: str, value: int, expected: dict[str, str]
) -> None:
    trees = plain_site()
    trees[service][path] = value
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == expected


# Wrong types


async def test_a_value_of_a_wrong_type_is_counted_and_named() -> None:
    trees = plain_site()
    trees[BATTERY] |= {"Soh": "good", "Dc/0/Temperature": "21.5"}
    async with judged(trees) as site:
        found = await site.scrape(3)
    assert codes(found) == {"wrong_type": "info"}
    assert 'soh_percent text "good" of battery/256' in sentence(found, "wrong_type")
    assert found.readings["battery_hottest_c"] == 21.5
    assert site.state.records[0].implausible_total == 3


# Right from the start, and to stay so


@pytest.mark.parametrize(
    ("path", "value"),
    [("Soc", 104.2), ("System/MaxCellVoltage", 21.4), ("System/MinCellVoltage", 0.0)],
)
async def test_a_value_outside_physics_is_named_and_scores_nothing(path: str, value: float) -> None:
    trees = plain_site()
    trees[BATTERY][path] = value
    trees[SYSTEM]["Dc/Battery/Soc"] = []
    async with judged(trees) as site:
        found = await site.scrape(3)
    assert codes(found) == {"implausible_reading": "info"}
    assert f"{value:g} of battery/256" in sentence(found, "implausible_reading")


async def test_an_aggregate_does_not_hide_an_ill_pack() -> None:
    trees = plain_site()
    trees[BATTERY] |= {"Soh": 97.0}
    for number, soh in ((1, 96.0), (2, 66.0)):
        service = f"{PREFIX}battery.ttyUSB{number}__1"
        trees[service] = trees[BATTERY] | {"DeviceInstance": number, "Soh": soh}
        trees[SYSTEM][f"{MAPPING}battery_{number}"] = service
    async with judged(trees) as site:
        found = await site.scrape()
    assert codes(found) == {"battery_soh": "critical"}
    assert "66" in sentence(found, "battery_soh")


async def test_ids_of_cells_may_hold_anything() -> None:
    trees = plain_site()
    odd = 'Bank "B", rack=2 | 0C07\\'
    trees[BATTERY] |= {"System/MinVoltageCellId": odd, "System/MinCellVoltage": 3.05}
    async with judged(trees) as site:
        found = await site.scrape(2)
    assert odd in sentence(found, "cell_spread")


async def test_solar_charger_and_shunt_without_ac_have_no_grid() -> None:
    trees = plain_site()
    del trees[VEBUS], trees[SYSTEM][f"{MAPPING}vebus_257"], trees[SYSTEM]["Ac/ActiveIn/Source"]
    trees[SYSTEM]["VebusService"] = []
    trees[f"{PREFIX}solarcharger.ttyS7"] = {"DeviceInstance": 278, "Yield/Power": 40.0, "State": 3}
    async with judged(trees) as site:
        found = await site.scrape()
    assert codes(found) == {}
    assert found.components["grid"] is None
    assert not [name for name in found.missing if name.startswith("grid")]
