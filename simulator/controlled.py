"""A site that takes set-points, with the manners of real ones: it ramps, lapses, limits, refuses.

A GX device as MQTT and Modbus TCP show it. Nothing here knows who writes; ``writes`` has all that
came, and ``forced`` whether a set-point is in force.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from simulator.devices.names import PREFIX, Tree
from simulator.modbus.gx import SYSTEM_UNIT, GxUnits
from simulator.modbus.server import ModbusServer
from simulator.venus_mqtt import VenusDevice

SETPOINT_PATH = "hub4/0/Overrides/Setpoint"
SETPOINT_REGISTER = 2716
VOLTAGE_V = 52.0
_FAILURE, _ILLEGAL_ADDRESS = 4, 2
_BATTERY, _VEBUS, _GRID = "battery.ttyO0", "vebus.ttyO1", "grid.meter_30"


@dataclass
class ControlledSite:
    """A battery behind an inverter, with load and PV.

    Attributes
    ----------
    portal : str
    load_w, pv_w : float
    soc_percent, capacity_kwh : float
    max_charge_w, max_discharge_w : float
        What the battery takes or gives, whatever is asked for.
    charge_limit_a, discharge_limit_a : float or None
        What its battery management publishes; None: nothing.
    efficiency : float
        Of the inverter, both ways.
    ramp_w_per_s : float
    reversion_seconds : float or None
        A set-point lapses after this long without a new write; None: never.
    refuses, keeps : bool
        Whether writes are refused; whether giving a set-point back is ignored.
    schedule_w : float or None
        Battery power of a local schedule that overrides any set-point.
    own_setpoint_w : float or None
        What something else at the site writes again and again.
    of_battery : bool
        Whether a set-point is the battery's power; else it is the power at the AC input.
    persistent_w : float
        Power at the AC input that it keeps by itself; it outlives everything.
    switch_on : bool
        The device's own switch for writing.
    shows_setpoint : bool
        Whether it publishes its set-point over MQTT.
    clock : callable
    """

    portal: str = "c0619ab00001"
    load_w: float = 600.0
    pv_w: float = 200.0
    soc_percent: float = 60.0
    capacity_kwh: float = 10.0
    max_charge_w: float = 5000.0
    max_discharge_w: float = 5000.0
    charge_limit_a: float | None = None
    discharge_limit_a: float | None = None
    efficiency: float = 0.94
    ramp_w_per_s: float = 1e9
    reversion_seconds: float | None = 15.0
    refuses: bool = False
    keeps: bool = False
    schedule_w: float | None = None
    own_setpoint_w: float | None = None
    of_battery: bool = False
    persistent_w: float = 0.0
    switch_on: bool = True
    shows_setpoint: bool = True
    temperature_c: float = 21.0
    alarm: int = 0
    clock: Callable[[], float] = time.monotonic
    setpoint_w: float | None = None
    battery_w: float = 0.0
    writes: list[tuple[float, float | None]] = field(default_factory=list)
    lapses: int = 0
    _written: float = 0.0
    _stepped: float | None = None

    @property
    def forced(self) -> bool:
        """Whether a set-point is in force."""
        self.advance()
        return self.setpoint_w is not None

    def write(self, value: float | None) -> bool:
        """Take a set-point for the AC input, None to give it back; False where it refuses."""
        self.advance()
        self.writes.append((self.clock(), value))
        if self.refuses:
            return False
        if value is not None or not self.keeps:
            self.setpoint_w, self._written = value, self.clock()
        return True

    def advance(self) -> None:
        """Bring the site up to now."""
        now = self.clock()
        seconds = 0.0 if self._stepped is None else now - self._stepped
        self._stepped = now
        if self.own_setpoint_w is not None:
            self.setpoint_w, self._written = self.own_setpoint_w, now
        lapses = self.reversion_seconds
        if self.setpoint_w is not None and lapses is not None and now - self._written > lapses:
            self.setpoint_w = None
            self.lapses += 1
        wanted = self._wanted_w()
        step = self.ramp_w_per_s * seconds
        self.battery_w += max(-step, min(step, wanted - self.battery_w))
        stored = self.battery_w * seconds / 3.6e6 / self.capacity_kwh * 100
        self.soc_percent = max(0.0, min(100.0, self.soc_percent + stored))

    @property
    def grid_w(self) -> float:
        """Power at the AC input, positive when importing."""
        factor = 1 / self.efficiency if self.battery_w > 0 else self.efficiency
        return self.load_w - self.pv_w + self.battery_w * factor

    def trees(self) -> dict[str, Tree]:
        """Its services by full name, as D-Bus has them."""
        self.advance()
        current = self.battery_w / VOLTAGE_V
        limits: dict[str, Any] = {}
        if self.charge_limit_a is not None:
            limits = {
                "Info/MaxChargeVoltage": 56.0,
                "Info/MaxChargeCurrent": self.charge_limit_a,
                "Info/MaxDischargeCurrent": self.discharge_limit_a,
            }
        return {
            f"{PREFIX}system": {
                "Serial": self.portal,
                "SystemType": "ESS",
                "ActiveBatteryService": f"{PREFIX}battery/512",
                "VebusService": f"{PREFIX}{_VEBUS}",
                "Dc/Battery/BatteryService": f"{PREFIX}{_BATTERY}",
                "Dc/Battery/Soc": round(self.soc_percent, 2),
                "Dc/Battery/Voltage": VOLTAGE_V,
                "Dc/Battery/Current": round(current, 2),
                "Dc/Battery/Power": round(self.battery_w),
                "Dc/Battery/Temperature": self.temperature_c,
                "Ac/Grid/L1/Power": round(self.grid_w),
                "Ac/Consumption/L1/Power": round(self.load_w),
                "Ac/PvOnGrid/L1/Power": round(self.pv_w),
                "Ac/ActiveIn/Source": 1,
                "Ac/In/NumberOfAcInputs": 1,
                "ServiceMapping/com_victronenergy_battery_512": f"{PREFIX}{_BATTERY}",
                "ServiceMapping/com_victronenergy_vebus_276": f"{PREFIX}{_VEBUS}",
                "ServiceMapping/com_victronenergy_grid_30": f"{PREFIX}{_GRID}",
            },
            f"{PREFIX}{_BATTERY}": {
                "DeviceInstance": 512,
                "Soc": round(self.soc_percent, 2),
                "Soh": 98.0,
                "Dc/0/Voltage": VOLTAGE_V,
                "Dc/0/Current": round(current, 2),
                "Dc/0/Power": round(self.battery_w),
                "Dc/0/Temperature": self.temperature_c,
                "Alarms/HighTemperature": self.alarm,
            }
            | limits,
            f"{PREFIX}{_VEBUS}": {
                "DeviceInstance": 276,
                "Ac/NumberOfPhases": 1,
                "Ac/ActiveIn/ActiveInput": 0,
                "Ac/ActiveIn/Connected": 1,
                "Ac/ActiveIn/L1/V": 230.0,
                "Ac/ActiveIn/L1/F": 50.0,
                "Ac/ActiveIn/L1/P": round(self.grid_w),
                "State": 3,
                "Mode": 3,
            },
            f"{PREFIX}{_GRID}": {
                "DeviceInstance": 30,
                "Ac/L1/Voltage": 230.0,
                "Ac/L1/Power": round(self.grid_w),
                "Ac/Power": round(self.grid_w),
            },
            f"{PREFIX}hub4": {
                "DeviceInstance": 0,
            }
            | self._shown(),
            f"{PREFIX}settings": {
                "DeviceInstance": 0,
                "Settings/SystemSetup/AcInput1": 1,
                "Settings/SystemSetup/AcInput2": 0,
                "Settings/CGwacs/Hub4Mode": 1,
                "Settings/CGwacs/AcPowerSetPoint": self.persistent_w,
            },
        }

    def _shown(self) -> dict[str, Any]:
        held: Any = [] if self.setpoint_w is None else self.setpoint_w
        return {"Overrides/Setpoint": held} if self.shows_setpoint else {}

    def _wanted_w(self) -> float:
        """Battery power that it would have without a ramp."""
        if self.schedule_w is not None:
            wanted = self.schedule_w
        elif self.of_battery and self.setpoint_w is not None:
            wanted = self.setpoint_w
        else:
            at_input_w = self.persistent_w if self.setpoint_w is None else self.setpoint_w
            inverter_w = at_input_w - self.load_w + self.pv_w
            factor = self.efficiency if inverter_w > 0 else 1 / self.efficiency
            wanted = inverter_w * factor
        charge = self.max_charge_w if self.soc_percent < 100 else 0.0
        discharge = self.max_discharge_w if self.soc_percent > 0 else 0.0
        if self.charge_limit_a is not None:
            charge = min(charge, self.charge_limit_a * VOLTAGE_V)
        return max(-discharge, min(charge, wanted))


def mqtt_device(site: ControlledSite) -> VenusDevice:
    """The site at a broker; publish it by :func:`simulator.venus_mqtt.publish_devices`."""

    def settle(path: str, value: Any) -> None:
        if path == SETPOINT_PATH:
            site.write(None if value is None else float(value))

    return VenusDevice(site.portal, site.trees, settle=settle)


class Bus:
    """The trees of a site where those of a simulation are expected."""

    def __init__(self, site: ControlledSite) -> None:
        self._site = site

    def tree(self, service: str) -> Tree | None:
        return self._site.trees().get(service)

    def services(self) -> list[str]:
        """Full names of its services."""
        return sorted(self._site.trees())

    def names(self) -> Any:
        names = {"battery": _BATTERY, "vebus": _VEBUS, "grid": _GRID}
        full = {kind: PREFIX + name for kind, name in names.items()}
        absent = {"multi": None, "solarcharger": None, "pvinverter": None}
        return SimpleNamespace(**full, **absent)


class ControlledUnits(GxUnits):
    """The registers of the site, with the one for the set-point."""

    def __init__(self, site: ControlledSite) -> None:
        super().__init__(Bus(site))  # type: ignore[arg-type] # as much of a bus as units ask for
        self._site = site

    def registers(self, unit: int, address: int, count: int) -> Mapping[int, int] | None:
        """See :class:`simulator.modbus.server.Units`."""
        found = super().registers(unit, address, count)
        if found is None or unit != SYSTEM_UNIT:
            return found
        self._site.advance()
        words = struct.unpack(">2H", struct.pack(">i", round(self._site.setpoint_w or 0)))
        return {**found, **dict(enumerate(words, SETPOINT_REGISTER))}

    def write(self, unit: int, address: int, words: Sequence[int]) -> int:
        """Set registers; returns a Modbus exception code, 0 where they are set."""
        if unit != SYSTEM_UNIT or address != SETPOINT_REGISTER or len(words) != 2:
            return _ILLEGAL_ADDRESS
        (value,) = struct.unpack(">i", struct.pack(">2H", *words))
        return 0 if self._site.write(float(value) if value else None) else _FAILURE


class Healthy:
    """A simulation without faults."""

    def faults_of(self, site: str) -> tuple[()]:
        return ()

    def advance(self) -> None:
        """The site goes by its own clock."""


def modbus_server(site: ControlledSite) -> ModbusServer:
    """The site as a Modbus TCP server."""
    return ModbusServer(Healthy(), site.portal, ControlledUnits(site))  # type: ignore[arg-type]
