"""Weather from files and services: its forms, its place in time, and what is kept of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.config.fleet import Site
from exporter.config.side_file import SideFileError
from exporter.energy.weather import (
    Weather,
    WeatherError,
    ahead_lines,
    parse_weather,
    weather_lines,
)
from exporter.energy.weather_file import WeatherFile, address_of, load_weather

NINE = int(datetime(2026, 6, 1, 9, tzinfo=UTC).timestamp())
OPEN_METEO = {
    "latitude": 48.1,
    "utc_offset_seconds": 7200,
    "hourly_units": {"time": "iso8601", "wind_speed_10m": "km/h", "shortwave_radiation": "W/m²"},
    "hourly": {
        "time": ["2026-06-01T11:00", "2026-06-01T12:00", "2026-06-01T13:00"],
        "shortwave_radiation": [500.0, 600.0, None],
        "temperature_2m": [18.0, 19.0, 20.0],
        "wind_speed_10m": [36.0, 18.0, 0.0],
        "snow_depth": [0.0, 0.0, 0.0],
        "cloud_cover": [3, 4, 5],
    },
}


def test_open_meteos_hours_are_those_before_their_time() -> None:
    found = parse_weather(json.dumps(OPEN_METEO).encode(), None)
    # 11:00 at +02:00 ends the hour from 08:00 to 09:00 in UTC.
    assert found.starts.tolist() == [NINE - 3600, NINE, NINE + 3600]
    assert found.seconds.tolist() == [3600.0] * 3
    assert found.columns["wind_m_s"].tolist() == [10.0, 5.0, 0.0]
    assert np.isnan(found.columns["ghi_w_m2"][2])
    assert "cloud_cover" not in found.columns


def test_open_meteo_in_imperial_units() -> None:
    """The reply of api.open-meteo.com to temperature_unit=fahrenheit, wind_speed_unit=mph and
    precipitation_unit=inch, in a zone whose clocks change within it: one offset holds for all of
    it. Its last hours are not computed yet."""
    reply: dict[str, Any] = {
        "latitude": 39.738,
        "longitude": -104.984,
        "generationtime_ms": 0.118,
        "utc_offset_seconds": -21600,
        "timezone": "America/Denver",
        "timezone_abbreviation": "GMT-6",
        "elevation": 1609.0,
        "hourly_units": {
            "time": "iso8601",
            "temperature_2m": "°F",
            "wind_speed_10m": "mp/h",
            "precipitation": "inch",
            "snow_depth": "ft",
            "shortwave_radiation": "W/m²",
        },
        "hourly": {
            "time": [f"2026-11-01T{hour:02}:00" for hour in range(6)],
            "temperature_2m": [50.0, 32.0, 23.0, 14.0, None, None],
            "wind_speed_10m": [10.0, 0.0, 20.0, 5.0, None, None],
            "precipitation": [0.1, 0.0, 0.0, 0.0, None, None],
            "snow_depth": [1.0, 1.0, 0.5, 0.0, None, None],
            "shortwave_radiation": [0.0, 0.0, 0.0, 1.0, None, None],
        },
    }
    found = parse_weather(json.dumps(reply).encode(), None)
    assert found.refused == 0
    first = datetime(2026, 11, 1, 5, tzinfo=UTC).timestamp()
    assert found.starts.tolist() == [first + 3600 * n for n in range(6)]
    assert found.columns["air_c"][:4] == pytest.approx([10, 0, -5, -10])
    assert found.columns["wind_m_s"][:2] == pytest.approx([4.4704, 0])
    assert found.columns["rain_mm"][0] == pytest.approx(2.54)
    assert found.columns["snow_m"][0] == pytest.approx(0.3048)
    assert all(np.isnan(values[4:]).all() for values in found.columns.values())
    reply["hourly_units"] = {"temperature_2m": "°R"}
    with pytest.raises(WeatherError, match="temperature_2m in °R; expected °C"):
        parse_weather(json.dumps(reply).encode(), None)


def test_csv_starts_at_its_time_and_has_many_names() -> None:
    body = b"Time;GHI;temp_air\n2026-06-01T09:00Z;510,5;18\n2026-06-01T09:15Z;-3;\n"
    found = parse_weather(body, None)
    assert found.starts.tolist() == [NINE, NINE + 900]
    assert found.columns["ghi_w_m2"].tolist() == [510.5, 0.0]
    assert np.isnan(found.columns["air_c"][1])
    assert parse_weather(body, "end").starts.tolist() == [NINE - 900, NINE]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"time,clouds\n2026-06-01T09:00Z,3\n", "no column that is known"),
        (b"ghi\n3\n", "no column time"),
        (b"time,ghi\n2026-06-01T09:00,3\n", "without an offset"),
        (b"time,ghi\n2026-06-01T09:00Z,much\n", "which is no number"),
        (b"time,ghi\n2026-06-01T09:00Z,3,4\n", "another number of columns"),
        (b"time,ghi\n", "holds no row"),
        (b"time,ghi\n0,3\n86400,3\n172800,3\n", "a row every 24.0 h"),
        (b'{"error": true, "reason": "Parameter latitude"}', "Parameter latitude"),
        (b'{"daily": {}}', "neither hourly nor minutely_15"),
        (b'{"hourly": {"time": [1, 2], "ghi": [3]}}', "not as many values"),
        (b'{"hourly": {"time": [1], "ghi": [3]}, "hourly_units": true}', "are no object"),
        (b'{"utc_offset_seconds": 1e300, "hourly": {"time": [1], "ghi": [3]}}', "neither CSV"),
        (b"{" * 100_000, "neither CSV nor JSON"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(WeatherError, match=words):
        parse_weather(body, None)


def test_values_outside_physics_are_unknown_and_counted() -> None:
    found = parse_weather(b"time,ghi,temp_air\n0,9999,12\n900,500,-300\n", None)
    assert found.refused == 2
    assert np.isnan(found.columns["ghi_w_m2"][0])
    assert np.isnan(found.columns["air_c"][1])


def test_finer_rows_are_averaged_and_a_gap_stays_unknown() -> None:
    minutes = NINE + 60 * np.arange(15.0)
    found = Weather(minutes, np.full(15, 60.0), {"air_c": np.arange(15.0)})
    assert found.means("air_c", NINE // 900, 2).tolist() == [
        7.0,
        pytest.approx(np.nan, nan_ok=True),
    ]
    few = Weather(minutes[:5], np.full(5, 60.0), {"air_c": np.ones(5)})
    assert np.isnan(few.means("air_c", NINE // 900, 1)[0])


def test_an_hour_of_irradiance_takes_the_shape_of_the_sun_and_keeps_its_energy() -> None:
    found = Weather(np.array([NINE]), np.array([3600.0]), {"ghi_w_m2": np.array([400.0])})
    ghi = found.sky(NINE // 900, np.array([10.0, 14.0, 18.0, 22.0])).ghi_w_m2
    assert ghi.mean() == pytest.approx(400.0)
    assert (np.diff(ghi) > 50).all()


def test_rain_of_an_hour_is_spread_over_it() -> None:
    found = Weather(np.array([NINE]), np.array([3600.0]), {"rain_mm": np.array([8.0])})
    assert found.amounts("rain_mm", NINE // 900, 4).tolist() == [2.0] * 4


def test_only_what_is_new_is_stored() -> None:
    known: set[tuple[float, ...]] = set()
    first = parse_weather(b"time,ghi\n0,1\n900,2\n", None)
    assert len(weather_lines("roof", first, known)) == 2
    assert weather_lines("roof", first, known) == []
    second = parse_weather(b"time,ghi\n0,1\n900,3\n1800,4\n", None)
    lines = weather_lines("roof", second, known)
    assert lines == [
        "weather,place=roof seconds=900.0,ghi_w_m2=3.0 900000",
        "weather,place=roof seconds=900.0,ghi_w_m2=4.0 1800000",
    ]


def test_sites_close_to_each_other_share_a_place(tmp_path: Path) -> None:
    path = tmp_path / "weather.yaml"
    url = "https://weather.example/v1?lat={latitude}&lon={longitude}"
    sources = f"  service: {{url: '{url}'}}\n  roof: {{file: roof.csv}}\n"
    path.write_text(f"sources:\n{sources}default: service\nsites: {{b: roof}}\n")
    found = load_weather(path)
    base = {"api_endpoint": "http://192.0.2.1"}
    sites = {
        name: Site.model_validate({"id": name, **base, "latitude": lat, "longitude": -0.01})
        for name, lat in (("a", 48.12), ("b", 48.12), ("c", 48.09))
    }
    place = found.place_of(sites["a"])
    assert place == found.place_of(sites["c"]) == "service@48.1,0.0"
    assert address_of(found.sources["service"], place) == url.format(latitude=48.1, longitude=0.0)
    assert found.place_of(sites["b"]) == "roof"
    assert found.sources["roof"].file == tmp_path / "roof.csv"
    nowhere = Site.model_validate({"id": "d", **base})
    assert found.place_of(nowhere) is None


def test_mistakes_in_the_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weather.yaml"
    path.write_text("sources: {a: {file: x.csv, url: 'http://x'}}\ndefault: b\n")
    with pytest.raises(SideFileError, match="name either file"):
        load_weather(path)
    with pytest.raises(ValueError, match="no source 'b'"):
        WeatherFile.model_validate({"sources": {"a": {"file": "x.csv"}}, "default": "b"})


def test_what_is_said_of_times_ahead_is_kept_by_how_long_before_them_it_was_said() -> None:
    hours = 48
    starts = NINE + 3600.0 * np.arange(hours)
    weather = Weather(starts, np.full(hours, 3600.0), {"ghi_w_m2": np.arange(hours) * 1.0})
    lines = ahead_lines("roof", weather, NINE - 600, 2)
    # From the next full hour on, which is nine: known at least so many hours before.
    assert lines == [
        f"weather_ahead,place=roof,lead={lead}h seconds=3600.0,ghi_w_m2={lead + n}.0 "
        f"{(NINE + 3600 * (lead + n)) * 1000}"
        for lead in (1, 6, 24, 36)
        for n in (0, 1)
    ]
    assert ahead_lines("roof", weather, NINE + 60 * 3600, 2) == []
