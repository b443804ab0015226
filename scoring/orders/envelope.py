"""The power that a site may be asked for: refusals, limits, and a reason for each of them.

Battery power is in watts and positive when charging, as everywhere. Limits lower an order towards
0 and never turn charging into discharging. What is not known is named as unchecked; only an
unknown state of charge stops an order, since its floor and ceiling protect the battery.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

STALE_INTERVALS = 2.0
"""Readings older than this many poll intervals say nothing of what the site does now."""
SOC_RELEASE_POINTS = 2.0
"""Distance from a floor or ceiling at which a power that it stopped is allowed again."""
DERATING_C = 5.0
"""Below the highest temperature power falls linearly to 0 over this many degrees."""
TEMPERATURE_RELEASE_C = 2.0
COLDEST_CHARGE_C = 0.0
"""Charging lithium cells below freezing plates metal on the anode (IEC 62619; makers of LFP cells
rule it out)."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Why an order was refused or lowered.

    Attributes
    ----------
    code : str
        Stable, for metrics and programs.
    sentence : str
        For people.
    limit_w : float
        The power that it leaves, W, with the sign of the order; NaN for a refusal.
    """

    code: str
    sentence: str
    limit_w: float = math.nan


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether a site can be asked for anything.

    Attributes
    ----------
    online : bool
        Whether the latest scrape gave readings.
    age_seconds : float
        Age of the latest Snapshot; NaN where there was none.
    interval_seconds : float
        Time between two scrapes.
    maintenance : bool
    critical : str
        Sentence of a critical issue of the battery; empty without one.
    """

    online: bool
    age_seconds: float
    interval_seconds: float
    maintenance: bool = False
    critical: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the configuration allows a site; powers in W and above 0, NaN where none is set.

    ``soc_floor`` and ``soc_ceiling`` are in percent, ``temperature_max_c`` in °C.
    """

    max_charge_w: float
    max_discharge_w: float
    import_limit_w: float = math.nan
    export_limit_w: float = math.nan
    soc_floor: float = 10.0
    soc_ceiling: float = 100.0
    temperature_max_c: float = math.nan


@dataclass(frozen=True, slots=True)
class Readings:
    """Latest readings of a site; NaN where one is missing or stale."""

    soc_percent: float = math.nan
    voltage_v: float = math.nan
    charge_limit_a: float = math.nan
    discharge_limit_a: float = math.nan
    temperature_c: float = math.nan
    coldest_c: float = math.nan
    load_w: float = math.nan
    pv_w: float = math.nan


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is left of an order.

    Attributes
    ----------
    allowed_w : float
        Power with the sign of the order, W.
    limits : tuple of Limit
        Those that lowered it, the strictest first.
    unchecked : tuple of str
        What could not be checked since a reading is missing, in words.
    held : frozenset of str
        Codes that stopped the power altogether and go on until there is a margin again.
    """

    allowed_w: float
    limits: tuple[Limit, ...]
    unchecked: tuple[str, ...]
    held: frozenset[str]


def refusals(condition: Condition) -> tuple[Limit, ...]:
    """Why a site cannot be asked for anything; empty where it can."""
    found = []
    oldest = STALE_INTERVALS * condition.interval_seconds
    if math.isnan(condition.age_seconds):
        found.append(Limit("unknown_site", "the site has not answered since the exporter started"))
    elif not condition.online:
        found.append(Limit("offline", "the site does not answer"))
    elif condition.age_seconds > oldest:
        age = f"{condition.age_seconds:.0f} s"
        found.append(Limit("stale", f"the latest readings are {age} old, above {oldest:.0f} s"))
    if condition.maintenance:
        found.append(Limit("maintenance", "the site is in maintenance"))
    if condition.critical:
        found.append(Limit("critical_issue", f"the battery is critical: {condition.critical}"))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Case:
    wanted_w: float
    bounds: Bounds
    readings: Readings
    held: frozenset[str]

    @property
    def charges(self) -> bool:
        return self.wanted_w > 0


@dataclass(frozen=True, slots=True)
class _Finding:
    """Most power in the direction of the order, W and 0 or more; NaN where it cannot be checked."""

    code: str
    most_w: float
    sentence: str
    unchecked: str = ""
    holds: bool = False


def _rated(case: _Case) -> _Finding:
    most = case.bounds.max_charge_w if case.charges else case.bounds.max_discharge_w
    way = "charging" if case.charges else "discharging"
    return _Finding("rated", most, f"the site is rated for {_kw(most)} when {way}")


def _battery_management(case: _Case) -> _Finding:
    readings = case.readings
    amperes = readings.charge_limit_a if case.charges else readings.discharge_limit_a
    most = _not_below_0(amperes * readings.voltage_v)
    sentence = f"the battery takes {amperes:.0f} A at {readings.voltage_v:.1f} V"
    if not case.charges:
        sentence = f"the battery gives {amperes:.0f} A at {readings.voltage_v:.1f} V"
    return _Finding("battery_limit", most, sentence, "current limits of the battery")


def _state_of_charge(case: _Case) -> _Finding:
    soc = case.readings.soc_percent
    if math.isnan(soc):
        return _Finding("soc_unknown", 0.0, "the state of charge is not known")
    if case.charges:
        code, limit, margin = "soc_ceiling", case.bounds.soc_ceiling, case.bounds.soc_ceiling - soc
        what = "ceiling"
    else:
        code, limit, margin = "soc_floor", case.bounds.soc_floor, soc - case.bounds.soc_floor
        what = "floor"
    needed = SOC_RELEASE_POINTS if code in case.held else 0.0
    stopped = margin <= 0 or margin < needed
    sentence = f"the state of charge, {soc:.0f} %, is at the {what} of {limit:.0f} %"
    return _Finding(code, 0.0 if stopped else math.inf, sentence, holds=stopped)


def _heat(case: _Case) -> _Finding:
    highest, hottest = case.bounds.temperature_max_c, case.readings.temperature_c
    if math.isnan(highest):
        return _Finding("heat", math.inf, "")
    margin = highest - hottest
    stopped = margin <= 0 or (("heat" in case.held) and margin < TEMPERATURE_RELEASE_C)
    share = 0.0 if stopped else min(1.0, margin / DERATING_C)
    rated = case.bounds.max_charge_w if case.charges else case.bounds.max_discharge_w
    most = math.nan if math.isnan(margin) else math.inf if share == 1.0 else share * rated
    sentence = f"the battery is at {hottest:.0f} °C, its highest is {highest:.0f} °C"
    return _Finding("heat", most, sentence, "temperature of the battery", holds=stopped)


def _cold(case: _Case) -> _Finding:
    if not case.charges:
        return _Finding("cold", math.inf, "")
    known = case.readings.coldest_c
    coldest = case.readings.temperature_c if math.isnan(known) else known
    needed = TEMPERATURE_RELEASE_C if "cold" in case.held else 0.0
    margin = coldest - COLDEST_CHARGE_C
    stopped = margin <= 0 or margin < needed
    most = math.nan if math.isnan(margin) else 0.0 if stopped else math.inf
    sentence = f"the battery is at {coldest:.0f} °C; it is charged above freezing only"
    return _Finding("cold", most, sentence, "temperature of the battery", holds=stopped)


def _connection(case: _Case) -> _Finding:
    """The import limit when charging, the export limit when discharging."""
    limit = case.bounds.import_limit_w if case.charges else case.bounds.export_limit_w
    code = "import_limit" if case.charges else "export_limit"
    if math.isnan(limit):
        return _Finding(code, math.inf, "")
    pv_w = 0.0 if math.isnan(case.readings.pv_w) else case.readings.pv_w
    own = case.readings.load_w - pv_w
    most = _not_below_0(limit - own if case.charges else limit + own)
    way = "import" if case.charges else "export"
    sentence = f"the connection may {way} {_kw(limit)}, and load less PV is {_kw(own)} now"
    return _Finding(code, most, sentence, f"{way} limit (the load is not known)")


_CHECKS: tuple[Callable[[_Case], _Finding], ...] = (
    _rated,
    _battery_management,
    _state_of_charge,
    _heat,
    _cold,
    _connection,
)


def allowed_power(
    wanted_w: float,
    bounds: Bounds,
    readings: Readings,
    held: frozenset[str] = frozenset(),
) -> Envelope:
    """Lower an order to what every limit allows.

    Parameters
    ----------
    wanted_w : float
        Battery power, positive when charging; 0 is always allowed.
    bounds : Bounds
    readings : Readings
    held : frozenset of str
        ``held`` of the envelope before, so that a value that hovers at a limit does not switch
        the power on and off.

    Returns
    -------
    Envelope
    """
    if wanted_w == 0:
        return Envelope(0.0, (), (), frozenset())
    sign = 1.0 if wanted_w > 0 else -1.0
    case = _Case(wanted_w, bounds, readings, held)
    findings = [check(case) for check in _CHECKS]
    power = abs(wanted_w)
    lowering = sorted((f for f in findings if f.most_w < power), key=lambda f: (f.most_w, f.code))
    allowed = lowering[0].most_w if lowering else power
    return Envelope(
        allowed_w=sign * allowed if allowed else 0.0,
        limits=tuple(Limit(f.code, f.sentence, sign * f.most_w + 0.0) for f in lowering),
        unchecked=tuple(dict.fromkeys(f.unchecked for f in findings if math.isnan(f.most_w))),
        held=frozenset(f.code for f in findings if f.holds),
    )


def _kw(power_w: float) -> str:
    return f"{power_w / 1000:.1f} kW"


def _not_below_0(power_w: float) -> float:
    # max() would make 0 of what is not known.
    return power_w if math.isnan(power_w) else max(0.0, power_w)
