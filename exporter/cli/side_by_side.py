"""Compares sites in columns, with a row for each metric, in as many parts as the width needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.cli.console import plain_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_NARROWEST = 9
_BETTER = "✓"


def print_beside(console: Console, table: dict[str, Any]) -> None:
    """Print a comparison; names are folded into their columns, numbers are not.

    Parameters
    ----------
    console : Console
    table : dict
        ``Comparison`` of an answer: metric, a column for each site, unit and which is better.
    """
    from rich.text import Text

    _, *sites, _, better = table["columns"]
    rows = table["rows"]
    labels = [f"{row['metric']}, {row['unit']}" if row["unit"] else row["metric"] for row in rows]
    label_width = min(max(map(len, labels)), console.width // 2)
    wide = [_width(rows, site, console.width // 4) for site in sites]
    for number, part in enumerate(_parts(wide, console.width - label_width)):
        shown = plain_table()
        shown.add_column("Metric", width=label_width, overflow="fold")
        for place in part:
            name = Text(sites[place]["label"])
            shown.add_column(name, justify="right", width=wide[place], overflow="fold")
        for label, row in zip(labels, rows, strict=True):
            shown.add_row(label, *(_value(row, sites[place]) for place in part))
        if number:
            console.print()
        console.print(shown)
    if any(row.get("better") for row in rows):
        console.print(Text(f"{_BETTER} {better['label'].lower()} than the others", "dim"))


def _parts(wide: list[int], room: int) -> list[list[int]]:
    """Places of the sites in each part."""
    parts: list[list[int]] = [[]]
    used = 0
    for place, width in enumerate(wide):
        if parts[-1] and used + width + 2 > room:
            parts.append([])
            used = 0
        parts[-1].append(place)
        used += width + 2
    return parts


def _width(rows: list[dict[str, Any]], site: dict[str, Any], most: int) -> int:
    from rich.cells import cell_len

    longest = max((len(_value(row, site)) for row in rows), default=0)
    return max(_NARROWEST, longest, min(cell_len(site["label"]), most))


def _value(row: dict[str, Any], site: dict[str, Any]) -> Text:
    from rich.text import Text

    value = row.get(site["key"])
    mark = f" {_BETTER}" if site["label"] == row.get("better") else "  "
    if value is None:
        return Text("–" + mark, "dim")
    decimals = row["decimals"]
    return Text(f"{value:,.{decimals}f}".replace(",", " ") + mark)
