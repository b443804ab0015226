"""The published month on a real InfluxDB: recounted in DuckDB, restated, and asked over the API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from exporter.config.fleet import Fleet
from exporter.config.settings import Settings, load_settings
from exporter.history.influxql import InfluxQL
from exporter.portfolio.contracts_file import load_contracts
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.measurements import MEASUREMENTS
from exporter.portfolio.portfolio_job import PortfolioJob, bring_up_to_date
from exporter.portfolio.publication import Published, Publisher
from exporter.portfolio.published import PublishedPortfolio
from exporter.portfolio.stored_figures import read_rows
from exporter.portfolio.stores import PortfolioStores
from exporter.portfolio.telemetry_import import TelemetryFile
from exporter.serve.api.portfolio import LISTINGS, Listing
from exporter.serve.api.portfolio_schemas import (
    PortfolioKpisReply,
    PortfolioSiteReply,
    rows_reply,
)
from exporter.store.connection import connection_of
from exporter.store.influx import InfluxClient
from simulator.cli import main
from tests.portfolio.test_losses import FILES, taken
from tests.serve.api.replies import check
from tests.serve.api.served import ServedFleet
from tests.store.test_influx_targets import TOKEN, Server, influx1, influx2  # noqa: F401

pytestmark = pytest.mark.stack

START, END, NOW = 1772323200.0, 1774998000.0, 1_780_000_000.0
"""March 2026 in London, seen later."""
SITES = ("cotswold", "thames", "yorkshire")
REST = {"tickets.csv": "tickets", "pipeline.csv": "pipeline"}


@dataclass
class Month:
    """A month that was published by its first run, then by both."""

    folder: Path
    settings: Settings
    first: Published
    again: Published
    restated: Published
    before: dict[str, list[dict[str, Any]]]

    def rows(self, measurement: str) -> list[dict[str, Any]]:
        async def read() -> list[dict[str, Any]]:
            stored = InfluxQL.from_settings(self.settings)
            assert stored is not None
            try:
                return await read_rows(stored, measurement, START, END)
            finally:
                await stored.close()

        return asyncio.run(read())


@pytest.fixture(scope="module", params=["influx1", "influx2"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Of a real InfluxDB, 1.x or 2.x."""
    server: Server = request.getfixturevalue(request.param)
    if server.headers:
        return load_settings(influxdb_url=server.url, influxdb_api="v2", influxdb_token=TOKEN)
    return load_settings(influxdb_url=server.url, influxdb_api="v1")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated month, with a reading every five minutes, so that it is read sooner."""
    folder = tmp_path_factory.mktemp("files")
    assert main(["portfolio", "--output", str(folder), "--month", "2026-03", "--seed", "5"]) == 0
    for path in folder.glob("telemetry-*.parquet"):
        rows = pq.read_table(path)
        minutes = pc.minute(rows["time"])
        fifth = pc.equal(pc.subtract(minutes, pc.multiply(pc.divide(minutes, 5), 5)), 0)
        pq.write_table(rows.filter(fifth), path)
    early = {name: table for name, table in FILES.items() if name != "settlement-SF.csv"}
    taken(folder, folder / "books", early | REST)
    return folder


@pytest.fixture(scope="module")
def month(settings: Settings, files: Path, tmp_path_factory: pytest.TempPathFactory) -> Month:
    folder = tmp_path_factory.mktemp("month") / "files"
    shutil.copytree(files, folder)
    terms = load_contracts(folder / "contracts.yaml")

    async def publish(telemetry: bool) -> Published:
        async with PortfolioStores(settings) as stores:
            for site in SITES if telemetry else ():
                path = folder / f"telemetry-{site}.parquet"
                await stores.write(TelemetryFile(path, {}, None, None).batches())
            with Ledger(folder / "books", read_only=True) as ledger:
                publisher = Publisher(ledger, terms, stores.of)
                found = await publisher.publish(terms.sites, START, END, NOW)
            assert stores.refusals == []
            return found

    first = asyncio.run(publish(True))
    again = asyncio.run(publish(False))
    made = Month(folder, settings, first, again, again, {})
    made.before = {name: made.rows(name) for name in ("revenue", "loss", "plant_day", "sla")}
    taken(folder, folder / "books", {"settlement-SF.csv": "settlement"})
    made.restated = asyncio.run(publish(False))
    return made


def test_publishing_again_changes_nothing(month: Month) -> None:
    assert month.first.total.written > 10_000
    whole = month.again.total
    assert (whole.written, whole.removed) == (0, 0)
    assert whole.same == month.first.total.written


def test_a_restated_run_changes_only_the_days_that_it_mends(month: Month) -> None:
    errors = json.loads((month.folder / "truth.json").read_text("utf-8"))["statement_errors"]
    by_run = {
        run: {(e["site"], e["service"], e["start"]) for e in errors if e["run"] == run}
        for run in ("II", "SF")
    }
    mended = {(site, service) for site, service, _ in by_run["II"] - by_run["SF"]}
    now = {(r["site"], r["service"], r["time"]): r for r in month.rows("revenue")}
    before = {(r["site"], r["service"], r["time"]): r for r in month.before["revenue"]}
    changed = {key for key in now if now[key] != before[key]}
    assert now.keys() == before.keys()
    assert len(changed) == len(by_run["II"] - by_run["SF"])
    assert {key[:2] for key in changed} == mended
    assert month.rows("plant_day") == month.before["plant_day"] or any(
        service == "energy" for _, service in mended
    )
    assert month.rows("sla") == month.before["sla"]
    # Both runs are still shown.
    assert {row["run"] for row in month.rows("settlement")} == {"II", "SF"}
    assert month.restated.total.written < month.first.total.written / 3


def test_the_month_recounted_in_duckdb(month: Month) -> None:
    """From the files alone: revenue, energy put through, and hours with a reading."""
    database = duckdb.connect()
    paid = database.execute(
        f"""
        WITH every AS (
            SELECT *, row_number() OVER (PARTITION BY site, service, startTime
                ORDER BY CASE settlementRunType WHEN 'II' THEN 0 ELSE 1 END DESC) AS place
            FROM read_csv('{month.folder}/settlement-*.csv',
                types = {{'amount': 'DECIMAL(18, 2)'}}))
        SELECT site, service, sum(amount) FROM every WHERE place = 1 GROUP BY ALL"""
    ).fetchall()
    found: dict[tuple[str, str], Decimal] = {}
    for row in month.rows("revenue"):
        key = row["site"], row["service"]
        found[key] = found.get(key, Decimal(0)) + Decimal(f"{row['stated']:.2f}")
    assert {(site, service): amount for site, service, amount in paid} == found
    readings = database.execute(
        f"""SELECT site, count(p_kw), sum(greatest(p_kw, 0)) / 12
        FROM read_parquet('{month.folder}/telemetry-*.parquet') GROUP BY site"""
    ).fetchall()
    received: dict[str, float] = {}
    for row in month.rows("quality"):
        received[row["site"]] = received.get(row["site"], 0.0) + row["received"]
    assert received == {site: count for site, count, _ in readings}
    out = dict.fromkeys(SITES, 0.0)
    for row in month.rows("plant_day"):
        out[row["site"]] += row["discharged_kwh"]
    for site, _, kwh in readings:
        # What readings lack, the meter has.
        assert kwh <= out[site] * (1 + 1e-4)
        assert kwh == pytest.approx(out[site], rel=0.12)
    assert out["cotswold"] == pytest.approx({s: k for s, _, k in readings}["cotswold"], rel=0.01)


def test_state_of_health_before_a_month_needs_no_published_month(month: Month) -> None:
    """Its days are those that are published, the day of 23 hours among them."""
    connection = connection_of(month.settings)
    assert connection is not None
    with contextlib.closing(InfluxClient(connection)) as client:
        store = PublishedPortfolio(client, None)  # type: ignore[arg-type] - nothing is written
        for site in SITES:
            found = store.daily_soh(site, START, END, ZoneInfo("Europe/London"))
            published = {
                row["time"]: row["soh_percent"]
                for row in month.rows("plant_day")
                if row["site"] == site and row["soh_percent"] is not None
            }
            assert len(found) == 31
            assert dict(found) == pytest.approx(published, abs=1e-4)


@pytest.fixture(scope="module")
def served(month: Month) -> Iterator[ServedFleet]:
    sites = [
        {"id": site, "name": site.title(), "api_endpoint": "http://192.0.2.1:8088"}
        for site in SITES
    ]
    stored = InfluxQL.from_settings(month.settings)
    assert stored is not None
    fleet = ServedFleet(Fleet.model_validate({"sites": sites}), stored=stored)
    with fleet.serving():
        yield fleet


def test_the_api_gives_planted_losses_to_the_penny(month: Month, served: ServedFleet) -> None:
    lost = json.loads((month.folder / "truth.json").read_text("utf-8"))["lost"]
    path = "/api/v1/portfolio/losses?service=energy&period=2026-03&by=site&by=cause&limit=10"
    answer = served.json(path)
    sums = {(row["site"], row["cause"]): row["amount"] for row in answer["sums"]}
    for site, causes in lost.items():
        for cause, amount in causes.items():
            assert sums[site, cause] == pytest.approx(amount, abs=0.001)
    assert (answer["tz"], answer["currency"], len(answer["rows"])) == ("Europe/London", "GBP", 10)
    assert "sequential counterfactual" in answer["formula"]
    assert answer["next"]
    following = served.json(answer["next"])
    assert following["offset"] == 10
    assert following["sums"] == answer["sums"]


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.path)
def test_each_list_has_pages_types_formula_and_source(
    served: ServedFleet, listing: Listing
) -> None:
    about = MEASUREMENTS[listing.measurement]
    query = "" if listing.usual_period is None else "period=2026-03&"
    path = f"/api/v1/portfolio/{listing.path}?{query}"
    whole = served.json(f"{path}limit=10000")
    check(rows_reply(listing.measurement), whole)
    assert (whole["formula"], whole["source"]) == (about.formula, about.source)
    # What the ledger or the contracts hold is no figure and has no formula.
    recorded = listing.measurement in ("plant", "dispatch", "project")
    assert bool(whole["formula"]) != recorded
    assert {name: field["unit"] for name, field in whole["fields"].items()} == {
        name: field.unit for name, field in about.fields.items()
    }
    assert all(field["meaning"] and field["together"] for field in whole["fields"].values())
    assert whole["total"] == len(whole["rows"]) > 0
    assert whole["next"] is None
    rows, page = [], f"{path}limit={len(whole['rows']) // 2 + 1}"
    while page:
        part = served.json(page)
        assert part["total"] == whole["total"]
        rows += part["rows"]
        page = part["next"]
    assert rows == whole["rows"]


def test_the_other_four_are_typed_and_name_formula_and_source(served: ServedFleet) -> None:
    base = "/api/v1/portfolio"
    for path in ("kpis", "sites/thames/kpis"):
        found = served.json(f"{base}/{path}?period=2026-03")
        check(PortfolioKpisReply, found)
        assert len(found["kpis"]) >= 5
        assert all(kpi["formula"] and kpi["source"] for kpi in found["kpis"])
    check(PortfolioSiteReply, served.json(f"{base}/sites/thames"))
    paths = served.json("/openapi.json")["paths"]
    of_portfolio = {path.removeprefix(f"{base}/") for path in paths if path.startswith(base)}
    others = {"kpis", "sites/{site_id}", "sites/{site_id}/kpis", "telemetry"}
    assert of_portfolio == {listing.path for listing in LISTINGS} | others
    assert len(of_portfolio) == 14


def test_kpis_are_sums_of_what_is_published(month: Month, served: ServedFleet) -> None:
    kpis = {k["name"]: k for k in served.json("/api/v1/portfolio/kpis?period=2026-03")["kpis"]}
    revenue = sum(row["amount"] for row in month.rows("revenue"))
    assert kpis["revenue"]["value"] == pytest.approx(revenue, abs=0.001)
    assert kpis["coverage_percent"]["value"] == pytest.approx(100)
    assert all(kpi["formula"] and kpi["source"] for kpi in kpis.values())
    one = served.json("/api/v1/portfolio/sites/thames/kpis?period=2026-03")
    assert one["sites"] == ["thames"]
    site = served.json("/api/v1/portfolio/sites/thames")
    assert site["plant"]["vendor"] == "Norhall"
    assert site["telemetry"]["soc_percent"] is not None


def test_exported_telemetry_is_what_was_imported(month: Month, served: ServedFleet) -> None:
    address = "/api/v1/portfolio/telemetry?site=thames&period=2026-03"
    (counted,) = duckdb.execute(
        f"SELECT count(p_kw) FROM '{month.folder}/telemetry-thames.parquet'"
    ).fetchall()
    lines = served.ask(address)[2].decode().splitlines()
    assert len(lines) - 1 == counted[0]
    table = pq.read_table(BytesIO(served.ask(f"{address}&format=parquet")[2]))
    assert table.num_rows == counted[0]
    (month.folder / "export.csv").write_text("\n".join(lines) + "\n", "utf-8")
    file = TelemetryFile(month.folder / "export.csv", {}, None, None)
    assert sum(batch.points for batch in file.batches()) == counted[0]
    assert file.read.bad == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("revenue?cause=outage", 422),
        ("revenue?by=colour", 422),
        ("losses?site=nowhere", 404),
        ("sites/nowhere", 404),
        ("revenue?limit=0", 422),
        ("telemetry?format=xlsx", 422),
        ("losses?period=someday", 422),
    ],
)
def test_what_makes_no_sense_is_refused(served: ServedFleet, path: str, status: int) -> None:
    assert served.ask(f"/api/v1/portfolio/{path}")[0] == status


def test_the_service_publishes_what_is_out_of_date_and_nothing_else(
    month: Month, tmp_path: Path
) -> None:
    """The last test: it changes what is published. What was published by hand is left alone; an
    import and other terms are not, and a running job finds out by itself."""
    books, contracts = tmp_path / "books", tmp_path / "contracts.yaml"
    shutil.copy(month.folder / "books", books)
    terms = (month.folder / "contracts.yaml").read_text("utf-8")
    contracts.write_text(terms, "utf-8")
    settings = month.settings.model_copy(update={"books": books, "contracts": contracts})
    assert bring_up_to_date(settings, END + 60).months == 0
    rows = (month.folder / "tickets.csv").read_text("utf-8").splitlines()
    late = rows[1].rsplit(",", 1)[0] + ",2026-03-30T12:00:00Z"
    (tmp_path / "late.csv").write_text(f"{rows[0]}\n{late}\n", "utf-8")
    taken(tmp_path, books, {"late.csv": "tickets"})
    contracts.write_text(terms.replace("target: 97", "target: 99.9"), "utf-8")

    async def run() -> None:
        job = PortfolioJob(settings)
        try:
            await job.turn(END + 60)
        finally:
            job.close()

    asyncio.run(run())
    assert {row["target_percent"] for row in month.rows("sla")} == {99.9}
    assert bring_up_to_date(settings, END + 60).months == 0
    assert PortfolioJob(settings.model_copy(update={"books": None})).is_on is False
