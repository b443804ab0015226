"""Runbooks: what each alert means and what to do, and which one an issue belongs to."""

from __future__ import annotations

import sys
from pathlib import Path

from scoring.rules import (
    BATTERY_SILENT,
    BATTERY_SOC,
    BATTERY_SOH,
    BATTERY_TEMPERATURE,
    CELL_FINDING,
    CELL_SPREAD,
    DEVICE_ALARM,
    GRID_FREQUENCY,
    GRID_LOST,
    GRID_VOLTAGE,
    SITE_OFFLINE,
)

_FOLDERS = (
    Path(__file__).resolve().parents[2] / "docs",
    Path(sys.prefix) / "share" / "fleetscope" / "docs",
)
RUNBOOKS: dict[str, tuple[str, str]] = {
    BATTERY_SILENT.code: ("FleetscopeBatterySilent", "FleetscopeBatterySilent"),
    BATTERY_SOC.code: ("FleetscopeBatterySocCritical", "FleetscopeBatterySocCritical"),
    BATTERY_SOH.code: ("FleetscopeBatterySohWarning", "FleetscopeBatterySohCritical"),
    BATTERY_TEMPERATURE.code: (
        "FleetscopeBatteryTemperatureWarning",
        "FleetscopeBatteryTemperatureCritical",
    ),
    CELL_FINDING.code: ("FleetscopeCellTrend", "FleetscopeCellTrend"),
    CELL_SPREAD.code: ("FleetscopeCellSpreadWarning", "FleetscopeCellSpreadCritical"),
    DEVICE_ALARM.code: ("FleetscopeDeviceAlarm", "FleetscopeDeviceAlarm"),
    GRID_FREQUENCY.code: (
        "FleetscopeGridFrequencyOutOfBand",
        "FleetscopeGridFrequencyOutOfBand",
    ),
    GRID_LOST.code: ("FleetscopeGridLost", "FleetscopeGridLost"),
    GRID_VOLTAGE.code: ("FleetscopeGridVoltageOutOfBand", "FleetscopeGridVoltageOutOfBand"),
    SITE_OFFLINE.code: ("FleetscopeSiteOffline", "FleetscopeSiteOffline"),
}
"""Code of an issue to the runbooks for a warning and for critical."""
OTHERS = ("FleetscopeSiteWarning", "FleetscopeSiteCritical")
"""Those of an issue without an alert of its own."""


def runbooks_text() -> str:
    """All runbooks, as Markdown.

    Raises
    ------
    FileNotFoundError
        Where the documents are not installed.
    """
    for folder in _FOLDERS:
        file = folder / "runbooks.md"
        if file.is_file():
            return file.read_text("utf-8")
    raise FileNotFoundError("the runbooks are not installed with this program")


def runbooks() -> dict[str, str]:
    """Runbook entries by alert, as Markdown.

    Raises
    ------
    FileNotFoundError
    """
    parts = runbooks_text().split("\n## ")[1:]
    return {part.split("\n", 1)[0].strip(): f"## {part.strip()}\n" for part in parts}
