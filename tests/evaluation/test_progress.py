"""What a long evaluation says of how far it is."""

from __future__ import annotations

import io

from exporter.evaluation.progress import ELSEWHERE_SECONDS, TERMINAL_SECONDS, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO, end: float = 86400.0) -> list[str]:
    """What is said of a day that is played in two minutes."""
    now = 0.0
    progress = Progress("a", 0.0, end, stream, lambda: now)
    for second in range(121):
        now = float(second)
        progress.reached(720.0 * second)
    return stream.getvalue().splitlines()


def test_a_line_now_and_then() -> None:
    assert len(lines(Terminal())) == 120 / TERMINAL_SECONDS
    in_log = lines(io.StringIO())
    assert len(in_log) == 120 / ELSEWHERE_SECONDS
    assert in_log[0] == "a: played up to 1970-01-01 12:00 UTC, 50 %, about 1 min left"


def test_without_an_end_there_is_no_share() -> None:
    assert lines(io.StringIO(), float("nan"))[0] == "a: played up to 1970-01-01 12:00 UTC"


def test_what_is_short_says_nothing() -> None:
    stream = Terminal()
    Progress("a", 0.0, 1.0, stream, lambda: 0.0).reached(0.5)
    assert stream.getvalue() == ""
