"""Parameters that mean harm are refused as such, and no answer names another server."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from exporter.deliver.report.document import policy
from exporter.history.influxql import InfluxQL
from tests.serve.api.influx import influx
from tests.serve.api.served import ServedFleet, plan


@pytest.fixture(scope="module")
def unreachable() -> Iterator[ServedFleet]:
    """A fleet whose InfluxDB does not answer."""
    with ServedFleet(plan(12), InfluxQL("http://127.0.0.1:1", "fleet", {})).serving() as served:
        yield served


PAST = "/api/v1/history?site=s0000&metric="


@pytest.mark.parametrize(
    "path",
    [
        *(f"{PAST}soc_percent&device={quote(sign)}" for sign in ("a\rb", "\n", "\0", "\x1b[2J")),
        f"{PAST}cell_voltage_v&pack=a%0Db",
        f"{PAST}cell_voltage_v&pack=a&cell=%C2%85",
        *(f"{PAST}soc_percent&since={span}" for span in ("999999w", "99999w", "9" * 60)),
        "/api/v1/query?what=status&since=999999w",
        "/api/v1/timeline?since=999999w",
        "/api/v1/query?what=which" + "&where=soh%3C80" * 51,
        "/api/v1/ask?q=" + quote("which sites are hot and " * 15 + "offline?"),
    ],
)
def test_a_wrong_parameter_is_the_callers_mistake(unreachable: ServedFleet, path: str) -> None:
    status, _, body = unreachable.ask(path)
    assert status == 422, body
    assert b"127.0.0.1" not in body


@pytest.mark.parametrize(
    "path",
    [
        f"{PAST}soc_percent",
        "/api/v1/query?what=history&metric=soh&since=1d",
        "/api/v1/query?what=attention&since=1d",
        "/api/v1/timeline",
        "/api/v1/report?days=1",
    ],
)
def test_no_answer_names_the_database_server(unreachable: ServedFleet, path: str) -> None:
    status, _, body = unreachable.ask(path)
    assert status == 503, body
    assert "InfluxDB does not answer" in json.loads(body)["detail"]
    assert b"127.0.0.1" not in body


@pytest.mark.stack
def test_neither_does_a_refusal_of_that_server(tmp_path: Path) -> None:
    with influx(tmp_path) as server:
        server.write(
            [f"battery,site=s0000,device=battery/1 soc_percent=5 {time.time_ns() // 10**6}"]
        )
        with ServedFleet(plan(2), InfluxQL(server.url, "nothing", {})).serving() as served:
            for path in (f"{PAST}soc_percent", "/api/v1/query?what=history&metric=soh&since=1d"):
                status, _, body = served.ask(path)
                assert status == 503, body
                assert "InfluxDB refused the query" in json.loads(body)["detail"]
                assert b"127.0.0.1" not in body


def test_a_name_that_is_too_long_is_compared_with_none(unreachable: ServedFleet) -> None:
    status, _, body = unreachable.ask("/api/v1/query?what=site&site=" + quote("1+" * 9000))
    assert status == 404
    assert json.loads(body)["suggestions"] == []


def test_a_report_keeps_its_style_under_its_policy() -> None:
    """The one style sheet is named by its hash, and no element needs another."""
    html = (Path("exporter/deliver/report") / "report.html").read_text("utf-8")
    assert "style=" not in html
    css = (Path("exporter/deliver/report") / "report.css").read_bytes()
    digest = base64.b64encode(hashlib.sha256(css).digest()).decode()
    assert re.search(r"style-src '([^']+)'", policy())[1] == f"sha256-{digest}"  # type: ignore[index]
