"""An inverter, a meter and a battery that speak SunSpec, for the physics of one site.

Source: SunSpec Information Model Reference (models 1, 103, 160, 203, 802, 803, 805).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from simulator.devices.names import digits
from simulator.engine import Simulator
from simulator.state import SiteState

UNIT, PV_UNIT = 1, 2
BASE = 40000
_NONE_U16, _NONE_I16 = 0xFFFF, 0x8000
_MPPT = 4
_CHARGING, _DISCHARGING, _HOLDING = 4, 3, 6


class SunSpecUnits:
    """The units of a site: a hybrid inverter with meter and battery, and a PV inverter on AC."""

    def __init__(self, simulator: Simulator, site: str) -> None:
        self._simulator = simulator
        self._site = simulator.site(site)

    def registers(self, unit: int, address: int, count: int) -> Mapping[int, int] | None:
        """See :class:`simulator.modbus.server.Units`."""
        state = self._simulator.state(self._site.id)
        if unit == UNIT:
            words = self._hybrid(state)
        elif unit == PV_UNIT and self._site.solar.coupling != "dc":
            words = [*self._common(unit), *inverter(state, state.pv_ac, state.pv_kwh)]
        else:
            return None
        return dict(enumerate([*struct.unpack(">2H", b"SunS"), *words, 0xFFFF, 0], BASE))

    def _hybrid(self, state: SiteState) -> list[int]:
        """Inverter with a battery, its PV where that is on the DC side, and the grid meter."""
        dc = self._site.solar.coupling == "dc"
        made = state.pv_kwh if dc else 0.0
        words = [*self._common(UNIT), *inverter(state, -sum(state.inverter_phases), made)]
        if dc:
            words += _trackers(state)
        if self._site.grid_meter:
            words += meter(state)
        return words + self._battery(state)

    def _common(self, unit: int) -> list[int]:
        body = [*text("Simulated", 16), *text("Hybrid inverter", 16), *text("", 8)]
        body += [*text("1.0", 8), *text("S" + digits(self._site, f"sunspec/{unit}"), 16)]
        body += [unit, _NONE_I16]
        return model(1, body)

    def _battery(self, state: SiteState) -> list[int]:
        """Models 802, 803 and 805: the pack, its temperatures, and its cells."""
        volts, heat = state.cell_voltages, state.cell_temperatures
        power = state.battery_power
        body = [_NONE_U16] * 62
        body[0] = _u16(state.capacity_ah)
        body[9], body[11] = _u16(state.soc * 10), _u16(state.soh * 10)
        body[12], body[13] = _u32(int(state.cycles))
        body[14] = _HOLDING if abs(power) < 1 else _CHARGING if power > 0 else _DISCHARGING
        body[20] = 3
        body[24] = body[25] = 0
        body[32] = _u16(state.battery_voltage * 100)
        body[35], body[38] = _u16(max(volts) * 1000), _u16(min(volts) * 1000)
        body[43] = _u16(state.max_charge_current * 10)
        body[44] = _u16(state.max_discharge_current * 10)
        body[42] = _i16(state.battery_current * 10) if abs(power) >= 1 else 0
        body[45] = _i16(power / 10) if abs(power) >= 1 else 0
        # Scale factors from AHRtg_SF on.
        body[50:62] = [
            0,
            _NONE_I16,
            _NONE_I16,
            _NONE_I16,
            *map(_i16, (-1, 0, -1, -2, -3, -1, -1, 1)),
        ]
        words = model(802, body)
        mean = state.battery_temperature
        bank = [0, 0, _i16(max(heat) * 10), 1, 1, _i16(min(heat) * 10), 1, 1, _i16(mean * 10)]
        bank += [_NONE_U16] * 11 + [_i16(-3), _i16(-1), _NONE_I16, _NONE_I16, _NONE_I16, _NONE_I16]
        words += model(803, bank)
        module = [1, 1, len(volts), *[_NONE_U16] * 33, *map(_i16, (0, 0, 0, 0, -3, -1))]
        for volt, celsius in zip(volts, heat, strict=True):
            module += [_u16(volt * 1000), _i16(celsius * 10), 0, 0]
        return words + model(805, module)


def inverter(state: SiteState, watts: float, made_kwh: float) -> list[int]:
    """Model 103: AC power out of an inverter, and what its PV made."""
    connected = state.grid_connected
    volts = [*state.grid_voltages, None, None][:3] if connected else [0.0, None, None]
    body = [_NONE_U16] * 50
    body[4] = _NONE_I16
    for index, volt in enumerate(volts):
        body[8 + index] = _NONE_U16 if volt is None else _u16(volt * 10)
    body[11] = _i16(-1)
    body[12], body[13] = _i16(watts / 10), 1
    body[14], body[15] = _u16(state.frequency * 100 if connected else 0), _i16(-2)
    body[22], body[23], body[24] = *_u32(made_kwh * 1000), 0
    body[36] = _MPPT
    body[38] = body[39] = 0
    return model(103, body)


def _trackers(state: SiteState) -> list[int]:
    """Model 160 with one tracker."""
    body = [0, 0, 0, 0, 0, 0, 1, _NONE_U16]
    body += [1, *text("MPPT 1", 8), _NONE_U16, _NONE_U16, _u16(state.pv_dc), 0, 0, 0, 0]
    return model(160, [*body, _NONE_I16, _MPPT, 0, 0])


def meter(state: SiteState) -> list[int]:
    """Model 203: what the grid meter measures."""
    body = [_NONE_I16] * 105
    for index, volt in enumerate(state.grid_voltages[:3]):
        body[6 + index] = _i16(volt * 10)
    body[13] = _i16(-1)
    body[14], body[15] = _i16(state.frequency * 100 if state.grid_connected else 0), _i16(-2)
    body[16], body[20] = _i16(state.grid / 10), 1
    body[36], body[37] = _u32(state.exported_kwh * 1000)
    body[44], body[45] = _u32(state.imported_kwh * 1000)
    body[52] = 0
    return model(203, body)


def model(number: int, body: list[int]) -> list[int]:
    """A model with its head."""
    return [number, len(body), *body]


def text(given: str, count: int) -> tuple[int, ...]:
    """A text in so many registers."""
    return struct.unpack(f">{count}H", given.encode()[: 2 * count].ljust(2 * count, b"\0"))


def _u16(value: float) -> int:
    return max(0, min(0xFFFE, round(value)))


def _i16(value: float) -> int:
    return max(-0x7FFF, min(0x7FFF, round(value))) & 0xFFFF


def _u32(value: float) -> tuple[int, int]:
    whole = max(0, min(0xFFFFFFFE, round(value)))
    return whole >> 16, whole & 0xFFFF
