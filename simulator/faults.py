"""The faults that a site can have and what a correct monitor says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.physics.frequency_steps import step_hz, stepped_hz

FaultName = Literal[
    "soh",
    "frequency",
    "cell_spread",
    "temperature",
    "grid_lost",
    "low_soc",
    "voltage",
    "pv_dead",
    "pv_shaded",
    "alarm",
    "offline",
    "hang",
    "slow",
    "trickle",
    "rubbish",
    "truncated",
    "http_500",
    "wrong_types",
    "implausible",
    "battery_silent",
    "rename_battery",
    "soc_shown",
    "current_refused",
    "modules_offline",
    "modules_blocking",
    "counter_factor",
    "unbalance",
    "restarts",
    "clock",
]

FAULTS: tuple[str, ...] = get_args(FaultName)

ISSUE_CODES = (
    "battery_soh",
    "battery_temperature",
    "cell_spread",
    "cell_finding",
    "battery_soc",
    "battery_silent",
    "grid_lost",
    "grid_frequency",
    "grid_frequency_deviation",
    "grid_voltage",
    "grid_unsteady",
    "pv_underperforming",
    "pv_low",
    "site_offline",
    "scrapes_failing",
    "device_alarm",
    "device_warning",
    "implausible_reading",
    "wrong_type",
    "grid_phase_lost",
    "grid_rejected",
    "on_generator",
    "nominal_not_set",
    "ac_input_frequency",
    "ac_input_voltage",
    "bms_pending",
    "system_service_down",
    "device_silent",
    "device_gone",
    "device_id_clash",
    "grid_excursions",
    "grid_voltage_band",
    "grid_outages",
    "grid_unbalance",
    "soh_falling",
    "battery_hot_long",
    "soc_stuck",
    "soc_contradicted",
    "energy_gap",
    "charge_refused",
    "discharge_refused",
    "modules_offline",
    "modules_blocking",
    "pv_shifted",
    "pv_soiled",
    "scrapes_slow",
    "controller_restarts",
    "device_clock",
    "sensor_stuck",
)


class Params(BaseModel):
    """Base of the parameters of a fault; a fault without parameters uses it as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SohParams(Params):
    """State of health in percent."""

    value: float = Field(ge=20.0, le=100.0)


class FrequencyParams(Params):
    """Either the frequency itself or its distance from what the grid really does, in hertz."""

    value: float | None = Field(default=None, ge=30.0, le=70.0)
    offset: float | None = Field(default=None, ge=-20.0, le=20.0)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.value is None) == (self.offset is None):
            raise ValueError("give either value or offset")
        return self


class CellSpreadParams(Params):
    """Distance of one weak cell below the highest cell, in volts."""

    volts: float = Field(ge=0.0, le=2.0)


class TemperatureParams(Params):
    """Temperature at which the pack is held, in degrees Celsius."""

    celsius: float = Field(ge=-40.0, le=100.0)


class LowSocParams(Params):
    """State of charge at which the battery is held, in percent."""

    value: float = Field(default=5.0, ge=0.0, le=100.0)


class VoltageParams(Params):
    """Grid voltage of every phase, in volts."""

    value: float = Field(gt=0.0, le=1000.0)


class ShadeParams(Params):
    """Share of the PV power that is left, 0 to 1."""

    factor: float = Field(default=0.4, ge=0.0, le=1.0)


class AlarmParams(Params):
    """An alarm of one device: 1 is a warning, 2 an alarm."""

    device: Literal["battery", "inverter", "solarcharger"] = "battery"
    name: str = Field(default="HighTemperature", pattern=r"^[A-Za-z0-9/]+$")
    level: Literal[1, 2] = 2


class SlowParams(Params):
    """Seconds before each reply."""

    seconds: float = Field(default=3.0, gt=0.0, le=600.0)


class RenameParams(Params):
    """Last part of the battery's new service name."""

    name: str = Field(default="socketcan_can1_vi1_uc998877", pattern=r"^[A-Za-z0-9_]+$")


class SocShownParams(Params):
    """State of charge that the BMS shows whatever the cells hold, in percent."""

    value: float = Field(ge=0.0, le=100.0)


class RefusedParams(Params):
    """What the BMS does not allow."""

    direction: Literal["charge", "discharge"] = "charge"


class ModulesParams(Params):
    """Modules that do not answer."""

    count: int = Field(default=1, ge=1, le=64)


class BlockingParams(Params):
    """Modules that allow no current in one direction."""

    count: int = Field(default=1, ge=1, le=64)
    direction: Literal["charge", "discharge"] = "charge"


class CounterParams(Params):
    """Share of the energy that the battery's counters count."""

    factor: float = Field(ge=0.0, le=3.0)


class UnbalanceParams(Params):
    """How far the first phase lies below the others, as a share of its voltage."""

    ratio: float = Field(ge=0.0, le=0.5)


class RestartParams(Params):
    """Seconds from one start of the controller to the next."""

    every_seconds: float = Field(default=7200.0, ge=60.0, le=86400.0)


class ClockParams(Params):
    """How far the bridge's clock is ahead, in seconds."""

    ahead_seconds: float = Field(ge=-1e8, le=1e8)


PARAMS: dict[str, type[Params]] = {
    "soh": SohParams,
    "frequency": FrequencyParams,
    "cell_spread": CellSpreadParams,
    "temperature": TemperatureParams,
    "low_soc": LowSocParams,
    "voltage": VoltageParams,
    "pv_shaded": ShadeParams,
    "alarm": AlarmParams,
    "slow": SlowParams,
    "rename_battery": RenameParams,
    "soc_shown": SocShownParams,
    "current_refused": RefusedParams,
    "modules_offline": ModulesParams,
    "modules_blocking": BlockingParams,
    "counter_factor": CounterParams,
    "unbalance": UnbalanceParams,
    "restarts": RestartParams,
    "clock": ClockParams,
}


def parse_params(fault: FaultName, params: dict[str, Any]) -> Params:
    """The checked parameters of a fault.

    Raises
    ------
    ValueError
        No such fault; as pydantic.ValidationError, a parameter is unknown, missing or out of range.
    """
    if fault not in FAULTS:
        raise ValueError(f"unknown fault {fault!r}, known are {', '.join(FAULTS)}")
    return PARAMS.get(fault, Params).model_validate(params)


@dataclass(frozen=True)
class Expected:
    """Issue codes that a correct monitor shows while a fault lasts.

    Attributes
    ----------
    must_show : set of str
        Each of these.
    must_show_one_of : set of str
        At least one of these, where not empty.
    may_show : set of str
        Any of these; what is in none of the three must not be shown.
    daylight_only : bool
        The codes are due only after hours of daylight with neighbours to compare with.
    """

    must_show: frozenset[str] = frozenset()
    must_show_one_of: frozenset[str] = frozenset()
    may_show: frozenset[str] = frozenset()
    daylight_only: bool = False


def _expected(
    *must: str, one_of: tuple[str, ...] = (), may: tuple[str, ...] = (), daylight: bool = False
) -> Expected:
    return Expected(frozenset(must), frozenset(one_of), frozenset(may), daylight)


NO_ANSWER = _expected(
    one_of=("site_offline", "scrapes_failing"),
    may=("site_offline", "scrapes_failing", "device_silent"),
)
UNREADABLE = _expected(
    one_of=("site_offline", "scrapes_failing", "wrong_type"),
    may=(
        "site_offline",
        "scrapes_failing",
        "wrong_type",
        "implausible_reading",
        "battery_silent",
        "device_silent",
        "system_service_down",
    ),
)


@dataclass(frozen=True)
class Setting:
    """What decides whether a fault of a site can be seen from outside.

    Attributes
    ----------
    nominal_hz, nominal_v : float
        Nominal frequency (Hz, accepted within 0.5 Hz) and phase voltage (V, within 10 %).
    stepped_frequency : bool
        The site shows its frequency in the steps of VE.Bus.
    off_grid : bool
        The site has no grid, so grid faults do not show.
    battery_monitor : bool
        The battery reports neither SOH nor cells nor temperature.
    neighbours : int
        Other sites of the region; PV is compared with three or more.
    """

    nominal_hz: float = 50.0
    nominal_v: float = 230.0
    stepped_frequency: bool = False
    off_grid: bool = False
    battery_monitor: bool = False
    neighbours: int = 3


def expected_issues(  # noqa: PLR0911 - one for each fault
    fault: FaultName, params: dict[str, Any], setting: Setting | None = None
) -> Expected:
    """What a monitor with Fleetscope's default thresholds must say of a fault.

    Parameters
    ----------
    fault, params
        The fault, with parameters as :func:`parse_params` takes them.
    setting : Setting, optional
        The site's; by default a European site with a full BMS and three neighbours.
    """
    setting = setting or Setting()
    if setting.off_grid and fault in {"frequency", "voltage", "grid_lost"}:
        return _expected()
    if setting.battery_monitor and fault in {"soh", "cell_spread", "temperature"}:
        return _expected()
    parsed = parse_params(fault, params)
    match parsed:
        case SohParams(value=soh):
            return _expected("battery_soh") if soh < 85.0 else _expected()
        case FrequencyParams():
            return _frequency(parsed, setting)
        case CellSpreadParams(volts=volts):
            must = ("cell_spread",) if volts > 0.10 else ()
            return _expected(*must, may=("cell_finding",))
        case TemperatureParams(celsius=celsius):
            may = ("device_alarm", "device_warning") if celsius >= 55.0 else ()
            return _expected("battery_temperature", may=may) if celsius > 45.0 else _expected()
        case LowSocParams(value=soc):
            may = ("device_alarm", "device_warning")
            return _expected("battery_soc", may=may) if soc < 10.0 else _expected()
        case VoltageParams(value=volts):
            off = abs(volts / setting.nominal_v - 1.0) > 0.10
            return _expected("grid_voltage", may=("grid_unsteady",)) if off else _expected()
        case ShadeParams(factor=factor):
            return _shade(factor, setting.neighbours)
        case AlarmParams(level=level):
            return _expected("device_alarm" if level == 2 else "device_warning")
        case SlowParams(seconds=seconds):
            slow = ("site_offline", "scrapes_failing", "device_silent")
            return NO_ANSWER if seconds >= 30.0 else _expected(may=slow)
        case _:
            return _PLAIN[fault] if fault in _PLAIN else _of_the_past(parsed)


def _of_the_past(params: Params) -> Expected:
    """What shows only over hours: not while a fault has just begun."""
    match params:
        case RefusedParams(direction=direction):
            return _expected(f"{direction}_refused", may=("battery_soc",))
        case UnbalanceParams(ratio=ratio):
            return _expected(*("grid_unbalance",) if ratio > 0.06 else (), may=("grid_voltage",))
        case _:
            raise ValueError(f"nothing is expected of {type(params).__name__}")


def _frequency(params: FrequencyParams, setting: Setting) -> Expected:
    """A fair judge takes a stepped value for the one nearest to nominal of those that it may be:
    from a step below it, since the source cuts off, to half a step above it."""
    nominal = setting.nominal_hz
    true = nominal + (params.offset or 0.0) if params.value is None else params.value
    # The grid itself wanders by up to 0.07 Hz around an offset.
    margin = 0.0 if params.offset is None else 0.08
    sizes = []
    for wandered in (true - margin, true + margin):
        shown, step = wandered, 0.0
        if setting.stepped_frequency:
            shown, step = stepped_hz(wandered), step_hz(wandered)
        nearest = min(max(nominal, shown - step), shown + step / 2)
        sizes.append(round(abs(nearest - nominal), 3))
    least, most = min(sizes), max(sizes)
    if least > 0.5:
        return _expected("grid_frequency", may=("grid_frequency_deviation", "grid_unsteady"))
    if least > 0.1 and most < 0.5:
        return _expected("grid_frequency_deviation", may=("grid_unsteady",))
    if most < 0.1:
        return _expected(may=("grid_unsteady",) if margin else ())
    return _expected(may=("grid_frequency", "grid_frequency_deviation", "grid_unsteady"))


def _shade(factor: float, neighbours: int) -> Expected:
    may = ("pv_low", "pv_underperforming")
    if neighbours < 3:
        return _expected(may=may, daylight=True)
    if factor < 0.45:
        return _expected("pv_underperforming", may=may, daylight=True)
    if 0.55 < factor < 0.70:
        return _expected("pv_low", may=may, daylight=True)
    return _expected(may=() if factor > 0.85 else may, daylight=True)


_PLAIN: dict[str, Expected] = {
    "grid_lost": _expected("grid_lost", may=("device_alarm", "device_warning", "grid_unsteady")),
    "pv_dead": _expected("pv_underperforming", daylight=True),
    "offline": NO_ANSWER,
    "hang": NO_ANSWER,
    "trickle": NO_ANSWER,
    "rubbish": NO_ANSWER,
    "truncated": NO_ANSWER,
    "http_500": NO_ANSWER,
    "wrong_types": UNREADABLE,
    "implausible": _expected("implausible_reading", may=("battery_silent", "scrapes_failing")),
    "battery_silent": _expected("battery_silent", may=("device_gone",)),
    "rename_battery": _expected(),
    "soc_shown": _expected(
        one_of=("soc_stuck", "soc_contradicted", "energy_gap"), may=("battery_soc",)
    ),
    "modules_offline": _expected("modules_offline"),
    "modules_blocking": _expected("modules_blocking"),
    "counter_factor": _expected("energy_gap"),
    "restarts": _expected("controller_restarts"),
    "clock": _expected("device_clock"),
}
