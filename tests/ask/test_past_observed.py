"""An answer about the past covers what was observed, and says how much that was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.ask.answer import Answer, CannotAnswerError
from exporter.ask.answerer import Answerer
from exporter.ask.language.parse import understand
from exporter.ask.lookup import Directory
from exporter.history.influxql import InfluxQL
from exporter.model.text import duration_words
from tests.ask.conftest import WALL, judged
from tests.serve.api.influx import Influx, influx

pytestmark = pytest.mark.stack

NOW = datetime.fromtimestamp(WALL, UTC)
BERLIN = ZoneInfo("Europe/Berlin")
BEGUN = WALL - 8460
"""13:09 in Berlin: since then the fleet is polled, but Gamma is not before 15:00."""
GONE = (WALL - 7200, WALL - 6600)
"""Beta does not answer from 13:30 to 13:40."""


def lines() -> Iterator[str]:
    for site in judged().fleet.sites:
        begin = WALL - 1800 if site.id == "site_gamma" else BEGUN
        for second in range(int(begin), int(WALL), 10):
            away = site.id == "site_beta" and GONE[0] <= second < GONE[1]
            stamp = second * 1000
            yield f"site,site={site.id} online={float(not away)},pv_power_w=1000 {stamp}"
            yield f"battery,site={site.id},device=b soc_percent=50,charged_kwh=7 {stamp}"
            if away:
                age = duration_words(second - GONE[0])
                yield (
                    f"issue,site={site.id},code=site_offline active=1,severity=3,"
                    f'since={GONE[0]},sentence="Beta does not answer for {age}",'
                    f"value={second - GONE[0]} {stamp}"
                )
    yield (
        "issue,site=site_beta,code=site_offline active=0,severity=3,"
        f'since={GONE[0]},sentence="Beta does not answer" {int(GONE[1]) * 1000}'
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write(list(lines()))
        yield made


def ask(server: Influx, text: str) -> Answer:
    assessment = judged()

    async def asked() -> Answer:
        stored = InfluxQL(server.url, "fleet", {})
        answerer = Answerer(lambda: assessment, stored)
        query = understand(text, Directory(assessment.fleet), NOW, BERLIN).query
        try:
            return await answerer.answer(query)
        finally:
            await stored.close()

    return asyncio.run(asked())


@pytest.mark.parametrize(
    "text",
    [
        "which sites were offline yesterday",
        "problems yesterday",
        "which sites had no grid last week",
        "how many sites had problems yesterday",
        "summary of yesterday",
    ],
)
def test_what_was_not_observed_is_not_fine(server: Influx, text: str) -> None:
    answer = ask(server, text)
    assert answer.headline.startswith("Nothing was observed in the ")
    assert answer.headline.endswith(" is not known.")
    assert "no sites" not in answer.headline.casefold()
    assert answer.coverage is not None
    assert answer.coverage.share == 0
    assert answer.as_dict()["coverage"]["enough"] is False


@pytest.mark.parametrize("text", ["availability yesterday", "how did Alpha do yesterday"])
def test_what_is_not_stored_has_no_value(server: Influx, text: str) -> None:
    with pytest.raises(CannotAnswerError, match="Nothing was observed in the"):
        ask(server, text)


def test_a_little_is_said_first_and_stands_for_nothing_more(server: Influx) -> None:
    answer = ask(server, "which sites were offline this week")
    assert answer.headline.startswith("Observed 3.5 % of the time asked")
    assert "In that time 2 sites of 14 sites had status OFFLINE" in answer.headline
    availability = ask(server, "availability this week")
    assert availability.headline.startswith("Observed 3.5 % of the time asked")
    assert availability.headline.endswith("So availability is not known.")
    row: dict[str, Any] = availability.tables[0].rows[0]
    assert (row["mean"], row["trend"]) == (None, "")
    trend = ask(server, "trend of soc of Alpha this week")
    assert trend.headline.startswith("Observed 3.7 % of the time asked")
    assert "50 % on average" in trend.headline
    assert "a trend is not known" in trend.headline
    assert trend.tables[0].rows[0]["trend"] == ""
    energy = ask(server, "PV energy of Alpha this week")
    assert "was 2.4 kWh; the whole is not known" in energy.headline


def test_a_site_that_was_not_observed_has_no_availability(server: Influx) -> None:
    answer = ask(server, "availability since 13:10")
    rows = {row["site"]: row for row in answer.tables[0].rows}
    assert rows["site_gamma"]["mean"] is None
    assert rows["site_gamma"]["observed"] == pytest.approx(21.4, abs=0.2)
    assert rows["site_alpha"]["mean"] == pytest.approx(100)
    assert 90 < rows["site_beta"]["mean"] < 95


def test_a_window_within_a_day_is_exact(server: Influx) -> None:
    for text, sites in (
        ("who was offline between 13:10 and 13:20", ()),
        ("who was offline between 13:20 and 13:35", ("site_beta",)),
        ("who was offline between 13:50 and 14:00", ()),
    ):
        answer = ask(server, text)
        assert answer.sites == sites, text
        assert answer.coverage is not None
        assert answer.coverage.of("site_alpha") == pytest.approx(1, abs=0.02)
        assert "less than 50 % at 1 of 14 sites" in answer.headline


def test_one_length_of_an_outage_is_given(server: Influx) -> None:
    answer = ask(server, "problems at Beta since 13:20")
    assert "First Beta: Beta does not answer, 10 min in all." in answer.headline
    (row,) = [row for row in answer.tables[0].rows if row["code"] == "site_offline"]
    assert (row["why"], row["seconds"]) == ("Beta does not answer", 600)
    happened = ask(server, "what happened at Beta between 13:20 and 13:50")
    ended = [row for row in happened.tables[0].rows if row["kind"] == "ended"]
    assert [(row["what"], row["seconds"]) for row in ended] == [("Beta does not answer", 600)]


def test_all_observed_needs_no_word(server: Influx) -> None:
    answer = ask(server, "problems at Alpha in the last 20 minutes")
    assert answer.headline.startswith("1 site of 1 site asked about needed attention")
    assert "bserved" not in answer.headline


@pytest.mark.parametrize(
    ("window", "end"),
    [
        ("between 13:20 and 13:35", "; 1 still with it at the end."),
        ("between 13:20 and 13:50", "; none still with it at the end."),
        ("since 13:20", "; none still with it."),
    ],
)
def test_what_goes_on_at_the_end_of_a_window_is_not_over(
    server: Influx, window: str, end: str
) -> None:
    assert end in ask(server, f"was Beta offline {window}").headline
