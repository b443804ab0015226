"""One row is enough: what a new quantity, and a changed limit, reach without another edit."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from exporter.model.quantities import API_KEYS, DERIVED, QUANTITIES, ROWS
from scoring.rules import RULES

# Run in a process of its own, in which the row is there before anything else is imported.
NEW_QUANTITY = """
    from exporter.model import site_quantities
    from exporter.model.quantity import Gauge, RollupKind, Measurement, Quantity, Question

    site_quantities.SITE += (
        Quantity(
            name="tank_temperature_c",
            label="tank temperature",
            measurement=Measurement.SITE,
            unit="°C",
            minimum=-20,
            maximum=120,
            meaning="Temperature of the hot water tank",
            kind=RollupKind.TEMPERATURE,
            decimals=1,
            worse="low",
            gauge=Gauge("tank_temperature_celsius", "Temperature of the hot water tank"),
            questions=(
                Question("tank", {"en": "tank temperature", "de": "speichertemperatur"}, steady=2),
            ),
        ),
    )

    from exporter.ask.catalogue import METRICS
    from exporter.ask.language.lexicon import lexicon
    from exporter.assess.assessment import as_dict, assess
    from exporter.cli.reference import documents
    from exporter.collect.state import FleetState
    from exporter.config.fleet import Fleet
    from exporter.history.rollups.fields import FIELDS
    from exporter.history.series import METRICS as PAST
    from exporter.model.snapshot import Outcome, Snapshot
    from exporter.serve.api.comparisons import VALUES, unit_of
    from exporter.serve.metrics import registry
    from exporter.serve.page import document
    from exporter.store.line_protocol import snapshot_lines
    from prometheus_client import generate_latest
    from tests.serve.test_metrics import NUMBERS

    fleet = Fleet.model_validate({"sites": [{"id": "a", "api_endpoint": "http://192.0.2.1:80"}]})
    state = FleetState(fleet, 10.0)
    snapshot = Snapshot("a", 1.78e9, 0.1, Outcome.OK, readings={"tank_temperature_c": 48.0})
    state.apply(snapshot, 1000.0)
    latest = assess(state, 1001.0, 1.78e9)

    assert as_dict(latest.site(0))["readings"]["tank_temperature_c"] == 48.0
    assert "tank_temperature_c=48.0" in snapshot_lines(snapshot)[0]
    exposed = generate_latest(registry(lambda: latest, lambda: NUMBERS)).decode()
    assert 'fleetscope_tank_temperature_celsius{site="a"} 48.0' in exposed
    made = documents()
    assert "`tank_temperature_c`" in made["influxdb.md"]
    assert "`tank_temperature_c`" in made["glossary.md"]
    assert "`fleetscope_tank_temperature_celsius`" in made["metrics.md"]
    assert b'"tank_temperature_c":{"label":"tank temperature","unit":"' in document()[0]
    assert FIELDS["site"]["tank_temperature_c"] is RollupKind.TEMPERATURE
    assert PAST["tank_temperature_c"].unit == "°C"
    assert "tank_temperature_c" in VALUES and unit_of("tank_temperature_c") == "°C"
    assert METRICS["tank"].promql == "fleetscope_tank_temperature_celsius"
    for language, words in (("en", ["tank", "temperature"]), ("de", ["speichertemperatur"])):
        assert lexicon(language).match(words, 0)[0] == ("metric:tank",)
"""
OTHER_LIMIT = """
    from dataclasses import replace
    from scoring import limits

    limits.LIMITS["temperature_max"] = replace(limits.LIMITS["temperature_max"], default=41.0)
    limits.CONFIGURABLE = tuple(x for x in limits.LIMITS.values() if x.configurable)

    from exporter.assess.assessment import assess
    from exporter.cli.reference import documents
    from exporter.collect.state import FleetState
    from grafana.kit.look import LIMITS
    from tests.assess.test_assessment import fleet, snapshot

    state = FleetState(fleet("a"), 10.0)
    state.apply(snapshot("a", {"temperature_c": 42.0}), 1000.0)
    issue = assess(state, 1001.0, 1.78e9).site(0).issues[0]
    assert issue.sentence == "Battery is at 42.0 °C, above 41 °C"
    made = documents()
    assert "temperature above 41 °C" in made["scoring.md"]
    assert "| `temperature_max` | number, from -20 to 100 | `41` |" in made["fleet-file.md"]
    assert LIMITS.temperature_max == 41.0
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", [NEW_QUANTITY, OTHER_LIMIT], ids=["quantity", "limit"])
def test_one_row_is_enough(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_names_are_unique_and_sources_exist() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    asked = [question.name for row in ROWS for question in row.questions]
    assert len(set(asked)) == len(asked)
    gauges = [row.gauge.name for row in ROWS if row.gauge]
    assert len(set(gauges)) == len(gauges)
    for row in DERIVED.values():
        assert set(row.sources) <= QUANTITIES.keys()
        assert bool(row.sources) == bool(row.pick)
    assert API_KEYS.keys() <= QUANTITIES.keys()


def test_sentences_round_as_readings_do() -> None:
    for rule in RULES:
        if rule.input in QUANTITIES and rule.unit == QUANTITIES[rule.input].unit:
            if rule.code == "grid_unsteady":
                # A standard deviation needs more digits than the frequency itself.
                continue
            assert rule.decimals == QUANTITIES[rule.input].decimals, rule.code
