"""Budgets of callers in the real service: who asks too much is refused, and nobody else is."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlsplit

import pytest

from tests.serve.test_processes import (
    PATIENCE_SECONDS,
    _History,
    _Site,
    child,
    children,
    listening,
    server_of,
)
from tests.service_process import ServiceProcess, serving, until, write_fleet

pytestmark = pytest.mark.stack

OTHER = "127.0.0.9"
QUESTION = "/api/v1/ask?q=" + quote("which sites are hot and not low on charge and not offline?")


class _LargeHistory(_History):
    """Answers every question with 290 cells of 6,000 samples."""

    answer: ClassVar[bytes] = json.dumps(
        {
            "results": [
                {
                    "series": [
                        {
                            "name": "cell",
                            "tags": {"pack": "battery/0", "cell": str(n)},
                            "columns": ["time", "voltage_v"],
                            "values": [[1_700_000_000_000 + i * 60_000, 3.3] for i in range(6000)],
                        }
                        for n in range(290)
                    ]
                }
            ]
        }
    ).encode()


def ask(
    service: ServiceProcess, path: str, address: str = "127.0.0.1"
) -> tuple[int, dict[str, str], bytes]:
    """One GET from an address."""
    port = urlsplit(service.url).port
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=PATIENCE_SECONDS, source_address=(address, 0)
    )
    with contextlib.closing(connection):
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with listening(_Site) as url:
        yield url


def test_who_asked_too_much_is_refused_and_nobody_else(site: str, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, dict.fromkeys([f"s{n:03}" for n in range(60)], site), interval_seconds=5)
    with serving(fleet, caller_seconds="1") as service:
        until(lambda: service.get("/readyz")[0] == 200)
        for _ in range(5000):
            status, headers, body = ask(service, QUESTION)
            if b"slow down" in body:
                # A fast machine reaches the limit of requests before that of processor time.
                time.sleep(1.0)
            elif status != 200:
                break
        assert status == 429, body
        assert int(headers["retry-after"]) >= 1
        assert "processor time" in json.loads(body)["detail"]
        # Whatever else it asks for is refused too, but for what watches the exporter.
        assert ask(service, "/api/v1/sites")[0] == 429
        assert ask(service, "/metrics")[0] == 200
        assert ask(service, "/healthz")[0] == 200
        assert ask(service, "/api/v1/sites", OTHER)[0] == 200
        assert ask(service, QUESTION, OTHER)[0] == 200
        assert service.stop() == 0


def test_who_asks_for_much_at_once_waits_and_others_have_their_turn(
    site: str, tmp_path: Path
) -> None:
    """One address asks for 100 histories; another one asks for one, and has it before the end."""
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    past = "/api/v1/history?site=a&metric=cell_voltage_v&since=7d"
    with listening(_History) as influx:
        settings = {"influxdb_url": influx, "influxdb_api": "v1", "rollups": "false"}
        with serving(fleet, **settings) as service:
            until(lambda: service.scrapes("a") >= 1)
            with ThreadPoolExecutor(96) as callers:
                waiting = [callers.submit(ask, service, past) for _ in range(96)]
                until(lambda: any(one.done() for one in waiting), PATIENCE_SECONDS)
                assert ask(service, past, OTHER)[0] == 200
                codes = Counter(one.result()[0] for one in waiting)
            # 64 may wait and four be in work; what is beyond comes again later.
            assert set(codes) == {200, 429}
            assert codes[200] >= 64
            assert service.stop() == 0


def test_what_needs_too_much_memory_is_refused_and_hurts_nobody(site: str, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    with listening(_LargeHistory) as influx:
        settings = {"influxdb_url": influx, "influxdb_api": "v1", "rollups": "false"}
        with serving(fleet, worker_megabytes="64", **settings) as service:
            until(lambda: service.scrapes("a") >= 1)
            past = "/api/v1/history?site=a&metric=cell_voltage_v&since=7d"
            status, headers, body = ask(service, past)
            assert status == 503, body
            assert b"memory" in body
            assert headers["retry-after"]
            assert ask(service, QUESTION)[0] == 200
            assert ask(service, "/api/v1/sites")[0] == 200
            assert service.stop() == 0


class _Empty(_History):
    """Stands in for an InfluxDB without any reading."""

    answer: ClassVar[bytes] = b'{"results": [{"statement_id": 0}]}'


def test_pdfs_stand_in_one_queue_and_end_with_their_callers(site: str, tmp_path: Path) -> None:
    """24 callers at once: one worker, two programs at most, and none once the callers left."""
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    with listening(_Empty) as influx:
        settings = {"influxdb_url": influx, "influxdb_api": "v1", "rollups": "false"}
        with serving(fleet, **settings) as service:
            until(lambda: service.scrapes("a") >= 1)
            server = server_of(service)
            port = urlsplit(service.url).port
            callers = []
            for n in range(24):
                connection = http.client.HTTPConnection(
                    "127.0.0.1", port, source_address=(f"127.0.0.{2 + n % 6}", 0)
                )
                connection.request("GET", "/api/v1/report?days=1&format=pdf")
                callers.append(connection)
            worker = until(lambda: child(server, "exporter.serve.worker"), PATIENCE_SECONDS)
            until(lambda: programs(worker), PATIENCE_SECONDS)
            for _ in range(20):
                workers = [c for c in children(server).values() if "exporter.serve.worker" in c]
                assert len(workers) == 1
                assert len(programs(worker)) <= 2
                assert service.get("/healthz")[0] == 200
            for connection in callers:
                connection.close()
            until(lambda: not programs(worker), PATIENCE_SECONDS)
            # Whoever comes then has a turn at once.
            status, _, body = ask(service, "/api/v1/report?days=1", OTHER)
            assert status == 200, body
            assert service.stop() == 0
            assert not os.path.exists(f"/proc/{worker}")


def programs(worker: int) -> list[str]:
    """What a worker has started to typeset PDFs."""
    return [c for c in children(worker).values() if "exporter.deliver.report.pdf" in c]
