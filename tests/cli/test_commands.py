"""The command line, as a person types it."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from exporter import __version__
from exporter.cli.commands import app
from exporter.cli.console import PIPE_COLUMNS, console
from exporter.config import logs


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("FLEETSCOPE_FLEET", "FLEETSCOPE_LISTEN", "FLEETSCOPE_URL"):
        monkeypatch.delenv(name, raising=False)
    # Logging belongs to the process, and this process goes on to other tests.
    monkeypatch.setattr(logs, "set_up", lambda level, style: None)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_version() -> None:
    result = invoke("version")
    assert (result.exit_code, result.output) == (0, f"{__version__}\n")


def test_version_with_what_it_runs_on() -> None:
    told = json.loads(invoke("version", "--json").output)
    assert told["version"] == __version__
    assert told["python"].startswith("3.")


def test_a_right_file() -> None:
    Path("fleet.yaml").write_text(
        "sites:\n- {id: a, api_endpoint: 'http://a.example.com'}\n", "utf-8"
    )
    result = invoke("check-config", "fleet.yaml")
    assert (result.exit_code, result.output) == (0, "fleet.yaml: right, 1 site\n")


def test_a_wrong_file_tells_every_mistake() -> None:
    Path("fleet.yaml").write_text(
        "sites:\n- {id: a, api_endpoint: 'ftp://a'}\n- {id: a, api_endpoint: 'http://b'}\n", "utf-8"
    )
    result = invoke("check-config", "fleet.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("fleetscope: fleet.yaml: 2 mistakes\n")


def test_a_file_is_checked_for_a_script() -> None:
    Path("fleet.yaml").write_text(
        "sites:\n- {id: a, api_endpoint: 'ftp://a'}\n- {id: a, api_endpoint: 'http://b'}\n", "utf-8"
    )
    result = invoke("check-config", "fleet.yaml", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["right"], told["sites"]) == (1, False, 0)
    assert [m["line"] for m in told["mistakes"]] == [2, 3]
    result = invoke("check-config", "fleet.yaml", "--csv")
    assert result.exit_code == 1
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["line", "2", "3"]
    Path("fleet.yaml").write_text(
        "sites:\n- {id: a, api_endpoint: 'http://a.example.com'}\n", "utf-8"
    )
    result = invoke("check-config", "fleet.yaml", "--json")
    assert (result.exit_code, json.loads(result.stdout)["right"]) == (0, True)
    assert invoke("check-config", "fleet.yaml", "--json", "--csv").exit_code == 2


@pytest.mark.parametrize("name", ["check-config", "run"])
def test_a_missing_file_is_told_in_words(name: str) -> None:
    arguments = [name, "none.yaml"] if name == "check-config" else [name, "--fleet", "none.yaml"]
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert "none.yaml" in result.stderr
    assert "cannot be read: No such file or directory" in result.stderr
    assert "Traceback" not in result.stderr


def test_run_without_a_fleet_file() -> None:
    result = invoke("run")
    assert result.exit_code == 1
    expected = "fleetscope: no fleet file is named; use --fleet FILE or FLEETSCOPE_FLEET\n"
    assert result.stderr == expected


@pytest.mark.parametrize("listen", ["9797", "host:", "::1:9797", "127.0.0.1:70000", ""])
def test_a_wrong_address_is_told(listen: str) -> None:
    result = invoke("run", "--fleet", "f.yaml", "--listen", listen)
    assert result.exit_code == 1
    assert "FLEETSCOPE_LISTEN: expected HOST:PORT" in result.stderr


class _Api(BaseHTTPRequestHandler):
    replies: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        body = self.replies.get(self.path.partition("?")[0])
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(body or b"nothing")

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def api() -> Iterator[tuple[str, dict[str, bytes]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _Api.replies = {}
    yield f"http://127.0.0.1:{server.server_address[1]}", _Api.replies
    server.shutdown()
    thread.join()
    server.server_close()


def _answers(attention: bool) -> dict[str, bytes]:
    issue = {
        "code": "battery_soh",
        "severity": "critical",
        "sentence": "State of health 65 % [red] is below 70 %",
        "since": 1_780_000_000.0,
    }
    site = {
        "id": "alpha",
        "name": "Alpha [bold]",
        "status": "CRITICAL" if attention else "HEALTHY",
        "score": 49.0 if attention else None,
        "components": {"battery": 50.0, "grid": 100.0, "solar": None, "connectivity": 100.0},
        "issues": [issue, issue] if attention else [],
        "missing": [] if attention else ["soh_percent"],
    }
    names = ("HEALTHY", "GOOD", "WARNING", "CRITICAL", "OFFLINE", "UNKNOWN")
    fleet = {
        "time": 1_780_000_000.0,
        "sites": 1,
        "counts": dict.fromkeys(names, 0) | {site["status"]: 1},
        "mean_score": 49.0 if attention else None,
        "median_score": 49.0 if attention else None,
        "attention": ["alpha"] if attention else [],
        "common_issues": [{"sentence": "1 site has it"}] if attention else [],
    }
    return {
        "/api/v1/fleet": json.dumps(fleet).encode(),
        "/api/v1/sites": json.dumps({"sites": [site]}).encode(),
    }


def test_status_names_who_needs_attention_and_why(api: tuple[str, dict[str, bytes]]) -> None:
    url, replies = api
    replies.update(_answers(True))
    result = CliRunner().invoke(app, ["status", "--url", url], env={"COLUMNS": "160"})
    assert result.exit_code == 1
    for text in ("CRITICAL", "Alpha [bold]", "State of health 65 % [red]", "(+1 more)", "1 site"):
        assert text in result.output


def test_status_of_a_fleet_in_order(api: tuple[str, dict[str, bytes]]) -> None:
    url, replies = api
    replies.update(_answers(False))
    result = CliRunner().invoke(app, ["status"], env={"FLEETSCOPE_URL": url, "COLUMNS": "160"})
    assert result.exit_code == 0
    assert "no reading of state of health" in result.output
    assert "no site has answered yet" in result.output


def test_status_as_json(api: tuple[str, dict[str, bytes]]) -> None:
    url, replies = api
    replies.update(_answers(True))
    result = invoke("status", "--json", "--url", url + "/")
    assert result.exit_code == 1
    assert json.loads(result.output)["sites"][0]["id"] == "alpha"


@pytest.mark.parametrize("what", ["closed", "404", "rubbish", "no URL", "other JSON"])
def test_status_that_cannot_be_asked(what: str, api: tuple[str, dict[str, bytes]]) -> None:
    url, replies = api
    if what == "rubbish":
        replies["/api/v1/fleet"] = b"<html>"
    if what == "other JSON":
        replies |= {"/api/v1/fleet": b"[]", "/api/v1/sites": b"[]"}
    addresses = {"closed": "http://127.0.0.1:1", "no URL": "nonsense"}
    result = invoke("status", "--url", addresses.get(what, url))
    assert result.exit_code == 2
    assert result.stderr.startswith("fleetscope: ")
    assert "Traceback" not in result.output + result.stderr


def test_a_pipe_is_as_wide_as_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    with contextlib.redirect_stdout(io.StringIO()):
        assert console().width == PIPE_COLUMNS
        monkeypatch.setenv("COLUMNS", "72")
        assert console().width == 72
