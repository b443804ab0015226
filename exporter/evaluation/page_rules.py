"""The rules that wake somebody, out of all rule files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PREFIX = "fleetscope_"
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PageRules:
    """Alerts of severity ``page`` and the recording rules that they read, each as its file has it.

    What only notes, tickets and dashboards read takes four fifths of an evaluation's time and can
    page nobody.

    Attributes
    ----------
    groups : tuple of dict
        Groups of rules, as a rule file has them.
    metrics : frozenset of str
        Names of the exporter's metrics that these rules read.
    """

    groups: tuple[dict[str, Any], ...]
    metrics: frozenset[str]

    @classmethod
    def read(cls, files: Iterable[Path]) -> PageRules:
        """The pages of rule files.

        Raises
        ------
        yaml.YAMLError
        """
        groups = [
            group
            for path in files
            for group in yaml.safe_load(path.read_text("utf-8")).get("groups", ())
        ]
        every: list[Rule] = [rule for group in groups for rule in group["rules"]]
        records = {rule["record"]: rule for rule in every if "record" in rule}
        pages = [r for r in every if r.get("labels", {}).get("severity") == "page"]
        needed = _needed(pages, records)
        kept = [group | {"rules": [r for r in group["rules"] if r in needed]} for group in groups]
        names = {name for rule in needed for name in _NAME.findall(rule["expr"])}
        return cls(
            groups=tuple(group for group in kept if group["rules"]),
            metrics=frozenset(name for name in names if name.startswith(PREFIX)),
        )


def _needed(pages: Sequence[Rule], records: dict[str, Rule]) -> list[Rule]:
    """Pages, and the recording rules that they read, directly or through others."""
    needed, waiting = list(pages), list(pages)
    while waiting:
        for name in _NAME.findall(waiting.pop()["expr"]):
            rule = records.get(name)
            if rule is not None and rule not in needed:
                needed.append(rule)
                waiting.append(rule)
    return needed
