"""What a table shows while there is nothing to show, on real servers: its headings, or why."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.history.rollups.due import kept_from
from exporter.history.rollups.plot_level import level_batch
from exporter.history.rollups.source import Source
from exporter.store.connection import Connection
from grafana.generate import all_panels, dashboards
from provisioning.local import servers
from provisioning.local.web import RequestError, get, get_json
from tests.stack.test_queries import filled
from tests.store.test_influx_targets import Server, influx1, influx2, server  # noqa: F401

pytestmark = pytest.mark.stack

READY_SECONDS = 180.0
TABLES = [
    pytest.param(panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in dashboards().items()
    for panel in all_panels(dashboard)
    if panel["type"] == "table"
    and any(target["datasource"]["type"] == "prometheus" for target in panel["targets"])
]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has no targets and therefore no series."""
    (wanted,) = (s for s in servers.SERVERS if s.name == "Prometheus")
    executable = servers.find(wanted)
    if executable is None:
        pytest.skip("not installed: Prometheus; `make servers` installs it")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("{}\n", "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [
            str(executable),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(folder),
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(url)
            yield url
        finally:
            process.terminate()


def _wait(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            get(f"{url}/-/ready")
        except RequestError:
            assert time.monotonic() < deadline, "Prometheus does not become ready"
            time.sleep(0.2)
        else:
            return


@pytest.mark.parametrize("panel", TABLES)
def test_every_column_is_there_without_any_series(prometheus: str, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        if target["datasource"]["type"] == "prometheus":
            query = filled(target["expr"], "a", "fleetscope_site_up", "soc_percent", regex=False)
            answer = get_json(f"{prometheus}/api/v1/query", {"query": query})
            assert answer["data"]["result"], f"query {target['refId']} leaves its column out"


KEPT = [
    pytest.param(panel, target["query"], id=f"{uid}: {panel['title']}")
    for uid, dashboard in dashboards().items()
    for panel in all_panels(dashboard)
    if panel["type"] == "table"
    for target in panel["targets"]
    if '"choice" AS' in target.get("query", "")
]


def test_the_lists_of_what_is_wrong_keep_their_columns() -> None:
    titles = {param.values[0]["title"] for param in KEPT}
    assert titles == {"Whom to call first", "What is wrong, and what to do"}


@pytest.mark.parametrize(("panel", "query"), KEPT)
async def test_every_column_is_there_without_any_issue(
    server: Server,  # noqa: F811
    panel: dict[str, Any],
    query: str,
) -> None:
    now = int(time.time() * 1000)
    source = Source(Connection(server.url, "fleet", server.headers, {}))
    target = server.target()
    try:
        await target.prepare()
        batch = level_batch(kept_from(source, now), now)
        await target.write(batch.body, batch.policy)
        filled_in = filled(query, "a", "fleetscope_site_up", "soc_percent", regex=False)
        (part,) = source.ask(filled_in)
    finally:
        source.close()
        await target.close()
    (renamed,) = (t for t in panel["transformations"] if t["id"] == "organize")
    shown = set(renamed["options"]["indexByName"]) - set(renamed["options"]["excludeByName"])
    asked = re.match(r"SELECT (.*?) FROM", query)
    assert asked is not None
    wanted = set(re.findall(r'"(\w+)"', asked[1]))
    assert wanted <= set(part.columns)
    assert len(wanted & shown) >= 3


STORED = [
    pytest.param(panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in dashboards().items()
    for panel in all_panels(dashboard)
    if panel["type"] == "table"
    and all(target["datasource"]["type"] == "influxdb" for target in panel["targets"])
]


async def test_a_table_of_stored_rows_alone_says_why_it_has_none(server: Server) -> None:  # noqa: F811
    """InfluxDB names no columns where it has no rows, so that a sentence stands in their place."""
    source = Source(Connection(server.url, "fleet", server.headers, {}))
    target = server.target()
    try:
        await target.prepare()
        for param in STORED:
            (panel,) = param.values
            for asked in panel["targets"]:
                query = filled(
                    asked["query"], "a", "fleetscope_site_up", "soc_percent", regex=False
                )
                assert list(source.ask(query)) == [], panel["title"]
            said = panel["fieldConfig"]["defaults"]["noValue"]
            assert re.search(
                "time range|this battery|of this site|there is no|FLEETSCOPE_", said, re.IGNORECASE
            ), said
    finally:
        source.close()
        await target.close()
