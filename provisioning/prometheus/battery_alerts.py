"""Alerts on the battery of a site."""

from __future__ import annotations

from provisioning.prometheus.alert import (
    EACH_SITE,
    Alert,
    limit_sentence,
    queried,
    shown,
    value_of,
    while_issue,
    worst_of_issue,
    worst_of_series,
)
from provisioning.prometheus.site_records import COOLER_BY, LATCHED, TEMPERATURE
from scoring.rules import (
    BATTERY_SILENT,
    BATTERY_SOC,
    BATTERY_SOH,
    BATTERY_TEMPERATURE,
    CELL_SPREAD,
)

_NAME = "{{ $labels.name }}"
_SITE = "{{ $labels.name }} ({{ $labels.site }})"
_PERCENT = "{{ $value | humanizePercentage }}"
_CELSIUS = '{{ $value | printf "%.1f" }} °C'
_VOLTS = '{{ $value | printf "%.3f" }} V'
_WORST_TEMPERATURE = worst_of_series(TEMPERATURE, "max", shown(BATTERY_TEMPERATURE))
_FURTHER = BATTERY_TEMPERATURE.levels[0].further

REMARK = """\
Alerts on the battery of a site.
A warning goes on while the same is critical, which holds it back: it is not over then."""

ALERTS = (
    Alert(
        name="FleetscopeBatterySohWarning",
        expr=value_of(BATTERY_SOH),
        wait="1h",
        keep="1h",
        severity="ticket",
        scope="site",
        level="warning",
        cause=BATTERY_SOH.code,
        summary=f"Battery of {_NAME} has aged to {_PERCENT} of its capacity",
        description=f"State of health at {_SITE} has been {_PERCENT} for "
        f"an hour.{limit_sentence(BATTERY_SOH)}",
        action="Check the warranty terms and plan a capacity test.",
    ),
    Alert(
        name="FleetscopeBatterySohCritical",
        expr=while_issue(value_of(BATTERY_SOH), BATTERY_SOH, "critical"),
        wait="3m",
        keep="1h",
        severity="ticket",
        scope="site",
        level="critical",
        cause=BATTERY_SOH.code,
        summary=f"Battery of {_NAME} is worn out: {_PERCENT} of its capacity is left",
        description=f"State of health at {_SITE} has been {_PERCENT} for "
        f"3 minutes.{limit_sentence(BATTERY_SOH)} It holds the site at CRITICAL.",
        action="Plan a capacity test this week; order a replacement if it confirms.",
    ),
    Alert(
        name="FleetscopeCellSpreadWarning",
        expr=value_of(CELL_SPREAD),
        wait="30m",
        keep="15m",
        severity="ticket",
        scope="site",
        level="warning",
        cause=CELL_SPREAD.code,
        summary=f"Cells of {_NAME} are {_VOLTS} apart",
        description=f"The highest and the lowest cell of a pack at {_SITE} are {_VOLTS} apart; "
        "they went beyond their limit at least 30 minutes ago and have not come back to stay."
        f"{limit_sentence(CELL_SPREAD, 2)}",
        action="Let the battery balance at full charge; if the spread stays, have the cell "
        "checked.",
        worst=worst_of_issue(CELL_SPREAD, "max"),
        dashboard="cells",
    ),
    Alert(
        name="FleetscopeCellSpreadCritical",
        expr=while_issue(value_of(CELL_SPREAD), CELL_SPREAD, "critical"),
        wait="3m",
        keep="15m",
        severity="page",
        scope="site",
        level="critical",
        cause=CELL_SPREAD.code,
        summary=f"Cells of {_NAME} are {_VOLTS} apart",
        description=f"The highest and the lowest cell of a pack at {_SITE} have been "
        f"{_VOLTS} apart for 3 minutes."
        f"{limit_sentence(CELL_SPREAD, 2)} A cell may be failing or its measuring wire loose.",
        action="See on the cells dashboard which cell it is; have charge and discharge power "
        "lowered until it is checked.",
        worst=worst_of_issue(CELL_SPREAD, "max"),
        dashboard="cells",
    ),
    Alert(
        name="FleetscopeBatteryTemperatureWarning",
        expr=f"{TEMPERATURE}\n  > {EACH_SITE} {LATCHED} - {COOLER_BY}",
        wait="5m",
        keep="3m",
        severity="ticket",
        scope="site",
        level="warning",
        cause=BATTERY_TEMPERATURE.code,
        summary=f"Battery of {_NAME} is hot: {_CELSIUS}",
        description=f"The battery at {_SITE} is at {_CELSIUS} and has been "
        f"too hot for 5 minutes.{{{{- {queried(LATCHED + '{}')} }}}} Its limit is "
        '{{ . | first | value | printf "%.0f" }} °C; this ends '
        f"{COOLER_BY} °C below.{{{{ end }}}}",
        action=BATTERY_TEMPERATURE.action,
        worst=_WORST_TEMPERATURE,
    ),
    Alert(
        name="FleetscopeBatteryTemperatureCritical",
        expr=while_issue(TEMPERATURE, BATTERY_TEMPERATURE, "critical"),
        wait="1m",
        keep="5m",
        severity="page",
        scope="site",
        level="critical",
        cause=BATTERY_TEMPERATURE.code,
        summary='Battery of {{ $labels.name }} is dangerously hot: {{ $value | printf "%.1f" }} °C',
        description=f"The battery at {_SITE} has been at "
        f"{_CELSIUS} for a minute, {_FURTHER:g} °C or more above what it should have.",
        action="Have the battery stopped and call the contact at once; nobody opens the cabinet "
        "while it is hot.",
        worst=_WORST_TEMPERATURE,
    ),
    Alert(
        name="FleetscopeBatterySocWarning",
        expr=value_of(BATTERY_SOC),
        wait="15m",
        keep="10m",
        severity="ticket",
        scope="site",
        level="warning",
        cause=BATTERY_SOC.code,
        summary=f"Battery of {_NAME} is nearly empty: {_PERCENT}",
        description=f"State of charge at {_SITE} is {_PERCENT}; it fell below its limit at least "
        f"15 minutes ago and has not risen to stay.{limit_sentence(BATTERY_SOC)} Its grid carries "
        "the load.",
        action=BATTERY_SOC.action,
        worst=worst_of_issue(BATTERY_SOC, "min"),
    ),
    Alert(
        name="FleetscopeBatterySocCritical",
        expr=while_issue(value_of(BATTERY_SOC), BATTERY_SOC, "critical"),
        wait="3m",
        keep="10m",
        severity="page",
        scope="site",
        level="critical",
        cause=BATTERY_SOC.code,
        summary=f"Battery of {_NAME} is nearly empty: {_PERCENT}",
        description=f"State of charge at {_SITE}, which has no grid, has been {_PERCENT} for "
        f"3 minutes.{limit_sentence(BATTERY_SOC)} The site may soon shut down.",
        action=BATTERY_SOC.action,
        worst=worst_of_issue(BATTERY_SOC, "min"),
    ),
    Alert(
        name="FleetscopeBatterySilent",
        expr=while_issue("fleetscope_site_coverage_ratio", BATTERY_SILENT),
        wait="10m",
        keep="5m",
        severity="ticket",
        scope="site",
        level="warning",
        cause=BATTERY_SILENT.code,
        summary="{{ $labels.name }} answers but says nothing of its battery",
        description=f"{_SITE} has answered for 10 minutes without any battery reading; "
        "{{ $value | humanizePercentage }} of what a full judgement needs is there. A failing "
        "battery would not be noticed.",
        action=BATTERY_SILENT.action,
    ),
)
