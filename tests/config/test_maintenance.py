"""Maintenance windows and mute times: when they hold, what is refused, what Prometheus sees."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.config.maintenance import in_maintenance
from exporter.drivers import DRIVERS
from tests.assess.test_assessment import WALL, fleet, judge, snapshot
from tests.serve.test_metrics import of_site, samples

METRIC = "fleetscope_site_maintenance"


def made(holder: dict[str, Any] | None = None, **site: Any) -> Fleet:
    """A fleet of one site in Madrid, one hour before UTC in winter and two in summer."""
    place = {"id": "a", "api_endpoint": "http://a.example.com", "timezone": "Europe/Madrid"} | site
    return Fleet.model_validate({"sites": [place]} | (holder or {}))


def holds(fleet_: Fleet, moment: str) -> bool:
    return in_maintenance(fleet_, fleet_.sites[0], datetime.fromisoformat(moment).timestamp())


def window(start: str, end: str) -> dict[str, Any]:
    return {"maintenance": [{"start": start, "end": end, "reason": "New inverter"}]}


def test_without_any_it_never_holds() -> None:
    assert not holds(made(), "2026-03-01T08:00Z")


@pytest.mark.parametrize("of_site", [True, False], ids=["of the site", "of the fleet"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-01T09:00", "2026-03-01T11:00"),
        ("2026-03-01T08:00Z", "2026-03-01T10:00Z"),
        ("2026-03-01T03:00-05:00", "2026-03-01T19:00+09:00"),
    ],
    ids=["the site's time", "UTC", "two offsets"],
)
def test_a_window_holds_from_its_start_until_its_end(start: str, end: str, of_site: bool) -> None:
    planned = window(start, end)
    fleet_ = made(**planned) if of_site else made(planned)
    assert not holds(fleet_, "2026-03-01T07:59:59Z")
    assert holds(fleet_, "2026-03-01T08:00:00Z")
    assert holds(fleet_, "2026-03-01T09:59:59Z")
    assert not holds(fleet_, "2026-03-01T10:00:00Z")


def test_a_site_without_a_time_zone_is_in_utc() -> None:
    fleet_ = made(timezone=None, **window("2026-03-01T09:00", "2026-03-01T11:00"))
    assert holds(fleet_, "2026-03-01T10:59Z")
    assert not holds(fleet_, "2026-03-01T08:30Z")


def test_a_window_over_the_end_of_summer_time_lasts_the_hour_longer() -> None:
    # In Madrid the clock goes from 03:00 back to 02:00 at 01:00 UTC on 25 October 2026.
    fleet_ = made(**window("2026-10-25T01:30", "2026-10-25T03:30"))
    assert not holds(fleet_, "2026-10-24T23:29Z")
    assert holds(fleet_, "2026-10-24T23:30Z")
    assert holds(fleet_, "2026-10-25T00:45Z")
    assert holds(fleet_, "2026-10-25T01:45Z")
    assert not holds(fleet_, "2026-10-25T02:30Z")


def mute(start: str, end: str, *days: str) -> dict[str, Any]:
    return {"mute_times": [{"start": start, "end": end} | ({"days": days} if days else {})]}


def test_a_mute_time_holds_every_day_by_the_clock_at_the_site() -> None:
    fleet_ = made(**mute("12:00", "13:30"))
    for moment, expected in (
        ("2026-01-07T10:59Z", False),
        ("2026-01-07T11:00Z", True),
        ("2026-01-07T12:29Z", True),
        ("2026-01-07T12:30Z", False),
        ("2026-07-07T10:00Z", True),
        ("2026-07-07T11:30Z", False),
    ):
        assert holds(fleet_, moment) is expected, moment


def test_a_mute_time_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    fleet_ = made(timezone="UTC", **mute("22:00", "06:00", "saturday"))
    for moment, expected in (
        ("2026-03-06T23:00Z", False),
        ("2026-03-07T05:00Z", False),
        ("2026-03-07T21:59Z", False),
        ("2026-03-07T22:00Z", True),
        ("2026-03-08T05:59Z", True),
        ("2026-03-08T06:00Z", False),
        ("2026-03-08T23:00Z", False),
    ):
        assert holds(fleet_, moment) is expected, moment


def test_the_same_start_and_end_is_a_whole_day() -> None:
    fleet_ = made(timezone="UTC", **mute("08:00", "08:00", "monday"))
    assert not holds(fleet_, "2026-03-02T07:59Z")
    assert holds(fleet_, "2026-03-02T08:00Z")
    assert holds(fleet_, "2026-03-03T07:59Z")
    assert not holds(fleet_, "2026-03-03T08:00Z")


def mistakes(text: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path("fleet.yaml"), DRIVERS)
    return [f"{m.key}: {m.message}" for m in caught.value.mistakes]


def test_what_is_wrong_is_told_with_its_place() -> None:
    moment = (
        "expected a date and time such as 2026-03-01T08:00, with an offset (+01:00, Z) if it is "
        "not the site's own time"
    )
    clock = "expected a time of day from 00:00 to 23:59; put it in quotes"
    assert mistakes(
        """
maintenance:
  - {start: 2026-03-02T08:00, end: 2026-03-02T08:00}
sites:
  - id: a
    api_endpoint: http://a.example.com
    maintenance:
      - {start: tomorrow, end: 12}
      - {start: 2026-03-02T08:00Z, end: 2026-03-03T08:00}
      - {start: 2026-03-02T08:00, raeson: dirt}
    mute_times:
      - {start: "24:00", end: 6}
      - {start: "22:00", end: "06:00", days: []}
"""
    ) == [
        "maintenance[0].end: must be after start",
        f"sites[0].maintenance[0].start: tomorrow: {moment}",
        f"sites[0].maintenance[0].end: 12: {moment}",
        "sites[0].maintenance[1].end: has an offset and start has none, or the other way; give "
        "both or neither",
        "sites[0].maintenance[2].end: is missing; it is required",
        "sites[0].maintenance[2].raeson: unknown key; did you mean reason?",
        f'sites[0].mute_times[0].start: "24:00": {clock}',
        f"sites[0].mute_times[0].end: 6: {clock}",
        "sites[0].mute_times[1].days: an empty list: expected at least one day; leave the key out "
        "for every day",
    ]


def test_times_are_read_with_and_without_quotes() -> None:
    plain, quoted = (
        parse_fleet(
            f"""
sites:
  - id: a
    api_endpoint: http://a.example.com
    maintenance: [{{start: {q}2026-03-01T08:00:00{q}, end: {q}2026-03-02{q}}}]
    mute_times: [{{start: {q}22:00{q}, end: {q}6:30{q}}}]
""",
            Path("fleet.yaml"),
            DRIVERS,
        )
        for q in ("", '"')
    )
    assert plain == quoted
    assert plain.sites[0].maintenance[0].end == datetime(2026, 3, 2)


def test_prometheus_sees_it_only_while_it_holds() -> None:
    start = datetime.fromtimestamp(WALL).astimezone()
    planned = window(start.isoformat(), start.replace(year=start.year + 1).isoformat())
    during = samples(judge(fleet("a", "b", **planned), [snapshot("a", {})]))
    assert of_site(during, "a")[METRIC] == [{"site": "a"}]
    # Whether it answers or not, and before its first scrape.
    assert METRIC in of_site(during, "b")
    planned = window("2001-01-01", "2001-01-02")
    assert METRIC not in of_site(samples(judge(fleet("a", **planned), [snapshot("a", {})])), "a")


def test_an_issue_has_its_value_and_limit_in_base_units() -> None:
    found = samples(judge(fleet("a"), [snapshot("a", {"soh_percent": 68.0})]))
    which = frozenset({("site", "a"), ("code", "battery_soh")})
    assert found["fleetscope_site_issue_value", which] == pytest.approx(0.68)
    assert found["fleetscope_site_issue_threshold", which] == pytest.approx(0.70)
    hot = samples(judge(fleet("a"), [snapshot("a", {"temperature_c": 47.5})]))
    which = frozenset({("site", "a"), ("code", "battery_temperature")})
    assert hot["fleetscope_site_issue_value", which] == 47.5
    assert hot["fleetscope_site_issue_threshold", which] == 45.0


def test_an_issue_without_a_value_has_none() -> None:
    found = of_site(samples(judge(fleet("a"), [snapshot("a", None)])), "a")
    assert [i["code"] for i in found["fleetscope_site_issue"]] == ["battery_silent"]
    assert "fleetscope_site_issue_value" not in found


def test_a_reload_with_new_windows_keeps_what_is_known() -> None:
    state = FleetState(fleet("a"), 10.0)
    state.apply(snapshot("a", {}), 1000.0)
    state.reconfigure(fleet("a", **window("2026-03-01T08:00Z", "2026-03-01T10:00Z")))
    assert state.up.tolist() == [1.0]
