"""Several databases answer as one that holds all of it, on a real InfluxDB."""

from __future__ import annotations

import contextlib
import json
import math
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from exporter.ask.query import What
from exporter.assess.assessment import FleetAssessment
from exporter.deliver.report.gather import gather
from exporter.history.influxql import InfluxQL, NoAnswerError
from exporter.history.project_past import ProjectPast, ProjectsOfSites, joined
from exporter.serve.access.roles import Caller, Role
from exporter.serve.access.visible import VisibleAssessment, calling
from exporter.serve.access.visible_past import VisiblePast
from exporter.serve.application import make_app
from exporter.store.influx import Series
from tests.faults.proxy import Manner, Proxy
from tests.serve.access import tenants
from tests.serve.api.influx import Influx, influx

DATABASES = {None: "fleet_shared", "south": "fleet_south", "north": "fleet_north"}
HOURS, DAYS = 6 * 3600.0, 60 * 86_400.0
QUESTIONS = [
    *((f"what={what.value}", HOURS) for what in What if what is not What.COST),
    ("what=history&metric=pv_power_w&group_by=project", HOURS),
    ("what=history&metric=grid_power_w", HOURS),
    ("what=history&metric=soc_percent", DAYS),
    ("what=issues", DAYS),
    ("what=timeline", DAYS),
]
SOUTH = Caller("anna", (("south", Role.VIEWER),))
BOTH = Caller("berta", (("south", Role.VIEWER), ("north", Role.VIEWER)))


@dataclass(slots=True)
class Past:
    """One database with everything, and one for each project."""

    server: Influx
    latest: FleetAssessment
    single: InfluxQL
    split: ProjectPast


def _write(server: Influx, database: str, lines: list[str]) -> None:
    url = f"{server.url}/write?db={database}&rp=raw&precision=ms"
    with urllib.request.urlopen(url, "\n".join(lines).encode(), timeout=60) as reply:
        assert reply.status == 204


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    fleet = tenants.fleet()
    served = tenants.PresentFleet(fleet)
    for _ in range(3):
        served.scrape()
    latest = served.latest
    lines = tenants.stored_lines(fleet, latest.time)
    with influx(tmp_path_factory.mktemp("influx")) as server:
        for database in DATABASES.values():
            server.query(f'CREATE DATABASE "{database}" WITH DURATION inf NAME "raw"')
        server.write(lines)
        marks = {tenants.PROJECTS[project]: name for project, name in DATABASES.items()}
        for mark, database in marks.items():
            own = [line for line in lines if f"={mark}-" in line.partition(" ")[0]]
            _write(server, database, own)
        _write(server, DATABASES[None], [line for line in lines if line.startswith("event")])
        readers = {key: InfluxQL(server.url, name, {}) for key, name in DATABASES.items()}
        projects = ProjectsOfSites(lambda: latest.fleet)
        yield Past(
            server, latest, InfluxQL(server.url, "fleet", {}), ProjectPast(readers, projects)
        )


def _client(past: Past, stored: InfluxQL) -> TestClient:
    app = make_app(lambda: past.latest, lambda: None, CollectorRegistry(), stored)
    return TestClient(app)


@pytest.mark.stack
@pytest.mark.parametrize(("question", "seconds"), QUESTIONS)
def test_the_answer_is_that_of_one_database(past: Past, question: str, seconds: float) -> None:
    until = past.latest.time
    # A whole second that has passed: one to come is cut at the moment of asking.
    until = math.floor(until)
    path = f"/api/v1/query?{question}&since={until - seconds:.0f}&until={until:.0f}"
    single = _client(past, past.single).get(path)
    split = _client(past, past.split).get(path)
    assert split.status_code == single.status_code, split.text
    assert split.json() == single.json()


@pytest.mark.stack
@pytest.mark.parametrize("days", [0.25, 30.0])
async def test_the_report_is_that_of_one_database(past: Past, days: float) -> None:
    start = past.latest.time - days * 86_400
    single = await gather(past.latest, past.single, start, None)
    split = await gather(past.latest, past.split, start, None)
    # Sums of several databases are added in another order.
    values = pytest.approx(single.score_values, rel=1e-12)
    assert split.score_values == values
    assert replace(split, made=single.made, score_values=single.score_values) == single


@pytest.fixture
def watched(past: Past) -> Iterator[dict[str | None, Proxy]]:
    """A proxy before each database."""
    with contextlib.ExitStack() as running:
        yield {key: running.enter_context(Proxy(past.server.url).serving()) for key in DATABASES}


def _seen(past: Past, watched: dict[str | None, Proxy]) -> tuple[ProjectPast, VisiblePast]:
    readers = {key: InfluxQL(proxy.url, DATABASES[key], {}) for key, proxy in watched.items()}
    split = ProjectPast(readers, ProjectsOfSites(lambda: past.latest.fleet))
    return split, VisiblePast(split, VisibleAssessment(lambda: past.latest))


ALL_SITES = 'SELECT count("online") FROM "site" WHERE time > 0 GROUP BY "site"'


@pytest.mark.stack
async def test_only_databases_of_the_callers_projects_are_asked(
    past: Past, watched: dict[str | None, Proxy]
) -> None:
    split, visible = _seen(past, watched)
    with calling(SOUTH):
        found = await visible.select(ALL_SITES)
        # Whatever the statement names.
        other = await visible.select(
            'SELECT "online" FROM "site" WHERE "site" = \'northmark-0\' AND time > 0'
        )
        total = await visible.select('SELECT count("online") FROM "site" WHERE time > 0')
    assert {series.tags["site"] for series in found} == {f"southmark-{n}" for n in range(6)}
    assert other == []
    assert [row[1] for series in total for row in series.rows] == [6 * 36]
    assert not watched["north"].seen
    assert not watched[None].seen
    with calling(BOTH):
        found = await visible.select(ALL_SITES)
        total = await visible.select('SELECT count("online") FROM "site" WHERE time > 0')
    assert len(found) == 12
    assert [row[1] for series in total for row in series.rows] == [12 * 36]
    assert not watched[None].seen
    # A statement about one site asks its database alone, for whoever sees all.
    before = watched["north"].seen.total()
    await split.select('SELECT "online" FROM "site" WHERE "site" = \'southmark-0\' AND time > 0')
    assert watched["north"].seen.total() == before


@pytest.mark.stack
async def test_a_database_that_is_away_keeps_nobody_else_waiting(
    past: Past, watched: dict[str | None, Proxy]
) -> None:
    split, visible = _seen(past, watched)
    watched["north"].manner = Manner.REFUSE
    with calling(Caller("nora", (("north", Role.VIEWER),))):
        with pytest.raises(NoAnswerError) as raised:
            await visible.select(ALL_SITES)
        assert raised.value.reason == "the database of the project north does not answer"
        asked = watched["north"].seen.total()
        with pytest.raises(NoAnswerError):
            await visible.select(ALL_SITES)
    # Known to be away, it is not asked again at once.
    assert watched["north"].seen.total() == asked
    with calling(SOUTH):
        assert len(await visible.select(ALL_SITES)) == 6
    # What it holds is not left out unsaid.
    with pytest.raises(NoAnswerError, match="north"):
        await split.select(ALL_SITES)


@pytest.mark.stack
async def test_a_site_is_read_where_its_project_is_now(past: Past) -> None:
    _write(past.server, "fleet_shared", ["site,site=southmark-0 online=1 1700000000000"])
    found = await past.split.select(ALL_SITES)
    rows = {series.tags["site"]: series.rows[0][1] for series in found}
    assert rows["southmark-0"] == 36
    assert len(found) == 13


def test_rows_that_belong_together_are_put_together() -> None:
    def part(*rows: list[Any]) -> list[Series]:
        return [Series({}, ["time", "a", "b"], list(rows))]

    both = [part([0, 1, None], [60, 2, 3]), part([60, 5, 7], [120, 1, 1])]
    counted = joined('SELECT count("a"), sum("b") FROM "x" GROUP BY time(60s)', both)
    assert counted[0].rows == [[0, 1, None], [60, 7, 10], [120, 1, 1]]
    assert joined('SELECT first("a") FROM "x"', both)[0].rows == [[0, 1, None]]
    assert joined('SELECT last("a") FROM "x"', both)[0].rows == [[120, 1, 1]]
    plain = joined('SELECT "text", "b" FROM "event"', both)[0].rows
    assert [row[0] for row in plain] == [0, 60, 60, 120]
    with pytest.raises(NoAnswerError) as raised:
        joined('SELECT mean("a") FROM "x"', both)
    assert "one project" in raised.value.reason
    # One database is answered whatever is computed.
    assert joined('SELECT mean("a") FROM "x"', [both[0], []])[0].rows == both[0][0].rows
    sites = [[Series({"site": s}, ["time", "a"], [[0, 1]])] for s in ("b", "a")]
    assert [series.tags["site"] for series in joined('SELECT mean("a")', sites)] == ["a", "b"]
    assert json.dumps(joined("", [[], []])) == "[]"
