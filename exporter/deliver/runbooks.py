"""Runbooks: what each alert means and what to do, and which one an issue belongs to."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import orjson

_FOLDERS = (
    Path(__file__).resolve().parents[2] / "docs",
    Path(sys.prefix) / "share" / "fleetscope" / "docs",
)
ISSUE_RUNBOOKS = Path(__file__).with_name("issue_runbooks.json")
"""Code of an issue to its runbooks, out of the rows of alerts in ``provisioning/prometheus``."""
OTHER_ISSUES = "other"


@cache
def issue_runbooks() -> dict[str, tuple[str, str]]:
    """Code of an issue to its runbooks for a warning and for critical.

    :data:`OTHER_ISSUES` stands for all without an alert of their own.
    """
    found = orjson.loads(ISSUE_RUNBOOKS.read_bytes())
    return {code: (warning, critical) for code, (warning, critical) in found.items()}


def runbooks_text() -> str:
    """All runbooks, as Markdown.

    Raises
    ------
    FileNotFoundError
        Where the documents are not installed.
    """
    for folder in _FOLDERS:
        file = folder / "runbooks.md"
        if file.is_file():
            return file.read_text("utf-8")
    raise FileNotFoundError("the runbooks are not installed with this program")


def runbooks() -> dict[str, str]:
    """Runbook entries by alert, as Markdown.

    Raises
    ------
    FileNotFoundError
    """
    parts = runbooks_text().split("\n## ")[1:]
    return {part.split("\n", 1)[0].strip(): f"## {part.strip()}\n" for part in parts}
