"""Formats of times, and local times where daylight saving begins and ends."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.history.importing.local_time import ZoneError, load_zone
from exporter.history.importing.number_dialect import numbers
from exporter.history.importing.repeated_hour import passes
from exporter.history.importing.time_formats import (
    OpenOrderError,
    TimeFormat,
    TimeFormatError,
    detect,
    parse,
)
from exporter.history.importing.time_formats import named_format as named
from exporter.history.importing.time_text import FIRST, SECOND, UNKNOWN

MOMENT = 1_711_846_805_000  # 2024-03-31 01:00:05 UTC


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("2024-03-31 01:00:05", "iso"),
        ("2024-03-31T01:00:05", "iso"),
        ("2024-03-31T01:00:05.000", "iso"),
        ("2024-03-31T01:00:05Z", "iso_zoned"),
        ("2024-03-31T03:00:05+02:00", "iso_zoned"),
        ("2024-03-31 03:00:05+0200", "iso_zoned"),
        ("1711846805", "unix_s"),
        ("1711846805.0", "unix_s"),
        ("1711846805000", "unix_ms"),
        ("1711846805000000", "unix_us"),
        ("31.03.2024 01:00:05", "%d.%m.%Y %H:%M:%S"),
        ("31.3.2024 1:00:05", "%d.%m.%Y %H:%M:%S"),
        ("31.03.24 01:00:05", "%d.%m.%y %H:%M:%S"),
        ("31/03/2024 01:00:05", "%d/%m/%Y %H:%M:%S"),
        ("03/31/2024 01:00:05", "%m/%d/%Y %H:%M:%S"),
        ("03/31/2024 1:00:05 AM", "%m/%d/%Y %I:%M:%S %p"),
        ("2024/03/31 01:00:05", "%Y/%m/%d %H:%M:%S"),
        ("20240331010005", "%Y%m%d%H%M%S"),
        ("31.03.2024 01:00:05,000", "%d.%m.%Y %H:%M:%S.%f"),
    ],
)
def test_a_format_is_found_and_read(written: str, form: str) -> None:
    found = detect([written] * 5)
    assert found == TimeFormat(form)
    times, readable, _ = parse(pa.array([written, "rubbish", "", f" {written} "]), found)
    assert readable.tolist() == [True, False, False, True]
    assert times[[0, 3]].tolist() == [MOMENT, MOMENT]


def test_day_and_month_are_not_guessed() -> None:
    with pytest.raises(TimeFormatError, match="day or the month"):
        detect(["03/04/2024 01:00:00", "03/04/2024 01:01:00"])
    assert detect(["values", "3.31"]) is None


@pytest.mark.parametrize(
    "written", ["03/04/2024 01:00:05", "03/04/24 1:00", "03/04/2024 1:00:05 PM"]
)
def test_each_format_that_is_proposed_reads_the_times(written: str) -> None:
    with pytest.raises(OpenOrderError) as raised:
        detect([written])
    day_first, month_first = (option.said for option in raised.value.options)
    for form in (day_first, month_first):
        assert f"(--time-format '{form}')" in str(raised.value)
        _, readable, _ = parse(pa.array([written]), named(form))
        assert readable.all()
    assert day_first.startswith("%d")
    assert month_first.startswith("%m")


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", "iso"])
def test_days_that_do_not_exist(form: str) -> None:
    days = ["2024-02-30", "2023-02-29", "2024-02-29", "2024-04-31", "2024-03-01", "2024-13-01"]
    if form != "iso":
        days = [".".join(reversed(day.split("-"))) for day in days]
    _, readable, _ = parse(pa.array([f"{day} 10:00" for day in days]), TimeFormat(form))
    assert readable.tolist() == [False, False, True, False, True, False]


def test_milliseconds_of_a_format_with_a_fraction() -> None:
    times, readable, _ = parse(
        pa.array(["31.03.2024 01:00:05.25", "31.03.2024 01:00:05"]), named("%d.%m.%Y %H:%M:%S.%f")
    )
    assert readable.tolist() == [True, False]
    assert times[0] == MOMENT + 250


@pytest.mark.parametrize("form", ["%Q", "half past", "%f %H", "%d.%m.%Y %Q"])
def test_a_format_that_cannot_be_used(form: str) -> None:
    with pytest.raises(TimeFormatError):
        named(form)


def test_numbers() -> None:
    written = [
        "3.3",
        " 3.3 ",
        "+1e-3",
        "",
        "NaN",
        "null",
        "-",
        "abc",
        "0x10",
        "1e999",
        "3,3",
        "1_0",
    ]
    values, missing, wrong = numbers(pa.array(written), ".")
    assert values[:3].tolist() == [3.3, 3.3, 0.001]
    assert np.isnan(values[3:]).all()
    assert np.flatnonzero(missing).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero(wrong).tolist() == [7, 8, 9, 10, 11]
    values, missing, wrong = numbers(pa.array(["3,3", "1.234,5", "1.234", "-7", "1,2,3"]), ",")
    assert values[[0, 3]].tolist() == [3.3, -7]
    # In a column of decimal commas a point divides thousands.
    assert values[[1, 2]].tolist() == [1234.5, 1234]
    assert wrong.tolist() == [False, False, False, False, True]


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC"]
)
@settings(deadline=None)
@given(seconds=st.integers(1_000_000_000, 2_000_000_000))
def test_local_time_there_and_back(name: str, seconds: int) -> None:
    shown = datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(name))
    local = int(shown.replace(tzinfo=UTC).timestamp()) * 1000
    utc, later, repeated, skipped = load_zone(name).to_utc(np.array([local]))
    assert not skipped[0]
    assert seconds * 1000 in (utc[0], later[0])
    assert bool(repeated[0]) == (utc[0] != later[0])


@settings(deadline=None)
@given(minutes=st.integers(-600, 600))
def test_skipped_and_repeated_hours(minutes: int) -> None:
    berlin = load_zone("Europe/Berlin")
    spring = datetime(2024, 3, 31, 2, 30, tzinfo=UTC).timestamp() + 60 * minutes
    _, _, repeated, skipped = berlin.to_utc(np.array([int(spring) * 1000]))
    assert (bool(skipped[0]), bool(repeated[0])) == (-30 <= minutes < 30, False)
    autumn = datetime(2024, 10, 27, 2, 30, tzinfo=UTC).timestamp() + 60 * minutes
    utc, later, repeated, skipped = berlin.to_utc(np.array([int(autumn) * 1000]))
    assert (bool(skipped[0]), bool(repeated[0])) == (False, -30 <= minutes < 30)
    assert later[0] - utc[0] == (3_600_000 if -30 <= minutes < 30 else 0)


@pytest.mark.parametrize(("name", "hours"), [("+01:00", 1), ("-0330", -3.5), ("UTC", 0)])
def test_fixed_offsets(name: str, hours: float) -> None:
    utc, _, repeated, skipped = load_zone(name).to_utc(np.array([MOMENT]))
    assert utc[0] == MOMENT - hours * 3_600_000
    assert not repeated[0]
    assert not skipped[0]


@pytest.mark.parametrize("name", ["Berlin", "", "../etc/passwd", "+1"])
def test_zones_that_do_not_exist(name: str) -> None:
    with pytest.raises(ZoneError, match="expected one such as"):
        load_zone(name)


def minutes(*values: int) -> np.ndarray:
    return np.array(values, np.int64) * 60_000


def test_passes_by_the_order_of_rows() -> None:
    hour = list(range(60))
    both = minutes(*hour, *hour)
    assert passes(both).tolist() == [FIRST] * 60 + [SECOND] * 60
    assert passes(both[::-1]).tolist() == [SECOND] * 60 + [FIRST] * 60
    assert passes(minutes(0, 0)).tolist() == [FIRST, SECOND]
    swapped = [*hour[:10], 11, 10, *hour[12:]]
    assert passes(minutes(*swapped, *hour)).tolist() == [FIRST] * 60 + [SECOND] * 60


def test_passes_that_cannot_be_told() -> None:
    assert set(passes(minutes(*range(60))).tolist()) == {UNKNOWN}
    shuffled = np.random.default_rng(3).permutation(minutes(*range(60), *range(60)))
    assert set(passes(shuffled).tolist()) == {UNKNOWN}
    # One row of the first pass that stands at the end belongs to neither for sure.
    found = passes(minutes(*range(60), *range(60), 10))
    assert found.tolist() == [FIRST] * 60 + [SECOND] * 60 + [UNKNOWN]
