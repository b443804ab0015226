"""The table of docs/scaling.md is what its script computes."""

from __future__ import annotations

import pytest

from tests.bench.scaling import PAGE, need, page


def test_the_page_has_the_table_of_today() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text


def test_need_grows_with_the_sites() -> None:
    small, large = need(1000), need(10_000)
    assert large.points == pytest.approx(10 * small.points)
    assert large.shards >= small.shards >= 1
    assert small.memory_mib < large.memory_mib < 10 * small.memory_mib
