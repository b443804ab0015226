"""What is known of sites from before a restart."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.history.influxql import InfluxQL
from exporter.history.last_answers import last_answers
from exporter.model.levels import DAY
from exporter.model.snapshot import Outcome, Snapshot
from tests.serve.api.influx import influx

NOW = 20_400.0 * DAY


@pytest.mark.stack
async def test_the_last_answer_is_found_and_failures_are_passed_over(tmp_path: Path) -> None:
    def point(site: str, online: int, age: float) -> str:
        return f"site,site={site} online={online} {round((NOW - age) * 1000)}"

    with influx(tmp_path) as server:
        server.write(
            [
                *(point("up", 1, age) for age in (30, 20, 10)),
                *(point("down", 1, age) for age in (9000, 8000)),
                *(point("down", 0, age) for age in (7000, 300, 5)),
                point("never", 0, 60),
                point("removed", 1, 60),
                point("ancient", 1, 100 * DAY),
            ]
        )
        stored = InfluxQL(server.url, "fleet", {})
        try:
            found = await last_answers(stored, ["up", "down", "never", "ancient", "new"], NOW)
        finally:
            await stored.close()
    assert found == {"up": NOW - 10, "down": NOW - 8000}


def test_a_site_that_is_offline_after_a_restart_is_so_since_its_last_answer() -> None:
    fleet = Fleet.model_validate(
        {
            "sites": [
                {"id": name, "api_endpoint": f"http://{name}.example.com"}
                for name in ("down", "never", "up")
            ]
        }
    )
    state = FleetState(fleet, 10.0)
    state.apply(Snapshot("up", NOW, 0.1, Outcome.OK), 100.0)
    for name in ("down", "never"):
        state.apply(Snapshot(name, NOW, 0.1, Outcome.TIMEOUT), 100.0)
    state.recall(
        {"down": NOW - 7200, "up": NOW - 7200, "removed": NOW - 5, "never": NOW + 5}, 100.0, NOW
    )
    assert state.last_success_time[state.row["down"]] == NOW - 7200
    # What was seen since the start is newer, and what lies in the future is not believed.
    assert state.last_success_time[state.row["up"]] == NOW
    assert math.isnan(state.last_success_time[state.row["never"]])
    found = assess(state, 101.0, NOW + 1)
    (issue,) = (i for i in found.issues[state.row["down"]] if i.code == "site_offline")
    assert issue.since == NOW - 7200
    assert "2 h" in issue.sentence or "120 min" in issue.sentence
