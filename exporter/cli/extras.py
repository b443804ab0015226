"""Commands that need an optional library end with the name of its extra where it is absent."""

from __future__ import annotations

import typer

from exporter.cli.client import EXIT_CANNOT_ANSWER
from exporter.model.extras import missing


def require(extra: str) -> None:
    """End the command unless the library of an extra is installed.

    Raises
    ------
    typer.Exit
    """
    reason = missing(extra)
    if reason is not None:
        typer.echo(f"fleetscope: {reason}", err=True)
        raise typer.Exit(EXIT_CANNOT_ANSWER)
