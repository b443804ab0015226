"""Sends one query to the exporter and prints the answer."""

from __future__ import annotations

import sys
from typing import Any

from exporter.cli import client


def chosen(
    region: list[str] | None, priority: list[str] | None, filters: list[str] | None
) -> list[str]:
    """All filters in one list."""
    return [
        *(f"region:{value}" for value in region or ()),
        *(f"priority:{value}" for value in priority or ()),
        *(filters or ()),
    ]


def parameters(
    what: str,
    *,
    region: list[str] | None = None,
    priority: list[str] | None = None,
    filters: list[str] | None = None,
    urgent: bool = False,
    best: bool = False,
    highest: bool = False,
    lowest: bool = False,
    any_of: bool = False,
    **others: Any,
) -> dict[str, Any]:
    """What ``/api/v1/query`` is asked, of the options of a command."""
    return others | {
        "what": what,
        "filter": chosen(region, priority, filters),
        "severity": "critical" if urgent else None,
        "order": "best" if best else "highest" if highest else "lowest" if lowest else None,
        "any_of": "1" if any_of else None,
    }


def ask(url: str, as_json: bool, as_csv: bool, evidence: bool = False, **parameters: Any) -> int:
    """Ask, print, and the exit code: 0 fine, 1 attention, 2 no answer."""
    if as_json and as_csv:
        print("fleetscope: --json and --csv exclude each other", file=sys.stderr)
        return client.EXIT_CANNOT_ANSWER
    try:
        answer = client.get(url, "query", parameters | {"tz": client.zone(parameters.get("tz"))})
        from exporter.cli.render import show

        return show(answer, as_json=as_json, as_csv=as_csv, evidence=evidence)
    except client.CannotAskError as error:
        print(f"fleetscope: {error}", file=sys.stderr)
        return client.EXIT_CANNOT_ANSWER
