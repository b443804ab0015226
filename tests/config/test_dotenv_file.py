"""``.env`` as Docker Compose reads it; the first table is that of its documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.dotenv_file import read_dotenv
from exporter.config.settings import load_settings

DOCUMENTED = [
    ("VAR=VAL", "VAL"),
    ('VAR="VAL"', "VAL"),
    ("VAR='VAL'", "VAL"),
    ("VAR=VAL # comment", "VAL"),
    ("VAR=VAL# not a comment", "VAL# not a comment"),
    ('VAR="VAL # not a comment"', "VAL # not a comment"),
    ('VAR="VAL" # comment', "VAL"),
    ("VAR='$OTHER'", "$OTHER"),
    ("VAR='${OTHER}'", "${OTHER}"),
    ("VAR='Let\\'s go!'", "Let's go!"),
    ('VAR="{\\"hello\\": \\"json\\"}"', '{"hello": "json"}'),
    ('VAR="some\\tvalue"', "some\tvalue"),
    ("VAR='some\\tvalue'", "some\\tvalue"),
    ("VAR=some\\tvalue", "some\\tvalue"),
]
REFERENCES = [
    ("VAR=a${HOME}b", "a/home/ops b".replace(" ", "")),
    ('VAR="a$HOME/b"', "a/home/ops/b"),
    ("VAR=$FIRST-$FIRST", "1-1"),
    ("VAR=${NONE:-default}", "default"),
    ("VAR=${EMPTY:-default}", "default"),
    ("VAR=${EMPTY-default}", ""),
    ("VAR=${NONE-default}", "default"),
    ("VAR=${HOME:+other}", "other"),
    ("VAR=${NONE:+other}", ""),
    ("VAR=${NONE}", ""),
    ("VAR=p$$w", "p$w"),
    ('VAR="p\\$HOME"', "p$HOME"),
    ("VAR='p$$w${HOME}'", "p$$w${HOME}"),
    ("export VAR='x'", "x"),
    ("VAR = 'x y' ", "x y"),
    ("VAR='a=b\\c'", "a=b\\c"),
    ("VAR=100%", "100%"),
    ("VAR=a$", "a$"),
    ("VAR=$5.00", "$5.00"),
]


@pytest.mark.parametrize(("line", "value"), DOCUMENTED + REFERENCES)
def test_a_line_means_what_compose_says(tmp_path: Path, line: str, value: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"FIRST=1\nHOME=not this\n{line}\n", "utf-8")
    known = {"HOME": "/home/ops", "EMPTY": "", "OTHER": "x"}
    assert read_dotenv(file, known)["VAR"] == value


def test_a_password_in_single_quotes_is_not_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ops")
    monkeypatch.delenv("FLEETSCOPE_INFLUXDB_PASSWORD", raising=False)
    Path(".env").write_text("FLEETSCOPE_INFLUXDB_PASSWORD='s3${HOME}$x'\n", "utf-8")
    password = load_settings().influxdb_password
    assert password is not None
    assert password.get_secret_value() == "s3${HOME}$x"


def test_no_file_is_no_variable(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / ".env", {}) == {}
