"""``fleetscope settlement`` and ``portfolio`` over a month with planted errors."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from simulator.cli import main


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("month")
    assert main(["portfolio", "--output", str(made), "--month", "2026-03", "--seed", "2"]) == 0
    for table in ("prices", "dispatch", "events", "tickets"):
        assert invoke(made, "import", str(made / f"{table}.csv"), "--table", table).exit_code == 0
    for run in ("II", "SF"):
        path = str(made / f"settlement-{run}.csv")
        assert invoke(made, "import", path, "--table", "settlement").exit_code == 0
    return made


def invoke(month: Path, *arguments: str) -> Any:
    named = {
        "FLEETSCOPE_BOOKS": str(month / "books.sqlite"),
        "FLEETSCOPE_CONTRACTS": str(month / "contracts.yaml"),
        "COLUMNS": "110",
    }
    return CliRunner().invoke(app, list(arguments), env=named)


def test_every_difference_is_in_the_document(month: Path) -> None:
    truth = json.loads((month / "truth.json").read_text("utf-8"))
    found = invoke(month, "settlement", "--period", "2026-03", "--run", "II", "--json")
    assert found.exit_code == 3
    document = json.loads(found.output)
    planted = [Decimal(e["amount"]) for e in truth["statement_errors"] if e["run"] == "II"]
    assert Decimal(document["stated"]) - Decimal(document["own"]) == sum(planted)
    assert document["not_judged"] == {"lines": {}, "amount": "0"}


def test_the_largest_come_first(month: Path) -> None:
    found = invoke(month, "settlement", "--period", "2026-03", "--run", "ii")
    assert found.exit_code == 3
    assert "Settlement 01 Mar 2026 to 01 Apr 2026 00:00 (Europe/London), run ii" in found.output
    lines = found.output.splitlines()
    rows = lines[next(n for n, line in enumerate(lines) if line.startswith("Site")) + 1 :]
    amounts = [abs(float(row.split()[-2].replace(",", ""))) for row in rows if "GBP" in row]
    assert amounts == sorted(amounts, reverse=True) != []


def test_a_month_without_lines_says_so(month: Path) -> None:
    found = invoke(month, "settlement", "--period", "2025-03")
    assert "The ledger has no lines of that period that could be compared." in found.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("atlantis",), "no contract of atlantis; there are those of cotswold"),
        (("--period", "whenever"), "--period whenever"),
        (("--books", "absent.sqlite"), "absent.sqlite cannot be opened"),
        (("--contracts", "absent.yaml"), "absent.yaml cannot be read"),
    ],
)
def test_what_cannot_be_is_said(month: Path, arguments: tuple[str, ...], reason: str) -> None:
    found = invoke(month, "settlement", *arguments)
    assert found.exit_code == 1
    assert reason in found.stderr


def test_the_portfolio_adds_up(month: Path) -> None:
    found = invoke(month, "portfolio", "--period", "2026-03", "--json")
    assert found.exit_code == 0
    document = json.loads(found.output)
    stated = sum(Decimal(site["stated"]) for site in document["sites"])
    shared = sum(Decimal(part["total"]) for part in document["payouts"].values())
    assert stated == shared
    assert all(site["coverage"] == 1.0 for site in document["sites"])
    assert all(0.9 < site["availability"] < 1 for site in document["sites"])


def test_the_portfolio_on_a_terminal(month: Path) -> None:
    found = invoke(month, "portfolio", "--period", "2026-03")
    assert found.exit_code == 0
    for words in ("yorkshire", "Owed to us", "optimiser", "100.0 %"):
        assert words in found.output
    # A share of some plants alone is none.
    assert "optimiser" not in invoke(month, "portfolio", "thames", "--period", "2026-03").output


def test_a_period_that_nobody_saw_has_no_availability(month: Path) -> None:
    found = invoke(month, "portfolio", "--period", "2025-03")
    assert "not known" in found.output
    assert "0.0 %" in found.output
