"""What plants should be paid, what two settlement runs say instead, and the errors in that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from simulator.portfolio.market import QUARTER_SECONDS, SETTLEMENT_SECONDS, Market
from simulator.portfolio.operation import RESPONSE_HOURS, Operation

RUNS = ("II", "SF")
"""Initial and first settlement, by the names of Great Britain's runs."""
RESPONSE_PRICE = Decimal("11.40")
"""A MW and hour."""
CAPACITY_PRICE = Decimal("95.00")
"""A MW and day."""
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a settlement.

    ``volume`` is in MWh (energy), MW·h (response) or MW (capacity); ``start`` in Unix seconds.
    """

    site: str
    service: str
    start: float
    seconds: int
    run: str
    volume: Decimal
    price: Decimal
    penalty: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Planted:
    """An error of a run, and what it changes the amount by."""

    site: str
    service: str
    start: float
    run: str
    kind: str
    amount: Decimal


def due(operation: Operation, market: Market) -> list[Row]:
    """What a plant should be paid: energy by half hour, response and capacity by day."""
    plant, rows = operation.plant, []
    each = SETTLEMENT_SECONDS // QUARTER_SECONDS
    # The meter gives tenths of a kilowatt.
    metered = np.round(operation.actual_kw, 1)
    energy = metered.reshape(-1, each).sum(axis=1) * QUARTER_SECONDS / 3600.0 / 1000.0
    periods = zip(
        market.times[::each].tolist(), market.price[::each].tolist(), energy.tolist(), strict=True
    )
    for start, price, megawatt_hours in periods:
        volume = _exact(megawatt_hours, "0.001")
        if volume:
            rows.append(
                _row(plant.id, "energy", start, SETTLEMENT_SECONDS, volume, _exact(price, "0.01"))
            )
    kept = (market.hour >= RESPONSE_HOURS[0]) & (market.hour < RESPONSE_HOURS[1])
    for day in range(int(market.day[-1]) + 1):
        here = market.day == day
        start = float(market.times[here][0])
        seconds = int(here.sum()) * QUARTER_SECONDS
        share = float(operation.available[here & kept].mean())
        hours = RESPONSE_HOURS[1] - RESPONSE_HOURS[0]
        volume = _exact(plant.response_mw * hours * share, "0.001")
        rows.append(_row(plant.id, "response", start, seconds, volume, RESPONSE_PRICE))
        capacity = _exact(plant.power_kw / 1000.0, "0.001")
        rows.append(_row(plant.id, "capacity", start, seconds, capacity, CAPACITY_PRICE))
    return rows


def stated(rows: Sequence[Row], rng: np.random.Generator) -> tuple[list[Row], list[Planted]]:
    """Both runs with their errors, of which the second run mends every other one."""
    kinds: dict[int, str] = {}
    chosen = rng.choice(len(rows), size=3 * len(_KINDS), replace=False).tolist()
    for number, at in enumerate(chosen):
        kinds[at] = _KINDS[number % len(_KINDS)]
    kept = frozenset(chosen[::2])
    runs: list[Row] = []
    planted: list[Planted] = []
    for run in RUNS:
        for at, row in enumerate(rows):
            kind = kinds.get(at) if run == RUNS[0] or at in kept else None
            wrong = replace(row, run=run) if kind is None else _wrong(row, kind, run)
            if wrong is not None:
                runs.append(wrong)
            if kind is not None:
                amount = (wrong.amount if wrong is not None else Decimal(0)) - row.amount
                planted.append(Planted(row.site, row.service, row.start, run, kind, amount))
    return runs, planted


_KINDS = ("missing", "volume", "price", "penalty")


def _wrong(row: Row, kind: str, run: str) -> Row | None:
    """A line with an error of a kind, None where it is missing."""
    if kind == "missing":
        return None
    volume, price, penalty = row.volume, row.price, row.penalty
    if kind == "volume":
        volume = _round(volume * Decimal("0.9"), "0.001")
    elif kind == "price":
        price = price - Decimal("1.25")
    else:
        penalty = Decimal("37.50")
    amount = _round(volume * price, "0.01") - penalty
    return replace(row, run=run, volume=volume, price=price, penalty=penalty, amount=amount)


def _row(
    site: str, service: str, start: float, seconds: int, volume: Decimal, price: Decimal
) -> Row:
    amount = _round(volume * price, "0.01")
    return Row(site, service, start, seconds, "", volume, price, Decimal(0), amount)


def _exact(value: float, step: str) -> Decimal:
    return _round(Decimal(f"{value:.9f}"), step)


def _round(value: Decimal, step: str) -> Decimal:
    return value.quantize(Decimal(step), ROUND_HALF_EVEN)
