"""What a plant was asked to do and did, minute by minute, with what went wrong and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.portfolio.market import QUARTER_SECONDS, FloatArray, Market
from simulator.portfolio.plants import Plant

RESPONSE_HOURS = (7.0, 15.0)
"""Local hours in which power is kept for frequency response, and nothing is traded."""
DEADBAND_HZ, FULL_HZ = 0.015, 0.5
"""Of frequency response: no power within the one, all of it from the other on."""
MINUTES = QUARTER_SECONDS // 60
_HOURS = QUARTER_SECONDS / 3600.0
LEFT = {"forced": 0.0, "derating": 0.5}
"""The share of its power that is left to a plant in a trouble of each category."""
CAUSES = {"forced": "outage", "derating": "derating", "communication": "communication"}
"""Loss cause of each category, in the order in which losses are charged."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong from quarter hour ``first`` until before ``last``."""

    category: str
    code: str
    device: str
    severity: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Event:
    """A trouble as it is reported, in Unix seconds, with what it cost by trading.

    ``lost`` is the value of the month without this one trouble minus its value with all of them.
    ``detected`` and ``repair_began`` are None for what needs no repair.
    """

    plant: str
    trouble: Trouble
    start: float
    end: float
    detected: float | None
    repair_began: float | None
    lost: float


@dataclass(frozen=True, slots=True)
class Operation:
    """A month of one plant.

    ``wanted_kw``, ``allowed_kw`` and ``actual_kw`` are means of quarter hours, discharge positive,
    shape (N,); ``available`` is the share of power that it could give. ``readings`` are arrays by
    minute, shape (N * 15,), NaN where no reading came. ``lost`` is what each cause took from
    trading, charged one after the other in the order of :data:`CAUSES`.
    """

    plant: Plant
    wanted_kw: FloatArray
    allowed_kw: FloatArray
    actual_kw: FloatArray
    available: FloatArray
    readings: dict[str, FloatArray]
    events: list[Event]
    lost: dict[str, float]


def operate(plant: Plant, market: Market, seed: int) -> Operation:
    """Play one plant through a month."""
    rng = np.random.default_rng([seed, *plant.id.encode()])
    wanted = _schedule(plant, market)
    troubles = _troubles(plant, market, rng)
    allowed, actual, energy = _play(plant, wanted, troubles)
    value = trading_value(market, actual)
    events = []
    for trouble in troubles:
        others = [one for one in troubles if one is not trouble]
        without = trading_value(market, _play(plant, wanted, others)[1])
        events.append(_event(plant, market, trouble, without - value, rng))
    return Operation(
        plant=plant,
        wanted_kw=wanted,
        allowed_kw=allowed,
        actual_kw=actual,
        available=_share(len(wanted), troubles),
        readings=_readings(plant, market, actual, energy, troubles, rng),
        events=events,
        lost=_lost(plant, market, wanted, troubles),
    )


def _lost(
    plant: Plant, market: Market, wanted: FloatArray, troubles: Sequence[Trouble]
) -> dict[str, float]:
    """What each cause took: each day with the causes before it, less the day with it too.

    Days are rounded as they are paid.
    """
    found, kept = {}, list[Trouble]()
    before = _by_day(market, _play(plant, wanted, kept)[1])
    for category, cause in CAUSES.items():
        kept = [one for one in troubles if one in kept or one.category == category]
        after = _by_day(market, _play(plant, wanted, kept)[1])
        found[cause] = float(np.sum(before - after))
        before = after
    return found


def _by_day(market: Market, power_kw: FloatArray) -> FloatArray:
    worth = market.price * power_kw * _HOURS / 1000.0
    found: FloatArray = np.round(np.bincount(market.day, weights=worth), 2)
    return found


def trading_value(market: Market, power_kw: FloatArray) -> float:
    """What a course of power earns at the prices that came."""
    return float((market.price * power_kw).sum()) * _HOURS / 1000.0


def _schedule(plant: Plant, market: Market) -> FloatArray:
    """Charge in the cheapest quarter hours of the night, discharge in the dearest after the day."""
    power = np.zeros(len(market.times))
    full = plant.usable_kwh / (plant.power_kw * _HOURS)
    for day in range(int(market.day[-1]) + 1):
        here = market.day == day
        night = np.flatnonzero(here & (market.hour < RESPONSE_HOURS[0]))
        evening = np.flatnonzero(here & (market.hour >= RESPONSE_HOURS[1]))
        cheap = night[np.argsort(market.expected[night], kind="stable")]
        dear = evening[np.argsort(-market.expected[evening], kind="stable")]
        _fill(power, cheap, -plant.power_kw, full / plant.charge_efficiency)
        _fill(power, dear, plant.power_kw, full * plant.discharge_efficiency)
    return power


def _fill(power: FloatArray, order: NDArray[np.int64], kilowatts: float, quarters: float) -> None:
    """Full power in the first quarter hours of an order; the last one takes what is left."""
    whole = int(quarters)
    power[order[:whole]] = kilowatts
    if whole < len(order):
        power[order[whole]] = kilowatts * (quarters - whole)


def _troubles(plant: Plant, market: Market, rng: np.random.Generator) -> list[Trouble]:
    """Outages, failures of cooling and losses of communication, no two at once."""
    count, days = len(market.times), int(market.day[-1]) + 1
    free = np.ones(count, dtype=np.bool_)
    found: list[Trouble] = []

    def add(at: int, quarters: int, category: str, code: str, device: str, severity: str) -> None:
        first, last = max(at, 0), min(at + max(quarters, 1), count)
        if first < last and free[max(first - 4, 0) : last + 4].all():
            free[first:last] = False
            found.append(Trouble(category, code, device, severity, first, last))

    evenings = np.flatnonzero(market.hour == 16.0)
    for number in range(plant.trips_a_month):
        at = int(rng.choice(evenings[2 : days - 8]))
        quarters = round(plant.trip_hours / _HOURS * rng.uniform(0.7, 1.4))
        code = f"dc_breaker_trip_{number + 1}"
        for again in range(plant.repeats + 1):
            add(at + again * 2 * 96, quarters, "forced", code, f"inverter-{number + 1}", "critical")
    for _ in range(plant.deratings_a_month):
        at = int(rng.choice(evenings[1:-1])) - int(rng.integers(0, 6))
        add(at, int(rng.integers(12, 28)), "derating", "cooling_fault", "cooling-1", "warning")
    drops = rng.poisson(plant.drops_a_week * days / 7)
    for at in np.sort(rng.integers(96, count - 96, drops)):
        quarters = round(rng.exponential(plant.drop_minutes) / MINUTES)
        add(int(at), quarters, "communication", "link_lost", "controller-1", "warning")
    return sorted(found, key=lambda one: one.first)


def _share(count: int, troubles: Sequence[Trouble]) -> FloatArray:
    """The share of its power that a plant can give."""
    share = np.ones(count)
    for one in troubles:
        share[one.first : one.last] = LEFT.get(one.category, 1.0)
    return share


def _play(
    plant: Plant, wanted: FloatArray, troubles: Sequence[Trouble]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Allowed and actual power, and the energy at the end of each quarter hour."""
    most = plant.power_kw * _share(len(wanted), troubles)
    allowed = np.clip(wanted, -most, most)
    asked = allowed.copy()
    for one in troubles:
        if one.category == "communication":
            # Without an order the controller holds at zero.
            asked[one.first : one.last] = 0.0
    actual, energy = np.zeros(len(wanted)), np.zeros(len(wanted))
    level = 0.0
    for n, power in enumerate(asked):
        if power < 0:
            taken = min(-power * _HOURS * plant.charge_efficiency, plant.usable_kwh - level)
            actual[n] = -taken / plant.charge_efficiency / _HOURS
            level += taken
        elif power > 0:
            given = min(power * _HOURS / plant.discharge_efficiency, level)
            actual[n] = given * plant.discharge_efficiency / _HOURS
            level -= given
        energy[n] = level
    return allowed, actual, energy


def _event(
    plant: Plant, market: Market, trouble: Trouble, lost: float, rng: np.random.Generator
) -> Event:
    start = float(market.times[trouble.first])
    end = start + (trouble.last - trouble.first) * QUARTER_SECONDS
    detected = repair = None
    if trouble.category in ("forced", "derating"):
        detected = start + float(rng.uniform(60, 600))
        repair = detected + (end - detected) * float(rng.uniform(0.2, 0.6))
    return Event(plant.id, trouble, start, end, detected, repair, lost)


def _responded(
    plant: Plant, market: Market, troubles: Sequence[Trouble], hz: FloatArray
) -> FloatArray:
    """Power of frequency response by minute, beside what is traded; statements leave it out."""
    hour = np.repeat(market.hour, MINUTES)
    kept = (hour >= RESPONSE_HOURS[0]) & (hour < RESPONSE_HOURS[1])
    off = hz - 50.0
    share = np.clip((np.abs(off) - DEADBAND_HZ) / (FULL_HZ - DEADBAND_HZ), 0.0, 1.0)
    available = np.repeat(_share(len(market.times), troubles), MINUTES)
    found: FloatArray = np.where(kept, -np.sign(off) * share * plant.response_mw * 1000.0, 0.0)
    return found * available


def _readings(
    plant: Plant,
    market: Market,
    actual: FloatArray,
    energy: FloatArray,
    troubles: Sequence[Trouble],
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """Readings by minute, of the controller and of the battery."""
    count = len(actual) * MINUTES
    power = np.repeat(actual, MINUTES)
    moving = power != 0.0
    power = power + np.where(moving, rng.normal(0.0, 0.002 * plant.power_kw, count), 0.0)
    hz = 50.0 + _wander(count, rng)
    power = power + _responded(plant, market, troubles, hz)
    before = np.concatenate([[0.0], energy[:-1]])
    part = np.tile(np.arange(1, MINUTES + 1) / MINUTES, len(actual))
    soc = 100.0 * np.repeat(before, MINUTES) / plant.usable_kwh
    soc += 100.0 * part * np.repeat(energy - before, MINUTES) / plant.usable_kwh
    load = np.abs(power) / plant.power_kw
    warm = np.convolve(load, np.exp(-np.arange(240) / 60.0) / 60.0)[:count]
    mean_c = 24.0 + 9.0 * warm + rng.normal(0.0, 0.1, count)
    days = np.arange(count) / 1440.0
    put_through = np.cumsum(np.abs(power)) / 60.0 / (2 * plant.usable_kwh)
    latency = plant.latency_ms * rng.lognormal(0.0, 0.25, count)
    drop = np.clip(rng.normal(0.002, 0.002, count), 0.0, 1.0) * plant.drops_a_week
    status, cooling = np.ones(count), np.ones(count)
    hot = np.zeros(count)
    for one in troubles:
        here = slice(one.first * MINUTES, one.last * MINUTES)
        if one.category == "forced":
            status[here] = 0.0
        elif one.category == "derating":
            cooling[here] = 0.0
            hot[here] = 8.0
    voltage = 1100.0 + 2.2 * soc + 0.002 * power / plant.power_kw * 1000.0
    found = {
        "p_kw": power,
        "q_kvar": 0.05 * power + rng.normal(0.0, 0.002 * plant.power_kw, count),
        "v_pu": 1.0 + 0.012 * power / plant.power_kw + rng.normal(0.0, 0.003, count),
        "f_hz": hz,
        "controller_status": status,
        "cooling_status": cooling,
        "comms_latency_ms": latency,
        "comms_drop_rate": np.clip(drop, 0.0, 1.0),
        "inverter_efficiency_pct": np.where(
            moving, 98.4 - 1.1 * np.exp(-load / 0.12) + rng.normal(0.0, 0.05, count), np.nan
        ),
        "soc_pct": np.clip(soc, 0.0, 100.0),
        "soh_pct": plant.soh - plant.fade_a_year * days / 365.25,
        "temp_c_avg": mean_c + hot,
        "temp_c_max": mean_c + hot + 2.5 + np.abs(rng.normal(0.0, 0.4, count)),
        "voltage_v": voltage,
        "current_a": power * 1000.0 / voltage,
        "cycle_count": plant.cycles + put_through,
    }
    for one in troubles:
        if one.category == "communication":
            here = slice(one.first * MINUTES, one.last * MINUTES)
            for values in found.values():
                values[here] = np.nan
    return found


def _wander(count: int, rng: np.random.Generator) -> FloatArray:
    """Frequency about its nominal value: mean reverting, with a standard deviation of 0.06 Hz."""
    steps = rng.normal(0.0, 0.02, count)
    found = np.zeros(count)
    for n in range(1, count):
        found[n] = 0.943 * found[n - 1] + steps[n]
    return found
