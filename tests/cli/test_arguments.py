"""What is read without Typer is read as Typer reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from exporter.cli import main
from exporter.cli.commands import app
from exporter.cli.question_commands import COMMANDS, OPTIONS, run
from tests.ask.test_faces import COMMANDS as TYPED
from tests.ask.test_faces import environment

pytestmark = pytest.mark.slow


def stripped(text: str) -> Any:
    """An answer without the session, which is another each time."""
    answer = json.loads(text)
    answer.pop("session", None)
    return answer


@pytest.mark.parametrize("arguments", [arguments for arguments, _ in TYPED] + [["status"]])
def test_both_ways_in_ask_the_same(
    url: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = [*arguments, "--json", "--url", url]
    read = main.parse(whole)
    assert read is not None
    code = run(*read)
    quick = capsys.readouterr().out
    usual = CliRunner().invoke(app, whole)
    assert code == usual.exit_code
    assert stripped(quick) == stripped(usual.stdout)


def test_both_ways_in_know_the_same_options() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in COMMANDS.items():
        known = {flag for option in command.options for flag in OPTIONS[option].flags}
        shown = {
            flag
            for parameter in commands[name].params
            for flag in parameter.opts
            if flag.startswith("-")
        }
        assert shown - {"--help"} == known, name


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["rank", "--help"],
        ["rank", "word"],
        ["rank", "--limit", "0"],
        ["rank", "--limit", "many"],
        ["rank", "--limit"],
        ["rank", "--nonsense"],
        ["rank", "--json=yes"],
        ["rank", "-n=3"],
        ["rank", "--urgent"],
        ["site"],
        ["site", "a", "b"],
        ["run"],
        ["report", "--json"],
        ["compare", "--", "-a"],
    ],
)
def test_what_is_not_plain_is_left_to_typer(arguments: list[str]) -> None:
    assert main.parse(arguments) is None


def test_a_question_loads_neither_typer_nor_what_it_checks_with(url: str) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['fleetscope', 'rank', '-n', '1', '--url', {url!r}]\n"
        "from exporter.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 1, end.code\n"
        "assert not {'typer', 'pydantic', 'numpy', 'fastapi'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_mistake_is_told_as_ever() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "rank", "--nonsense"],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 2
    assert "No such option" in done.stderr
