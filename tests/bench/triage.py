"""What Fleet · Triage costs with a large fleet: ``python -m tests.bench.triage --sites 1000``.

Starts the stack with the scenario ``dashboards`` repeated to so many sites, asked once a minute
(``--interval``) so that the simulator leaves room, and Grafana (``GRAFANA_HOME``). Opens Triage in
one Chromium: the first time Grafana's own files come with it, then they are in the cache. Reported
for each opening: when the last query was asked and answered, the slowest query, and the bytes that
are ours, which are the dashboard's JSON and the answers to its queries, beside all of Grafana's.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml
from rich.console import Console

from provisioning.local import servers
from provisioning.local.run import Run
from provisioning.local.stack import ROOT
from provisioning.local.web import get_json
from simulator.scenario import SCENARIOS
from tests.browser.look import OURS, browser, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

INTERVAL_SECONDS = 60
DASHBOARD = ROOT / "grafana" / "dashboards" / "Fleet" / "fleetscope-overview.json"
READY_SECONDS, READY_INTERVALS = 150.0, 4
"""The longest wait until every site is judged: the larger of the two."""
TITLES = {
    str(panel["id"]): panel["title"] for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]
}


@dataclass(frozen=True)
class Answer:
    """A query of the dashboard: of which panel, and when it was asked and answered.

    Times are seconds since the page was opened.
    """

    panel: str
    asked_s: float
    answered_s: float


def scenario(sites: int, interval: float) -> str:
    """YAML of the sites of the scenario ``dashboards``, repeated, polled every so many seconds."""
    made: dict[str, Any] = yaml.safe_load((SCENARIOS / "dashboards.yaml").read_text("utf-8"))
    kinds = made["sites"]
    repeated = []
    for number in range(sites):
        site = copy.deepcopy(kinds[number % len(kinds)])
        turn = number // len(kinds)
        if turn:
            site["id"] += f"_{turn}"
            site["name"] += f" {turn + 1}"
        repeated.append(site | {"interval_seconds": interval})
    return yaml.safe_dump(made | {"sites": repeated}, allow_unicode=True)


def wait_for(prometheus: str, sites: int, seconds: float) -> None:
    """Wait until the recorded order has every site.

    Raises
    ------
    TimeoutError
    """
    deadline = time.monotonic() + seconds
    query = {"query": "count(fleet:attention_order:by_site)"}
    while True:
        found = get_json(f"{prometheus}/api/v1/query", query)["data"]["result"]
        if found and int(found[0]["value"][1]) >= sites:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"no order of {sites} sites after {seconds:.0f} s: {found}")
        time.sleep(1.0)


def opened(page: Page, url: str) -> tuple[list[Answer], dict[str, int], int]:
    """Answers to the queries, bytes of ours by address, and of all others."""
    ours: dict[str, int] = {}
    others = 0
    answers: list[tuple[str, float, float]] = []

    def finished(request: Any) -> None:
        nonlocal others
        size = max(0, request.sizes()["responseBodySize"])
        if OURS.search(request.url):
            address = urlsplit(request.url).path[-40:]
            ours[address] = ours.get(address, 0) + size
        else:
            others += size
        if "/api/ds/query" in request.url:
            number = request.headers.get("x-panel-id", "")
            begun = request.timing["startTime"]
            answers.append((number, begun, begun + max(0, request.timing["responseEnd"])))

    page.on("requestfinished", finished)
    page.goto(f"{url}/d/fleetscope-overview/?orgId=1&refresh=")
    settle(page)
    page.remove_listener("requestfinished", finished)
    origin = page.evaluate("() => performance.timeOrigin")
    found = [
        Answer(TITLES.get(number, "variable"), (begun - origin) / 1000, (end - origin) / 1000)
        for number, begun, end in answers
    ]
    return found, ours, others


def main() -> None:
    """Measure with servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--interval", type=float, default=INTERVAL_SECONDS)
    parser.add_argument("--picture", type=Path, help="where to put a picture of the dashboard")
    options = parser.parse_args()
    grafana, chromium = servers.find_grafana(), shutil.which("chromium")
    if grafana is None or chromium is None:
        raise SystemExit("Grafana (GRAFANA_HOME) and Chromium are needed")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scenario.yaml"
        file.write_text(scenario(options.sites, options.interval), "utf-8")
        run = Run(Path(folder) / "run", Console(file=io.StringIO()))
        with run.stack(
            servers.find_all(),
            scenario=str(file),
            grafana=grafana,
            usual_ports=False,
            past=False,
        ) as stack:
            begun = time.monotonic()
            ready = max(READY_SECONDS, READY_INTERVALS * options.interval)
            wait_for(str(stack.url("prometheus")), options.sites, ready)
            print(
                f"{options.sites} sites judged after {time.monotonic() - begun:.0f} s", flush=True
            )
            measure(str(stack.url("grafana")), options.rounds, chromium, options.picture)


def measure(url: str, rounds: int, chromium: str, picture: Path | None) -> None:
    """Open Triage several times and print what it took."""
    ends = []
    with browser(chromium) as opened_browser:
        page = opened_browser.new_page(viewport={"width": 1920, "height": 1080})
        for number in range(rounds + 1):
            queries, ours, others = opened(page, url)
            first = min(q.asked_s for q in queries)
            last = max(queries, key=lambda q: q.answered_s)
            slowest = max(queries, key=lambda q: q.answered_s - q.asked_s)
            print(
                f"{'first opening' if not number else f'opening {number + 1}'}: "
                f"{len(queries)} queries, asked from {first:.2f} s on, last answer "
                f"{last.answered_s:.2f} s ({last.panel}); slowest "
                f"{slowest.answered_s - slowest.asked_s:.2f} s ({slowest.panel}); ours "
                f"{sum(ours.values()) / 1000:.0f} kB, Grafana's {others / 1000:.0f} kB",
                flush=True,
            )
            if number == rounds:
                for answer in sorted(queries, key=lambda query: query.asked_s):
                    print(f"  {answer.asked_s:.2f} to {answer.answered_s:.2f} s {answer.panel}")
                for address, size in sorted(ours.items(), key=lambda item: -item[1]):
                    print(f"  {size / 1000:6.1f} kB {address}")
            if number:
                ends.append(last.answered_s)
        if picture is not None:
            page.screenshot(path=picture)
    print(f"last answer with Grafana's files in the cache: median {statistics.median(ends):.2f} s")


if __name__ == "__main__":
    main()
