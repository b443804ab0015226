"""The search for sites: parts of anything that is shown, words, and what comes near."""

from __future__ import annotations

import pytest

from exporter.ask.search import SiteSearch
from tests.serve.api.served import ServedFleet, plan


@pytest.fixture(scope="module")
def fleet() -> ServedFleet:
    found = ServedFleet(plan(12))
    found.scrape(s0003=None, s0007={"soh_percent": 65.0})
    return found


def ids(fleet: ServedFleet, text: str, *, near: bool = True) -> list[str]:
    found = SiteSearch().find(fleet.latest, text, near=near)
    return [fleet.fleet.sites[row].id for row in found.rows]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("offline", ["s0003"]),
        ("OFFLINE", ["s0003"]),
        ("critical", ["s0007"]),
        ("offline high", ["s0003"]),
        ("sohne", ["s0001"]),
        ("Town 7", ["s0007"]),
        ("alpha critical", []),
        ("beta critical", ["s0007"]),
    ],
)
def test_status_and_words(fleet: ServedFleet, text: str, wanted: list[str]) -> None:
    assert ids(fleet, text, near=False) == wanted


def test_battery_types(fleet: ServedFleet) -> None:
    assert set(ids(fleet, "LFP 10")) == {"s0001", "s0004", "s0007", "s0010"}


def test_no_text_is_every_site_worst_first(fleet: ServedFleet) -> None:
    assert ids(fleet, " ")[:2] == ["s0003", "s0007"]
    assert len(ids(fleet, "")) == 12


def test_near_misses_are_named(fleet: ServedFleet) -> None:
    found = SiteSearch().find(fleet.latest, "ofline")
    assert [fleet.fleet.sites[row].id for row in found.rows] == ["s0003"]
    assert found.meant == ("offline",)
    assert SiteSearch().find(fleet.latest, "ofline", near=False).rows == ()
    assert SiteSearch().find(fleet.latest, "wholly unknown words").rows == ()


def test_a_search_follows_the_fleet() -> None:
    fleet, search = ServedFleet(plan(3)), SiteSearch()
    fleet.scrape()
    assert search.find(fleet.latest, "s0002").rows == (2,)
    fleet.reconfigure(plan(2))
    assert search.find(fleet.latest, "s0002", near=False).rows == ()
