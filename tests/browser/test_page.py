"""The exporter's own page in real Chromium: 1,000 sites, names that bite, keyboard, phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import Seen, browsers, opened
from tests.serve.api.served import ODD_NAMES, ServedFleet, plan

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.stack

COUNT = 1000
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
    with browsers() as launch:
        yield launch("--disable-gpu")


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
        for text, wanted in (
            ("sohne", ["s0001"]),
            ("site 0999", ["s0999"]),
            ("offline", ["s0001"]),
            ("critical LFP", ["s0000"]),
        ):
            page.fill("#search", text)
            seen.until_rows(wanted)
        page.fill("#search", "ofline")
        seen.until("document.querySelector('#count').textContent.includes('near it: offline')")
        assert seen.rows() == ["s0001"]
        page.fill("#search", "")
        seen.until("document.querySelector('#count').textContent === '1000 sites'")
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
    for path in ("/", "/#/site/s0002"):
        with opened(browser, few.url, path, width=width, theme=theme) as seen:
            if path != "/":
                seen.until("document.querySelector('#plots .note') !== null")
            unfolded = "document.querySelectorAll('details').forEach((box) => { box.open = true })"
            seen.page.evaluate(unfolded)
            assert seen.violations() == []
            assert seen.overflow() <= 0


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


def test_the_list_shows_charge_and_power(served: ServedFleet, browser: Browser) -> None:
    with opened(browser, served.url) as seen:
        readings = served.json("/api/v1/sites/s0002")["readings"]
        text = seen.page.inner_text("[data-id=s0002] .now")
        assert text.startswith(f"{readings['soc_percent']:.0f} %")
        assert ("charging" if readings["power_w"] > 0 else "discharging") in text
        assert seen.page.inner_text("[data-id=s0001] .now") == "", "old readings are not now"


def test_a_question_is_answered_on_the_page(served: ServedFleet, browser: Browser) -> None:
    with opened(browser, served.url) as seen:
        page = seen.page
        page.fill("#question", "which sites are offline?")
        page.press("#question", "Enter")
        seen.until("document.querySelector('#answer table') !== null")
        answer = served.json("/api/v1/ask?q=which+sites+are+offline%3F")
        assert page.inner_text("#answer .headline") == answer["headline"]
        assert page.locator("#answer a[href='#/site/s0001']").count() >= 1
        assert seen.violations() == []
        page.fill("#question", "how deep is the ocean")
        page.press("#question", "Enter")
        seen.until("document.querySelector('#answer .choices button') !== null")
        seen.wrong = [line for line in seen.wrong if "422" not in line]
        page.click("#answer-close")
        assert page.is_hidden("#answer-box")


def test_an_answer_is_readable_on_a_phone(few: ServedFleet, browser: Browser) -> None:
    with opened(browser, few.url, width=390) as seen:
        page = seen.page
        page.fill("#question", "which sites need attention?")
        page.press("#question", "Enter")
        seen.until("document.querySelector('#answer table') !== null")
        outside = page.evaluate(
            "[...document.querySelectorAll('#answer td')].filter("
            "(cell) => cell.getBoundingClientRect().right > innerWidth).length"
        )
        assert outside == 0
        assert page.get_attribute("#answer td", "data-label")
        assert seen.violations() == []


def test_periods_are_those_of_every_face(few: ServedFleet, browser: Browser) -> None:
    with opened(browser, few.url, "/#/site/s0002?period=yesterday") as seen:
        page = seen.page
        seen.until("document.querySelector('#plots .note') !== null")
        assert page.input_value("#period") == "yesterday"
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.fill("#period", "between 13:10 and 13:20")
        page.press("#period", "Enter")
        seen.until("location.hash.includes('13%3A10')")
        page.wait_for_timeout(300)
        wanted = "period=between+13%3A10+and+13%3A20"
        assert [url for url in asked if "/history?" in url and wanted in url]
        assert [url for url in asked if "/timeline?" in url and wanted in url]


def test_whom_to_call_and_the_runbook(browser: Browser) -> None:
    contact = {"name": "Ines Ramos", "phone": "+34 955 010 010", "email": "ops@example.com"}
    fleet = ServedFleet(plan(2, contact=contact))
    fleet.scrape(s0001={"temperature_c": 60.0})
    with fleet.serving(), opened(browser, fleet.url, "/#/site/s0001") as seen:
        seen.until("document.querySelector('.contact') !== null")
        page = seen.page
        assert "Ines Ramos" in page.inner_text(".contact")
        assert page.get_attribute(".contact a", "href") == "tel:+34955010010"
        runbook = page.get_attribute(".issues a", "href")
        assert runbook == "runbooks#fleetscopebatterytemperaturecritical"
        assert page.get_attribute(".links a", "href").startswith("cells?site=s0001")
        page.click(".issues a")
        seen.until("document.querySelector('h2:target') !== null")
        assert page.inner_text("h2:target") == "FleetscopeBatteryTemperatureCritical"


@pytest.mark.parametrize("width", [390, 1280])
def test_cells_are_readable_at_every_width(few: ServedFleet, browser: Browser, width: int) -> None:
    with opened(browser, few.url, "/#/site/s0002", width=width) as seen:
        seen.until("document.querySelector('#plots .note') !== null")
        shown = seen.page.evaluate(
            "[...document.querySelectorAll('figure svg')].map((s) => "
            "s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
        )
        assert shown
        assert min(shown) > 0.99, "nothing is drawn smaller than it is meant"
        texts = seen.page.text_content("figure svg") or ""
        assert "mV" in texts
        assert "°C" in texts


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
