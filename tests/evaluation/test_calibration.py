"""How often scores were right, by their confidence."""

from __future__ import annotations

import numpy as np

from exporter.evaluation.calibration import BANDS, Calibration, Confidences, calibrate
from exporter.evaluation.labels import Label
from exporter.evaluation.spells import Spell
from exporter.evaluation.table import reliability_table
from scoring.issues import Severity

HOUR = 3600.0
HOT = Label("a", "hot", 4 * HOUR, 8 * HOUR, codes=frozenset({"battery_temperature"}))


def of_a(confidence: float, *spells: Spell, labels: tuple[Label, ...] = (HOT,)) -> Calibration:
    """Ten hours of one site, assessed every hour."""
    times = np.arange(10) * HOUR
    values = np.full((10, 1), confidence, dtype=np.float32)
    return calibrate(Confidences(("a",), times, values), labels, spells)


def hours(calibration: Calibration) -> tuple[list[float], list[float]]:
    """Assessed and right hours, in healthy times and under the fault."""
    return (
        (calibration.assessed.sum(axis=1) / HOUR).tolist(),
        (calibration.right.sum(axis=1) / HOUR).tolist(),
    )


def test_a_fault_that_is_named_after_an_hour_is_right_from_then_on() -> None:
    found = Spell("a", "battery_temperature", Severity.WARNING, 5 * HOUR, 9 * HOUR)
    assert hours(of_a(0.97, found)) == ([5.0, 5.0], [5.0, 4.0])


def test_a_false_warning_is_wrong_while_it_lasts_and_information_is_not() -> None:
    false = Spell("a", "cell_spread", Severity.WARNING, 0.0, 2 * HOUR)
    note = Spell("a", "pv_low", Severity.INFO, 2 * HOUR, 3 * HOUR)
    assert hours(of_a(0.97, false, note)) == ([5.0, 5.0], [3.0, 0.0])


def test_time_under_a_fault_that_nobody_claims_to_find_counts_as_neither() -> None:
    unclaimed = Label("a", "noise", 4 * HOUR, 8 * HOUR)
    assert hours(of_a(0.97, labels=(unclaimed,))) == ([5.0, 0.0], [5.0, 0.0])


def test_a_site_that_does_not_answer_has_no_confidence_and_is_not_counted() -> None:
    assert hours(of_a(float("nan"))) == ([0.0, 0.0], [0.0, 0.0])


def test_bands_hold_their_lower_edge_and_the_last_one_both() -> None:
    for confidence, band in ((0.0, 0), (0.5, 1), (0.95, BANDS - 1), (1.0, BANDS - 1)):
        assert of_a(confidence).assessed[:, band].sum() == 10 * HOUR


def test_the_table_names_what_was_right_in_each_band() -> None:
    total = of_a(0.97, Spell("a", "battery_temperature", Severity.INFO, 4 * HOUR, 6 * HOUR))
    total.add(of_a(0.6, labels=()))
    text = reliability_table(total)
    assert "| 0.95 to 1 | 0.97 | 0.4 | 70.0 % | 100.0 % | 40.0 % |" in text
    assert "| 0.5 to 0.7 | 0.60 | 0.4 | 100.0 % | 100.0 % | – |" in text
