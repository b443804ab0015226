"""The timeline of an incident, as a later look at it in InfluxDB finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.ask.answer import Answer, CannotAnswerError
from exporter.ask.answerer import Answerer
from exporter.ask.query import Query
from exporter.ask.request import query_from
from exporter.ask.timeline import changes_of_way
from exporter.config.fleet import Fleet
from exporter.history.alert_history import AlertHistory
from exporter.history.influxql import InfluxQL, Series
from exporter.store.line_protocol import event_line, order_line
from tests.ask.conftest import WALL, judged, sample_fleet
from tests.history.prometheus import prometheus
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
    for state, second, reason in (
        ("drafted", 13 * 60, "frequency"),
        ("accepted", 13 * 60, "frequency"),
        ("sent", 13 * 60 + 1, "frequency"),
        ("effective", 13 * 60 + 9, "frequency"),
        ("ineffective", 15 * 60, "battery power is 0 W, 1500 W are wanted"),
        ("released", 15 * 60 + 2, "frequency"),
    ):
        # From 14:00:00, so that 13 minutes are 14:13.
        texts = {"order": "o1", "action": "charge", "issuer": "ops", "reason": reason}
        at = WALL - 5400 + second
        yield order_line("site_gamma", "operator", state, {"wanted_w": 1500.0}, texts, at)
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
    days = ["tuesday", "wednesday"]
    mute = {"days": days, "start": "15:00", "end": "15:05", "reason": "self test"}
    plain["sites"][2]["mute_times"] = [mute]
    return Fleet.model_validate(plain)


ALERT = 'alertname="FleetscopeSiteOffline",severity="page",site="site_beta"'


def alert_samples() -> Iterator[str]:
    """Beta's second outage pages; Prometheus scrapes all the time."""
    times = range(int(BEGUN) // 15 * 15, int(WALL), 15)
    yield "# TYPE fleetscope_site_up gauge"
    yield from (f'fleetscope_site_up{{site="site_beta"}} 1 {t}' for t in times)
    yield "# TYPE ALERTS gauge"
    begin, end = OFFLINE[1]
    for t in times:
        if begin + 60 <= t < end:
            yield f'ALERTS{{{ALERT},alertstate="firing"}} 1 {t}'


@pytest.fixture(scope="module")
def alerts_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), alert_samples()) as address:
        yield address


def ask(server: Influx, what: str = "timeline", alerts: str = "", **given: Any) -> Answer:
    assessment = judged()
    object.__setattr__(assessment, "fleet", with_maintenance())

    async def asked() -> Answer:
        stored = InfluxQL(server.url, "fleet", {})
        history = AlertHistory(alerts) if alerts else None
        answerer = Answerer(lambda: assessment, stored, alerts=history)
        parameters = {"what": [what], "tz": ["Europe/Berlin"]}
        parameters |= {name: [value] for name, value in given.items()}
        query: Query = query_from(parameters, answerer.view().directory, NOW)
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


def test_orders_stand_in_the_timeline_and_before_it(server: Influx) -> None:
    whole = ask(server, since="14:10", until="14:19", site="Gamma")
    assert entries(whole) == [
        ("14:13", "site_gamma", "order"),
        ("14:13", "site_gamma", "order"),
        ("14:15", "site_gamma", "order"),
        ("14:15", "site_gamma", "order"),
    ]
    rows = whole.tables[0].rows
    assert [row["what"].removeprefix("Order of ops to charge with 1.5 kW ") for row in rows] == [
        "was accepted: frequency",
        "took effect",
        "has no effect: battery power is 0 W, 1500 W are wanted",
        "ended; the device is under its own control",
    ]
    assert (rows[2]["severity"], rows[2]["code"]) == ("warning", "o1")
    later = ask(server, since="14:14", until="14:19", site="Gamma")
    assert [row["what"] for row in later.tables[1].rows] == [
        "Order of ops to charge with 1.5 kW stands"
    ]
    after = ask(server, since="14:16", until="14:19", site="Gamma")
    assert not entries(after)
    assert len(after.tables) == 1


def test_a_quiet_window_and_one_that_was_not_observed(server: Influx) -> None:
    quiet = ask(server, since="13:11", until="13:20")
    assert entries(quiet) == []
    assert quiet.headline.startswith("Nothing happened, 13:11 to 13:20.")
    unseen = ask(server, since="2026-03-17", until="2026-03-17")
    assert unseen.headline.startswith("Nothing was observed in the ")
    assert unseen.headline.endswith("Whether anything happened is not known.")
    gap = ask(server, since="14:16", until="14:50")
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


def test_alerts_stand_in_the_timeline(server: Influx, alerts_url: str) -> None:
    answer = ask(server, alerts=alerts_url, since="13:48", until="14:03", site="Beta")
    assert entries(answer) == [
        ("13:50", "site_beta", "began"),
        ("13:50", "site_beta", "status"),
        ("13:51", "site_beta", "fired"),
        ("14:00", "site_beta", "status"),
        ("14:00", "site_beta", "resolved"),
        ("14:00", "site_beta", "ended"),
    ]
    fired = answer.tables[0].rows[2]
    assert (fired["code"], fired["severity"]) == ("FleetscopeSiteOffline", "page")
    assert answer.evidence.promql == ['ALERTS{alertstate="firing"}']


def test_without_a_prometheus_a_timeline_says_that_alerts_are_unknown(server: Influx) -> None:
    none = ask(server, since="13:48", until="14:03")
    assert any("no Prometheus is configured" in text for text in none.evidence.missing)
    away = ask(server, alerts="http://127.0.0.1:9", since="13:48", until="14:03")
    assert away.headline.endswith("Which alerts fired is not known: Prometheus does not answer.")
    with pytest.raises(CannotAnswerError, match="does not answer") as error:
        ask(server, "alerts", "http://127.0.0.1:9")
    assert error.value.status == 503


def test_alerts_by_kind_length_and_order(server: Influx, alerts_url: str) -> None:
    every = ask(server, "alerts", alerts_url, since="13:15").tables[0].rows
    newest = ask(server, "alerts", alerts_url, since="13:15", order="latest", limit="1")
    assert newest.tables[0].rows == [max(every, key=lambda row: row["start"])]
    away = ask(server, "alerts", alerts_url, since="13:15", condition="offline").tables[0].rows
    assert away == [row for row in every if "Offline" in row["alert"]]
    assert not ask(server, "alerts", alerts_url, since="13:15", condition="hot").tables[0].rows
    long = ask(server, "alerts", alerts_url, since="13:15", lasting=">4m").tables[0].rows
    assert long == [row for row in every if row["seconds"] > 240]
    most = ask(server, "alerts", alerts_url, since="13:15", order="highest")
    assert sum(row["alerts"] for row in most.tables[0].rows) == len(every)
    with pytest.raises(CannotAnswerError, match="FLEETSCOPE_ALERTMANAGER_URL"):
        ask(server, "alerts", alerts_url, since="13:15", events="unsilenced")
    with pytest.raises(CannotAnswerError, match="no alert is about in maintenance"):
        ask(server, "alerts", alerts_url, since="13:15", condition="maintenance")


def test_alerts_of_a_period(server: Influx, alerts_url: str) -> None:
    found = ask(server, "alerts", alerts_url, since="13:15")
    assert [(row["site"], row["alert"]) for row in found.tables[0].rows] == [
        ("site_beta", "FleetscopeSiteOffline")
    ]
    assert found.headline == ("1 alert fired, since 13:15; first FleetscopeSiteOffline for Beta.")
    assert ask(server, "alerts", alerts_url, since="13:15", until="13:45").headline.startswith(
        "No alert fired"
    )
    unseen = ask(server, "alerts", alerts_url, since="2026-03-17", until="2026-03-17")
    assert unseen.headline.startswith("Prometheus observed 0 % of the time asked.")


def test_weekly_mute_times_stand_in_the_timeline(server: Influx) -> None:
    answer = ask(server, since="14:55", until="15:10", site="Gamma")
    assert entries(answer) == [
        ("15:00", "site_gamma", "mute"),
        ("15:05", "site_gamma", "mute"),
    ]
    assert answer.tables[0].rows[0]["what"] == "Mute time begins: self test"
    within = ask(server, since="15:02", until="15:04", site="Gamma")
    assert within.tables[1].rows[0]["what"] == "Muted: self test"
    long = ask(server, since="20d", site="Gamma")
    assert "mute" not in {kind for _, _, kind in entries(long)}
    assert any("tuesday, wednesday 15:00 to 15:05" in note for note in long.evidence.notes)


def test_how_long_something_lasted(server: Influx) -> None:
    given = {"since": "13:15", "condition": "offline"}
    long = ask(server, "which", lasting=">5m", **given)
    assert [row["site"] for row in long.tables[0].rows] == ["site_beta"]
    assert long.tables[0].rows[0]["longest"] == 600
    assert (
        "had status OFFLINE for more than 5 min at a stretch, since 13:15; longest Beta with "
        "10 min" in long.headline
    )
    # Twelve minutes in all, but not at a stretch.
    assert not ask(server, "which", lasting=">11m", **given).tables[0].rows
    short = ask(server, "which", lasting="<150s", site="Beta", **given).tables[0].rows
    assert [(row["site"], row["longest"], row["times"]) for row in short] == [("site_beta", 120, 1)]
    hot = ask(server, "which", lasting=">1h", since="13:15", condition="hot").tables[0].rows
    assert [(row["site"], row["ongoing"]) for row in hot] == [("site_delta", "yes")]


def test_what_a_timeline_cannot_show(server: Influx) -> None:
    with pytest.raises(CannotAnswerError, match="roll-ups, which do not hold that period"):
        ask(server, since="60d")
    with pytest.raises(CannotAnswerError, match="is not kept"):
        ask(server, since="1h", condition="!hot")


def test_a_change_of_the_way_in_is_an_entry_of_its_site() -> None:
    columns = ["time", "text"]
    ways = [
        Series({"site": "a"}, columns, [[10.0, "Read over venus-http instead of venus-mqtt"]]),
        Series({"site": "b"}, columns, [[11.0, "Read over push instead of vrm"]]),
    ]
    (entry,) = changes_of_way(ways, {"a"})
    assert (entry.time, entry.site, entry.kind) == (10.0, "a", "way in")
    assert entry.what == "Read over venus-http instead of venus-mqtt"
