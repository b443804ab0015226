"""Numbers as sentences write them: rounded once, and never across the limit they are judged by."""

from __future__ import annotations

import math

MOST_DIGITS = 9


def digits(value: float, decimals: int, limit: float | None) -> int:
    """Digits after the point with which a number stands on the same side of its limit as the value.

    Parameters
    ----------
    value : float
    decimals : int
        The fewest digits.
    limit : float, optional
        NaN and None stand for none.
    """
    if limit is None or math.isnan(limit) or math.isnan(value) or value == limit:
        return decimals
    below = value < limit
    while decimals < MOST_DIGITS:
        written = round(value, decimals)
        if written != limit and (written < limit) == below:
            break
        decimals += 1
    return decimals


def figure(value: float, decimals: int, limit: float | None = None) -> str:
    """A number with so many digits after the point.

    Parameters
    ----------
    value : float
    decimals : int
        Digits after the point. Near the limit there are more, as many as keep the written number
        on the side of the limit that the value is on: 94.96 below 95 is written 94.96 and not 95.
    limit : float, optional
        What the value is compared with; NaN stands for none.
    """
    if math.isnan(value):
        return "–"
    text = f"{value:.{digits(value, decimals, limit)}f}"
    return text.lstrip("-") if float(text) == 0 else text


def exact(value: float) -> str:
    """A limit as it was configured: no more digits than it has, at most six."""
    return f"{value:.6g}"


def with_unit(text: str, unit: str) -> str:
    """A written number and its unit."""
    return f"{text} {unit}" if unit else text


def judged(
    value: float, limit: float, *, unit: str, decimals: int, as_percent: bool = False
) -> tuple[str, str]:
    """A value and the limit it is judged by, both as sentences write them, with their unit.

    Parameters
    ----------
    value, limit : float
        NaN where there is none.
    unit : str
    decimals : int
        Digits after the point of the value.
    as_percent : bool
        Whether both are ratios to be written in percent.
    """
    if as_percent:
        # 100 * 0.285 is 28.499999999999996.
        value, limit, unit = round(100.0 * value, 9), round(100.0 * limit, 9), "%"
    shown = exact(limit) if not math.isnan(limit) else "–"
    return with_unit(figure(value, decimals, limit), unit), with_unit(shown, unit)
