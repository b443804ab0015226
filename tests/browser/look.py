"""Open every dashboard in real Grafana and Chromium, judge what is drawn, and save pictures.

``python -m tests.browser.look FOLDER`` starts the stack with the scenario ``dashboards``, waits
until it has data, opens each dashboard at four widths and in both themes, and exits 1 on a panel
or console error, a cut label in the header, text in a tile or table with a contrast below 4.5:1, a
table without headings, more than 14 open panels, a red figure without a link, a link that leads
nowhere, or type on Fleet · Wall that is lower than a fortieth of the screen. ``--grafana URL``
looks at one that runs.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from rich.console import Console

from provisioning.local import servers
from provisioning.local.run import Run
from provisioning.local.stack import ROOT
from provisioning.local.web import get_json
from tests.browser.recordings import import_recordings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").rglob("*.json"))
WIDTHS = {390: 844, 1280: 800, 1920: 1080, 3840: 2160}
"""Width of the screen to its height, pixels."""
WALL = "fleetscope-fleet-wall"
LEAST_WIDTH = {WALL: 1280}
"""Pixels below which a dashboard is not meant to be read."""
WALL_SHARE = 1 / 40
"""Of the screen's height that type on the wall takes at least."""
THEMES = ("dark", "light")
MOST_OPEN = 14
SPARE_PX = 24
OURS = re.compile(r"/api/(ds/query|datasources|dashboards)|/apis/dashboard")
"""Addresses of what a dashboard itself costs, beside the files of Grafana."""
UIDS = {path.stem for path in DASHBOARDS}
LOADED_SECONDS = 120.0
DATA_SECONDS = 240.0

JUDGE = Path(__file__).with_name("look.js").read_text("utf-8")


@dataclass
class Look:
    """What is wrong with one dashboard at one width in one theme."""

    name: str
    wrong: list[str] = field(default_factory=list)
    took_seconds: float = 0.0
    own_bytes: int = 0
    """Transferred until the first screen is there, for its JSON and its queries."""
    links: list[tuple[str, str]] = field(default_factory=list)
    """Title of a panel, and where a link on it leads."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at everything; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.look", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--grafana", help="address of a Grafana that runs already")
    parser.add_argument("--widths", type=int, nargs="*", default=list(WIDTHS))
    parser.add_argument("--themes", nargs="*", default=list(THEMES))
    parser.add_argument("--only", nargs="*", default=[], help="uids")
    parser.add_argument("--query", default="", help="appended to each address, as &var-site=ID")
    chosen = parser.parse_args(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("There is no Chromium in PATH, so nothing was looked at.", file=sys.stderr)
        return 2
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with grafana(chosen.grafana) as url, browser(chromium) as opened:
        if url is None:
            return 2
        looks = [
            look(opened, url, path, width, theme, chosen.folder, chosen.query)
            for path in DASHBOARDS
            if not chosen.only or path.stem in chosen.only
            for width in chosen.widths
            if width >= LEAST_WIDTH.get(path.stem, 0)
            for theme in chosen.themes
        ]
    for one in looks:
        print(f"{one.name}: {one.took_seconds:.1f} s, {one.own_bytes / 1000:.0f} kB of ours")
        for fault in one.wrong:
            print(f"  {fault}")
    return int(any(one.wrong for one in looks))


@contextmanager
def grafana(url: str | None) -> Iterator[str | None]:
    """The address of a Grafana that shows the fleet of 44 sites; None where there is none."""
    if url is not None:
        yield url
        return
    found, here = servers.find_all(), servers.find_grafana()
    absent = [server.name for server in servers.SERVERS if server.name not in found]
    if absent or here is None:
        names = ", ".join([*absent, *(["Grafana"] if here is None else [])])
        print(f"Not installed: {names}. Nothing was looked at.", file=sys.stderr)
        yield None
        return
    run = Run(ROOT / ".fleetscope" / "look", Console(file=io.StringIO()))
    with run.stack(found, scenario="dashboards", grafana=here, usual_ports=False) as stack:
        prometheus = stack.url("prometheus")
        if prometheus is None:
            raise RuntimeError("the stack has no Prometheus")
        wait_for_data(prometheus)
        import_recordings(stack)
        yield stack.url("grafana")


def wait_for_data(prometheus: str) -> None:
    """Wait until pages fire, so that the pictures have something to show."""
    deadline = time.monotonic() + DATA_SECONDS
    query = {"query": 'count(ALERTS{severity="page",alertstate="firing"})'}
    while not get_json(f"{prometheus}/api/v1/query", query)["data"]["result"]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no page fires after {DATA_SECONDS:.0f} s")
        time.sleep(2.0)


@contextmanager
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"],
        )
        yield opened
        opened.close()


def look(
    opened: Browser, url: str, path: Path, width: int, theme: str, folder: Path, query: str
) -> Look:
    """One dashboard at one width in one theme: a picture of the first screen, one of the whole."""
    seen = Look(f"{path.stem}-{width}-{theme}")
    page = opened.new_page(viewport={"width": width, "height": WIDTHS.get(width, 1080)})
    page.on("pageerror", lambda error: seen.wrong.append(f"page error: {error}"))
    page.on("console", lambda line: _console(line, seen))
    page.on("response", lambda response: _response(response, seen))
    page.on("requestfinished", lambda request: _finished(request, seen))
    try:
        began = time.monotonic()
        fitted = "&autofitpanels=true" if path.stem == WALL else ""
        page.goto(f"{url}/d/{path.stem}/?orgId=1&theme={theme}&kiosk&refresh={query}{fitted}")
        settle(page)
        seen.took_seconds = time.monotonic() - began
        opening_bytes = seen.own_bytes
        page.screenshot(path=folder / f"{seen.name}.png")
        height = _content_height(page)
        page.set_viewport_size({"width": width, "height": min(max(height, 600), 9000)})
        settle(page)
        page.screenshot(path=folder / f"{seen.name}-whole.png")
        judged: dict[str, Any] = page.evaluate(JUDGE)
        seen.wrong += [f"panel in error: {title}" for title in judged["errors"]]
        seen.wrong += [f"contrast: {text}" for text in sorted(set(judged["pale"]))]
        seen.wrong += [f"cut in the header: {text}" for text in sorted(set(judged["cut"]))]
        seen.wrong += [f"table without headings: {title}" for title in judged["bare"]]
        if judged["open"] > MOST_OPEN:
            seen.wrong.append(f"{judged['open']} open panels, {MOST_OPEN} at most")
        seen.wrong += [f"red without a link: {text}" for text in sorted(set(judged["dead"]))]
        seen.links = [(title, href) for title, href in judged["links"]]
        seen.wrong += [f"dead link: {panel}: {href}" for panel, href in seen.links if dead(href)]
        if path.stem == WALL:
            seen.wrong += _of_the_wall(judged["smallest"], height, WIDTHS.get(width, 1080))
        text = page.inner_text("body")
        seen.wrong += [f"not on the page: {title}" for title in titles(path) if title not in text]
        seen.own_bytes = opening_bytes
    finally:
        page.close()
    return seen


def dead(href: str) -> bool:
    """Whether a link leads nowhere: to no dashboard of ours, without its time or its subject."""
    address = urlsplit(href)
    if address.scheme in ("tel", "mailto"):
        return not address.path
    given = parse_qs(address.query, keep_blank_values=True)
    if "${" in href or any(value in ([""], ["-"]) for value in given.values()):
        return True
    if address.path.endswith("/cells"):  # of the exporter's page
        return not given.keys() >= {"site", "since", "until"}
    if address.path.endswith("/energy"):  # the same, of one site or of all
        return not given.keys() >= {"since", "until"}
    if address.path.startswith("/api/v1/portfolio/"):  # of the exporter
        return not given.keys() >= {"since", "until"}
    known = address.path.strip("/").removeprefix("d/").partition("/")[0] in UIDS
    return not known or not given.keys() >= {"from", "to"}


def _of_the_wall(smallest: list[Any], height: int, screen: int) -> list[str]:
    """What is wrong with the wall: type that is too low, or more than one screen."""
    pixels, text = smallest
    wrong = []
    if pixels < WALL_SHARE * screen:
        wrong.append(f"type of {pixels:.0f} px, {WALL_SHARE * screen:.0f} at least: {text}")
    if height > screen + SPARE_PX:
        wrong.append(f"{height} px on a screen of {screen}")
    return wrong


def titles(path: Path) -> list[str]:
    """Titles of panels and rows that stand in a dashboard as they are written."""
    panels = json.loads(path.read_text("utf-8"))["panels"]
    return [p["title"] for p in panels if p.get("title") and "$" not in p["title"]]


def settle(page: Page) -> None:
    """Wait until nothing loads any more."""
    page.locator("section").first.wait_for(timeout=LOADED_SECONDS * 1000)
    page.wait_for_load_state("networkidle", timeout=LOADED_SECONDS * 1000)
    bars = page.locator('[aria-label="Panel loading bar"]')
    deadline = time.monotonic() + LOADED_SECONDS
    while bars.count():
        if time.monotonic() > deadline:
            raise TimeoutError(f"panels still load at {page.url}")
        page.wait_for_timeout(200)
    # What has come into view asks a moment later.
    page.wait_for_timeout(1000)
    page.wait_for_load_state("networkidle", timeout=LOADED_SECONDS * 1000)
    page.wait_for_timeout(300)


def _content_height(page: Page) -> int:
    return int(page.evaluate("() => document.documentElement.scrollHeight")) + 20


def _console(line: Any, seen: Look) -> None:
    if line.type == "error":
        seen.wrong.append(f"console: {line.text[:200]}")


def _response(response: Any, seen: Look) -> None:
    if response.status >= 400:
        seen.wrong.append(f"{response.status} {response.url[:120]}")


def _finished(request: Any, seen: Look) -> None:
    if OURS.search(request.url):
        seen.own_bytes += request.sizes()["responseBodySize"]


if __name__ == "__main__":
    raise SystemExit(main())
