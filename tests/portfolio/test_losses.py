"""Planted losses are found to the penny, by cause and by event, and add up to the whole."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.portfolio.contracts_file import load_contracts
from exporter.portfolio.duty_figures import availability_figures
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_import import import_table, read_table
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.loss_figures import MonthLosses, month_losses
from exporter.portfolio.market_days import MarketMonth, months
from exporter.portfolio.settlement_figures import day_revenues, settlement_figures
from exporter.portfolio.site_month import SiteMonth
from simulator.cli import main

LONDON = ZoneInfo("Europe/London")
NOW = 2e9
FILES = {
    "prices.csv": "prices",
    "dispatch.csv": "dispatch",
    "events.csv": "events",
    "budget.csv": "budget",
    "settlement-II.csv": "settlement",
    "settlement-SF.csv": "settlement",
}


def taken(folder: Path, path: Path, files: dict[str, str]) -> None:
    with Ledger(path) as ledger:
        for name, table in files.items():
            read = read_table(folder / name, TABLES[table], {}, LONDON)
            import_table(ledger, folder / name, TABLES[table], read, None)


@pytest.fixture(scope="module", params=["2026-03", "2026-10"])
def month(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Months with a day of 23 and of 25 hours."""
    made = tmp_path_factory.mktemp("month")
    assert main(["portfolio", "--output", str(made), "--month", request.param, "--seed", "5"]) == 0
    taken(made, made / "books", FILES)
    return made


def truth(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "truth.json").read_text("utf-8"))
    return found


def market_month(folder: Path) -> MarketMonth:
    year, number = map(int, truth(folder)["month"].split("-"))
    from datetime import datetime

    begin = datetime(year, number, 2, tzinfo=LONDON).timestamp()
    (found,) = months(begin, begin + 1, LONDON, NOW)
    return found


def known_sites(folder: Path, books: str = "books") -> dict[str, SiteMonth]:
    terms = load_contracts(folder / "contracts.yaml")
    ledger = Ledger(folder / books, read_only=True)
    month = market_month(folder)
    return {site.id: SiteMonth(ledger, terms, site, month) for site in terms.sites}


def losses(known: SiteMonth) -> MonthLosses:
    return month_losses(known, day_revenues(known))


def by_cause(found: MonthLosses, service: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for (name, _), day in found.days.items():
        if name == service:
            assert sum(day.losses.values()) == day.best - day.paid
            for cause, amount in day.losses.items():
                sums[cause.value] += amount
    return sums


def test_a_day_has_92_or_100_quarter_hours(month: Path) -> None:
    lengths = {round((end - begin) / 900) for begin, end in market_month(month).days}
    assert lengths == {96, 92 if truth(month)["month"] == "2026-03" else 100}
    for known in known_sites(month).values():
        energy = [day for name, day in losses(known).days if name == "energy"]
        assert len(energy) == 31


def test_planted_losses_are_found_to_the_penny(month: Path) -> None:
    for site, known in known_sites(month).items():
        found = losses(known)
        planted = truth(month)["lost"][site]
        energy = by_cause(found, "energy")
        for cause, amount in planted.items():
            assert energy[cause] == Decimal(f"{amount:.2f}"), (site, cause)
        assert energy["soc"] == 0
        # The meter gives tenths of a kilowatt.
        assert abs(energy["not_followed"]) <= Decimal("0.05")
        of_events: dict[str, Decimal] = defaultdict(Decimal)
        for row in known.events:
            key = row["device"], row["code"], row["start"]
            of_events[row["category"]] += found.events[key]
        response = by_cause(found, "response")
        assert of_events["forced"] == energy["outage"] + response["outage"]
        assert of_events["communication"] == energy["communication"]


def test_a_restated_run_changes_only_what_it_should(month: Path) -> None:
    """The first run by itself, then both: only the days with errors that were mended differ."""
    only_first = {name: table for name, table in FILES.items() if name != "settlement-SF.csv"}
    taken(month, month / "first", only_first)
    errors = truth(month)["statement_errors"]
    mended = {(e["site"], e["service"], e["start"]) for e in errors if e["run"] == "II"}
    mended -= {(e["site"], e["service"], e["start"]) for e in errors if e["run"] == "SF"}
    whole = known_sites(month)
    for site, first in known_sites(month, "first").items():
        begin_of = first.month.begin_of
        days = {(service, begin_of(at)) for s, service, at in mended if s == site}
        before, after = day_revenues(first), day_revenues(whole[site])
        assert before.keys() == after.keys()
        assert {place for place in before if before[place] != after[place]} == days
        runs = {f.tags[2] for f in settlement_figures(whole[site]) if f is not None}
        assert runs == {"II", "SF"}
        # What the first run said is still shown beside the second.
        kept = {f.place: f.fields for f in settlement_figures(whole[site]) if f is not None}
        for one in settlement_figures(first):
            if one is not None and one.measurement == "settlement":
                now = dict(kept[one.place])
                assert now.pop("in_force") == 0
                assert now == {k: v for k, v in one.fields.items() if k != "in_force"}


def test_days_without_measured_power_have_no_losses_and_no_availability(
    month: Path, tmp_path: Path
) -> None:
    lines = (month / "dispatch.csv").read_text("utf-8").splitlines()
    year = truth(month)["month"]
    dark = [x for x in lines if not x.split(",")[1].startswith(f"{year}-12")]
    for name in (*FILES, "contracts.yaml", "truth.json"):
        (tmp_path / name).write_bytes((month / name).read_bytes())
    (tmp_path / "dispatch.csv").write_text("\n".join(dark) + "\n", "utf-8")
    taken(tmp_path, tmp_path / "books", FILES)
    for site, known in known_sites(tmp_path).items():
        whole = losses(known_sites(month)[site])
        found = losses(known)
        missing = whole.days.keys() - found.days.keys()
        assert {name for name, _ in missing} >= {"energy"}
        assert len([1 for name, _ in missing if name == "energy"]) in (1, 2)
        days = {f.time: f.fields for f in availability_figures(known) if f is not None}
        unseen = [day for day, fields in days.items() if fields.get("unobserved_hours", 0)]
        for day in unseen:
            assert float(days[day]["unobserved_hours"]) > 0
            assert float(days[day]["coverage_percent"]) < 100
            up, down = float(days[day]["up_hours"]), float(days[day]["down_hours"])
            assert up + down == pytest.approx(24 * float(days[day]["coverage_percent"]) / 100)
