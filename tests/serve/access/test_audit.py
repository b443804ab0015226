"""The audit log: what it holds, what it never holds, and how little a flood adds to it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exporter.model.audit_file import AuditFile, AuditLogError
from exporter.serve.access.audit import ADDRESS_BURST, AccessAudit, contacts_header
from exporter.serve.access.failures import Failures
from exporter.serve.access.roles import EVERY_PROJECT, Caller, Role
from exporter.serve.access.server import GuardedServer
from tests.serve.access import tenants
from tests.serve.access.conftest import hashed
from tests.serve.access.test_guard import application, basic, client, configured, serving

ANNA = Caller("anna", (("south", Role.OPERATOR),), method="password")


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failures, "add", lambda *_: 0.0)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_events_of_a_real_server(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with tenants.serving(tmp_path, audit_log=path) as running:
        for _ in range(3):
            assert running.ask("south_operator", "get", "/metrics").status_code == 200
            assert running.ask("south_viewer", "get", "/metrics").status_code == 200
        running.ask("south_operator", "get", "/api/v1/ask?q=whom%20do%20I%20call")
        running.ask("south_operator", "post", "/-/reload")
        reloaded = running.ask("all_admin", "post", "/-/reload")
        assert reloaded.status_code == 202
        assert "fleetscope-contacts" not in reloaded.headers
        shown = running.ask("south_operator", "get", "/metrics")
        assert "fleetscope-contacts" not in shown.headers
    events = read(path)
    found = [(e["event"], e.get("name"), e.get("path")) for e in events]
    assert found == [
        ("sign_in", "south_operator", None),
        ("contacts_read", "south_operator", "/metrics"),
        ("sign_in", "south_viewer", None),
        ("contacts_read", "south_operator", "/api/v1/ask"),
        ("refused", "south_operator", "/-/reload"),
        ("sign_in", "all_admin", None),
        ("action", "all_admin", "/-/reload"),
    ]
    assert events[1]["sites"] == [f"southmark-{n}" for n in range(6)]
    assert events[-1]["status"] == 202
    assert events[-1]["action"] == "reload the fleet file"
    assert {event["address"] for event in events} == {"127.0.0.1"}
    assert "Person" not in path.read_text("utf-8")


async def test_no_secret_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    users = {"basic_auth_users": {"ops": hashed("right")}}
    settings = configured(tmp_path, users, audit_log=path, change_token="change-me-4711-4711")
    async with serving(settings) as (url, _), client(url) as http:
        await http.get("/who", headers=basic("ops", "s3cret-password"))
        await http.get("/who", headers=basic("s3cret-as-user", "x"))
        await http.get("/who", headers={"Authorization": "Bearer s3cret-token"})
        await http.get("/who", headers=basic("ops", "right"))
        await http.post("/-/reload", headers={"Authorization": "Bearer change-me-4711-4711"})
    text = path.read_text("utf-8")
    assert "s3cret" not in text
    assert "right" not in text
    assert "4711" not in text
    found = [(e["event"], e.get("method"), e.get("name")) for e in read(path)]
    assert found == [
        ("sign_in_failed", "password", "ops"),
        ("sign_in_failed", "password", None),
        ("sign_in_failed", "bearer", None),
        ("sign_in", "password", "ops"),
        ("sign_in", "token", "token"),
        ("action", "token", "token"),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_flood_of_failures_is_counted_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AccessAudit(AuditFile(path))
    for _ in range(10_000):
        audit.sign_in_failed("password", "", "192.0.2.1", 100.0)
    assert len(read(path)) == ADDRESS_BURST
    audit.sign_in_failed("password", "ops", "192.0.2.1", 120.0)
    assert read(path)[-1]["suppressed"] == 10_000 - ADDRESS_BURST
    # Nor do many addresses fill a disk.
    for n in range(20_000):
        audit.sign_in_failed("password", "", f"2001:db8::{n:x}", 120.0)
    assert len(read(path)) < 500
    assert len(audit._suppressed) <= 4096


def test_a_moved_file_is_followed(tmp_path: Path) -> None:
    path, moved = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    audit = AccessAudit(AuditFile(path))
    audit.changed(ANNA, "192.0.2.1", "order", "/api/v1/orders", 202)
    path.rename(moved)
    audit.changed(ANNA, "192.0.2.1", "order", "/api/v1/orders", 409)
    assert [e["status"] for e in read(moved)] == [202]
    assert [e["status"] for e in read(path)] == [409]
    path.unlink()
    audit.changed(ANNA, "192.0.2.1", "order", "/api/v1/orders", 500)
    assert [e["status"] for e in read(path)] == [500]


def test_what_stands_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text('{"event":"earlier"}\n', "utf-8")
    AccessAudit(AuditFile(path)).configured("fleet file", sites=3)
    assert [e["event"] for e in read(path)] == ["earlier", "configured"]


def test_texts_of_callers_cannot_make_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AccessAudit(AuditFile(path))
    audit.refused(ANNA, "192.0.2.1", "read", '/x\n{"event":"made-up"}' + "y" * 1000, 0.0)
    assert [e["event"] for e in read(path)] == ["refused"]
    assert len(path.read_text("utf-8")) < 500


def test_a_place_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(AuditLogError, match="No such file or directory"):
        AuditFile(tmp_path / "absent" / "audit.jsonl")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditLogError):
        AuditFile(link)
    settings = configured(tmp_path, None, audit_log=tmp_path)
    with pytest.raises(SystemExit, match="FLEETSCOPE_AUDIT_LOG"):
        GuardedServer(application(), settings)


def test_without_a_file_changes_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    audit = AccessAudit(AuditFile(None))
    audit.signed_in(Caller("x", ((EVERY_PROJECT, Role.ADMIN),), method="oidc"), "", 0.0)
    assert not caplog.records
    audit.changed(ANNA, "192.0.2.1", "order", "/api/v1/orders", 202)
    (record,) = caplog.records
    assert json.loads(record.getMessage().removeprefix("audit: "))["name"] == "anna"


def test_processes_append_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    script = (
        "import sys; from pathlib import Path; from exporter.model.audit_file import AuditFile\n"
        "file = AuditFile(Path(sys.argv[1]))\n"
        "for n in range(500): file.record('order', name=sys.argv[2], number=n, words='x' * 2000)"
    )
    command = (sys.executable, "-c", script, str(path))
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b", "c")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    events = read(path)
    for name in ("a", "b", "c"):
        assert [e["number"] for e in events if e["name"] == name] == list(range(500))


def test_the_header_names_some_sites_and_counts_all() -> None:
    assert contacts_header([]) == {}
    value = contacts_header([f"s{n}" for n in range(100)])["fleetscope-contacts"]
    assert value.startswith("100 s0,s1,")
    assert value.count(",") == 19
