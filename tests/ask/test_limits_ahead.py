"""When a value reaches its limit, from the quantities that the Assessment gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.ask.answer import CannotAnswerError
from exporter.ask.answerer import Answerer
from exporter.ask.language.parse import understand
from exporter.ask.lookup import Directory
from exporter.ask.query import Query, What
from exporter.assess.assessment import FleetAssessment
from tests.ask.test_language import BERLIN, NOW


def ahead(assessment: FleetAssessment, subject: str, trend: str) -> Answerer:
    """The fleet, with days until a limit for two of its sites."""
    days = np.full(len(assessment.fleet.sites), np.nan)
    days[3], days[6] = 12.4, 40.0
    known = {
        f"{subject}_limit_days": days,
        f"{subject}_limit_earliest_days": days / 2,
        f"{subject}_limit_latest_days": np.where(days > 20, np.nan, 2 * days),
        trend: np.where(np.isnan(days), np.nan, 6.2),
    }
    seen = replace(assessment, readings={**assessment.readings, **known})
    return Answerer(lambda: seen)


@pytest.mark.parametrize(
    ("metric", "subject", "trend", "limit"),
    [
        ("soh", "soh", "soh_trend_percent_month", "next limit of state of health"),
        (
            "temperature",
            "temperature",
            "temperature_trend_c_month",
            "limit of battery temperature",
        ),
    ],
)
async def test_the_first_one_is_named_with_its_interval(
    assessment: FleetAssessment, metric: str, subject: str, trend: str, limit: str
) -> None:
    answerer = ahead(assessment, subject, trend)
    answer = await answerer.answer(Query(What.FORECAST, metrics=(metric,)))
    assert answer.headline == (
        f"2 sites with a sure trend; first Delta reaches its {limit} in about 12 days, "
        "6 at the earliest."
    )
    rows = answer.tables[0].rows
    assert [(row["days"], row["earliest"], row["latest"]) for row in rows] == [
        (12.4, 6.2, 24.8),
        (40.0, 20.0, None),
    ]
    assert [row["trend"] for row in rows] == [6.2, 6.2]
    assert any(text.startswith("a forecast for 12 sites") for text in answer.evidence.missing)


@pytest.mark.parametrize("metric", ["soh", "temperature"])
async def test_without_a_sure_trend_nothing_is_said(
    assessment: FleetAssessment, metric: str
) -> None:
    with pytest.raises(CannotAnswerError, match=r"no trend of .* is sure: it takes"):
        await Answerer(lambda: assessment).answer(Query(What.FORECAST, metrics=(metric,)))


async def test_a_question_in_words_asks_for_it(directory: Directory) -> None:
    found = understand("when will Delta's temperature reach its limit?", directory, NOW, BERLIN)
    assert found.query == Query(What.FORECAST, ("site_delta",), metrics=("temperature",))
