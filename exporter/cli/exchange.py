"""``fleetscope probe --site``: the last exchange of the running exporter with a site, explained."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from exporter.cli.client import get, site_id
from exporter.cli.console import console, plain_table
from exporter.model.quantities import label
from exporter.model.text import duration_words

if TYPE_CHECKING:
    from rich.console import Console

# A scrape may take ten seconds; then its raw values are there.
_SCRAPE_SECONDS = 12.0


def explain_site(url: str, name: str) -> int:
    """Print what became of each value of a site; 0 if its last exchange gave readings, 1 if not.

    Raises
    ------
    exporter.cli.client.CannotAskError
    """
    site = quote(site_id(url, name), safe="")
    found = get(url, f"sites/{site}/exchange")
    printed = console()
    if found["raw_values_follow"]:
        printed.print("waiting for the next exchange, which keeps raw values", style="dim")
        end = time.monotonic() + float(found["interval_seconds"]) + _SCRAPE_SECONDS
        while found["raw_values_follow"] and time.monotonic() < end:
            time.sleep(0.5)
            found = get(url, f"sites/{site}/exchange")
    about = get(url, f"sites/{site}")
    _print(found, about, printed)
    return 0 if found["outcome"] in ("ok", "partial") else 1


def _print(found: dict[str, Any], about: dict[str, Any], printed: Console) -> None:
    ways = about["ways_in"]
    over = found["way_in"] + (f" (of {', '.join(ways)})" if len(ways) > 1 else "")
    printed.print(
        f"{about['name']} ({found['site']}), read over {over}", style="bold", markup=False
    )
    outcome = found["outcome"] or "no exchange yet"
    if found["scrape_seconds"] is not None:
        outcome += f" in {found['scrape_seconds']:.2f} s"
    if found["last_success"] is not None:
        ago = duration_words(max(0.0, found["time"] - found["last_success"]))
        outcome += f", last answered {ago} ago"
    detail = f": {found['detail']}" if found["detail"] else ""
    printed.print(f"last exchange: {outcome}{detail}", markup=False, highlight=False)
    table = plain_table("device", "quantity", "value", "age", "state", "from", "raw")
    for row in found["readings"]:
        value = "–"
        if row["value"] is not None:
            value = f"{row['value']:g} {row['unit']}".rstrip()
        age = "–" if row["age_seconds"] is None else f"{row['age_seconds']:.0f} s"
        state = f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
        table.add_row(
            *(row["device"], row["quantity"], value, age, state, row["place"], row["raw"])
        )
    printed.print(table, markup=False)
    for notice in found["notices"]:
        printed.print(notice, markup=False, highlight=False)
    lacking = ", ".join(map(label, about["missing"])) or "nothing"
    printed.print(f"missing for a full score: {lacking}", markup=False, highlight=False)
