"""Figures in the unit that a question names."""

from __future__ import annotations

import pytest

from exporter.ask.answer import CannotAnswerError
from exporter.ask.answerer import Answerer
from tests.ask.test_now import ask


async def test_a_temperature_in_fahrenheit(answerer: Answerer) -> None:
    own = await ask(answerer, "value", sites=("site_delta",), metrics=("temperature",))
    shown = await ask(answerer, "value", sites=("site_delta",), metrics=("temperature",), unit="°F")
    assert "47.0 °C" in own.headline
    assert "116.6 °F" in shown.headline
    assert "°C" not in shown.headline
    (column,) = (c for c in shown.tables[0].columns if c.unit == "°F")
    assert shown.tables[0].rows[0][column.key] == pytest.approx(116.6)
    # The evidence stays as it was measured.
    assert shown.evidence.readings[0]["value"] == 47.0
    assert shown.as_dict()["query"]["unit"] == "°F"


async def test_an_order_in_another_unit(answerer: Answerer) -> None:
    own = await ask(answerer, "rank", metrics=("grid_power",), order="highest")
    shown = await ask(answerer, "rank", metrics=("grid_power",), order="highest", unit="kW")
    assert shown.sites == own.sites
    (column,) = (c for c in shown.tables[0].columns if c.unit == "kW")
    for before, after in zip(own.tables[0].rows, shown.tables[0].rows, strict=True):
        if before[column.key] is None:
            assert after[column.key] is None
        else:
            assert after[column.key] == pytest.approx(before[column.key] / 1000)


async def test_sites_side_by_side_in_another_unit(answerer: Answerer) -> None:
    sites = ("site_delta", "site_gamma")
    shown = await ask(answerer, "compare", sites=sites, metrics=("temperature",), unit="°F")
    (line,) = shown.tables[0].rows
    assert line["unit"] == "°F"
    assert line["site_delta"] == pytest.approx(116.6)


async def test_a_unit_that_nothing_is_measured_in_is_refused(answerer: Answerer) -> None:
    with pytest.raises(CannotAnswerError, match="nothing that is asked for is measured in °F"):
        await ask(answerer, "value", metrics=("soc",), unit="°F")
