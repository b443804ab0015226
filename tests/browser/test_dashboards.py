"""What a person sees: real Grafana with our provisioning, every dashboard open in Chromium."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from rich.console import Console

from provisioning.local import servers
from provisioning.local.run import Run
from provisioning.local.stack import ROOT, Stack
from provisioning.local.web import get_json
from simulator.scenario import SCENARIOS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.stack

LIMIT = 240.0
SITE = "site_gamma"
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
# Lines of Grafana's log at level error that say nothing of our provisioning.
HARMLESS = (
    r"provisioning files from directory.*no such file or directory",
    r"failed to open plugins path",
    r"plugin manifest keys",
)
# On the wall, on a laptop, and the overview on a phone.
VIEWS = [
    (path, width, theme)
    for path in DASHBOARDS
    for width, theme in ((1920, "dark"), (1280, "light"))
]
VIEWS += [(path, 400, "dark") for path in DASHBOARDS if path.stem == "fleetscope-overview"]


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
    """The demo fleet with Grafana beside it, once the fleet's rules have values."""
    found, grafana, _ = needed()
    folder = tmp_path_factory.mktemp("browser")
    scenario = yaml.safe_load((SCENARIOS / "demo.yaml").read_text("utf-8"))
    scenario["sites"] = [{**site, "interval_seconds": 5} for site in scenario["sites"]]
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(scenario, allow_unicode=True), "utf-8")
    run = Run(folder / "run", Console(file=io.StringIO()))
    with run.stack(found, scenario=str(file), grafana=grafana, usual_ports=False) as running:
        prometheus = running.url("prometheus")

        def filled() -> bool:
            query = {"query": "count(fleet:attention_order:by_site)"}
            result = get_json(f"{prometheus}/api/v1/query", query)["data"]["result"]
            return bool(result) and float(result[0]["value"][1]) == len(scenario["sites"])

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


class Seen:
    """A dashboard open in a page, with everything that went wrong on the way."""

    def __init__(
        self,
        browser: Browser,
        stack: Stack,
        path: str,
        width: int,
        theme: str,
        *,
        broken: str | None = None,
    ) -> None:
        self.wrong: list[str] = []
        self.outside: list[str] = []
        self.stack = stack
        # Tall, so that every panel is in view and therefore loaded.
        self.page: Page = browser.new_page(viewport={"width": width, "height": 6000})
        if broken is not None:
            self.page.route(broken, lambda route: route.fulfill(status=500, body="{}"))
        self.page.on("response", self._response)
        self.page.on("request", self._request)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        url = f"{stack.url('grafana')}{path}&theme={theme}&kiosk&from=now-15m&to=now&refresh="
        self.page.goto(url)

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status} {response.url}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.outside.append(request.url)

    def settle(self, titles: list[str]) -> None:
        """Wait until every panel is there and nothing is under way."""
        for title in titles:
            self.page.get_by_text(title, exact=True).first.wait_for(timeout=60_000)
        self.page.wait_for_load_state("networkidle", timeout=60_000)
        loading = self.page.locator('[aria-label="Panel loading bar"]')
        until(lambda: loading.count() == 0, "panels still load")

    def errors(self) -> list[str]:
        """Titles or tooltips of panels in error."""
        marks = self.page.locator('[data-testid="data-testid Panel status error"]')
        return [marks.nth(place).inner_text() or "error" for place in range(marks.count())]


def opened(path: Path) -> tuple[str, list[str], str]:
    """Path of a dashboard, the titles it shows, and its name."""
    made = json.loads(path.read_text("utf-8"))
    titles = [p["title"] for p in made["panels"] if p["type"] != "row" and "$" not in p["title"]]
    names = {variable["name"] for variable in made["templating"]["list"]}
    site = f"&var-site={SITE}" if "site" in names else ""
    return f"/d/{path.stem}/?orgId=1{site}", titles, path.stem


@pytest.mark.parametrize(
    ("dashboard", "width", "theme"),
    [pytest.param(path, width, theme, id=f"{path.stem}-{width}") for path, width, theme in VIEWS],
)
def test_a_dashboard_opens_without_a_panel_in_error(
    stack: Stack, browser: Browser, dashboard: Path, width: int, theme: str
) -> None:
    path, titles, name = opened(dashboard)
    seen = Seen(browser, stack, path, width, theme)
    try:
        seen.settle(titles)
        if shots := os.environ.get("FLEETSCOPE_SCREENSHOTS"):
            Path(shots).mkdir(parents=True, exist_ok=True)
            seen.page.screenshot(path=Path(shots) / f"{name}-{width}-{theme}.png")
        assert seen.errors() == []
        assert seen.wrong == []
        assert seen.outside == [], "nothing is fetched from elsewhere"
        assert seen.page.get_by_text("No data", exact=True).count() == 0
    finally:
        seen.page.close()


def test_a_panel_in_error_is_noticed(stack: Stack, browser: Browser) -> None:
    path, titles, _ = opened(ROOT / "grafana/dashboards/fleetscope-collection.json")
    seen = Seen(browser, stack, path, 1280, "dark", broken="**/api/ds/query**")
    try:
        seen.settle(titles)
        until(lambda: len(seen.errors()) > 0, "no panel shows that its query failed")
        assert seen.wrong != []
    finally:
        seen.page.close()


def test_the_overview_leads_to_the_site_and_on_to_its_cells(stack: Stack, browser: Browser) -> None:
    path, titles, _ = opened(ROOT / "grafana/dashboards/fleetscope-overview.json")
    seen = Seen(browser, stack, path, 1280, "dark")
    page = seen.page
    try:
        seen.settle(titles)
        page.get_by_role("link", name="Gamma", exact=True).first.click()
        page.wait_for_url(re.compile(r"/d/fleetscope-site/"))
        assert "var-site=site_gamma" in page.url
        assert "from=" in page.url
        page.get_by_text("What is wrong, and what to do", exact=True).wait_for()
        page.get_by_text(re.compile("^Cells differ by")).first.wait_for()
        assert seen.wrong == []
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
