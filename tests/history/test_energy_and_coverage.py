"""Energy and coverage of a period: exact on gaps and part windows, out of detail and roll-ups."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import pytest

from exporter.history.coverage import Coverage, coverage, percent_words
from exporter.history.energy import Energy, Question, energy_of_counter, energy_of_power
from exporter.history.influxql import InfluxQL
from exporter.model.levels import DAY
from tests.serve.api.influx import Influx, influx
from tests.service_process import command, environment

START = 20_400 * DAY
HOUR = 3600
OBSERVED = ((13 * HOUR + 9 * 60, 20 * HOUR), (DAY + 6 * HOUR, DAY + 6 * HOUR + 1000))
"""When the exporter ran: from 13:09 to 20:00, and a quarter of an hour on the next day."""
WATTS = 3600.0


def lines() -> Iterator[str]:
    for begin, end in OBSERVED:
        for second in range(begin, end, 10):
            stamp = (START + second) * 1000
            # A bad sample now and then, and one site that never answers.
            counter = 0.0 if second % 3000 == 10 else 1000 + second / HOUR
            yield f"site,site=alpha online=1,pv_power_w={WATTS},grid_import_kwh={counter} {stamp}"
            if second % 300 == 0:
                yield f"site,site=beta online=0 {stamp}"


@pytest.fixture(scope="module", params=["detail", "rolled"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write(list(lines()))
        if request.param == "rolled":
            settings = {f"influxdb_retention{which}": "inf" for which in ("", "_5m", "_15m")}
            subprocess.run(
                command("rollup"),
                env=environment(influxdb_url=made.url, influxdb_api="v1", **settings),
                capture_output=True,
                check=True,
            )
        yield made


def covered(server: Influx, begin: float, end: float) -> Coverage:
    async def ask() -> Coverage:
        stored = InfluxQL(server.url, "fleet", {})
        try:
            return await coverage(stored, ["alpha", "beta", "gamma"], START + begin, START + end)
        finally:
            await stored.close()

    return asyncio.run(ask())


def energy(server: Influx, field: str, begin: float, end: float, step: int = 900) -> Energy | None:
    async def ask() -> Energy | None:
        stored = InfluxQL(server.url, "fleet", {})
        question = Question("site", field, START + begin, START + end, None, 1, step)
        read = energy_of_power if field.endswith("_w") else energy_of_counter
        try:
            found, _ = await read(stored, question)
            return found.get(("alpha", ""))
        finally:
            await stored.close()

    return asyncio.run(ask())


def seconds_between(begin: float, end: float) -> float:
    return sum(max(0.0, min(end, b) - max(begin, a)) for a, b in OBSERVED)


PERIODS = [
    (0, DAY),
    (13 * HOUR, 14 * HOUR),
    (13 * HOUR + 600, 13 * HOUR + 720),
    (17 * HOUR + 47, 18 * HOUR + 1234),
    (19 * HOUR, DAY + 12 * HOUR),
    (-5 * DAY, 2 * DAY),
    (2 * DAY, 3 * DAY),
]


@pytest.mark.stack
@pytest.mark.parametrize(("begin", "end"), PERIODS)
def test_energy_is_that_of_the_observed_part_of_exactly_the_period(
    server: Influx, begin: float, end: float
) -> None:
    seconds = seconds_between(begin, end)
    found = energy(server, "pv_power_w", begin, end)
    if not seconds:
        assert found is None
        return
    assert found is not None
    # Samples are 10 s apart: an edge of the observed time is known to one of them.
    assert found.seconds == pytest.approx(seconds, abs=20)
    assert found.kwh == pytest.approx(found.seconds * WATTS / 3.6e6)
    assert found.kwh == pytest.approx(found.steps_kwh.sum())


@pytest.mark.stack
def test_the_last_seven_days_are_what_their_days_are_together(server: Influx) -> None:
    days = [energy(server, "pv_power_w", n * DAY, (n + 1) * DAY) for n in range(-5, 2)]
    week = energy(server, "pv_power_w", -5 * DAY, 2 * DAY)
    assert week is not None
    assert week.kwh == pytest.approx(sum(day.kwh for day in days if day is not None))


@pytest.mark.stack
def test_bad_samples_of_a_counter_add_nothing_and_a_gap_is_bridged(server: Influx) -> None:
    found = energy(server, "grid_import_kwh", 0, 2 * DAY)
    assert found is not None
    first, last = OBSERVED[0][0], OBSERVED[-1][1] - 10
    assert found.kwh == pytest.approx((last - first) / HOUR, abs=0.01)
    assert found.glitches == sum(
        second % 3000 == 10 for a, b in OBSERVED for second in range(a, b, 10)
    )


@pytest.mark.stack
@pytest.mark.parametrize(("begin", "end"), PERIODS)
def test_coverage_is_the_time_in_which_a_site_was_polled(
    server: Influx, begin: float, end: float
) -> None:
    found = covered(server, begin, end)
    # The last poll observes for ten minutes at most.
    held = sum(max(0.0, min(end, b + 600) - max(begin, b)) for _, b in OBSERVED)
    for site in ("alpha", "beta"):
        assert seconds_between(begin, end) - 310 <= found.seconds[site]
        assert found.seconds[site] <= seconds_between(begin, end) + held + 1
    assert found.seconds["gamma"] == 0
    assert found.asked_seconds == end - begin
    if begin == 2 * DAY:
        assert (found.share, found.enough) == (0, False)
        assert found.sentence() == "Nothing was observed in the 24 h asked about."


def test_what_was_observed_in_words() -> None:
    found = Coverage(0, 43_200, {"a": 26.0, "b": 26.0})
    assert found.sentence().startswith("Observed 0.06 % of the time asked (26 s of 12 h a site)")
    assert found.below() == ["a", "b"]
    assert Coverage(0, 7200, {"a": 7200.0}).sentence() == "Observed all of the 2 h asked about."
    assert "less than 50 % at 1 of 2 sites" in Coverage(0, 100, {"a": 100.0, "b": 10.0}).sentence()


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.000001, "less than 0.01 %"), (0.0006, "0.06 %"), (0.31, "31 %"), (0.99999, "99.99 %"),
     (1.0, "100 %"), (0.9167, "92 %"), (0.05, "5.0 %")],
)  # fmt: skip
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, words: str) -> None:
    assert percent_words(share) == words


EACH = 300
ROLLED = {"north": (0, 12), "south": (2, 12), "east": (0, 7), "west": (0, 11), "new": (0, 0)}
"""First and last (not included) window of five minutes that is made already, by site."""


@pytest.fixture(scope="module")
def in_the_making(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """An hour of five sites while its roll-ups are made, site by site.

    The newest window of each was made after its first ten seconds. One more site answered in the
    first half hour only, all of which is made.
    """
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.query('CREATE RETENTION POLICY "rollup_5m" ON "fleet" DURATION INF REPLICATION 1')
        sites = ROLLED | {"gone": (0, 6)}
        for site, (first, last) in sites.items():
            polled = 1800 if site == "gone" else HOUR
            stamps = (1000 * (START + second) for second in range(0, polled, 10))
            made.write(
                [f"site,site={site} online=1,pv_power_w={WATTS} {stamp}" for stamp in stamps]
            )
            rows = []
            for window in range(first, last):
                known = 10 if window == last - 1 and site != "gone" else EACH
                rows.append(
                    f"site,site={site} online_max=1,online_min=1,online_1_s={known},"
                    f"pv_power_w_mean={WATTS},pv_power_w_wh={WATTS * known / HOUR},"
                    f"pv_power_w_seconds={known} {1000 * (START + window * EACH)}"
                )
            if rows:
                made.write(rows, "rollup_5m")
        yield made


@pytest.mark.stack
@pytest.mark.parametrize("behind", ["north", "south", "east", "west", "new", "gone"])
def test_a_site_whose_rollups_are_behind_is_as_known_as_the_others(
    in_the_making: Influx, behind: str
) -> None:
    sites = ["north", behind]

    async def ask() -> tuple[Coverage, dict[tuple[str, str], Energy]]:
        stored = InfluxQL(in_the_making.url, "fleet", {})
        question = Question("site", "pv_power_w", START, START + HOUR, sites, 2, EACH)
        try:
            found = await coverage(stored, sites, START, START + HOUR)
            return found, (await energy_of_power(stored, question))[0]
        finally:
            await stored.close()

    seen, energies = asyncio.run(ask())
    known = {"north": HOUR, behind: 1800 if behind == "gone" else HOUR}
    assert any("rollup_5m" in text for text in seen.statements) is (behind != "new")
    for site, seconds in known.items():
        assert energies[site, ""].kwh == pytest.approx(seconds * WATTS / 3.6e6, rel=0.01)
        assert seen.seconds[site] == pytest.approx(seconds, abs=0.1)
