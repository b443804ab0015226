"""The catalogue, and the header that every dashboard has from it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from grafana.generate import FOLDER, all_panels, dashboards
from grafana.kit.catalogue import FILE, Entry, catalogue, homes

MADE = dashboards()
ENTRIES = list(catalogue().values())
EACH = pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.uid) for entry in ENTRIES])
OF_TODAY = {
    "fleetscope-overview",
    "fleetscope-site",
    "fleetscope-cells",
    "fleetscope-pack",
    "fleetscope-meters",
    "fleetscope-compare",
    "fleetscope-collection",
}
FOLDERS = ("Fleet", "Site", "Battery", "Energy", "Portfolio", "Dispatch", "System")
MOST_OPEN = 14
HEADER_ROWS = 3


def header(uid: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Text and tiles of a dashboard's header."""
    text, tiles = MADE[uid]["panels"][:2]
    return text, tiles


def test_the_catalogue_is_what_is_made() -> None:
    assert set(MADE) == set(catalogue())
    assert {path.stem for path in FOLDER.rglob("*.json")} == set(catalogue())


def test_addresses_that_messages_link_to_stay_and_new_ones_name_domain_and_view() -> None:
    assert set(catalogue()) >= OF_TODAY
    domains = "|".join(folder.lower() for folder in FOLDERS)
    for uid in set(catalogue()) - OF_TODAY:
        assert re.fullmatch(rf"fleetscope-({domains})-[a-z]+", uid)


def test_a_title_names_domain_and_question_and_the_folder_is_the_domain() -> None:
    for entry in ENTRIES:
        assert entry.title.startswith(f"{entry.pack} · ")
        assert entry.pack in FOLDERS
        assert (FOLDER / entry.pack / f"{entry.uid}.json").is_file()


def test_titles_and_questions_are_unique() -> None:
    assert len({entry.title for entry in ENTRIES}) == len(ENTRIES)
    assert len({entry.decision for entry in ENTRIES}) == len(ENTRIES)


@EACH
def test_the_header_is_three_rows_and_comes_first(entry: Entry) -> None:
    text, tiles = header(entry.uid)
    assert text["type"] == "text"
    assert tiles["type"] == "stat"
    assert text["gridPos"]["h"] == tiles["gridPos"]["h"] == HEADER_ROWS
    assert text["gridPos"]["w"] + tiles["gridPos"]["w"] == 24
    assert min(p["gridPos"]["y"] for p in MADE[entry.uid]["panels"][2:]) == HEADER_ROWS


@EACH
def test_the_header_says_for_whom_which_decision_as_of_when_and_how_old(entry: Entry) -> None:
    content = header(entry.uid)[0]["options"]["content"]
    for said in (*entry.personas, entry.decision, "${__to:date", "${data_age}"):
        assert said in content


@EACH
def test_the_header_has_four_tiles_that_never_vanish(entry: Entry) -> None:
    _, tiles = header(entry.uid)
    assert len(tiles["targets"]) == 4
    # InfluxQL has no value that stands for none: a figure of the portfolio is left out without one.
    asked = [target["expr"] for target in tiles["targets"] if "expr" in target]
    assert len(asked) == (2 if entry.scope == "portfolio" else 4)
    assert all(text.endswith("or vector(0) / 0") for text in asked)
    names = [target.get("legendFormat") or target["alias"] for target in tiles["targets"]]
    assert names[1:] == [entry.headline.name, "Pages", "Data age"]
    assert all(len(name) <= 12 for name in names), "longer names are cut on a phone"
    linked = {
        override["matcher"]["options"]
        for override in tiles["fieldConfig"]["overrides"]
        for quality in override["properties"]
        if quality["id"] == "links"
    }
    assert linked == set(names), "every figure leads to what it counts"


@EACH
def test_links_lead_to_every_neighbour_and_keep_time_and_site(entry: Entry) -> None:
    content = header(entry.uid)[0]["options"]["content"]
    links = dict(re.findall(r'href="/d/([a-z-]+)\?([^"]+)"', content))
    assert set(links) == {*entry.up, *entry.across, *entry.down}
    for uid, query in links.items():
        assert "${__url_time_range}" in query
        if {entry.scope, catalogue()[uid].scope} <= {"site", "battery", "group"}:
            assert "${site:queryparam}" in query


def test_every_dashboard_is_reached_from_triage() -> None:
    reached, ahead = set(), ["fleetscope-overview"]
    while ahead:
        uid = ahead.pop()
        if uid not in reached:
            reached.add(uid)
            entry = catalogue()[uid]
            ahead += [*entry.up, *entry.across, *entry.down]
    assert reached == set(catalogue())


@EACH
def test_every_kpi_is_a_panel_that_asks_for_something(entry: Entry) -> None:
    by_title = {panel.get("title"): panel for panel in all_panels(MADE[entry.uid])}
    for kpi, title in entry.kpis.items():
        assert by_title[title]["targets"], kpi


@EACH
def test_sources_are_those_that_its_panels_ask(entry: Entry) -> None:
    kinds = {
        target["datasource"]["type"]
        for panel in list(all_panels(MADE[entry.uid]))[2:]
        for target in panel.get("targets", [])
    }
    assert kinds == {source.lower() for source in entry.sources}


@EACH
def test_at_most_fourteen_panels_are_open(entry: Entry) -> None:
    shown = [panel for panel in MADE[entry.uid]["panels"] if panel["type"] != "row"]
    assert len(shown) <= (12 if entry.uid == "fleetscope-site" else MOST_OPEN)
    rows = [panel for panel in MADE[entry.uid]["panels"] if panel["type"] == "row"]
    assert all(row["collapsed"] and row["panels"] for row in rows)


def test_an_incomplete_entry_is_refused() -> None:
    rows = yaml.safe_load(FILE.read_text("utf-8"))["dashboards"]
    whole = rows[0]
    Entry.model_validate(whole)
    assert "suite" not in whole
    for key in whole:
        with pytest.raises(ValueError, match=key):
            Entry.model_validate({name: value for name, value in whole.items() if name != key})
    with pytest.raises(ValueError, match="decision"):
        Entry.model_validate(whole | {"decision": "Who is first"})
    with pytest.raises(ValueError, match="colour"):
        Entry.model_validate(whole | {"colour": "red"})


def test_the_portfolio_has_fourteen_dashboards_in_three_suites_and_a_home() -> None:
    own = [entry for entry in ENTRIES if entry.pack == "Portfolio"]
    suites = [entry.suite for entry in own]
    counts = {suite: suites.count(suite) for suite in ("Owner", "Controller", "Combined", None)}
    assert counts == {"Owner": 5, "Controller": 5, "Combined": 4, None: 1}


def test_the_home_of_the_portfolio_leads_each_persona_to_their_own_three() -> None:
    (home,) = [entry for entry in ENTRIES if entry.uid == "fleetscope-portfolio-home"]
    text = json.dumps(MADE[home.uid], ensure_ascii=False)
    named = {
        (persona, entry.uid)
        for entry in ENTRIES
        if entry.suite is not None
        for persona in entry.personas
    }
    assert named == {(who, entry.uid) for who, three in homes().items() for entry in three}
    for entry in ENTRIES:
        if entry.suite is not None:
            assert f"/d/{entry.uid}?" in text
            assert entry.decision in text


def test_the_home_of_grafana_is_triage() -> None:
    root = FILE.parents[1]
    home = "Fleet/fleetscope-overview.json"
    assert (FOLDER / home).is_file()
    assert f"fleetscope-dashboards/{home}" in (root / "docker-compose.yml").read_text("utf-8")


def test_the_document_names_every_dashboard() -> None:
    text = (FILE.parents[1] / "docs" / "dashboards.md").read_text("utf-8")
    for entry in ENTRIES:
        assert f"| **{entry.title}** |" in text
        assert f"/d/{entry.uid}" in text
        assert entry.decision in text


def test_nothing_is_fetched_from_elsewhere() -> None:
    assert not re.findall(r"https?://", json.dumps(MADE))
