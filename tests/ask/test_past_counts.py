"""How often issues began in a period, and who differed from comparable sites in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.ask.answer import CannotAnswerError
from tests.ask.conftest import WALL, judged
from tests.ask.test_past_observed import ask
from tests.serve.api.influx import Influx, influx

pytestmark = pytest.mark.stack

BEGUN = WALL - 7200
# Site, and the seconds before now at which it is away: Beta twice, Gamma once.
AWAY = {"site_beta": ((6600, 6300), (3000, 2700)), "site_gamma": ((3000, 2700),)}
HOT = "depot_south"
EMPTY = {"site_gamma": ((6600, 6300), (3000, 2700)), "school": ((3000, 2700),)}
"""When the battery is at 15 %."""


def lines() -> Iterator[str]:
    for number, site in enumerate(judged().fleet.sites):
        celsius = 41.0 if site.id == HOT else 25.0 + 0.1 * number
        for second in range(int(BEGUN), int(WALL), 10):
            stamp = second * 1000
            spells = AWAY.get(site.id, ())
            since = next((WALL - a for a, b in spells if WALL - a <= second < WALL - b), None)
            load = 500.0 if second < WALL - 600 else 900.0
            yield f"site,site={site.id} online={float(since is None)},load_power_w={load} {stamp}"
            empty = any(WALL - a <= second < WALL - b for a, b in EMPTY.get(site.id, ()))
            soc = 15.0 if empty else 50.0
            battery = f"temperature_c={celsius},soc_percent={soc}"
            yield f"battery,site={site.id},device=b {battery} {stamp}"
            if since is not None:
                yield (
                    f"issue,site={site.id},code=site_offline active=1,severity=3,"
                    f'since={since},sentence="It does not answer" {stamp}'
                )
        for begin, end in AWAY.get(site.id, ()):
            yield (
                f"issue,site={site.id},code=site_offline active=0,severity=3,"
                f'since={WALL - begin},sentence="It does not answer" {int(WALL - end) * 1000}'
            )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write(list(lines()))
        yield made


def test_sites_that_were_offline_twice(server: Influx) -> None:
    once = ask(server, "which sites were offline in the last 2 hours")
    assert {"site_beta", "site_gamma"} <= set(once.sites)
    twice = ask(server, "which sites were offline twice in the last 2 hours")
    assert twice.sites == ("site_beta",)
    assert "at least twice" in twice.headline
    assert "at least twice" in twice.understood
    often = ask(server, "which sites were offline three times in the last 2 hours")
    assert often.sites == ()
    assert "at least 3 times" in often.headline


def test_how_often_a_limit_was_passed(server: Influx) -> None:
    one = ask(server, "how many times did the SOC of Gamma fall below 20 % in the last 2 hours")
    assert (
        one.headline
        == "Gamma had state of charge < 20 % twice, on 1 day and for about 10 min in all, "
        "first at 2026-03-18 13:40, in the last 2 hours."
    )
    (line,) = one.tables[0].rows
    assert line["times"] == 2
    assert line["extreme"] == 15.0
    assert line["first"] == pytest.approx(WALL - 6600, abs=60)
    twice = ask(server, "which sites had an SOC below 20 % twice in the last 2 hours")
    assert twice.sites == ("site_gamma",)
    often = ask(server, "which sites had an SOC below 20 % three times in the last 2 hours")
    assert often.sites == ()
    never = ask(server, "how often did the SOC of Harbour drop below 20 % in the last 2 hours")
    assert "not once" in never.headline
    unseen = ask(server, "how often did the SOC of Gamma drop below 20 % yesterday")
    assert unseen.headline.startswith("Nothing was observed")
    assert "was not seen with" in unseen.headline


def test_sites_that_never_were_so(server: Influx) -> None:
    answer = ask(server, "which sites were never offline in the last 2 hours")
    assert {"site_beta", "site_gamma", "site_epsilon"}.isdisjoint(answer.sites)
    assert "harbour" in answer.sites
    unseen = ask(server, "which sites were never offline yesterday")
    assert unseen.sites == ()
    assert "is not known" in unseen.headline


def test_a_site_that_stood_out(server: Influx) -> None:
    answer = ask(server, "which sites were outliers in temperature in the last 2 hours")
    assert answer.sites == (HOT,)
    (line,) = answer.tables[0].rows
    assert line["value"] == pytest.approx(41.0)
    assert line["z"] > 3.5
    assert "1 for the worse" in answer.headline
    assert answer.coverage is not None
    asked_of_one = ask(server, "was harbour an outlier in temperature in the last 2 hours")
    assert asked_of_one.sites == ()


def test_time_that_was_not_observed_has_no_outliers(server: Influx) -> None:
    with pytest.raises(CannotAnswerError, match="no site can be compared"):
        ask(server, "who was an outlier yesterday")


def test_when_a_metric_was_lowest(server: Influx) -> None:
    found = ask(server, "when was the SOC of Gamma lowest in the last 2 hours")
    assert found.sites == ("site_gamma",)
    assert "it was lowest" in found.headline.lower()
    assert "15 %" in found.headline


def test_when_the_sum_of_the_sites_was_highest(server: Influx) -> None:
    found = ask(server, "at what time was the load of the fleet highest in the last 2 hours")
    assert "the sum of the sites was highest" in found.headline
