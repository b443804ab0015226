"""What Prometheus sees: valid, bounded, and gone with its site."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.assess.assessment import FleetAssessment, assess
from exporter.collect.state import FleetState
from exporter.control.order_views import OrderBook
from exporter.serve.metric_families import FAMILIES, PREFIX
from exporter.serve.metrics import ALARMS_SHOWN, registry
from exporter.serve.publication import ServiceNumbers
from exporter.store.queue_stats import SpoolNumbers
from tests.assess.test_assessment import WALL, failed, fleet, judge, snapshot

NUMBERS = ServiceNumbers(
    lag_seconds=0.1,
    skipped=0,
    clock_steps=0,
    assessment_seconds=0.001,
    spool=SpoolNumbers(longest_seconds=60.0, durable=True),
    writes=0,
    write_errors=0,
    cells_every=3600.0,
    rollups_time=WALL,
    reload_successful=True,
    reload_time=WALL,
    all_sites=8,
    orders=OrderBook("off"),
    energy_lookups={"hit": 3, "miss": 1},
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def exposition(assessment: FleetAssessment) -> str:
    return generate_latest(registry(lambda: assessment, lambda: NUMBERS)).decode()


def samples(assessment: FleetAssessment) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition(assessment))
        for sample in family.samples
    }


def of_site(found: Samples, site: str) -> dict[str, list[dict[str, str]]]:
    names: dict[str, list[dict[str, str]]] = {}
    for (name, labels), _ in found.items():
        if dict(labels).get("site") == site:
            names.setdefault(name, []).append(dict(labels))
    return names


def test_series_of_a_site_have_its_project_where_it_has_one() -> None:
    found = judge(fleet("a", "b"), [snapshot("a", {}), snapshot("b", {})])
    of_project = found.fleet.sites[0].model_copy(update={"project": "south"})
    sites = (of_project, *found.fleet.sites[1:])
    with_project = replace(found, fleet=found.fleet.model_copy(update={"sites": sites}))
    plain, labelled = samples(found), samples(with_project)
    assert not any("project" in dict(labels) for _, labels in plain)
    seen = {(dict(labels).get("site"), dict(labels).get("project")) for _, labels in labelled}
    assert seen == {("a", "south"), ("b", None), (None, None)}
    without = {
        (name, frozenset(labels - {("project", "south")})): value
        for (name, labels), value in labelled.items()
    }
    of_the_process = ("process_", "python_")
    assert {k: v for k, v in without.items() if not k[0].startswith(of_the_process)} == {
        k: v for k, v in plain.items() if not k[0].startswith(of_the_process)
    }


def test_every_metric_that_is_described_and_no_other_is_exposed() -> None:
    text = exposition(judge(fleet("a"), [snapshot("a", {})]))
    families = {f.name for f in text_string_to_metric_families(text)}
    own = {name for name in families if name.startswith(PREFIX)}
    described = {
        PREFIX + (name.removesuffix("_total") if m.kind == "counter" else name)
        for name, m in FAMILIES.items()
    }
    # These are absent while nothing waits, and without databases of projects.
    absent = ("spool_oldest_timestamp_seconds", "database_spool_ratio")
    absent += ("database_spool_oldest_timestamp_seconds",)
    assert own == described - {PREFIX + name for name in absent}


def test_how_often_an_energy_account_was_kept() -> None:
    latest = judge(fleet("a"), [snapshot("a", {})])
    assert "fleetscope_energy_cache_hit_ratio 0.75" in exposition(latest)
    none_yet = replace(NUMBERS, energy_lookups={"hit": 0, "miss": 0})
    text = generate_latest(registry(lambda: latest, lambda: none_yet)).decode()
    assert "\nfleetscope_energy_cache_hit_ratio " not in text


def test_each_database_of_a_project_has_its_queue() -> None:
    spools = {
        None: SpoolNumbers(limit_bytes=100),
        "south": SpoolNumbers(bytes=50, limit_bytes=100, oldest=WALL),
    }
    numbers = replace(NUMBERS, spools=spools)
    latest = judge(fleet("a"), [snapshot("a", {})])
    text = generate_latest(registry(lambda: latest, lambda: numbers)).decode()
    assert 'fleetscope_database_spool_ratio{project=""} 0.0' in text
    assert 'fleetscope_database_spool_ratio{project="south"} 0.5' in text
    assert 'fleetscope_database_spool_oldest_timestamp_seconds{project="south"}' in text
    assert 'fleetscope_database_spool_oldest_timestamp_seconds{project=""}' not in text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_complain_about() -> None:
    text = exposition(judge(fleet("a", "b"), [snapshot("a", {}), failed("b")]))
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_healthy_site_with_everything_has_at_most_thirty_series() -> None:
    ids = [f"s{i}" for i in range(8)]
    where = {
        "latitude": 40.0,
        "longitude": 0.0,
        "solar_capacity_kw": 5.0,
        "region": "r",
        "contact": {"name": "Site operations"},
    }
    state = FleetState(fleet(*ids, **where), 10.0)
    for site in ids:
        readings = {"pv_power_w": 900.0, "grid_power_w": 100.0}
        state.apply(snapshot(site, {"power_w": 100.0}, readings), 1000.0)
    state.pv_made_wh[:], state.pv_expected_wh[:], state.pv_hours[:] = 900, 1000, 1
    found = of_site(samples(assess(state, 1001.0, WALL)), "s0")
    assert sum(len(series) for series in found.values()) <= 30
    at_least = [
        "site_up",
        "site_health_score",
        "site_component_score",
        "site_status",
        "site_coverage_ratio",
        "site_rank",
        "site_outlier_score",
        "battery_soc_ratio",
        "battery_soh_ratio",
        "battery_temperature_celsius",
        "battery_power_watts",
        "cell_spread_volts",
        "grid_frequency_hertz",
        "grid_power_watts",
        "pv_power_watts",
        "pv_performance_ratio",
        "site_scrape_duration_seconds",
        "site_scrapes_total",
        "site_last_success_timestamp_seconds",
        "site_info",
    ]
    assert {PREFIX + name for name in at_least} <= set(found)


def test_a_missing_reading_leaves_no_sample() -> None:
    found = samples(judge(fleet("a"), [snapshot("a", {"soh_percent": float("nan")})]))
    assert f"{PREFIX}battery_soh_ratio" not in of_site(found, "a")


def test_ratios_are_ratios() -> None:
    found = samples(judge(fleet("a"), [snapshot("a", {"soc_percent": 62.5, "soh_percent": 96})]))
    site = frozenset({("site", "a")})
    assert found[f"{PREFIX}battery_soc_ratio", site] == 0.625
    assert found[f"{PREFIX}battery_soh_ratio", site] == 0.96


def test_the_status_is_a_state_set() -> None:
    found = samples(judge(fleet("a", "b"), [snapshot("a", {"soh_percent": 60.0}), failed("b")]))
    for site, status in (("a", "CRITICAL"), ("b", "OFFLINE")):
        states = {
            dict(labels)["status"]: value
            for (name, labels), value in found.items()
            if name == f"{PREFIX}site_status" and dict(labels)["site"] == site
        }
        assert len(states) == 5
        assert [s for s, value in states.items() if value == 1] == [status]


def test_alarms_of_devices_have_names_while_they_last() -> None:
    name = f"{PREFIX}device_alarm_level"
    alarms = {"vebus/257": {"Overload": 2, "LowBattery": 1, "HighTemperature": 0}}
    state = FleetState(fleet("a"), 10.0)
    state.apply(snapshot("a", {}, alarms=alarms), 1000.0)
    found = samples(assess(state, 1001.0, WALL))
    assert {dict(labels)["alarm"]: v for (n, labels), v in found.items() if n == name} == {
        "Overload": 2,
        "LowBattery": 1,
    }
    many = {"vebus/257": {f"Alarm{i}": 1 for i in range(30)} | {"Overload": 2}}
    state.apply(snapshot("a", {}, alarms=many), 1010.0)
    shown = of_site(samples(assess(state, 1011.0, WALL)), "a")[name]
    assert len(shown) == ALARMS_SHOWN
    assert shown[0]["alarm"] == "Overload"
    # What a site said before it fell silent is not true for ever.
    assert name not in of_site(samples(assess(state, 2000.0, WALL)), "a")


def test_a_removed_site_leaves_nothing() -> None:
    state = FleetState(fleet("a", "b"), 10.0)
    state.apply(snapshot("a", {}), 1000.0)
    state.apply(failed("b"), 1000.0)
    assert of_site(samples(assess(state, 1001.0, WALL)), "b")
    state.reconfigure(fleet("a"))
    assert not of_site(samples(assess(state, 1001.0, WALL)), "b")


def test_a_site_that_was_not_tried_yet_shows_only_what_the_file_says() -> None:
    found = of_site(samples(judge(fleet("a"), [])), "a")
    assert set(found) == {f"{PREFIX}site_info"}


def test_names_with_quotes_emoji_and_line_breaks_survive() -> None:
    name = 'Depot "Süd" \\ 🔋 {x="y"}'
    found = of_site(samples(judge(fleet("a", name=name), [snapshot("a", {})])), "a")
    assert found[f"{PREFIX}site_info"][0]["name"] == name


def test_outcomes_are_counted() -> None:
    found = samples(judge(fleet("a"), [snapshot("a", {}), failed("a"), failed("a")]))
    name = f"{PREFIX}site_scrapes_total"
    assert found[name, frozenset({("site", "a"), ("outcome", "ok")})] == 1
    assert found[name, frozenset({("site", "a"), ("outcome", "timeout")})] == 2
