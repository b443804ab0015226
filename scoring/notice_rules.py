"""Rules that compare no value: a driver noticed something, and these rows say what it means."""

from __future__ import annotations

from scoring.rule import Level, Rule, Severity

INFO, WARNING = Severity.INFO, Severity.WARNING


def _rule(
    code: str,
    component: str,
    level: Level,
    sentence: str,
    action: str,
    *,
    visit: bool = False,
) -> Rule:
    return Rule(code, component, level.when, "", 0, (level,), sentence, action, visit=visit)


NOTICE_RULES: tuple[Rule, ...] = (
    _rule(
        "grid_phase_lost",
        "grid",
        Level(WARNING, 50, when="a phase of the grid is dead while others are live"),
        "The grid has lost phase {detail}",
        "Check the fuse of that phase at the meter and the main breaker; if they are in order, "
        "call the utility.",
        visit=True,
    ),
    _rule(
        "grid_rejected",
        "grid",
        Level(WARNING, 50, when="the inverter is on and does not use a live grid"),
        "There is a grid ({detail}), but the inverter does not use it",
        "Compare voltage and frequency with the inverter's limits and its grid code, then look for "
        "an assistant or relay that keeps the input open.",
    ),
    _rule(
        "on_generator",
        "grid",
        Level(INFO, 0, when="a generator or shore power feeds a site whose grid is lost"),
        "The site runs on {detail} while its grid is lost",
        "Watch the fuel until the grid is back.",
    ),
    _rule(
        "bms_pending",
        "battery",
        Level(WARNING, 10, when="a battery waits to be connected to the others"),
        "A battery is not in use: {detail}",
        "Charge or discharge the others to its voltage, then let it connect; it stays out until "
        "then.",
    ),
    _rule(
        "system_service_down",
        "connectivity",
        Level(WARNING, 0, when="the bridge answers and the controller's system service does not"),
        "The bridge answers, but the controller's system service does not ({detail})",
        "Restart the controller; the link and the power of the site are in order.",
    ),
    _rule(
        "other_way_in",
        "connectivity",
        Level(INFO, 0, when="the best of several ways in does not answer, and another one does"),
        "The site is read by another way in than its best: {detail}",
        "Check the service behind the best way in; the site is watched meanwhile.",
    ),
    _rule(
        "device_silent",
        "devices",
        Level(WARNING, 0, when="a device hangs, or says that it is not connected"),
        "A device is silent: {detail}",
        "Check the device's cable and power, then restart the controller; its last values are not "
        "used.",
        visit=True,
    ),
    _rule(
        "device_gone",
        "devices",
        Level(WARNING, 0, when="a device that was there is gone"),
        "A device has vanished: {detail}",
        "Check its cable and power; if it was removed on purpose, name it in ignored_devices.",
        visit=True,
    ),
    _rule(
        "device_state",
        "devices",
        Level(INFO, 0, when="a device is switched off or stands by"),
        "A device is not at work: {detail}",
        "Ask whether that is on purpose.",
    ),
    _rule(
        "device_clock",
        "devices",
        Level(WARNING, 0, when="the clock of a bridge or a node is more than five minutes off"),
        "The clock of the site is wrong: {detail}",
        "Set it by NTP; until then readings stand under the time of receipt. Where every site "
        "has this issue, the clock of Fleetscope's own machine is wrong.",
    ),
    _rule(
        "device_id_clash",
        "devices",
        Level(INFO, 0, when="two devices have one id"),
        "Two devices have one id: {detail}",
        "Give one of them another instance in the controller's settings; until then its history "
        "stands under a longer id.",
    ),
)
"""The code of a rule is the code of the notice, and ``detail`` is what the driver says."""
