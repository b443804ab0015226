"""A Victron GX device over Modbus TCP that answers as its HTTP bridge does.

Registers become trees of D-Bus paths, so that one reader makes the same Snapshot of a site,
whichever way its trees come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from exporter.drivers.modbus_tcp.gx_map import GxDevice, GxMap
from exporter.drivers.modbus_tcp.gx_options import GxUnits
from exporter.drivers.transport.http.json_client import NotFoundError
from exporter.drivers.transport.modbus.frames import (
    NO_SUCH_REGISTER,
    NO_SUCH_UNIT,
    ExceptionReplyError,
    Function,
    Request,
)
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.drivers.transport.modbus.unit_reader import UnitReader
from exporter.drivers.venus.tree import PHASES, SYSTEM
from exporter.model.snapshot import Outcome, ScrapeError

_ABSENT = NO_SUCH_REGISTER | NO_SUCH_UNIT
# Groups of powers, and the class of the device that makes them.
_POWER_GROUPS = {
    "Ac/Grid": "grid",
    "Ac/Genset": "genset",
    "Ac/PvOnGrid": "pvinverter",
    "Ac/PvOnOutput": "pvinverter",
    "Ac/PvOnGenset": "pvinverter",
}
_PV_DC = "Dc/Pv/Power"
_GRID_SOURCE = 1
_FIRST_INPUT = "/Settings/SystemSetup/AcInput1"


@dataclass(slots=True, eq=False)
class GxBridge:
    """The routes of the HTTP bridge, answered out of registers.

    Attributes
    ----------
    gateway : Gateway
    layout : GxMap
    unit : int
        Unit of the system itself.
    units : GxUnits
        Units of its devices, where the fleet file gives them.
    monotonic : callable
    """

    gateway: Gateway
    layout: GxMap
    unit: int
    units: GxUnits
    monotonic: Callable[[], float]
    _devices: dict[str, GxDevice] = field(default_factory=dict)
    _readers: dict[str, UnitReader] = field(default_factory=dict)
    _search: Iterator[GxDevice] | None = None
    _flowed: set[str] = field(default_factory=set)
    _first_input: Any = None

    async def get_json(
        self, path: str, params: dict[str, str], *, patience_seconds: float | None = None
    ) -> Any:
        """The document of a route; see :class:`exporter.drivers.venus.site_reader.Bridge`."""
        if path == "/services":
            await self._look_for_devices()
            return {"services": [SYSTEM, *self._devices]}
        if path == "/health":
            first, count = self.layout.services["system"].first.span
            await self.gateway.read(Request(self.unit, Function.HOLDING, first, count))
            return {}
        service = params.get("service", "")
        if path == "/value" and params.get("path") == _FIRST_INPUT:
            return {"value": self._first_input}
        if path != "/value" or params.get("path") != "/":
            raise NotFoundError(f"{service}: has no register for {params.get('path')}")
        if service == SYSTEM:
            return {"value": await self._system()}
        device = self._devices.get(service)
        if device is None:
            raise NotFoundError(f"{service}: is not there")
        return {"value": await self._tree(device)}

    async def _look_for_devices(self) -> None:
        """Ask the units of usual ports, or those of the fleet file.

        A GX refuses units that it does not have. Behind something that is silent instead, the
        search ends, and the fleet file has to name the units. Where the caller's time ran out, the
        next call goes on.
        """
        if self._search is None:
            self._search = self._candidates()
        for device in self._search:
            first, count = self.layout.services[device.kind].first.span
            try:
                await self.gateway.read(Request(device.unit, Function.HOLDING, first, count))
            except ExceptionReplyError:
                continue
            except ScrapeError as error:
                if error.outcome is not Outcome.TIMEOUT:
                    raise
                break
            self._devices[device.service] = device
        self._search = None

    def _candidates(self) -> Iterator[GxDevice]:
        for kind, service in self.layout.services.items():
            given: tuple[int, ...] | None = getattr(self.units, kind, ())
            for unit in service.units if given is None else given:
                device = GxDevice(kind, unit)
                if device.service not in self._devices:
                    yield device

    async def _tree(self, device: GxDevice) -> dict[str, Any]:
        service = self.layout.services[device.kind]
        reader = self._readers.get(device.service)
        if reader is None:
            reader = self._readers[device.service] = UnitReader(
                self.gateway,
                device.unit,
                Function.HOLDING,
                service.spans,
                self.layout.largest_gap,
                self.monotonic,
            )
        try:
            tree = service.tree(await reader.read())
        except ExceptionReplyError as error:
            if error.code not in _ABSENT:
                raise
            self._devices.pop(device.service, None)
            raise NotFoundError(error.detail) from error
        return tree | {"DeviceInstance": self.layout.instances.get(device.unit, device.unit)}

    async def _system(self) -> dict[str, Any]:
        tree = await self._tree(GxDevice("system", self.unit))
        if "Serial" not in tree:
            raise NotFoundError(f"unit {self.unit}: gives no values")
        self._leave_out_absent(tree)
        self._take_settings(tree)
        if not tree.get("Dc/Battery/Voltage"):
            tree = {p: v for p, v in tree.items() if not p.startswith("Dc/Battery/")}
        for service, device in self._devices.items():
            name = self.layout.device(device.kind, device.unit).replace("/", "_")
            tree[f"ServiceMapping/com_victronenergy_{name}"] = service
        battery = self._first("battery")
        if battery is not None:
            tree["Dc/Battery/BatteryService"] = battery
        if (vebus := self._first("vebus")) is not None:
            tree["VebusService"] = vebus
        return tree

    def _take_settings(self, tree: dict[str, Any]) -> None:
        """How many inputs there are, and whether it is an ESS, which no register says.

        A site with a grid meter has its grid on some input. Where the second is not said to be the
        grid, it hangs on the first, whatever that is called.
        """
        self._first_input = tree.get("Settings/SystemSetup/AcInput1")
        if tree.get("Settings/SystemSetup/AcInput2") != _GRID_SOURCE:
            tree["Ac/In/NumberOfAcInputs"] = 1
        if tree.get("Settings/CGwacs/Hub4Mode"):
            tree["SystemType"] = "ESS"

    def _first(self, kind: str) -> str | None:
        return next((s for s, d in self._devices.items() if d.kind == kind), None)

    def _leave_out_absent(self, tree: dict[str, Any]) -> None:
        """Leave out powers of 0 W whose device the site may not have: 0 is also no value.

        A group stays once it has flowed, or while a device or the source says that it is there.
        """
        kinds = {device.kind for device in self._devices.values()}
        for group, kind in _POWER_GROUPS.items():
            paths = [f"{group}/{phase}/Power" for phase in PHASES]
            there = kind in kinds or (
                kind == "grid" and tree.get("Ac/ActiveIn/Source") == _GRID_SOURCE
            )
            self._leave_out(tree, group, paths, there=there)
        self._leave_out(tree, _PV_DC, [_PV_DC], there=bool(kinds & {"solarcharger", "multi"}))

    def _leave_out(
        self, tree: dict[str, Any], group: str, paths: list[str], *, there: bool
    ) -> None:
        if any(tree.get(path) for path in paths):
            self._flowed.add(group)
        elif not there and group not in self._flowed:
            for path in paths:
                tree.pop(path, None)
