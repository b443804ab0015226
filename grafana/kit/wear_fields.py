"""Queries for what the hourly analysis of cells says of a pack."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Mapping

from exporter.history.cells.wear import MEASUREMENT
from grafana.kit.levels import READINGS, Detail

# A round of the analysis leaves a row; it takes an hour, or longer on a busy machine.
AT_THE_END = "time > ${__to}ms - 2d AND time <= ${__to}ms"
NOT_ANALYSED = "Not analysed at that time: the exporter does so hourly for sites of its fleet file"


def newest(names: Mapping[str, str], where: str, by: str = "", detail: Detail = READINGS) -> str:
    """InfluxQL: the newest of these fields at the end of the range, under other names."""
    group = f" GROUP BY {by}" if by else ""
    outer = ", ".join(f'last("{shown}") AS "{shown}"' for shown in names.values())
    return f"SELECT {outer} FROM {sources(names, where, by, detail)} WHERE {AT_THE_END}{group}"


def sources(names: Mapping[str, str], where: str, by: str, detail: Detail = READINGS) -> str:
    """What stands behind FROM to have the newest of these fields under other names."""
    group = f" GROUP BY {by}" if by else ""
    made = []
    for suffix in ("", "_max"):
        chosen = ", ".join(f'last("{name}{suffix}") AS "{shown}"' for name, shown in names.items())
        made.append(
            f"(SELECT {chosen} FROM {detail.of(MEASUREMENT)} WHERE {where} AND {AT_THE_END}{group})"
        )
    return ", ".join(made)
