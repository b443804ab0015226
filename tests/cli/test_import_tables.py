"""``fleetscope import --table``: what it says and how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app

HEAD = "site,service,start,run,volume,price,amount\n"
GOOD = "thames,energy,2026-03-01T00:00:00Z,II,1,50,50\n"


def take(folder: Path, *more: str, table: str = "settlement") -> Any:
    arguments = ["import", str(folder / "s.csv"), "--table", table, *more]
    return CliRunner().invoke(app, arguments, env={"FLEETSCOPE_BOOKS": str(folder / "books")})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.csv").write_text(HEAD + GOOD, encoding="utf-8")
    return tmp_path


def test_rows_are_taken_and_named(folder: Path) -> None:
    first, again = take(folder), take(folder, "--json")
    assert (first.exit_code, first.output) == (0, "s.csv: 1 new, 0 restated, 0 as they were\n")
    (report,) = json.loads(again.output)
    assert (report["new"], report["same"], report["bad"]) == (0, 1, 0)


def test_check_writes_nothing(folder: Path) -> None:
    found = take(folder, "--check")
    assert (found.exit_code, found.output) == (0, "s.csv: 1 rows would be taken\n")
    assert not (folder / "books").exists()


def test_bad_rows_are_named_and_kept_aside(folder: Path) -> None:
    other = GOOD.replace(",50,50", ",50,49")
    bad = "".join(f"thames,energy,later,II,{n},50,50\n" for n in range(6))
    (folder / "s.csv").write_text(HEAD + GOOD + GOOD + other + bad, encoding="utf-8")
    found = take(folder)
    assert found.exit_code == 3
    assert f"1 new, 0 restated, 0 as they were, 7 not taken (kept in {folder}" in found.output
    assert "row 3: says something else of what row 1 is about" in found.output
    assert "and 2 more" in found.output
    kept = (folder / "rejected" / "s.csv.settlement.csv").read_text("utf-8")
    assert len(kept.splitlines()) == 8


@pytest.mark.parametrize(
    ("more", "table", "reason"),
    [
        ((), "statement", "--table statement: expected one of settlement, prices"),
        ((), "prices", "no column for market"),
        (("--timezone", "Mars/Olympus"), "settlement", "expected one such as Europe/London"),
        (("--mapping", "absent.yaml"), "settlement", "absent.yaml cannot be read"),
    ],
)
def test_what_cannot_be_is_said(
    folder: Path, more: tuple[str, ...], table: str, reason: str
) -> None:
    found = take(folder, *more, table=table)
    assert found.exit_code == 1
    assert reason in found.stderr


def test_without_a_ledger_nothing_is_read(folder: Path) -> None:
    found = CliRunner().invoke(app, ["import", str(folder), "--table", "events"])
    assert found.exit_code == 1
    assert "--books books.sqlite or FLEETSCOPE_BOOKS" in found.stderr
