"""``fleetscope status --watch``: the dashboard, kept up to date and scrolled by keys."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from exporter.cli import client
from exporter.cli.status import MOST_WATCHED, fetch, render

REFRESH_SECONDS = 2.0
_MOST_READ = 256
_PAGE = 10
_STEPS = {
    b"\x1b[A": -1, b"k": -1, b"\x1b[B": 1, b"j": 1,
    b"\x1b[5~": -_PAGE, b"b": -_PAGE, b"\x1b[6~": _PAGE, b" ": _PAGE,
    b"\x1b[H": -MOST_WATCHED, b"g": -MOST_WATCHED, b"\x1b[F": MOST_WATCHED, b"G": MOST_WATCHED,
}  # fmt: skip
"""Keys as a terminal sends them, and by how many sites they scroll."""
_KEY = re.compile(rb"\x1b\[\d*[A-Z~]|.", re.DOTALL)


def watch_until_quit(url: str, data: dict[str, Any]) -> dict[str, Any]:
    """Show the dashboard until q or Ctrl-C; returns what was shown last.

    Without a terminal to read keys from, it only keeps up to date.
    """
    from rich.live import Live

    console = Console()
    first, trouble = 0, ""
    with (
        _keys() as keyboard,
        Live(console=console, screen=console.is_terminal, auto_refresh=False) as live,
        contextlib.suppress(KeyboardInterrupt),
    ):
        while True:
            live.update(
                fitted(console, data, first, trouble, keys=keyboard is not None), refresh=True
            )
            until = time.monotonic() + REFRESH_SECONDS
            pressed = _pressed(keyboard, REFRESH_SECONDS)
            while pressed:
                if b"q" in pressed:
                    return data
                for key in pressed:
                    first = max(0, min(len(data["sites"]) - 1, first + _STEPS.get(key, 0)))
                live.update(fitted(console, data, first, trouble, keys=True), refresh=True)
                pressed = _pressed(keyboard, max(0.0, until - time.monotonic()))
            try:
                data, trouble = fetch(url, MOST_WATCHED), ""
            except client.CannotAskError as error:
                trouble = str(error)
    return data


def fitted(
    console: Console, data: dict[str, Any], first: int, trouble: str = "", *, keys: bool = False
) -> RenderableType:
    """As many sites as the terminal has lines for, from the ``first`` on; at least one."""
    words = [Text(trouble, "bold red")] if trouble else []

    def shown(rows: int) -> Group:
        return Group(*words, render(data, rows, console.width, first=first, keys=keys))

    def lines(rows: int) -> int:
        return len(console.render_lines(shown(rows), pad=False))

    least, most = 1, max(1, min(console.height, len(data["sites"]) - first))
    while least < most:
        middle = (least + most + 1) // 2
        if lines(middle) <= console.height:
            least = middle
        else:
            most = middle - 1
    return shown(least)


@contextlib.contextmanager
def _keys() -> Iterator[int | None]:
    """The terminal's input, key by key; None where the input is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield None
        return
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        # Keys come at once and are not shown; Ctrl-C still ends.
        tty.setcbreak(keyboard)
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _pressed(keyboard: int | None, seconds: float) -> list[bytes]:
    """The keys that are pressed within a time; empty without any."""
    if keyboard is None:
        time.sleep(seconds)
        return []
    ready, _, _ = select.select([keyboard], [], [], seconds)
    return _KEY.findall(os.read(keyboard, _MOST_READ).replace(b"\x1bO", b"\x1b[")) if ready else []
