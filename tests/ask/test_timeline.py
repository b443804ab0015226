"""The timeline of an incident, as a later look at it in InfluxDB finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.ask.answer import Answer, CannotAnswerError
from exporter.ask.answerer import Answerer
from exporter.ask.query import Query, What
from exporter.ask.request import query_from
from exporter.config.fleet import Fleet
from exporter.history.influxql import InfluxQL
from exporter.store.line_protocol import event_line
from tests.ask.conftest import WALL, judged, sample_fleet
from tests.serve.api.influx import Influx, influx

pytestmark = pytest.mark.stack

NOW = datetime.fromtimestamp(WALL, UTC)
BEGUN = WALL - 8460
"""13:09 in Berlin, the beginning of what is stored; nothing is from 14:20 to 14:40."""
GAP = (WALL - 4200, WALL - 3000)
OFFLINE = ((WALL - 7200, WALL - 7080), (WALL - 6000, WALL - 5400))
"""Beta: 13:30 to 13:32, and 13:50 to 14:00."""
HOT = WALL - 90_000
"""Delta is hot since the day before."""


def issue(site: str, code: str, severity: int, since: float, second: float, active: int) -> str:
    return (
        f"issue,site={site},code={code} active={active},severity={severity},since={since},"
        f'sentence="{code} of {site}" {int(second) * 1000}'
    )


def lines() -> Iterator[str]:
    fleet = sample_fleet()
    for second in range(int(BEGUN), int(WALL), 10):
        if GAP[0] <= second < GAP[1]:
            continue
        away = any(begin <= second < end for begin, end in OFFLINE)
        for site in fleet.sites:
            gone = away and site.id == "site_beta"
            status = 4 if gone else 3 if site.id == "site_delta" else 0
            stamp = second * 1000
            yield f"site,site={site.id} online={float(not gone)} {stamp}"
            yield f"health,site={site.id},component=overall score=50,status={status} {stamp}"
        for begin, end in OFFLINE:
            if begin <= second < end:
                yield issue("site_beta", "site_offline", 3, begin, second, 1)
        yield issue("site_delta", "battery_temperature", 2, HOT, second, 1)
    for begin, end in OFFLINE:
        yield issue("site_beta", "site_offline", 3, begin, end, 0)
    yield event_line("start", "Fleetscope started", BEGUN)
    yield event_line("reload", "Fleet file read again", WALL - 6900)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write(list(lines()))
        yield made


def with_maintenance() -> Fleet:
    """The fleet, of which Alpha is worked on from 13:40 to 13:45."""
    plain = sample_fleet().model_dump(mode="json", exclude_defaults=True)
    window = {"start": "2026-03-18T13:40", "end": "2026-03-18T13:45", "reason": "new fan"}
    plain["sites"][0]["maintenance"] = [window]
    return Fleet.model_validate(plain)


def ask(server: Influx, **given: Any) -> Answer:
    assessment = judged()
    object.__setattr__(assessment, "fleet", with_maintenance())

    async def asked() -> Answer:
        stored = InfluxQL(server.url, "fleet", {})
        answerer = Answerer(lambda: assessment, stored)
        parameters = {"what": ["timeline"], "tz": ["Europe/Berlin"]}
        parameters |= {name: [value] for name, value in given.items()}
        query: Query = query_from(parameters, answerer.view().directory, NOW)
        assert query.what is What.TIMELINE
        try:
            return await answerer.answer(query)
        finally:
            await stored.close()

    return asyncio.run(asked())


def entries(answer: Answer) -> list[tuple[str, str, str]]:
    """Local time, site and kind of each entry."""
    zone = datetime.fromtimestamp(WALL, UTC).astimezone().tzinfo
    assert zone is not None
    return [
        (f"{datetime.fromtimestamp(row['time'] + 3600, UTC):%H:%M}", row["site"], row["kind"])
        for row in answer.tables[0].rows
    ]


def test_an_incident_in_order(server: Influx) -> None:
    answer = ask(server, since="13:25", until="13:58")
    assert entries(answer) == [
        ("13:30", "site_beta", "began"),
        ("13:30", "site_beta", "status"),
        ("13:32", "site_beta", "status"),
        ("13:32", "site_beta", "ended"),
        ("13:35", "", "reload"),
        ("13:40", "site_alpha", "maintenance"),
        ("13:45", "site_alpha", "maintenance"),
        ("13:50", "site_beta", "began"),
        ("13:50", "site_beta", "status"),
    ]
    rows = answer.tables[0].rows
    assert rows[1]["what"] == "HEALTHY to OFFLINE"
    assert (rows[3]["severity"], rows[3]["seconds"]) == ("critical", 120)
    assert rows[5]["what"] == "Maintenance begins: new fan"
    (before,) = answer.tables[1].rows
    assert (before["site"], before["code"], before["since"]) == (
        *("site_delta", "battery_temperature"),
        HOT,
    )
    assert answer.headline.startswith("9 changes at 2 sites, 13:25 to 13:58: 13:30 Beta")
    assert answer.headline.endswith("1 known before it began.")


def test_a_quiet_window_and_one_that_was_not_observed(server: Influx) -> None:
    quiet = ask(server, since="13:11", until="13:20")
    assert entries(quiet) == []
    assert quiet.headline.startswith("Nothing happened, 13:11 to 13:20.")
    unseen = ask(server, since="2026-03-17", until="2026-03-17")
    assert unseen.headline.startswith("Nothing was observed in the ")
    assert unseen.headline.endswith("Whether anything happened is not known.")
    gap = ask(server, since="14:10", until="14:50")
    assert entries(gap) == [("14:20", "", "unobserved")]
    assert gap.tables[0].rows[0]["seconds"] == pytest.approx(1200, abs=60)


def test_how_many_times_and_what_ended(server: Influx) -> None:
    times = ask(server, since="13:15", site="Beta", condition="offline", events="begun", count="1")
    assert times.headline.startswith("Status OFFLINE began 2 times, since 13:15")
    ended = ask(server, since="13:15", until="13:40", events="ended")
    assert entries(ended) == [("13:32", "site_beta", "ended")]
    assert "site_offline of site_beta (ended after 2 min)" in ended.headline
    warm = ask(server, since="13:15", until="13:40", condition="hot")
    assert entries(warm) == []
    assert [row["site"] for row in warm.tables[1].rows] == ["site_delta"]


def test_what_a_timeline_cannot_show(server: Influx) -> None:
    with pytest.raises(CannotAnswerError, match="31 days at most"):
        ask(server, since="60d")
    with pytest.raises(CannotAnswerError, match="is not kept"):
        ask(server, since="1h", condition="!hot")
