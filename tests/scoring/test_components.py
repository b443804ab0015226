"""Physics of the component scores: what each reading may and may not do to a score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.battery import assess_battery, judged_against_minimum
from scoring.devices import assess_devices
from scoring.grid import Nominal, assess_ac_input, assess_grid, steadiness
from scoring.issues import (
    NOTHING_HELD,
    Component,
    FloatArray,
    Held,
    HeldIssue,
    Severity,
    judge,
    once_each,
)
from scoring.limits import LIMITS
from scoring.rules import GRID_FREQUENCY, GRID_UNSTEADY, GRID_VOLTAGE, RULES

DEFAULTS = {name: limit.default for name, limit in LIMITS.items() if limit.configurable}


def array(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float64)


def battery(
    soh: float = 95,
    soc: float = 60,
    temperature: float = 25,
    spread: float = 0.01,
    found: bool = False,
    without_grid: bool = False,
    highest: float = np.nan,
    held: Held = NOTHING_HELD,
    minimum: float = np.nan,
) -> Component:
    readings = {
        "soh_percent": array(soh),
        "soc_percent": array(soc),
        "temperature_c": array(temperature),
        "cell_spread_v": array(spread),
    }
    known = not all(np.isnan(v[0]) for v in readings.values())
    return assess_battery(
        **readings,
        cell_highest_v=array(highest),
        minimum_soc_percent=array(minimum),
        any_reading=np.array([known]),
        answering=np.array([True]),
        cell_found=np.array([found]),
        without_grid=np.array([without_grid]),
        limits={name: array(value) for name, value in DEFAULTS.items()},
        held=held,
    )


def grid(
    frequency: float = 50.0,
    low: float = 230.0,
    high: float = 231.0,
    connected: float = 1.0,
    off_grid: bool = False,
    nominal: float = 50.0,
    given_nominal: bool = True,
    step: float = np.nan,
    std: float = 0.02,
) -> Component:
    return assess_grid(
        connected=array(connected),
        frequency_hz=array(frequency),
        voltage_min_v=array(low),
        voltage_max_v=array(high),
        frequency_std_hz=array(std),
        frequency_step_hz=array(step),
        off_grid=np.array([off_grid]),
        nominal=Nominal(
            array(nominal), array(230.0), np.array([given_nominal]), np.array([given_nominal])
        ),
        limits={
            "grid_frequency_min": array(nominal - 0.5),
            "grid_frequency_max": array(nominal + 0.5),
        },
    )


def issues(component: Component) -> dict[str, Severity]:
    return {
        f.rule.code: Severity(int(f.severity[0])) for f in component.findings if f.severity[0] > 0
    }


nan = float("nan")


@pytest.mark.parametrize(
    ("given_", "score", "expected"),
    [
        ({}, 100, {}),
        ({"soh": 85}, 100, {}),
        ({"soh": 84.9}, 80, {"battery_soh": Severity.WARNING}),
        ({"soh": 70}, 80, {"battery_soh": Severity.WARNING}),
        ({"soh": 69.9}, 50, {"battery_soh": Severity.CRITICAL}),
        ({"temperature": 45}, 100, {}),
        ({"temperature": 45.1}, 80, {"battery_temperature": Severity.WARNING}),
        ({"temperature": 55}, 80, {"battery_temperature": Severity.WARNING}),
        ({"temperature": 55.1}, 80, {"battery_temperature": Severity.CRITICAL}),
        ({"spread": 0.10}, 100, {}),
        ({"spread": 0.1001}, 90, {"cell_spread": Severity.WARNING}),
        ({"spread": 0.15}, 90, {"cell_spread": Severity.WARNING}),
        ({"spread": 0.1501}, 80, {"cell_spread": Severity.CRITICAL}),
        ({"spread": 0.16, "soc": 94.9}, 80, {"cell_spread": Severity.CRITICAL}),
        ({"spread": 0.16, "soc": nan}, 80, {"cell_spread": Severity.CRITICAL}),
        ({"spread": 0.25, "soc": 95}, 100, {}),
        ({"spread": 0.251, "soc": 95}, 90, {"cell_spread": Severity.WARNING}),
        # Full, yet off the steep end of the curve: the weak cell is far below the others.
        ({"spread": 0.16, "soc": 100, "highest": 3.39}, 80, {"cell_spread": Severity.CRITICAL}),
        ({"spread": 0.16, "soc": 100, "highest": 3.42}, 100, {}),
        ({"spread": 0.16, "soc": 100, "highest": 4.15}, 100, {}),
        ({"spread": 0.401, "soc": 100}, 80, {"cell_spread": Severity.CRITICAL}),
        ({"spread": 0.16, "soc": 10}, 80, {"cell_spread": Severity.CRITICAL}),
        ({"spread": 0.16, "soc": 9.9}, 90, {"battery_soc": Severity.WARNING}),
        ({"soc": 10}, 100, {}),
        ({"soc": 9.9}, 90, {"battery_soc": Severity.WARNING}),
        ({"soc": 10, "without_grid": True}, 100, {}),
        ({"soc": 9.9, "without_grid": True}, 90, {"battery_soc": Severity.CRITICAL}),
        # A battery rests at its own minimum; one that is really empty is low all the same.
        ({"soc": 9.6, "minimum": 10}, 100, {}),
        ({"soc": 8, "minimum": 10}, 100, {}),
        ({"soc": 7.9, "minimum": 10}, 90, {"battery_soc": Severity.WARNING}),
        ({"soc": 4, "minimum": 10}, 90, {"battery_soc": Severity.WARNING}),
        ({"soc": 5, "minimum": 5}, 100, {}),
        ({"soc": 2.9, "minimum": 5}, 90, {"battery_soc": Severity.WARNING}),
        # No such minimum protects anything, or it lies far above the limit.
        ({"soc": 9.9, "minimum": 0}, 90, {"battery_soc": Severity.WARNING}),
        ({"soc": 9.9, "minimum": 4.9}, 90, {"battery_soc": Severity.WARNING}),
        ({"soc": 10, "minimum": 60}, 100, {}),
        ({"soc": 9.9, "minimum": 60}, 90, {"battery_soc": Severity.WARNING}),
        # Without a grid the load empties it below any minimum: the page stays.
        ({"soc": 9.6, "minimum": 10, "without_grid": True}, 90, {"battery_soc": Severity.CRITICAL}),
        ({"soh": 60, "temperature": 60, "spread": 0.41, "soc": 1}, 0, None),
        (
            {"soh": nan, "spread": nan, "temperature": nan},
            100,
            {"battery_health_unknown": Severity.INFO},
        ),
        ({"soh": nan, "spread": nan}, 100, {}),
    ],
)
def test_battery_deductions(
    given_: dict[str, float], score: float, expected: dict[str, Severity] | None
) -> None:
    result = battery(**given_)
    assert result.score[0] == score
    if expected is not None:
        assert issues(result) == expected


def test_what_the_history_says_of_a_cell_is_a_warning_and_costs_points() -> None:
    result = battery(found=True)
    assert issues(result) == {"cell_finding": Severity.WARNING}
    assert result.score[0] == 90


def test_a_battery_that_says_nothing_is_unknown_and_warned_of() -> None:
    silent = battery(nan, nan, nan, nan)
    assert np.isnan(silent.score[0])
    assert issues(silent) == {"battery_silent": Severity.WARNING}
    assert not silent.present.any()


@pytest.mark.parametrize(
    ("given_", "score", "expected"),
    [
        ({}, 100, {}),
        ({"frequency": 50.1}, 100, {}),
        ({"frequency": 49.9}, 100, {}),
        ({"frequency": 50.101}, 85, {"grid_frequency_deviation": Severity.INFO}),
        ({"frequency": 50.5}, 85, {"grid_frequency_deviation": Severity.INFO}),
        ({"frequency": 49.5}, 85, {"grid_frequency_deviation": Severity.INFO}),
        ({"frequency": 49.49}, 60, {"grid_frequency": Severity.WARNING}),
        ({"frequency": 60.0, "nominal": 60.0}, 100, {}),
        ({"frequency": 50.0, "nominal": 60.0}, 60, {"grid_frequency": Severity.WARNING}),
        ({"low": 206.9}, 80, {"grid_voltage": Severity.WARNING}),
        ({"low": 207.0, "high": 253.0}, 100, {}),
        ({"high": 253.1}, 80, {"grid_voltage": Severity.WARNING}),
        ({"low": 0.0}, 80, {"grid_voltage": Severity.WARNING}),
        ({"std": 0.051}, 90, {"grid_unsteady": Severity.INFO}),
        (
            {"connected": 0.0, "frequency": nan, "low": nan, "high": nan},
            0,
            {"grid_lost": Severity.CRITICAL},
        ),
    ],
)
def test_grid_deductions(
    given_: dict[str, float], score: float, expected: dict[str, Severity]
) -> None:
    result = grid(**given_)  # type: ignore[arg-type]
    assert result.score[0] == score
    assert issues(result) == expected


VEBUS_STEP = 0.256


@pytest.mark.parametrize(
    ("frequency", "std", "expected"),
    [
        # A healthy grid between 49.975 and 50.23 Hz reads 50.103, and toggles to 49.847.
        (50.103, 0.0, {}),
        (49.847, 0.128, {}),
        (50.361, 0.0, {"grid_frequency_deviation": Severity.INFO}),
        # 49.591 stands for values up to 49.719, which is in the band; 49.335 for none that is.
        (49.591, 0.0, {"grid_frequency_deviation": Severity.INFO}),
        (49.335, 0.0, {"grid_frequency": Severity.WARNING}),
        (50.103, 0.2, {"grid_unsteady": Severity.INFO}),
    ],
)
def test_no_deduction_is_finer_than_the_source(
    frequency: float, std: float, expected: dict[str, Severity]
) -> None:
    assert issues(grid(frequency=frequency, std=std, step=VEBUS_STEP)) == expected


@pytest.mark.parametrize(
    ("frequency", "volts", "expected"),
    [
        (60.0, 120.0, {"nominal_not_set": Severity.INFO}),
        (59.98, 230.0, {"nominal_not_set": Severity.INFO}),
        (50.0, 121.0, {"nominal_not_set": Severity.INFO}),
        (60.9, 120.0, {"grid_frequency": Severity.WARNING, "nominal_not_set": Severity.INFO}),
        (50.0, 150.0, {"grid_voltage": Severity.WARNING}),
        (52.9, 230.0, {"grid_frequency": Severity.WARNING}),
        (50.0, 195.0, {"grid_voltage": Severity.WARNING}),
    ],
)
def test_another_supply_proposes_its_nominal_values_and_a_bad_one_does_not(
    frequency: float, volts: float, expected: dict[str, Severity]
) -> None:
    found = grid(frequency=frequency, low=volts, high=volts, given_nominal=False)
    assert issues(found) == expected
    assert "nominal_not_set" not in issues(grid(frequency=frequency, low=volts, high=volts))


@pytest.mark.parametrize(
    ("frequency", "volts", "expected"),
    [
        (51.2, 233.0, []),
        (53.9, 250.0, []),
        (60.5, 121.0, []),
        (45.9, 230.0, ["ac_input_frequency"]),
        (54.1, 260.0, ["ac_input_frequency", "ac_input_voltage"]),
        (nan, nan, []),
    ],
)
def test_a_generator_has_a_band_of_its_own(
    frequency: float, volts: float, expected: list[str]
) -> None:
    no = np.array([False])
    found = assess_ac_input(
        frequency_hz=array(frequency),
        voltage_v=array(volts),
        nominal=Nominal(array(50.0), array(230.0), no, no),
        answering=np.array([True]),
    )
    assert [f.rule.code for f in found if f.severity[0]] == expected


def test_an_off_grid_site_has_no_grid_component() -> None:
    lost = grid(connected=0.0, frequency=nan, low=nan, high=nan, off_grid=True)
    assert np.isnan(lost.score[0])
    assert issues(lost) == {}
    assert not lost.applicable.any()


def test_a_lost_grid_has_no_frequency_to_miss() -> None:
    lost = grid(connected=0.0, frequency=nan, low=nan, high=nan)
    wanted = dict(zip(lost.inputs, lost.applicable[:, 0], strict=True))
    assert wanted == {
        "grid_connected": True,
        "grid_frequency_hz": False,
        "grid_voltage_v": False,
    }


def test_the_worst_phase_is_the_one_that_is_told() -> None:
    found = {f.rule.code: f for f in grid(low=200.0, high=235.0).findings}["grid_voltage"]
    assert found.value[0] == 200.0
    assert found.threshold[0] == pytest.approx(207.0)
    found = {f.rule.code: f for f in grid(low=228.0, high=260.0).findings}["grid_voltage"]
    assert found.value[0] == 260.0


def test_steadiness_is_a_standard_deviation_and_wants_ten_values() -> None:
    rng = np.random.default_rng(7)
    window = 50 + 0.03 * rng.standard_normal((3, 40))
    window[1, 9:] = np.nan
    window[2, 20:] = np.nan
    result = steadiness(window)
    assert result[0] == pytest.approx(np.std(window[0]))
    assert np.isnan(result[1])
    assert result[2] == pytest.approx(np.std(window[2, :20]))
    assert steadiness(np.full((1, 30), 50.0))[0] == 0.0


@pytest.mark.parametrize(
    ("level", "implausible", "expected"),
    [
        (-1, 0, {}),
        (0, 0, {}),
        (1, 0, {"device_warning": Severity.INFO}),
        (2, 0, {"device_alarm": Severity.CRITICAL}),
        (0, 2, {"implausible_reading": Severity.INFO}),
    ],
)
def test_devices(level: float, implausible: float, expected: dict[str, Severity]) -> None:
    found = assess_devices(
        alarm_level=array(level),
        implausible=array(implausible),
        wrong_types=array(0),
        answering=np.array([True]),
    )
    assert {f.rule.code: Severity(int(f.severity[0])) for f in found if f.severity[0]} == expected
    silent = assess_devices(
        alarm_level=array(level),
        implausible=array(implausible),
        wrong_types=array(1),
        answering=np.array([False]),
    )
    assert not any(f.severity[0] for f in silent)


reading = st.one_of(st.just(nan), st.floats(0, 120))


@given(
    soh=reading, soc=reading, temperature=reading, spread=st.one_of(st.just(nan), st.floats(0, 1))
)
def test_a_missing_value_never_improves_a_battery(
    soh: float, soc: float, temperature: float, spread: float
) -> None:
    """Losing a reading may raise a sum of deductions only by hiding it, never above 100, and
    always shows as a missing input."""
    full = battery(soh, soc, temperature, spread)
    for name in ("soh", "soc", "temperature", "spread"):
        values = {"soh": soh, "soc": soc, "temperature": temperature, "spread": spread}
        values[name] = nan
        less = battery(**values)
        assert less.present.sum() <= full.present.sum()
        assert not less.score[0] > 100


@pytest.mark.parametrize(
    ("before", "spread", "severity"),
    [
        (0, 0.2, 0),
        (Severity.WARNING, 0.2, Severity.WARNING),
        (Severity.CRITICAL, 0.2, Severity.CRITICAL),
        (Severity.WARNING, 0.41, Severity.CRITICAL),
        (Severity.CRITICAL, 0.09, 0),
    ],
)
def test_a_spread_found_on_the_plateau_is_not_over_at_full_charge(
    before: int, spread: float, severity: int
) -> None:
    held = {"cell_spread": HeldIssue(np.array([before], np.int8), array(0.1), array(0.0))}
    full = battery(soc=99, spread=spread, highest=3.5, held=held)
    found = next(f for f in full.findings if f.rule.code == "cell_spread")
    assert found.severity[0] == severity


@given(st.lists(st.tuples(reading, reading, reading), min_size=1, max_size=20))
def test_many_sites_at_once_are_scored_as_one_by_one(
    sites: list[tuple[float, float, float]],
) -> None:
    columns = np.array(sites).T

    def score(rows: slice) -> FloatArray:
        n = columns[0, rows].shape[0]
        return assess_battery(
            soh_percent=columns[0, rows],
            soc_percent=columns[1, rows],
            temperature_c=columns[2, rows],
            cell_spread_v=np.full(n, 0.01),
            cell_highest_v=np.full(n, 3.35),
            any_reading=np.ones(n, dtype=bool),
            answering=np.ones(n, dtype=bool),
            cell_found=np.zeros(n, dtype=bool),
            without_grid=np.zeros(n, dtype=bool),
            limits={name: np.full(n, value) for name, value in DEFAULTS.items()},
        ).score

    together = score(slice(None))
    alone = np.concatenate([score(slice(i, i + 1)) for i in range(len(sites))])
    np.testing.assert_array_equal(together, alone)


def test_every_rule_has_words_that_format() -> None:
    for rule in RULES:
        assert rule.sentence.format(value="1 %", limit="2 %", detail="")
        assert rule.action.endswith(".")
        for level in rule.levels:
            assert not level.limit or level.limit in LIMITS
            assert level.when or level.limit
    assert len({rule.code for rule in RULES}) == len(RULES)


def test_rules_of_one_family_deduct_once() -> None:
    """A frequency far outside its band is unsteady as well, and that is one cause."""
    one = np.array([True])
    far = judge(GRID_FREQUENCY, np.array([48.0]), {}, one)
    unsteady = judge(GRID_UNSTEADY, np.array([0.2]), {}, one)
    voltage = judge(GRID_VOLTAGE, np.array([190.0]), {"grid_voltage_low": 207.0}, one)
    found = once_each((unsteady, far, voltage))
    assert [float(f.deduction[0]) for f in found] == [0.0, 40.0, 20.0]
    assert [int(f.severity[0]) for f in found] == [1, 2, 2], "each is still named"


def test_limit_that_wants_to_know_earlier_stays_above_the_own_minimum() -> None:
    limits = array(10, 20, 30, 12)
    assert judged_against_minimum(limits, array(10, 20, 10, 10)).tolist() == [8, 18, 30, 8]
    assert judged_against_minimum(limits, array(*[nan] * 4)).tolist() == limits.tolist()


def test_low_charge_is_over_once_the_battery_says_that_it_rests_there() -> None:
    warned = HeldIssue(np.array([Severity.WARNING], np.int8), array(10), array(0))
    held = {"battery_soc": warned}
    assert issues(battery(soc=10.5, held=held)) == {"battery_soc": Severity.WARNING}
    assert issues(battery(soc=10.5, minimum=10, held=held)) == {}
