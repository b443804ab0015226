"""Where commands print: a terminal as wide as it is, or a file or pipe that nothing is cut for."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_COLUMNS = 200


def plain_table(*columns: str, title: str | None = None, expand: bool = False) -> Table:
    """A table without lines, in the one style of all commands."""
    from rich.table import Table
    from rich.text import Text

    return Table(
        *columns,
        box=None,
        pad_edge=False,
        expand=expand,
        header_style="bold",
        title=None if title is None else Text(title, "bold"),
        title_justify="left",
        title_style="bold underline",
    )


def console() -> Console:
    """What to print an answer with; ``COLUMNS`` in the environment decides where it is set."""
    from rich.console import Console

    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console()
    return Console(width=_pager_columns() or PIPE_COLUMNS)


def _pager_columns() -> int | None:
    """Width of the terminal behind a pager such as ``less``; None for a file or a script.

    Only a pager leaves both ends of the terminal to the command: what is typed and its messages.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    if not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        return None
    return os.get_terminal_size(sys.stderr.fileno()).columns
