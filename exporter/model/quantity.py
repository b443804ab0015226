"""What a row of the quantity tables holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

CELL_VOLTS = (0.5, 5.0)
CELL_CELSIUS = (-60.0, 130.0)
POWER_WATTS = 2e8
Side = Literal["low", "high", ""]


class Measurement(StrEnum):
    """The InfluxDB measurement that a quantity is stored in."""

    SITE = "site"
    BATTERY = "battery"
    METER = "meter"


class RollupKind(StrEnum):
    """What a signal is, and with that what a roll-up keeps of it.

    Every field of a roll-up is the raw field's name with one of the suffixes below.
    """

    MEASURED = "measured"
    VOLTAGE = "voltage"
    TEMPERATURE = "temperature"
    FLAG = "flag"
    STATE = "state"
    COUNTER = "counter"
    AMOUNT = "amount"


KEPT: Mapping[RollupKind, tuple[str, ...]] = MappingProxyType(
    {
        RollupKind.MEASURED: ("min", "max", "mean"),
        RollupKind.VOLTAGE: ("min", "max", "mean", "p1", "p99"),
        RollupKind.TEMPERATURE: ("min", "max"),
        RollupKind.FLAG: ("max",),
        RollupKind.STATE: ("min", "max"),
        RollupKind.COUNTER: ("increase", "last"),
        RollupKind.AMOUNT: ("sum",),
    }
)


@dataclass(frozen=True, slots=True)
class Gauge:
    """The Prometheus gauge of a quantity.

    Attributes
    ----------
    name : str
        Without the prefix ``fleetscope_``, with the base unit as its suffix.
    help : str
        Its help text.
    scale : float
        What the quantity is multiplied by: 0.01 makes a ratio of a percentage.
    per_battery : bool
        Whether it has one series for each battery, under the label ``pack``.
    """

    name: str
    help: str
    scale: float = 1.0
    per_battery: bool = False

    @property
    def promql(self) -> str:
        """Expression for the gauge of each site, in the unit of the quantity."""
        selected = f"fleetscope_{self.name}"
        if self.per_battery:
            selected = f"max by (site) ({selected})"
        return selected if self.scale == 1.0 else f"{1 / self.scale:g} * {selected}"


@dataclass(frozen=True, slots=True)
class Question:
    """How people ask about a quantity.

    Attributes
    ----------
    name : str
        Its name in a query.
    phrases : mapping of language to str
        What people call it, divided by ``|``, the usual name first; ``*`` stands for any ending.
    label : str
        What answers call it; the label of the quantity where it is empty.
    over_time : "mean", "counter", "share" or "energy"
        What a period is summed up to: the mean, the growth of a counter, the share of time in
        percent, or the energy of a power.
    fleet : "mean" or "sum"
        What the figure of a group of sites is.
    steady : float
        Change over a period that is no trend, in the unit of the quantity.
    """

    name: str
    phrases: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    over_time: Literal["mean", "counter", "share", "energy"] = "mean"
    fleet: Literal["mean", "sum"] = "mean"
    steady: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One quantity.

    Attributes
    ----------
    name : str
        InfluxDB field name, with the unit as its suffix.
    label : str
        What a person calls it, in English.
    measurement : Measurement
        Where it is stored, and with that whether it belongs to a site or to a battery.
    unit : str
        Unit as a person reads it; empty for states and counts.
    minimum, maximum : float
        Physical limits, both inclusive. A value outside is implausible: counted, never scored.
    meaning : str
        One sentence, with the sign convention where there is one.
    kind : RollupKind
        What a roll-up keeps of it.
    decimals : int
        Digits after the point that mean something.
    worse : "low", "high" or ""
        The side that is bad news; empty where neither is.
    gauge : Gauge or None
    questions : tuple of Question
        How it can be asked for; the first one means its value now.
    """

    name: str
    label: str
    measurement: Measurement
    unit: str
    minimum: float
    maximum: float
    meaning: str
    kind: RollupKind = RollupKind.MEASURED
    decimals: int = 0
    worse: Side = ""
    gauge: Gauge | None = None
    questions: tuple[Question, ...] = ()

    def plausible(self, value: float) -> bool:
        """Whether a finite value lies within the physical limits."""
        return math.isfinite(value) and self.minimum <= value <= self.maximum


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A figure of a site that is made of quantities of its batteries, or by calculation.

    Attributes
    ----------
    name, label, unit, meaning, decimals, worse, gauge, questions
        As in :class:`Quantity`.
    sources : tuple of str
        Battery quantities of which the worst one counts; empty where it is calculated.
    pick : "low" or "high" or ""
        Whether the lowest or the highest of the sources counts.
    measurement : Measurement or None
        Where it is stored under its own name; None where it is not.
    kind : RollupKind
        What a roll-up keeps of it.
    api_key : str
        Name of a battery quantity under which the API gives this figure for a site as well.
    """

    name: str
    label: str
    unit: str
    meaning: str
    decimals: int
    worse: Side = ""
    sources: tuple[str, ...] = ()
    pick: Side = ""
    measurement: Measurement | None = None
    kind: RollupKind = RollupKind.MEASURED
    api_key: str = ""
    gauge: Gauge | None = None
    questions: tuple[Question, ...] = ()
