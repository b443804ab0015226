"""Files that are made to do harm: they end with a message, soon and in little memory."""

from __future__ import annotations

import gzip
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.history.importing import file_lines, parquet
from tests.history.importing.folders import checked

ADDRESS_SPACE_BYTES = 3 * 1024**3


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLEETSCOPE_FLEET", raising=False)


def packed(path: Path, head: bytes, line: bytes, count: int) -> Path:
    """A gzip file of one line again and again."""
    block = line * 10_000
    with gzip.open(path, "wb") as file:
        file.write(head)
        for _ in range(count // 10_000):
            file.write(block)
    return path


def read(path: Path) -> dict[str, Any]:
    (found,) = checked(path, "--site", "a")["files"]
    return dict(found)


def test_a_small_file_that_unpacks_to_much(tmp_path: Path) -> None:
    path = packed(tmp_path / "bms1_p1_v1.csv.gz", b"time,value\n", b"1714521600,3.3\n", 6_000_000)
    assert path.stat().st_size < 300_000
    found = read(path)
    assert "it unpacks to more than 200 times its size" in found["fault"]
    # What was read before is counted, and is little.
    assert found["rows"] * 15 < 2 * file_lines.FREE_UNPACKED_BYTES


def test_a_recording_that_shrinks_well_is_read(tmp_path: Path) -> None:
    start = 1_714_521_600
    rows = "".join(f"{start + 60 * n},3.3\n" for n in range(20_000))
    path = tmp_path / "bms1_p1_v1.csv.gz"
    path.write_bytes(gzip.compress(f"time,value\n{rows}".encode()))
    assert (read(path)["fault"], read(path)["readings"]) == (None, 20_000)


@pytest.mark.parametrize("line", [b"\n", b"\r\n", b",\n", b"  \n"])
def test_lines_without_anything(
    tmp_path: Path, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lines, "MOST_TIMES_UNPACKED", 1_000_000)
    head = b"time,value\n1714521600,3.3\n1714521660,3.31\n"
    path = packed(tmp_path / "bms1_p1_v1.csv.gz", head, line, 200_000)
    found = read(path)
    assert (found["fault"], found["readings"], found["blank"]) == (None, 2, 200_000)
    assert found["bad"] == {}


def test_blank_lines_do_not_move_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "bms1_p1_v1.csv"
    path.write_text("time,value\n\n1714521600,3.3\n\n\n1714521660,x\n\n1714521720,3.3", "utf-8")
    report = checked(path, "--site", "a")
    assert report["files"][0]["readings"] == 2
    assert report["files"][0]["bad"] == {"not a number": 1}
    assert "line 6:" in " ".join(report["shortfalls"]) or report["exit_code"] == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"1,2,3,4\n", "4 fields where 2"), (b"noon,3.3\n", "time cannot be read")],
)
def test_more_bad_rows_than_can_be_kept(
    tmp_path: Path, line: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exporter.history.importing import row_blocks

    monkeypatch.setattr(row_blocks, "MOST_BAD_ROWS", 5_000)
    monkeypatch.setattr(file_lines, "BLOCK_BYTES", 40_000)
    good = b"".join(b"%d,3.3\n" % (1_714_521_600 + 60 * n) for n in range(500))
    path = tmp_path / "bms1_p1_v1.csv"
    path.write_bytes(b"time,value\n" + good + line * 20_000)
    found = read(path)
    assert "more than 5,000 of its rows cannot be read, such as line" in found["fault"]
    assert reason in found["fault"]
    assert sum(found["bad"].values()) <= 5_000


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lines, "LONGEST_LINE_BYTES", 1_000_000)
    monkeypatch.setattr(file_lines, "BLOCK_BYTES", 100_000)
    path = tmp_path / "bms1_p1_v1.csv"
    path.write_bytes(b"time,value\n1714521600,3.3\n1714521660,3.3\n" + b"7" * 3_000_000)
    assert "a line is longer than" in read(path)["fault"]


def test_days_as_rows_do_not_grow(tmp_path: Path) -> None:
    heading = "Date;" + ";".join(f"{m // 60:02}:{m % 60:02}" for m in range(0, 1440, 15))
    full = "03.03.2025;" + ";".join(["1,5"] * 96)
    path = tmp_path / "m1_ap.csv"
    path.write_text("\n".join([heading, full, *(["04.03.2025"] * 20_000)]), "utf-8")
    given = ("--site", "a", "--timezone", "UTC", "--unit", "meter.active_power_w=kW")
    (found,) = checked(path, *given)["files"]
    assert (found["fault"], found["rows"], found["readings"]) == (None, 96, 96)


def limited(path: Path) -> subprocess.CompletedProcess[str]:
    """A check in a process with little room for its memory."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))

    return subprocess.run(
        [sys.executable, "-m", "exporter", "import", str(path), "--site", "a", "--check", "--json"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


@pytest.mark.parametrize("column", ["time", "value", "cell"])
def test_texts_of_a_parquet_file_take_their_bytes_once(tmp_path: Path, column: str) -> None:
    # As plain text the column would take 4 GB.
    rows = 2_000_000
    codes = pa.array(np.zeros(rows, np.int32))
    text = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 2048]))
    columns: dict[str, Any] = {
        "time": pa.array(np.arange(rows) + 1_714_521_600),
        "value": pa.array(np.full(rows, 3.3)),
        "cell": pa.array(np.full(rows, 1)),
    }
    columns[column] = text
    path = tmp_path / "bms1_p1_v1.parquet"
    pq.write_table(pa.table(columns), path, store_schema=False)
    mapping = tmp_path / "map.yaml"
    mapping.write_text(
        "files: [{match: '*', quantity: cell.voltage_v, series: {cell: cell}, "
        "tags: {pack: a}, time_column: time, value_column: value}]",
        "utf-8",
    )
    options = (
        ("--mapping", mapping)
        if column == "cell"
        else ("--time-column", "time", "--value-column", "value")
    )
    (found,) = checked(path, "--site", "a", *options)["files"]
    assert found["readings"] == 0
    assert found["fault"] is not None
    if column == "time":
        done = limited(path)
        assert done.returncode == 1, done.stderr
        assert '"readings": 0' in done.stdout


def test_a_parquet_file_whose_footer_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"time": np.arange(5) + 1_714_521_600, "value": np.full(5, 3.3)})
    path = tmp_path / "bms1_p1_v1.parquet"
    pq.write_table(table.replace_schema_metadata({"x": "y" * 2_000_000}), path)
    assert read(path)["readings"] == 5
    monkeypatch.setattr(parquet, "LARGEST_FOOTER_BYTES", 1 << 20)
    assert read(path)["fault"].endswith("MiB; more than 1 are too many")


def test_a_parquet_file_of_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 400_000
    table = pa.table({"time": np.full(rows, 1_714_521_600), "value": np.full(rows, 3.3)})
    path = tmp_path / "bms1_p1_v1.parquet"
    pq.write_table(table, path)
    monkeypatch.setattr(parquet, "FREE_ROWS", 100_000)
    assert "bytes stand for 400,000 rows" in read(path)["fault"]
    monkeypatch.setattr(parquet, "MOST_ROWS", 300_000)
    assert "it has 400,000 rows" in read(path)["fault"]


def test_a_column_of_a_parquet_file_that_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    table = pa.table({"time": np.arange(50_000) + 1_714_521_600, "value": rng.random(50_000)})
    path = tmp_path / "bms1_p1_v1.parquet"
    pq.write_table(table, path)
    monkeypatch.setattr(parquet, "LARGEST_COLUMN_BYTES", 100_000)
    assert "unpacks to 0 MiB in one row group" in read(path)["fault"]
