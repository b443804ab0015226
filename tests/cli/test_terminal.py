"""Commands on a real terminal: a pseudo-terminal with a size, keys and job control."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ask.conftest import assessment, url

pytestmark = pytest.mark.slow

__all__ = ["assessment", "url"]

ENOUGH_SECONDS = 180.0
DOWN, UP, LEFT = "\x1b[B", "\x1b[A", "\x1b[D"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][AB0]|[=>])")


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, *command: str, columns: int, lines: int, url: str) -> None:
        self._own, theirs = pty.openpty()
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        self._theirs = theirs
        kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"FLEETSCOPE_URL": url, "TERM": "xterm", "PATH": path, "PYTHONPATH": os.getcwd()}
        self.process = subprocess.Popen(
            # A session of its own, of which the terminal is the controlling one.
            ["setsid", "--ctty", "--wait", *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=kept | own,
        )
        self._text = ""

    def type(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    def until(self, words: str) -> str:
        """What was shown until some words are; they are not looked for again."""
        end = time.monotonic() + ENOUGH_SECONDS
        while words not in self._text:
            assert time.monotonic() < end, f"never {words!r} in {self._text[-2000:]!r}"
            ready, _, _ = select.select([self._own], [], [], 0.2)
            if ready:
                with contextlib.suppress(OSError):
                    read = os.read(self._own, 65536).decode("utf-8", "replace")
                    self._text += _ESCAPES.sub("", read).replace("\r", "")
        shown, _, self._text = self._text.partition(words)
        return shown + words

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as a shell leaves it."""
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(ENOUGH_SECONDS)
        os.close(self._own)
        os.close(self._theirs)


@contextlib.contextmanager
def terminal(url: str, *command: str, columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    made = Terminal(*command, columns=columns, lines=lines, url=url)
    try:
        yield made
    finally:
        made.close()


PROGRAM = (sys.executable, "-m", "exporter")


def test_watch_scrolls_by_keys_and_leaves_the_terminal_as_it_was(url: str) -> None:
    with terminal(url, *PROGRAM, "status", "--watch", lines=18) as shown:
        first = shown.until("q ends")
        assert "Epsilon" in first
        assert re.search(r"… and \d+ more", first)
        shown.type(DOWN * 3)
        assert "Epsilon" not in shown.until("3 above").partition("Status")[2]
        shown.type(UP)
        shown.until("2 above")
        shown.type("q")
        assert shown.process.wait(ENOUGH_SECONDS) == 1
        assert shown.echoes


def test_behind_a_pager_a_table_is_as_wide_as_the_terminal(url: str) -> None:
    pager = f"{sys.executable} -m exporter rank --by temperature | cat; echo end-of-it"
    with terminal(url, "sh", "-c", pager, columns=72) as shown:
        lines = shown.until("end-of-it").splitlines()
    assert any("Delta" in line for line in lines)
    assert 60 < max(len(line.rstrip()) for line in lines) <= 72


def test_a_session_has_line_editing_and_a_history(url: str) -> None:
    with terminal(url, *PROGRAM, "ask", columns=100) as shown:
        shown.until("fleetscope> ")
        shown.type("how is eta" + LEFT * 3 + "B\r")
        assert "Beta is WARNING" in shown.until("fleetscope> ")
        shown.type(UP)
        shown.until("how is Beta")
        shown.type("\r")
        assert "Beta is WARNING" in shown.until("fleetscope> ")
        shown.type("\x04")
        assert shown.process.wait(ENOUGH_SECONDS) == 1


def test_the_shell_completes_ids_and_names_of_sites(url: str) -> None:
    shell = shutil.which("bash")
    if shell is None or shutil.which("fleetscope", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("no bash, or fleetscope is not installed beside this Python")
    with terminal(url, shell, "--norc", "--noprofile", "-i", columns=100) as shown:
        shown.type("PS1='ready> '; bind 'set show-all-if-ambiguous on'\r")
        shown.until("ready> ")
        shown.type('eval "$(_FLEETSCOPE_COMPLETE=source_bash fleetscope)"; echo set-up\r')
        shown.until("\nset-up\n")
        shown.type("fleetscope explain dep\t")
        offered = shown.until("depot_south")
        assert "depot_north" in offered
        shown.type("n\t")
        shown.until("depot_north ")
