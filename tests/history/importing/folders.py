"""Folders of files as loggers write them, and the command that reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from typer.testing import CliRunner

from exporter.cli.commands import app

BERLIN = ZoneInfo("Europe/Berlin")


def local_minutes(start: str, count: int, zone: ZoneInfo = BERLIN, step: int = 1) -> list[str]:
    """What a wall clock shows, minute after minute, from a time in UTC."""
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return [
        f"{(first + timedelta(minutes=i * step)).astimezone(zone):%Y-%m-%d %H:%M:%S}"
        for i in range(count)
    ]


def write_csv(path: Path, rows: Iterable[Iterable[Any]], head: str | None = "time,value") -> None:
    """Rows under a heading, with the separator of the heading."""
    separator = next((s for s in ";\t|" if s in (head or "")), ",")
    lines = ([head] if head else []) + [separator.join(map(str, row)) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def run(*arguments: str | Path) -> Any:
    """``fleetscope import …`` in this process."""
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


def checked(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """The report of ``--check``."""
    result = run(folder, "--check", "--json", *arguments)
    assert result.stdout, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    report["exit_code"] = result.exit_code
    return report
