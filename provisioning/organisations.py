"""One Grafana organisation for each project of a fleet file.

``python -m provisioning.organisations --fleet fleet.yaml`` creates the organisations that are
missing, writes data sources and dashboards of each into the folder that Grafana is provisioned
from, and has Grafana read it again. Projects are kept apart by organisation and data source, never
by a variable of a dashboard. Each project needs addresses of its own that hold nothing of others:
a Prometheus that scrapes with a user of the project, or prom-label-proxy before a shared one; and
a database of InfluxDB. Files hold no secrets: tokens are names of Grafana's environment.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import requests
import yaml

from exporter.config.fleet import Fleet
from exporter.config.fleet_file import load_fleet
from exporter.config.positions import FleetFileError
from exporter.drivers import DRIVERS

TIMEOUT_SECONDS = 30.0
# The folder System is about the exporter, which is everybody's.
FOLDERS = ("Fleet", "Site", "Battery")
HOME = "fleetscope-overview"


class OrganisationsError(Exception):
    """Grafana did not do what it was asked to; the text shows no password."""


class Grafana:
    """The API of a Grafana, as its server administrator.

    Parameters
    ----------
    url, user, password : str
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._http = requests.Session()
        self._http.auth = (user, password)
        self._http.trust_env = False

    def organisation(self, name: str) -> int:
        """The number of an organisation, which is created if it is missing."""
        found = self._ask("GET", f"/api/orgs/name/{name}", absent=True)
        if found is None:
            return int(self._ask("POST", "/api/orgs", {"name": name})["orgId"])
        return int(found["id"])

    def reload(self) -> None:
        """Read the provisioned files again."""
        for kind in ("datasources", "dashboards"):
            self._ask("POST", f"/api/admin/provisioning/{kind}/reload")

    def set_home(self, organisation: int, dashboard: str) -> None:
        """Open an organisation with this dashboard."""
        preferences = {"homeDashboardUID": dashboard}
        self._ask("PATCH", "/api/org/preferences", preferences, organisation=organisation)

    def _ask(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        absent: bool = False,
        organisation: int | None = None,
    ) -> Any:
        headers = {} if organisation is None else {"X-Grafana-Org-Id": str(organisation)}
        try:
            reply = self._http.request(
                method,
                self._url + path,
                json=data,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise OrganisationsError(f"{self._url}: {type(error).__name__}") from None
        if absent and reply.status_code == 404:
            return None
        if reply.status_code != 200:
            raise OrganisationsError(f"{method} {path} answered {reply.status_code}")
        return reply.json()


def projects_of(fleet: Fleet) -> list[str]:
    """The projects that the file lists, and those that its sites name."""
    return sorted({*fleet.projects, *(site.project for site in fleet.sites if site.project)})


def data_sources(project: str, organisation: int, addresses: dict[str, str]) -> dict[str, Any]:
    """The file with the data sources of a project.

    Parameters
    ----------
    project : str
    organisation : int
    addresses : dict
        ``prometheus``, ``influxdb`` and ``alertmanager``, blank where there is none, and
        ``database``; each may hold ``{project}``.
    """
    given = {name: value.replace("{project}", project) for name, value in addresses.items()}
    common = {"orgId": organisation, "access": "proxy", "editable": False}
    found: list[dict[str, Any]] = []
    if given["prometheus"]:
        settings = {"httpMethod": "POST", "prometheusType": "Prometheus", "timeInterval": "15s"}
        if given["alertmanager"]:
            settings["alertmanagerUid"] = "fleetscope-alertmanager"
        about = {"name": "Prometheus", "uid": "fleetscope-prometheus", "type": "prometheus"}
        whole = {"url": given["prometheus"], "isDefault": True, "jsonData": settings}
        found.append(about | common | whole)
    if given["influxdb"]:
        token = f"$FLEETSCOPE_INFLUXDB_TOKEN_{project.upper().replace('-', '_')}"
        settings = {
            "version": "InfluxQL",
            "dbName": given["database"],
            "httpMode": "POST",
            "httpHeaderName1": "Authorization",
        }
        about = {"name": "InfluxDB", "uid": "fleetscope-influxdb", "type": "influxdb"}
        secret = {"secureJsonData": {"httpHeaderValue1": f"Token {token}"}}
        found.append(about | common | {"url": given["influxdb"], "jsonData": settings} | secret)
    if given["alertmanager"]:
        settings_of = {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}
        about = {"name": "Alertmanager", "uid": "fleetscope-alertmanager", "type": "alertmanager"}
        found.append(about | common | {"url": given["alertmanager"], "jsonData": settings_of})
    return {"apiVersion": 1, "datasources": found}


def dashboards(project: str, organisation: int, path: str) -> dict[str, Any]:
    """The file with the dashboards of a project: those about sites."""
    providers = [
        {
            "name": f"fleetscope-{project}-{folder}",
            "orgId": organisation,
            "folder": folder,
            "type": "file",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "updateIntervalSeconds": 30,
            "options": {"path": f"{path}/{folder}"},
        }
        for folder in FOLDERS
    ]
    return {"apiVersion": 1, "providers": providers}


def provision(
    grafana: Grafana, projects: list[str], folder: Path, path: str, addresses: dict[str, str]
) -> dict[str, int]:
    """Create the organisations, write their files, and have them read.

    Returns
    -------
    dict
        The number of the organisation of each project.

    Raises
    ------
    OrganisationsError
    """
    numbers = {project: grafana.organisation(project) for project in projects}
    for project, number in numbers.items():
        files = {
            "datasources": data_sources(project, number, addresses),
            "dashboards": dashboards(project, number, path),
        }
        for kind, document in files.items():
            target = folder / kind / f"fleetscope-project-{project}.yml"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    grafana.reload()
    for number in numbers.values():
        grafana.set_home(number, HOME)
    return numbers


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m provisioning.organisations",
        description="One Grafana organisation for each project. The password of Grafana's server "
        "administrator is read from GRAFANA_ADMIN_PASSWORD.",
    )
    parser.add_argument("--fleet", type=Path, required=True, help="fleet file")
    parser.add_argument("--folder", type=Path, required=True, help="Grafana's provisioning folder")
    parser.add_argument(
        "--dashboards",
        default="$FLEETSCOPE_DASHBOARDS_PATH",
        help="folder of the dashboards, as Grafana sees it",
    )
    parser.add_argument("--grafana", default="http://127.0.0.1:3000", help="Grafana's address")
    parser.add_argument("--user", default="admin", help="Grafana's server administrator")
    for name in ("prometheus", "influxdb", "alertmanager"):
        parser.add_argument(
            f"--{name}", default="", help=f"address of {name}; {{project}} stands for the project"
        )
    parser.add_argument("--database", default="fleet_{project}", help="database of InfluxDB")
    given = parser.parse_args()
    password = os.environ.get("GRAFANA_ADMIN_PASSWORD", "")
    if not password:
        sys.exit("provisioning.organisations: GRAFANA_ADMIN_PASSWORD is not set")
    for name, place in (
        ("prometheus", given.prometheus),
        ("influxdb", given.influxdb and given.influxdb + given.database),
    ):
        if place and "{project}" not in place:
            sys.exit(f"provisioning.organisations: --{name} would be the same for every project")
    addresses = {
        name: getattr(given, name)
        for name in ("prometheus", "influxdb", "alertmanager", "database")
    }
    try:
        fleet = load_fleet(given.fleet, DRIVERS)
        grafana = Grafana(given.grafana, given.user, password)
        numbers = provision(grafana, projects_of(fleet), given.folder, given.dashboards, addresses)
    except (FleetFileError, OrganisationsError, OSError) as error:
        sys.exit(f"provisioning.organisations: {error}")
    for project, number in numbers.items():
        sys.stdout.write(f"{project}: organisation {number}\n")


if __name__ == "__main__":
    main()
