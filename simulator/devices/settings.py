"""The settings service, as far as a monitor reads it."""

from __future__ import annotations

from simulator.devices.names import Tree
from simulator.scenario import Site


def settings_tree(site: Site) -> Tree:
    """Tree of the settings service."""
    return {
        "Settings/CGwacs/AcPowerSetPoint": 30,
        "Settings/CGwacs/BatteryLife/MinimumSocLimit": site.battery.min_soc,
        "Settings/CGwacs/BatteryLife/State": 10,
        "Settings/CGwacs/Hub4Mode": 1,
        "Settings/CGwacs/MaxChargePower": -1,
        "Settings/CGwacs/MaxDischargePower": -1,
        "Settings/CGwacs/MaxFeedInPower": -1,
        "Settings/CGwacs/OvervoltageFeedIn": 1,
        "Settings/CGwacs/PreventFeedback": 0,
        "Settings/System/ImageType": 0,
        "Settings/System/TimeZone": site.timezone,
        "Settings/SystemSetup/AcInput1": 2 if site.solar.coupling == "on_genset" else 1,
        "Settings/SystemSetup/MaxChargeCurrent": -1,
        "Settings/SystemSetup/SystemName": site.name,
    }
