"""Without an optional library, what needs it names the extra to install."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.deliver.report.pdf import NoPdfError, as_pdf
from exporter.model.extras import EXTRAS

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def _without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def absent(name: str, package: str | None = None) -> Any:
        return None if name == request.param else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", absent)


def test_extras_are_those_of_the_package() -> None:
    declared = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(declared) - {"dev"}
    packages = {"jwt": "pyjwt[crypto]"}
    for extra, (library, _) in EXTRAS.items():
        package = packages.get(library, library)
        assert [line.partition(">")[0].replace("-", "_") for line in declared[extra]] == [package]


@pytest.mark.usefixtures("_without")
@pytest.mark.parametrize(
    ("_without", "arguments", "extra"),
    [("pyarrow", ["import", "."], "import"), ("mcp", ["mcp"], "mcp")],
    indirect=["_without"],
)
def test_a_command_names_its_extra(arguments: list[str], extra: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert f"pip install 'fleetscope[{extra}]'" in done.stderr


@pytest.mark.usefixtures("_without")
@pytest.mark.parametrize("_without", ["weasyprint"], indirect=True)
async def test_the_pdf_names_its_extra() -> None:
    with pytest.raises(NoPdfError, match=r"fleetscope\[report\]"):
        await as_pdf("<p>report</p>")
