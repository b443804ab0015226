"""Where commands print: a terminal as wide as it is, or a file or pipe that nothing is cut for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_COLUMNS = 200


def console() -> Console:
    """What to print an answer with; ``COLUMNS`` in the environment decides where it is set."""
    from rich.console import Console

    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console()
    return Console(width=PIPE_COLUMNS)
