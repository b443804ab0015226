"""Orders through the whole service: API, journal, dispatcher, a device on the wire, kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.control.journal import JournalReader
from exporter.model.orders import OrderState
from simulator.controlled import ControlledSite
from tests.service_process import ServiceProcess, serving, until
from tests.stack.dispatch_service import TOKEN, Device, ask, device, write_fleet

pytestmark = pytest.mark.stack
WRITE = 16


@pytest.fixture
def alpha() -> Iterator[Device]:
    # It never lapses by itself: only a release ends what is in force.
    with device(ControlledSite(reversion_seconds=None)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, alpha: Device) -> Path:
    write_fleet(tmp_path / "fleet.yaml", {"alpha": alpha.port})
    return tmp_path


def service_of(folder: Path, mode: str, **more: str):  # type: ignore[no-untyped-def]
    return serving(
        folder / "fleet.yaml",
        dispatch=mode,
        dispatch_journal=str(folder / "orders.sqlite"),
        change_token=TOKEN,
        audit_log=str(folder / "audit.jsonl"),
        **more,
    )


def ready(service: ServiceProcess) -> None:
    until(lambda: service.get("/readyz")[0] == 200)


def charge(service: ServiceProcess, kw: float = 2.0, **more: object) -> tuple[int, dict]:  # type: ignore[type-arg]
    body = {"targets": ["alpha"], "action": "charge", "kw": kw, "reason": "peak"} | more
    headers = {"Idempotency_Key": str(body.pop("key"))} if "key" in body else {}
    return ask(service, "POST", "dispatch", body, **headers)


def state(service: ServiceProcess, order: str) -> str:
    status, found = ask(service, "GET", f"orders/{order}")
    assert status == 200
    return str(found["order"]["state"])


def test_an_order_from_the_api_to_the_device_and_back(folder: Path, alpha: Device) -> None:
    with service_of(folder, "on") as service:
        ready(service)
        until(lambda: charge(service, dry_run=True)[1]["orders"][0]["state"] == "dry")
        status, answer = charge(service, dry_run=False, key="once")
        assert status == 200
        (made,) = answer["orders"]
        assert (made["state"], made["allowed_w"]) == ("accepted", 2000)
        assert "current limits of the battery" in made["unchecked"]
        assert charge(service, dry_run=False, key="once")[1] == answer
        assert charge(service, kw=3.0, dry_run=False, key="once")[0] == 409
        until(lambda: state(service, made["id"]) == "effective")
        assert abs(alpha.site.battery_w - 2000) <= 100
        path = f"dispatch/{answer['dispatch']}"
        assert ask(service, "GET", path)[1]["counts"] == {"effective": 1}
        # What is published is up to two seconds old.
        until(lambda: abs((ask(service, "GET", path)[1]["measured_w"] or 0) - 2000) <= 100)
        label = 'order_power_watts{kind="allowed",site="alpha"}'
        until(lambda: service.metric(label) == 2000)
        until(lambda: service.metric('orders_total{state="effective"}') == 1)
        status, released = ask(
            service, "POST", "dispatch", {"targets": "all", "action": "release", "reason": "enough"}
        )
        assert status == 200
        until(lambda: state(service, released["orders"][0]["id"]) == "released")
        assert not alpha.site.forced
        rows = ask(service, "GET", "dispatch/logs?site=alpha&limit=3")[1]
        assert rows["rows"][0]["state"] == "released"
        more = ask(service, "GET", f"dispatch/logs?before={rows['next']}")[1]["rows"]
        assert more[0]["number"] == rows["next"] - 1
        check_command_line(service, alpha)
        until(lambda: service.metric(label) is None)
        listed = ask(service, "GET", "orders?open=true")[1]
        assert listed["orders"] == []
    audited = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    of_orders = [e for e in audited if e["event"] == "order"]
    assert {"accepted", "superseded", "released", "dry"} <= {e["state"] for e in of_orders}
    assert all(e["address"] == "127.0.0.1" for e in of_orders)


def test_a_dry_run_writes_not_one_byte(folder: Path, alpha: Device) -> None:
    with service_of(folder, "dry") as service:
        ready(service)
        until(lambda: charge(service, dry_run=False)[1]["orders"][0]["state"] == "dry")
        body = {"targets": "all", "action": "release", "reason": "r"}
        assert ask(service, "POST", "dispatch", body)[1]["orders"] == []
        reads = len(alpha.functions)
        until(lambda: len(alpha.functions) > reads + 5)
        service.stop()
    assert WRITE not in alpha.functions
    assert alpha.site.writes == []


def test_kill_9_leaves_no_battery_forced(folder: Path, alpha: Device) -> None:
    with service_of(folder, "on") as service:
        ready(service)
        until(lambda: charge(service, dry_run=True)[1]["orders"][0]["state"] == "dry")
        answer = charge(service, dry_run=False, seconds=10)[1]
        order = answer["orders"][0]["id"]
        until(lambda: alpha.site.forced)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait(60)
    assert alpha.site.forced
    # The order is overdue when this one is up, or a little later.
    with service_of(folder, "on") as again:
        until(lambda: not alpha.site.forced)
        until(lambda: state(again, order) == "released")
        again.stop()
    reader = JournalReader(folder / "orders.sqlite")
    assert reader.broken_at() is None
    end = reader.order(order)
    assert end is not None
    assert (end.end, end.state) == (OrderState.EXPIRED, OrderState.RELEASED)


def command(service: ServiceProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"FLEETSCOPE_URL": service.url, "FLEETSCOPE_API_TOKEN": TOKEN}
    return subprocess.run(
        [sys.executable, "-m", "exporter", *arguments],
        env={**os.environ, "PYTHONPATH": os.getcwd(), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def check_command_line(service: ServiceProcess, alpha: Device) -> None:
    """Order, look, explain and release by commands."""
    kept = ("dispatch", "charge", "--site", "alpha", "--kw", "9", "--reason", "peak", "--for", "5m")
    dry = command(service, *kept)
    assert (dry.returncode, alpha.site.forced) == (0, False)
    assert "dry run, nothing is written: 5.00 kW allowed of 9.00 kW" in dry.stdout
    assert "the site is rated for 5.0 kW when charging" in " ".join(dry.stdout.split())
    sent = command(service, *kept, "--carry-out", "--json")
    order = json.loads(sent.stdout)["orders"][0]["id"]
    until(lambda: alpha.site.forced)
    listed = command(service, "orders")
    assert order in listed.stdout
    until(lambda: state(service, order) in ("acknowledged", "effective"))
    explained = command(service, "explain", order)
    assert explained.returncode == 0, explained.stderr
    assert "read back" in explained.stdout
    released = command(service, "release", "--all")
    assert released.stdout == "1 of 1 sites are released\n", released.stderr
    assert released.returncode == 0
    assert not alpha.site.forced
    refused = command(service, "release")
    assert refused.returncode == 2


def test_with_half_of_the_fleet_and_influxdb_gone_the_rest_is_ordered_and_released(
    tmp_path: Path, alpha: Device
) -> None:
    gone = ControlledSite(portal="c0619ab00002", reversion_seconds=None)
    with device(gone) as beta:
        ports = {"alpha": alpha.port, "beta": beta.port}
        write_fleet(tmp_path / "fleet.yaml", ports)
        # Nobody listens there.
        with service_of(tmp_path, "on", influxdb_url="http://127.0.0.1:9") as service:
            ready(service)
            body = {"targets": "all", "action": "charge", "kw": 1, "reason": "peak"}

            def dry() -> bool:
                found = ask(service, "POST", "dispatch", body)[1].get("orders", [])
                return [one["state"] for one in found] == ["dry", "dry"]

            until(dry)
            answer = ask(service, "POST", "dispatch", {**body, "dry_run": False})[1]
            ids = {one["site"]: one["id"] for one in answer["orders"]}
            until(lambda: all(state(service, name) == "effective" for name in ids.values()))
            beta.cut()
            released = command(service, "release", "--all")
            assert released.returncode == 1, released.stderr
            assert "1 of 2 sites are released" in released.stdout
            assert "not known to be free: beta" in " ".join(released.stdout.split())
            assert not alpha.site.forced
            # The device that is back is released then, and an order to the rest was no trouble.
            beta.mend()
            until(lambda: not gone.forced)
            until(lambda: ask(service, "GET", "orders?open=true")[1]["orders"] == [])
            service.stop()
    assert JournalReader(tmp_path / "orders.sqlite").broken_at() is None
    assert (alpha.site.forced, gone.forced) == (False, False)
