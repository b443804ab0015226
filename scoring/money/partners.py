"""How revenue is shared: a waterfall of steps, with guaranteed minima."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from scoring.money.amounts import rounded, split


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a waterfall: revenue up to ``until`` (of the whole) is shared by ``shares``.

    ``until`` is None for the last step. Shares are weights by partner.
    """

    until: Decimal | None
    shares: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Minimum:
    """A partner is guaranteed an amount; what is missing comes from the guarantor's share."""

    partner: str
    amount: Decimal
    guarantor: str


@dataclass(frozen=True, slots=True)
class Payout:
    """What a partner gets: by the steps, and what minima add or take."""

    by_steps: Decimal
    by_minima: Decimal

    @property
    def total(self) -> Decimal:
        """What is paid."""
        return self.by_steps + self.by_minima


def payouts(
    revenue: Decimal, steps: Sequence[Step], minima: Sequence[Minimum] = ()
) -> dict[str, Payout]:
    """Shares of all partners; they add up to the revenue to the hundredth.

    A loss is shared as the first step shares. A minimum is paid in full even where the guarantor's
    own share does not reach: the rest is the guarantor's to add. A guarantor with a minimum of its
    own has it after what it gave, whatever order minima are named in.

    Raises
    ------
    ValueError
        If the steps do not rise, the last one ends, a minimum names nobody of them, or partners
        guarantee each other's minima.
    """
    ends = [step.until for step in steps]
    inner = [end for end in ends[:-1] if end is not None]
    if not steps or ends[-1] is not None or len(inner) != len(ends) - 1:
        raise ValueError("each step of a waterfall but the last has an end")
    if inner != sorted(set(inner)) or (inner and inner[0] <= 0):
        raise ValueError("the ends of a waterfall's steps must rise from above 0")
    whole = rounded(revenue)
    got: dict[str, Decimal] = {name: Decimal(0) for step in steps for name in step.shares}
    begin = Decimal(0)
    for step in steps:
        if whole <= 0:
            part = whole if begin == 0 and step is steps[0] else Decimal(0)
        else:
            end = whole if step.until is None else min(whole, rounded(step.until))
            part = max(end - begin, Decimal(0))
            begin = max(begin, end)
        names = list(step.shares)
        for name, amount in zip(names, split(part, [step.shares[n] for n in names]), strict=True):
            got[name] += amount
    moved = dict.fromkeys(got, Decimal(0))
    for minimum in _guarantors_last(minima):
        if minimum.partner not in got or minimum.guarantor not in got:
            raise ValueError(f"the minimum of {minimum.partner} names a partner without a share")
        lacking = max(
            rounded(minimum.amount) - got[minimum.partner] - moved[minimum.partner], Decimal(0)
        )
        moved[minimum.partner] += lacking
        moved[minimum.guarantor] -= lacking
    return {name: Payout(got[name], moved[name]) for name in got}


def _guarantors_last(minima: Sequence[Minimum]) -> list[Minimum]:
    """Minima in an order in which each guarantor has given before its own is looked at."""
    found: list[Minimum] = []
    left = list(minima)
    while left:
        guarantors = {minimum.guarantor for minimum in left}
        ready = [minimum for minimum in left if minimum.partner not in guarantors]
        if not ready:
            raise ValueError("minima: partners guarantee each other's minima")
        found += ready
        left = [minimum for minimum in left if minimum.partner in guarantors]
    return found
