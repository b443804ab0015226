"""LFP cells: voltage, charge, heat and limits."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.physics.cells import CellBank, PackDesign, open_circuit_voltage


def bank(*, soc: float = 0.5, soh: float = 1.0, cells: int = 16, ah: float = 280.0) -> CellBank:
    design = PackDesign(
        capacity_ah=np.array([ah]),
        soh=np.array([soh]),
        initial_soc=np.array([soc]),
        resistance_ohm=np.array([cells * 0.0005]),
        max_c_rate=np.array([0.5]),
        min_soc=np.array([0.2]),
        ambient_c=np.array([20.0]),
    )
    return CellBank(cells, design, [np.random.default_rng(7)])


def test_open_circuit_voltage_meets_the_published_anchors() -> None:
    volts = open_circuit_voltage(np.array([0.0, 0.297 / 0.99, 0.983 / 0.99]))
    assert volts == pytest.approx([2.010, 3.277, 3.351])
    assert open_circuit_voltage(np.array([-1.0, 2.0])) == pytest.approx([2.010, 3.3901], abs=1e-3)


def test_open_circuit_voltage_rises_with_charge() -> None:
    assert (np.diff(open_circuit_voltage(np.linspace(0.0, 1.0, 101))) > 0.0).all()


def test_charge_is_current_times_time() -> None:
    pack = bank()
    before = pack.charge.copy()
    pack.step(np.array([28.0]), 3600.0, np.array([20.0]))
    assert pack.charge - before == pytest.approx(28.0)


def test_ageing_scales_capacity_and_keeps_the_state_of_charge() -> None:
    pack = bank(soc=0.6)
    full, soc = pack.capacity.sum(), pack.soc[0]
    pack.set_soh(0, 70.0)
    assert pack.capacity.sum() == pytest.approx(0.7 * full)
    assert pack.soc[0] == pytest.approx(soc)


def test_an_aged_pack_fills_sooner() -> None:
    new, old = bank(), bank(soh=0.7)
    for pack in (new, old):
        pack.step(np.array([50.0]), 3600.0, np.array([20.0]))
    assert old.soc[0] - 0.5 == pytest.approx((new.soc[0] - 0.5) / 0.7, rel=1e-3)


def test_terminal_voltage_sags_under_discharge_and_rises_under_charge() -> None:
    volts = {}
    for amps in (-100.0, 0.0, 100.0):
        pack = bank()
        pack.step(np.array([amps]), 1.0, np.array([20.0]))
        volts[amps] = pack.voltages.sum()
    assert volts[-100.0] < volts[0.0] < volts[100.0]
    assert volts[100.0] - volts[0.0] == pytest.approx(100.0 * bank().resistance.sum())


def test_idle_cells_settle_at_the_temperature_around_them() -> None:
    pack = bank()
    for _ in range(100):
        pack.step(np.array([0.0]), 3600.0, np.array([31.0]))
    assert pack.temperature == pytest.approx(31.0)


def test_current_heats_and_the_cells_at_the_ends_stay_cooler() -> None:
    pack = bank()
    pack.resistance[:] = 0.0005
    for step in range(200):
        pack.step(np.array([80.0 if step % 2 else -80.0]), 600.0, np.array([20.0]))
    warm = pack.temperature[0]
    assert warm.min() > 20.5
    assert max(warm[0], warm[-1]) < warm[1:-1].min()


def test_charging_tapers_until_full_and_never_exceeds_the_cell_limit() -> None:
    pack = bank(soc=0.85)
    highest = 0.0
    for _ in range(2000):
        charge, _ = pack.limits()
        pack.step(charge, 30.0, np.array([20.0]))
        highest = max(highest, float(pack.voltages.max()))
    assert pack.soc[0] > 0.995
    assert highest <= 3.45 + 1e-9
    assert pack.limits()[0][0] < 0.02 * 280.0 + 1e-9


def test_discharging_ends_at_the_minimum() -> None:
    pack = bank(soc=0.3)
    for _ in range(3000):
        _, discharge = pack.limits()
        pack.step(-discharge, 30.0, np.array([20.0]))
    assert pack.soc[0] == pytest.approx(0.2, abs=0.002)


def test_weak_cells_show_at_the_bottom_and_hardly_at_the_top() -> None:
    def spread(soc: float) -> float:
        pack = bank(soc=soc)
        fraction = pack.charge / pack.capacity
        return float(fraction.max() - fraction.min())

    assert spread(0.2) > 2.0 * spread(1.0)
