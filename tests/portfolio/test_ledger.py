"""Statements, prices, orders, events and tickets into the ledger: new, restated and refused."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.portfolio.ledger import Import, Ledger, LedgerError
from exporter.portfolio.ledger_import import TableFileError, import_table, read_table
from exporter.portfolio.ledger_rows import HeadingsError
from exporter.portfolio.ledger_tables import TABLES
from simulator.cli import main

LONDON = ZoneInfo("Europe/London")
EVER = (0.0, 1e11)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("month")
    assert main(["portfolio", "--output", str(made), "--month", "2026-03", "--seed", "5"]) == 0
    return made


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "books.sqlite")


def take(
    ledger: Ledger, path: Path, table: str, aside: Path | None = None, **mapping: str
) -> Import:
    read = read_table(path, TABLES[table], mapping, LONDON)
    return import_table(ledger, path, TABLES[table], read, aside)


def count(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines()) - 1


def test_every_table_of_the_month_is_taken_and_once(month: Path, ledger: Ledger) -> None:
    files = {
        "prices.csv": "prices",
        "dispatch.csv": "dispatch",
        "events.csv": "events",
        "tickets.csv": "tickets",
        "pipeline.csv": "pipeline",
        "settlement-II.csv": "settlement",
    }
    for name, table in files.items():
        rows = count(month / name)
        assert take(ledger, month / name, table).new == rows
        again = take(ledger, month / name, table)
        assert (again.new, again.restated, again.same, again.bad) == (0, 0, rows, 0)
        assert len(ledger.latest(TABLES[table], *EVER)) == rows
    assert len(ledger.imports()) == 2 * len(files)


def test_a_later_run_is_in_force_and_the_earlier_stays(month: Path, ledger: Ledger) -> None:
    table = TABLES["settlement"]
    truth: dict[str, Any] = json.loads((month / "truth.json").read_text("utf-8"))
    owed = sum(Decimal(amount) for amount in truth["due"].values())
    for run in ("SF", "II"):
        # Whichever comes first.
        take(ledger, month / f"settlement-{run}.csv", "settlement")
    in_force = ledger.latest(table, *EVER)
    wrong = {
        (e["site"], e["service"], e["start"]): Decimal(e["amount"])
        for e in truth["statement_errors"]
        if e["run"] == "SF"
    }
    assert {row["run"] for row in in_force} == {"SF"}
    assert sum(row["amount"] for row in in_force) - owed == sum(wrong.values())
    assert len(in_force) == count(month / "settlement-SF.csv")
    every = ledger.versions(table, *EVER)
    assert len(every) == count(month / "settlement-II.csv") + count(month / "settlement-SF.csv")


def test_a_corrected_line_is_a_version(tmp_path: Path, ledger: Ledger) -> None:
    head = "site,service,start,run,volume,price,amount\n"
    line = "thames,energy,2026-03-01T00:00:00Z,II,10,50,{}\n"
    other = "thames,energy,2026-03-01T00:30:00Z,II,1,50,50.00\n"
    path = tmp_path / "s.csv"
    for amount, expected in (("500", (2, 0, 0)), ("500.00", (0, 0, 2)), ("480", (0, 1, 1))):
        path.write_text(head + line.format(amount) + other, "utf-8")
        found = take(ledger, path, "settlement")
        assert (found.new, found.restated, found.same) == expected
    table = TABLES["settlement"]
    assert [row["amount"] for row in ledger.latest(table, *EVER)] == [480, 50]
    versions = [(r["version"], r["amount"]) for r in ledger.versions(table, *EVER)]
    assert versions == [(1, 500), (2, 480), (1, 50)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("thames,,2026-03-01T00:00:00Z,II,x,50,1", "volume: 'x' is no number"),
        ("thames,energy,2026-03-01T00:00:00Z,II,1e400,50,1", "volume"),
        ("thames,energy,2026-03-01T00:00:00Z,II,nan,50,1", "volume: empty"),
        (",energy,2026-03-01T00:00:00Z,II,1,50,1", "site: empty"),
        ("thames,energy,yesterday,II,1,50,1", "start: 'yesterday' is no time"),
        ("thames,energy,2026-03-29T01:30:00,II,1,50,1", "start: 2026-03-29 01:30:00 is skipped"),
        ("thames,energy,2026-10-25T01:30:00,II,1,50,1", "comes twice"),
        ("thames,energy,1970-01-01T00:00:00Z,II,1,50,1", "outside the years"),
        ("thames,energy,2026-03-01T00:00:00Z,last,1,50,1", "run: 'last' is neither one of II"),
        ("thames,energy,2026-03-01T00:00:00Z,II,1", "price: empty"),
        ("=1+1,energy,never,II,1,50,1", "start: 'never' is no time"),
        ("tha\x1bmes,energy,2026-03-01T00:00:00Z,II,1,50,1", "site: expected at most"),
    ],
)
def test_a_bad_row_is_kept_aside_with_its_reason(
    tmp_path: Path, ledger: Ledger, line: str, reason: str
) -> None:
    good = "thames,energy,2026-03-01T00:30:00Z,II,1,50,50"
    path = tmp_path / "s.csv"
    path.write_text(
        f"site,service,start,run,volume,price,amount\n{good}\n{line}\n", encoding="utf-8"
    )
    found = take(ledger, path, "settlement", tmp_path / "aside")
    assert (found.new, found.bad) == (1, 1)
    with (tmp_path / "aside" / "s.csv.settlement.csv").open(newline="", encoding="utf-8") as file:
        (kept,) = csv.DictReader(file)
    assert kept["row"] == "2"
    assert reason in kept["reason"]
    assert not kept["site"].startswith("=")


def test_settlement_periods_count_from_local_midnight(tmp_path: Path, ledger: Ledger) -> None:
    path = tmp_path / "prices.csv"
    head = "settlementDate,settlementPeriod,dataProvider,price\n"
    lines = (
        "2026-03-29,1,N2EX,40\n2026-03-29,46,N2EX,41\n2026-03-29,47,N2EX,42\n2026-10-25,50,N2EX,43"
    )
    path.write_text(head + lines, "utf-8")
    found = take(ledger, path, "prices", tmp_path)
    assert (found.new, found.bad) == (3, 1)
    starts = [row["start"] for row in ledger.latest(TABLES["prices"], *EVER)]
    assert starts == [1774742400.0, 1774742400.0 + 45 * 1800, 1792972800.0 - 1800]
    assert "47 of a day that has 46" in (tmp_path / "prices.csv.prices.csv").read_text("utf-8")


def test_other_headings_are_mapped(tmp_path: Path, ledger: Ledger) -> None:
    path = tmp_path / "s.csv"
    path.write_text(
        "Plant;Begin;Run Type;MWh;Rate;Net\nthames;2026-03-01T00:00Z;1;1;2;2\n", "utf-8"
    )
    with pytest.raises(HeadingsError, match="no column for amount"):
        take(ledger, path, "settlement")
    assert take(ledger, path, "settlement", amount="Net").new == 1
    with pytest.raises(HeadingsError, match="'Gross' is not in the file"):
        take(ledger, path, "settlement", amount="Gross")


def test_parquet_is_read_too(tmp_path: Path, ledger: Ledger) -> None:
    path = tmp_path / "s.parquet"
    columns = {
        "site": ["thames", None],
        "start": pa.array([1772323200000] * 2, pa.timestamp("ms", "UTC")),
        "run": ["II", "II"],
        "volume": [0.1, 1.0],
        "price": [50.0, 50.0],
        "amount": [5.0, 50.0],
    }
    pq.write_table(pa.table(columns), path)
    found = take(ledger, path, "settlement")
    assert (found.new, found.bad) == (1, 1)
    (row,) = ledger.latest(TABLES["settlement"], *EVER)
    assert (row["volume"], row["start"]) == (Decimal("0.1"), 1772323200.0)


def test_files_that_are_none_are_refused(tmp_path: Path, ledger: Ledger) -> None:
    for content, reason in (
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"PAR1 and nothing else", "no Parquet file"),
        (b'a,b\n"open', "line 2"),
    ):
        path = tmp_path / "f"
        path.write_bytes(content)
        with pytest.raises((TableFileError, HeadingsError), match=f"{reason}|no column"):
            take(ledger, path, "settlement")
    with pytest.raises(TableFileError, match="cannot be read"):
        take(ledger, tmp_path / "absent", "settlement")
    (tmp_path / "books").write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerError, match="books"):
        Ledger(tmp_path / "books")


def test_what_a_month_rests_on_ends_with_its_last_local_day(tmp_path: Path, ledger: Ledger) -> None:
    """In summer time, of which a month begins on the day before in UTC; what follows a month leaves
    it as it is."""
    begin, end = (datetime(2026, n, 1, tzinfo=LONDON).timestamp() for n in (6, 7))

    def newest() -> int:
        return ledger.newest_import(begin, end, LONDON, projects=False)

    for day, counts in (("2026-06-30", True), ("2026-07-01", False), ("2026-06-01", True)):
        for table, head, row in (
            ("budget", "site,day,amount", f"north,{day},10"),
            ("prices", "market,start,price", f"APXMIDP,{day}T00:00:00+01:00,80"),
            ("dispatch", "site,start,actual_kw", f"north,{day}T00:00:00+01:00,5"),
        ):
            before, path = newest(), tmp_path / f"{table}-{day}.csv"
            path.write_text(f"{head}\n{row}\n", "utf-8")
            take(ledger, path, table)
            assert (newest() > before) == counts, (table, day)
