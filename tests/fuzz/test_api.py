"""A few requests for each route of the API; ``make fuzz`` makes up more."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exporter.history.influxql import InfluxQL
from tests.fuzz.api import exercise, exercise_all, exercise_roles, operations
from tests.serve.api.influx import influx
from tests.serve.api.served import ServedFleet, plan

pytestmark = pytest.mark.slow

SEED = 20261121
ASK_INFLUXDB = {"/api/v1/history", "/api/v1/report", "/api/v1/query", "/api/v1/ask"}


def test_every_route_is_as_it_is_described() -> None:
    exercise_all(160, SEED)


def test_callers_of_every_role_see_what_is_theirs() -> None:
    statuses = exercise_roles(400, SEED)
    assert statuses[200] > 0
    assert statuses[401] > 0
    assert statuses[403] > 0


@pytest.mark.stack
def test_so_are_those_that_ask_influxdb(tmp_path: Path) -> None:
    with influx(tmp_path) as server:
        stamp = round(time.time() * 1000)
        lines = [
            f"battery,site=s{n:04},device=battery/512 soc_percent=50,soh_percent=90 {stamp - 1000}"
            for n in range(12)
        ]
        lines += [f"site,site=s{n:04} online=1,grid_power_w=5 {stamp - 1000}" for n in range(12)]
        server.write(lines)
        fleet = ServedFleet(plan(12), InfluxQL(server.url, "fleet", {}))
        with fleet.serving():
            asked = [
                operation
                for operation in operations(f"http://127.0.0.1:{fleet.port}")
                if operation.path in ASK_INFLUXDB
            ]
            assert len(asked) == len(ASK_INFLUXDB)
            for operation in asked:
                exercise(operation, 12, SEED)
