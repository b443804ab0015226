"""Answers for a terminal, a script or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
import time
from typing import TYPE_CHECKING, Any

from exporter.cli.console import plain_table
from exporter.model.text import duration_words, spreadsheet_cell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

MARKS = {
    "HEALTHY": ("●", "green"),
    "GOOD": ("◐", "bright_green"),
    "WARNING": ("▲", "yellow"),
    "CRITICAL": ("■", "bold red"),
    "OFFLINE": ("✕", "bold white on red"),
    "UNKNOWN": ("?", "dim"),
}
SEVERITIES = {"critical": ("■", "red"), "warning": ("▲", "yellow"), "info": ("·", "dim")}
_BARS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 60
_SECONDARY = {"action", "meaning", "more", "priority"}
_DROPPED_FIRST = (
    *("meaning", "last", "first", "more", "site", "lowest", "highest", "weight"),
    *("ongoing", "observed", "score", "times", "since", "priority", "group", "median", "price"),
    *("currency", "quantity"),
)


def show(answer: dict[str, Any], *, as_json: bool, as_csv: bool, evidence: bool = False) -> int:
    """Print an answer; the exit code is 1 if a site in it needs attention, else 0."""
    if as_json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    elif as_csv:
        sys.stdout.write(csv_text(answer))
    else:
        from exporter.cli.console import console

        print_answer(console(), answer, evidence=evidence)
    return 1 if answer["attention"] else 0


def csv_text(answer: dict[str, Any]) -> str:
    """The first table as CSV (RFC 4180), numbers in full, times in ISO 8601 UTC."""
    out = io.StringIO()
    if not answer["tables"]:
        return ""
    table = answer["tables"][0]
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column["key"] for column in table["columns"]])
    for row in table["rows"]:
        writer.writerow([_csv_value(row.get(c["key"]), c["kind"]) for c in table["columns"]])
    return out.getvalue()


def _csv_value(value: Any, kind: str) -> Any:
    if value is None:
        return ""
    if kind == "time":
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value))
    return spreadsheet_cell(value) if isinstance(value, str) else value


def print_answer(console: Console, answer: dict[str, Any], *, evidence: bool = False) -> None:
    """An answer in sentences and tables that fit the console."""
    from rich.text import Text

    _print_headline(console, answer)
    for table in answer["tables"]:
        if table["title"] == "Course":
            _print_course(console, table)
        elif table["rows"]:
            console.print()
            if table["title"] == "Comparison":
                from exporter.cli.side_by_side import print_beside

                print_beside(console, table)
            else:
                console.print(_table(table, console.width, len(answer["tables"]) > 1))
            hidden = table["total"] - len(table["rows"])
            if hidden > 0:
                console.print(Text(f"… {hidden} more", "dim"))
            for text in _assumptions(table):
                console.print(Text(text, "dim"))
    if answer["evidence"]["missing"]:
        console.print()
        for text in answer["evidence"]["missing"][:5]:
            console.print(Text(f"Unknown: {text}", "dim"))
        hidden = len(answer["evidence"]["missing"]) - 5
        if hidden > 0:
            console.print(Text(f"Unknown: {hidden} more, see --json", "dim"))
    if evidence:
        _print_evidence(console, answer["evidence"])


def _print_headline(console: Console, answer: dict[str, Any]) -> None:
    """The answer in a sentence, what it costs, and what was observed of the period."""
    from rich.text import Text

    style = "bold yellow" if answer["attention"] else "bold"
    console.print(Text(answer["headline"], style))
    if answer.get("cost") and answer["cost"] != answer["headline"]:
        console.print(Text(answer["cost"]))
    coverage = answer.get("coverage")
    if coverage and coverage["sentence"] not in answer["headline"]:
        console.print(Text(coverage["sentence"], "dim"))


def _assumptions(table: dict[str, Any]) -> list[str]:
    """What prices assume, each once: in a column it would stand in every row."""
    said = {(r["item"], r["assumption"]): None for r in table["rows"] if r.get("assumption")}
    return [f"Assumed for {item}: {assumption}" for item, assumption in said]


def _print_evidence(console: Console, evidence: dict[str, Any]) -> None:
    from rich.text import Text

    console.print()
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(evidence["time"]))
    console.print(Text(f"As of {at} UTC"))
    for note in evidence["notes"]:
        console.print(Text(note, "dim"))
    for language in ("promql", "influxql"):
        for text in evidence[language]:
            console.print(Text(f"{language}: {text}", "cyan"), soft_wrap=True)


def _table(table: dict[str, Any], width: int, titled: bool) -> Table:
    from rich.text import Text

    table = _with_states(_with_actions(table))
    columns = _fitting(table, width)
    shown = plain_table(title=table["title"] if titled else None)
    now = time.time()
    for column in columns:
        # A heading may be folded, as a name and a sentence may; a number and a time may not.
        folds = column["kind"] == "text" and column["key"] != "site"
        longest, word = _longest(column, table["rows"], now)
        shown.add_column(
            Text(_heading(column), no_wrap=False),
            justify="right" if column["kind"] in ("number", "reading", "duration") else "left",
            width=None if folds else max(word, longest),
            no_wrap=not folds,
            overflow="fold",
        )
    for row in table["rows"]:
        shown.add_row(*(cell(row.get(c["key"]), _of_row(c, row), now) for c in columns))
    return shown


def _with_actions(table: dict[str, Any]) -> dict[str, Any]:
    """The table with what to do first on a line of its own below why."""
    sentence = next((c["key"] for c in table["columns"] if c["key"] in ("why", "sentence")), None)
    if sentence is None or not any(column["key"] == "action" for column in table["columns"]):
        return table
    rows = [
        row | {sentence: f"{row[sentence]}\n→ {row['action']}"} if row.get("action") else row
        for row in table["rows"]
    ]
    columns = [column for column in table["columns"] if column["key"] != "action"]
    return table | {"columns": columns, "rows": rows}


def _with_states(table: dict[str, Any]) -> dict[str, Any]:
    """The table with the names of states in place of their numbers."""
    columns = [column for column in table["columns"] if column["key"] != "state"]
    rows = [row | {"value": row["state"]} if row.get("state") else row for row in table["rows"]]
    return table | {"columns": columns, "rows": rows}


def _heading(column: dict[str, Any]) -> str:
    return str(column["label"]) + (f" {column['unit']}" if column["unit"] else "")


def _longest(column: dict[str, Any], rows: list[dict[str, Any]], now: float) -> tuple[int, int]:
    """Width of the longest value, and of the longest word of the heading."""
    from rich.cells import cell_len

    values = (cell(row.get(column["key"]), _of_row(column, row), now).cell_len for row in rows)
    return max(values, default=0), max(map(cell_len, _heading(column).split()))


def _folded(width: int) -> int:
    """Width into which a sentence may be folded without harm."""
    return 34 if width >= 100 else 22 if width >= 70 else 15


def _fitting(table: dict[str, Any], width: int) -> list[dict[str, Any]]:
    """The columns that there is room for; what matters least goes first."""
    columns = [
        c
        for c in table["columns"]
        if c["key"] != "assumption"
        and any(row.get(c["key"]) not in (None, "") for row in table["rows"])
        and not (c["key"] == "more" and not any(row["more"] for row in table["rows"]))
    ]
    if all(row.get("site") == row.get("name") for row in table["rows"]):
        columns = [
            c for c in columns if c["key"] != "site" or not any(d["key"] == "name" for d in columns)
        ]
    for key in _DROPPED_FIRST:
        if _needed(columns, table["rows"], width) <= width or len(columns) <= 2:
            break
        columns = [c for c in columns if c["key"] != key or len(columns) <= 2]
    return columns


def _needed(columns: list[dict[str, Any]], rows: list[dict[str, Any]], width: int) -> int:
    now = time.time()
    total = -2
    for column in columns:
        longest, word = _longest(column, rows[:50], now)
        folds = column["kind"] == "text" and column["key"] != "site"
        total += max(word, min(longest, _folded(width)) if folds else longest) + 2
    return total


def cell(value: Any, column: dict[str, Any], now: float) -> Text:
    """One value as text; a state has a sign as well as a colour."""
    from rich.text import Text

    kind = column["kind"]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Text("–", "dim")
    if kind == "status":
        mark, style = MARKS.get(value, ("", ""))
        return Text(f"{mark} {value}", style)
    if kind == "severity":
        mark, style = SEVERITIES.get(value, ("", ""))
        return Text(f"{mark} {value}", style)
    if kind == "number":
        return Text(_number(value, column))
    if kind == "reading":
        return Text(_number(value, column) if isinstance(value, float | int) else str(value))
    if kind == "duration":
        return Text(duration_words(value))
    if kind == "time":
        return Text(when(value, now))
    return Text(str(value))


def _number(value: float, column: dict[str, Any]) -> str:
    """A number with the digits of its column."""
    return f"{value:,.{column['decimals']}f}".replace(",", " ")


def _of_row(column: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The column, with the digits of the row where each row has its own."""
    own = column["kind"] == "reading" and "decimals" in row
    return column | {"decimals": row["decimals"]} if own else column


def when(moment: float, now: float) -> str:
    """A past moment in local time: the time alone if it was today."""
    there = time.localtime(moment)
    same_day = there[:3] == time.localtime(now)[:3]
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", there)


def _print_course(console: Console, table: dict[str, Any]) -> None:
    """A line of blocks for each site: its course from the beginning to the end."""
    from rich.text import Text

    courses: dict[str, list[tuple[float, float]]] = {}
    for row in table["rows"]:
        courses.setdefault(row["site"], []).append((row["time"], row["value"]))
    if not courses:
        return
    column = next(c for c in table["columns"] if c["key"] == "value")
    console.print()
    first = min(points[0][0] for points in courses.values())
    last = max(points[-1][0] for points in courses.values())
    width = min(_SPARK_WIDTH, max(10, console.width - 40))
    label = max(map(len, courses))
    for site, points in courses.items():
        low, high = min(v for _, v in points), max(v for _, v in points)
        text = Text(f"{site:<{label}}  ")
        text.append(sparkline(points, first, last, width), "cyan")
        text.append(
            f"  {low:.{column['decimals']}f} to {high:.{column['decimals']}f} {column['unit']}"
        )
        console.print(text)
    now = time.time()
    console.print(Text(" " * (label + 2) + f"{when(first, now)} … {when(last, now)}", "dim"))


def sparkline(points: list[tuple[float, float]], first: float, last: float, width: int) -> str:
    """Values over time as blocks; a time without any stays empty."""
    sums, counts = [0.0] * width, [0] * width
    span = (last - first) or 1.0
    for moment, value in points:
        place = min(width - 1, int((moment - first) / span * width))
        sums[place] += value
        counts[place] += 1
    means = [s / n if n else None for s, n in zip(sums, counts, strict=True)]
    known = [m for m in means if m is not None]
    low, high = min(known), max(known)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(" " if m is None else _BARS[round((m - low) * scale)] for m in means)
