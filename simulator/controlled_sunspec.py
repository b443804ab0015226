"""A controlled site as a hybrid inverter that speaks SunSpec, with storage controls (model 124) or
the active power set-point of a DER (model 704).

Source: SunSpec Information Model Reference; DER Information Model Specification. Both rates of 124
bound the battery while their bits are set; a pair of x and -x leaves one power. After
``InOutWRte_RvrtTms``, or ``WSetRvrtTms``, without a write the device clears them by itself.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from simulator.controlled import VOLTAGE_V, ControlledSite, Healthy
from simulator.modbus.server import ModbusServer
from simulator.modbus.sunspec import BASE, UNIT, inverter, meter, model, text

_NONE = 0xFFFF
_ILLEGAL_ADDRESS, _FAILURE = 2, 4
_CONTROL, _DISCHARGE, _CHARGE, _TIME = 5, 12, 13, 15
_SETTABLE = frozenset({_CONTROL, _DISCHARGE, _CHARGE, 14, _TIME, 17})
_BOTH = 3
_DER_LENGTH = 65
_ENABLED, _DER_SCALE = 22, 55
_DER_SETTABLE = frozenset(range(_ENABLED, 33))
_CHARGING, _DISCHARGING, _HOLDING = 4, 3, 6


class ControlledSunSpec:
    """The registers of the site.

    Parameters
    ----------
    site : ControlledSite
    rated_w : int
        ``WChaMax``.
    rate_scale : int
        Power of ten of the rates, in percent.
    """

    def __init__(self, site: ControlledSite, rated_w: int = 5000, rate_scale: int = -2) -> None:
        site.of_battery = True
        self._site = site
        self._scale = rate_scale
        whole = round(100 / 10**rate_scale)
        # From the head on, as the model lists them.
        self.storage = [124, 24, rated_w, 100, 100, 0, _NONE, _NONE, 0, _NONE, 0, 0]
        self.storage += [whole, whole, 0, 0, _NONE, 1]
        self.storage += [0, 0, 0x8000, 0x8000, 0, 0x8000, (-1) & 0xFFFF, rate_scale & 0xFFFF]

    @property
    def control(self) -> int:
        """``StorCtl_Mod`` now."""
        self._lapse()
        return self.storage[_CONTROL]

    def registers(self, unit: int, address: int, count: int) -> Mapping[int, int] | None:
        """See :class:`simulator.modbus.server.Units`."""
        if unit != UNIT:
            return None
        return dict(enumerate([*struct.unpack(">2H", b"SunS"), *self._words(), 0xFFFF, 0], BASE))

    def write(self, unit: int, address: int, words: Sequence[int]) -> int:
        """See :class:`simulator.modbus.server.SettableUnits`."""
        self._lapse()
        wanted = self._offsets(address, len(words))
        if unit != UNIT or not set(wanted) <= _SETTABLE:
            return _ILLEGAL_ADDRESS
        if self._site.refuses:
            return _FAILURE
        control = self.storage[_CONTROL]
        for register, word in zip(wanted, words, strict=True):
            if not (self._site.keeps and register == _CONTROL and word == 0):
                self.storage[register] = word
        self._take(control)
        return 0

    def _take(self, control_before: int) -> None:
        """Bring about what the registers say."""
        charge, discharge = _signed(self.storage[_CHARGE]), _signed(self.storage[_DISCHARGE])
        if self.storage[_CONTROL] & _BOTH == _BOTH and charge == -discharge:
            seconds = self.storage[_TIME]
            self._site.reversion_seconds = float(seconds) if seconds else None
            self._site.write(charge * 10.0**self._scale / 100 * self.storage[2])
        elif control_before & _BOTH:
            self._site.write(None)

    def _lapse(self) -> None:
        if not self._site.forced and self.storage[_CONTROL] & _BOTH == _BOTH:
            self.storage[_CONTROL] = 0

    def _before(self) -> list[int]:
        body = [*text("Simulated", 16), *text("Storage inverter", 16), *text("", 8)]
        body += [*text("1.0", 8), *text(f"S{self._site.portal}", 16), UNIT, 0x8000]
        state: Any = SimpleNamespace(
            grid_connected=True,
            grid_voltages=(230.0,),
            frequency=50.0,
            grid=self._site.grid_w,
            exported_kwh=1.0,
            imported_kwh=1.0,
        )
        feed_w = self._site.load_w - self._site.grid_w
        return [*model(1, body), *inverter(state, feed_w, 0.0), *meter(state)]

    def _offsets(self, address: int, count: int) -> range:
        """Registers from the start of the model that is written."""
        start = BASE + 2 + len(self._before())
        return range(address - start, address - start + count)

    def _controls(self) -> list[int]:
        """The model that is written."""
        site = self._site
        self.storage[8], self.storage[10] = round(site.soc_percent), round(VOLTAGE_V * 10)
        return self.storage

    def _words(self) -> list[int]:
        self._lapse()
        site = self._site
        battery = [_NONE] * 62
        battery[9], battery[11] = round(site.soc_percent * 10), 980
        power = site.battery_w
        battery[14] = _HOLDING if abs(power) < 1 else _CHARGING if power > 0 else _DISCHARGING
        battery[20], battery[24], battery[25] = 3, 0, 0
        battery[32] = round(VOLTAGE_V * 100)
        battery[42] = round(power / VOLTAGE_V * 10) & 0xFFFF
        battery[45] = round(power) & 0xFFFF
        battery[50:62] = [
            *(0, 0x8000, 0x8000, 0x8000),
            *(scale & 0xFFFF for scale in (-1, 0, -1, -2, -3, -1, 0, 0)),
        ]
        return [*self._before(), *self._controls(), *model(802, battery)]


class ControlledDer(ControlledSunSpec):
    """The same with model 704 in place of 124.

    Parameters
    ----------
    site : ControlledSite
    scale : int
        Power of ten of ``WSet``, in W.
    lease_seconds : int, optional
        What it holds in place of any time of reversion that is written; 0: it never lapses.
    """

    def __init__(
        self, site: ControlledSite, scale: int = 0, lease_seconds: int | None = None
    ) -> None:
        super().__init__(site)
        self.der = [704, _DER_LENGTH, *[0] * _DER_LENGTH]
        self.der[_DER_SCALE] = scale & 0xFFFF
        self._lease_seconds = lease_seconds

    @property
    def control(self) -> int:
        """``WSetEna`` now."""
        self._lapse()
        return self.der[_ENABLED]

    def write(self, unit: int, address: int, words: Sequence[int]) -> int:
        """See :class:`simulator.modbus.server.SettableUnits`."""
        self._lapse()
        wanted = self._offsets(address, len(words))
        if unit != UNIT or not set(wanted) <= _DER_SETTABLE:
            return _ILLEGAL_ADDRESS
        if self._site.refuses:
            return _FAILURE
        if self._site.keeps and words[0] == 0:
            return 0
        self.der[wanted.start : wanted.stop] = words
        if self._lease_seconds is not None:
            self.der[31:33] = 0, self._lease_seconds
        if self.der[_ENABLED]:
            packed = struct.pack(">4H", *self.der[24:26], *self.der[31:33])
            feeds_in_w, seconds = struct.unpack(">iI", packed)
            self._site.reversion_seconds = float(seconds) if seconds else None
            self._site.write(-feeds_in_w * 10.0 ** _signed(self.der[_DER_SCALE]))
        else:
            self._site.write(None)
        return 0

    def _lapse(self) -> None:
        if not self._site.forced:
            self.der[_ENABLED] = 0

    def _controls(self) -> list[int]:
        return self.der


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


def sunspec_server(
    site: ControlledSite, *, der: bool = False, **changed: int
) -> tuple[ModbusServer, ControlledSunSpec]:
    """The site as a Modbus TCP server, and its registers."""
    units = ControlledDer(site, **changed) if der else ControlledSunSpec(site, **changed)
    return ModbusServer(Healthy(), site.portal, units), units  # type: ignore[arg-type]
