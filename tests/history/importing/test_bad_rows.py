"""The file of bad rows: texts of strangers, for people with a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

from exporter.history.importing.progress import BadRows
from exporter.history.importing.rows import BadRow


def test_no_bad_row_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    rows = BadRows(path, "=cmd.csv")
    rows.add([BadRow(7, "no time", "=HYPERLINK(1)"), BadRow(8, "no time", "1;@SUM(1)")])
    rows.keep()
    with path.open(encoding="utf-8", newline="") as file:
        kept = list(csv.reader(file))
    assert kept == [
        ["'=cmd.csv", "7", "no time", "'=HYPERLINK(1)"],
        ["'=cmd.csv", "8", "no time", "1;'@SUM(1)"],
    ]
