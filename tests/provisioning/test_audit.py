"""The audit of the dependencies sees what it is for."""

from __future__ import annotations

import json

import pytest

from provisioning import audit
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
    ("packages", "sentence", "vulnerable", "unchecked"),
    [
        ([SOUND, SOUND], "2 packages checked", False, False),
        ([SOUND, FLAWED], "jinja 2.0: PYSEC-2020-1, fixed in 2.1", True, False),
        ([SOUND, ABSENT], "1 packages checked; 1 NOT checked", False, True),
        ([], "0 packages checked", False, True),
    ],
)
def test_the_result_names_what_was_found_and_what_was_not_checked(
    packages: list[object], sentence: str, vulnerable: bool, unchecked: bool
) -> None:
    result = published(json.dumps({"dependencies": packages}), "")
    assert sentence in result.sentence
    assert (result.vulnerable, result.unchecked) == (vulnerable, unchecked)


@pytest.mark.parametrize("answer", ["", "Traceback", "[]", "{}"])
def test_no_answer_is_unchecked(answer: str) -> None:
    result = published(answer, "first\nno route to host\n")
    assert result.sentence.startswith("NOT checked")
    assert result.sentence.endswith("no route to host")
    assert (result.vulnerable, result.unchecked) == (False, True)


@pytest.mark.parametrize(("allowed", "code"), [(None, 1), ("allow", 0)])
def test_an_audit_that_checked_too_little_passes_only_when_allowed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    allowed: str | None,
    code: int,
) -> None:
    monkeypatch.delenv("AUDIT_UNCHECKED", raising=False)
    if allowed:
        monkeypatch.setenv("AUDIT_UNCHECKED", allowed)
    # No pip-audit anywhere: nothing can be checked.
    monkeypatch.setattr(audit.shutil, "which", lambda *_, **__: None)
    assert audit.main() == code
    assert "AUDIT_UNCHECKED=allow" in capsys.readouterr().out
