"""What is owed for a guarantee that was missed: min(cap, Σ tiers(target - actual))."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from scoring.money.amounts import rounded


@dataclass(frozen=True, slots=True)
class Tier:
    """A step of a penalty: what each point of shortfall costs, up to ``points`` of shortfall.

    ``points`` counts from the target; None for the last tier, which has no end.
    """

    points: Decimal | None
    per_point: Decimal


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A guaranteed figure.

    ``target`` has the unit of the figure; ``at_least`` is False where the figure must stay below
    it; ``cap`` is the most that is owed for one period; ``least_coverage`` the share of the period
    that must have been observed for a judgement.
    """

    name: str
    target: Decimal
    tiers: tuple[Tier, ...]
    cap: Decimal
    at_least: bool = True
    least_coverage: float = 0.0

    def __post_init__(self) -> None:
        ends = [tier.points for tier in self.tiers[:-1]]
        rising = all(a is not None and b is not None and a < b for a, b in itertools.pairwise(ends))
        if not self.tiers or None in ends or not rising or (ends and (ends[0] or 0) <= 0):
            raise ValueError(f"{self.name}: tiers must end at rising points, the last at none")
        if self.cap < 0 or any(tier.per_point < 0 for tier in self.tiers):
            raise ValueError(f"{self.name}: cap and prices of tiers must be 0 or more")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a guarantee was met.

    ``met`` and ``owed`` are None where too little was observed to say. ``shortfall`` is 0 or more;
    ``owed_before_cap`` what the tiers alone would ask for.
    """

    met: bool | None
    shortfall: Decimal | None
    owed: Decimal | None
    owed_before_cap: Decimal | None


def verdict(guarantee: Guarantee, actual: float, coverage: float) -> Verdict:
    """Judge a figure against its guarantee.

    The shortfall is taken from the unrounded figure; each tier charges its own part of it.

    Parameters
    ----------
    guarantee : Guarantee
    actual : float
        NaN where it is not known.
    coverage : float
        Observed share of the period, 0 to 1.
    """
    if math.isnan(actual) or coverage < guarantee.least_coverage:
        return Verdict(None, None, None, None)
    # Twelve digits: what binary fractions add beyond them is no shortfall.
    figure = Decimal(f"{actual:.12g}")
    gap = guarantee.target - figure if guarantee.at_least else figure - guarantee.target
    shortfall = max(gap, Decimal(0))
    before = _by_tier(guarantee.tiers, shortfall)
    return Verdict(shortfall == 0, shortfall, rounded(min(before, guarantee.cap)), rounded(before))


def _by_tier(tiers: Sequence[Tier], shortfall: Decimal) -> Decimal:
    owed, begin = Decimal(0), Decimal(0)
    for tier in tiers:
        end = shortfall if tier.points is None else min(shortfall, tier.points)
        owed += max(end - begin, Decimal(0)) * tier.per_point
        begin = end
    return owed
