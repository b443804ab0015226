"""A simulated month of three plants, imported and published as an owner would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = ("prices", "dispatch", "events", "tickets", "budget", "pipeline")
SETTLEMENT_RUNS = ("II", "SF")


def publish_month(influxdb: str, folder: Path, month: str) -> None:
    """Write the files of a month into a folder, import them, and publish what follows from them.

    Parameters
    ----------
    influxdb : str
        Address of an InfluxDB 1.x.
    folder : Path
    month : str
        Such as ``2026-03``.

    Raises
    ------
    subprocess.CalledProcessError
        A step failed.
    """
    environment = {
        **os.environ,
        "FLEETSCOPE_INFLUXDB_URL": influxdb,
        "FLEETSCOPE_INFLUXDB_API": "v1",
        "FLEETSCOPE_BOOKS": str(folder / "books.sqlite"),
        "FLEETSCOPE_CONTRACTS": str(folder / "contracts.yaml"),
    }

    def run(*words: str) -> None:
        command = [sys.executable, "-m", *words]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)

    run("simulator", "portfolio", "--output", str(folder), "--month", month)
    settlements = ((f"settlement-{name}", "settlement") for name in SETTLEMENT_RUNS)
    for file, table in (*((name, name) for name in TABLES), *settlements):
        path = str(folder / f"{file}.csv")
        run("exporter", "import", path, "--table", table, "--timezone", "Europe/London")
    for telemetry in sorted(folder.glob("telemetry-*.parquet")):
        run("exporter", "import", str(telemetry), "--table", "telemetry")
    run("exporter", "portfolio", "--publish", "--period", month)
