"""The text dashboard: what needs attention first, in one terminal screen."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from exporter.cli import client
from exporter.cli.console import plain_table
from exporter.cli.render import MARKS, csv_text
from exporter.model.quantities import label
from exporter.model.text import duration_words, sites_word
from scoring.weights import HEALTHY_FROM, WARNING_FROM

_STATUSES = tuple(name for name in MARKS if name != "UNKNOWN")
USUAL_ROWS = 40
MOST_WATCHED = 1000
"""Sites that can be scrolled through."""
_SEVERITY = {"critical": "red", "warning": "yellow", "info": "dim"}


def show(
    url: str, *, watch: bool, as_json: bool, as_csv: bool = False, limit: int = USUAL_ROWS
) -> int:
    """Print the dashboard, once or until Ctrl-C; returns the exit code.

    0: no site needs attention, 1: some do, 2: the exporter could not be asked.
    """
    every = as_json or as_csv
    try:
        data = fetch(url, None if every else limit if not watch else MOST_WATCHED)
    except client.CannotAskError as error:
        print(f"fleetscope: {error}", file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps(data, indent=2))
    elif as_csv:
        sys.stdout.write(_csv(data))
    elif watch:
        from exporter.cli.watch import watch_until_quit

        data = watch_until_quit(url, data)
    else:
        console = Console()
        console.print(render(data, rows=limit, width=console.width))
    return 1 if data["fleet"]["attention"] else 0


def fetch(url: str, most: int | None = None) -> dict[str, Any]:
    """Fleet and sites from the exporter's API, those first that need attention most."""
    fleet, sites = client.get(url, "fleet"), client.get(url, "sites", {"limit": most})
    if "attention" not in fleet or "sites" not in sites:
        raise client.CannotAskError(f"{url} answers, but not as an exporter does")
    return {"fleet": fleet, "sites": sites["sites"]}


def _csv(data: dict[str, Any]) -> str:
    """All sites, those that need attention most first."""
    columns = ("site", "name", "status", *_COMPONENTS, "score", "why", "since")
    rows = []
    for site in data["sites"]:
        worst = site["issues"][0] if site["issues"] else {}
        row = {"site": site["id"], "why": worst.get("sentence"), "since": worst.get("since")}
        rows.append({**row, **{k: site[k] for k in ("name", "status", "score")}})
        rows[-1] |= site["components"]
    shown = [{"key": key, "kind": "time" if key == "since" else "text"} for key in columns]
    return csv_text({"tables": [{"columns": shown, "rows": rows}]})


def render(
    data: dict[str, Any],
    rows: int | None = None,
    width: int = 100,
    *,
    first: int = 0,
    keys: bool = False,
) -> RenderableType:
    """The dashboard as something rich can print.

    So many ``rows`` of sites from the ``first`` on; a narrow ``width`` leaves out the scores of the
    components, a very narrow one since when. ``keys`` names those that scroll.
    """
    fleet, sites = data["fleet"], data["sites"]
    common = [Text("⚑ " + issue["sentence"], "bold") for issue in fleet["common_issues"][:3]]
    shown = sites[first:] if rows is None else sites[first : first + rows]
    hidden = max(0, fleet["sites"] - first - len(shown))
    table = _table(shown, fleet["attention"], width, first_site=sites[0] if sites else None)
    above = [f"{first} above"] if first else []
    below = [f"… and {hidden} more"] if hidden else []
    notes = [*above, *below, *(["↑ ↓ PgUp PgDn scroll, q ends"] if keys else [])]
    more = [Text(" · ".join(notes), "dim", no_wrap=True, overflow="ellipsis")] if notes else []
    return Group(_summary(fleet, width), *common, table, *more)


def _summary(fleet: dict[str, Any], wide: int) -> Panel:
    lines = [Text()]
    for name in (*_STATUSES, "UNKNOWN"):
        count = fleet["counts"][name]
        if count or name != "UNKNOWN":
            mark, style = MARKS[name]
            part = Text(f"{mark} {count} {name.lower()}   ", style if count else "dim")
            if lines[-1].cell_len + part.cell_len > wide - 4:
                lines.append(Text())
            lines[-1].append(part)
    bar = Text()
    width = min(60, wide - 5)
    for name in _STATUSES:
        share = round(width * fleet["counts"][name] / max(1, fleet["sites"]))
        bar.append("█" * share, MARKS[name][1].replace("bold ", ""))
    mean = fleet["mean_score"]
    scores = (
        f"fleet score {mean:.0f} mean, {fleet['median_score']:.0f} median"
        if mean is not None
        else "no site has answered yet"
    )
    at = time.strftime("%H:%M:%S", time.gmtime(fleet["time"]))
    # Exporters of before do not say it.
    if unseen := fleet.get("unseen"):
        lines.append(Text(f"{unseen['sentence']}; nothing is known of them", "bold yellow"))
    title = f"Fleetscope · {sites_word(fleet['sites'])} · {at} UTC"
    return Panel(Group(*lines, bar, Text(scores)), title=title, title_align="left")


def _table(
    sites: list[dict[str, Any]],
    attention: list[str],
    width: int,
    *,
    first_site: dict[str, Any] | None,
) -> Table:
    table = plain_table(expand=True)
    # Sentences get what names leave.
    longest = max((cell_len(site["name"]) for site in sites), default=0)
    name_width = max(len("Site"), min(longest, max(16, width * 2 // 5)))
    columns: tuple[tuple[str, int, dict[str, Any]], ...] = (
        # Heading, least width of the terminal, options.
        ("Status", 0, {"no_wrap": True}),
        ("Site", 0, {"no_wrap": True, "width": name_width, "overflow": "ellipsis"}),
        ("Score", 50, {"justify": "right"}),
        ("bat grid sun link", 110, {"no_wrap": True}),
        ("Why", 0, {"ratio": 1, "min_width": 20, "overflow": "fold"}),
        ("Since", 70, {"justify": "right", "no_wrap": True}),
    )
    for column, _, options in (c for c in columns if c[1] <= width):
        table.add_column(column, **options)
    wanted = set(attention)
    now = time.time()
    for site in sites:
        mark, style = MARKS[site["status"]]
        score = "–" if site["score"] is None else f"{site['score']:.0f}"
        issues = site["issues"]
        why, since = Text(""), ""
        if issues:
            worst = issues[0]
            more = f"  (+{len(issues) - 1} more)" if len(issues) > 1 else ""
            why = Text(worst["sentence"] + more, _SEVERITY[worst["severity"]])
            if site is first_site and worst.get("action"):
                why.append(f"\n→ {worst['action']}", "default")
            since = duration_words(max(0.0, now - worst["since"]))
        elif site["missing"]:
            why = Text("no reading of " + ", ".join(label(m) for m in site["missing"]), "dim")
        name = escape(site["name"])
        cells: tuple[RenderableType, ...] = (
            Text(f"{mark} {site['status']}", style),
            f"[bold]{name}[/bold]" if site["id"] in wanted else name,
            score,
            Text(" ").join(_cell(site["components"][c]) for c in _COMPONENTS),
            why,
            since,
        )
        table.add_row(*(c for c, column in zip(cells, columns, strict=True) if column[1] <= width))
    return table


_COMPONENTS = ("battery", "grid", "solar", "connectivity")


def _cell(score: float | None) -> Text:
    if score is None:
        return Text("  – ", "dim")
    style = "green" if score >= HEALTHY_FROM else "yellow" if score >= WARNING_FROM else "red"
    return Text(f"{score:3.0f} ", style)
