"""The table of docs/scaling.md is what its script computes."""

from __future__ import annotations

import pytest

from tests.bench.scaling import LARGE, PAGE, SMALL, need, page


def test_the_page_has_the_table_of_today() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text


def test_need_grows_with_the_sites() -> None:
    small, large = need(1000), need(10_000)
    assert large.points == pytest.approx(10 * small.points)
    assert large.shards >= small.shards >= 1
    assert small.memory_mib < large.memory_mib < 10 * small.memory_mib


def test_the_table_gives_what_was_measured_at_each_size() -> None:
    one = need(SMALL.sites)
    assert one.cores == pytest.approx(SMALL.scrapes * SMALL.cpu_ms / 1000)
    assert one.memory_mib == pytest.approx(SMALL.memory_mib)
    # The large run filled its core before it had made all scrapes, so that it shards.
    many = need(LARGE.sites)
    assert many.cores > LARGE.scrapes * LARGE.cpu_ms / 1000
    assert many.shards > 1
