"""What a person sees: real Grafana with our provisioning, every dashboard open in Chromium."""

from __future__ import annotations

import io
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import yaml
from rich.console import Console

from grafana.kit.catalogue import catalogue
from provisioning.local import servers
from provisioning.local.run import Run
from provisioning.local.stack import Stack
from provisioning.local.web import get_json
from simulator.scenario import SCENARIOS
from tests.browser.look import DASHBOARDS, JUDGE, follow_red, look, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.stack

LIMIT = 240.0
SITE = "site_gamma"
RED_SITES = ("site_alpha", "site_epsilon")
RED_EXCESS = 70
"""By so much red exceeds green and blue in a marker, of 255; land and sea have none."""
MARKER_PX = 14
# Lines of Grafana's log at level error that say nothing of our provisioning.
HARMLESS = (
    r"provisioning files from directory.*no such file or directory",
    r"failed to open plugins path",
    r"plugin manifest keys",
)
# On the wall, on a laptop, and Triage on a phone; `tests.browser.look` has every width.
VIEWS = [
    (path, width, theme)
    for path in DASHBOARDS
    for width, theme in ((1920, "dark"), (1280, "light"))
    if width >= catalogue()[path.stem].least_width
]
VIEWS += [(path, 390, "dark") for path in DASHBOARDS if path.stem == "fleetscope-overview"]


def needed() -> tuple[dict[str, Path], tuple[Path, Path], str]:
    """Servers, Grafana and Chromium, or a skip that says what is absent."""
    found = servers.find_all()
    absent = [server.name for server in servers.SERVERS if server.name not in found]
    grafana = servers.find_grafana()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}; `make servers` installs them")
    if grafana is None:
        pytest.skip("no Grafana: neither GRAFANA_HOME nor PATH names one")
    if chromium is None:
        pytest.skip("no Chromium in PATH (Debian: apt-get install chromium)")
    return found, grafana, chromium


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(1.0)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo fleet with Grafana, once the fleet's rules have values."""
    found, grafana, _ = needed()
    folder = tmp_path_factory.mktemp("browser")
    scenario = yaml.safe_load((SCENARIOS / "demo.yaml").read_text("utf-8"))
    scenario["sites"] = [{**site, "interval_seconds": 5} for site in scenario["sites"]]
    every = len(scenario["sites"]) + len(scenario["companions"])
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(scenario, allow_unicode=True), "utf-8")
    run = Run(folder / "run", Console(file=io.StringIO()))
    with run.stack(found, scenario=str(file), grafana=grafana, usual_ports=False) as running:
        prometheus = running.url("prometheus")

        def filled() -> bool:
            query = {"query": "count(fleet:attention_order:by_site)"}
            result = get_json(f"{prometheus}/api/v1/query", query)["data"]["result"]
            return bool(result) and float(result[0]["value"][1]) == every

        until(filled, "the recording rules have a value for every site")
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    *_, chromium = needed()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"],
        )
        yield opened
        opened.close()


@pytest.mark.parametrize(
    ("dashboard", "width", "theme"),
    [pytest.param(path, width, theme, id=f"{path.stem}-{width}") for path, width, theme in VIEWS],
)
def test_a_dashboard_opens_and_nothing_is_wrong_with_it(
    stack: Stack, browser: Browser, tmp_path: Path, dashboard: Path, width: int, theme: str
) -> None:
    folder = Path(os.environ.get("FLEETSCOPE_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    seen = look(browser, grafana_url(stack), dashboard, width, theme, folder, f"&var-site={SITE}")
    assert seen.wrong == []


def grafana_url(stack: Stack) -> str:
    url = stack.url("grafana")
    assert url is not None
    return url


def path_of(uid: str) -> Path:
    (found,) = (path for path in DASHBOARDS if path.stem == uid)
    return found


def test_a_panel_in_error_is_noticed(stack: Stack, browser: Browser, tmp_path: Path) -> None:
    class Broken:
        """A browser that gets no answer to any query."""

        def new_page(self, **size: Any) -> Page:
            page = browser.new_page(**size)
            page.route("**/api/ds/query**", lambda route: route.fulfill(status=500, body="{}"))
            return page

    path = path_of("fleetscope-collection")
    seen = look(Broken(), grafana_url(stack), path, 1280, "dark", tmp_path, "")  # type: ignore[arg-type]
    assert any(fault.startswith("panel in error") for fault in seen.wrong)


def subject(href: str) -> tuple[str, tuple[str, ...]]:
    """What makes a link one of its kind: where it leads, and what it chooses there."""
    address = urlsplit(href)
    given = sorted(parse_qs(address.query))
    return address.path, tuple(name for name in given if name.startswith(("var-", "viewPanel")))


@pytest.fixture(scope="module")
def clicked() -> set[tuple[str, tuple[str, ...]]]:
    """Kinds of links that were followed."""
    return set()


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in DASHBOARDS])
def test_links_lead_to_their_dashboard_with_subject_and_time(
    stack: Stack, browser: Browser, clicked: set[tuple[str, tuple[str, ...]]], path: Path
) -> None:
    """One of each kind is clicked; `look` judges the address of every other."""
    page = browser.new_page(viewport={"width": 1600, "height": 2400})
    try:
        page.goto(f"{grafana_url(stack)}/d/{path.stem}/?orgId=1&kiosk&refresh=&var-site={SITE}")
        settle(page)
        judged = page.evaluate(JUDGE)
        assert judged["dead"] == [], "red without a link"
        for _, href in judged["links"]:
            kind = subject(href)
            if kind not in clicked and kind[0].startswith("/d/"):
                clicked.add(kind)
                _click(page, href)
                page.go_back()
                page.locator(f"a[href='{href}']").first.wait_for()
    finally:
        page.close()


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in DASHBOARDS])
def test_every_red_figure_leads_to_its_subject(stack: Stack, browser: Browser, path: Path) -> None:
    context = browser.new_context()
    try:
        assert follow_red(context, grafana_url(stack), path, "", set()).wrong == []
    finally:
        context.close()


def _click(page: Page, href: str) -> None:
    """Follow a link, and see that the dashboard that it names is there, of what it names."""
    address = urlsplit(href)
    entry = catalogue()[address.path.split("/")[2]]
    page.locator(f"a[href='{href}']").first.click()
    page.wait_for_url(re.compile(rf"/d/{entry.uid}/?[^/]*\?"))
    chosen, found = parse_qs(address.query), parse_qs(urlsplit(page.url).query)
    for name, values in chosen.items():
        if name.startswith("var-") or name in ("from", "to"):
            # Grafana writes the choice of all as it stores it.
            shown = ["$__all"] if values == ["All"] else values
            assert found.get(name) == shown, (href, page.url)
    if "viewPanel" in chosen:
        page.get_by_role("heading").first.wait_for()
    else:
        page.get_by_text(entry.decision).first.wait_for()


def test_triage_leads_to_the_site_and_on_to_its_cells(stack: Stack, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 2000})
    try:
        page.goto(f"{grafana_url(stack)}/d/fleetscope-overview/?orgId=1&kiosk&refresh=")
        settle(page)
        page.get_by_role("link", name="Gamma", exact=True).first.click()
        page.wait_for_url(re.compile(r"/d/fleetscope-site/"))
        assert "var-site=site_gamma" in page.url
        assert "from=" in page.url
        settle(page)
        page.get_by_role("link", name=re.compile("^Cells differ by")).first.click()
        page.wait_for_url(re.compile(r"/d/fleetscope-cells/"))
        assert "var-site=site_gamma" in page.url
        settle(page)
        page.get_by_role("heading", name="Critical cells", exact=True).wait_for()
    finally:
        page.close()


def red_marker(picture: bytes) -> tuple[float, float]:
    """Centre of a red marker in a picture, pixels from its left and its top."""
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    rgb = np.asarray(image.open(io.BytesIO(picture)).convert("RGB"), dtype=np.int64)
    rows, columns = np.nonzero(rgb[:, :, 0] - rgb[:, :, 1:].max(axis=2) > RED_EXCESS)
    assert rows.size, "no red marker on the map"
    near = (abs(rows - rows[0]) <= MARKER_PX) & (abs(columns - columns[0]) <= MARKER_PX)
    return float(columns[near].mean()), float(rows[near].mean())


def test_a_red_marker_of_the_map_leads_to_its_site(stack: Stack, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 2000})
    try:
        page.goto(f"{grafana_url(stack)}/d/fleetscope-overview/?orgId=1&kiosk&refresh=")
        settle(page)
        panel = page.locator('section[data-testid="data-testid Panel header Map"]')
        x, y = red_marker(panel.screenshot())
        panel.click(position={"x": x, "y": y})
        page.get_by_role("link", name="Open the site").first.click()
        page.wait_for_url(re.compile(r"/d/fleetscope-site/"))
        (site,) = parse_qs(urlsplit(page.url).query)["var-site"]
        assert site in RED_SITES
        page.get_by_text(catalogue()["fleetscope-site"].decision).first.wait_for()
    finally:
        page.close()


VIEWS_OF_CELLS = {
    "Overview": "What is wrong, and what to do",
    "Packs compared": "Packs compared",
    "Surface in 3D": None,
    "Heatmaps": None,
    "Critical cells": "Critical cells",
}
"""View to the panel that it opens; None is on the exporter's page."""


@pytest.mark.parametrize("board", ["fleetscope-cells", "fleetscope-pack"])
@pytest.mark.parametrize("view", VIEWS_OF_CELLS)
def test_every_view_of_the_cells_is_one_click_away(
    stack: Stack, browser: Browser, board: str, view: str
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    try:
        query = f"orgId=1&kiosk&refresh=&var-site={SITE}&from=now-15m&to=now"
        page.goto(f"{grafana_url(stack)}/d/{board}/?{query}")
        settle(page)
        page.get_by_role("link", name=view, exact=True).first.click()
        title = VIEWS_OF_CELLS[view]
        if title is not None:
            where = "fleetscope-site" if view == "Overview" else "fleetscope-cells.*viewPanel="
            page.wait_for_url(re.compile(rf"/d/{where}"))
            assert f"var-site={SITE}" in page.url
            page.get_by_role("heading", name=title, exact=True).wait_for()
            settle(page)
            assert (page.get_by_role("heading").count() == 1) is (view != "Overview")
            return
        page.wait_for_url(re.compile(rf"/cells\?site={SITE}&packs="))
        assert page.url.startswith(str(stack.url("exporter")))
        page.locator("#view").wait_for()
        assert page.get_attribute("#view", "aria-label").startswith(
            "Surface" if view == "Surface in 3D" else "Heatmap"
        )
        assert "since=" in page.url
        page.locator("#worst tbody tr").first.wait_for()
    finally:
        page.close()


def test_a_table_of_stored_rows_says_why_it_has_none(stack: Stack, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    try:
        page.goto(f"{grafana_url(stack)}/d/fleetscope-site-readings/?kiosk&var-site=nobody")
        settle(page)
        assert page.get_by_text("Nothing stored for this site in this time range").count() == 2
    finally:
        page.close()


def test_the_home_page_is_triage(stack: Stack, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    try:
        page.goto(grafana_url(stack))
        settle(page)
        page.get_by_text("Whom to call first", exact=True).wait_for()
    finally:
        page.close()


def test_grafana_takes_our_provisioning_without_an_error(stack: Stack) -> None:
    url = stack.url("grafana")
    uids = {found["uid"] for found in get_json(f"{url}/api/search", {"type": "dash-db"})}
    assert uids >= {path.stem for path in DASHBOARDS}
    log = "".join(p.read_text("utf-8") for p in stack.supervisor.logs.glob("grafana*"))
    assert "level=info" in log
    errors = [
        line
        for line in log.splitlines()
        if re.search(r"level=(error|crit)", line)
        and not any(re.search(pattern, line) for pattern in HARMLESS)
    ]
    assert errors == []
