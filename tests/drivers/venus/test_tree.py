"""What trees mean: pure functions, whatever a device may write into them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.drivers.venus import ac_input
from exporter.drivers.venus import tree as venus
from exporter.drivers.venus.ac_sources import AcSources
from exporter.drivers.venus.battery import listed_batteries, read_battery, read_listed
from exporter.drivers.venus.conditions import read_conditions
from exporter.drivers.venus.readings import Collector
from exporter.drivers.venus.values import number
from exporter.model.quantities import CELL_CELSIUS, CELL_VOLTS, QUANTITIES
from exporter.model.snapshot import BatterySnapshot, Implausible
from tests.drivers.bridge import BATTERY, SYSTEM, VEBUS, site_trees

LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        [0, 240, -273.15, 864000, 10**400, "", "12", "[]", "[" * 5000, VEBUS, BATTERY]
    )
    | st.text(max_size=6)
)
VALUE = st.recursive(
    LEAF, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v), max_leaves=4
)
KNOWN = sorted({path for tree in site_trees().values() for path in tree})
CELL_PATHS = st.sampled_from(
    [
        "Voltages/Cell1",
        "Voltages/Cell02",
        "Voltages/Cell" + "9" * 5000,
        "Voltages/Sum",
        "Cell/3/Volts",
        "Cell/3/Temperature",
        "Battery/1/Cell/4/Voltage",
        "Temperatures/Cell1",
        "ServiceMapping/com_victronenergy_battery_x",
        "Batteries",
        "Ac/In/1/L1/V",
        "Ac/In/2/L1/F",
        "Alarms/",
        "Ac/L1/Voltage",
    ]
)
TREES = st.dictionaries(
    st.sampled_from(KNOWN) | CELL_PATHS | st.text(max_size=12), VALUE, max_size=12
)


def check(readings: dict[str, float] | Any) -> None:
    for name, value in readings.items():
        assert math.isnan(value) or QUANTITIES[name].plausible(value), (name, value)


@pytest.mark.slow
@given(TREES, TREES)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_tree_raises_or_gives_a_value_outside_its_limits(
    system: dict[str, Any], tree: dict[str, Any]
) -> None:
    into = Collector("site", "system")
    venus.read_system(system, into)
    ac_input.read_grid_energy(tree, into)
    check(into.readings)
    mapped = venus.mapped_services(system)
    service = venus.battery_service(system, mapped) or BATTERY
    assert venus.service_name(service) == service
    for found, _ in (
        read_battery(service, tree, active=True, system=system),
        read_battery(BATTERY, tree, active=False, system=None),
        *(read_listed(b, b.service) for b in listed_batteries(system, service)),
    ):
        check(found.readings)
        if found.cells is not None:
            assert all(
                math.isnan(v) or CELL_VOLTS[0] <= v <= CELL_VOLTS[1] for v in found.cells.voltages_v
            )
            assert all(
                math.isnan(t) or CELL_CELSIUS[0] <= t <= CELL_CELSIUS[1]
                for t in found.cells.temperatures_c
            )
    for kind in ("vebus", "multi", "acsystem", "grid"):
        grid = Collector("site", "system")
        name = venus.PREFIX + kind
        found_input = {name: ac_input.read_ac_input(name, tree)}
        AcSources().judge(system, [name], found_input, grid)
        check(grid.readings)
        lost = grid.readings["grid_connected"] == 0
        assert not (lost and not math.isnan(grid.readings["grid_frequency_hz"]))
    for kind in ("vebus", "battery", "system", "pvinverter", "unheard-of"):
        assert set(read_conditions(kind, tree).levels.values()) <= {0, 1, 2}
    ac_input.ac_services(system, [service])


@given(VALUE)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_only_json_numbers_and_texts_of_one_are_numbers(value: object) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    given_nan = isinstance(value, float) and math.isnan(value)
    if isinstance(value, str):
        assert math.isnan(number(value)) or float(value) == number(value)
    else:
        assert math.isnan(number(value)) == (not is_number or given_nan)


@given(VALUE)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_services_reply_gives_names_only(document: object) -> None:
    names = venus.service_list({"services": [document, SYSTEM, "com.victronenergy.x\n"]})
    assert SYSTEM in names
    assert all(venus.service_name(name) for name in names)
    assert "com.victronenergy.x\n" not in names
    venus.service_list(document)


def battery(tree: dict[str, Any]) -> BatterySnapshot:
    found, implausible = read_battery(BATTERY, tree, active=True, system=None)
    assert implausible == []
    return found


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        ("Voltages/Cell{}", ["1", "2", "10"]),
        ("Cell/{}/Volts", ["1", "2", "10"]),
        ("Battery/2/Cell/{}/Voltage", ["2/1", "2/2", "2/10"]),
    ],
)
def test_cells_in_every_format(paths: str, labels: list[str]) -> None:
    tree = {paths.format(n): v for n, v in ((10, 3.30), (1, 3.25), (2, 3.41))}
    found = battery(tree)
    assert found.cells is not None
    assert found.cells.labels == tuple(labels)
    assert tuple(found.cells.voltages_v) == (3.25, 3.41, 3.30)
    assert all(math.isnan(t) for t in found.cells.temperatures_c)
    assert found.readings["cell_min_v"] == 3.25
    assert found.readings["cell_max_v"] == 3.41
    assert found.readings["cell_spread_v"] == 0.16
    assert (found.cell_min_id, found.cell_max_id) == (labels[0], labels[1])


def test_both_formats_at_once_are_one_set_of_cells() -> None:
    tree = {"Voltages/Cell1": 3.3, "Voltages/Cell2": 3.4, "Voltages/Sum": 6.7, "Voltages/Diff": 0.1}
    tree |= {"Cell/1/Volts": 3.3, "Cell/2/Volts": 3.4, "Cell/1/Balance": 1}
    found = battery(tree)
    assert found.cells is not None
    assert tuple(found.cells.voltages_v) == (3.3, 3.4)


def test_cells_of_several_packs_and_their_temperatures() -> None:
    tree = {
        "Battery/1/Cell/1/Voltage": 3.30,
        "Battery/1/Cell/2/Voltage": None,
        "Battery/2/Cell/1/Voltage": 3.32,
        "Battery/1/Cell/1/Temperature": 20.0,
        "Battery/2/Cell/1/Temperature": 25.5,
    }
    cells = battery(tree).cells
    assert cells is not None
    assert cells.labels == ("1/1", "1/2", "2/1")
    assert cells.voltages_v[0] == 3.30
    assert math.isnan(cells.voltages_v[1])
    assert cells.temperatures_c[2] == 25.5
    readings = battery(tree).readings
    assert readings["cell_min_temperature_c"] == 20.0
    assert readings["cell_max_temperature_c"] == 25.5


def test_cells_without_a_single_value_are_no_cells() -> None:
    assert battery({"Battery/1/Cell/1/Voltage": [], "Voltages/Cell1": None}).cells is None


def test_the_devices_own_extremes_go_before_those_of_its_cells() -> None:
    tree = {
        "System/MinCellVoltage": 3.1,
        "System/MaxCellVoltage": 3.5,
        "System/MinVoltageCellId": "C3",
        "System/MaxVoltageCellId": 12,
        "Cell/1/Volts": 3.2,
        "Cell/2/Volts": 3.3,
    }
    found = battery(tree)
    assert found.readings["cell_spread_v"] == 0.4
    assert (found.cell_min_id, found.cell_max_id) == ("C3", "12")


def test_one_extreme_alone_gives_no_spread() -> None:
    assert math.isnan(battery({"System/MinCellVoltage": 3.1}).readings["cell_spread_v"])


def test_an_implausible_cell_never_widens_the_spread() -> None:
    tree = {"Cell/1/Volts": 3.3, "Cell/2/Volts": 330.0, "Cell/3/Volts": 3.31}
    found, implausible = read_battery(BATTERY, tree, active=True, system=None)
    assert found.readings["cell_spread_v"] == 0.01
    assert implausible == [Implausible("battery.ttyO0", "cell 2 voltage_v", 330.0)]


@pytest.mark.parametrize(
    ("path", "sentinel", "name"),
    [
        ("Dc/0/Temperature", -273.15, "temperature_c"),
        ("System/MinCellTemperature", -273.15, "cell_min_temperature_c"),
        ("TimeToGo", 864000, "time_to_go_s"),
    ],
)
def test_sentinels_are_missing_and_not_implausible(path: str, sentinel: float, name: str) -> None:
    assert math.isnan(battery({path: sentinel}).readings[name])


@pytest.mark.parametrize(
    ("system", "minimum"),
    [
        ({"Control/ActiveSocLimit": 15.0}, 15.0),
        ({"Settings/CGwacs/BatteryLife/MinimumSocLimit": 10}, 10.0),
        (
            {
                "Control/ActiveSocLimit": 15.0,
                "Settings/CGwacs/BatteryLife/MinimumSocLimit": 10,
            },
            15.0,
        ),
        ({"Control/ActiveSocLimit": []}, math.nan),
        ({}, math.nan),
    ],
)
def test_the_limit_in_force_is_the_minimum_of_the_active_battery(
    system: dict[str, Any], minimum: float
) -> None:
    found, _ = read_battery(BATTERY, {"Soc": 60}, active=True, system=system)
    assert found.readings.get("minimum_soc_percent", math.nan) == pytest.approx(
        minimum, nan_ok=True
    )
    alone, _ = read_battery(BATTERY, {}, active=True, system=system)
    assert "minimum_soc_percent" not in alone.readings


@pytest.mark.parametrize("absent", [[], {}, None, "---", "", " ", "null"], ids=repr)
def test_no_value_is_missing(absent: object) -> None:
    found, implausible = read_battery(BATTERY, {"Soc": absent}, active=True, system=None)
    assert math.isnan(found.readings["soc_percent"])
    assert implausible == []


@pytest.mark.parametrize(
    "wrong", [True, False, {"value": 3.3}, [3.3], "61 %", "6,1", "0x3d", "nan", "1_000", "full"]
)
def test_a_value_of_a_wrong_type_is_missing_and_named(wrong: object) -> None:
    tree = venus.pruned({"Soc": wrong, "Voltages/Cell1": wrong})
    found, implausible = read_battery(BATTERY, tree, active=True, system=None)
    assert math.isnan(found.readings["soc_percent"])
    assert [item.quantity for item in implausible] == ["soc_percent", "cell 1 voltage_v"]
    assert all(item.given and math.isnan(item.value) for item in implausible)


@pytest.mark.parametrize("text", ["61", " 61.0 ", "6.1e1", "+61"])
def test_a_text_of_one_number_is_that_number(text: str) -> None:
    found, implausible = read_battery(BATTERY, {"Soc": text}, active=True, system=None)
    assert found.readings["soc_percent"] == 61.0
    assert implausible == []


def test_pv_is_the_sum_of_all_four_kinds_over_all_phases() -> None:
    kinds = ("Ac/PvOnGrid", "Ac/PvOnOutput", "Ac/PvOnGenset")
    tree = {f"{k}/L{p}/Power": 2.0 ** (p + 3 * n) for n, k in enumerate(kinds) for p in (1, 2, 3)}
    into = Collector("site", "system")
    venus.read_system(tree | {"Dc/Pv/Power": 1.0}, into)
    assert into.readings["pv_ac_power_w"] == 1022.0
    assert into.readings["pv_power_w"] == 1023.0


@pytest.mark.parametrize("path", ["Dc/Pv/Power", "Ac/PvOnGrid/L2/Power"])
def test_pv_without_a_rejected_part_is_not_the_whole(path: str) -> None:
    tree = {"Dc/Pv/Power": 500.0, "Ac/PvOnGrid/L1/Power": 300.0, path: 9e12}
    into = Collector("site", "system")
    venus.read_system(tree, into)
    assert math.isnan(into.readings["pv_power_w"])
    assert len(into.implausible) == 1


def test_pv_without_a_missing_part_is() -> None:
    into = Collector("site", "system")
    venus.read_system({"Dc/Pv/Power": 500.0, "Ac/PvOnGrid/L1/Power": []}, into)
    assert into.readings["pv_power_w"] == 500.0


def test_powers_of_no_phase_are_missing_and_not_zero() -> None:
    into = Collector("site", "system")
    venus.read_system({}, into)
    assert all(math.isnan(value) for value in into.readings.values())


def test_alarms_of_every_kind_and_level() -> None:
    tree = {
        "Alarms/LowVoltage": 0,
        "Alarms/GridLost": 2,
        "Alarms/L1/Overload": 1,
        "Alarms/L3/HighTemperature": 2,
        "Alarms/Alarm": [],
        "Alarms/Odd": 3,
        "Alarms/Text": "1",
        "Alarms/Flag": True,
        "Dvcc/Alarms/MultipleBatteries": 1,
        "Settings/Alarm/System/GridLost": 1,
        "Settings/Alarms/LowSoc": 1,
        "History/LowVoltageAlarms": 2,
        "VebusError": 8,
        "ErrorCode": 0,
    }
    assert read_conditions("vebus", tree).levels == {
        "LowVoltage": 0,
        "GridLost": 2,
        "L1/Overload": 1,
        "L3/HighTemperature": 2,
        "Text": 1,
        "Flag": 1,
        "Dvcc/MultipleBatteries": 1,
        "VebusError": 2,
        "ErrorCode": 0,
    }


def test_the_batteries_list_may_be_json_in_a_string() -> None:
    entry: dict[str, Any] = {
        "id": BATTERY.replace("O0", "O1"),
        "instance": 3,
        "soc": 40,
        "current": [],
        "power": -5,
    }
    for listed in ([entry], json.dumps([entry])):
        (other,) = listed_batteries({"Batteries": listed}, BATTERY)
        found, implausible = read_listed(other, "battery/3")
        assert other.instance == 3
        assert found.readings["soc_percent"] == 40.0
        assert math.isnan(found.readings["current_a"])
        assert implausible == []
    assert listed_batteries({"Batteries": "["}, BATTERY) == []
    assert listed_batteries({"Batteries": [entry]}, entry["id"]) == []


def test_an_id_is_of_class_and_instance_not_of_the_port() -> None:
    assert venus.device_id(BATTERY, {"DeviceInstance": 256}) == "battery/256"
    assert venus.device_id(BATTERY, {"DeviceInstance": []}) == "battery.ttyO0"
    assert venus.device_id(BATTERY, {"DeviceInstance": 1e300}) == "battery.ttyO0"


INPUTS = [
    ("live", {"ActiveInput": 0, "Connected": 1, "L1/F": 50.0, "L1/V": 230.0}, (1.0, 50.0)),
    ("no input", {"ActiveInput": 240, "L1/F": 0.0, "L1/V": 0.0}, (0.0, None)),
    ("not connected", {"Connected": 0, "L1/F": 0.0, "L1/V": 0.0}, (0.0, None)),
    ("dead", {"ActiveInput": 0, "Connected": 1, "L1/F": 0.0, "L1/V": 0.0}, (0.0, None)),
    ("voltage stands", {"ActiveInput": 240, "L1/F": 0.0, "L1/V": 231.0}, (0.0, None)),
    ("measured, not used", {"Connected": 0, "L1/F": 60.1, "L1/V": 120.0}, (1.0, 60.1)),
    ("nothing known", {}, (None, None)),
    ("only connected", {"ActiveInput": 0, "Connected": 1}, (1.0, None)),
]


@pytest.mark.parametrize(
    ("values", "expected"), [i[1:] for i in INPUTS], ids=[i[0] for i in INPUTS]
)
def test_the_input_of_a_multi_on_vebus(
    values: dict[str, Any], expected: tuple[float | None, float | None]
) -> None:
    found = ac_input.read_vebus_input({f"Ac/ActiveIn/{k}": v for k, v in values.items()})
    given = tuple(None if math.isnan(v) else v for v in (found.connected, found.frequency_hz))
    assert given == expected


def test_a_lost_phase_is_named_and_no_voltage_of_the_grid() -> None:
    tree = {"Ac/NumberOfPhases": 3, "Ac/ActiveIn/L1/F": 50.0}
    tree |= {"Ac/ActiveIn/L1/V": 230.0, "Ac/ActiveIn/L2/V": 0.0, "Ac/ActiveIn/L3/V": 232.0}
    found = ac_input.read_vebus_input(tree)
    assert found.lost == ("L2",)
    assert found.voltages_v == {"L1": 230.0, "L3": 232.0}


def test_phases_that_a_unit_does_not_have_do_not_count() -> None:
    tree = {"Ac/NumberOfPhases": 1, "Ac/ActiveIn/L1/F": 50.0}
    tree |= {"Ac/ActiveIn/L1/V": 230.0, "Ac/ActiveIn/L2/V": 0.0, "Ac/ActiveIn/L3/V": 0.0}
    assert ac_input.read_vebus_input(tree).voltages_v == {"L1": 230.0}


def test_the_order_of_those_who_know_the_grid() -> None:
    kinds = ("grid.a", "multi.b", "vebus.c", "vebus.a", "acsystem.d", "battery.e")
    services = [venus.PREFIX + kind for kind in kinds]
    order = ac_input.ac_services({"VebusService": venus.PREFIX + "vebus.c"}, services)
    names = [name.removeprefix(venus.PREFIX) for name in order]
    assert names == ["vebus.c", "vebus.a", "acsystem.d", "multi.b", "grid.a"]
