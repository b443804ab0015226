"""Texts for the resources: glossary, scoring, and one runbook for each alert."""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDERS = (
    Path(__file__).resolve().parents[3] / "docs",
    Path(sys.prefix) / "share" / "fleetscope" / "docs",
)


def glossary() -> str:
    """Names and units of every quantity, and the terms; made from the code that uses them."""
    from exporter.cli import reference

    return reference.glossary()


def scoring() -> str:
    """How scores are made, and every issue with its action."""
    from exporter.cli import scoring_reference

    return scoring_reference.scoring()


def runbooks() -> dict[str, str]:
    """Runbook entries by alert.

    Raises
    ------
    FileNotFoundError
        Where the documents are not installed.
    """
    for folder in _FOLDERS:
        file = folder / "runbooks.md"
        if file.is_file():
            parts = file.read_text("utf-8").split("\n## ")[1:]
            return {part.split("\n", 1)[0].strip(): f"## {part.strip()}\n" for part in parts}
    raise FileNotFoundError("the runbooks are not installed with this program")
