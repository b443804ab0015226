"""The month as files: what each system of a plant's owner would export, and the truth beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from simulator.portfolio.market import QUARTER_SECONDS, SETTLEMENT_SECONDS, Market, market
from simulator.portfolio.operation import (
    DEADBAND_HZ,
    FULL_HZ,
    LEFT,
    MINUTES,
    RESPONSE_HOURS,
    Operation,
    operate,
    trading_value,
)
from simulator.portfolio.plants import PLANTS
from simulator.portfolio.statements import (
    CAPACITY_PRICE,
    RESPONSE_PRICE,
    RUNS,
    Row,
    due,
    stated,
)


def write_month(folder: Path, year: int, month: int, zone: str, seed: int) -> dict[str, Any]:
    """Write a month of all plants; returns the truth, which is in ``truth.json`` as well.

    Files
    -----
    ``prices.csv`` and ``settlement-RUN.csv`` have a settlement date and period as Great Britain's
    public services publish them; ``telemetry-SITE.parquet`` has a row a minute; ``dispatch.csv``
    means of quarter hours; ``budget.csv`` a row a day and service; ``events.csv``, ``tickets.csv``,
    ``pipeline.csv``, ``contracts.yaml``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prices = market(year, month, zone, seed)
    rng = np.random.default_rng([seed, 99])
    operations = [operate(plant, prices, seed) for plant in PLANTS]
    own = [row for operation in operations for row in due(operation, prices)]
    runs, planted = stated(own, rng)
    _prices(folder / "prices.csv", prices)
    for run in RUNS:
        _settlement(folder / f"settlement-{run}.csv", prices, [r for r in runs if r.run == run])
    for operation in operations:
        _telemetry(folder / f"telemetry-{operation.plant.id}.parquet", prices, operation)
    _dispatch(folder / "dispatch.csv", prices, operations)
    _events(folder, operations)
    _budget(folder / "budget.csv", prices, operations)
    _pipeline(folder / "pipeline.csv", year)
    (folder / "contracts.yaml").write_text(
        yaml.safe_dump(_contracts(zone), sort_keys=False), encoding="utf-8"
    )
    found = {
        "month": f"{year}-{month:02}",
        "zone": zone,
        "due": {
            operation.plant.id: str(
                sum(row.amount for row in own if row.site == operation.plant.id)
            )
            for operation in operations
        },
        "traded": {o.plant.id: round(trading_value(prices, o.actual_kw), 2) for o in operations},
        "lost": {
            o.plant.id: {cause: round(value, 2) for cause, value in o.lost.items()}
            for o in operations
        },
        "events": [
            {
                "site": event.plant,
                "category": event.trouble.category,
                "code": event.trouble.code,
                "start": event.start,
                "end": event.end,
                "lost": round(event.lost, 2),
            }
            for operation in operations
            for event in operation.events
        ],
        "statement_errors": [
            {
                "site": error.site,
                "service": error.service,
                "start": error.start,
                "run": error.run,
                "kind": error.kind,
                "amount": str(error.amount),
            }
            for error in planted
        ],
    }
    (folder / "truth.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _period(prices: Market, seconds: float) -> tuple[str, int]:
    """Local date and number of the settlement period, 1 to 46, 48 or 50."""
    local = datetime.fromtimestamp(seconds, prices.zone)
    midnight = local.replace(hour=0, minute=0, second=0, fold=0).timestamp()
    return local.date().isoformat(), int((seconds - midnight) // SETTLEMENT_SECONDS) + 1


def _table(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


def _prices(path: Path, prices: Market) -> None:
    starts, values = prices.times[::2].tolist(), prices.price[::2].tolist()
    _table(
        path,
        ("settlementDate", "settlementPeriod", "startTime", "dataProvider", "price", "volume"),
        (
            (*_period(prices, start), _iso(start), "SIM", f"{value:.2f}", "0.000")
            for start, value in zip(starts, values, strict=True)
        ),
    )


def _settlement(path: Path, prices: Market, rows: Sequence[Row]) -> None:
    _table(
        path,
        (
            *("site", "service", "settlementDate", "settlementPeriod", "startTime"),
            *("seconds", "settlementRunType", "volume", "price", "penalty", "amount"),
        ),
        (
            (
                *(row.site, row.service, *_period(prices, row.start), _iso(row.start)),
                *(row.seconds, row.run, row.volume, row.price, row.penalty, row.amount),
            )
            for row in rows
        ),
    )


def _telemetry(path: Path, prices: Market, operation: Operation) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    minutes = np.repeat(prices.times, MINUTES) + 60 * np.tile(np.arange(MINUTES), len(prices.times))
    columns: dict[str, Any] = {
        "time": pa.array((minutes * 1000).astype(np.int64), pa.timestamp("ms", "UTC")),
        "site": pa.DictionaryArray.from_arrays(
            np.zeros(len(minutes), np.int8), [operation.plant.id]
        ),
    }
    for name, values in operation.readings.items():
        columns[name] = pa.array(np.round(values, 4), pa.float64(), from_pandas=True)
    pq.write_table(pa.table(columns), path, compression="zstd")


def _dispatch(path: Path, prices: Market, operations: Sequence[Operation]) -> None:
    _table(
        path,
        ("site", "start", "seconds", "wanted_kw", "allowed_kw", "actual_kw"),
        (
            (operation.plant.id, _iso(start), 900, f"{w:.4f}", f"{a:.4f}", f"{done:.1f}")
            for operation in operations
            for start, w, a, done in zip(
                prices.times.tolist(),
                operation.wanted_kw.tolist(),
                operation.allowed_kw.tolist(),
                operation.actual_kw.tolist(),
                strict=True,
            )
        ),
    )


def _events(folder: Path, operations: Sequence[Operation]) -> None:
    events = [event for operation in operations for event in operation.events]
    _table(
        folder / "events.csv",
        ("site", "device", "code", "category", "severity", "start", "end", "available"),
        (
            (
                *(e.plant, e.trouble.device, e.trouble.code, e.trouble.category),
                *(e.trouble.severity, _iso(e.start), _iso(e.end)),
                LEFT.get(e.trouble.category, 1.0),
            )
            for e in events
        ),
    )
    _table(
        folder / "tickets.csv",
        ("ticket", "site", "device", "code", "opened", "repair_began", "closed"),
        (
            (
                *(f"T-{n:04}", e.plant, e.trouble.device, e.trouble.code),
                *(_iso(e.detected), _iso(e.repair_began), _iso(e.end)),
            )
            for n, e in enumerate(events, 1)
            if e.detected is not None and e.repair_began is not None
        ),
    )


def _budget(path: Path, prices: Market, operations: Sequence[Operation]) -> None:
    """What was expected the day before, of a plant without trouble."""
    rows = []
    kept = RESPONSE_HOURS[1] - RESPONSE_HOURS[0]
    for operation in operations:
        plant = operation.plant
        value = prices.expected * operation.wanted_kw * QUARTER_SECONDS / 3600.0 / 1000.0
        for day in range(int(prices.day[-1]) + 1):
            here = prices.day == day
            date, _ = _period(prices, float(prices.times[here][0]))
            response = float(RESPONSE_PRICE) * plant.response_mw * kept
            capacity = float(CAPACITY_PRICE) * plant.power_kw / 1000.0
            rows += [
                (plant.id, "energy", date, f"{value[here].sum():.2f}"),
                (plant.id, "response", date, f"{response:.2f}"),
                (plant.id, "capacity", date, f"{capacity:.2f}"),
            ]
    _table(path, ("site", "service", "date", "budget"), rows)


def _pipeline(path: Path, year: int) -> None:
    _table(
        path,
        ("project", "region", "mw", "mwh", "stage", "planned", "expected"),
        (
            ("Humber 1", "yorkshire", 50, 100, "construction", f"{year}-09-30", f"{year}-12-15"),
            (
                "Solent",
                "south-coast",
                80,
                160,
                "permitting",
                f"{year + 1}-06-30",
                f"{year + 1}-06-30",
            ),
            (
                "Forth",
                "scotland",
                100,
                200,
                "grid application",
                f"{year + 2}-03-31",
                f"{year + 2}-09-30",
            ),
            ("Mersey", "north-west", 40, 80, "commissioning", f"{year}-04-30", f"{year}-05-20"),
        ),
    )


def _contracts(zone: str) -> dict[str, Any]:
    """Terms of all plants: what is paid, guaranteed, excluded and shared."""
    return {
        "zone": zone,
        "currency": "GBP",
        "sites": [
            {
                "id": plant.id,
                "name": plant.name,
                "vendor": plant.vendor,
                "region": plant.region,
                "latitude": plant.latitude,
                "longitude": plant.longitude,
                "power_kw": plant.power_kw,
                "usable_kwh": plant.usable_kwh,
                "charge_efficiency": plant.charge_efficiency,
                "discharge_efficiency": plant.discharge_efficiency,
                "services": [
                    {"name": "energy", "pays": "energy", "market": "SIM", "seconds": 1800},
                    {
                        "name": "response",
                        "pays": "availability",
                        "mw": plant.response_mw,
                        "price": float(RESPONSE_PRICE),
                        "hours": [int(hour) for hour in RESPONSE_HOURS],
                        "curve": {"deadband_hz": DEADBAND_HZ, "full_hz": FULL_HZ},
                    },
                    {
                        "name": "capacity",
                        "pays": "capacity",
                        "mw": plant.power_kw / 1000,
                        "price": float(CAPACITY_PRICE),
                    },
                ],
                "wear_per_cycle": plant.wear_per_cycle,
                "cycles_a_year": 365,
                "end_of_life_soh": 70,
                "guarantees": [
                    {
                        "name": "availability",
                        "target": 97,
                        "least_coverage": 0.9,
                        "cap": 60_000,
                        "excluded": ["force_majeure", "grid", "customer", "planned"],
                        "tiers": [
                            {"points": 2, "per_point": 4_000},
                            {"per_point": 9_000},
                        ],
                    }
                ],
            }
            for plant in PLANTS
        ],
        "partners": {
            "steps": [
                {"until": 400_000, "shares": {"lender": 60, "owner": 40}},
                {"shares": {"lender": 15, "owner": 60, "optimiser": 25}},
            ],
            "minima": [{"partner": "optimiser", "amount": 20_000, "guarantor": "owner"}],
        },
    }
