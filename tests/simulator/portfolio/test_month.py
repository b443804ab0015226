"""The month of three plants: clocks, energy and money hold together, and the truth is the truth."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from simulator.cli import main
from simulator.portfolio.market import market
from simulator.portfolio.operation import operate
from simulator.portfolio.plants import PLANTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("month")
    assert main(["portfolio", "--output", str(made), "--month", "2026-03", "--seed", "3"]) == 0
    return made


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("month", "day", "quarters"), [(3, 28, 92), (10, 24, 100), (3, 27, 96)])
def test_days_are_as_long_as_the_clock_makes_them(month: int, day: int, quarters: int) -> None:
    found = market(2026, month, "Europe/London", 1)
    assert (found.day == day).sum() == quarters


def test_periods_are_numbered_by_local_day(folder: Path) -> None:
    prices = rows(folder / "prices.csv")
    short = [p for p in prices if p["settlementDate"] == "2026-03-29"]
    assert [int(p["settlementPeriod"]) for p in short] == list(range(1, 47))
    assert len(prices) == 31 * 48 - 2


def test_energy_is_kept(folder: Path) -> None:
    """What goes out went in before, less the losses of both ways."""
    prices = market(2026, 3, "Europe/London", 3)
    for plant in PLANTS:
        operation = operate(plant, prices, 3)
        hours = operation.actual_kw / 4
        into = -hours[hours < 0].sum() * plant.charge_efficiency
        out = hours[hours > 0].sum() / plant.discharge_efficiency
        last = operation.readings["soc_pct"][-1] / 100 * plant.usable_kwh
        assert into - out == pytest.approx(last, abs=1e-3 * plant.usable_kwh)
        assert np.abs(operation.actual_kw).max() <= plant.power_kw + 1e-6


def test_readings_are_of_every_minute_but_those_without_a_link(folder: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    for plant in PLANTS:
        table = pq.read_table(folder / f"telemetry-{plant.id}.parquet")
        assert len(table) == (31 * 24 - 1) * 60
        dark = sum(
            e["end"] - e["start"]
            for e in truth["events"]
            if (e["site"], e["category"]) == (plant.id, "communication")
        )
        assert table["p_kw"].null_count == dark / 60


def test_a_statement_is_what_is_due_but_for_its_errors(folder: Path) -> None:
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text("utf-8"))
    owed = sum(Decimal(amount) for amount in truth["due"].values())
    errors = truth["statement_errors"]
    assert {e["kind"] for e in errors} == {"missing", "volume", "price", "penalty"}
    for run, count in (("II", 12), ("SF", 6)):
        paid = sum(Decimal(row["amount"]) for row in rows(folder / f"settlement-{run}.csv"))
        mine = [Decimal(e["amount"]) for e in errors if e["run"] == run]
        assert len(mine) == count
        assert paid - owed == sum(mine)


def test_troubles_cost_what_they_kept_from_being_sold(folder: Path) -> None:
    """Each vendor has the trouble that it is known for, and outages cost money."""
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    lost = {
        (plant.id, category): sum(
            e["lost"] for e in truth["events"] if (e["site"], e["category"]) == (plant.id, category)
        )
        for plant in PLANTS
        for category in ("forced", "communication")
    }
    assert lost["thames", "communication"] > lost["cotswold", "communication"]
    assert lost["yorkshire", "forced"] > lost["cotswold", "forced"] > 0


def test_the_same_seed_gives_the_same_month(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert main(["portfolio", "--output", str(again), "--month", "2026-03", "--seed", "3"]) == 0
    for name in ("truth.json", "settlement-II.csv", "dispatch.csv", "events.csv"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
