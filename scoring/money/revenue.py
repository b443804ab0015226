"""What a battery earns by energy and by service, and what a statement says instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np

from scoring.issues import FloatArray
from scoring.money.amounts import rounded

Key = tuple[str, ...]
"""What a row of a settlement is about: site, service, start of the settlement period."""


def energy_revenue(
    price_per_kwh: FloatArray, export_kwh: FloatArray, import_kwh: FloatArray
) -> tuple[float, float]:
    """Σ price·(export - import), and the share of intervals of which all three are known.

    Parameters
    ----------
    price_per_kwh : array of shape (N,)
        May be negative.
    export_kwh, import_kwh : array of shape (N,)
        0 or more.

    Returns
    -------
    revenue : float
        NaN where no interval is known.
    coverage : float
    """
    each = price_per_kwh * (export_kwh - import_kwh)
    seen = ~np.isnan(each)
    if not seen.any():
        return float("nan"), 0.0
    return float(each[seen].sum()), float(seen.mean())


def service_revenue(
    capacity_mw: FloatArray, hours: FloatArray, price_per_mw_h: FloatArray, factor: FloatArray
) -> tuple[float, float]:
    """Σ MW·h·price·K, and the share of intervals of which all four are known.

    Parameters
    ----------
    capacity_mw, hours, price_per_mw_h : array of shape (N,)
        What was contracted, for how long, and its price.
    factor : array of shape (N,)
        K, 0 to 1: what the contract pays for the availability that was reached.

    Returns
    -------
    revenue : float
        NaN where no interval is known.
    coverage : float
    """
    each = capacity_mw * hours * price_per_mw_h * factor
    seen = ~np.isnan(each)
    if not seen.any():
        return float("nan"), 0.0
    return float(each[seen].sum()), float(seen.mean())


class Cause(StrEnum):
    """Why a statement differs from one's own figures."""

    MISSING = "missing"
    UNEXPECTED = "unexpected"
    VOLUME = "volume"
    PRICE = "price"
    PENALTY = "penalty"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a settlement: volume (kWh or MW·h) * price, a penalty, and what is paid for both.

    ``amount`` is what the statement pays; one's own lines have volume * price.
    """

    volume: Decimal
    price: Decimal
    amount: Decimal
    penalty: Decimal = Decimal(0)


def reconcile(
    own: Mapping[Key, Line], stated: Mapping[Key, Line]
) -> list[tuple[Key, Cause, Decimal]]:
    """Differences statement - own by key and cause; for each key they add up exactly.

    Volume is Δq·p at one's own price, price is q·Δp at the stated volume, so that both together
    are the difference of the products, each rounded as it is paid. The rest is what is left, such
    as the rounding of products or an error of addition.
    """
    found: list[tuple[Key, Cause, Decimal]] = []
    for key in sorted({*own, *stated}):
        found += [(key, cause, amount) for cause, amount in _of(own.get(key), stated.get(key))]
    return found


def _of(own: Line | None, stated: Line | None) -> Iterable[tuple[Cause, Decimal]]:
    if stated is None:
        assert own is not None
        each = [(Cause.MISSING, -own.amount)]
    elif own is None:
        each = [(Cause.UNEXPECTED, stated.amount)]
    else:
        volume = rounded((stated.volume - own.volume) * own.price)
        price = rounded(stated.volume * (stated.price - own.price))
        penalty = own.penalty - stated.penalty
        rest = stated.amount - own.amount - volume - price - penalty
        each = [
            (Cause.VOLUME, volume),
            (Cause.PRICE, price),
            (Cause.PENALTY, penalty),
            (Cause.REST, rest),
        ]
    return [(cause, amount) for cause, amount in each if amount]
