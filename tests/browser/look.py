"""Open every dashboard in real Grafana and Chromium, judge what is drawn, and save pictures.

``python -m tests.browser.look FOLDER`` starts :mod:`tests.browser.scene`, opens each dashboard at
four widths and in both themes, and exits 1 on a panel or console error, cut text in the header or a
tile, text in a tile or table with a contrast below 4.5:1, a table without headings, more than 14
open panels, a red figure without a link, a link that leads nowhere, or type on Fleet · Wall that is
lower than a fortieth of the screen. ``--red`` clicks every red figure as well, and sees that the
dashboard where it leads shows its subject. ``--grafana URL`` looks at one that runs.
"""

from __future__ import annotations

import argparse
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

from grafana.kit.catalogue import catalogue
from provisioning.local.stack import ROOT
from simulator.scenario import Scenario
from tests.browser.scene import DEVICES, needed, scene

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").rglob("*.json"))
WIDTHS = {390: 844, 1280: 800, 1920: 1080, 3840: 2160}
"""Width of the screen to its height, pixels."""
WALL = "fleetscope-fleet-wall"
WALL_SHARE = 1 / 40
"""Of the screen's height that type on the wall takes at least."""
THEMES = ("dark", "light")
MOST_OPEN = 14
SPARE_PX = 24
OURS = re.compile(r"/api/(ds/query|datasources|dashboards)|/apis/dashboard")
"""Addresses of what a dashboard itself costs, beside the files of Grafana."""
UIDS = {path.stem for path in DASHBOARDS}
LOADED_SECONDS = 120.0
RED_HEIGHT = 3000
"""Pixels of a screen on which every panel of a dashboard is drawn, and so can be clicked."""
FIELDS = "() => [...document.querySelectorAll('input')].map(e => ' ' + e.value).join('')"
NAMES = {site.id: site.name for of in ("dashboards", "demo") for site in Scenario.load(of).sites}
NAMES |= {site_id: name for site_id, (name, _) in DEVICES.items()}
"""What a site of the scene, or of the demo, is called by its id."""

# A panel that is scrolled out of sight may keep its bar without asking for anything.
LOADING = """() => [...document.querySelectorAll('[aria-label="Panel loading bar"]')]
  .some(e => e.getBoundingClientRect().top < innerHeight)"""
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
    followed: int | None = None
    """Red figures that were clicked: one of those that lead to the same subject."""

    @property
    def summary(self) -> str:
        """One line."""
        if self.followed is not None:
            return f"{self.followed} red figures clicked"
        return f"{self.took_seconds:.1f} s, {self.own_bytes / 1000:.0f} kB of ours"


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at everything; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.look", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--grafana", help="address of a Grafana that runs already")
    parser.add_argument("--widths", type=int, nargs="*", default=list(WIDTHS))
    parser.add_argument("--themes", nargs="*", default=list(THEMES))
    parser.add_argument("--only", nargs="*", default=[], help="uids")
    parser.add_argument("--red", action="store_true", help="follow every red figure, too")
    parser.add_argument("--query", default="", help="appended to each address, as &var-site=ID")
    chosen = parser.parse_args(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("There is no Chromium in PATH, so nothing was looked at.", file=sys.stderr)
        return 2
    chosen.folder.mkdir(parents=True, exist_ok=True)
    good = True
    with grafana(chosen.grafana) as url, browser(chromium) as opened:
        if url is None:
            return 2
        # One context: Grafana's own files come once.
        context = opened.new_context()
        known: set[str] = set()
        for path in DASHBOARDS:
            if chosen.only and path.stem not in chosen.only:
                continue
            widths = [
                width for width in chosen.widths if width >= catalogue()[path.stem].least_width
            ]
            for theme in chosen.themes:
                for seen in looks(context, url, path, widths, theme, chosen.folder, chosen.query):
                    good = _report(seen) and good
            if chosen.red:
                good = _report(follow_red(context, url, path, chosen.query, known)) and good
    return int(not good)


def _report(seen: Look) -> bool:
    """Print what was seen; whether nothing is wrong."""
    print(f"{seen.name}: {seen.summary}", flush=True)
    for fault in seen.wrong:
        print(f"  {fault}", flush=True)
    return not seen.wrong


@contextmanager
def grafana(url: str | None) -> Iterator[str | None]:
    """The address of a Grafana that shows the scene; None where there is none."""
    if url is not None:
        yield url
        return
    programs = needed()
    if programs is None:
        yield None
        return
    with scene(*programs) as stack:
        yield stack.url("grafana")


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
    opened: Browser | BrowserContext,
    url: str,
    path: Path,
    width: int,
    theme: str,
    folder: Path,
    query: str,
) -> Look:
    """One dashboard at one width in one theme; see :func:`looks`."""
    (seen,) = looks(opened, url, path, [width], theme, folder, query)
    return seen


def looks(
    opened: Browser | BrowserContext,
    url: str,
    path: Path,
    widths: Sequence[int],
    theme: str,
    folder: Path,
    query: str,
) -> Iterator[Look]:
    """One dashboard in one theme, opened once and drawn at each width.

    Two pictures of each: the first screen, and the whole.
    """
    seen = Look("")
    page = opened.new_page()
    page.on("pageerror", lambda error: seen.wrong.append(f"page error: {error}"))
    page.on("console", lambda line: _console(line, seen))
    page.on("response", lambda response: _response(response, seen))
    page.on("requestfinished", lambda request: _finished(request, seen))
    fitted = "&autofitpanels=true" if path.stem == WALL else ""
    # What fits a screen is worked out when a dashboard is opened, as are the arrows of a Canvas.
    as_opened = fitted or '"type": "canvas"' in path.read_text("utf-8")
    address = f"{url}/d/{path.stem}/?orgId=1&theme={theme}&kiosk&refresh={query}{fitted}"
    try:
        for width in widths:
            seen = Look(f"{path.stem}-{width}-{theme}")
            began = time.monotonic()
            page.set_viewport_size({"width": width, "height": WIDTHS.get(width, 1080)})
            if width == widths[0] or as_opened:
                page.goto(address)
            settle(page)
            seen.took_seconds = time.monotonic() - began
            opening_bytes = seen.own_bytes
            page.screenshot(path=folder / f"{seen.name}.png")
            height = _content_height(page)
            page.set_viewport_size({"width": width, "height": min(max(height, 600), 9000)})
            settle(page)
            page.screenshot(path=folder / f"{seen.name}-whole.png")
            _judge(page, path, height, WIDTHS.get(width, 1080), seen)
            seen.own_bytes = opening_bytes
            yield seen
    except TimeoutError as error:
        seen.wrong.append(str(error))
        yield seen
    finally:
        page.close()


def _judge(page: Page, path: Path, height: int, screen: int, seen: Look) -> None:
    """Write down what is wrong with what is drawn."""
    judged: dict[str, Any] = page.evaluate(JUDGE)
    seen.wrong += [f"panel in error: {title}" for title in judged["errors"]]
    seen.wrong += [f"contrast: {text}" for text in sorted(set(judged["pale"]))]
    seen.wrong += sorted(set(judged["cut"]))
    seen.wrong += [f"table without headings: {title}" for title in judged["bare"]]
    if judged["open"] > MOST_OPEN:
        seen.wrong.append(f"{judged['open']} open panels, {MOST_OPEN} at most")
    seen.wrong += [f"red without a link: {text}" for text in sorted(set(judged["dead"]))]
    seen.links = [(title, href) for title, href in judged["links"]]
    seen.wrong += [f"dead link: {panel}: {href}" for panel, href in seen.links if dead(href)]
    if path.stem == WALL:
        seen.wrong += _of_the_wall(judged["smallest"], height, screen)
    text = page.inner_text("body")
    seen.wrong += [f"not on the page: {title}" for title in titles(path) if title not in text]


def follow_red(context: BrowserContext, url: str, path: Path, query: str, known: set[str]) -> Look:
    """Click every red figure of a dashboard, and see that its subject is shown where it leads.

    ``known`` holds what was arrived at from another dashboard, by :func:`subject`, and grows.
    """
    seen = Look(f"{path.stem}-red", followed=0)
    page = context.new_page()
    page.set_viewport_size({"width": 1920, "height": RED_HEIGHT})
    address = f"{url}/d/{path.stem}/?orgId=1&kiosk&refresh={query}"
    try:
        page.goto(address)
        settle(page)
        found = {href: f"{title}: {text}" for title, text, href in page.evaluate(JUDGE)["red"]}
        for href, figure in found.items():
            # What is of the exporter or a telephone is judged by its address alone.
            if not urlsplit(href).path.startswith("/d/") or subject(href) in known:
                continue
            known.add(subject(href))
            link = page.locator(f'a[href="{href}"]').first
            link.click()
            page.wait_for_url(re.compile(re.escape(urlsplit(href).path) + r"/?[^/]*\?"))
            settle(page)
            seen.wrong += [f"{figure}: {fault}" for fault in _astray(page, href)]
            page.go_back()
            settle(page)
            if not link.count():
                # There it was more than one step.
                page.goto(address)
                settle(page)
            seen.followed = (seen.followed or 0) + 1
    finally:
        page.close()
    return seen


def subject(href: str) -> str:
    """Where a link leads, whatever the time."""
    address = urlsplit(href)
    kept = sorted((k, v) for k, v in parse_qs(address.query).items() if k not in ("from", "to"))
    return f"{address.path.rstrip('/')} {kept}"


def _astray(page: Page, href: str) -> Iterator[str]:
    """What is wrong with the dashboard that a link led to."""
    wanted, here = urlsplit(href), urlsplit(page.url)
    uid = wanted.path.split("/")[2]
    if here.path.split("/")[2] != uid:
        yield f"led to {here.path} and not to {uid}"
        return
    chosen, found = parse_qs(wanted.query), parse_qs(here.query)
    # Above the panels each variable says what is chosen, some in a field of a form.
    text = (page.inner_text("body") + page.evaluate(FIELDS)).lower()
    if "viewPanel" not in chosen and catalogue()[uid].decision.lower() not in text:
        yield f"{uid} is not open"
    for name, values in chosen.items():
        if name.startswith("var-"):
            if found.get(name) != values:
                yield f"{name} is {found.get(name)} and not {values}"
            yield from (
                f"{name} {value} is not to be read there"
                for value in values
                if value != "$__all" and NAMES.get(value, value).lower() not in text
            )
    judged = page.evaluate(JUDGE)
    yield from (f"panel in error there: {title}" for title in judged["errors"])
    yield from (f"red without a link there: {dead}" for dead in judged["dead"])


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
    deadline = time.monotonic() + LOADED_SECONDS
    while page.evaluate(LOADING):
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
