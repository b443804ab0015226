"""The exporter's own page in real Chromium: 1,000 sites, names that bite, keyboard, phone."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.serve.api.served import ODD_NAMES, ServedFleet, plan

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.stack

COUNT = 1000
LIMIT = 60_000.0
CHANGED: dict[str, Any] = {
    "s0000": {"soh_percent": 65.0},
    "s0001": None,
    "s0002": {"temperature_c": 48.0},
    "s0003": {"grid_frequency_hz": 49.2},
    "s0004": {"cell_spread_v": 0.12},
}
WORST = ["s0001", "s0000", "s0003", "s0004", "s0002"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium in PATH (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def served() -> Iterator[ServedFleet]:
    fleet = ServedFleet(plan(COUNT))
    fleet.scrape(**CHANGED)
    with fleet.serving():
        yield fleet


@pytest.fixture(scope="module")
def few() -> Iterator[ServedFleet]:
    """A fleet that is quick to check in every detail."""
    fleet = ServedFleet(plan(12))
    fleet.scrape(**CHANGED)
    with fleet.serving():
        yield fleet


class Seen:
    """A page with everything that went wrong on the way."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        self.outside: list[str] = []
        page.set_default_timeout(LIMIT)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", self._console)
        page.on("request", self._request)

    def _console(self, message: Any) -> None:
        # What is not stored is answered with 503, which Chromium itself prints.
        if message.type in ("error", "warning") and "503" not in message.text:
            self.wrong.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:")):
            self.outside.append(request.url)

    def rows(self) -> list[str]:
        """Ids of the sites in the list, in its order."""
        found = self.page.evaluate(
            "[...document.querySelectorAll('#list a')].map((a) => a.dataset.id)"
        )
        return list(found)

    def until(self, expression: str) -> None:
        # Not wait_for_function, which needs the eval that the page's policy forbids.
        end = time.monotonic() + LIMIT / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"waited in vain for {expression}"
            self.page.wait_for_timeout(50)

    def focused(self) -> str:
        return str(
            self.page.evaluate("document.activeElement.dataset.id || document.activeElement.id")
        )


@contextlib.contextmanager
def opened(
    browser: Browser,
    url: str,
    path: str = "/",
    *,
    width: int = 1280,
    theme: Any = "light",
) -> Iterator[Seen]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    seen = Seen(page)
    try:
        page.goto(url + path)
        seen.until("document.querySelectorAll('#list li').length > 0")
        yield seen
        assert seen.wrong == []
        assert seen.outside == [], "nothing is fetched from elsewhere"
    finally:
        page.close()


def test_a_thousand_sites_worst_first(served: ServedFleet, browser: Browser) -> None:
    with opened(browser, served.url) as seen:
        page = seen.page
        assert seen.rows()[:5] == WORST
        assert page.inner_text("#count") == "1000 sites"
        assert page.inner_text("#scores").startswith("1000 sites, 5 need attention.")
        # What is on the page stays small, whatever the fleet.
        assert len(seen.rows()) == 100
        page.click("#more")
        assert len(seen.rows()) == 200
        page.click("#status-WARNING")
        assert set(seen.rows()) == {"s0002", "s0003", "s0004"}
        page.click("#status-CRITICAL")
        assert len(seen.rows()) == 4
        page.click("#reset")
        assert page.inner_text("#count") == "1000 sites"
        page.fill("#search", "sohne")
        assert seen.rows() == ["s0001"]
        page.fill("#search", "site 0999")
        assert seen.rows() == ["s0999"]
        page.fill("#search", "")
        page.select_option("#region", "south")
        page.select_option("#priority", "high")
        wanted = {n for n in range(COUNT) if n % 4 == 1 and n % 3 == 0}
        assert page.inner_text("#count") == f"{len(wanted)} of 1000 sites"


def test_names_are_shown_as_text(served: ServedFleet, browser: Browser) -> None:
    with opened(browser, served.url) as seen:
        page = seen.page
        shown = page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('#list a')]"
            ".map((a) => [a.dataset.id, a.querySelector('.name bdi').textContent]))"
        )
        assert [shown[f"s{n:04}"] for n in range(len(ODD_NAMES))] == list(ODD_NAMES)
        for n, name in enumerate(ODD_NAMES):
            page.goto(f"{served.url}/#/site/s{n:04}")
            seen.until(f"document.querySelector('.facts')?.textContent.includes('s{n:04}')")
            assert page.inner_text("#site-title") == name
        assert page.evaluate("window.hit") is None
        assert page.evaluate("document.querySelectorAll('img, #list script').length") == 0


def test_the_policy_lets_no_markup_in(served: ServedFleet, browser: Browser) -> None:
    with opened(browser, served.url) as seen:
        made = "try { document.body.innerHTML = '<b>x</b>'; 'made' } catch (e) { e.name }"
        assert seen.page.evaluate(made) == "TypeError"
        seen.wrong.clear()  # Chromium reports the attempt
        headers = served.ask("/")[1]
        assert "script-src 'sha256-" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_is_accessible(few: ServedFleet, browser: Browser, theme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for path in ("/", "/#/site/s0002"):
        with opened(browser, few.url, path, width=width, theme=theme) as seen:
            if path != "/":
                seen.until("document.querySelector('#plots .note') !== null")
            unfolded = "document.querySelectorAll('details').forEach((box) => { box.open = true })"
            seen.page.evaluate(unfolded)
            found = axe.run(seen.page).response["violations"]
            told = [(v["id"], [node["failureSummary"] for node in v["nodes"][:3]]) for v in found]
            assert told == []
            overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert seen.page.evaluate(overflow) <= 0


def test_a_site_with_its_power_and_cells(served: ServedFleet, browser: Browser) -> None:
    with opened(browser, served.url, "/#/site/s0002") as seen:
        page = seen.page
        seen.until("document.querySelector('#plots .note') !== null")
        assert "FLEETSCOPE_INFLUXDB_URL is not set" in page.inner_text("#plots")
        assert "Battery is at 48.0 °C, above 45 °C" in page.inner_text(".issues")
        readings = served.json("/api/v1/sites/s0002")["readings"]
        flow = page.get_attribute("svg[aria-label^='Power flow']", "aria-label") or ""
        assert f"battery is {readings['soc_percent']:.0f} % full" in flow
        verb = "charges" if readings["power_w"] > 0 else "gives"
        assert f"battery {verb}" in flow
        cells = page.locator("figure svg > g")
        assert cells.count() == 16
        (pack,) = served.json("/api/v1/sites/s0002/packs")["packs"]
        first = pack["cells"][0]["voltage_v"]
        assert f"{first:.3f} V" in (cells.first.locator("title").text_content() or "")
        assert page.get_attribute("figure svg", "aria-label").startswith("16 cells, median 3.")
        # The first cell has no temperature and is not drawn as if it had.
        assert cells.nth(0).locator("rect").count() == 1
        assert cells.nth(1).locator("rect").count() == 2


def test_a_site_that_is_not_there_is_said(served: ServedFleet, browser: Browser) -> None:
    with opened(browser, served.url, "/#/site/%3Cb%3Enone") as seen:
        seen.until("document.querySelector('#detail .note') !== null")
        assert "there is no site with the id '<b>none'" in seen.page.inner_text("#detail")
        seen.wrong = [line for line in seen.wrong if "404" not in line]


def test_the_keyboard_is_enough(served: ServedFleet, browser: Browser) -> None:
    with opened(browser, served.url) as seen:
        page = seen.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert seen.focused() == "list"
        page.keyboard.press("Tab")
        assert seen.focused() == WORST[0]
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        assert seen.focused() == WORST[1]
        page.keyboard.press("Enter")
        seen.until("document.activeElement.id === 'site-title'")
        assert page.inner_text("#site-title") == ODD_NAMES[0]
        page.keyboard.press("Escape")
        seen.until(f"document.activeElement.dataset.id === '{WORST[1]}'")
        assert page.is_hidden("#detail")


def test_it_follows_the_fleet_and_says_when_it_cannot(browser: Browser) -> None:
    served = ServedFleet(plan(30))
    served.scrape()
    with served.serving():
        page = browser.new_page()
        page.clock.install()
        seen = Seen(page)
        page.goto(served.url)
        seen.until("document.querySelector('#fresh-state').textContent === 'Live'")
        page.focus("[data-id=s0012]")
        served.scrape(s0012=None, s0020={"soh_percent": 65.0})
        served.now += 60
        served.scrape(s0012=None, s0020={"soh_percent": 65.0})
        seen.until("document.querySelector('#list a').textContent.includes('OFFLINE')")
        assert seen.rows()[:2] == ["s0012", "s0020"]
        assert seen.focused() == "s0012", "a row that moves keeps the focus"
        served.reconfigure(plan(20))
        seen.until("document.querySelector('#count').textContent === '20 sites'")
        # No further Assessment: the stream stands, and the page counts for itself.
        page.clock.fast_forward(20_000)
        seen.until("document.querySelector('#fresh-state').textContent === 'What is shown is old'")
        assert page.title().startswith("(old) ")
        served.assess()
        seen.until("document.querySelector('#fresh-state').textContent === 'Live'")
    page.clock.resume()
    seen.until("document.querySelector('#fresh-state').textContent.startsWith('Connection lost')")
    assert page.evaluate("document.querySelector('#fresh').classList.contains('old')")
    with served.serving():
        seen.until("document.querySelector('#fresh-state').textContent === 'Live'")
        assert len(seen.rows()) == 20
        page.close()
