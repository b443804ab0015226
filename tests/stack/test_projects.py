"""Projects kept apart behind a real Prometheus, prom-label-proxy and Grafana."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from provisioning.local.servers import find_grafana
from tests.serve.access import tenants
from tests.service_process import until

ROOT = Path(__file__).parents[2]
PASSWORD = "an-admin-of-tests"
LOOPBACK = "127.0.0.1"


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def program(folder: Path, name: str, *command: str, **environment: str) -> Iterator[None]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=os.environ | environment
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def needed(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not in PATH")
    return found


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


@dataclass(slots=True)
class Stack:
    prometheus: str
    proxies: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The exporter, a Prometheus that sees every project, and a proxy for each."""
    folder = tmp_path_factory.mktemp("projects")
    prometheus, proxy = needed("prometheus"), needed("prom-label-proxy")
    ports = {name: free_port() for name in ("prometheus", "south", "north")}
    urls = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    with contextlib.ExitStack() as running:
        exporter = running.enter_context(tenants.serving(folder))
        scraping = {
            "job_name": "fleetscope",
            "scrape_interval": "1s",
            "basic_auth": {"username": "all_viewer", "password": "pw"},
            "static_configs": [{"targets": [exporter.url.partition("://")[2]]}],
        }
        (folder / "prometheus.yml").write_text(
            yaml.safe_dump({"scrape_configs": [scraping]}), "utf-8"
        )
        listen = f"--web.listen-address={LOOPBACK}:{ports['prometheus']}"
        running.enter_context(
            program(
                folder,
                "prometheus",
                *(prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data", listen),
            )
        )
        for name in ("south", "north"):
            options = [
                f"-insecure-listen-address={LOOPBACK}:{ports[name]}",
                f"-upstream={urls['prometheus']}",
                "-label=project",
                f"-label-value={name}",
                "-enable-label-apis",
                "-error-on-replace",
            ]
            running.enter_context(program(folder, f"proxy-{name}", proxy, *options))
        until(lambda: answers(urls["prometheus"] + "/-/ready"))
        found = Stack(urls["prometheus"], {n: urls[n] for n in ("south", "north")}, folder)
        until(lambda: len(result(urls["prometheus"], "fleetscope_site_up")) == 13)
        for url in found.proxies.values():
            until(lambda url=url: answers(url + "/api/v1/query?query=up"))
        yield found


def asked(url: str, path: str, **query: str) -> requests.Response:
    return requests.get(f"{url}/api/v1/{path}", params=query, timeout=30)


def result(url: str, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(url, "query", query=query).json()["data"]["result"]
    return found


EVASIONS = [
    'fleetscope_site_up{project="north"}',
    'fleetscope_site_up{project=~".+"}',
    'fleetscope_site_up{project!="south"}',
    'fleetscope_site_up{site="northmark-1"}',
    '{__name__=~".+"}',
    'fleetscope_site_up or {project="north"}',
    "count(fleetscope_site_up) by (site)",
    'label_replace(fleetscope_site_up, "project", "north", "", "")',
    "max_over_time(fleetscope_site_up[5m:1s])",
    'count_values("site", fleetscope_site_health_score)',
]


@pytest.mark.parametrize("query", EVASIONS)
def test_a_proxy_shows_one_project(stack: Stack, query: str) -> None:
    reply = asked(stack.proxies["south"], "query", query=query)
    assert "northmark" not in reply.text
    assert "loosemark" not in reply.text
    assert reply.status_code in (200, 400)


def test_each_proxy_shows_its_own(stack: Stack) -> None:
    for project, mark in (("south", "southmark"), ("north", "northmark")):
        url = stack.proxies[project]
        sites = {series["metric"]["site"] for series in result(url, "fleetscope_site_up")}
        assert sites == {f"{mark}-{n}" for n in range(6)}
        names = asked(url, "label/site/values").json()["data"]
        assert set(names) == sites
        series = asked(url, "series", **{"match[]": "fleetscope_site_info"}).json()["data"]
        assert {one["site"] for one in series} == sites
        # What is not about a site of the project is not there at all.
        assert result(url, "fleetscope_fleet_sites") == []
    for path in ("targets", "status/config", "status/flags", "metadata"):
        assert asked(stack.proxies["south"], path).status_code == 404


@pytest.fixture(scope="module")
def grafana(stack: Stack) -> Iterator[str]:
    here = find_grafana()
    if here is None:
        pytest.skip("Grafana is not here: neither GRAFANA_HOME nor PATH has one")
    executable, home = here
    own = stack.folder / "grafana"
    for part in ("data", "provisioning/datasources", "provisioning/dashboards"):
        (own / part).mkdir(parents=True)
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    settings = {
        "GF_SERVER_HTTP_ADDR": LOOPBACK,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(own / "data"),
        "GF_PATHS_LOGS": str(own / "logs"),
        "GF_PATHS_PLUGINS": str(own / "plugins"),
        "GF_PATHS_PROVISIONING": str(own / "provisioning"),
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_SECURITY_ADMIN_PASSWORD": PASSWORD,
        "FLEETSCOPE_DASHBOARDS_PATH": str(ROOT / "grafana" / "dashboards"),
    }
    subcommand = ["server"] if executable.name == "grafana" else []
    command = [str(executable), *subcommand, "--homepath", str(home)]
    with program(stack.folder, "grafana", *command, **settings):
        until(lambda: answers(url + "/api/health"), 120)
        yield url


def organise(stack: Stack, grafana: str) -> str:
    fleet = stack.folder / "fleet.yaml"
    sites = [
        {"id": f"{mark}-0", "api_endpoint": "http://192.0.2.1", "project": project}
        for project, mark in (("south", "southmark"), ("north", "northmark"))
    ]
    fleet.write_text(yaml.safe_dump({"sites": sites}), "utf-8")
    # The addresses of the proxies differ by port alone; a name for each would be usual.
    ports = {project: url.rpartition(":")[2] for project, url in stack.proxies.items()}
    folder = stack.folder / "grafana/provisioning"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "provisioning.organisations", "--fleet", str(fleet)),
            *("--folder", str(folder), "--grafana", grafana),
            *("--prometheus", f"http://{LOOPBACK}:{{project}}"),
        ],
        cwd=ROOT,
        env=os.environ | {"GRAFANA_ADMIN_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for project, port in ports.items():
        path = folder / "datasources" / f"fleetscope-project-{project}.yml"
        text = path.read_text("utf-8")
        assert PASSWORD not in text
        path.write_text(text.replace(f":{project}", f":{port}"), "utf-8")
    reload = f"{grafana}/api/admin/provisioning/datasources/reload"
    assert requests.post(reload, auth=("admin", PASSWORD), timeout=60).status_code == 200
    return done.stdout


def test_each_project_has_an_organisation_that_shows_its_own(stack: Stack, grafana: str) -> None:
    admin = ("admin", PASSWORD)
    first = organise(stack, grafana)
    # Once more changes nothing.
    assert organise(stack, grafana) == first
    numbers = {line.partition(":")[0]: int(line.rpartition(" ")[2]) for line in first.splitlines()}
    assert set(numbers) == {"south", "north"}
    for project, number in numbers.items():
        user = {"name": project, "login": project, "password": "a-long-password", "OrgId": number}
        made = requests.post(f"{grafana}/api/admin/users", json=user, auth=admin, timeout=30)
        assert made.status_code == 200, made.text
    for project, mark in (("south", "southmark"), ("north", "northmark")):
        auth = (project, "a-long-password")
        organisations = requests.get(f"{grafana}/api/user/orgs", auth=auth, timeout=30).json()
        assert [one["orgId"] for one in organisations] == [numbers[project]]
        query = {
            "queries": [
                {
                    "refId": "A",
                    "datasource": {"uid": "fleetscope-prometheus"},
                    "expr": "fleetscope_site_up",
                    "instant": True,
                }
            ],
            "from": "now-5m",
            "to": "now",
        }
        reply = requests.post(f"{grafana}/api/ds/query", json=query, auth=auth, timeout=30)
        assert reply.status_code == 200, reply.text
        assert mark in reply.text
        other = "northmark" if project == "south" else "southmark"
        assert other not in reply.text
        assert "loosemark" not in reply.text
        found = requests.get(f"{grafana}/api/search?type=dash-db", auth=auth, timeout=30).json()
        assert {one["folderTitle"] for one in found} == {"Fleet", "Site", "Battery"}
        home = requests.get(f"{grafana}/api/org/preferences", auth=auth, timeout=30)
        assert home.status_code in (200, 403)
        # Another organisation is out of reach, whatever the caller asks for.
        foreign = numbers["north" if project == "south" else "south"]
        for number in (1, foreign):
            headers = {"X-Grafana-Org-Id": str(number)}
            refused = requests.post(
                f"{grafana}/api/ds/query", json=query, auth=auth, headers=headers, timeout=30
            )
            assert other not in refused.text
            assert refused.status_code in (401, 403)
