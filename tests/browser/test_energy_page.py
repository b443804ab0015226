"""The page of energy in real Chromium, with the past in a real InfluxDB: cards, Sankey, courses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.history.influxql import InfluxQL
from tests.browser.pages import browsers, opened
from tests.serve.api.influx import influx
from tests.serve.api.served import START, ServedFleet, plan

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.stack

HOURS = 24


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    """A home with PV and battery, a consumer without either, and a site that stores nothing."""
    with influx(tmp_path_factory.mktemp("influx")) as server:
        lines = []
        for n in range(HOURS * 30):
            stamp = round((START + n * 120) * 1000)
            pv = 6000 * max(0.0, math.sin((n / 30 - 6) / 12 * math.pi))
            load = 800 + 1500 * (n / 30 > 17)
            battery = max(-2500, min(2500, pv - load)) if 4 < n / 30 < 23 else 0.0
            grid = load + battery - 0.96 * pv
            lines.append(
                f"site,site=s0000 online=1,pv_power_w={pv},load_power_w={load},grid_power_w={grid}"
                f",pv_expected_w={1.2 * pv} {stamp}"
            )
            lines.append(f"battery,site=s0000,device=battery/1 power_w={battery} {stamp}")
            lines.append(f"site,site=s0005 online=1,load_power_w=2000,grid_power_w=2000 {stamp}")
        server.write(lines)
        fleet = ServedFleet(plan(6), InfluxQL(server.url, "fleet", {}))
        fleet.scrape()
        with fleet.serving():
            yield fleet


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers() as launch:
        yield launch()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_a_home_at_a_glance(
    served: ServedFleet, browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    path = f"/energy?site=s0000&since={START}&until={START + HOURS * 3600}&step=15m"
    drawn = "document.querySelectorAll('#sankey .ribbon').length > 0"
    with opened(browser, served.url, path, width=width, theme=scheme, ready=drawn) as seen:
        page = seen.page
        page.screenshot(path=tmp_path / f"energy-{width}.png", full_page=True)
        assert seen.overflow() <= 0
        assert seen.violations() == []
        reply = served.json(f"/api/v1/energy?site=s0000&since={START}&until={START + HOURS * 3600}")
        for name, flow in reply["flows"].items():
            if name != "pv_expected":
                shown = page.inner_text(f"[data-flow={name}] .total")
                assert float(shown.split()[0]) == pytest.approx(flow["kwh"], rel=0.01)
        assert page.locator("#sankey .ribbon").count() == sum(
            link["kwh"] >= sum(one["kwh"] for one in reply["links"]) / 1000
            for link in reply["links"]
        )
        # Each line of a plot can be hidden.
        lines = page.locator("#demand path").count()
        page.locator("#demand input").first.uncheck()
        assert page.locator("#demand path").count() == lines - 1


def test_a_site_without_pv_or_battery_shows_no_empty_parts(
    served: ServedFleet, browser: Browser
) -> None:
    path = f"/energy?site=s0005&since={START}&until={START + HOURS * 3600}"
    drawn = "document.querySelectorAll('#sankey .ribbon').length > 0"
    with opened(browser, served.url, path, ready=drawn) as seen:
        assert not seen.page.is_visible("#pv")
        assert seen.page.locator(".card").count() == 2


def test_nothing_stored_is_said(served: ServedFleet, browser: Browser) -> None:
    ready = "!document.querySelector('#note').hidden"
    with opened(browser, served.url, "/energy?site=s0003&period=7d", ready=ready) as seen:
        assert "Nothing is stored" in seen.page.inner_text("#note")
        assert not seen.page.is_visible("#shown")


def test_the_whole_fleet_lists_its_sites(served: ServedFleet, browser: Browser) -> None:
    path = f"/energy?since={START}&until={START + HOURS * 3600}"
    ready = "document.querySelectorAll('#by-site a').length > 0"
    with opened(browser, served.url, path, ready=ready) as seen:
        assert seen.page.locator("#by-site tbody tr").count() == 6
        seen.page.locator("#by-site a").first.click()
        seen.page.wait_for_url("**site=s0000**")
