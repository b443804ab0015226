"""Every error that was planted in a statement is found to the penny, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from exporter.config.side_file import SideFileError
from exporter.portfolio.contracts_file import Contracts, load_contracts
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_import import import_table, read_table
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.reconciliation import Reconciliation, reconciliation, runs
from scoring.money.revenue import Cause
from simulator.cli import main

LONDON = ZoneInfo("Europe/London")
EVER = (0.0, 2e9)
FILES = {
    "prices.csv": "prices",
    "dispatch.csv": "dispatch",
    "events.csv": "events",
    "settlement-II.csv": "settlement",
    "settlement-SF.csv": "settlement",
}


def filled(folder: Path, path: Path, files: dict[str, str]) -> Ledger:
    ledger = Ledger(path)
    for name, table in files.items():
        read = read_table(folder / name, TABLES[table], {}, LONDON)
        assert not read.bad
        import_table(ledger, folder / name, TABLES[table], read, None)
    return ledger


@pytest.fixture(scope="module", params=["2026-03", "2026-10"])
def month(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Months with a day of 23 and of 25 hours."""
    made = tmp_path_factory.mktemp("month")
    assert main(["portfolio", "--output", str(made), "--month", request.param, "--seed", "8"]) == 0
    filled(made, made / "books", FILES).close()
    return made


def compared(month: Path, run: str | None, ledger: Ledger | None = None) -> Reconciliation:
    contracts = load_contracts(month / "contracts.yaml")
    with ledger or Ledger(month / "books", read_only=True) as books:
        found = reconciliation(books, contracts, contracts.sites, *bounds(month), run)
    assert sum(d.amount for d in found.differences) == found.stated - found.own
    return found


def bounds(month: Path) -> tuple[float, float]:
    with Ledger(month / "books", read_only=True) as books:
        starts = [row["start"] for row in books.latest(TABLES["dispatch"], *EVER)]
    return min(starts), max(starts) + 900


def truth(month: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((month / "truth.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("run", ["II", "SF", None])
def test_planted_errors_are_found_to_the_penny(month: Path, run: str | None) -> None:
    known = truth(month)
    found = compared(month, run)
    assert found.own == sum(Decimal(amount) for amount in known["due"].values())
    assert not found.missing
    assert found.unjudged == 0
    planted = {
        (e["site"], e["service"], e["start"]): Decimal(e["amount"])
        for e in known["statement_errors"]
        if e["run"] == (run or "SF")
    }
    sums: Counter[tuple[str, str, float]] = Counter()
    for difference in found.differences:
        key = (difference.site, difference.service, difference.start)
        sums[key] += difference.amount  # type: ignore[assignment]
    assert dict(sums) == planted
    causes = {Cause(e["kind"]) for e in known["statement_errors"] if e["run"] == (run or "SF")}
    # A volume times a price is rounded, which is the rest.
    assert causes <= set(found.by_cause()) <= causes | {Cause.REST}


def test_runs_are_known(month: Path) -> None:
    with Ledger(month / "books", read_only=True) as books:
        assert runs(books, *EVER, ["thames"]) == ["II", "SF"]


def test_what_was_not_measured_is_neither_right_nor_wrong(month: Path, tmp_path: Path) -> None:
    lines = (month / "dispatch.csv").read_text("utf-8").splitlines()
    dark = [line for line in lines if not line.startswith("thames,")]
    half = tmp_path / "half"
    half.mkdir()
    for name in FILES:
        (half / name).write_bytes((month / name).read_bytes())
    (half / "dispatch.csv").write_text("\n".join(dark) + "\n", "utf-8")
    (half / "prices.csv").write_text(
        "\n".join((month / "prices.csv").read_text("utf-8").splitlines()[:-48]) + "\n", "utf-8"
    )
    found = compared(month, "SF", filled(half, tmp_path / "books", FILES))
    assert set(found.missing) == {"no measured power", "no price of SIM"}
    assert found.unjudged != 0
    whole = compared(month, "SF")
    kept = {(d.site, d.service, d.start, d.cause): d.amount for d in found.differences}
    every = {(d.site, d.service, d.start, d.cause): d.amount for d in whole.differences}
    assert kept.items() <= every.items()


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        (("zone",), "Mars", "'Mars' is no time zone"),
        (("sites", 0, "services", 0, "pays"), "luck", "services"),
        (("sites", 0, "services", 1, "hours"), [15, 7], "expected two whole hours"),
        (("sites", 0, "guarantees", 0, "tiers"), [], "tiers must end at rising points"),
        (("sites", 0, "usable_kwh"), 0, "usable_kwh"),
        (("sites", 1, "id"), "cotswold", "cotswold more than once"),
    ],
)
def test_contracts_that_make_no_sense_are_refused(
    month: Path, tmp_path: Path, where: tuple[Any, ...], value: Any, reason: str
) -> None:
    document = yaml.safe_load((month / "contracts.yaml").read_text("utf-8"))
    Contracts.model_validate(document)
    inner = document
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    path = tmp_path / "contracts.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    with pytest.raises(SideFileError, match=reason):
        load_contracts(path)
