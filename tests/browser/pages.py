"""A page in real Chromium, and everything that goes wrong on it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LIMIT = 60_000.0


@contextlib.contextmanager
def browsers() -> Iterator[Callable[..., Browser]]:
    """Starts Chromium without a window, with arguments; a skip where it is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium in PATH (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver, contextlib.ExitStack() as stack:

        def launch(*more: str) -> Browser:
            made = driver.chromium.launch(executable_path=program, args=["--no-sandbox", *more])
            stack.callback(made.close)
            return made

        yield launch


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
        # What is not stored is answered with 503, which Chromium itself prints. Another's change
        # of this machine's networks breaks a request off, which the page asks again.
        harmless = ("503", "ERR_NETWORK_CHANGED", "GL Driver Message")
        if message.type in ("error", "warning") and not any(t in message.text for t in harmless):
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

    def until_rows(self, wanted: list[str]) -> None:
        """Wait until the list is these sites."""
        end = time.monotonic() + LIMIT / 1000
        while self.rows() != wanted:
            assert time.monotonic() < end, f"the list is {self.rows()}, not {wanted}"
            self.page.wait_for_timeout(50)

    def focused(self) -> str:
        return str(
            self.page.evaluate("document.activeElement.dataset.id || document.activeElement.id")
        )

    def violations(self) -> list[Any]:
        """What axe finds."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        found = axe.run(self.page).response["violations"]
        return [(v["id"], [node["failureSummary"] for node in v["nodes"][:3]]) for v in found]

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        whole = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(whole))


@contextlib.contextmanager
def opened(
    browser: Browser,
    url: str,
    path: str = "/",
    *,
    width: int = 1280,
    theme: Any = "light",
    ready: str = "document.querySelectorAll('#list li').length > 0",
    user: str | None = None,
    zone: str | None = None,
) -> Iterator[Seen]:
    """A page of its own, closed in the end; nothing may have gone wrong on it."""
    more: dict[str, Any] = {}
    if user is not None:
        more["http_credentials"] = {"username": user, "password": "pw"}
    if zone is not None:
        more["timezone_id"] = zone
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme, **more)
    seen = Seen(page)
    try:
        page.goto(url + path)
        seen.until(ready)
        yield seen
        assert not seen.wrong, seen.wrong
        assert seen.outside == [], "nothing is fetched from elsewhere"
    finally:
        page.close()
