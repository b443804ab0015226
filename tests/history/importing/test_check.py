"""What ``fleetscope import --check`` says of folders that are written in all manners."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.history.importing import file_lines
from tests.history.importing.folders import checked, local_minutes, run, write_csv

START = "2024-05-01T00:00"


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLEETSCOPE_FLEET", raising=False)


def volts(count: int) -> list[float]:
    return np.round(3.3 + 0.01 * np.sin(np.arange(count)), 3).tolist()


def one(report: dict[str, Any], name: str = "bms1_p3_v17.csv") -> dict[str, Any]:
    (found,) = (f for f in report["files"] if f["file"] == name)
    assert found["fault"] is None
    return dict(found)


def test_the_usual_names(tmp_path: Path) -> None:
    rows = list(zip(local_minutes(START, 10), volts(10), strict=True))
    for name in ("bms1_p3_v17", "sub/bms2_p03_t07", "bms1_soc", "bms1_p3_soh"):
        write_csv(tmp_path / f"in/{name}.csv", rows)
    report = checked(tmp_path / "in", "--site", "1=alpha", "--site", "2=beta", "--timezone", "UTC")
    found = {f["file"]: (f["site"], f["signals"], f["readings"]) for f in report["files"]}
    assert found == {
        "bms1_p3_v17.csv": ("alpha", ["cell.voltage_v pack=bms1/3 cell=17"], 10),
        "bms1_soc.csv": ("alpha", ["battery.soc_percent device=bms1"], 10),
        "bms1_p3_soh.csv": ("alpha", ["battery.soh_percent device=bms1/3"], 10),
        "sub/bms2_p03_t07.csv": ("beta", ["cell.temperature_c pack=bms2/3 cell=7"], 10),
    }
    assert report["exit_code"] == 0


def test_a_pattern_for_a_battery_names_it_as_the_usual_names_do(tmp_path: Path) -> None:
    for name in ("bms1_p3_i", "bms1_i"):
        write_csv(tmp_path / f"{name}.csv", [(1714521600, 12.5)])
    options = ("--pattern", "battery.current_a=bms{system}_p{pack}_i")
    options += ("--pattern", "battery.current_a=bms{system}_i")
    report = checked(tmp_path, "--site", "a", *options)
    assert [f["signals"] for f in report["files"]] == [
        ["battery.current_a device=bms1"],
        ["battery.current_a device=bms1/3"],
    ]


@pytest.mark.parametrize(
    ("head", "decimal", "ending"),
    [
        ("time,value", ".", "\n"),
        ("Zeit;Wert", ",", "\r\n"),
        ("timestamp\tvalue", ",", "\n"),
        ("ts|v", ".", "\n"),
        (None, ".", "\n"),
        ("# from a logger\nsep=;\ntime;value", ",", "\r\n"),
    ],
)
def test_separators_decimal_marks_and_headings(
    tmp_path: Path, head: str | None, decimal: str, ending: str
) -> None:
    rows = [
        (time, str(v).replace(".", decimal))
        for time, v in zip(local_minutes(START, 50), volts(50), strict=True)
    ]
    path = tmp_path / "bms1_p3_v17.csv"
    write_csv(path, rows, head)
    path.write_bytes(path.read_bytes().replace(b"\n", ending.encode()))
    found = one(checked(path, "--site", "a", "--timezone", "Europe/Berlin"))
    assert (found["readings"], found["bad"], found["rows"]) == (50, {}, 50)
    assert found["first"] == 1_714_521_600_000


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "bms1_p3_t17.csv"
    rows = zip(local_minutes(START, 50), volts(50), strict=True)
    text = "time,Temperatur °C\n" + "".join(f"{t},{v}\n" for t, v in rows)
    path.write_bytes(codecs.encode(text, encoding))
    found = one(checked(path, "--site", "a", "--timezone", "UTC"), path.name)
    assert (found["readings"], found["bad"]) == (50, {})


def test_packed_files(tmp_path: Path) -> None:
    path = tmp_path / "bms1_p3_v17.csv.gz"
    path.write_bytes(gzip.compress(b"time,value\n1714521600,3.3\n1714521660,3.31\n"))
    assert one(checked(path, "--site", "a"), path.name)["readings"] == 2
    path.write_bytes(path.read_bytes()[:-12])
    report = checked(path, "--site", "a")
    assert "cannot be read" in report["files"][0]["fault"]
    assert report["exit_code"] == 1


@pytest.mark.parametrize("kind", ["timestamp_utc", "timestamp_local", "unix_ms", "text"])
def test_parquet(tmp_path: Path, kind: str) -> None:
    stamps = 1_714_521_600_000 + 60_000 * np.arange(100)
    column: Any = {
        "timestamp_utc": lambda: pa.array(stamps, pa.timestamp("ms", "UTC")),
        "timestamp_local": lambda: pa.array(stamps + 7_200_000, pa.timestamp("ms")),
        "unix_ms": lambda: pa.array(stamps),
        "text": lambda: pa.array(local_minutes(START, 100)),
    }[kind]()
    value = pa.array([None, np.nan, np.inf, 9.0, *volts(96)])
    pq.write_table(pa.table({"time": column, "value": value}), tmp_path / "bms1_p3_v17.parquet")
    report = checked(tmp_path, "--site", "a", "--timezone", "Europe/Berlin")
    found = one(report, "bms1_p3_v17.parquet")
    assert (found["readings"], found["missing"]) == (96, 2)
    assert found["bad"] == {"not a number": 1, "outside physics": 1}
    assert found["first"] == 1_714_521_600_000 + 4 * 60_000


def test_bad_rows_and_all_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks of a few rows: counts and line numbers may not depend on where one ends.
    monkeypatch.setattr(file_lines, "BLOCK_BYTES", 300)
    times = local_minutes(START, 60)
    rows: list[Any] = list(zip(times, volts(60), strict=True))
    rows[10], rows[20] = rows[20], rows[10]
    rows[30] = (times[30], "")
    rows[31] = (times[31], "broken")
    rows[32] = ("yesterday", 3.3)
    rows[33] = (times[33], 3.3, "more")
    rows[34] = (times[34], 0.0)
    rows[35] = ("1970-01-01 00:00:07", 3.3)
    rows[36] = ("2124-01-01 00:00:07", 3.3)
    rows[37] = ("",)
    rows += [rows[5], (times[6], 3.999), ("2024-03-31 02:30:00", 3.3)]
    path = tmp_path / "bms1_p3_v17.csv"
    write_csv(path, rows)
    found = one(checked(path, "--site", "a", "--timezone", "Europe/Berlin"))
    assert found["bad"] == {
        "not a number": 1,
        "time cannot be read": 1,
        "3 fields where 2 are expected": 1,
        "outside physics": 1,
        "time is not between 2000 and tomorrow": 2,
        "another value for a time that has one": 1,
        "local time does not exist: daylight saving skips it": 1,
    }
    assert (found["rows"], found["blank"], found["missing"]) == (63, 1, 1)
    assert (found["duplicates"], found["readings"]) == (1, 52)
    # Nine rows between the two that were swapped, the second of them, and the two added below.
    assert found["unordered"] == 12
    assert (found["cadence"], found["gaps"], found["longest_gap"]) == (60, 1, 540)


def test_a_change_of_cadence_is_no_gap(tmp_path: Path) -> None:
    every = local_minutes(START, 10_000)
    times = every[:6000:15] + every[6000:7000] + every[7010:]
    write_csv(tmp_path / "bms1_p3_v17.csv", zip(times, volts(len(times)), strict=True))
    found = one(checked(tmp_path, "--site", "a", "--timezone", "UTC"))
    assert (found["gaps"], found["longest_gap"]) == (1, 660)


def test_a_spike_of_one_sample_is_no_bad_row(tmp_path: Path) -> None:
    values = volts(60)
    values[30] = 3.9
    write_csv(tmp_path / "bms1_p3_v17.csv", zip(local_minutes(START, 60), values, strict=True))
    found = one(checked(tmp_path, "--site", "a", "--timezone", "UTC"))
    assert (found["readings"], found["bad"]) == (60, {})


@pytest.mark.parametrize(
    ("ambiguous", "readings", "bad"),
    [("order", 240, 0), ("earlier", 180, 60), ("reject", 120, 120)],
)
def test_the_hour_that_is_shown_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ambiguous: str, readings: int, bad: int
) -> None:
    monkeypatch.setattr(file_lines, "BLOCK_BYTES", 1000)
    times = local_minutes("2024-10-26T23:00", 240)
    assert times.count("2024-10-27 02:30:00") == 2
    path = tmp_path / "bms1_p3_v17.csv"
    write_csv(path, zip(times, volts(240), strict=True))
    options = ("--site", "a", "--timezone", "Europe/Berlin", "--ambiguous", ambiguous)
    found = one(checked(path, *options))
    assert found["readings"] == readings
    assert sum(found["bad"].values()) == bad
    if ambiguous == "order":
        assert (found["repeated"], found["gaps"], found["unordered"]) == (120, 0, 0)


def test_one_pass_of_that_hour_is_not_guessed(tmp_path: Path) -> None:
    times = sorted(set(local_minutes("2024-10-26T23:00", 240)))
    write_csv(tmp_path / "bms1_p3_v17.csv", zip(times, volts(180), strict=True))
    found = one(checked(tmp_path, "--site", "a", "--timezone", "Europe/Berlin"))
    reason = "local time exists twice, and nothing says which of the two it is"
    assert (found["readings"], found["bad"]) == (120, {reason: 60})


@pytest.mark.parametrize(
    ("head", "row", "options", "said"),
    [
        ("time,value", "2024-05-01 00:00:00,3.3", (), "say --timezone"),
        ("time,value", "3/4/2024 00:00:00,3.3", ("--timezone", "UTC"), "4 Mar 2024 00:00 (--time"),
        ("time,value", "noon,3.3", ("--timezone", "UTC"), "say --time-column and --time-format"),
        ("time,a,b", "1714521600,3.3,3.4", (), "say --value-column, one of: a, b"),
        ("time;value", "2024-05-01T00:00:00Z;3.3;4", (), "2 headings and the rows have 3 fields"),
        ("time,value", "2024-05-01T00:00:00Z,3,3", (), "2 headings and the rows have 3 fields"),
        ("time", "2024-05-01T00:00:00Z", (), "the separator cannot be found"),
        ("time,value", "1714521600,3312", (), "say --unit cell.voltage_v=mV"),
        ("time,value", None, (), "it holds headings and no rows"),
    ],
)
def test_what_cannot_be_told_is_said(
    tmp_path: Path, head: str, row: str | None, options: tuple[str, ...], said: str
) -> None:
    path = tmp_path / "bms1_p3_v17.csv"
    path.write_text("\n".join([head, *([row] * 300 if row else [])]) + "\n", "utf-8")
    report = checked(path, "--site", "a", *options)
    assert said in report["files"][0]["fault"]
    assert (report["exit_code"], report["total"]["readings"]) == (1, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nothing to import; bms1_p3_v17.csv: which site it belongs to is not said"),
        (("--site", "a b"), "cannot be the id of a site"),
        (("--site", "a", "--timezone", "Mars"), "'Mars' is not a time zone"),
        (("--site", "a", "--pattern", "x=v{cell}"), "there is no quantity 'x'"),
        (("--site", "a", "--pattern", "v{cell"), "expected a name with placeholders"),
        (("--site", "a", "--unit", "cell.voltage_v=W"), "cannot be in 'W'; one of: V, mV, kV"),
        (("--site", "a", "--decimal", "'"), "--decimal: "),
        (("--site", "a", "--mapping", "none.yaml"), "none.yaml: No such file"),
    ],
)
def test_options_that_cannot_be_used(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    write_csv(tmp_path / "bms1_p3_v17.csv", [(1714521600, 3.3)])
    result = run(tmp_path, "--check", *options)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_site_that_the_fleet_does_not_have(tmp_path: Path) -> None:
    write_csv(tmp_path / "in/bms1_p3_v17.csv", [(1714521600, 3.3)])
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("sites: [{id: a, api_endpoint: 'http://a.example.com'}]\n", "utf-8")
    assert run(tmp_path / "in", "--check", "--site", "a", "--fleet", fleet).exit_code == 0
    result = run(tmp_path / "in", "--check", "--site", "b", "--fleet", fleet)
    assert "has no site b" in result.stderr


MAPPING = """
timezone: Europe/Berlin
systems: {1: alpha}
site: beta
files:
- match: "cells_{system}"
  separator: ";"
  decimal: ","
  time_column: [Datum, Uhrzeit]
  time_format: "%d.%m.%Y %H:%M"
  tags: {pack: "bms{system}/{pack}"}
  columns:
  - {match: "U{pack}.{cell}", quantity: cell.voltage_v, unit: mV}
  - {match: "T{pack}.{cell}", quantity: cell.temperature_c}
- {match: "meters/{meter}_p", quantity: meter.active_power_w, negate: true}
- {match: "*notes*", ignore: true}
"""


def test_a_mapping_file(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAPPING, "utf-8")
    rows = [(f"01.05.2024;{h:02}:00", "3312;3299,5", "25,1;x") for h in range(24)]
    write_csv(tmp_path / "in/cells_1.csv", rows, "Datum;Uhrzeit;U3.17;U3.18;T3.17;Bemerkung")
    meter = [(1714521600 + 60 * n, 1.5) for n in range(10)]
    write_csv(tmp_path / "in/meters/m1_p.csv", meter, "time,P [kW]")
    write_csv(tmp_path / "in/meters/m2_p.csv", meter)
    write_csv(tmp_path / "in/notes.csv", meter)
    report = checked(tmp_path / "in", "--mapping", tmp_path / "map.yaml")
    wide = one(report, "cells_1.csv")
    assert wide["signals"] == [
        "cell.voltage_v pack=bms1/3 cell=17",
        "cell.voltage_v pack=bms1/3 cell=18",
        "cell.temperature_c pack=bms1/3 cell=17",
    ]
    assert (wide["site"], wide["rows"], wide["readings"]) == ("alpha", 24, 72)
    single = one(report, "meters/m1_p.csv")
    assert (single["site"], single["signals"]) == ("beta", ["meter.active_power_w meter=m1"])
    (faulty,) = (f for f in report["files"] if f["file"] == "meters/m2_p.csv")
    assert "the unit of meter.active_power_w is not said" in faulty["fault"]
    assert report["left_out"] == {"notes.csv": "ignored, as the mapping says"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("files: []", "files: List should have at least 1 item"),
        ("files: [{match: a}]", "files.0: expected one of quantity, columns, ignore"),
        ("files: [{match: a, quantity: cell.volts}]", "there is no quantity 'cell.volts'"),
        ("files: [{match: a, quantity: meter.power_factor, tags: {pack: b}}]", "not pack"),
        ("files: [{match: a, ignore: true, colour: red}]", "files.0.colour: Extra inputs"),
        ("{", "not YAML"),
    ],
)
def test_mistakes_of_a_mapping_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "map.yaml").write_text(text, "utf-8")
    write_csv(tmp_path / "in/a.csv", [(1714521600, 3.3)])
    result = run(tmp_path / "in", "--check", "--mapping", tmp_path / "map.yaml")
    assert result.exit_code == 1
    assert said in result.stderr


def test_two_files_of_one_series(tmp_path: Path) -> None:
    for folder, first in (("may", 0), ("june", 30)):
        rows = [(1714521600 + 60 * (n + first), 3.3) for n in range(60)]
        write_csv(tmp_path / folder / "bms1_p3_v17.csv", rows)
    result = run(tmp_path, "--check", "--site", "a")
    assert result.exit_code == 0
    assert "both hold cell.voltage_v pack=bms1/3 cell=17" in result.stdout
