"""Orders through the whole service: API, command line, journal, devices on the wire, kill -9."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import Result
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.control.journal import JournalReader
from exporter.model.orders import OrderState
from simulator.controlled import ControlledSite
from tests.control.devices import Node, running_node
from tests.drivers.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.service_process import ServiceProcess, serving, until
from tests.stack.dispatch_service import (
    TOKEN,
    Device,
    ask,
    bridged,
    described,
    device,
    write_fleet,
)

pytestmark = [pytest.mark.stack, needs_mosquitto]
WRITE = 16
READY_SECONDS = 240.0
NOBODY = "http://127.0.0.1:9"
ENDED = {"expired", "failed", "cancelled", "released", "ineffective"}


@dataclass
class Running:
    """A service with three sites: two over Modbus, which never lapse by themselves, and a node at
    a broker."""

    service: ServiceProcess
    alpha: Device
    beta: Device
    node: Node
    broker: Mosquitto
    folder: Path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("dispatch")
    second = ControlledSite(portal="c0619ab00002", reversion_seconds=None)
    with (
        device(ControlledSite(reversion_seconds=None)) as alpha,
        device(second) as beta,
        mosquitto(folder) as broker,
        running_node(ControlledSite(), broker.port, "node") as node,
    ):
        pushed = described("node", "push", broker.url, setpoints=["battery_power_w"])
        ports = {"alpha": alpha.port, "beta": beta.port}
        write_fleet(folder / "fleet.yaml", ports, pushed)
        # There is no InfluxDB: orders do without.
        with service_of(folder, "on", influxdb_url=NOBODY) as service:
            ready(service, "alpha", "beta", "node")
            yield Running(service, alpha, beta, node, broker, folder)
            service.stop()
    assert JournalReader(folder / "orders.sqlite").broken_at() is None


@pytest.fixture
def alpha() -> Iterator[Device]:
    with device(ControlledSite(reversion_seconds=None)) as found:
        yield found


def service_of(folder: Path, mode: str, **more: str):  # type: ignore[no-untyped-def]
    return serving(
        folder / "fleet.yaml",
        dispatch=mode,
        dispatch_journal=str(folder / "orders.sqlite"),
        change_token=TOKEN,
        audit_log=str(folder / "audit.jsonl"),
        **more,
    )


def ready(service: ServiceProcess, *sites: str) -> None:
    """Wait until sites would take an order."""
    until(lambda: service.get("/readyz")[0] == 200)

    def taken() -> bool:
        found = charge(service, *sites, dry_run=True)[1].get("orders", [])
        return [one["state"] for one in found] == ["dry"] * len(sites)

    until(taken, READY_SECONDS)


def charge(
    service: ServiceProcess, *sites: str, kw: float = 2.0, key: str = "", **more: Any
) -> tuple[int, dict[str, Any]]:
    body = {"targets": sites, "action": "charge", "kw": kw, "reason": "peak"} | more
    return ask(service, "POST", "dispatch", body, **({"Idempotency_Key": key} if key else {}))


def state(service: ServiceProcess, order: str) -> str:
    status, found = ask(service, "GET", f"orders/{order}")
    assert status == 200
    return str(found["order"]["state"])


def command(service: ServiceProcess, *arguments: str) -> Result:
    variables = {"FLEETSCOPE_URL": service.url, "FLEETSCOPE_API_TOKEN": TOKEN, "COLUMNS": "200"}
    return CliRunner().invoke(app, list(arguments), env=variables)


def test_an_order_from_the_api_to_the_device_and_back(running: Running) -> None:
    service, alpha = running.service, running.alpha
    status, answer = charge(service, "alpha", dry_run=False, key="once")
    assert status == 200
    (made,) = answer["orders"]
    assert (made["state"], made["allowed_w"]) == ("accepted", 2000)
    assert "current limits of the battery" in made["unchecked"]
    assert made["unattended"] is None
    assert charge(service, "alpha", dry_run=False, key="once")[1] == answer
    assert charge(service, "alpha", kw=3.0, dry_run=False, key="once")[0] == 409
    until(lambda: state(service, made["id"]) == "effective")
    until(lambda: abs(alpha.site.battery_w - 2000) <= 100)
    path = f"dispatch/{answer['dispatch']}"
    assert ask(service, "GET", path)[1]["counts"] == {"effective": 1}
    # What is published is up to two seconds old.
    until(lambda: abs((ask(service, "GET", path)[1]["measured_w"] or 0) - 2000) <= 100)
    label = 'order_power_watts{kind="allowed",site="alpha"}'
    until(lambda: service.metric(label) == 2000)
    until(lambda: service.metric('orders_total{state="effective"}') == 1)
    until(lambda: service.metric("orders_in_force") == 1)
    body = {"targets": ["alpha"], "action": "release", "reason": "enough"}
    status, released = ask(service, "POST", "dispatch", body)
    assert status == 200
    until(lambda: state(service, released["orders"][0]["id"]) == "released")
    assert not alpha.site.forced
    rows = ask(service, "GET", "dispatch/logs?site=alpha&limit=3")[1]
    assert rows["rows"][0]["state"] == "released"
    more = ask(service, "GET", f"dispatch/logs?before={rows['next']}")[1]["rows"]
    assert more[0]["number"] == rows["next"] - 1
    until(lambda: service.metric(label) is None)
    until(lambda: service.metric("orders_in_force") == 0)
    assert ask(service, "GET", "orders?open=true")[1]["orders"] == []
    lines = (running.folder / "audit.jsonl").read_text("utf-8").splitlines()
    audited = [json.loads(line) for line in lines]
    of_orders = [e for e in audited if e["event"] == "order"]
    assert {"accepted", "superseded", "released", "dry"} <= {e["state"] for e in of_orders}
    assert all(e["address"] == "127.0.0.1" for e in of_orders)


def test_the_stream_of_orders_goes_on_where_a_client_left_it(running: Running) -> None:
    """Rows of the journal as they are written; after ``Last-Event-ID`` exactly what came since."""
    service = running.service
    last = ask(service, "GET", "dispatch/logs?limit=1")[1]["rows"][0]["number"]

    def ends_dry(events: Iterator[tuple[int, Any]]) -> list[int]:
        """Numbers up to the next order that was a dry run."""
        numbers = []
        for number, row in events:
            numbers.append(number)
            if row["state"] == "dry":
                assert row["site"] == "beta"
                return numbers
        raise AssertionError("the stream ended")

    with order_events(service, last) as events:
        assert charge(service, "beta", dry_run=True)[0] == 200
        first = ends_dry(events)
    assert first == list(range(last + 1, last + 1 + len(first)))
    assert charge(service, "beta", dry_run=True)[0] == 200
    with order_events(service, first[-1]) as events:
        assert ends_dry(events)[0] == first[-1] + 1


@contextmanager
def order_events(service: ServiceProcess, last: int) -> Iterator[Iterator[tuple[int, Any]]]:
    """Numbers and rows of the stream after one of its events."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Last-Event-ID": str(last)}
    url = f"{service.url}/api/v1/dispatch/events"
    with requests.get(url, headers=headers, stream=True, timeout=60) as stream:
        assert stream.status_code == 200

        def found() -> Iterator[tuple[int, Any]]:
            event: dict[str, str] = {}
            for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
                name, _, value = line.partition(": ")
                if name in ("id", "data"):
                    event[name] = value
                elif not line and event:
                    yield int(event["id"]), json.loads(event["data"])
                    event = {}

        yield found()


def test_an_order_by_commands(running: Running) -> None:
    """Order, look, explain and release."""
    service, alpha = running.service, running.alpha
    kept = ("dispatch", "charge", "--site", "alpha", "--kw", "9", "--reason", "peak", "--for", "5m")
    writes = len(alpha.site.writes)
    dry = command(service, *kept)
    assert (dry.exit_code, len(alpha.site.writes)) == (0, writes)
    assert "dry run, nothing is written: 5.00 kW allowed of 9.00 kW" in dry.stdout
    assert "the site is rated for 5.0 kW when charging" in " ".join(dry.stdout.split())
    sent = command(service, *kept, "--carry-out", "--json")
    order = json.loads(sent.stdout)["orders"][0]["id"]
    until(lambda: state(service, order) == "effective")
    listed = command(service, "orders")
    assert order in listed.stdout
    explained = command(service, "explain", order)
    assert explained.exit_code == 0, explained.stderr
    assert "read back" in explained.stdout
    released = command(service, "release", "--site", "alpha", "--wait", "60")
    assert released.stdout == "1 of 1 sites are released\n", released.stderr
    assert released.exit_code == 0
    assert not alpha.site.forced
    assert command(service, "release").exit_code == 2


def test_an_order_has_one_figure_on_every_face(running: Running) -> None:
    """What is wanted, allowed and when it ends: the API, ``/metrics``, the list of commands."""
    service = running.service
    answer = charge(service, "alpha", kw=9.0, dry_run=False)[1]
    order = answer["orders"][0]["id"]
    until(lambda: state(service, order) == "effective")
    found = ask(service, "GET", f"orders/{order}")[1]["order"]
    assert (found["wanted_w"], found["allowed_w"]) == (9000, 5000)
    labels = {"wanted": found["wanted_w"], "allowed": found["allowed_w"]}
    for kind, value in labels.items():
        name = f'order_power_watts{{kind="{kind}",site="alpha"}}'
        until(lambda name=name, value=value: service.metric(name) == value)
    ends = service.metric('order_expires_timestamp_seconds{site="alpha"}')
    assert ends == pytest.approx(found["expires"])
    info = 'order_info{action="charge",site="alpha",source="manual",state="effective"}'
    until(lambda: service.metric(info) == 1)
    (listed,) = json.loads(command(service, "orders", "--json").stdout)["orders"]
    for key in ("id", "state", "action", "wanted_w", "allowed_w", "expires"):
        assert listed[key] == found[key], key
    shown = command(service, "orders").stdout
    assert "5.00 kW" in shown
    assert command(service, "release", "--site", "alpha", "--wait", "60").exit_code == 0


def test_the_red_button_with_broker_influxdb_and_half_of_the_fleet_gone(running: Running) -> None:
    service, gone = running.service, running.beta
    answer = charge(service, "alpha", "beta", "node", kw=1.0, dry_run=False)[1]
    ids = {one["site"]: one["id"] for one in answer["orders"]}
    until(lambda: all(state(service, name) == "effective" for name in ids.values()))
    gone.cut()
    running.broker.stop()
    released = command(service, "release", "--all", "--wait", "60")
    assert released.exit_code == 1, released.stderr
    said = released.stdout.splitlines()
    assert said[0] == "1 of 3 sites are released"
    # Each that was not reached is named, with the reason.
    why = dict(line.removeprefix("not known to be free: ").split(": ", 1) for line in said[1:])
    assert set(why) == {"beta", "node"}
    assert all("it has not answered yet" not in text for text in why.values()), why
    assert not running.alpha.site.forced
    # An order to the rest is no trouble meanwhile.
    (other,) = charge(service, "alpha", kw=1.0, dry_run=False)[1]["orders"]
    until(lambda: state(service, other["id"]) == "effective")
    # Devices that are back are released then.
    gone.mend()
    running.broker.start()
    command(service, "release", "--site", "alpha", "--wait", "60")
    until(lambda: ask(service, "GET", "orders?open=true")[1]["orders"] == [])
    forced = [one.forced for one in (running.alpha.site, gone.site, running.node.site)]
    assert forced == [False, False, False]


def test_a_dry_run_writes_not_one_byte(tmp_path: Path, alpha: Device) -> None:
    write_fleet(tmp_path / "fleet.yaml", {"alpha": alpha.port})
    with service_of(tmp_path, "dry") as service:
        ready(service, "alpha")
        (made,) = charge(service, "alpha", dry_run=False)[1]["orders"]
        assert made["state"] == "dry"
        body = {"targets": "all", "action": "release", "reason": "r"}
        assert ask(service, "POST", "dispatch", body)[1]["orders"] == []
        reads = len(alpha.functions)
        until(lambda: len(alpha.functions) > reads + 5)
        service.stop()
    assert WRITE not in alpha.functions
    assert alpha.site.writes == []


def test_kill_9_leaves_no_battery_forced_once_the_exporter_is_back(
    tmp_path: Path, alpha: Device
) -> None:
    site = ControlledSite(portal="c0619ab00003", persistent_w=50.0)
    with device(site, bridge=True) as bridge:
        write_fleet(tmp_path / "fleet.yaml", {"alpha": alpha.port}, bridged("bridge", bridge.port))
        with service_of(tmp_path, "on", influxdb_url=NOBODY) as service:
            ready(service, "alpha", "bridge")
            preview = command(
                service, "dispatch", "charge", "--all", "--kw", "1", "--reason", "peak"
            )
            assert "Warning, bridge: the device keeps its set-point without a lease" in (
                preview.stdout
            )
            (first,) = charge(service, "bridge", dry_run=False)[1]["orders"]
            assert "stays forced until the exporter" in first["unattended"]
            until(lambda: state(service, first["id"]) in ("acknowledged", "effective"))
            found = ask(service, "GET", f"orders/{first['id']}")[1]["order"]
            assert found["unattended"] == first["unattended"]
            end = 'order_persistent_end_timestamp_seconds{site="bridge"}'
            until(lambda: service.metric(end) == pytest.approx(found["expires"]))
            assert "Warning: the device keeps" in command(service, "explain", first["id"]).stdout
            ids = sent_for_ten_seconds(service)
            service.process.send_signal(signal.SIGKILL)
            service.process.wait(60)
        assert alpha.site.forced
        assert site.persistent_w != 50.0
        # The orders are overdue when this one is up, or a little later.
        with service_of(tmp_path, "on", influxdb_url=NOBODY) as again:
            until(lambda: {state(again, name) for name in ids.values()} == {"released"})
            assert (alpha.site.forced, site.persistent_w) == (False, 50.0)
            until(lambda: again.metric(end) == 0)
            again.stop()
    reader = JournalReader(tmp_path / "orders.sqlite")
    assert reader.broken_at() is None
    ends = [reader.order(name) for name in ids.values()]
    assert {(one.end, one.state) for one in ends if one} == {
        (OrderState.EXPIRED, OrderState.RELEASED)
    }


def sent_for_ten_seconds(service: ServiceProcess) -> dict[str, str]:
    """Charge both sites for as short as an order may be, again where this machine was too slow for
    one; ids of the orders, which hold both devices."""
    ids: dict[str, str] = {}

    def held() -> bool:
        states = {state(service, name) for name in ids.values()}
        if not ids or states & ENDED:
            made = charge(service, "alpha", "bridge", dry_run=False, seconds=10)[1]["orders"]
            ids.update({one["site"]: one["id"] for one in made})
            return False
        return states <= {"acknowledged", "effective"}

    until(held)
    return ids
