"""Renew the pictures of the documents: ``python -m tests.browser.pictures FOLDER``.

``--grafana URL`` is that of :mod:`tests.browser.scene`, and gives Triage, one site and its cells;
``--exporter URL`` that of a demo, and gives the page and the terminal. Each picture has a palette
of its own, so that it stays small.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from rich.console import Console
from rich.text import Text

from provisioning.local.stack import ROOT
from tests.browser.look import browser, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COLOURS = 200
WIDEST = 1400
TERMINAL_COLUMNS = 112
BOARDS = {
    "overview": ("fleetscope-overview", 1920, 1080, ""),
    "site": ("fleetscope-site", 1400, 1250, "&var-site=faro_harbour_office"),
    "cells": ("fleetscope-cells", 1400, 900, "&var-site=faro_harbour_office"),
}
"""Picture to the dashboard, the size of the window, and what is chosen."""
PAGE_SITE = "site_gamma"


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grafana")
    parser.add_argument("--exporter")
    chosen = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("There is no Chromium in PATH.")
    with browser(chromium) as opened:
        if chosen.grafana:
            for name, (uid, width, height, query) in BOARDS.items():
                page = opened.new_page(viewport={"width": width, "height": height})
                page.goto(f"{chosen.grafana}/d/{uid}/?orgId=1&theme=dark&kiosk&refresh={query}")
                settle(page)
                _save(page, chosen.folder / f"{name}.png")
        if chosen.exporter:
            page = opened.new_page(viewport={"width": WIDEST, "height": 1000})
            page.goto(f"{chosen.exporter}/#/site/{PAGE_SITE}")
            page.get_by_role("heading", name="Power now").wait_for()
            page.wait_for_timeout(2000)
            _save(page, chosen.folder / "page.png")
            _terminal(opened, chosen.exporter, chosen.folder / "status.png")


def _terminal(opened: Browser, exporter: str, path: Path) -> None:
    """What ``fleetscope status`` prints, in a window."""
    printed = subprocess.run(
        [sys.executable, "-m", "exporter", "status", "--url", exporter],
        cwd=ROOT,
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(TERMINAL_COLUMNS)},
        check=False,  # its status is that of the fleet
        capture_output=True,
        text=True,
    )
    console = Console(file=io.StringIO(), record=True, width=TERMINAL_COLUMNS)
    console.print(Text.from_ansi(printed.stdout))
    drawn = console.export_svg(title="fleetscope status")
    page = opened.new_page(viewport={"width": WIDEST, "height": 1000})
    page.set_content(f"<style>body {{margin: 0}} svg {{width: {WIDEST}px}}</style>{drawn}")
    page.wait_for_timeout(500)
    picture = page.locator("svg").first.screenshot()
    _shrink(picture, path)


def _save(page: Page, path: Path) -> None:
    _shrink(page.screenshot(), path)
    page.close()


def _shrink(picture: bytes, path: Path) -> None:
    """Write a picture at most as wide as a page of a document, with a palette."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    if image.width > WIDEST:
        size = (WIDEST, round(image.height * WIDEST / image.width))
        image = image.resize(size, Image.Resampling.LANCZOS)
    # Of the usual methods only this one keeps the few pixels of a marker in their colour.
    quantized = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    quantized.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
