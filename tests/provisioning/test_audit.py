"""The audit of the dependencies sees what it is for."""

from __future__ import annotations

import json

import pytest

from provisioning.audit import LOCKS, ROOT, published, unpinned


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_files_are_pinned_with_hashes(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert unpinned(text) == []
    assert "://" not in text


@pytest.mark.parametrize("line", ["aiohttp", "aiohttp>=3", "aiohttp==3.0", "git+https://x/y"])
def test_what_is_not_pinned_is_named(line: str) -> None:
    good = "attrs==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via aiohttp\n"
    assert unpinned(good) == []
    assert unpinned(f"{good}{line}\n{good}") == [line]


SOUND = {"name": "attrs", "version": "1.0", "vulns": []}
FLAWED = {
    "name": "jinja",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-2020-1", "fix_versions": ["2.1"]}],
}
ABSENT = {"name": "own", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "told", "found"),
    [
        ([SOUND, SOUND], "2 packages checked", False),
        ([SOUND, FLAWED], "jinja 2.0: PYSEC-2020-1, mended in 2.1", True),
        ([SOUND, ABSENT], "1 packages checked; 1 NOT checked", False),
    ],
)
def test_what_is_published_is_told(packages: list[object], told: str, found: bool) -> None:
    said, flawed = published(json.dumps({"dependencies": packages}), "")
    assert told in said
    assert flawed is found


@pytest.mark.parametrize("answer", ["", "Traceback", "[]", "{}"])
def test_no_answer_is_told_and_is_no_finding(answer: str) -> None:
    said, flawed = published(answer, "first\nno route to host\n")
    assert said.startswith("NOT checked")
    assert said.endswith("no route to host")
    assert not flawed
