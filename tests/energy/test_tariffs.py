"""Tariffs and published series of prices."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from exporter.config.fleet import Site
from exporter.config.side_file import SideFileError
from exporter.energy.market_prices import PriceError, parse_prices, price_lines
from exporter.energy.tariff_file import Rate, TariffFile, load_tariffs

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"price": 0.2, "start": "22:00", "end": "06:00"}


def at(*texts: str) -> np.ndarray:
    return np.array([datetime.fromisoformat(t).replace(tzinfo=BERLIN).timestamp() for t in texts])


def test_times_of_use_are_local_and_may_cross_midnight() -> None:
    rate = Rate.model_validate({"price": 0.3, "windows": [NIGHT]})
    times = at("2026-07-01T21:59", "2026-07-01T22:00", "2026-07-02T05:59", "2026-07-02T06:00")
    assert rate.at(times, BERLIN, {}).tolist() == [0.3, 0.2, 0.2, 0.3]


def test_a_window_belongs_to_the_day_and_month_on_which_it_starts() -> None:
    window = NIGHT | {"days": ["friday"], "months": [7]}
    rate = Rate.model_validate({"price": 0.3, "windows": [window]})
    times = at(
        *("2026-07-03T23:00", "2026-07-04T05:00", "2026-07-04T23:00", "2026-07-03T05:00"),
        *("2026-07-31T23:00", "2026-08-01T05:00", "2026-08-07T23:00"),
    )
    assert rate.at(times, BERLIN, {}).tolist() == [0.2, 0.2, 0.3, 0.3, 0.2, 0.2, 0.3]


def test_a_series_is_raised_by_charges_and_taxes_and_falls_back() -> None:
    rate = Rate.model_validate({"series": "spot", "add": 0.1, "factor": 1.2, "price": 0.4})
    known = {"spot": np.array([0.05, -0.2, np.nan])}
    found = rate.at(np.zeros(3), BERLIN, known)
    assert found == pytest.approx([0.18, -0.12, 0.4])


FORMS: dict[str, Any] = {
    "csv": "time,price\n2026-01-01T00:00+01:00,100\n2026-01-01T01:00+01:00,-20\n",
    "semicolons": "Start;Price\n1767222000;100,0\n1767225600;-20,0\n",
    "energy charts": {"unix_seconds": [1767222000, 1767225600], "price": [100.0, -20.0]},
    "awattar": {
        "data": [
            {"start_timestamp": 1767222000000, "end_timestamp": 1767225600000, "marketprice": 100},
            {"start_timestamp": 1767225600000, "end_timestamp": 1767229200000, "marketprice": -20},
        ]
    },
    "octopus": {
        "results": [
            {
                "valid_from": "2026-01-01T00:00:00Z",
                "valid_to": "2026-01-01T01:00:00Z",
                "value_inc_vat": -20,
            },
            {
                "valid_from": "2025-12-31T23:00:00Z",
                "valid_to": "2026-01-01T00:00:00Z",
                "value_inc_vat": 100,
            },
        ]
    },
    "tibber": {
        "today": [
            {"startsAt": "2026-01-01T00:00:00+01:00", "total": 100},
            {"startsAt": "2026-01-01T01:00:00+01:00", "total": -20},
        ],
        "tomorrow": [],
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_published_forms(form: str) -> None:
    given = FORMS[form]
    body = given.encode() if isinstance(given, str) else json.dumps(given).encode()
    found = parse_prices(body, 1e-3)
    assert found.starts.tolist() == [1767222000, 1767225600]
    assert found.seconds.tolist() == [3600, 3600]
    assert found.values == pytest.approx([0.1, -0.02])
    times = np.array([1767221999.0, 1767222000, 1767229199, 1767229200])
    assert found.at(times) == pytest.approx([np.nan, 0.1, -0.02, np.nan], nan_ok=True)
    assert (
        price_lines("spot", found)[0] == "price,series=spot price=0.1,seconds=3600.0 1767222000000"
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "empty"),
        ("{}", "none of"),
        ("[1]", "without a time"),
        ("[]", "no price"),
        ("time,price\n2026-01-01T00:00,1\n", "without an offset"),
        ("time,price\nyesterday,1\n", "no time"),
        ("time,price\n1767222000,lots\n", "no price"),
        ("time,price\n1767222000,nan\n", "no price"),
        ("time,price\n1767222000,1e300\n", "no price"),
        ('{"unix_seconds": [1], "price": []}', "not as many"),
        ("start,end,price\n1767222000,1767220000,1\n", "ends before it starts"),
        ("[" * 100_000, "neither"),
    ],
)
def test_what_is_no_series_is_refused(body: str, says: str) -> None:
    with pytest.raises(PriceError, match=says):
        parse_prices(body.encode(), 1.0)


def test_who_has_which_tariff(tmp_path: Path) -> None:
    path = tmp_path / "tariffs.yaml"
    path.write_text(
        "currency: EUR\n"
        "default: home\n"
        "projects: {north: night}\n"
        "sites: {b: market}\n"
        "series: {spot: {url: 'https://prices.example/spot', unit: MWh}}\n"
        "co2: {grams_per_kwh: 380, assumption: mean of the country in 2024}\n"
        "tariffs:\n"
        "  home: {grid: {price: 0.32}, feed_in: {price: 0.08}, standing_per_day: 0.4}\n"
        "  night: {grid: {price: 0.32, windows: [{price: 0.2, start: '22:00', end: '06:00'}]}}\n"
        "  market: {grid: {series: spot, add: 0.15, factor: 1.19}}\n",
        "utf-8",
    )
    found = load_tariffs(path)
    sites = [Site(id="a"), Site(id="a", project="north"), Site(id="b", project="north")]
    named = [found.of(site) for site in sites]
    assert [pair and pair[0] for pair in named] == ["home", "night", "market"]
    assert [pair and pair[1].flat for pair in named] == [True, False, False]
    path.write_text("currency: EUR\ntariffs: {a: {grid: {series: x}}}\n", "utf-8")
    with pytest.raises(SideFileError, match="no series 'x'"):
        load_tariffs(path)


def test_an_impossible_rate_is_refused() -> None:
    for wrong in ({}, {"series": "s", "windows": [NIGHT]}, {"price": float("inf")}):
        with pytest.raises(ValidationError):
            Rate.model_validate(wrong)
    with pytest.raises(ValidationError):
        TariffFile.model_validate({"currency": "EUR", "tariffs": {}})
