"""Write every dashboard as JSON, the same bytes every time."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import (
    balance,
    collection,
    compare,
    dispatch_orders,
    energy,
    energy_forecast,
    energy_home,
    energy_plan,
    pack,
    site_now,
    site_readings,
    trends,
    triage,
    virtual_plant,
    wall,
)
from grafana.boards.portfolio import assets, combined, controller, home, measured, owner
from grafana.kit.catalogue import VARIABLES, catalogue

FOLDER = Path(__file__).parent / "dashboards"
DOCUMENT = Path(__file__).parents[1] / "docs" / "dashboards.md"
TABLE_BEGINS = "<!-- written by python -m grafana, out of grafana/catalogue.yaml -->"
TABLE_ENDS = "<!-- end of what is written -->"
SAMPLES = dict.fromkeys(
    ("kind", "region", "vendor", "battery_type", "priority", "status"), "NAME"
) | {
    "site": "ID",
    "pack": "DEVICE",
}
SCHEMA_VERSION = 42
MODULES = (
    triage,
    trends,
    wall,
    compare,
    site_now,
    site_readings,
    energy,
    energy_home,
    energy_forecast,
    energy_plan,
    balance,
    pack,
    dispatch_orders,
    virtual_plant,
    collection,
)
PORTFOLIO = (
    *(home.build, owner.cockpit, owner.partners, owner.settlement, assets.lifecycle),
    *(assets.pipeline, controller.operations, controller.controller, controller.faults),
    *(measured.grid_code, measured.historian, combined.losses, combined.stress),
    *(combined.evidence, combined.vendors),
)


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard as plain JSON values, by uid."""
    made = {}
    for build in (*(module.build for module in MODULES), *PORTFOLIO):
        text = json.dumps(build().build(), cls=JSONEncoder)
        value: dict[str, Any] = json.loads(text)
        value["schemaVersion"] = SCHEMA_VERSION
        for place in ("templating", "annotations"):
            value[place].setdefault("list", [])
        for number, panel in enumerate(all_panels(value), start=1):
            panel["id"] = number
        made[str(value["uid"])] = value
    for dashboard in made.values():
        for panel in dashboard["panels"]:
            if panel["type"] == "text":
                content = panel["options"]["content"]
                panel["options"]["content"] = _numbered(content, made)
    return made


_LINK_TO_PANEL = re.compile(r'/d/([a-z-]+)/([^"\[]*)panel-\[([^\]]+)\]')


def _numbered(content: str, made: dict[str, dict[str, Any]]) -> str:
    """HTML with numbers of panels in place of their titles, in links to one of them.

    Raises
    ------
    KeyError
        There is no such dashboard or panel.
    """

    def link(match: re.Match[str]) -> str:
        uid, between, title = match.groups()
        numbers = {panel.get("title"): panel["id"] for panel in all_panels(made[uid])}
        return f"/d/{uid}/{between}panel-{numbers[title]}"

    return _LINK_TO_PANEL.sub(link, content)


def all_panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel and row of a dashboard, those of collapsed rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def files() -> dict[Path, str]:
    """The text of each file; the folder of a dashboard is the one that Grafana shows it in."""
    made = {
        FOLDER / catalogue()[uid].pack / f"{uid}.json": _text(value)
        for uid, value in dashboards().items()
    }
    return made | {DOCUMENT: with_table(DOCUMENT.read_text("utf-8"))}


def with_table(document: str) -> str:
    """The document with the catalogue as a table between its two marks.

    Raises
    ------
    ValueError
        A mark is missing.
    """
    before, first, rest = document.partition(TABLE_BEGINS)
    _, last, after = rest.partition(TABLE_ENDS)
    if not first or not last:
        raise ValueError(f"{DOCUMENT.name} has no place for the table of dashboards")
    return f"{before}{first}\n{table()}\n{last}{after}"


def table() -> str:
    """The catalogue as a Markdown table."""
    rows = [
        "| dashboard | for whom | what it decides | address |",
        "| --- | --- | --- | --- |",
    ]
    for entry in catalogue().values():
        chosen = "&".join(f"var-{name}={SAMPLES[name]}" for name in VARIABLES[entry.scope][:2])
        query = f"?{chosen}" if entry.scope in ("group", "site", "battery") else ""
        rows.append(
            f"| **{entry.title}** | {', '.join(entry.personas)} | {entry.decision} "
            f"| `/d/{entry.uid}{query}` |"
        )
    return "\n".join(rows)


def _text(dashboard: dict[str, Any]) -> str:
    return json.dumps(dashboard, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def stale() -> list[str]:
    """Names of files that differ from what would be written, are absent, or are nobody's."""
    wanted = files()
    wrong = [
        path.name
        for path, text in wanted.items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]
    return sorted(wrong + [path.name for path in FOLDER.rglob("*.json") if path not in wanted])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or compare with ``--check``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m grafana", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    if parser.parse_args(arguments).check:
        wrong = stale()
        for name in wrong:
            print(f"{name} is not what python -m grafana writes", file=sys.stderr)
        return int(bool(wrong))
    FOLDER.mkdir(exist_ok=True)
    wanted = files()
    for path in FOLDER.rglob("*.json"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return 0
