"""A portfolio as others state it: two plants, other headings, units and names, and planted errors.

October 2026 in London, of which the 25th has 50 settlement periods.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

LONDON = ZoneInfo("Europe/London")
UNITS = {"T_NORTH-1": "north", "E_QUAY-2": "quay"}
Table = tuple[Sequence[str], list[list[Any]]]

CONTRACTS = """
zone: Europe/London
currency: GBP
sites:
  - id: north
    name: North Moor
    vendor: Alder
    power_kw: 20000
    usable_kwh: 40000
    services:
      - {name: trading, pays: energy, market: APXMIDP}
      - {name: containment, pays: availability, mw: 10, price: 4.5, hours: [6, 18]}
    guarantees:
      - name: availability
        target: 98
        cap: 9000
        least_coverage: 0.9
        excluded: [grid, planned]
        tiers:
          - {points: 0.5, per_point: 1000}
          - {points: 2, per_point: 3000}
          - {per_point: 8000}
  - id: quay
    vendor: Birch
    power_kw: 10000
    usable_kwh: 15000
    services:
      - {name: trading, pays: energy, market: DAH}
      - {name: capacity, pays: capacity, mw: 8, price: 21.1}
    guarantees:
      - {name: availability, target: 99.2, cap: 1500, tiers: [{per_point: 700}]}
partners:
  steps:
    - {until: 90000, shares: {bank: 1}}
    - {until: 150000, shares: {bank: 30, fund: 70}}
    - {shares: {fund: 55, trader: 45}}
  minima:
    - {partner: trader, amount: 12000, guarantor: fund}
"""

MAPPINGS = {
    "prices-market": "",
    "prices-hourly": "{market: {value: DAH}, price: Preis, start: Stunde, seconds: {value: 3600}}",
    "dispatch": """
        site: {column: BMU Id, values: {T_NORTH-1: north, E_QUAY-2: quay}}
        settlement_period: SP
        seconds: {value: 1800}
        actual_kw: {column: Metered MW, factor: 1000}
        """,
    "settlement": """
        site: {column: BMU Id, values: {T_NORTH-1: north, E_QUAY-2: quay}}
        service: {column: Product, values: {Wholesale: trading, DCL: containment, CM: capacity}}
        settlement_period: SP
        run: {column: Run, values: {Initial: II, Final: RF, Dispute: DF}}
        volume: {column: Quantity kWh, factor: 0.001}
        price: Rate
        amount: Net
        """,
    "events": """
        site: {column: Plant, values: {North: north, Quay: quay}}
        device: Unit
        code: Alarm
        category: {column: Reason, values: {Trip: forced, DNO: grid, Service: planned}}
        severity: {value: warning}
        start: From
        end: To
        available: {column: Left %, factor: 0.01}
        """,
}


def days() -> Iterator[tuple[date, int, float]]:
    """Each day with its number of settlement periods and its beginning."""
    for number in range(31):
        day = date(2026, 10, 1) + timedelta(days=number)
        begin, end = (
            datetime(d.year, d.month, d.day, tzinfo=LONDON).timestamp()
            for d in (day, day + timedelta(days=1))
        )
        yield day, round((end - begin) / 1800), begin


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(path: Path, table: Table, separator: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(table[0])
        writer.writerows(table[1])


def prices(rng: np.random.Generator) -> tuple[Table, Table, dict[tuple[str, float], int]]:
    """Market index prices of two providers, hourly prices, and pence by unit and period."""
    index: list[list[Any]] = []
    hourly: list[list[Any]] = []
    pence: dict[tuple[str, float], int] = {}
    for day, count, begin in days():
        for number in range(count):
            at = begin + 1800 * number
            value = int(rng.integers(-500, 14_000))
            pence["T_NORTH-1", at] = value
            index.append([day, number + 1, iso(at), "N2EXMIDP", "0.00", "0.000"])
            index.append([day, number + 1, iso(at), "APXMIDP", f"{value / 100:.2f}", "812.350"])
            if number % 2 == 0:
                hour = int(rng.integers(1_000, 12_000))
                hourly.append([iso(at), f"{hour / 100:.2f}".replace(".", ",")])
            pence["E_QUAY-2", at] = hour
    head = ("settlementDate", "settlementPeriod", "startTime", "dataProvider", "price", "volume")
    return (head, index), (("Stunde", "Preis"), hourly), pence


def metered(rng: np.random.Generator) -> Table:
    """Metered power in MW, to 20 kW."""
    rows: list[list[Any]] = []
    for unit, most in (("T_NORTH-1", 20), ("E_QUAY-2", 10)):
        for day, count, _ in days():
            for number in range(1, count + 1):
                value = int(rng.integers(-most * 50, most * 50 + 1)) * 0.02
                rows.append([unit, day, number, f"{value:.2f}"])
    return ("BMU Id", "Settlement Date", "SP", "Metered MW"), rows


SETTLEMENT = (
    *("Settlement Date", "SP", "Run", "BMU Id", "Product", "Counterparty"),
    *("Quantity kWh", "Rate", "Deduction", "Net", "VAT", "Total"),
)


def line(
    day: date, period: int, unit: str, product: str, thousandths: int, pence: int, run: str
) -> list[Any]:
    """A line whose amount is its product, rounded half to even."""
    whole, rest = divmod(thousandths * pence, 1000)
    cents = whole + (rest > 500 or (rest == 500 and whole % 2 == 1))
    net = f"{cents / 100:.2f}"
    return [
        *(day, period, run, unit, product, "Exchange", thousandths, f"{pence / 100:.2f}"),
        *("", net, f"{cents / 500:.2f}", f"{cents * 1.2 / 100:.2f}"),
    ]


def statements(power: Table, pence: dict[tuple[str, float], int]) -> dict[str, Table]:
    """Three runs by name; the last restates four lines and nothing else."""
    initial: list[list[Any]] = []
    starts = {day: begin for day, _, begin in days()}
    for unit, day, number, value in power[1]:
        at = starts[day] + 1800 * (number - 1)
        kwh, price = round(float(value) * 500), pence[unit, at]
        if kwh:
            initial.append(line(day, number, unit, "Wholesale", kwh, price, "Initial"))
    for day, count, _ in days():
        # 06:00 to 18:00, paid by the half hour; the last Sunday has two more before it.
        first = 13 + count - 48
        for number in range(first, first + 24):
            initial.append(line(day, number, "T_NORTH-1", "DCL", 5000, 450, "Initial"))
        rate = 2110 if day.day < 16 else 2010
        initial.append(line(day, 1, "E_QUAY-2", "CM", 8000, rate, "Initial"))
    _spoil(initial)
    final = [[*row[:2], "Final", *row[3:]] for row in initial]
    for row in final:
        if row[:2] == [date(2026, 10, 12), 30] and row[3] == "E_QUAY-2":
            row[6], row[9] = -row[6], f"{-float(row[9]):.2f}"
    late = [
        line(
            day,
            number,
            unit,
            "Wholesale",
            row[6],
            pence[unit, starts[day] + 1800 * (number - 1)],
            "Dispute",
        )
        for row in initial
        for day, number, unit in [(row[0], row[1], row[3])]
        if (day, unit, row[4]) == (date(2026, 10, 7), "T_NORTH-1", "Wholesale") and 5 <= number <= 8
    ]
    return {
        name: (SETTLEMENT, rows)
        for name, rows in (("initial", initial), ("final", final), ("dispute", late))
    }


def _spoil(rows: list[list[Any]]) -> None:
    """Plant what is wrong in the first two runs."""

    def at(unit: str, day: int, number: int) -> int:
        return next(
            n
            for n, row in enumerate(rows)
            if row[3:5] == [unit, "Wholesale"] and row[:2] == [date(2026, 10, day), number]
        )

    for number in range(5, 9):
        # The price of the provider that has none.
        row = rows[at("T_NORTH-1", 7, number)]
        row[7], row[9] = "0.00", "0.00"
    row = rows[at("E_QUAY-2", 12, 30)]
    row[6], row[9] = -row[6], f"{-float(row[9]):.2f}"
    row = rows[at("E_QUAY-2", 14, 20)]
    row[9] = f"{float(row[9]) - 100:.2f}"
    row = rows[at("E_QUAY-2", 15, 11)]
    row[8], row[9] = "250", f"{float(row[9]) - 250:.2f}"
    # One that only people can read.
    row = rows[at("E_QUAY-2", 22, 7)]
    row[6] = "4,120"
    row = rows[at("T_NORTH-1", 20, 3)]
    rows.append([*row[:5], "Broker", *row[6:]])
    # A period that the day has not, and two lines about one thing.
    row = rows[at("T_NORTH-1", 25, 40)]
    rows.append([row[0], 51, *row[2:]])
    row = rows[at("T_NORTH-1", 26, 40)]
    rows.append([*row[:9], "12345.67", *row[10:]])
    # A statement that knows no day of 25 hours, and one that is not there at all.
    gone = {("T_NORTH-1", 3, 10)} | {(u, 25, n) for u in UNITS for n in (49, 50)}
    rows[:] = [
        row for row in rows if row[4] != "Wholesale" or (row[3], row[0].day, row[1]) not in gone
    ]


EVENTS: Table = (
    ("Plant", "Unit", "Alarm", "Reason", "From", "To", "Left %"),
    [
        [
            "North",
            "PCS 1",
            "F12",
            "Trip",
            "2026-10-09T08:00:00+01:00",
            "2026-10-09T10:00:00+01:00",
            0,
        ],
        ["North", "", "G1", "DNO", "2026-10-11T00:00:00", "2026-10-11T06:00:00", 0],
        ["North", "PCS 2", "F12", "Trip", "2026-10-11T05:00:00", "2026-10-11T07:00:00", 0],
        ["North", "PCS 2", "M4", "Service", "2026-10-13T09:00:00", "2026-10-13T12:00:00", 50],
        ["North", "PCS 1", "F12", "Trip", "2026-10-21T20:00:00", "2026-10-22T13:30:00", 0],
        [
            "Quay",
            "PCS 1",
            "F3",
            "Trip",
            "2026-10-25T00:30:00+01:00",
            "2026-10-25T02:30:00+00:00",
            "0",
        ],
        ["Quay", "PCS 1", "F3", "Trip", "2026-10-28T10:00:00", "2026-10-28T21:00:00", 0],
        ["Quay", "PCS 1", "W1", "Trip", "2026-10-30T10:00:00", "2026-10-30T11:00:00", ""],
        # Four that are not taken: whose time, more than all, a time that comes twice, backwards.
        ["Quay", "PCS 1", "F4", "Weather", "2026-10-29T10:00:00", "2026-10-29T11:00:00", 0],
        ["Quay", "PCS 1", "F5", "Trip", "2026-10-29T12:00:00", "2026-10-29T13:00:00", 150],
        ["Quay", "PCS 1", "F6", "Trip", "2026-10-25T01:10:00", "2026-10-25T04:00:00", 0],
        ["Quay", "PCS 1", "F7", "Trip", "2026-10-29T14:00:00", "2026-10-29T13:00:00", 0],
    ],
)


def write_portfolio(folder: Path) -> None:
    """All files, with a mapping file for each."""
    rng = np.random.default_rng(71)
    folder.mkdir(parents=True, exist_ok=True)
    index, hourly, pence = prices(rng)
    power = metered(rng)
    runs = statements(power, pence)
    for row in index[1]:
        if row[:2] == [date(2026, 10, 5), 20]:
            # Local time that says it is UTC.
            row[2] = row[2].replace("T08:30", "T09:30")
    write(folder / "prices-market.csv", index)
    write(folder / "prices-hourly.csv", hourly, ";")
    dark = {("T_NORTH-1", date(2026, 10, 18), number) for number in range(1, 5)}
    write(folder / "dispatch.csv", (power[0], [r for r in power[1] if tuple(r[:3]) not in dark]))
    for name, table in runs.items():
        write(folder / f"settlement-{name}.csv", table)
    write(folder / "events.csv", EVENTS)
    (folder / "contracts.yaml").write_text(CONTRACTS, "utf-8")
    for name, text in MAPPINGS.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
