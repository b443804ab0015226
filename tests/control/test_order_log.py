"""Each row of the journal is a point for InfluxDB, and what decides is in the audit log."""

from __future__ import annotations

import json
import re
from pathlib import Path

from exporter.control.order_log import OrderLog
from exporter.model.audit_file import AuditFile
from exporter.model.orders import OrderEvent, OrderState
from tests.control.test_journal import order, rows_of
from tests.grafana.test_generated import ORDER_FIELDS

S = OrderState


def stamp() -> float:
    return 1_780_000_000.0


def test_rows_become_points_and_events(tmp_path: Path) -> None:
    lines: list[str] = []
    path = tmp_path / "audit.jsonl"
    log = OrderLog(AuditFile(path), lambda _, found: lines.extend(found), stamp)
    made = order(1)
    status = rows_of(made, S.ACCEPTED, S.SENT, S.ACKNOWLEDGED)[-1][2]
    evidence = {"allowed_w": 900.0, "measured_w": 300.0, "written_w": 950.0, "reason": "too little"}
    event = OrderEvent(made.id, S.INEFFECTIVE, 1005.0, "dispatcher", evidence)
    log.took_effect(status.after(event), event)
    (line,) = lines
    assert line.startswith("order,site=alpha,source=manual,state=ineffective ")
    assert line.endswith(" 1780000000000")
    names = set(re.findall(r"[ ,](\w+)=", line)) - {"site", "source", "state"}
    assert names == set(ORDER_FIELDS)
    assert 'reason="too little"' in line
    (entry,) = [json.loads(text) for text in path.read_text().splitlines()]
    assert entry["event"] == "order"
    assert (entry["name"], entry["address"], entry["state"]) == ("ops", "192.0.2.1", "ineffective")


def test_steps_between_are_points_and_no_events(tmp_path: Path) -> None:
    lines: list[str] = []
    path = tmp_path / "audit.jsonl"
    log = OrderLog(AuditFile(path), lambda _, found: lines.extend(found), stamp)
    for _, event, status in rows_of(order(1), S.ACCEPTED, S.SENT, S.ACKNOWLEDGED):
        log.took_effect(status, event)
    assert len(lines) == 4
    states = [json.loads(text)["state"] for text in path.read_text().splitlines()]
    assert states == ["accepted"]
