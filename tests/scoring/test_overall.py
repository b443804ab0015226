"""The overall score: weights that are shared out, caps, status, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.issues import Component, Finding, FloatArray, Severity
from scoring.overall import combine
from scoring.rule import Level
from scoring.rules import BATTERY_SOH
from scoring.status import Status, status_of
from scoring.weights import WEIGHTS

nan = float("nan")


def component(name: str, score: float, severity: Severity = Severity.NONE) -> Component:
    known = not np.isnan(score)
    found = Finding(
        BATTERY_SOH,
        np.array([severity], dtype=np.int8),
        np.array([nan]),
        np.array([nan]),
        np.array([0.0]),
        np.array([Level(severity, 0).holds_to]),
        np.array([nan]),
        np.array([0.0]),
        np.array([0.0]),
    )
    return Component(
        name,
        np.array([score]),
        (found,),
        (f"{name} input",),
        np.array([[known]]),
        np.array([[True]]),
    )


def overall(
    scores: dict[str, float], severity: Severity = Severity.NONE, offline: bool = False
) -> tuple[float, Status, float]:
    parts = [component(name, scores.get(name, nan)) for name in WEIGHTS]
    parts[0] = component("battery", scores.get("battery", nan), severity)
    result = combine(parts, (), np.array([offline]))
    return float(result.score[0]), Status(int(result.status[0])), float(result.coverage[0])


def test_weights_add_up_to_one() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


def test_known_components_weigh_as_documented() -> None:
    score, _, coverage = overall({"battery": 50, "grid": 60, "solar": 70, "connectivity": 80})
    assert score == 0.4 * 50 + 0.3 * 60 + 0.2 * 70 + 0.1 * 80
    assert coverage == 1.0


def test_the_weight_of_an_unknown_component_is_shared_out() -> None:
    score, _, coverage = overall({"battery": 50, "connectivity": 100})
    assert score == pytest.approx((0.4 * 50 + 0.1 * 100) / 0.5)
    assert coverage == pytest.approx(0.5)


def test_nothing_known_is_unknown_and_not_perfect() -> None:
    score, status, coverage = overall({})
    assert np.isnan(score)
    assert status is Status.UNKNOWN
    assert coverage == 0.0


@pytest.mark.parametrize(
    ("severity", "score", "status"),
    [
        (Severity.NONE, 100, Status.HEALTHY),
        (Severity.INFO, 100, Status.HEALTHY),
        (Severity.WARNING, 69, Status.WARNING),
        (Severity.CRITICAL, 49, Status.CRITICAL),
    ],
)
def test_the_worst_issue_caps_the_score(severity: Severity, score: float, status: Status) -> None:
    full = dict.fromkeys(WEIGHTS, 100.0)
    assert overall(full, severity)[:2] == (score, status)


def test_an_offline_site_has_nothing() -> None:
    assert overall(dict.fromkeys(WEIGHTS, 100.0), offline=True)[:2] == (0.0, Status.OFFLINE)


@pytest.mark.parametrize(
    ("score", "status"),
    [
        (100, Status.HEALTHY),
        (90, Status.HEALTHY),
        (89.9, Status.GOOD),
        (70, Status.GOOD),
        (69.9, Status.WARNING),
        (50, Status.WARNING),
        (49.9, Status.CRITICAL),
        (0, Status.CRITICAL),
        (nan, Status.UNKNOWN),
    ],
)
def test_status_boundaries(score: float, status: Status) -> None:
    assert status_of(np.array([score]), np.array([False]))[0] == status


@given(st.lists(st.floats(0, 100), min_size=4, max_size=4))
def test_what_is_shown_never_contradicts_the_status(scores: list[float]) -> None:
    score, status, _ = overall(dict(zip(WEIGHTS, scores, strict=True)))
    shown: FloatArray = np.array([float(f"{score:.1f}")])
    assert status_of(shown, np.array([False]))[0] == status


def test_missing_inputs_are_named() -> None:
    parts = [component(name, nan if name == "solar" else 100.0) for name in WEIGHTS]
    result = combine(parts, (), np.array([False]))
    assert [name for name, mask in result.missing if mask[0]] == ["solar input"]
