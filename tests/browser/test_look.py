"""What :mod:`tests.browser.look` takes for cut text, on tiles as Grafana draws them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.look import JUDGE, browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.stack

TILE = """
<section data-testid="data-testid Panel header Money" style="width: 300px; height: 90px">
  <div data-testid="data-testid panel content" style="display: flex">
    <div style="width: {width}px; flex: none; {box}">
      <span style="font: 24px monospace; white-space: nowrap; {text}">1,159,876</span>
    </div>
  </div>
</section>
"""
HIDDEN = "overflow: hidden"
ELLIPSIS = "display: block; overflow: hidden; text-overflow: ellipsis"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium in PATH (Debian: apt-get install chromium)")
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with browser(chromium) as opened:
        yield opened.new_page()


@pytest.mark.parametrize(
    ("width", "box", "text", "cut"),
    [
        pytest.param(60, HIDDEN, "", True, id="its box hides the rest"),
        pytest.param(60, "", ELLIPSIS, True, id="it ends with an ellipsis"),
        pytest.param(60, f"{HIDDEN}; text-align: center", ELLIPSIS, True, id="both"),
        pytest.param(200, HIDDEN, ELLIPSIS, False, id="there is room"),
        pytest.param(60, "", "", False, id="nothing hides what is wider"),
    ],
)
def test_a_value_that_is_cut_in_its_tile_is_noticed(
    page: Page, width: int, box: str, text: str, cut: bool
) -> None:
    page.set_content(TILE.format(width=width, box=box, text=text))
    found = page.evaluate(JUDGE)["cut"]
    assert found == (["cut in its tile: Money: 1,159,876"] if cut else [])


LINES = """
<section data-testid="data-testid Panel header " style="width: 340px; height: 90px">
  <div data-testid="data-testid panel content" style="height: 90px">
    <div style="overflow: auto; width: 340px; height: 90px">
      <div style="width: {width}px; height: {height}px">Chief executive: Cockpit</div>
    </div>
  </div>
</section>
"""


@pytest.mark.parametrize(
    ("width", "height", "scrolls"),
    [(300, 80, False), (400, 80, True), (300, 120, True)],
    ids=["it fits", "too wide", "too high"],
)
def test_text_that_has_to_be_scrolled_is_noticed(
    page: Page, width: int, height: int, scrolls: bool
) -> None:
    page.set_content(LINES.format(width=width, height=height))
    found = page.evaluate(JUDGE)["cut"]
    assert any("text scrolls" in fault for fault in found) is scrolls
