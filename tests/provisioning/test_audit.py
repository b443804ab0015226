"""The audit of the dependencies sees what it is for."""

from __future__ import annotations

import pytest

from provisioning.audit import LOCKS, ROOT, unpinned


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
