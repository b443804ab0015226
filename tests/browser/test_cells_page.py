"""The page of cells in real Chromium, with the past in a real InfluxDB: surface and heatmap."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from exporter.history.influxql import InfluxQL
from exporter.model.levels import DAY
from tests.browser.pages import Seen, browsers, opened
from tests.serve.api.influx import influx
from tests.serve.api.served import START, ServedFleet, plan

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.stack

DAYS, CELLS = 200, 26
BEGIN = (int(START) // DAY - DAYS) * DAY
PERIOD = f"since={BEGIN}&until={BEGIN + DAYS * DAY}"
DRAWN = "performance.getEntriesByName('fleetscope-drawn').length > 0"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    """Two packs over 200 days; days 50 to 59 are missing, and cell 7 of the second one drifts."""
    with influx(tmp_path_factory.mktemp("influx")) as server:
        for level in ("rollup_5m", "rollup_15m", "rollup_1h", "rollup_1d"):
            server.query(f'CREATE RETENTION POLICY "{level}" ON "fleet" DURATION INF REPLICATION 1')
        lines = []
        for pack in (1, 2):
            for cell in range(1, CELLS + 1):
                for day in range(DAYS):
                    if 50 <= day < 60:
                        continue
                    off = -0.0004 * day if (pack, cell) == (2, 7) else 0.0
                    stamp = (BEGIN + day * DAY) * 1000
                    lines.append(
                        f"cell,site=s0000,pack=bms/{pack},cell={cell} "
                        f"voltage_v_mean={3.3 + cell / 10_000 + off},voltage_v_min=3.2,"
                        f"voltage_v_max=3.4,temperature_c_min=10,temperature_c_max={20 + cell / 9} "
                        f"{stamp}"
                    )
        server.write(lines, "rollup_1d")
        fleet = ServedFleet(plan(2), InfluxQL(server.url, "fleet", {}))
        fleet.scrape()
        with fleet.serving():
            yield fleet


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., Browser]]:
    with browsers() as found:
        yield found


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch("--enable-unsafe-swiftshader")


@pytest.fixture(scope="module")
def without_webgl(launch: Callable[..., Browser]) -> Browser:
    return launch("--disable-gpu", "--disable-3d-apis")


def labels(seen: Seen) -> list[str]:
    found = seen.page.evaluate(
        "[...document.querySelectorAll('.labels span')]"
        ".map((l) => `${l.textContent} ${l.style.left} ${l.style.top}`)"
    )
    return list(found)


def test_a_link_shows_the_surface_of_its_pack_and_period(
    served: ServedFleet, browser: Browser
) -> None:
    path = f"/cells?site=s0000&packs=bms/2&{PERIOD}&quantity=deviation"
    with opened(browser, served.url, path, ready=DRAWN) as seen:
        page = seen.page
        assert page.is_hidden("#note")
        assert page.get_attribute("#view", "aria-label").startswith("Surface of deviation")
        caption = page.inner_text("#caption")
        assert "of each day" in caption
        assert "bms/2 (26)" in caption
        assert "95 %" in page.inner_text("#observed")
        assert "Nothing was observed from" in page.inner_text("#observed")
        worst = page.inner_text("#worst tbody tr:first-child").split("\t")
        assert worst[:2] == ["bms/2", "7"]
        assert worst[2].startswith("−79")
        texts = " ".join(labels(seen))
        assert "mV" in texts
        assert "cell 1" in texts


def test_it_is_turned_by_keyboard_buttons_mouse_and_touch(
    served: ServedFleet, browser: Browser
) -> None:
    path = f"/cells?site=s0000&{PERIOD}"
    with opened(browser, served.url, path, ready=DRAWN) as seen:
        page = seen.page
        start = labels(seen)

        def turned(before: list[str]) -> list[str]:
            page.wait_for_timeout(300)
            after = labels(seen)
            assert after != before
            return after

        page.focus("#view")
        page.keyboard.press("ArrowRight")
        after = turned(start)
        page.keyboard.press("+")
        after = turned(after)
        page.click("#turning button[aria-label='From above']")
        after = turned(after)
        box = page.locator("#view").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 300, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 420, box["y"] + 220)
        page.mouse.up()
        after = turned(after)
        page.click("#turning button[aria-label='Reset the view']")
        page.wait_for_timeout(300)
        assert labels(seen) == start
        page.focus("#view")
        page.keyboard.press("Shift+ArrowLeft")
        assert "cell 1 of bms/1" in page.inner_text("#pointed")
        for _ in range(145):
            page.keyboard.press("Shift+ArrowLeft")
        assert page.inner_text("#pointed").endswith("not observed")


def test_a_finger_turns_it(served: ServedFleet, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    seen = Seen(page)
    try:
        page.goto(f"{served.url}/cells?site=s0000&{PERIOD}")
        seen.until(DRAWN)
        page.wait_for_timeout(300)
        before = labels(seen)
        box = page.locator("#view").bounding_box()
        assert box is not None
        session = context.new_cdp_session(page)
        for kind, x in (("touchStart", 100), ("touchMove", 140), ("touchMove", 200)):
            session.send(
                "Input.dispatchTouchEvent",
                {"type": kind, "touchPoints": [{"x": x, "y": box["y"] + 150}]},
            )
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(300)
        assert labels(seen) != before
        assert seen.wrong == []
        assert seen.overflow() <= 0
    finally:
        context.close()


def test_without_webgl_the_heatmap_shows_the_same(
    served: ServedFleet, without_webgl: Browser
) -> None:
    path = f"/cells?site=s0000&{PERIOD}"
    with opened(without_webgl, served.url, path, ready=DRAWN) as seen:
        page = seen.page
        assert "no WebGL" in page.inner_text("#note")
        assert page.get_attribute("#view", "aria-label").startswith("Heatmap of deviation")
        assert any(label.startswith("bms/2 · 1") for label in labels(seen))
        # A gap is blank: the column of a missing day has no colour.
        alpha = page.evaluate(
            "(() => { const c = document.querySelector('#view'); const k = c.width / c.clientWidth;"
            " const x = (day) => Math.round((92 + (c.clientWidth - 100) * (day + 0.5) / 200) * k);"
            " const at = (day) => c.getContext('2d').getImageData(x(day), 60, 1, 1).data[3];"
            " return [at(20), at(55), at(120)]; })()"
        )
        assert alpha == [255, 0, 255]
        seen.wrong.clear()  # Chromium prints that WebGL is switched off


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("shape", ["surface", "heatmap"])
def test_it_is_accessible(
    served: ServedFleet, browser: Browser, theme: str, width: int, shape: str
) -> None:
    path = f"/cells?site=s0000&{PERIOD}&shape={shape}"
    with opened(browser, served.url, path, width=width, theme=theme, ready=DRAWN) as seen:
        assert seen.violations() == []
        assert seen.overflow() <= 0


def test_what_is_chosen_stands_in_the_address(served: ServedFleet, browser: Browser) -> None:
    path = f"/cells?site=s0000&{PERIOD}"
    with opened(browser, served.url, path, ready=DRAWN) as seen:
        page = seen.page
        page.select_option("#quantity", "temperature")
        seen.until("document.querySelector('#caption').textContent.includes('temperature')")
        page.select_option("#pack", "bms/1")
        seen.until("!document.querySelector('#caption').textContent.includes('bms/2')")
        page.select_option("#shape", "heatmap")
        address = page.evaluate("location.search")
        for part in ("quantity=temperature", "pack=bms%2F1", "shape=heatmap", f"since={BEGIN}"):
            assert part in address
        page.fill("#period", "yesterday")
        page.press("#period", "Enter")
        seen.until("!document.querySelector('#note').hidden")
        assert "No temperature of a single cell was observed" in page.inner_text("#note")
        assert "since=" not in page.evaluate("location.search")
        page.fill("#period", "when pigs fly")
        page.press("#period", "Enter")
        seen.until("document.querySelector('#note').textContent.includes('no period')")
        seen.wrong = [line for line in seen.wrong if "422" not in line]


def test_the_api_answers_the_same_values(served: ServedFleet) -> None:
    found = served.json(f"/api/v1/surface?site=s0000&pack=bms/2&{PERIOD}")
    assert found["observed_percent"] == 95.0
    assert found["level"] == "rollup_1d"
    status, _, body = served.ask(f"/api/v1/surface?site=s0000&quantity=charge&{PERIOD}")
    assert status == 422
    assert "quantity" in json.loads(body)["detail"]
