"""Side files: every mistake in words, and no secret told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from exporter.assess.costs import load_prices
from exporter.config.settings import Settings
from exporter.config.side_file import Secret, SideFileError, load
from exporter.deliver.report.report_file import ReportPlan
from exporter.deliver.schedule import Deliveries, load_side_files
from tests.serve.api.served import ServedFleet, plan

MAIL = "mail: {host: smtp.example.com, sender: a@example.com, to: [b@example.com]%s}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schedule: '0 7 * * 1'\ndirectory: out", "name the days of the week"),
        ("schedule: often\ndirectory: out", "expected five fields"),
        ("schedule: 0 7 * * mon", "at least one of mail, post and directory"),
        ("schedule: 0 7 * * mon\ndirectory: out\ntimezone: Mars", "IANA time zone"),
        ("schedule: 0 7 * * mon\ndirectory: out\ncolour: red", "colour: unknown key"),
        ("schedule: 0 7 * * mon\npost: {url: 'https://u:p4ss@example.com'}", "without user name"),
        (f"schedule: 0 7 * * mon\n{MAIL % ', username: x'}", "belong together"),
        (
            f"schedule: 0 7 * * mon\n{MAIL % ', security: none, username: x, password: {env: P}'}",
            "starttls or tls only",
        ),
        (f"schedule: 0 7 * * mon\n{MAIL % ', password: p4ss'}", "mail.password"),
        ("schedule: 0 7 * * mon\npost: {url: 'http://169.254.169.254'}", "link-local, metadata"),
        (
            "schedule: 0 7 * * mon\npost: {url: 'http://example.com', token: {env: P}}",
            "a token needs https",
        ),
        ("schedule: [", "line 1: not YAML"),
        ("", "the file"),
    ],
)
def test_a_wrong_report_file(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "report.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(SideFileError) as told:
        load(path, ReportPlan)
    assert words in str(told.value)
    assert "p4ss" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("currency: euro", "currency"),
        ("currency: EUR\nservice_call: {price: 180}", "assumption"),
        ("currency: EUR\nservice_call: {price: -1, assumption: x}", "service_call.price"),
        ("currency: EUR\nservice: {price: 1, assumption: x}", "service: unknown key"),
    ],
)
def test_a_wrong_price_list(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(SideFileError, match=r"prices\.yaml") as told:
        load_prices(path)
    assert words in str(told.value)


def test_secrets_come_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "one")
    assert Secret(env="A_TOKEN").read() == "one"
    (tmp_path / "token").write_text("two\n", "utf-8")
    assert Secret(file=tmp_path / "token").read() == "two"
    with pytest.raises(SideFileError, match="NO_TOKEN is not set"):
        Secret(env="NO_TOKEN").read()
    with pytest.raises(SideFileError, match="cannot be read"):
        Secret(file=tmp_path / "none").read()


async def test_the_schedule_holds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "report.yaml"
    path.write_text("schedule: 0 7 * * mon\ntimezone: Europe/Berlin\ndirectory: out", "utf-8")
    settings = Settings(report=path, influxdb_url="http://127.0.0.1:1", _env_file=None)  # type: ignore[call-arg]
    served = ServedFleet(plan(1))

    async def send() -> list[str]:
        return []

    deliveries = Deliveries(load_side_files(settings), lambda: served.latest, send)
    with caplog.at_level(logging.INFO):
        deliveries.start()
    await deliveries.stop()
    assert "the next report is made" in caplog.text
    assert "T07:00:00+0" in caplog.text


def test_a_report_needs_a_store(tmp_path: Path) -> None:
    path = tmp_path / "report.yaml"
    path.write_text("schedule: 0 7 * * mon\ndirectory: out", "utf-8")
    settings = Settings(report=path, _env_file=None)  # type: ignore[call-arg]
    with pytest.raises(SystemExit, match="needs FLEETSCOPE_INFLUXDB_URL"):
        load_side_files(settings)
