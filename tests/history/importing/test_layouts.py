"""Long files, whose rows say whose they are, and files that were damaged on their way."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.history.importing import file_lines, file_reader
from exporter.history.importing.file_reader import FileReader
from exporter.history.importing.importer import plan
from exporter.history.importing.layout import Format, load_mapping
from exporter.history.importing.rows import BadRow
from tests.history.importing.folders import checked, local_minutes, run, write_csv

LONG = """
timezone: Europe/Berlin
files:
- match: "cells"
  series: {site: Anlage, pack: Pack, cell: Zelle}
  tags: {pack: "bms/{pack}"}
  columns:
  - {match: U, quantity: cell.voltage_v}
  - {match: T, quantity: cell.temperature_c}
- match: "tidy"
  series: {system: system, pack: pack, cell: cell}
  tags: {pack: "bms/{pack}"}
  quantity: cell.voltage_v
systems: {1: alpha, 2: beta}
"""
SITES, PACKS, NAMES = ("alpha", "beta"), (1, 2), ("1", "2", "03")
TIMES = local_minutes("2024-10-26T23:00", 240)


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLEETSCOPE_FLEET", raising=False)


def volts(minute: int, site: str, pack: int, cell: str) -> float:
    return round(3.2 + minute / 10_000 + SITES.index(site) / 10 + pack / 20 + int(cell) / 100, 4)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """Every cell of two sites in one file, over the end of daylight saving; and the same again."""
    (tmp_path / "map.yaml").write_text(LONG, "utf-8")
    rows: list[tuple[Any, ...]] = [
        (stamp, site, pack, cell, volts(minute, site, pack, cell), 20 + pack)
        for minute, stamp in enumerate(TIMES)
        for site in SITES
        for pack in PACKS
        for cell in NAMES
    ]
    table = {
        "time": [r[0] for r in rows],
        "system": [SITES.index(r[1]) + 1 for r in rows],
        # As a spreadsheet makes them of numbers with a gap among them.
        "pack": [float(r[2]) for r in rows],
        "cell": [r[3] for r in rows],
        "value": [r[4] for r in rows],
    }
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(pa.table(table), folder / "tidy.parquet")
    rows += [
        ("2024-10-27 12:00:00", "alpha", "", 2, 3.3, 20),
        ("2024-10-27 12:00:00", "no where", 1, 2, 3.3, 20),
        ("2024-10-27 12:00:00", "alpha", 1, 2, 9.9, 20),
        rows[7],
        (*rows[7][:4], 3.111, 21),
    ]
    write_csv(folder / "cells.csv", rows, "Zeit;Anlage;Pack;Zelle;U;T")
    return folder


def points(folder: Path, name: str) -> tuple[list[str], list[BadRow]]:
    """The lines that one file becomes, in their order, and its bad rows."""
    mapping = load_mapping(folder.parent / "map.yaml")
    sites = dict(mapping.systems)
    common = Format(timezone=mapping.timezone)
    plans, _ = plan(folder, mapping.files, sites, common)
    (one,) = (p for p in plans if p.name == name)
    bad: list[BadRow] = []
    pieces = FileReader(one, bad.extend, time.time()).pieces()
    return b"".join(piece.lines for piece in pieces).decode().splitlines(), bad


@pytest.mark.parametrize("name", ["cells.csv", "tidy.parquet"])
@pytest.mark.parametrize("size", [None, 3000])
def test_every_row_goes_to_the_cell_that_it_names(
    long: Path, name: str, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if size is not None:
        monkeypatch.setattr(file_lines, "BLOCK_BYTES", size)
    lines, bad = points(long, name)
    found = {line.rpartition(" ")[0] + line[-14:] for line in lines if "voltage_v" in line}
    first = 1_729_983_600_000
    assert found == {
        f"cell,site={site},pack=bms/{pack},cell={int(cell)} "
        f"voltage_v={volts(minute, site, pack, cell)} {first + minute * 60_000}"
        for minute in range(240)
        for site in SITES
        for pack in PACKS
        for cell in NAMES
    }
    assert len(lines) == (2 if name == "cells.csv" else 1) * 240 * 12 + (name == "cells.csv")
    if name == "cells.csv":
        assert sorted((row.line, row.reason.partition(":")[0]) for row in bad) == [
            (2882, "'' cannot be the name of a pack"),
            (2883, "'no where' cannot be the name of a site"),
            (2884, "outside physics"),
            (2886, "another value for a time that has one"),
        ]


def test_a_long_file_is_reported_as_what_it_holds(long: Path) -> None:
    report = checked(long, "--mapping", long.parent / "map.yaml")
    cells, tidy = report["files"]
    assert (len(cells["signals"]), len(tidy["signals"])) == (24, 12)
    assert (cells["rows"], cells["readings"], cells["duplicates"]) == (2885, 5761, 1)
    assert (tidy["readings"], tidy["repeated"], tidy["unordered"]) == (2880, 1440, 0)
    assert "--site alpha --site beta" in report["rollup"]
    result = run(long, "--check", "--mapping", long.parent / "map.yaml")
    assert "both hold cell.voltage_v pack=bms/1 cell=1" in result.stdout


def test_rows_of_a_site_that_the_fleet_does_not_have(long: Path, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("sites: [{id: alpha, api_endpoint: 'http://a.example.com'}]\n", "utf-8")
    report = checked(long, "--mapping", tmp_path / "map.yaml", "--fleet", fleet)
    assert report["files"][0]["bad"]["the fleet file has no site beta"] == 240 * 6 + 2
    assert report["files"][1]["readings"] == 240 * 6


def test_columns_that_make_a_series_of_every_row(
    long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reader, "MOST_SERIES", 5)
    report = checked(long, "--mapping", tmp_path / "map.yaml")
    assert "more than 5 series; are the columns" in report["files"][0]["fault"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("series: {pack: Packet, cell: Zelle}", "there is no column 'Packet'"),
        ("series: {pack: U, cell: Zelle}", "no row says whose it is: '3.26' cannot be the name"),
        ("series: {cell: Zelle}", "the mapping gives cell.voltage_v no pack"),
    ],
)
def test_mistakes_about_whose_a_row_is(long: Path, said: str, answer: str) -> None:
    path = long.parent / "map.yaml"
    text = LONG.replace("series: {site: Anlage, pack: Pack, cell: Zelle}", said, 1)
    path.write_text(text.replace('tags: {pack: "bms/{pack}"}', "", 1), "utf-8")
    report = checked(long / "cells.csv", "--site", "a", "--mapping", path)
    assert answer in report["files"][0]["fault"]


ROWS = [
    f"{t},{3.3 + n % 7 / 1000:.3f}" for n, t in enumerate(local_minutes("2024-05-01T00:00", 200))
]


def damaged(tmp_path: Path, body: bytes, name: str = "bms1_p1_v1.csv") -> dict[str, Any]:
    (tmp_path / name).write_bytes(body)
    (found,) = checked(tmp_path / name, "--site", "a", "--timezone", "UTC")["files"]
    return dict(found)


def text(rows: list[str], end: str = "\n") -> bytes:
    return (end.join(["time,value", *rows]) + end).encode()


@pytest.mark.parametrize(
    ("how", "readings", "bad"),
    [
        ("mark", 200, {}),
        ("mixed", 200, {}),
        ("return", 198, {"3 fields where 2 are expected": 1}),
        ("zeros", 200, {"1 fields where 2 are expected": 1}),
        ("zero", 198, {"time cannot be read": 1, "not a number": 1}),
        ("headings", 200, {"time cannot be read": 1}),
        ("cut", 199, {"1 fields where 2 are expected": 1}),
        ("quoted", 200, {}),
        ("open", 200, {}),
        ("behind", 200, {}),
        ("units", 200, {}),
        ("packed", 200, {}),
    ],
)
def test_a_damaged_line_takes_no_other_with_it(
    tmp_path: Path,
    how: str,
    readings: int,
    bad: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_lines, "BLOCK_BYTES", 1000)
    rows = list(ROWS)
    name = "bms1_p1_v1.csv"
    if how == "zero":
        rows[60] = rows[60][:10] + "\0" + rows[60][10:]
        rows[70] += "\0"
    elif how == "headings":
        rows.insert(100, "time,value")
    elif how == "quoted":
        rows = [",".join(f'"{field}"' for field in row.split(",")) for row in rows]
    elif how == "open":
        rows[60] = '"' + rows[60]
    elif how == "units":
        rows[60] += " V"
    elif how == "zeros":
        rows.insert(100, "\0" * 300)
    body = text(rows)
    if how == "mark":
        body = b"\xef\xbb\xbf" + body
    elif how == "mixed":
        parts = body.split(b"\n")
        body = b"".join(p + (b"\r\n" if n % 3 else b"\n") for n, p in enumerate(parts))
    elif how == "return":
        body = body.replace(b"\n", b"\r", 52).replace(b"\r", b"\n", 51)
    elif how == "cut":
        body = body[:-10]
    elif how == "behind":
        body = body.replace(b"time,value", b"time,value,,", 1)
    elif how == "packed":
        name, body = name + ".gz", gzip.compress(body)
    found = damaged(tmp_path, body, name)
    assert (found["fault"], found["readings"], found["bad"]) == (None, readings, bad)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "it holds no rows"),
        (b"\0" * 5000, "it holds no rows"),
        (bytes(range(128, 256)) * 40, "cannot be found"),
        (text(ROWS).replace(b"\n", b"\r"), "carriage returns alone"),
        (text([f"{n:02}/{n:02}/2024 00:00:00,3.3" for n in range(1, 12)]), "--time-format"),
    ],
)
def test_what_is_no_recording_is_left_alone(tmp_path: Path, body: bytes, said: str) -> None:
    assert said in damaged(tmp_path, body)["fault"]


def test_a_decimal_mark_that_changes_far_into_the_file_is_not_guessed(tmp_path: Path) -> None:
    rows = [f"2024-05-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z;3.3" for n in range(5000)]
    rows[4000:] = [row.replace("3.3", "3,3") for row in rows[4000:]]
    body = ("time;value\n" + "\n".join(rows) + "\n").encode()
    found = damaged(tmp_path, body)
    assert found["readings"] == 0
    assert (
        "a decimal comma in line 4002 (3,3) and a decimal point in line 2 (3.3)" in found["fault"]
    )
