"""Texts for the resources: glossary, scoring, and one runbook for each alert."""

from __future__ import annotations

from exporter.deliver.runbooks import runbooks

__all__ = ["glossary", "runbooks", "scoring"]


def glossary() -> str:
    """Names and units of every quantity, and the terms; made from the code that uses them."""
    from exporter.cli import reference

    return reference.glossary()


def scoring() -> str:
    """How scores are made, and every issue with its action."""
    from exporter.cli import scoring_reference

    return scoring_reference.scoring()
