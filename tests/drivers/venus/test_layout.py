"""Layouts of trees: what is found at known places is what a search path by path finds."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from exporter.drivers.venus.battery import read_battery, read_each_cell
from exporter.drivers.venus.layout import layout_of
from exporter.drivers.venus.not_available import NOT_AVAILABLE, is_not_available
from exporter.drivers.venus.readings import Collector
from exporter.model.snapshot import Cells

BATTERY = "com.victronenergy.battery.ttyO0"
FORMS = (
    ("Voltages/Cell{}", "Temperatures/Cell{}"),
    ("Cell/{}/Volts", "Cell/{}/Temperature"),
    ("Battery/1/Cell/{}/Voltage", "Battery/1/Cell/{}/Temperature"),
)
ODD: tuple[Any, ...] = (
    *([], None, "", "3.31", "---", True, [1], {}, 0, -1, 3, 5.0, 0.5, 5.1, 0.4, 3310.0),
    *(32.767, 65.535, -40.0, -39.99, 255.0, -60.0, 130.0, 1e300, 10**400, math.nan, math.inf),
)


def random_tree(rng: random.Random) -> dict[str, Any]:
    """A battery's tree of some form; one in two has values that are no plausible numbers."""
    volts, celsius = rng.choice(FORMS)
    numbers = rng.sample(range(1, 400), rng.randrange(0, 40))
    tree: dict[str, Any] = {"DeviceInstance": 512, "System/MinCellVoltage": 3.2, "Alarms/Alarm": 0}
    kinds = rng.choice(((volts, celsius), (volts,), (celsius,)))
    for number in numbers:
        for kind in kinds:
            value = rng.gauss(3.3, 0.05) if kind is volts else rng.gauss(25, 3)
            tree[kind.format(number)] = round(value, rng.randrange(5))
    if rng.random() < 0.5:
        for path in rng.sample(list(tree), min(len(tree), rng.randrange(1, 4))):
            tree[path] = rng.choice(ODD)
    if rng.random() < 0.2:
        tree.pop(rng.choice(list(tree)))
    if rng.random() < 0.1:
        tree[FORMS[1][0].format(7)] = 3.3
        tree[FORMS[0][0].format(7)] = 3.4
    items = list(tree.items())
    rng.shuffle(items)
    return dict(items)


def same(one: Cells | None, other: Cells | None) -> bool:
    """Whether cells are equal to the last bit, a missing value being equal to another."""
    if one is None or other is None:
        return one is other
    return one.labels == other.labels and all(
        bytes(memoryview(a)) == bytes(memoryview(b))  # type: ignore[arg-type]
        for a, b in (
            (one.voltages_v, other.voltages_v),
            (one.temperatures_c, other.temperatures_c),
        )
    )


def test_known_places_give_what_a_search_gives() -> None:
    rng = random.Random(15)
    at_places = 0
    for _ in range(3000):
        tree = random_tree(rng)
        into = Collector("battery/512", "battery")
        expected = read_each_cell(tree, into)
        found = layout_of(tree).cells(list(tree.values()))
        if found is not None:
            at_places += 1
            assert into.implausible == [], tree
            assert same(found[0], expected), tree
    assert at_places > 800


def test_a_battery_is_the_same_at_places_and_by_search(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(16)
    trees = [random_tree(rng) for _ in range(600)]
    quick = [read_battery(BATTERY, tree, active=True, system=None) for tree in trees]
    monkeypatch.setattr("exporter.drivers.venus.layout.Layout.cells", lambda *_: None)
    for tree, (battery, implausible) in zip(trees, quick, strict=True):
        slow, unusable = read_battery(BATTERY, tree, active=True, system=None)
        assert repr(slow) == repr(battery), tree
        assert repr(unusable) == repr(implausible), tree


def test_edges_are_the_rows_of_the_table() -> None:
    rng = random.Random(17)
    for row in NOT_AVAILABLE:
        for quantity in row.quantities:
            for device_class in ("battery", "system", "vebus"):
                ranges = [
                    (v - abs(v) * 2.0**-22, v + abs(v) * 2.0**-22)
                    for other in NOT_AVAILABLE
                    if quantity in other.quantities
                    and (not other.classes or device_class in other.classes)
                    for v in other.values
                ]
                near = [v * (1 + rng.choice((0, 1, -1)) * 2.0**-22) for v in row.values]
                for value in (*row.values, *near, *(v + rng.gauss(0, 1) for v in row.values)):
                    expected = any(low <= value <= high for low, high in ranges)
                    assert is_not_available(quantity, value, device_class) is expected


def test_trees_with_the_same_paths_share_a_layout() -> None:
    tree = {"Voltages/Cell1": 3.3, "Voltages/Cell2": 3.4}
    assert layout_of(tree) is layout_of(dict.fromkeys(tree, 1.0))
    assert layout_of(tree) is not layout_of({**tree, "Soc": 50})
