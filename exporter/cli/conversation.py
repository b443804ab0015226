"""``fleetscope ask``: one question, or a session of them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

from exporter.cli import client
from exporter.cli.render import show


def ask_once(
    url: str,
    text: str,
    session: str | None,
    *,
    zone: str,
    as_json: bool,
    as_csv: bool,
    evidence: bool,
) -> tuple[int, str | None]:
    """Ask, print, and give the exit code and the session."""
    parameters = {"q": text, "tz": zone, "session": session}
    try:
        answer: dict[str, Any] = client.get(url, "ask", parameters)
    except client.CannotAskError as error:
        print(f"fleetscope: {error}", file=sys.stderr)
        for example in error.suggestions:
            print(f"  {example}", file=sys.stderr)
        return client.EXIT_CANNOT_ANSWER, error.session or session
    if not (as_json or as_csv):
        for note in answer["notes"]:
            print(f"({note})")
        print(f"[{answer['understood']}]")
    code = show(answer, as_json=as_json, as_csv=as_csv, evidence=evidence)
    return code, answer["session"]


def converse(ask: Callable[[str, str | None], tuple[int, str | None]]) -> int:
    """Read questions until the input ends; the exit code is that of the last answer.

    ``ask`` takes a question and the session, and gives the exit code and the session.
    """
    prompt = "fleetscope> " if sys.stdin.isatty() else ""
    if prompt:
        with contextlib.suppress(ImportError):
            # Gives input() line editing and a history.
            import readline  # noqa: F401
        print("Ask about your sites; 'help' gives examples, Ctrl-D ends.")
    code, session = 0, None
    while True:
        try:
            text = input(prompt).strip()
        except (EOFError, KeyboardInterrupt):
            if prompt:
                print()
            return code
        if text in ("exit", "quit"):
            return code
        if text:
            code, session = ask(text, session)
            print(flush=True)
