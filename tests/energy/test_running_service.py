"""Forecasts, plans, orders and PV days in a running exporter, over a restart, at a device."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.controlled import ControlledSite
from tests.serve.api.influx import Influx, influx
from tests.service_process import ServiceProcess, serving, until
from tests.stack.dispatch_service import TOKEN, Device, ask, device

pytestmark = pytest.mark.stack
# Training runs at low priority, so that a busy machine makes it slow.
ENOUGH_SECONDS = 300.0
HOUR = time.time() // 3600 * 3600
# Wherever the test runs, it is two at night at the site: by day the sun would charge the battery.
AHEAD = (2 - int(HOUR // 3600 % 24) + 12) % 24 - 12
TARIFFS = """
currency: EUR
default: now
tariffs:
  now:
    grid: {{price: 0.60, windows: [{{price: 0.02, start: "{cheap}", end: "{dear}"}}]}}
    feed_in: {{price: 0.01}}
planning:
  mandates: [{{sites: [alpha], until: "2100-01-01T00:00:00Z", most_kw: 5}}]
"""
WEATHER = """
default: roof
sources: {roof: {file: roof.csv}}
"""


def clock(hours_from_now: int) -> str:
    return f"{int(hour_of(HOUR) + hours_from_now) % 24:02}:00"


def hour_of(stamp: float) -> float:
    """Of the day at the site."""
    return (stamp + AHEAD * 3600) % 86_400 / 3600


def past() -> Iterator[str]:
    """Eight days of a home with PV, on the equator."""
    for stamp in range(int(HOUR) - 8 * 86_400, int(HOUR) + 1, 450):
        hour = hour_of(stamp)
        pv = 3000 * max(0.0, math.sin((hour - 6) / 12 * math.pi))
        load = 900.0 + 600 * (17 <= hour < 22)
        fields = f"online=1,pv_power_w={pv!r},load_power_w={load!r},grid_power_w={load - pv!r}"
        yield f"site,site=alpha {fields} {stamp * 1000}"


@pytest.fixture
def alpha() -> Iterator[Device]:
    with device(ControlledSite(soc_percent=40, load_w=900.0, pv_w=0.0)) as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Influx]:
    with influx(tmp_path) as server:
        server.write(list(past()))
        yield server


def write_files(folder: Path, port: int) -> None:
    site = {
        "id": "alpha",
        "driver": "modbus-tcp",
        "api_endpoint": f"modbus://127.0.0.1:{port}",
        "capacity_kwh": 10,
        "solar_capacity_kw": 5,
        "latitude": 0.0,
        "longitude": 15.0 * AHEAD,
        "timezone": f"Etc/GMT{-AHEAD:+d}",
        "dispatch": {"enabled": True, "max_charge_kw": 5, "max_discharge_kw": 5},
    }
    (folder / "fleet.yaml").write_text(json.dumps({"sites": [site]}), "utf-8")
    # It is cheap now and for two hours more, so that the plan charges at once.
    (folder / "tariffs.yaml").write_text(TARIFFS.format(cheap=clock(-1), dear=clock(3)), "utf-8")
    (folder / "weather.yaml").write_text(WEATHER, "utf-8")
    rows = [
        f"{stamp},{max(0.0, 800 * math.sin((hour_of(stamp) - 6) / 12 * math.pi))!r}"
        for stamp in range(int(HOUR) - 8 * 86_400, int(HOUR), 900)
    ]
    (folder / "roof.csv").write_text("\n".join(["time,poa", *rows]), "utf-8")


def started(folder: Path, database: Influx, log: str):  # type: ignore[no-untyped-def]
    return serving(
        folder / "fleet.yaml",
        log=log,
        influxdb_url=database.url,
        influxdb_database="fleet",
        influxdb_api="v1",
        forecasts="true",
        tariffs=str(folder / "tariffs.yaml"),
        weather=str(folder / "weather.yaml"),
        dispatch="on",
        dispatch_journal=str(folder / "orders.sqlite"),
        change_token=TOKEN,
    )


def plan(service: ServiceProcess) -> dict:  # type: ignore[type-arg]
    found = json.loads(service.get("/api/v1/plan?site=alpha", ENOUGH_SECONDS)[1])
    return found if isinstance(found, dict) else {}


def orders(service: ServiceProcess) -> list[dict]:  # type: ignore[type-arg]
    found = ask(service, "GET", "orders?open=true")[1]["orders"]
    return [one for one in found if one["source"] == "plan"]


def followed(service: ServiceProcess, alpha: Device) -> list[dict]:  # type: ignore[type-arg]
    """Wait until a mandated plan is in force at the device; its open orders."""
    until(lambda: service.get("/readyz")[0] == 200)
    until(lambda: plan(service).get("standing") == "mandated", ENOUGH_SECONDS)
    until(lambda: any(one["state"] == "effective" for one in orders(service)), ENOUGH_SECONDS)
    assert alpha.site.forced
    return orders(service)


def test_a_running_exporter_plans_orders_and_judges_pv_and_stands_after_a_restart(
    tmp_path: Path, database: Influx, alpha: Device
) -> None:
    write_files(tmp_path, alpha.port)
    with started(tmp_path, database, "first") as service:
        open_orders = followed(service, alpha)
        found = plan(service)
        assert found["summary"]["saving"] > 0.3
        assert open_orders[-1]["issuer"] == "planner"
        of_load = "site=alpha&quantity=load"
        forecast = json.loads(service.get(f"/api/v1/forecast?{of_load}", ENOUGH_SECONDS)[1])
        assert len(forecast["starts"]) >= 140
        span = f"since={HOUR - 3 * 86_400}&until={HOUR}"
        path = f"/api/v1/energy?site=alpha&{span}"
        energy = until(
            lambda: json.loads(service.get(path, ENOUGH_SECONDS)[1]).get("pv"), ENOUGH_SECONDS
        )
        assert energy["by_weather"]
        assert energy["performance_ratio"] > 0.3
        for _ in range(2):
            service.get("/api/v1/energy?site=alpha&period=today", ENOUGH_SECONDS)
        # One of the two was kept, or one more where a minute went by between them.
        until(lambda: "fleetscope_energy_cache_hit_ratio" in service.get("/metrics")[1])
        status, answer = ask(
            service, "POST", "plan/withdraw", {"site": "alpha", "reason": "guests"}
        )
        assert (status, answer["standing"]) == (200, "proposed")
        until(lambda: not orders(service))
        until(lambda: not alpha.site.forced)
        status, answer = ask(service, "POST", "plan/approve", {"site": "alpha", "reason": "go"})
        assert (status, answer["standing"]) == (200, "approved")
        until(lambda: any(one["state"] == "effective" for one in orders(service)))
        assert ask(service, "POST", "plan/approve", {"site": "beta", "reason": "x"})[0] == 404
        assert service.stop() == 0
        assert not alpha.site.forced
    with started(tmp_path, database, "second") as service:
        # Nothing of the earlier run is in force, and what it stored is there at once.
        until(lambda: service.get("/readyz")[0] == 200)
        assert plan(service)["summary"]["saving"] == found["summary"]["saving"]
        assert service.stop() == 0
        assert "Traceback" not in service.log
    assert not alpha.site.forced
