"""Write every dashboard as JSON, the same bytes every time."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import cells, collection, compare, meters, overview, pack, site

FOLDER = Path(__file__).parent / "dashboards"
SCHEMA_VERSION = 42
MODULES = (overview, site, cells, pack, meters, compare, collection)


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard as plain JSON values, by uid."""
    made = {}
    for module in MODULES:
        text = json.dumps(module.build().build(), cls=JSONEncoder)
        value: dict[str, Any] = json.loads(text)
        value["schemaVersion"] = SCHEMA_VERSION
        for place in ("templating", "annotations"):
            value[place].setdefault("list", [])
        for number, panel in enumerate(value["panels"], start=1):
            panel["id"] = number
        made[str(value["uid"])] = value
    return made


def files() -> dict[Path, str]:
    """What is to stand in each file."""
    return {
        FOLDER / f"{uid}.json": json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
        + "\n"
        for uid, value in dashboards().items()
    }


def stale() -> list[str]:
    """Names of files that differ from what would be written, are absent, or are nobody's."""
    wanted = files()
    wrong = [
        path.name
        for path, text in wanted.items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]
    return sorted(wrong + [path.name for path in FOLDER.glob("*.json") if path not in wanted])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or compare with ``--check``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m grafana", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    if parser.parse_args(arguments).check:
        wrong = stale()
        for name in wrong:
            print(
                f"grafana/dashboards/{name} is not what python -m grafana writes", file=sys.stderr
            )
        return int(bool(wrong))
    FOLDER.mkdir(exist_ok=True)
    wanted = files()
    for path in FOLDER.glob("*.json"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.write_text(text, "utf-8")
    return 0
