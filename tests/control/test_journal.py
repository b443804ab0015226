"""The journal of orders: rows stay, a removed one shows, a full disk refuses, one writer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.control.journal import (
    Journal,
    JournalError,
    JournalReader,
    KeyReusedError,
    Remembered,
)
from exporter.model.orders import (
    LIMIT_CODES,
    NEXT,
    Order,
    OrderAction,
    OrderEvent,
    OrderSource,
    OrderState,
    OrderStatus,
    drafted,
)

S = OrderState


def order(number: int, site: str = "alpha", dispatch: str = "d-1") -> Order:
    return Order(
        id=f"o-{number}",
        dispatch=dispatch,
        sequence=number,
        site=site,
        action=OrderAction.CHARGE,
        power_w=1000.0,
        start=1000.0,
        expires=1900.0,
        ramp_w_per_s=None,
        source=OrderSource.MANUAL,
        issuer="ops",
        role="operator",
        address="192.0.2.1",
        reason="a test",
        dry_run=False,
    )


def rows_of(made: Order, *states: OrderState) -> list[tuple[Order, OrderEvent, OrderStatus]]:
    status = drafted(made, 1000.0)
    rows = [(made, OrderEvent(made.id, S.DRAFTED, 1000.0, "ops"), status)]
    for second, state in enumerate(states, 1001):
        event = OrderEvent(made.id, state, float(second), "dispatcher", {"allowed_w": 900.0})
        status = status.after(event)
        rows.append((made, event, status))
    return rows


def test_orders_are_found_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    journal = Journal(path)
    journal.add(rows_of(order(1), S.ACCEPTED, S.SENT))
    journal.add(rows_of(order(2, "beta"), S.ACCEPTED, S.SENT, S.ACKNOWLEDGED, S.EXPIRED))
    journal.add(rows_of(order(3), S.REFUSED))
    journal.close()
    again = Journal(path)
    first, second = again.open_orders()
    assert (first.order, first.state, first.allowed_w) == (order(1), S.SENT, 900.0)
    assert first.was_sent
    assert not first.owes_release
    assert (second.end, second.owes_release) == (S.EXPIRED, True)
    assert again.next_sequence() == 4
    again.close()


def test_readers_see_orders_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    journal = Journal(path)
    for number in range(1, 6):
        site = "alpha" if number % 2 else "beta"
        journal.add(rows_of(order(number, site, f"d-{number}"), S.ACCEPTED))
    reader = JournalReader(path)
    assert [s.order.sequence for s in reader.orders(limit=2)] == [5, 4]
    assert [s.order.sequence for s in reader.orders(before=4, sites=["beta"])] == [2]
    assert [s.order.id for s in reader.orders(dispatch="d-3")] == ["o-3"]
    page = reader.log(sites=["alpha"], limit=3)
    assert [(row["order"], row["state"]) for row in page] == [
        *(("o-5", "accepted"), ("o-5", "drafted"), ("o-3", "accepted"))
    ]
    assert [r["number"] for r in reader.log(after=8, limit=10)] == [9, 10]
    assert reader.order("o-9") is None
    assert [event.state for event in reader.history("o-1")] == [S.DRAFTED, S.ACCEPTED]
    journal.close()


def test_a_row_cannot_be_changed_or_removed(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    journal = Journal(path)
    journal.add(rows_of(order(1), S.ACCEPTED, S.SENT))
    journal.close()
    rows = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="stay"):
        rows.execute("DELETE FROM events WHERE number = 2")
    with pytest.raises(sqlite3.IntegrityError, match="stay as they are"):
        rows.execute("UPDATE events SET actor = 'nobody'")
    rows.close()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM events WHERE number = 2",
        "UPDATE events SET actor = 'nobody' WHERE number = 2",
        "UPDATE events SET evidence = '{}' WHERE number = 2",
        "UPDATE events SET number = 9 WHERE number = 2",
    ],
)
def test_who_goes_around_the_triggers_is_seen(change: str, tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    journal = Journal(path)
    journal.add(rows_of(order(1), S.ACCEPTED, S.SENT, S.ACKNOWLEDGED))
    head = journal.head
    journal.close()
    assert JournalReader(path).broken_at() is None
    rows = sqlite3.connect(path)
    rows.executescript("DROP TRIGGER events_stay; DROP TRIGGER events_are_fixed;")
    rows.execute(change)
    rows.commit()
    rows.close()
    reader = JournalReader(path)
    assert reader.broken_at() is not None
    assert head[0] == 4


def test_a_request_is_answered_the_same_way_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "orders.sqlite")
    journal.add(rows_of(order(1)), Remembered("ops", "k1", "digest", {"dispatch": "d-1"}))
    assert journal.remembered("ops", "k1", "digest") == {"dispatch": "d-1"}
    assert journal.remembered("other", "k1", "digest") is None
    with pytest.raises(KeyReusedError):
        journal.remembered("ops", "k1", "another")
    journal.close()


def test_one_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    journal = Journal(path)
    with pytest.raises(JournalError, match="another process has it open"):
        Journal(path)
    journal.close()
    Journal(path).close()


def test_a_full_disk_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    journal = Journal(path)
    journal.add(rows_of(order(1), S.ACCEPTED))
    (pages,) = journal._rows.execute("PRAGMA page_count").fetchone()
    journal._rows.execute(f"PRAGMA max_page_count = {pages}")
    number = 2
    with contextlib.suppress(JournalError):
        for number in range(2, 200):
            journal.add(rows_of(order(number), S.ACCEPTED))
    with pytest.raises(JournalError, match="full"):
        journal.add(rows_of(order(number), S.ACCEPTED))
    assert len(JournalReader(path).orders(limit=1000)) == number - 1
    journal._rows.execute("PRAGMA max_page_count = 100000")
    journal.add(rows_of(order(200), S.ACCEPTED))
    assert JournalReader(path).broken_at() is None
    journal.close()


WRITER = """
import sys
from pathlib import Path
from exporter.control.journal import Journal
from tests.control.test_journal import order, rows_of, S
journal = Journal(Path(sys.argv[1]))
for number in range(1, 100000):
    journal.add(rows_of(order(number), S.ACCEPTED, S.SENT))
    print(number, flush=True)
"""


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 20:
                break
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
    last = int(rest[-1]) if rest else 20
    reader = JournalReader(path)
    assert reader.broken_at() is None
    found = reader.orders(limit=100_000)
    assert len(found) in (last, last + 1)
    assert {status.state for status in found} == {S.SENT}


def test_every_state_has_followers_that_exist() -> None:
    assert set(NEXT) == set(S)
    assert all(following <= set(S) for following in NEXT.values())
    ends = {S.REFUSED, S.DRY, S.SUPERSEDED, S.RELEASED}
    assert {state for state, following in NEXT.items() if not following} == ends


def test_each_code_of_a_limit_is_listed_and_explained() -> None:
    """What is not listed would not start at 0 in ``/metrics``, and a rate would miss it."""
    root = Path(__file__).parents[2]
    sources = [*root.glob("exporter/control/*.py"), root / "scoring/orders/envelope.py"]
    used = re.compile(r'(?:Limit|_Finding)\("(\w+)"|code(?:, \w+)* = "(\w+)"')
    found = {a or b for path in sources for a, b in used.findall(path.read_text("utf-8"))}
    assert found | {"export_limit"} == set(LIMIT_CODES)
    table = (root / "docs/dispatch.md").read_text("utf-8").split("## What lowers or refuses")[1]
    rows = [row for row in table.split("\n## ")[0].splitlines() if row.startswith("| `")]
    explained = {code for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert explained == set(LIMIT_CODES)


def test_a_state_cannot_be_skipped() -> None:
    status = drafted(order(1), 1000.0)
    with pytest.raises(ValueError, match="effective cannot follow drafted"):
        status.after(OrderEvent("o-1", S.EFFECTIVE, 1001.0, "dispatcher"))


def test_the_chain_can_be_checked_by_others(tmp_path: Path) -> None:
    """As docs/dispatch.md says: SHA-256 over the hash before and the row as JSON."""
    import hashlib

    path = tmp_path / "orders.sqlite"
    journal = Journal(path)
    journal.add(rows_of(order(1), S.ACCEPTED))
    journal.close()
    chain = "0" * 64
    for *row, written in sqlite3.connect(path).execute("SELECT * FROM events ORDER BY number"):
        text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        chain = hashlib.sha256((chain + text).encode()).hexdigest()
        assert chain == written
