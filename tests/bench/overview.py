"""Rules and Fleet · Triage over a large fleet: ``python -m tests.bench.overview --sites 10000``.

A real Prometheus scrapes what ``/metrics`` says of so many sites, one in a hundred ill, and
evaluates the rules as they are provisioned. Then every query of the dashboard, and of its
variables, is asked once: seconds and bytes. With ``--picture FILE`` Grafana (``GRAFANA_HOME``)
shows the dashboard in Chromium over the same Prometheus, as in :mod:`tests.bench.triage`; panels
that ask InfluxDB stay empty.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.exposition import generate_latest

from exporter.serve.metrics import registry
from exporter.serve.site_series import render
from grafana.boards.shared import CALLED
from grafana.generate import all_panels
from provisioning.local import servers
from provisioning.local.ports import Ports
from provisioning.local.stack import grafana_program
from tests.bench import triage
from tests.bench.fleet import TICKS
from tests.serve.api.served import ServedFleet, plan
from tests.serve.test_metrics import NUMBERS

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "grafana" / "dashboards" / "Fleet" / "fleetscope-overview.json"
ILL_ONE_IN = 100
EVALUATION_SECONDS = 15.0
ROUNDS = 3


def exposition(sites: int) -> bytes:
    """What ``/metrics`` says of a fleet now, compressed."""
    served = ServedFleet(plan(sites))
    ids = [site.id for site in served.fleet.sites]
    ill = {"soh_percent": 60.0, "cell_spread_v": 0.2}
    served.scrape(**{site: ill for site in ids[::ILL_ONE_IN]})  # noqa: C420 - read only
    text = render(registry(lambda: served.latest, lambda: NUMBERS), generate_latest)
    moment = b"fleetscope_assessment_timestamp_seconds %.1f" % time.time()
    text = re.sub(rb"fleetscope_assessment_timestamp_seconds [\d.e+]+", moment, text)
    return gzip.compress(text, 1)


@contextlib.contextmanager
def serving(body: bytes) -> Iterator[int]:
    """A listener that answers with the exposition; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextlib.contextmanager
def prometheus(program: str, folder: Path, target: int) -> Iterator[tuple[str, int]]:
    """Prometheus with the provisioned rules; yields its address and process id."""
    shutil.copytree(ROOT / "provisioning" / "prometheus" / "rules", folder / "rules")
    settings = {
        "global": {"scrape_interval": "15s", "evaluation_interval": f"{EVALUATION_SECONDS:g}s"},
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [
            {
                "job_name": "fleetscope",
                "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings), "utf-8")
    port = Ports(usual=False).pick(0)
    command = [
        *(program, f"--config.file={folder / 'prometheus.yml'}"),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


def asked(url: str, path: str, **params: str) -> tuple[Any, float, int]:
    """An answer of Prometheus, the seconds that it took, and its bytes."""
    query = urllib.parse.urlencode(params)
    begun = time.perf_counter()
    with urllib.request.urlopen(f"{url}{path}?{query}", timeout=120) as reply:
        body = reply.read()
    return json.loads(body)["data"], time.perf_counter() - begun, len(body)


def groups(url: str) -> dict[str, float]:
    """Seconds of the last evaluation of each group of rules; empty before all had their turns."""
    try:
        found = asked(url, "/api/v1/rules")[0]["groups"]
    except OSError:
        return {}
    if not found or any(group["lastEvaluation"].startswith("0001") for group in found):
        return {}
    return {group["name"]: float(group["evaluationTime"]) for group in found}


def filled(expression: str, called: str = "") -> str:
    """An expression with Grafana's variables filled in: all sites, and those to call first."""
    expression = expression.replace(f"${CALLED}", called)
    expression = re.sub(r"\$__(?:rate_)?(?:interval|range)", "1m", expression)
    return re.sub(r"\$\{\w+(?::\w+)?\}|\$[a-z_]+", ".*", expression)


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Title, expression and whether it is asked for this moment alone, of panels and variables."""
    for panel in all_panels(dashboard):
        for target in panel.get("targets", ()):
            if target.get("expr"):
                yield panel.get("title") or "?", target["expr"], bool(target.get("instant"))
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]
            yield f"${variable['name']}", query["query"] if isinstance(query, dict) else query, True


def called_sites(url: str, dashboard: dict[str, Any]) -> str:
    """An expression for the ids of the sites to call first, as Grafana fills it in."""
    (query,) = (v["query"] for v in dashboard["templating"]["list"] if v["name"] == CALLED)
    found, _, _ = answered(url, query, instant=True)
    return f"({'|'.join(row['metric']['site'] for row in found['result'])})"


def answered(
    url: str, expression: str, *, instant: bool, called: str = ""
) -> tuple[Any, float, int]:
    """The answer to a query of the dashboard."""
    if found := re.fullmatch(r"label_values\((.+), (\w+)\)", expression):
        return asked(url, f"/api/v1/label/{found[2]}/values", **{"match[]": filled(found[1])})
    if found := re.fullmatch(r"query_result\((.+)\)", expression, re.DOTALL):
        expression = found[1]
    if instant:
        return asked(url, "/api/v1/query", query=filled(expression, called))
    now = time.time()
    span = {"start": f"{now - 3600:.0f}", "end": f"{now:.0f}", "step": "15"}
    return asked(url, "/api/v1/query_range", query=filled(expression, called), **span)


@contextlib.contextmanager
def grafana(folder: Path, prometheus_url: str) -> Iterator[str]:
    """Grafana with the dashboards over a Prometheus; yields its address."""
    found = servers.find_grafana()
    if found is None:
        raise SystemExit("Grafana is needed for a picture: GRAFANA_HOME names none")
    # Grafana does not start without an address for each, whether or not somebody answers there.
    urls = dict.fromkeys(("influxdb", "alertmanager"), "http://127.0.0.1:1")
    urls["prometheus"] = prometheus_url
    program = grafana_program(folder, found, Ports(usual=False).pick(0), urls)
    url = f"http://127.0.0.1:{program.port}"
    with (folder / "grafana.log").open("wb") as log:
        process = subprocess.Popen(
            program.command, stdout=log, stderr=log, env={**os.environ, **program.environment}
        )
    try:
        while not _answers(f"{url}{program.ready}"):
            if process.poll() is not None:
                raise SystemExit((folder / "grafana.log").read_text("utf-8")[-2000:])
            time.sleep(1.0)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def measure(sites: int, program: str, picture: Path | None = None) -> dict[str, Any]:
    """Seconds of the rules, and seconds and bytes of every query."""
    body = exposition(sites)
    with (
        tempfile.TemporaryDirectory(prefix="fleetscope-bench-") as name,
        serving(body) as port,
        prometheus(program, Path(name), port) as (url, pid),
    ):
        while not groups(url):
            time.sleep(1.0)
        before_rounds = cpu_seconds(pid)
        time.sleep(ROUNDS * EVALUATION_SECONDS)
        of_rounds = (cpu_seconds(pid) - before_rounds) / ROUNDS
        before_queries = cpu_seconds(pid)
        rules = groups(url)
        dashboard = json.loads(DASHBOARD.read_text("utf-8"))
        found: dict[str, tuple[float, int]] = {}
        called = called_sites(url, dashboard)
        for title, expression, instant in queries(dashboard):
            _, seconds, size = answered(url, expression, instant=instant, called=called)
            before = found.get(title, (0.0, 0))
            found[title] = (round(before[0] + seconds, 3), before[1] + size)
        of_queries = cpu_seconds(pid) - before_queries
        series = asked(url, "/api/v1/query", query='count({job="fleetscope"})')[0]
        if picture is not None:
            chromium = shutil.which("chromium")
            if chromium is None:
                raise SystemExit("Chromium is needed for a picture")
            with grafana(Path(name), url) as address:
                triage.measure(address, ROUNDS, chromium, picture)
    slowest = sorted(found.items(), key=lambda item: -item[1][0])
    return {
        "sites": sites,
        "series": int(series["result"][0]["value"][1]),
        "exposition_mb": round(len(body) / 1e6, 2),
        "cpu_s_of_15_s_scraping_and_rules": round(of_rounds, 2),
        "cpu_s_while_queries_ran": round(of_queries, 2),
        "rules_s": round(sum(rules.values()), 3),
        "slowest_group": max(rules.items(), key=lambda item: item[1]),
        "queries": len(found),
        "queries_s": round(sum(seconds for seconds, _ in found.values()), 3),
        "queries_kb": round(sum(size for _, size in found.values()) / 1e3, 1),
        "slowest": slowest[:5],
        "largest": max(found.items(), key=lambda item: item[1][1]),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.overview", description=__doc__)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--picture", type=Path, help="show it in a browser, and keep a picture")
    args = parser.parse_args()
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("no prometheus in PATH; `make servers` installs it")
    print(json.dumps(measure(args.sites, program, args.picture), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
