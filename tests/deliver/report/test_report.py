"""The report over a week whose truth is known, from a real InfluxDB."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exporter.assess.costs import PriceList
from exporter.cli.commands import app
from exporter.config.fleet import Fleet
from exporter.deliver.report.delivery import deliver
from exporter.deliver.report.document import as_data, as_html, title
from exporter.deliver.report.energy_balance import balance
from exporter.deliver.report.gather import gather
from exporter.deliver.report.model import Observed, Report
from exporter.deliver.report.report_file import ReportPlan
from exporter.history.influxql import InfluxQL
from exporter.serve.api import schemas
from scoring.status import Status
from tests.deliver.report.listeners import Receiver, mail_server
from tests.serve.api.influx import influx
from tests.serve.api.replies import check
from tests.serve.api.served import ODD_NAMES, START, ServedFleet, plan
from tests.service_process import command, environment

DAY = 86400.0
PRICES = PriceList.model_validate(
    {
        "currency": "EUR",
        "battery_per_kwh": {"price": 450, "assumption": "without installation"},
        "service_call": {"price": 180, "assumption": "half a day"},
        "grid_energy_per_kwh": {"price": 0.25, "assumption": "flat tariff"},
    }
)
END = START + 1011  # the time of the first Assessment
BEGIN = END - 7 * DAY
RESET_HOUR = 100


def lines() -> Iterator[str]:
    """Site 0 always there; site 1 away for two days, polled less often meanwhile; site 2 wears."""
    for n in range(14 * 144):
        time = END - 14 * DAY + n * 600
        stamp = round(time * 1000)
        week = (time - BEGIN) / DAY
        for site in ("s0000", "s0001", "s0002"):
            away = site == "s0001" and 2 <= week < 4
            if away:
                yield f"site,site={site} online=0 {stamp}"
                continue
            hour = int((time - (END - 14 * DAY)) // 3600)
            counter = 5000.0 + hour if hour < RESET_HOUR * 2 else float(hour - RESET_HOUR * 2)
            fields = f"online=1,pv_power_w=2000,grid_import_kwh={counter}"
            yield f"site,site={site} {fields} {stamp}"
            yield f"site,site={site} online=1 {stamp + 200_000}"
            yield f"health,site={site},component=overall score=95,status=0 {stamp}"
    for day in range(60):
        stamp = round((END - (60 - day) * DAY) * 1000)
        for site, soh in (("s0002", 90 - 0.05 * day), ("s0000", 95.0)):
            value = soh + 0.01 * (day % 3)
            yield f"battery,site={site},device=battery/1 soh_percent={value} {stamp}"
    since = BEGIN + 3600
    yield (
        "issue,site=s0000,code=battery_soh active=1,severity=3,"
        f'since={since},sentence="worn" {round((END - 60) * 1000)}'
    )
    yield (
        "issue,site=s0002,code=grid_lost active=0,severity=3,"
        f'since={since},sentence="no grid" {round((END - 60) * 1000)}'
    )


@pytest.fixture(scope="module", params=["raw", "rolled"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedFleet]:
    """Out of full detail, and out of roll-ups: the report is the same."""
    with influx(tmp_path_factory.mktemp("influx")) as server:
        server.write(list(lines()))
        if request.param == "rolled":
            done = subprocess.run(
                command("rollup"),
                env=environment(
                    influxdb_url=server.url,
                    influxdb_api="v1",
                    influxdb_retention="inf",
                    influxdb_retention_5m="inf",
                    influxdb_retention_15m="inf",
                ),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        fleet = ServedFleet(plan(3), InfluxQL(server.url, "fleet", {}), prices=PRICES)
        fleet.scrape(s0000={"soh_percent": 65.0})
        assert fleet.latest.time == END
        with fleet.serving():
            yield fleet


@pytest.fixture(scope="module")
def data(served: ServedFleet) -> Any:
    return served.json("/api/v1/report?days=7")


@pytest.mark.stack
def test_since_is_the_same_report_as_so_many_days(served: ServedFleet, data: Any) -> None:
    since = datetime.fromtimestamp(END - 7 * 86400, UTC).isoformat().replace("+00:00", "Z")
    found = served.json(f"/api/v1/report?since={since}&format=JSON")
    assert (found["start"], found["energy"]) == (data["start"], data["energy"])
    for wrong, words in (
        ("since=2d&days=2", "either days or since"),
        ("since=never", "is no period"),
        ("since=2001-01-01", "0.01 to 366 days"),
    ):
        assert words in served.ask(f"/api/v1/report?{wrong}")[2].decode()


@pytest.mark.stack
def test_a_week_is_read_from_the_roll_up_where_there_is_one(
    data: Any, request: pytest.FixtureRequest
) -> None:
    rolled = request.node.callspec.params["served"] == "rolled"
    of_levels = [query for query in data["queries"] if 'FROM "rollup_' in query]
    assert bool(of_levels) == rolled
    # Words of issues are in full detail only, and what nobody stores is looked for there.
    detail = [query for query in data["queries"] if query not in of_levels]
    heavy = ("online", "score", "pv_power_w", "grid_import_kwh", "soh_percent", "severity")
    assert any(f'("{field}")' in query for query in detail for field in heavy) != rolled


@pytest.mark.stack
def test_availability_counts_time_and_not_scrapes(data: Any) -> None:
    found = {p["site"]: p for p in data["periods"]}
    assert found["s0000"]["availability"] == 1
    assert found["s0001"]["availability"] == pytest.approx(5 / 7, abs=0.002)
    assert found["s0001"]["availability_before"] == 1
    assert found["s0000"]["observed"] == pytest.approx(1, abs=0.002)
    assert data["periods"][0]["site"] == "s0001"


@pytest.mark.stack
async def test_of_what_was_not_seen_nothing_is_said(served: ServedFleet) -> None:
    """The exporter has run for 14 days of the 90 that are asked about."""
    stored = InfluxQL(served.stored.connection.url, "fleet", {})  # type: ignore[union-attr]
    try:
        report = await gather(served.latest, stored, END - 90 * DAY, None)
    finally:
        await stored.close()
    assert not report.observed.enough
    assert report.observed.share == pytest.approx(14 / 90, abs=0.002)
    assert (report.availability, report.mean_score) == (None, None)
    assert {period.availability for period in report.periods} == {None}
    html = as_html(report)
    assert html.index("Observed 16 % of the time asked") < html.index("attention now")
    assert "mean score of the period" not in html
    for claim in ("no trend towards a limit", "No site has another status", "100.00 %"):
        assert claim not in html
    assert "16 % observed" in title(report)


def test_the_balance_of_a_site() -> None:
    kwh = {
        "pv_kwh": 100.0,
        "load_kwh": 80.0,
        "import_kwh": 20.0,
        "export_kwh": 30.0,
        "charged_kwh": 50.0,
        "discharged_kwh": 40.0,
    }
    found = balance(kwh, 10.0, 50.0)
    assert found == {
        "throughput_kwh": 90.0,
        "efficiency": pytest.approx(40 / 45),
        "self_consumption": pytest.approx(0.7),
        "self_sufficiency": pytest.approx(0.75),
    }
    # Less than one cycle, no capacity, contradicting meters, missing readings.
    assert balance(kwh, 100.0, 50.0)["efficiency"] is None
    assert balance(kwh, None, 50.0)["efficiency"] is None
    assert balance(kwh | {"export_kwh": 130.0}, 10.0, 0.0)["self_consumption"] is None
    assert set(balance(dict.fromkeys(kwh), 10.0, 0.0).values()) == {None}


@pytest.mark.stack
def test_energy_is_what_meters_and_power_say(data: Any) -> None:
    found = {p["site"]: p for p in data["periods"]}
    assert found["s0000"]["pv_kwh"] == pytest.approx(2 * 24 * 7, rel=0.005)
    assert found["s0001"]["pv_kwh"] == pytest.approx(2 * 24 * 5, rel=0.005)
    # A counter that goes on while nobody reads it has lost nothing; a reset costs an hour.
    for site in ("s0000", "s0001"):
        assert found[site]["import_kwh"] == pytest.approx(7 * 24, abs=3)
    assert found["s0000"]["export_kwh"] is None
    assert any("export: 3 sites give no such reading" in words for words in data["missing"])


@pytest.mark.stack
def test_what_wears_has_a_date(data: Any) -> None:
    (worse,) = data["worsening"]
    assert (worse["site"], worse["quantity"], worse["limit"]) == ("s0002", "soh_percent", 85)
    # 90 % less 0.05 points a day is 85 % after 100 days, of which 60 are over.
    assert worse["when"] == pytest.approx(END + 40 * DAY, abs=3 * DAY)
    assert worse["earliest"] <= worse["when"] <= worse["latest"]
    assert worse["per_month"] == pytest.approx(-0.05 * 30.4, rel=0.05)


@pytest.mark.stack
def test_changes_and_issues(data: Any) -> None:
    (change,) = data["changes"]
    assert (change["site"], change["before"], change["after"]) == ("s0000", "HEALTHY", "CRITICAL")
    assert {(i["site"], i["ended"]) for i in data["began"]} == {("s0000", False), ("s0002", True)}


@pytest.mark.stack
def test_costs_are_the_prices_and_nothing_else(data: Any) -> None:
    assert data["cost_total"] == 10 * 450 + 180
    (grid,) = data["energy_costs"]
    assert grid["amount"] == pytest.approx(data["energy"]["import_kwh"] * 0.25)
    assert "new battery: without installation" in data["assumptions"]
    assert "energy to the grid: no reading" in data["unpriced"]


@pytest.mark.stack
async def test_without_a_price_there_is_no_figure(served: ServedFleet) -> None:
    stored = InfluxQL(served.stored.connection.url, "fleet", {})  # type: ignore[union-attr]
    try:
        bare = await gather(served.latest, stored, BEGIN, None)
        partly = PriceList.model_validate({"currency": "EUR"})
        empty = await gather(served.latest, stored, BEGIN, partly)
    finally:
        await stored.close()
    for report in (bare, empty):
        assert report.cost_total is None
        assert not any(site.figures for site in report.attention)
    assert "FLEETSCOPE_PRICES" in bare.unpriced[0]
    assert any("no battery_per_kwh" in words for words in empty.unpriced)
    assert "EUR" not in as_html(bare).partition("<body>")[2]


@pytest.mark.stack
def test_every_form_has_the_same_figures_and_needs_nothing_else(
    served: ServedFleet, data: Any
) -> None:
    check(schemas.ReportReply, data)
    html = served.ask("/api/v1/report?days=7&format=html")[2].decode()
    for shown in ("4,680 EUR", "71.4", "CRITICAL", "State of health is 65"):
        assert shown in html
    for name in ODD_NAMES[:1]:
        assert name not in html
    assert "&lt;script&gt;window.hit" in html
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", html)


@pytest.mark.stack
def test_a_pdf_or_what_it_needs(served: ServedFleet) -> None:
    status, headers, body = served.ask("/api/v1/report?days=7&format=pdf")
    if find_library("pangoft2-1.0") is None:
        assert status >= 500
        assert b"apt-get install libpango-1.0-0" in body
        pytest.skip("Pango is not installed, and the answer says so: no PDF to look at")
    assert (status, headers["content-type"], body[:5]) == (200, "application/pdf", b"%PDF-")


@pytest.mark.stack
def test_the_command_writes_files(served: ServedFleet, tmp_path: Path) -> None:
    html = tmp_path / "r.html"
    done = CliRunner().invoke(app, ["report", "--week", "--html", str(html), "--url", served.url])
    assert done.exit_code == 1, done.output
    assert html.read_text("utf-8").startswith("<!doctype html>")
    done = CliRunner().invoke(app, ["report", "--json", "--url", served.url])
    assert json.loads(done.stdout)["sites"] == 3
    done = CliRunner().invoke(app, ["report", "--week", "--month", "--url", served.url])
    assert done.exit_code == 2


def test_the_command_says_why_it_cannot(tmp_path: Path) -> None:
    with ServedFleet(plan(1)).serving() as bare:
        done = CliRunner().invoke(app, ["report", "--url", bare.url])
    assert done.exit_code == 2
    assert "FLEETSCOPE_INFLUXDB_URL is not set" in done.stderr
    done = CliRunner().invoke(app, ["report", "--url", bare.url])
    assert done.exit_code == 2
    assert "does not answer" in done.stderr


def small() -> Report:
    """A report with one site in it, made without a store."""
    counts = {status.name: 0 for status in Status} | {"HEALTHY": 1}
    known: dict[str, Any] = {
        "made": START,
        "start": START - 7 * DAY,
        "end": START,
        "version": "0.1.0",
        "sites": 1,
        "counts": counts,
        "energy_by_day": {},
        "energy": {},
        "observed": Observed(1.0, True, "Observed all of the 7 d asked about."),
        "mean_score": 100.0,
    }
    rest = {field.name: field.type for field in fields(Report) if field.name not in known}
    return Report(**known, **{n: None if "None" in str(t) else () for n, t in rest.items()})


async def test_it_goes_everywhere_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters: list[bytes] = []
    receiver = Receiver()
    receiver.script = [500]
    monkeypatch.setenv("REPORT_TOKEN", "tok-s3cr3t")
    with mail_server(letters) as port, receiver.serving():
        way = ReportPlan.model_validate(
            {
                "schedule": "0 7 * * mon",
                "formats": ["html"],
                "directory": str(tmp_path / "out"),
                "mail": {
                    "host": "127.0.0.1",
                    "port": port,
                    "security": "none",
                    "sender": "fleetscope@example.com",
                    "to": ["operations@example.com"],
                },
                "post": {"url": f"{receiver.url}/in", "token": {"env": "REPORT_TOKEN"}},
            }
        )
        assert await deliver(small(), way, first_wait_seconds=0.01) == []
    (stored,) = (tmp_path / "out").iterdir()
    html = stored.read_bytes()
    letter = email.message_from_bytes(letters[0], policy=email.policy.default)
    (attached,) = letter.iter_attachments()
    assert attached.get_content().replace("\r\n", "\n").strip().encode() == html.strip()
    assert letter["subject"] == "Fleetscope report to 28 May 2026: 0 sites need attention"
    assert [request[0] for request in receiver.requests] == ["POST", "POST"]
    _, path, headers, body = receiver.requests[1]
    assert (path, headers["authorization"]) == ("/in", "Bearer tok-s3cr3t")
    assert html in body


async def test_what_cannot_be_sent_is_told(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.script = [500] * 9
    with receiver.serving():
        way = ReportPlan.model_validate(
            {
                "schedule": "0 7 * * mon",
                "formats": ["html"],
                "directory": str(tmp_path),
                "post": {"url": receiver.url},
            }
        )
        (told,) = await deliver(small(), way, first_wait_seconds=0.001)
    assert "answered 500" in told
    assert len(receiver.requests) == 4
    assert len(os.listdir(tmp_path)) == 1


def test_json_holds_everything() -> None:
    assert as_data(small()).keys() == {field.name for field in fields(Report)}


def test_sites_without_capacity_have_no_battery_price() -> None:
    from exporter.assess.costs import estimate

    fleet = Fleet.model_validate({"sites": [{"id": "a", "api_endpoint": "http://a.example.com"}]})
    served = ServedFleet(fleet)
    served.scrape(a={"soh_percent": 65.0})
    found = estimate(fleet.sites[0], served.latest.issues[0], PRICES)
    assert [figure.item for figure in found.figures] == ["visit"]
    assert found.unpriced == ("a new battery: no capacity_kwh in the fleet file",)
