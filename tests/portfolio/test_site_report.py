"""Availability, failures and guarantees from the ledger, against the truth of the month."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from exporter.portfolio.contracts_file import Contracts, ResponseCurve, load_contracts
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_import import import_table, read_table
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.response_figures import required_kw
from exporter.portfolio.site_report import SiteReport, site_report
from simulator.cli import main

LONDON = ZoneInfo("Europe/London")
START, END = 1772323200.0, 1774998000.0
"""March 2026 in London, which ends in summer time."""


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("month")
    assert main(["portfolio", "--output", str(made), "--month", "2026-03", "--seed", "4"]) == 0
    return made


def filled(folder: Path, path: Path, *tables: str) -> Ledger:
    ledger = Ledger(path)
    for table in tables:
        read = read_table(folder / f"{table}.csv", TABLES[table], {}, LONDON)
        import_table(ledger, folder / f"{table}.csv", TABLES[table], read, None)
    return ledger


def reports(ledger: Ledger, contracts: Contracts) -> dict[str, SiteReport]:
    return {site.id: site_report(ledger, site, START, END) for site in contracts.sites}


def test_down_time_is_that_of_the_outages(month: Path, tmp_path: Path) -> None:
    truth = json.loads((month / "truth.json").read_text("utf-8"))
    ledger = filled(month, tmp_path / "books", "dispatch", "events", "tickets")
    found = reports(ledger, load_contracts(month / "contracts.yaml"))
    for site, report in found.items():
        out = [e for e in truth["events"] if (e["site"], e["category"]) == (site, "forced")]
        down = sum(e["end"] - e["start"] for e in out)
        assert report.availability.coverage == 1.0
        assert report.availability.fraction == pytest.approx(1 - down / (END - START))
        assert report.failures.failures == len(out) > 0
        assert report.failures.restoration_s == pytest.approx(down / len(out))
        assert report.failures.repaired == len(out)
        assert report.failures.repair_s is not None
        assert report.failures.repair_s < down / len(out)
        (judged,) = report.guarantees
        below = max(97 - 100 * report.availability.fraction, 0.0)
        tiers = min(below, 2) * 4000 + max(below - 2, 0) * 9000
        assert judged.verdict.owed is not None
        assert float(judged.verdict.owed) == pytest.approx(tiers, abs=0.01)
    assert found["yorkshire"].owed is not None
    assert found["yorkshire"].owed > 0
    assert found["cotswold"].owed == Decimal(0)


def test_what_was_not_observed_is_not_available(month: Path, tmp_path: Path) -> None:
    """Half of the readings are gone: the guarantee asks for nine tenths."""
    folder = tmp_path / "half"
    folder.mkdir()
    lines = (month / "dispatch.csv").read_text("utf-8").splitlines()
    (folder / "dispatch.csv").write_text(
        "\n".join([lines[0], *(x for x in lines[1:] if x.split(",")[1] < "2026-03-16")]), "utf-8"
    )
    (folder / "events.csv").write_bytes((month / "events.csv").read_bytes())
    contracts = load_contracts(month / "contracts.yaml")
    for report in reports(filled(folder, tmp_path / "b", "dispatch", "events"), contracts).values():
        assert 0.48 < report.availability.coverage < 0.6
        assert report.guarantees[0].verdict.met is None
        assert report.owed is None
    nothing = reports(Ledger(tmp_path / "empty"), contracts)["thames"]
    assert nothing.availability.coverage == 0
    assert nothing.owed is None


def test_an_excluded_outage_is_not_owed_for(month: Path, tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    folder.mkdir()
    text = (month / "events.csv").read_text("utf-8").replace(",forced,", ",grid,")
    (folder / "events.csv").write_text(text, "utf-8")
    (folder / "dispatch.csv").write_bytes((month / "dispatch.csv").read_bytes())
    contracts = load_contracts(month / "contracts.yaml")
    found = reports(filled(folder, tmp_path / "b", "dispatch", "events"), contracts)["yorkshire"]
    assert found.availability.fraction < 1
    assert found.guarantees[0].availability.fraction == 1.0
    assert found.owed == 0
    assert found.failures.failures == 0


def test_the_curves_of_frequency_services() -> None:
    """Dynamic Regulation is a line from 15 mHz to 200 mHz; Dynamic Containment has a knee of 5 % at
    200 mHz and is whole at 500 mHz (National Energy System Operator)."""
    hz = np.array([50.0, 50.015, 49.9, 50.2, 49.8, 49.65, 50.6, np.nan])
    regulation = ResponseCurve(deadband_hz=0.015, full_hz=0.2)
    containment = ResponseCurve(deadband_hz=0.015, knee=(0.2, 0.05), full_hz=0.5)
    line = 1e4 * np.array([0, 0, 85 / 185, -1, 1, 1, -1, np.nan])
    assert required_kw(hz, regulation, 10.0) == pytest.approx(line, abs=1e-6, nan_ok=True)
    knee = 1e4 * np.array([0, 0, 0.05 * 85 / 185, -0.05, 0.05, 0.525, -1, np.nan])
    assert required_kw(hz, containment, 10.0) == pytest.approx(knee, abs=1e-6, nan_ok=True)
    with pytest.raises(ValidationError, match="knee: expected Hz between"):
        ResponseCurve(deadband_hz=0.015, knee=(0.6, 0.05), full_hz=0.5)
