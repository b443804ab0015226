"""Recorded files of one site, so that dashboards of imported data have something to show."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from provisioning.local.stack import PYTHON_ENVIRONMENT, ROOT, Stack

SITE = "norwich_allotments"
DAYS = 4
QUARTER = timedelta(minutes=15)
CELLS = 15


def import_recordings(stack: Stack) -> None:
    """Write a meter and a pack of cells in quarters of an hour, and import them into a stack."""
    folder = stack.folder / "recordings"
    folder.mkdir()
    write(folder, datetime.now(UTC))
    influxdb = stack.url("influxdb")
    if influxdb is None:
        raise RuntimeError("the stack has no InfluxDB")
    environment = {"FLEETSCOPE_INFLUXDB_URL": influxdb, "FLEETSCOPE_INFLUXDB_API": "v1"}
    subprocess.run(
        [
            *(sys.executable, "-m", "exporter", "import", str(folder)),
            *("--site", SITE, "--timezone", "UTC"),
        ],
        cwd=ROOT,
        env={**os.environ, **PYTHON_ENVIRONMENT, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def write(folder: Path, end: datetime) -> None:
    """Write the files: a shop's load with a midday of sun, and a pack whose cell 7 is low."""
    begin = end.replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    times = [begin + n * QUARTER for n in range(int((end - begin) / QUARTER))]
    power = [_net_power_w(moment) for moment in times]
    imported = exported = 0.0
    rows: dict[str, list[float]] = {"m1_ap": power, "m1_ae": [], "m1_ae_exp": []}
    for watts in power:
        imported += max(watts, 0.0) / 4000
        exported += max(-watts, 0.0) / 4000
        rows["m1_ae"].append(1200 + imported)
        rows["m1_ae_exp"].append(340 + exported)
    for cell in range(1, CELLS + 1):
        rows[f"bms1_p1_v{cell}"] = [
            3.30 + 0.02 * math.sin(n / 15) + cell / 4000 - 0.04 * (cell == 7)
            for n in range(len(times))
        ]
    units = {"m1_ap": "W", "m1_ae": "kWh", "m1_ae_exp": "kWh"}
    for name, values in rows.items():
        lines = [f"time,value [{units.get(name, 'V')}]"]
        lines += [
            f"{moment:%Y-%m-%dT%H:%M:%SZ},{value:.4f}"
            for moment, value in zip(times, values, strict=True)
        ]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")


def _net_power_w(moment: datetime) -> float:
    """Load less what the sun makes, W; below zero it is fed in."""
    hour = moment.hour + moment.minute / 60
    load = 900 + 1400 * math.exp(-(((hour - 18.5) / 2) ** 2)) + 60 * math.sin(7 * hour)
    sun = 3200 * max(0.0, math.sin(math.pi * (hour - 7) / 10)) if 7 <= hour <= 17 else 0.0
    return load - sun
