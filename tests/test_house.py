"""The layout that CONTRIBUTING.md describes is the one on disk."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("exporter", "scoring", "simulator", "grafana", "provisioning", "tests")
# What a folder of tests may be besides the mirror of a package.
ACROSS = {"bench", "browser", "containers", "data", "faults", "fuzz", "oncall", "rules", "stack"}
MOST_LINES = 500


def described() -> set[str]:
    """Folders that the tree in CONTRIBUTING.md has a line for."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    tree = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    assert tree, "CONTRIBUTING.md has no tree"
    found, parents = set(), []
    for line in tree[1].splitlines():
        entry = re.match(r"( *)(\w+)/ +\S", line)
        if entry is None:
            continue
        depth = len(entry[1]) // 2
        parents = [*parents[:depth], entry[2]]
        found.add("/".join(parents))
    return found


def folders(parent: str) -> set[str]:
    """Folders directly in one, without caches."""
    return {
        path.name
        for path in (ROOT / parent).iterdir()
        if path.is_dir() and not path.name.startswith(("__", "."))
    }


def test_each_package_of_the_exporter_has_a_line() -> None:
    wanted = {f"exporter/{name}" for name in folders("exporter")}
    assert {name for name in described() if name.startswith("exporter/")} == wanted


def test_each_source_folder_has_a_line() -> None:
    assert {name for name in described() if "/" not in name} == {*SOURCES, "docs", "deploy"}


def test_the_exporter_keeps_only_its_wiring_at_the_top() -> None:
    modules = {path.name for path in (ROOT / "exporter").glob("*.py")}
    assert modules == {"__init__.py", "__main__.py", "app.py"}


def test_tests_mirror_the_tree() -> None:
    mirrored = folders("exporter") | set(SOURCES) - {"exporter", "tests"}
    assert folders("tests") - ACROSS <= mirrored


@pytest.mark.parametrize("package", sorted(folders("exporter")))
def test_a_name_stands_once_in_a_package(package: str) -> None:
    names = Counter(path.name for path in (ROOT / "exporter" / package).rglob("*.py"))
    twice = {name for name, times in names.items() if times > 1}
    assert twice <= {"__init__.py", "__main__.py"}


def test_no_module_is_too_long_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for source in SOURCES
        for path in (ROOT / source).rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}
