"""Orders while everything around them fails: InfluxDB hangs, the queue's disk is full, the clock
steps. What is left at the device is read there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from exporter.control.journal import JournalReader
from simulator.controlled import ControlledSite
from tests.faults.disks import fill_up, small_disk
from tests.service_process import ServiceProcess, serving, until
from tests.stack.dispatch_service import TOKEN, ask, device, write_fleet

pytestmark = pytest.mark.stack
STEPPING = Path(__file__).parents[1] / "faults" / "stepping"
DAY_SECONDS = 86_400


def ordered(service: ServiceProcess) -> str:
    """Charge the site for an hour; the id of the order, which is effective."""
    body = {"targets": ["alpha"], "action": "charge", "kw": 1, "reason": "peak", "seconds": 3600}

    def accepted() -> str:
        status, answer = ask(service, "POST", "dispatch", {**body, "dry_run": False})
        (made,) = answer["orders"] if status == 200 else ({"state": status},)
        return str(made["id"]) if made["state"] == "accepted" else ""

    order = str(until(accepted))
    until(lambda: state(service, order) == "effective")
    return order


def state(service: ServiceProcess, order: str) -> str:
    return str(ask(service, "GET", f"orders/{order}")[1]["order"]["state"])


def step_to(offset: Path, seconds: int) -> None:
    """Set the clock of the service, in one step."""
    new = offset.with_suffix(".new")
    new.write_text(f"{seconds:+d}\n", "ascii")
    new.replace(offset)


def test_orders_hold_and_end_while_influxdb_hangs_a_disk_is_full_and_the_clock_steps(
    tmp_path: Path,
) -> None:
    offset = tmp_path / "offset"
    step_to(offset, 0)
    other = {"PYTHONPATH": f"{STEPPING}:{os.getcwd()}", "CLOCK_OFFSET_FILE": str(offset)}
    with (
        socket.create_server(("127.0.0.1", 0)) as hanging,
        small_disk(tmp_path / "disk", "1m") as disk,
        device(ControlledSite(reversion_seconds=None)) as alpha,
    ):
        write_fleet(tmp_path / "fleet.yaml", {"alpha": alpha.port})
        with serving(
            tmp_path / "fleet.yaml",
            dispatch="on",
            dispatch_journal=str(tmp_path / "orders.sqlite"),
            change_token=TOKEN,
            influxdb_url=f"http://127.0.0.1:{hanging.getsockname()[1]}",
            queue_dir=str(disk),
            also=other,
        ) as service:
            until(lambda: service.get("/readyz")[0] == 200)
            first = ordered(service)
            fill_up(disk / "ballast")
            until(lambda: service.metric("spool_durable") == 0)
            # A step back prolongs nothing and ends nothing: the set-point is renewed.
            step_to(offset, -DAY_SECONDS)
            writes = len(alpha.site.writes)
            until(lambda: len(alpha.site.writes) > writes)
            assert state(service, first) == "effective"
            # By a clock that runs ahead its time is over.
            step_to(offset, DAY_SECONDS)
            until(lambda: state(service, first) == "released")
            assert not alpha.site.forced
            second = ordered(service)
            release = {"targets": "all", "action": "release", "reason": "enough"}
            until(lambda: ask(service, "POST", "dispatch", release)[0] == 200)
            until(lambda: state(service, second) == "superseded" and not alpha.site.forced)
            until(lambda: ask(service, "GET", "orders?open=true")[1]["orders"] == [])
    assert not alpha.site.forced
    reader = JournalReader(tmp_path / "orders.sqlite")
    assert reader.broken_at() is None
    assert not reader.orders(live=True)
