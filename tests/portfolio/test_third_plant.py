"""A third portfolio of somebody else: euros, British settlement runs in Irish local days, and what
an analyst would plant in them; recounted in DuckDB from the raw rows.

Six runs, of which the fifth arrives after the sixth. October 2025 has a day of 50 settlement
periods, March 2026 one of 46. In December the month's settlement is negative.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest

from exporter.portfolio.column_source import load_mapping
from exporter.portfolio.contracts_file import Contracts, load_contracts
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_import import TableRead, import_table, read_table
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.market_days import MarketMonth, months
from exporter.portfolio.payouts import month_payouts
from exporter.portfolio.reconciliation import reconciliation
from exporter.portfolio.settlement_figures import day_revenues, settlement_figures
from exporter.portfolio.site_month import SiteMonth
from exporter.portfolio.site_report import site_report

DUBLIN = ZoneInfo("Europe/Dublin")
NOW = 1_780_000_000.0
DELIVERED = ("II", "SF", "R1", "R3", "R2", "RF")
DAYS = {
    "GU_501": [date(2025, 10, n) for n in range(1, 32)] + [date(2026, 3, 28), date(2026, 3, 29)],
    "GU_502": [date(2025, 12, 30), date(2025, 12, 31), date(2026, 1, 1)],
}
CONTRACTS = """
zone: Europe/Dublin
currency: EUR
sites:
  - id: mullagh
    power_kw: 30000
    usable_kwh: 60000
    services:
      - {name: energy, pays: energy, market: SEM-DA}
      - {name: reserve, pays: availability, mw: 5, price: 3.5, hours: [0, 4]}
    guarantees:
      - name: availability
        target: 99
        cap: 50000
        excluded: [planned]
        tiers: [{points: 1, per_point: 2500}, {per_point: 7000}]
  - id: keel
    power_kw: 8000
    usable_kwh: 16000
    services: [{name: energy, pays: energy, market: SEM-DA}]
    guarantees:
      - {name: availability, target: 97.5, cap: 9000, tiers: [{per_point: 4000}]}
partners:
  steps: [{until: 5000, shares: {bank: 3, fund: 1}}, {shares: {fund: 80, trader: 20}}]
  minima: [{partner: trader, amount: 1500.55, guarantor: fund}]
"""
SITE = "site: {column: Resource, values: {GU_501: mullagh, GU_502: keel}}"
DATED = f"""
{SITE}
settlement_date: {{column: Trade Date, format: '%d/%m/%Y'}}
settlement_period: Period No
seconds: {{value: 1800}}
"""
MAPPINGS = {
    "dispatch": DATED + "actual_kw: {column: Metered MWh, factor: 2000}\n",
    "settlement": DATED
    + "{service: {column: Heading, values: {DAM: energy, RES: reserve}}}"[1:-1]
    + "\nrun: Issue\nvolume: Credited MWh\nprice: EUR per MWh\n"
    + "amount: {column: Payable EUR, factor: -1}\n",
    "prices": "{market: {value: SEM-DA}, start: Delivery, price: EUR, seconds: {value: 3600}}",
    "events": SITE
    + "\ncode: Alarm\ncategory: Attribution\navailable: {value: 0}\n"
    + "start: {column: Raised, format: '%d.%m.%Y %H:%M:%S'}\n"
    + "end: {column: Reset, format: '%d.%m.%Y %H:%M:%S'}\n",
}
EVENTS = [
    # 745 h less 5 h planned, of which 2 % are 14.8 h: an hour before the planned work and two
    # after it, since two trips overlap it, and 11.8 h more.
    ["GU_501", "T1", "forced", "14.10.2025 07:00:00", "14.10.2025 09:00:00"],
    ["GU_501", "M1", "planned", "14.10.2025 08:00:00", "14.10.2025 13:00:00"],
    ["GU_501", "T2", "forced", "14.10.2025 12:00:00", "14.10.2025 15:00:00"],
    ["GU_501", "T1", "forced", "21.10.2025 00:00:00", "21.10.2025 11:48:00"],
    # 2.5 % of December's 744 h: the target itself.
    ["GU_502", "T1", "forced", "30.12.2025 00:00:00", "30.12.2025 18:36:00"],
]
Lines = list[list[Any]]


def midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=DUBLIN).timestamp()


def periods(day: date) -> range:
    return range(1, 1 + round((midnight(day + timedelta(days=1)) - midnight(day)) / 1800))


def write(path: Path, head: Sequence[str], rows: Lines) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


def money(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))


def line(day: date, number: int, run: str, heading: str, unit: str, *of: Decimal) -> list[Any]:
    """A line whose sign is the payer's."""
    volume, price = of
    shown = f"{day:%d/%m/%Y}"
    return [shown, number, run, unit, heading, volume, price, -money(volume * price)]


def runs(energy: dict[tuple[str, date, int], tuple[Decimal, Decimal]]) -> dict[str, Lines]:
    """What each run states."""
    found: dict[str, Lines] = {run: [] for run in DELIVERED}
    for (unit, day, number), (volume, price) in energy.items():
        if volume and not (day == date(2025, 10, 26) and number > 48):
            found["II"].append(line(day, number, "II", "DAM", unit, volume, price))
    for day in DAYS["GU_501"]:
        hours = {50: 5, 46: 3}.get(len(periods(day)), 4)
        kept = Decimal(5 * hours) - (20 if day == date(2025, 10, 21) else 0)
        if kept:
            found["II"].append(line(day, 1, "II", "RES", "GU_501", kept, Decimal("3.5")))

    def again(run: str, day: date, numbers: Sequence[int], more: str = "0", sign: int = 1) -> None:
        for number in numbers:
            volume, price = energy["GU_501", day, number]
            if volume:
                one = line(day, number, run, "DAM", "GU_501", volume + Decimal(more), price)
                found[run].append([*one[:7], sign * one[7]])

    # The second run mends the day of 50 periods, and says a day again with fewer rows.
    again("SF", date(2025, 10, 26), periods(date(2025, 10, 26)))
    again("SF", date(2025, 10, 5), range(1, 47), more="0.5")
    # A turned sign, which the fifth run mends; what the sixth says before it stays in force.
    again("R1", date(2025, 10, 10), range(1, 9), sign=-1)
    again("R2", date(2025, 10, 10), range(1, 9))
    again("R3", date(2025, 10, 10), range(7, 9), more="1.25")
    again("RF", date(2025, 10, 5), range(1, 47))
    # What nobody should take: a period that a day has not, an amount in brackets, a run unknown.
    found["II"].append([*found["II"][0][:1], 49, *found["II"][0][2:]])
    found["II"].append(["29/03/2026", 47, *found["II"][0][2:]])
    found["SF"].append([*found["SF"][0][:1], 3, "SF", "GU_501", "RES", 1, 2, "(2.00)"])
    found["RF"].append([*found["RF"][0][:2], "RX", *found["RF"][0][3:]])
    return found


def write_files(folder: Path) -> None:
    rng = np.random.default_rng(19)
    prices: Lines = []
    energy: dict[tuple[str, date, int], tuple[Decimal, Decimal]] = {}
    metered: Lines = []
    price_at: dict[float, Decimal] = {}
    for day in sorted({day for days in DAYS.values() for day in days}):
        for at in np.arange(midnight(day), midnight(day + timedelta(days=1)), 3600).tolist():
            price_at[at] = Decimal(int(rng.integers(-6_000, 18_000))) / 100
            prices.append([f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%MZ}", price_at[at]])
    for unit, days in DAYS.items():
        most = 14_000 if unit == "GU_501" else 3_500
        for day in days:
            for number in periods(day):
                at = midnight(day) + 1800 * (number - 1)
                volume = Decimal(int(rng.integers(-most, most))) / 1000
                if unit == "GU_502" and day.year == 2025:
                    # Bought dear, sold for less than nothing.
                    volume = -abs(volume) if price_at[at - at % 3600] > 0 else abs(volume)
                energy[unit, day, number] = volume, price_at[at - at % 3600]
                metered.append([f"{day:%d/%m/%Y}", number, unit, volume])
    write(folder / "prices.csv", ("Delivery", "EUR"), prices)
    write(folder / "dispatch.csv", ("Trade Date", "Period No", "Resource", "Metered MWh"), metered)
    write(folder / "events.csv", ("Resource", "Alarm", "Attribution", "Raised", "Reset"), EVENTS)
    head = ("Trade Date", "Period No", "Issue", "Resource", "Heading")
    for run, rows in runs(energy).items():
        more = ("Credited MWh", "EUR per MWh", "Payable EUR")
        write(folder / f"settlement-{run}.csv", (*head, *more), rows)
    (folder / "contracts.yaml").write_text(CONTRACTS, "utf-8")
    for name, text in MAPPINGS.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")


def take(folder: Path, ledger: Ledger, file: str) -> TableRead:
    table = file.partition("-")[0]
    mapping = load_mapping(folder / f"{table}.yaml")
    read = read_table(folder / f"{file}.csv", TABLES[table], mapping, DUBLIN)
    import_table(ledger, folder / f"{file}.csv", TABLES[table], read, None)
    return read


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("third")
    write_files(made)
    return made


@pytest.fixture(scope="module")
def terms(folder: Path) -> Contracts:
    return load_contracts(folder / "contracts.yaml")


@pytest.fixture(scope="module")
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger(folder / "books.sqlite") as made:
        refused = {
            file: [bad.reason for bad in take(folder, made, file).bad]
            for file in ("prices", "dispatch", "events", *(f"settlement-{r}" for r in DELIVERED))
        }
        assert {file: len(reasons) for file, reasons in refused.items() if reasons} == {
            "settlement-II": 2,
            "settlement-SF": 1,
            "settlement-RF": 1,
        }
        assert [text[-20:] for text in refused["settlement-II"]] == [
            "of a day that has 48",
            "of a day that has 46",
        ]
        yield made


@pytest.fixture(scope="module")
def recount(folder: Path) -> duckdb.DuckDBPyConnection:
    """Lines, metered energy and prices, in thousandths and cents; a period by its beginning."""
    database = duckdb.connect()
    read = f"read_csv('{folder}/{{}}.csv', all_varchar = true)"
    database.execute(
        f"""
        SET timezone = 'Europe/Dublin';
        CREATE MACRO midnight(day) AS epoch(CAST(strftime(strptime(day, '%d/%m/%Y'), '%Y-%m-%d')
            || ' 00:00:00 Europe/Dublin' AS TIMESTAMPTZ));
        CREATE TABLE line AS
            SELECT Resource AS unit, Heading AS heading, midnight("Trade Date")
                + CASE Heading WHEN 'RES' THEN 0 ELSE 1800 * ("Period No"::INT - 1) END AS t,
                list_position(['II', 'SF', 'R1', 'R2', 'R3', 'RF'], Issue) AS rank,
                ("Credited MWh"::DECIMAL(12, 3) * 1000)::BIGINT AS kwh,
                ("EUR per MWh"::DECIMAL(9, 2) * 100)::BIGINT AS cents,
                (-"Payable EUR"::DECIMAL(12, 2) * 100)::BIGINT AS paid
            FROM {read.format("settlement-*")}
            WHERE "Payable EUR" NOT LIKE '(%' AND Issue <> 'RX'
                AND NOT ("Period No" = '49' AND "Trade Date" <> '26/10/2025')
                AND NOT ("Period No" = '47' AND "Trade Date" = '29/03/2026');
        CREATE TABLE own AS
            SELECT d.Resource AS unit, 'DAM' AS heading,
                midnight("Trade Date") + 1800 * ("Period No"::INT - 1) AS t,
                ("Metered MWh"::DECIMAL(9, 3) * 1000)::BIGINT AS kwh,
                (p.EUR::DECIMAL(9, 2) * 100)::BIGINT AS cents
            FROM {read.format("dispatch")} d JOIN {read.format("prices")} p
                ON epoch(p.Delivery::TIMESTAMPTZ)
                    = midnight("Trade Date") + 3600 * (("Period No"::INT - 1) // 2);
        """
    )
    return database


def month_of(year: int, month: int) -> MarketMonth:
    at = datetime(year, month, 2, tzinfo=DUBLIN).timestamp()
    (found,) = months(at, at + 1, DUBLIN, NOW)
    return found


def test_each_run_stands_as_the_recount_has_it(
    terms: Contracts, ledger: Ledger, recount: duckdb.DuckDBPyConnection
) -> None:
    """Whatever order the runs came in; what a run leaves out stands as the run before has it."""
    month = month_of(2025, 10)
    for rank, run in enumerate(("II", "SF", "R1", "R2", "R3", "RF"), 1):
        found = reconciliation(ledger, terms, terms.sites[:1], month.start, month.end, run)
        (stated, by_period) = recount.execute(
            f"""
            WITH standing AS (SELECT * FROM line WHERE rank <= {rank} AND unit = 'GU_501'
                    AND t >= {month.start} AND t < {month.end}
                QUALIFY row_number() OVER (PARTITION BY heading, t ORDER BY rank DESC) = 1)
            SELECT (SELECT sum(paid) FROM standing),
                (SELECT list([t, coalesce(s.paid, 0) - round(o.kwh * o.cents / 1000)]
                        ORDER BY t)
                    FROM own o LEFT JOIN standing s USING (unit, heading, t)
                    WHERE o.unit = 'GU_501' AND o.kwh <> 0 AND t >= {month.start}
                        AND t < {month.end}
                        AND abs(coalesce(s.paid, 0) - o.kwh * o.cents / 1000) > 0.5)"""
        ).fetchall()[0]
        assert found.stated == Decimal(int(stated)) / 100, run
        differing: dict[float, Decimal] = {}
        for one in found.differences:
            assert one.service == "energy"
            differing[one.start] = differing.get(one.start, Decimal(0)) + one.amount
        expected = {at: Decimal(int(cents)) / 100 for at, cents in by_period or []}
        assert {at: amount for at, amount in differing.items() if amount} == expected, run
        assert not found.missing


def test_what_is_in_force_is_the_last_run_of_each_line(terms: Contracts, ledger: Ledger) -> None:
    """The fifth run came last, and its two lines of the sixth stay in force."""
    known = SiteMonth(ledger, terms, terms.sites[0], month_of(2025, 10))
    rows = [one for one in settlement_figures(known) if one is not None]
    day = midnight(date(2025, 10, 10))
    in_force = {
        one.tags[2]: one.fields["in_force"]
        for one in rows
        if (one.measurement, one.tags[1], one.time) == ("settlement", "energy", day)
    }
    assert in_force == {"II": 0.0, "R1": 0.0, "R2": 0.0, "R3": 1.0}
    # A cent of rounding aside, two volumes are open.
    open_now = {
        (one.tags[2], one.time - day)
        for one in rows
        if one.measurement == "dispute" and one.fields["open"] and one.tags[3] != "rest"
    }
    assert open_now == {("R3", 1800.0 * n) for n in (6, 7)}


def test_a_tier_and_a_target_exactly_on_their_limit(terms: Contracts, ledger: Ledger) -> None:
    """Planned work is excluded also where two trips overlap it, and counts once."""
    october, december = month_of(2025, 10), month_of(2025, 12)
    mullagh = site_report(ledger, terms.sites[0], october.start, october.end)
    (judged,) = mullagh.guarantees
    assert judged.availability.excluded == 5 * 3600
    assert judged.availability.counted == 14.8 * 3600
    assert (judged.verdict.met, judged.verdict.shortfall) == (False, Decimal(1))
    assert judged.verdict.owed == Decimal("2500.00")
    keel = site_report(ledger, terms.sites[1], december.start, december.end)
    (judged,) = keel.guarantees
    assert judged.availability.coverage < 0.1
    whole = site_report(
        ledger, terms.sites[1], midnight(date(2025, 12, 30)), midnight(date(2026, 1, 1))
    )
    assert whole.availability.counted == 18.6 * 3600


def test_a_floor_outlasts_the_year_and_a_negative_settlement(
    terms: Contracts, ledger: Ledger, recount: duckdb.DuckDBPyConnection
) -> None:
    """Each month by itself: December is a loss, which the first step shares; the trader's floor is
    paid in both, and the fund adds what it has not."""
    paid: dict[str, int] = {}
    each = [month_of(2025, 12), month_of(2026, 1)]
    for month in each:
        (cents,) = recount.execute(
            "SELECT sum(paid) FROM line WHERE t >= ? AND t < ?", [month.start, month.end]
        ).fetchall()[0]
        paid[f"{month.start:.0f}"] = int(cents)
        site = SiteMonth(ledger, terms, terms.sites[1], month)
        amounts = [one.amount for one in day_revenues(site).values() if one.amount is not None]
        assert sum(amounts) == Decimal(int(cents)) / 100
    first, second = paid.values()
    assert first < 0
    found = month_payouts(ledger, terms, each)
    assert sum(one.total for one in found.values()) == Decimal(first + second) / 100
    trader = max(Decimal("0.2") * max(Decimal(second) / 100 - 5000, Decimal(0)), Decimal("1500.55"))
    assert found["trader"].total == money(Decimal("1500.55") + trader)
    shared = Decimal(first) / 100 + min(max(Decimal(second) / 100, Decimal(0)), Decimal(5000))
    if second < 0:
        shared += Decimal(second) / 100
    assert found["bank"].total == pytest.approx(Decimal("0.75") * shared, abs=Decimal("0.011"))


def test_reserve_across_the_change_of_clocks(terms: Contracts, ledger: Ledger) -> None:
    """From midnight to four are five hours in October, three in March; a trip takes the rest."""
    for month, day, volume in (
        (month_of(2025, 10), date(2025, 10, 26), "25"),
        (month_of(2026, 3), date(2026, 3, 29), "15"),
    ):
        known = SiteMonth(ledger, terms, terms.sites[0], month)
        line_ = known.own.lines["mullagh", "reserve", f"{midnight(day):.0f}"]
        assert (line_.volume, line_.amount) == (Decimal(volume), Decimal(volume) * Decimal("3.5"))
        found = reconciliation(ledger, terms, terms.sites[:1], month.start, month.end)
        assert not [one for one in found.differences if one.service == "reserve"]
    october = SiteMonth(ledger, terms, terms.sites[0], month_of(2025, 10))
    assert ("mullagh", "reserve", f"{midnight(date(2025, 10, 21)):.0f}") in october.own.nothing
