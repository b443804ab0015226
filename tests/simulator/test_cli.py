"""The command line, the fleet file and the ground truth."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.site_secrets import parse_site_secrets
from simulator import Scenario
from simulator.cli import main
from simulator.faults import ISSUE_CODES, Setting, expected_issues
from simulator.fleetfile import truth

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_fleet_file_describes_every_site(tmp_path: Path, demo: Scenario) -> None:
    file = tmp_path / "fleet.yaml"
    url = "http://127.0.0.1:8088/"
    assert main(["fleet", "--scenario", "demo", "--base-url", url, "--output", str(file)]) == 0
    data = yaml.safe_load(file.read_text())
    assert list(data) == ["sites", "thresholds"]
    listed = [*demo.sites, *demo.companions]
    assert [s["id"] for s in data["sites"]] == [s.id for s in listed]
    kinds = {s.get("kind", "ess") for s in data["sites"]}
    assert kinds == {"ess", "bess", "pv", "meter", "datacentre"}
    alpha, kappa = data["sites"][0], data["sites"][9]
    assert alpha["api_endpoint"] == "http://127.0.0.1:8088/site_alpha"
    assert alpha["contact"]["email"] == "alpha@example.com"
    assert (kappa["grid_nominal_hz"], kappa["grid_nominal_v"]) == (60, 120.0)
    assert [s["id"] for s in data["sites"] if s.get("off_grid")] == ["site_eta"]
    assert data["thresholds"]["cell_spread_warning"] == 0.10


def test_tokens_are_made_once(tmp_path: Path) -> None:
    fleet, secrets = tmp_path / "fleet.yaml", tmp_path / "site-secrets.yaml"
    command = ["fleet", "--scenario", "demo", "--base-url", "http://127.0.0.1:8088"]
    command += ["--output", str(fleet), "--secrets", str(secrets)]
    command += ["--push-url", "http://127.0.0.1:9797"]
    assert main(command) == 0
    made = secrets.read_text()
    assert secrets.stat().st_mode & 0o777 == 0o600
    known = parse_site_secrets(made, "site-secrets.yaml")
    assert {name: secret.endpoint for name, secret in known.items()} == {
        "site_iota": "http://127.0.0.1:8088/v2",
        "dc_theta": "http://127.0.0.1:9797",
    }
    drivers = {s["id"]: s["driver"] for s in yaml.safe_load(fleet.read_text())["sites"]}
    assert (drivers["site_iota"], drivers["dc_theta"]) == ("vrm", "push")
    assert main(command) == 0
    assert secrets.read_text() == made


def test_fleet_of_any_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "--scenario", "scale", "--sites", "30", "--base-url", "http://h"]) == 0
    assert len(yaml.safe_load(capsys.readouterr().out)["sites"]) == 30


def test_truth_names_each_fault_of_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["truth", "--scenario", "demo"]) == 0
    sites = json.loads(capsys.readouterr().out)["sites"]
    must = {site_id: site["must_show"] for site_id, site in sites.items() if site["must_show"]}
    assert must == {
        "site_alpha": ["battery_soh"],
        "site_beta": ["grid_frequency"],
        "site_gamma": ["cell_spread"],
        "site_delta": ["battery_temperature"],
    }
    assert sites["site_epsilon"]["must_show_one_of"] == [["scrapes_failing", "site_offline"]]
    assert sites["site_mu"]["must_not_show"] == list(ISSUE_CODES)
    assert sites["site_alpha"]["faults"][0]["start_seconds"] == 0.0


def test_truth_sorts_every_code_once(demo: Scenario) -> None:
    for site in truth(demo)["sites"].values():
        groups = {code for group in site["must_show_one_of"] for code in group}
        allowed = set(site["must_show"]) | set(site["may_show"]) | groups
        assert allowed | set(site["must_not_show"]) == set(ISSUE_CODES)
        assert not allowed & set(site["must_not_show"])


@pytest.mark.parametrize(
    ("fault", "params", "must"),
    [
        ("soh", {"value": 84.0}, {"battery_soh"}),
        ("soh", {"value": 86.0}, set()),
        ("frequency", {"value": 49.4}, {"grid_frequency"}),
        ("frequency", {"value": 49.8}, {"grid_frequency_deviation"}),
        ("frequency", {"offset": 0.3}, {"grid_frequency_deviation"}),
        ("frequency", {"value": 50.05}, set()),
        ("cell_spread", {"volts": 0.11}, {"cell_spread"}),
        ("cell_spread", {"volts": 0.09}, set()),
        ("temperature", {"celsius": 46.0}, {"battery_temperature"}),
        ("temperature", {"celsius": 44.0}, set()),
        ("low_soc", {"value": 5.0}, {"battery_soc"}),
        ("voltage", {"value": 200.0}, {"grid_voltage"}),
        ("voltage", {"value": 225.0}, set()),
        ("alarm", {"level": 1}, {"device_warning"}),
        ("alarm", {"level": 2}, {"device_alarm"}),
        ("pv_dead", {}, {"pv_underperforming"}),
        ("pv_shaded", {"factor": 0.65}, {"pv_low"}),
        ("battery_silent", {}, {"battery_silent"}),
        ("rename_battery", {}, set()),
        ("implausible", {}, {"implausible_reading"}),
    ],
)
def test_expected_issues_follow_the_default_thresholds(
    fault: Any, params: dict[str, Any], must: set[str]
) -> None:
    expected = expected_issues(fault, params)
    assert expected.must_show == must
    assert expected.must_show | expected.may_show | expected.must_show_one_of <= set(ISSUE_CODES)


@pytest.mark.parametrize(
    ("value", "must"),
    [(49.3, {"grid_frequency"}), (51.0, {"grid_frequency"}), (49.85, set()), (50.2, set())],
)
def test_nothing_is_expected_that_the_step_of_a_source_hides(value: float, must: set[str]) -> None:
    setting = Setting(stepped_frequency=True)
    assert expected_issues("frequency", {"value": value}, setting).must_show == must


def test_sixty_hertz_is_judged_by_its_own_nominal() -> None:
    fine = expected_issues("frequency", {"value": 60.0}, Setting(nominal_hz=60.0))
    assert fine.must_show == fine.may_show == frozenset()
    assert expected_issues("frequency", {"value": 60.0}).must_show == {"grid_frequency"}


@pytest.mark.parametrize(
    ("fault", "params", "setting"),
    [
        ("grid_lost", {}, Setting(off_grid=True)),
        ("voltage", {"value": 180.0}, Setting(off_grid=True)),
        ("soh", {"value": 60.0}, Setting(battery_monitor=True)),
        ("cell_spread", {"volts": 0.3}, Setting(battery_monitor=True)),
        ("pv_shaded", {"factor": 0.3}, Setting(neighbours=2)),
    ],
)
def test_what_cannot_be_seen_is_not_expected(
    fault: Any, params: dict[str, Any], setting: Setting
) -> None:
    assert expected_issues(fault, params).must_show
    assert not expected_issues(fault, params, setting).must_show


@pytest.mark.parametrize("text", ["[", "name: x", "just text"])
def test_bad_scenario_is_told_and_fails(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    assert main(["truth", "--scenario", str(file)]) == 2
    assert "bad.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "given", "message"),
    [
        ("--listen", "0.0.0.0:0", "not a loopback address"),
        ("--listen", "127.0.0.1", "invalid"),
        ("--speed", "0", "above 0"),
        ("--step", "-5", "above 0"),
        ("--start", "yesterday", "invalid"),
    ],
)
def test_impossible_options_are_refused(
    option: str, given: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--scenario", "demo", f"{option}={given}"])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["serve", "--scenario", "demo", "--listen", listen]) == 2
    assert "simulator:" in capsys.readouterr().err


async def test_serve_prints_its_port_answers_and_stops_on_sigterm() -> None:
    command = ["-m", "simulator", "serve", "--scenario", "demo", "--sites", "2"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.startswith("simulator: 2 sites of demo on http://127.0.0.1:")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(line.rsplit(":", 1)[1]))
    writer.write(b"GET /site_alpha/services HTTP/1.0\r\n\r\n")
    assert json.loads((await reader.read()).partition(b"\r\n\r\n")[2])["count"] == 6
    writer.close()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert await process.stdout.read() == b""
