"""The generated dashboards: committed as they are made, complete, and true to the schema."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.energy.stored_fields import STORED
from exporter.history.cells.wear import MEANINGS as WEAR
from exporter.history.rollups.fields import FIELDS, POWERS
from exporter.model.quantities import (
    BATTERY_QUANTITIES,
    KEPT,
    METER_QUANTITIES,
    QUANTITIES,
    SITE_QUANTITIES,
)
from exporter.model.snapshot import BatterySnapshot, Cells, Outcome, Snapshot
from exporter.portfolio.measurements import MEASUREMENTS
from exporter.serve.metric_families import FAMILIES, PREFIX
from exporter.store.cell_cadence import CellStore
from exporter.store.line_protocol import assessment_lines, snapshot_lines
from grafana.generate import all_panels, dashboards, files, main, stale
from grafana.kit.levels import DETAILS, cadence_query
from scoring.rules import RULES as SCORING_RULES
from scoring.status import STATUSES

ROOT = Path(__file__).parents[2]
RULES = ROOT / "provisioning" / "prometheus" / "rules"
FOREIGN_METRICS = {
    "up": "Prometheus's own, of every target",
    "scrape_duration_seconds": "Prometheus's own, of every target",
    "ALERTS": "Prometheus's own, of every alert",
    "process_cpu_seconds_total": "the client library's",
    "process_resident_memory_bytes": "the client library's",
}
_PLAN_TILES = {"saving", "cost", "plain_cost", "wear", "plain_wear", "stored", "plain_stored"}
_PV_TILES = (
    *("measured_kwh", "expected_kwh", "low_kwh", "high_kwh"),
    *("performance_ratio", "insolation_kwh_m2"),
)
ORDER_FIELDS = (
    *("wanted_w", "allowed_w", "measured_w", "written_w"),
    *("order", "dispatch", "action", "issuer", "actor", "reason"),
)
"""As exporter/control/order_log.py writes them; tests/control holds that against real orders."""
UNUSED_FIELDS = {
    ("order", "source"): "Dispatch · Orders takes it from Prometheus",
    ("order", "written_w"): "evidence; fleetscope explain shows it",
    ("order", "order"): "an id, for fleetscope explain",
    ("order", "dispatch"): "an id, for fleetscope explain",
    ("order", "actor"): "the dispatcher in nearly every row",
    ("site", "outcome"): "the dashboards count outcomes in Prometheus, which has every scrape",
    ("health", "status"): "the dashboards take the status from Prometheus",
    ("health", "coverage"): "the dashboards take the coverage from Prometheus",
    ("wear", "seen_days"): "the same for every pack, but for a new one",
    ("issue", "value"): "part of the sentence, with its unit",
    ("issue", "threshold"): "part of the sentence, with its unit",
    ("meter", "interval_import_kwh"): "imported files hold it; the boards show counters and powers",
    ("meter", "interval_export_kwh"): "imported files hold it; the boards show counters and powers",
}
UNUSED_FIELDS |= {
    **dict.fromkeys(
        (
            ("plan_summary", name)
            for name in STORED["plan_summary"].fields
            if name not in _PLAN_TILES
        ),
        "fleetscope plan and the API give it; the dashboard shows the saving and its parts",
    ),
    ("forecast_score", "slots"): "how many quarter hours a score is of; the API gives it",
    ("forecast", "method"): "the table of scores says which method serves",
    ("plan", "import_w"): "the API gives it; the battery is what a plan decides",
    ("plan", "export_w"): "the API gives it; the battery is what a plan decides",
    ("price", "price"): "a plan has the prices of its site",
    ("price", "seconds"): "a plan has the prices of its site",
    ("price", "series"): "a plan has the prices of its site",
    **dict.fromkeys(
        (("weather", name) for name in ("place", *STORED["weather"].fields)),
        "a site's expectation is made of it; the dashboard shows that",
    ),
    **dict.fromkeys(
        (("pv_inverter", name) for name in ("site", "inverter", *STORED["pv_inverter"].fields)),
        "fleetscope energy --pv gives it; the dashboard has the power of each inverter",
    ),
    **dict.fromkeys(
        (("pv_day", name) for name in STORED["pv_day"].fields if name not in _PV_TILES),
        "fleetscope energy --pv and the API give it",
    ),
    **dict.fromkeys(
        (("weather_ahead", n) for n in ("place", "lead", *STORED["weather_ahead"].fields)),
        "forecasts are made of it; the dashboard shows those",
    ),
    ("plan_result", "possible"): "what was saved and the two that were missed add up to it",
    ("plan_result", "coverage"): "days of which too little was observed are not there",
    ("plan_result", "currency"): "the tariff file has one currency",
    ("pv_expected", "poa_w_m2"): "the expectation is made of it",
    ("pv_loss", "currency"): "the tariff file has one currency",
}
NOT_IN_DASHBOARDS = {
    "access_config_last_reload_successful": "an alert watches it, the log says what is wrong",
    "cell_analysis_interval_seconds": "of the exporter's own doings; alerts watch it",
    "cell_analysis_timestamp_seconds": "an alert watches it",
    "fleet_file_sites": "an alert compares it over the shards",
    "order_persistent_end_timestamp_seconds": "an alert watches it",
    "orders_in_force": "an alert watches it; dashboards count the orders that are in force",
    "site_rank": "the order of attention that dashboards sort by is recorded from it",
    "site_issue_value": "alerts put it in words; dashboards show the sentence out of InfluxDB",
    "device_alarm_level": "alerts name it; dashboards show the sentence out of InfluxDB",
    "site_issue_threshold": "alerts put it in words; dashboards show the sentence out of InfluxDB",
}


MADE = dashboards()


@pytest.fixture
def made() -> dict[str, dict[str, Any]]:
    return MADE


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that shows data."""
    for panel in all_panels(dashboard):
        if panel["type"] not in ("row", "text"):
            yield panel


ALL = [(uid, panel) for uid, dashboard in MADE.items() for panel in panels(dashboard)]
EACH = pytest.mark.parametrize(
    "panel", [pytest.param(panel, id=f"{uid}: {panel['title']}") for uid, panel in ALL]
)


def queries(kind: str) -> list[str]:
    """Every query to one kind of data source: panels, variables and annotations."""
    found = []
    for dashboard in MADE.values():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    found.append(str(target["expr" if kind == "prometheus" else "query"]))
        for variable in dashboard["templating"]["list"]:
            if (variable["type"] == "query" and variable["datasource"]["type"] == kind) or variable[
                "type"
            ] == "custom":
                found.append(str(variable["query"]))
        for note in dashboard["annotations"]["list"]:
            if note.get("datasource", {}).get("type") == kind:
                found.append(str(note["expr"]))
    return found


def recorded() -> set[str]:
    """Names of recording rules."""
    names = set()
    for path in RULES.glob("*.yml"):
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            names |= {rule["record"] for rule in group["rules"] if "record" in rule}
    return names


def schema() -> dict[str, set[str]]:
    """Tags and fields by measurement, of lines that the exporter makes itself."""
    every = dict.fromkeys(SITE_QUANTITIES, 1.0)
    battery = BatterySnapshot(
        "b",
        True,
        dict.fromkeys(BATTERY_QUANTITIES, 1.0) | {"soh_percent": 60.0},
        "C1",
        "C2",
        Cells(("1",), (3.3,), (20.0,)),
    )
    snapshot = Snapshot(
        "a",
        1.78e9,
        0.1,
        Outcome.OK,
        readings=every,
        batteries=(battery,),
        alarms={"b": {"LowVoltage": 2}},
        implausible=(),
    )
    site = {"id": "a", "api_endpoint": "http://a.example.com", "latitude": 40.0, "longitude": 0.0}
    state = FleetState(Fleet.model_validate({"sites": [site | {"solar_capacity_kw": 5}]}), 10.0)
    state.apply(snapshot, 1000.0)
    lines = snapshot_lines(snapshot) + assessment_lines(assess(state, 1000.0, 1.78e9), [])
    lines += CellStore(0.0, None, 0.0).lines(snapshot, every=False)
    found: dict[str, set[str]] = {}
    for line in lines:
        names, rest = line.split(" ", 1)
        measurement, *tags = names.split(",")
        fields = re.sub(r'"(?:[^"\\]|\\.)*"', '""', rest).rsplit(" ", 1)[0].split(",")
        known = found.setdefault(measurement, set())
        known |= {pair.partition("=")[0] for pair in (*tags, *fields)}
    found["order"] = {"site", "source", "state", *ORDER_FIELDS}
    found["site"].add("pv_expected_w")
    # Only imports write it.
    found["meter"] = {"site", "meter", *METER_QUANTITIES}
    # Takes days of history.
    found["wear"] = {"site", "pack", *WEAR}
    found |= {name: {*stored.tags, *stored.fields} for name, stored in STORED.items()}
    for name, measurement in MEASUREMENTS.items():
        found.setdefault(name, set()).update(measurement.tags, measurement.fields)
    return found


def test_committed_files_are_what_is_generated() -> None:
    assert stale() == [], "run `python -m grafana`"


def test_the_bytes_never_vary() -> None:
    def in_a_new_process() -> str:
        code = "from grafana.generate import files; print(''.join(files().values()))"
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True, env={}
        ).stdout

    assert in_a_new_process() == "".join(files().values()) + "\n"


def test_check_notices_a_difference_and_a_file_of_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("grafana.generate.FOLDER", tmp_path)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    changed = tmp_path / "Site" / "fleetscope-site.json"
    changed.write_text(changed.read_text("utf-8").replace("now-6h", "now-5h"), "utf-8")
    (tmp_path / "stray.json").write_text("{}", "utf-8")
    capsys.readouterr()
    assert main(["--check"]) == 1
    printed = capsys.readouterr().err
    assert "fleetscope-site.json" in printed
    assert "stray.json" in printed
    assert "fleetscope-cells.json" not in printed


def test_links_lead_to_dashboards_that_exist(made: dict[str, dict[str, Any]]) -> None:
    text = json.dumps(made) + "".join(p.read_text("utf-8") for p in RULES.glob("*.yml"))
    linked = set(re.findall(r"/d/([a-z-]+)", text))
    assert linked <= set(made)
    assert {"fleetscope-site", "fleetscope-cells"} <= linked


def test_links_to_other_dashboards_keep_the_time_range(made: dict[str, dict[str, Any]]) -> None:
    urls = re.findall(r'"(/d/[^"]+)"', json.dumps(made))
    assert urls
    # An event brings a time range of its own.
    assert all("${__url_time_range}" in url or "?from=${__data" in url for url in urls)


@EACH
def test_a_panel_with_a_time_range_of_its_own_has_no_links(panel: dict[str, Any]) -> None:
    # Grafana fills in no time range there.
    if "timeFrom" in panel:
        assert "url_time_range" not in json.dumps(panel)


@EACH
def test_a_panel_says_what_it_shows_in_which_unit_and_why_it_may_be_empty(
    panel: dict[str, Any],
) -> None:
    assert len(panel["description"]) > 20
    assert panel["description"].endswith((".", "…"))
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["noValue"]
    assert "no data" not in defaults["noValue"].lower()
    assert panel["targets"]


@EACH
def test_a_gap_stays_a_gap(panel: dict[str, Any]) -> None:
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    if panel["type"] in ("timeseries", "state-timeline"):
        assert not custom.get("spanNulls", False)
    for target in panel["targets"]:
        assert "fill(0)" not in target.get("query", "")
        assert "fill(previous)" not in target.get("query", "")
        assert "fill(linear)" not in target.get("query", "")


@EACH
def test_a_panel_that_follows_the_range_has_the_least_interval_of_its_level(
    panel: dict[str, Any],
) -> None:
    for target in panel["targets"]:
        query = target.get("query", "")
        levels = [detail for detail in DETAILS if f'"${detail.name}"' in query]
        assert len(levels) <= 1
        # Without an empty bucket between two windows there is no gap to be drawn.
        if levels and "$__interval" in query and "fill(none)" not in query:
            assert panel["interval"] == levels[0].interval


@EACH
def test_a_share_or_score_has_its_whole_range(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    if panel["type"] == "timeseries" and defaults["unit"] == "percent":
        assert (defaults["min"], defaults["max"]) == (0, 100)
    if panel["type"] == "bargauge":
        assert defaults["min"] == 0


@EACH
def test_queries_name_only_provisioned_sources_and_no_flux(panel: dict[str, Any]) -> None:
    refs = [target["refId"] for target in panel["targets"]]
    assert len(refs) == len(set(refs))
    for target in panel["targets"]:
        assert target["datasource"]["uid"] in provisioned()
        assert "|>" not in json.dumps(target)


def provisioned() -> set[str]:
    text = (ROOT / "provisioning/grafana/datasources/fleetscope.yml").read_text("utf-8")
    return {source["uid"] for source in yaml.safe_load(text)["datasources"]}


def test_panels_do_not_overlap_and_fill_the_grid(made: dict[str, dict[str, Any]]) -> None:
    for uid, dashboard in made.items():
        places = [panel["gridPos"] for panel in all_panels(dashboard)]
        for a, b in combinations(places, 2):
            apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
            assert apart_x or apart_y, uid
        assert all(place["x"] + place["w"] <= 24 for place in places)
        ids = [panel["id"] for panel in all_panels(dashboard)]
        assert len(ids) == len(set(ids))


def test_titles_are_unique_within_a_dashboard(made: dict[str, dict[str, Any]]) -> None:
    for dashboard in made.values():
        titles = [panel["title"] for panel in panels(dashboard) if panel["title"]]
        assert len(titles) == len(set(titles))


def test_every_variable_is_used(made: dict[str, dict[str, Any]]) -> None:
    for uid, dashboard in made.items():
        variables = dashboard["templating"]["list"]
        text = json.dumps([dashboard["panels"], *(v.get("query", "") for v in variables)])
        for variable in variables:
            assert re.search(rf"\$\{{?{variable['name']}\b", text), f"{uid}: {variable['name']}"


def test_every_metric_that_is_asked_for_exists() -> None:
    # What stands in quotation marks is a value of a label, not a metric.
    text = " ".join(re.sub(r'"[^"]*"', '""', query) for query in queries("prometheus"))
    asked = set(re.findall(rf"{PREFIX}\w+|fleet:[a-z_:]+", text))
    exposed = {PREFIX + name for name in FAMILIES}
    assert asked - exposed - recorded() == set()
    others = set(re.findall(r"\b(?:process|python|scrape|up|ALERTS)\w*(?=\s*[{(])", text))
    assert others == set(FOREIGN_METRICS)


def test_every_exposed_metric_is_used_or_named_with_a_reason() -> None:
    text = " ".join(queries("prometheus"))
    rules = " ".join(path.read_text("utf-8") for path in RULES.glob("*.yml"))
    unused = {name for name in FAMILIES if not re.search(rf"\b{PREFIX}{name}\b", text)}
    assert unused == set(NOT_IN_DASHBOARDS)
    assert {name for name in unused if not re.search(rf"\b{PREFIX}{name}\b", rules)} == set()


def test_every_recording_rule_of_the_fleet_is_used() -> None:
    own = (RULES / "fleet-recording.yml").read_text("utf-8")
    expressions = [
        rule["expr"] for group in yaml.safe_load(own)["groups"] for rule in group["rules"]
    ]
    others = [p.read_text("utf-8") for p in RULES.glob("*.yml") if p.stem != "fleet-recording"]
    text = " ".join((*queries("prometheus"), *expressions, *others))
    names = set(re.findall(r"record: (\S+)", own))
    assert names
    assert {name for name in names if not re.search(rf"{re.escape(name)}(?![\w:])", text)} == set()


# The row of nobody, which keeps the columns of a table.
NOBODY = r', \(SELECT [^()]* FROM "rollup_1d"\."level" [^()]*\)'


def influx_names() -> Iterator[tuple[str, str]]:
    """(measurement, name) for every tag and field that an InfluxQL query names."""
    made_of_levels = {cadence_query(), *(detail.query for detail in DETAILS)}
    for query in (re.sub(NOBODY, "", asked) for asked in queries("influxdb")):
        if not query.startswith(("SELECT", "SHOW")):
            continue
        if query in made_of_levels:
            continue
        measurement = re.search(r'FROM (?:"(\$?\w+)"\.)?"(\w+)"(?!\.)', query)
        if measurement is None:
            assert re.search(r'FROM (?:"raw"\.)?/\^\((site\|battery|battery\|cell)\)\$/', query)
            continue
        for name, kept in re.findall(r"/\^(\w+)\(_(\$?\w+)\)\?\$/", query):
            yield measurement[2], name
            for each in ("mean", "min", "max") if kept == "$kept" else (kept,):
                yield measurement[2], f"{name}_{each}"
        own_names = set(re.findall(r'AS "(\w+)"', query))
        # Cells may come with the packs of a roll-up, or with their history.
        others = re.findall(r'SELECT ((?:(?!SELECT).)*?) FROM "\$\w+"\."(pack|wear)"', query)
        for part, other in others:
            for name in set(re.findall(r'"(\w+)"', part)) - own_names:
                yield other, name
        of_packs = re.compile("|".join(re.escape(part) for part, _ in others) or "$")
        for name in re.findall(r'(?<!\.)"(\w+)"(?!\.)', of_packs.sub("", query)):
            if name not in own_names | {measurement[2], "raw"}:
                yield measurement[2], name


def kept() -> dict[str, set[str]]:
    """Fields of roll-ups by measurement."""
    return {
        measurement: {f"{name}_{suffix}" for name, kind in fields.items() for suffix in KEPT[kind]}
        for measurement, fields in FIELDS.items()
    }


def test_every_field_that_is_asked_for_exists() -> None:
    known, rolled_up = schema(), kept()
    known = {m: names | rolled_up.get(m, set()) for m, names in known.items()}
    for measurement, powers in POWERS.items():
        known[measurement] |= {f"{power}_wh" for power in powers}
    packs = (ROOT / "docs" / "influxdb.md").read_text("utf-8").split("### `pack`")[1]
    known["pack"] = set(re.findall(r"`(\w+)`", packs.split("\n### ")[0]))
    asked = set(influx_names())
    assert len(asked) > 40
    assert {(m, name) for m, name in asked if name not in known[m]} == set()


def test_every_stored_field_is_used_or_named_with_a_reason() -> None:
    asked = set(influx_names())
    choices = " ".join(queries("influxdb"))
    assert all(f" : {name}" in choices for name in QUANTITIES), "readings can all be compared"
    rolled_up = [(m, name, k) for m, names in FIELDS.items() for name, k in names.items()]
    asked |= {(m, n) for m, n, k in rolled_up if {(m, f"{n}_{x}") for x in KEPT[k]} & asked}
    stored = {(m, name) for m, names in schema().items() for name in names}
    unused = {(m, n) for m, n in stored - asked if n not in QUANTITIES}
    # A tag or field of its measurement's own name is asked for, but looks like it;
    # and `since` is asked for under its own name.
    unused -= {(name, name) for name in ("alarm", "cell", "meter", "site")}
    unused -= {("health", "since"), ("issue", "since")}
    # Of the portfolio the API gives every field, and a panel those that its decision needs.
    unused = {(m, n) for m, n in unused if m not in MEASUREMENTS or (m, n) in UNUSED_FIELDS}
    assert unused == set(UNUSED_FIELDS)


def test_a_status_has_one_colour_everywhere(made: dict[str, dict[str, Any]]) -> None:
    text = json.dumps(made)
    for status in STATUSES:
        shown = re.findall(rf'"{status.name}": {{[^}}]*"color": "(#\w+)"', text)
        assert shown
        assert len(set(shown)) == 1


def test_every_issue_has_an_action_in_the_table(made: dict[str, dict[str, Any]]) -> None:
    (table,) = [
        panel
        for panel in panels(made["fleetscope-site"])
        if panel["title"] == "What is wrong, and what to do"
    ]
    text = json.dumps(table, ensure_ascii=False)
    assert all(kind.action in text for kind in SCORING_RULES)
