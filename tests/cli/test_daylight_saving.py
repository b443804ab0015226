"""Days of 25 and of 23 hours, and days that nobody observed, are the same on every face."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from mcp import Client
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.cli.mcp.server import build
from exporter.config.fleet import Fleet
from exporter.history.influxql import InfluxQL
from tests.serve.api.influx import influx
from tests.serve.api.served import ServedFleet

pytestmark = pytest.mark.stack

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = (
    ("2026-03-29", 23, 23.0),
    ("2026-10-25", 25, 25.0),
    ("2026-10-28", 24, None),
)
"""A date in Berlin, its hours, and the kWh of 1 kW of PV; None where nobody observed it."""


def polls() -> Iterator[str]:
    """The day on which the clocks change and the day after, once in a minute."""
    for first in ("2026-03-29", "2026-10-25"):
        begin = datetime.fromisoformat(first).replace(tzinfo=BERLIN)
        end = begin + timedelta(days=2)
        for stamp in range(int(begin.timestamp()), int(end.timestamp()), 60):
            yield f"site,site=roof online=1,pv_power_w=1000 {stamp * 1000}"


class Later(ServedFleet):
    """The fleet three days after the clocks changed."""

    @property
    def wall(self) -> float:
        return datetime(2026, 10, 28, 12, tzinfo=BERLIN).timestamp() + self.now


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    site = {"id": "roof", "name": "Roof", "timezone": "Europe/Berlin", "solar_capacity_kw": 2}
    fleet = Fleet.model_validate({"sites": [site | {"api_endpoint": "http://192.0.2.1"}]})
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write(list(polls()))
        served = Later(fleet, InfluxQL(made.url, "fleet", {}))
        served.scrape()
        with served.serving():
            yield served


@pytest.fixture(autouse=True)
def _own_zone() -> Iterator[None]:
    yield
    time.tzset()  # the runner gives TZ back, which the clock of this process does not notice


def command(url: str, *words: str) -> Any:
    """What a command prints as JSON, in a terminal of another zone."""
    environment = {"FLEETSCOPE_URL": url, "TZ": "Pacific/Auckland"}
    done = CliRunner().invoke(app, [*words, "--json"], env=environment)
    assert done.exit_code in (0, 1), done.output
    return json.loads(done.stdout)


async def tool(url: str, name: str, **arguments: Any) -> Any:
    async with Client(build(url)) as client:
        result = await client.call_tool(name, arguments | {"time_zone": "Europe/Berlin"})
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)  # type: ignore[union-attr]


@pytest.mark.parametrize(("day", "hours", "kwh"), DAYS)
async def test_a_day_has_its_hours(
    served: ServedFleet, day: str, hours: int, kwh: float | None
) -> None:
    account = command(served.url, "energy", "roof", "--since", day)
    assert account["until"] - account["since"] == hours * 3600
    assert account["flows"].get("pv", {}).get("kwh") == kwh
    covers = ("Observed all of" if kwh else "Nothing was observed in") + f" the {hours} h asked"
    happened = command(
        served.url, "timeline", "--since", day, "--until", day, "--tz", "Europe/Berlin"
    )
    by_tool = await tool(served.url, "timeline", period=day)
    for answer in (happened, by_tool):
        assert answer["coverage"]["sentence"].startswith(covers)
        known = "Nothing happened" if kwh else "Whether anything happened is not known"
        assert known in answer["headline"]
    if kwh is not None:
        history = await tool(
            served.url, "metric_history", metric="pv_energy", sites=["roof"], period=day
        )
        asked = command(served.url, "ask", f"PV energy on {day}", "--tz", "Europe/Berlin")
        for answer in (history, asked):
            assert answer["tables"][0]["rows"][0]["total"] == pytest.approx(kwh)


def test_an_hour_that_comes_twice_is_in_a_window(served: ServedFleet) -> None:
    ends = ("--since", "2026-10-25T01:30", "--until", "2026-10-25T03:30")
    account = command(served.url, "energy", "roof", *ends)
    assert account["flows"]["pv"]["kwh"] == pytest.approx(3.0)
    happened = command(served.url, "timeline", *ends, "--tz", "Europe/Berlin")
    assert happened["coverage"]["asked_seconds"] == 3 * 3600


def test_a_report_begins_with_the_day_of_its_zone(served: ServedFleet) -> None:
    report = served.json("/api/v1/report?since=2026-10-25&tz=Europe/Berlin")
    assert report["start"] == datetime(2026, 10, 25, tzinfo=BERLIN).timestamp()
    assert report["energy"]["pv_kwh"] == pytest.approx(49.0)
