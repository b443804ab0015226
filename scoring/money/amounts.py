"""Amounts of money: decimals, rounded once, and shares that add up to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

SMALLEST = Decimal("0.01")
"""The smallest amount that is paid, of a currency with two decimals."""


def rounded(amount: Decimal) -> Decimal:
    """An amount as it is paid: to a hundredth, half to even.

    Raises
    ------
    ValueError
        If it is infinite or not a number.
    """
    if not amount.is_finite():
        raise ValueError(f"{amount} is no amount")
    return amount.quantize(SMALLEST, ROUND_HALF_EVEN)


def split(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Parts of an amount by weight, each rounded, that add up to it.

    Hundredths that rounding leaves go to the parts that lost most by it, the earlier first
    (largest remainder, as of Hamilton).

    Parameters
    ----------
    amount : Decimal
        As it is paid; may be negative.
    weights : sequence of Decimal
        0 or more, with a sum above 0.

    Raises
    ------
    ValueError
    """
    total = sum(weights, Decimal(0))
    if total <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("weights must be 0 or more, and not all 0")
    exact = [amount * weight / total for weight in weights]
    parts = [part.quantize(SMALLEST, ROUND_FLOOR) for part in exact]
    left = int((amount - sum(parts, Decimal(0))) / SMALLEST)
    by_loss = sorted(range(len(parts)), key=lambda n: (parts[n] - exact[n], n))
    for n in by_loss[:left]:
        parts[n] += SMALLEST
    return parts
