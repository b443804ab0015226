"""Two periods against each other, several metrics at once, and each hour of a period."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.ask.answer import CannotAnswerError
from exporter.ask.answerer import Answerer
from exporter.ask.builder import Builder
from exporter.ask.catalogue import CONDITIONS
from exporter.ask.duration_answers import _days
from exporter.ask.lookup import Directory
from exporter.ask.query import Condition, Period, Query, QueryError, What
from exporter.ask.request import query_from
from exporter.ask.timeline_entries import Stretch
from tests.ask.conftest import judged
from tests.ask.test_past_counts import lines
from tests.ask.test_past_observed import NOW, ask
from tests.serve.api.influx import Influx, influx

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write(list(lines()))
        yield made


def test_an_energy_against_that_of_another_period(server: Influx) -> None:
    found = ask(
        server, "did we use more energy between 15:00 and 15:30 than between 14:00 and 14:30"
    )
    # 14 sites: 500 W, and 900 W in the last ten minutes.
    (table,) = found.tables
    school = next(row for row in table.rows if row["site"] == "school")
    assert school["load_energy_0"] == pytest.approx(0.5 / 3 + 0.9 / 6, abs=0.003)
    assert school["load_energy_1"] == pytest.approx(0.25, abs=0.003)
    assert school["load_energy_change"] == pytest.approx(0.0667, abs=0.005)
    assert "4.4 kWh" in found.headline
    assert "against 3.5 kWh" in found.headline
    assert "more (27 %)" in found.headline
    assert "The periods last" not in found.headline


def test_periods_of_other_lengths_are_said_to_be(server: Influx) -> None:
    found = ask(
        server, "compare the load between 15:00 and 15:30 with that between 14:00 and 15:00"
    )
    assert "The periods last 30 min and 60 min." in found.headline


def test_a_period_that_nobody_observed_has_no_change(server: Influx) -> None:
    with pytest.raises(CannotAnswerError, match="energy consumed is not known"):
        ask(server, "did School use more energy between 15:00 and 15:30 than yesterday")


def test_several_metrics_at_once(server: Influx) -> None:
    found = ask(server, "soc and battery temperature of School in the last 2 hours")
    assert found.headline.startswith("School, ")
    assert "state of charge 49 %" in found.headline
    assert "battery temperature 26.0 °C" in found.headline


def test_each_hour_of_a_period(server: Influx) -> None:
    found = ask(server, "consumption per hour between 13:30 and 15:30")
    (table,) = found.tables
    assert [row["day"][-5:] for row in table.rows] == ["13:00", "14:00", "15:00"]
    assert [row["observed"] for row in table.rows] == pytest.approx([50.0, 100.0, 50.0])
    assert table.rows[1]["value"] == pytest.approx(14 * 0.5, abs=0.05)
    assert "highest from 2026-03-18 14:00" in found.headline
    assert "of the 1 of 3 that were observed nearly whole" in found.headline


def test_a_day_that_was_hardly_observed_is_neither_the_highest_nor_the_lowest(
    server: Influx,
) -> None:
    found = ask(server, "on which day this month did the fleet use the least energy")
    assert "no whole day was observed, so which was lowest is not known" in found.headline
    assert "in total" not in found.headline


def test_what_ends_at_midnight_was_not_on_the_next_day() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start, end = datetime(2026, 3, 17, tzinfo=zone), datetime(2026, 3, 18, tzinfo=zone)
    query = Query(What.WHICH, conditions=(Condition("offline"),), period=Period(start, end))
    builder = Builder(Answerer(judged).view(), query)
    whole = Stretch("alpha", "site_offline", "critical", "", start.timestamp(), end.timestamp())
    assert _days(builder, [whole]) == 1
    short = Stretch("alpha", "site_offline", "critical", "", start.timestamp(), start.timestamp())
    assert _days(builder, [whole, short]) == 1


def test_every_alert_that_a_condition_means_is_in_the_rules() -> None:
    rules = Path(__file__).parents[2] / "provisioning/prometheus/rules"
    named = {
        line.split(":")[1].strip()
        for file in rules.glob("*.yml")
        for line in file.read_text("utf-8").splitlines()
        if line.strip().startswith("- alert:")
    }
    wanted = {name for kind in CONDITIONS.values() for name in kind.alerts}
    assert wanted
    assert {name for name in wanted if not any(alert.startswith(name) for alert in named)} == set()


def test_since_when_a_limit_is_passed(server: Influx) -> None:
    found = ask(server, "how long has Depot South been over 40 °C")
    assert "Depot South has had battery temperature > 40 °C since" in found.headline
    nowhere = ask(server, "how long has School been over 40 °C")
    assert "was seen with battery temperature > 40 °C" in nowhere.headline


def test_on_how_many_days(server: Influx) -> None:
    found = ask(server, "on how many days was Beta offline in the last 2 hours")
    assert "10 min in all, on 1 day" in found.headline


def test_the_last_time_and_the_first(server: Influx) -> None:
    last = ask(server, "when was Beta last offline")
    assert len(last.tables[0].rows) == 1
    first = ask(server, "which site went offline first in the last 2 hours")
    assert first.sites == ("site_beta",)
    assert last.tables[0].rows[0]["time"] > first.tables[0].rows[0]["time"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"what": "status", "group_by": "day", "period": "today"}, "each day goes with"),
        ({"what": "history", "metric": "soc", "group_by": "hour"}, "each hour goes with"),
        ({"what": "timeline", "events": "ongoing", "period": "today"}, "what=attention, which"),
        ({"what": "which", "condition": "hot", "events": "unsilenced"}, "what=alerts"),
        ({"what": "rank", "order": "latest"}, "latest first goes with"),
        ({"what": "history", "metric": "soc", "against": "yesterday"}, "needs one to be compared"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, str], reason: str) -> None:
    parameters = {name: [value] for name, value in given.items()}
    with pytest.raises(QueryError, match=reason):
        query_from(parameters, Directory(judged().fleet), NOW)
