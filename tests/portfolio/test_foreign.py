"""Statements and contracts in the words of others, recounted in DuckDB from the files alone."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from tests.portfolio.foreign import write_portfolio

PERIOD = ("--period", "2026-10")
IMPORTS = {
    "prices-market": ("prices", "prices-market", ()),
    "prices-hourly": ("prices", "prices-hourly", ("--decimal", ",")),
    "dispatch": ("dispatch", "dispatch", ()),
    "events": ("events", "events", ()),
    "settlement-initial": ("settlement", "settlement", ()),
    "settlement-final": ("settlement", "settlement", ()),
    "settlement-dispute": ("settlement", "settlement", ()),
}
"""File to its table, its mapping and more options."""


def _north(short: float) -> float:
    tiers = min(short, 0.5) * 1000 + max(min(short, 2) - 0.5, 0) * 3000 + max(short - 2, 0) * 8000
    return min(9000, tiers)


def _quay(short: float) -> float:
    return min(1500, short * 700)


TERMS = {"north": (98.0, _north), "quay": (99.2, _quay)}
"""Target of each plant in percent, and what a shortfall in points costs."""


def invoke(folder: Path, *arguments: str) -> Any:
    named = {
        "FLEETSCOPE_BOOKS": str(folder / "books.sqlite"),
        "FLEETSCOPE_CONTRACTS": str(folder / "contracts.yaml"),
        "COLUMNS": "120",
    }
    return CliRunner().invoke(app, list(arguments), env=named)


def document(folder: Path, *arguments: str) -> dict[str, Any]:
    found = invoke(folder, *arguments, "--json")
    made: dict[str, Any] = json.loads(found.output)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("foreign")
    write_portfolio(made)
    for name, (table, mapping, more) in IMPORTS.items():
        options = ["--table", table, "--timezone", "Europe/London", *more]
        if (made / f"{mapping}.yaml").stat().st_size:
            options += ["--mapping", str(made / f"{mapping}.yaml")]
        found = invoke(made, "import", str(made / f"{name}.csv"), *options)
        assert found.exit_code in (0, 3), found.output
    return made


@pytest.fixture(scope="module")
def recount(folder: Path) -> duckdb.DuckDBPyConnection:
    """Views on the files, and figures of our own in thousandths and pence, which are exact."""
    database = duckdb.connect()
    database.execute("SET timezone = 'Europe/London'")
    read = f"read_csv('{folder}/{{}}', all_varchar = true, quote = '\"')"
    database.execute(
        f"""
        CREATE MACRO half_even(x) AS CAST(floor(x / 1000.0) + CASE
            WHEN x - floor(x / 1000.0) * 1000 > 500 THEN 1
            WHEN x - floor(x / 1000.0) * 1000 = 500 AND floor(x / 1000.0) % 2 <> 0 THEN 1
            ELSE 0 END AS BIGINT);
        CREATE MACRO begins(day, period) AS
            epoch(CAST(day || ' 00:00:00 Europe/London' AS TIMESTAMPTZ)) + 1800 * (period - 1);
        CREATE TABLE metered AS
            SELECT "BMU Id" AS unit, begins("Settlement Date", SP::INT) AS t,
                (CAST("Metered MW" AS DECIMAL(9, 2)) * 500)::BIGINT AS kwh
            FROM {read.format("dispatch.csv")};
        CREATE TABLE price AS
            SELECT 'T_NORTH-1' AS unit, begins(settlementDate, settlementPeriod::INT) AS t,
                (CAST(price AS DECIMAL(9, 2)) * 100)::BIGINT AS pence
            FROM {read.format("prices-market.csv")}
            WHERE dataProvider = 'APXMIDP'
                AND epoch(CAST(startTime AS TIMESTAMPTZ))
                    = begins(settlementDate, settlementPeriod::INT)
            UNION ALL
            SELECT 'E_QUAY-2', epoch(CAST(Stunde AS TIMESTAMPTZ)) + half,
                (CAST(replace(Preis, ',', '.') AS DECIMAL(9, 2)) * 100)::BIGINT
            FROM {read.format("prices-hourly.csv")}, (VALUES (0), (1800)) AS halves(half);
        CREATE TABLE line AS
            SELECT "BMU Id" AS unit, Product AS product, Counterparty AS party,
                CASE WHEN Product = 'DCL' THEN begins("Settlement Date", 1)
                    ELSE begins("Settlement Date", SP::INT) END AS t,
                SP::INT AS sp,
                CASE Run WHEN 'Initial' THEN 0 WHEN 'Final' THEN 1 ELSE 2 END AS rank,
                "Quantity kWh"::BIGINT AS kwh, (CAST(Rate AS DECIMAL(9, 2)) * 100)::BIGINT AS pence,
                (CAST(coalesce(Deduction, '0') AS DECIMAL(9, 2)) * 100)::BIGINT AS deducted,
                (CAST(Net AS DECIMAL(12, 2)) * 100)::BIGINT AS net
            FROM {read.format("settlement-*.csv")}
            -- What anybody would refuse.
            WHERE "Quantity kWh" <> '4,120' AND SP <> '51' AND Net <> '12345.67';
        CREATE TABLE stated AS
            SELECT unit, product, t, sum(kwh) AS kwh, any_value(pence) AS pence,
                sum(deducted) AS deducted, sum(net) AS net
            FROM (SELECT *, row_number() OVER (PARTITION BY unit, product, party, t, sp
                ORDER BY rank DESC) AS place FROM line) WHERE place = 1 GROUP BY ALL;
        CREATE TABLE own AS
            SELECT unit, 'Wholesale' AS product, t, kwh, pence
            FROM metered JOIN price USING (unit, t) WHERE kwh <> 0
            UNION ALL
            -- Of its twelve hours events take 2, 1, half of 3, and 7.5.
            SELECT 'T_NORTH-1', 'DCL', begins('2026-10-' || lpad(d::VARCHAR, 2, '0'), 1),
                CASE d WHEN 9 THEN 100000 WHEN 11 THEN 110000 WHEN 13 THEN 105000
                    WHEN 22 THEN 45000 ELSE 120000 END, 450
            FROM range(1, 32) AS r(d)
            UNION ALL
            SELECT 'E_QUAY-2', 'CM', begins('2026-10-' || lpad(d::VARCHAR, 2, '0'), 1), 8000, 2110
            FROM range(1, 32) AS r(d);
        """
    )
    return database


def test_every_row_that_is_refused_says_why(folder: Path) -> None:
    kept = {path.name: path.read_text("utf-8") for path in (folder / "rejected").iterdir()}
    reasons = {name: len(text.splitlines()) - 1 for name, text in kept.items()}
    assert reasons == {
        "prices-market.csv.prices.csv": 2,
        "settlement-initial.csv.settlement.csv": 3,
        "settlement-final.csv.settlement.csv": 3,
        "events.csv.events.csv": 4,
    }
    assert "is not settlement period 20 of 2026-10-05" in kept["prices-market.csv.prices.csv"]
    for reason in ("4,120 may be 4.120 or 4120", "51 of a day that has 50", "says something else"):
        assert reason in kept["settlement-final.csv.settlement.csv"]
    for reason in ("'Weather' is none of", "150 is above 1", "comes twice", "end: is before start"):
        assert reason in kept["events.csv.events.csv"]


def test_differences_are_those_of_the_recount(
    folder: Path, recount: duckdb.DuckDBPyConnection
) -> None:
    expected = recount.execute(
        """
        WITH compared AS (
            SELECT o.unit, o.product, o.t, half_even(o.kwh * o.pence) AS due, s.net, s.deducted,
                half_even((s.kwh - o.kwh) * o.pence) AS by_volume,
                half_even(s.kwh * (s.pence - o.pence)) AS by_price
            FROM own o LEFT JOIN stated s USING (unit, product, t)),
        parts AS (
            SELECT *, CASE WHEN net IS NULL THEN -due END AS missing,
                net - due - by_volume - by_price + deducted AS rest FROM compared)
        SELECT cause, unit, sum(cents) FROM (
            SELECT unit, unnest(['missing', 'volume', 'price', 'penalty', 'rest']) AS cause,
                unnest([missing, by_volume, by_price, -deducted, rest]) AS cents FROM parts)
        WHERE cents <> 0 GROUP BY ALL"""
    ).fetchall()
    names = {"T_NORTH-1": "north", "E_QUAY-2": "quay"}
    sums: dict[tuple[str, str], Decimal] = {}
    found = document(folder, "settlement", *PERIOD)
    for one in found["differences"]:
        key = one["cause"], one["site"]
        sums[key] = sums.get(key, Decimal(0)) + Decimal(one["amount"])
    assert {k: v for k, v in sums.items() if v} == {
        (cause, names[unit]): Decimal(int(cents)) / 100 for cause, unit, cents in expected
    }
    # Four half hours that nobody measured, and one whose price was refused.
    assert found["not_judged"]["lines"] == {"no measured power": 4, "no price of APXMIDP": 1}
    (cents,) = recount.execute(
        "SELECT sum(net) FROM stated ANTI JOIN own USING (unit, product, t)"
    ).fetchall()[0]
    assert Decimal(found["not_judged"]["amount"]) == Decimal(int(cents)) / 100
    assert found["without_contract"] == {}


def test_a_late_run_changes_its_four_lines_only(folder: Path) -> None:
    """The last run restates four lines; all others stand as the run before has them."""
    by_run = {run: document(folder, "settlement", *PERIOD, "--run", run) for run in ("RF", "DF")}
    keys = {
        run: {(d["site"], d["start"], d["cause"]): d["amount"] for d in made["differences"]}
        for run, made in by_run.items()
    }
    gone = keys["RF"].items() - keys["DF"].items()
    assert keys["DF"].items() <= keys["RF"].items()
    assert {(site, start[:10], cause) for (site, start, cause), _ in gone} == {
        ("north", "2026-10-07", "price")
    }
    assert len(gone) == 4
    assert document(folder, "settlement", *PERIOD)["differences"] == by_run["DF"]["differences"]
    refused = invoke(folder, "settlement", *PERIOD, "--run", "R1")
    assert refused.exit_code == 1
    assert "--run R1: there are II, RF, DF in that period" in refused.stderr


def test_availability_is_that_of_the_recount(
    folder: Path, recount: duckdb.DuckDBPyConnection
) -> None:
    """By minutes: down, excluded and unobserved, and what the tiers ask for."""
    minutes = recount.execute(
        f"""
        WITH event AS (
            SELECT lower(Plant) AS site, CASE Reason WHEN 'DNO' THEN 0 ELSE 1 END AS rank,
                epoch(CAST("From" AS TIMESTAMPTZ)) AS a, epoch(CAST("To" AS TIMESTAMPTZ)) AS b
            FROM read_csv('{folder}/events.csv', all_varchar = true)
            WHERE "Left %" = '0' AND Alarm NOT IN ('F4', 'F6', 'F7')),
        minute AS (SELECT unnest(range(
            begins('2026-10-01', 1)::BIGINT, begins('2026-11-01', 1)::BIGINT, 60)) AS t),
        down AS (SELECT site, t, min(rank) AS rank
            FROM event JOIN minute ON t >= a AND t < b GROUP BY ALL),
        dark AS (SELECT t FROM minute
            WHERE t >= begins('2026-10-18', 1) AND t < begins('2026-10-18', 5))
        SELECT site, sum((rank = 1)::INT), sum((rank = 0)::INT), (SELECT count(*) FROM minute),
            CASE site WHEN 'north' THEN (SELECT count(*) FROM dark) ELSE 0 END
        FROM down GROUP BY site"""
    ).fetchall()
    reports = {one["site"]: one for one in document(folder, "portfolio", *PERIOD)["sites"]}
    assert {site for site, *_ in minutes} == set(reports)
    for site, forced, grid, whole, dark in minutes:
        report, (target, owed) = reports[site], TERMS[site]
        (judged,) = report["guarantees"]
        actual = 100 * (1 - forced / (whole - dark - grid))
        assert report["coverage"] == pytest.approx(1 - dark / whole, abs=1e-9)
        assert judged["actual"] == pytest.approx(actual, abs=1e-9)
        assert float(report["owed"]) == pytest.approx(owed(max(target - actual, 0)), abs=0.0051)
        assert float(report["owed"]) > 0
    assert reports["quay"]["events_without_available"] == 1


def test_partners_get_what_the_recount_gives_them(
    folder: Path, recount: duckdb.DuckDBPyConnection
) -> None:
    (cents,) = recount.execute("SELECT sum(net) FROM stated").fetchall()[0]
    revenue = float(cents) / 100
    floor, middle = min(revenue, 90_000.0), max(min(revenue, 150_000.0) - 90_000, 0.0)
    rest = max(revenue - 150_000, 0.0)
    trader = max(0.45 * rest, 12_000.0)
    expected = {
        "bank": floor + 0.3 * middle,
        "fund": 0.7 * middle + rest - trader,
        "trader": trader,
    }
    found = document(folder, "portfolio", *PERIOD)["payouts"]
    assert {name: float(one["total"]) for name, one in found.items()} == pytest.approx(
        expected, abs=0.011
    )
    assert sum(Decimal(one["total"]) for one in found.values()) == Decimal(int(cents)) / 100
