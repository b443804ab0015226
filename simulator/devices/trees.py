"""The services of a site and their trees, with the faults that show only in what devices say."""

from __future__ import annotations

from collections.abc import Callable

from simulator.devices.battery import battery_tree
from simulator.devices.inverter import multi_tree, vebus_tree
from simulator.devices.meters import grid_tree, pvinverter_tree, solarcharger_tree
from simulator.devices.names import PREFIX, Services, Tree, service_names
from simulator.devices.settings import settings_tree
from simulator.devices.system import system_tree
from simulator.engine import Simulator
from simulator.faults import AlarmParams, RenameParams
from simulator.scenario import Site
from simulator.state import SiteState

SYSTEM = PREFIX + "system"
WRONG_TYPES: tuple[object, ...] = ("n/a", True, "12,3 V", False, {"value": 1}, "")
IDENTIFYING = ("Mgmt/", "DeviceInstance", "ProductId", "ServiceMapping/", "VebusInstance")


class SiteBus:
    """The device bus of one site, at the time to which the simulation has advanced.

    Parameters
    ----------
    simulator : Simulator
        The simulation that the site belongs to.
    site_id : str
        The site; KeyError where there is none.
    """

    def __init__(self, simulator: Simulator, site_id: str) -> None:
        self._simulator = simulator
        self.site: Site = simulator.site(site_id)
        self._names: dict[str | None, Services] = {}
        self._nominal_v = simulator.nominal(site_id)[1]

    def names(self) -> Services:
        """The site's service names, with an active renaming."""
        suffix = None
        renamed = self._simulator.fault(self.site.id, "rename_battery")
        if renamed is not None and isinstance(renamed.params, RenameParams):
            suffix = renamed.params.name
        known = self._names.get(suffix)
        if known is None:
            known = self._names[suffix] = service_names(self.site, battery_suffix=suffix)
        return known

    def services(self) -> list[str]:
        """Names of the services on the bus, sorted."""
        names = self.names()
        silent = self._simulator.fault(self.site.id, "battery_silent") is not None
        return [name for name in names.all() if not (silent and name == names.battery)]

    def tree(self, service: str) -> Tree | None:
        """The whole tree of a service; None where the site has no such service."""
        if service not in self.services():
            return None
        site, names = self.site, self.names()
        state = self._simulator.state(site.id)
        if service == SYSTEM:
            silent = self._simulator.fault(site.id, "battery_silent") is not None
            tree = system_tree(site, state, names, self._nominal_v, battery=not silent)
        elif service == PREFIX + "settings":
            tree = settings_tree(site)
        else:
            tree = self._device(service, names)(site, state)
        self._alarms(tree, service, names)
        if self._simulator.fault(site.id, "wrong_types") is not None:
            _mistype(tree)
        if self._simulator.fault(site.id, "implausible") is not None:
            _exaggerate(tree)
        return tree

    @staticmethod
    def _device(service: str, names: Services) -> Callable[[Site, SiteState], Tree]:
        if service == names.battery:
            return battery_tree
        if service == names.vebus:
            return vebus_tree
        if service == names.multi:
            return multi_tree
        if service == names.grid:
            return grid_tree
        return pvinverter_tree if service == names.pvinverter else solarcharger_tree

    def _alarms(self, tree: Tree, service: str, names: Services) -> None:
        devices = {
            "battery": names.battery,
            "inverter": names.inverter,
            "solarcharger": names.solarcharger,
        }
        for active in self._simulator.faults_of(self.site.id):
            params = active.params
            if isinstance(params, AlarmParams) and devices[params.device] == service:
                tree[f"Alarms/{params.name}"] = params.level


def _mistype(tree: Tree) -> None:
    """Put strings, booleans and objects where measured numbers belong."""
    turn = 0
    for path, value in tree.items():
        if isinstance(value, int | float) and not path.startswith(IDENTIFYING):
            tree[path] = WRONG_TYPES[turn % len(WRONG_TYPES)]
            turn += 1


def _exaggerate(tree: Tree) -> None:
    """Report what cannot be: 140 % full, cells of 9 V, 900 °C."""
    for path in tree:
        if path in {"Soc", "Dc/Battery/Soc"}:
            tree[path] = 140.0
        elif path.endswith("Temperature") and not path.startswith("Alarms/"):
            tree[path] = 900.0
        elif path == "System/MaxCellVoltage" or path in {"Voltages/Cell1", "Cell/1/Volts"}:
            tree[path] = 9.0
