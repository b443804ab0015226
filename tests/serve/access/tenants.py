"""Two projects, a site without one, and callers of every role, behind the real guard."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from requests.auth import AuthBase, HTTPBasicAuth

from exporter.config.fleet import Fleet
from exporter.config.settings import load_settings
from exporter.deliver.alertmanager import Alertmanager
from exporter.history.alert_history import AlertHistory
from exporter.history.influxql import InfluxQL
from exporter.portfolio.figure import figure
from exporter.portfolio.measurements import MEASUREMENTS
from exporter.serve.access.roles import EVERY_PROJECT, Caller, Role
from exporter.serve.access.server import GuardedServer
from exporter.serve.access.visible import VisibleAssessment, visibility
from exporter.serve.access.visible_alerts import VisibleAlerts
from exporter.serve.access.visible_past import VisiblePast
from exporter.serve.application import make_app
from exporter.serve.metrics import registry
from tests.serve.access.conftest import hashed
from tests.serve.api.served import ServedFleet
from tests.serve.test_metrics import NUMBERS

PROJECTS = {"south": "southmark", "north": "northmark", None: "loosemark"}
"""Every text of a site contains the mark of its project, and nothing else does."""
CHANGE_TOKEN = "change-me-4711-4711"

CALLERS: dict[str, Caller] = {
    "south_viewer": Caller("south_viewer", (("south", Role.VIEWER),)),
    "south_operator": Caller("south_operator", (("south", Role.OPERATOR),)),
    "south_admin": Caller("south_admin", (("south", Role.ADMIN),)),
    "north_viewer": Caller("north_viewer", (("north", Role.VIEWER),)),
    "both": Caller("both", (("south", Role.OPERATOR), ("north", Role.VIEWER))),
    "all_viewer": Caller("all_viewer", ((EVERY_PROJECT, Role.VIEWER),)),
    "all_admin": Caller("all_admin", ((EVERY_PROJECT, Role.ADMIN),)),
    "empty": Caller("empty", (("west", Role.ADMIN),)),
    "third": Caller("third"),
}


def fleet() -> Fleet:
    sites = []
    for project, mark in PROJECTS.items():
        for number in range(1 if project is None else 6):
            sites.append(
                {
                    "id": f"{mark}-{number}",
                    "name": f"Plant {mark} {number}",
                    "location": f"Town {mark}",
                    "region": f"Region {mark}",
                    "vendor": f"Vendor {mark}",
                    "battery_type": f"Type {mark}",
                    "tags": [f"tag {mark}"],
                    "capacity_kwh": 10.0,
                    "solar_capacity_kw": 8.0,
                    "contact": {"name": f"Person {mark}", "phone": f"+49 {mark}"},
                    "api_endpoint": f"http://{mark}-{number}.example.com:8088",
                    "project": project,
                }
            )
    return Fleet.model_validate(
        {"sites": sites, "projects": {"south": {"name": "South"}, "north": {}}}
    )


def portfolio_lines(fleet: Fleet) -> list[str]:
    """A figure of every measurement of the portfolio in March 2026, for each site."""
    return [
        one.line()
        for site in fleet.sites
        for measurement, about in MEASUREMENTS.items()
        if (
            one := figure(
                measurement,
                # What belongs to no site has the mark of one.
                tuple(site.id if tag == "site" else f"{tag} {site.id}" for tag in about.tags),
                1_773_000_000.0,
                **{
                    name: site.id if f.is_text else 1.0
                    for name, f in about.fields.items()
                    if name != "zone"
                },
            )
        )
    ]


def stored_lines(fleet: Fleet, end: float) -> list[str]:
    """Six hours of every site, in steps of ten minutes, with an issue that begins in between."""
    rng, lines = random.Random(3), []
    for site in fleet.sites:
        mark = PROJECTS[site.project]
        level = 90 if site.project == "south" else 60
        for step in range(36):
            stamp = round((end - (36 - step) * 600) * 1000)
            energy = 0.2 * step
            lines += [
                f"site,site={site.id} online=1,grid_power_w={rng.uniform(0, 900)},"
                f"pv_power_w=500,load_power_w=300 {stamp}",
                f"health,site={site.id},component=overall score={level - step},"
                f"status={0 if step < 20 else 2}i {stamp}",
                f"battery,site={site.id},device=battery/512 soc_percent=50,soh_percent=95,"
                f"charged_kwh={energy},discharged_kwh={energy} {stamp}",
            ]
            if step > 10:
                since = end - 26 * 600
                lines.append(
                    f"issue,site={site.id},code=battery_hot active=1i,severity=2i,"
                    f'since={since},value=50,threshold=45,sentence="Hot {mark}" {stamp}'
                )
    lines.append(f'event,kind=reload text="Fleet file read again: 13 sites" {round(end - 900)}000')
    return lines


class PresentFleet(ServedFleet):
    """Questions are about periods that end now."""

    @property
    def wall(self) -> float:
        return time.time()


class Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(slots=True)
class Tenants:
    """The running server, and how each caller asks it."""

    url: str
    served: ServedFleet
    stored: InfluxQL | None = None
    audit_log: Path | None = None

    def audited(self) -> list[dict[str, Any]]:
        assert self.audit_log is not None
        return [json.loads(line) for line in self.audit_log.read_text("utf-8").splitlines()]

    def ask(self, caller: str, method: str, path: str, **more: Any) -> requests.Response:
        auth: AuthBase = Bearer(CHANGE_TOKEN) if caller == "token" else HTTPBasicAuth(caller, "pw")
        return requests.request(method, self.url + path, auth=auth, timeout=60, **more)


def alert_samples(fleet: Fleet, end: float) -> list[str]:
    """An alert on every site for the last hours, and one on the fleet."""
    times = range(int(end) - 7200, int(end) + 60, 15)
    lines = ["# TYPE fleetscope_site_up gauge"]
    lines += [f"fleetscope_site_up 1 {t}" for t in times]
    labels = [f'alertname="Alert{PROJECTS[s.project]}",site="{s.id}"' for s in fleet.sites]
    labels.append('alertname="AlertOnTheFleet"')
    for metric, state in (("ALERTS", ',alertstate="firing"'), ("ALERTS_FOR_STATE", "")):
        lines.append(f"# TYPE {metric} gauge")
        lines += [
            f'{metric}{{{each},severity="page"{state}}} {times[40]} {t}'
            for each in labels
            for t in times[40:]
        ]
    return lines


async def _last_exchange(site: str) -> dict[str, Any] | None:
    """As the collector answers of any site; the route decides whose it is."""
    return {"site": site, "readings": [], "notices": []}


@contextlib.contextmanager
def serving(
    folder: Path,
    stored: InfluxQL | None = None,
    alerts: AlertHistory | None = None,
    alertmanager: Alertmanager | None = None,
    audit_log: Path | None = None,
    **also: Any,
) -> Iterator[Tenants]:
    """Serve the fleet; one site of each project is ill and one is offline.

    ``also`` are further keys of the web configuration.
    """
    served = PresentFleet(fleet())
    ill = {f"{mark}-1": {"temperature_c": 50.0, "soh_percent": 60.0} for mark in PROJECTS.values()}
    offline = dict.fromkeys(f"{mark}-2" for mark in PROJECTS.values())
    for _ in range(3):
        served.scrape(**ill, **offline)
    served.now += 600.0
    served.scrape(**ill, **offline)
    path = folder / "web.yml"
    roles = {
        name: {project: role.name.lower() for project, role in caller.roles}
        for name, caller in CALLERS.items()
        if caller.roles
    }
    users = {name: hashed("pw") for name in CALLERS}
    limit = {"interval": "0", "burst": 1}
    config = {"basic_auth_users": users, "roles": roles, "rate_limit": limit} | also
    path.write_text(yaml.safe_dump(config), "utf-8")
    visible = VisibleAssessment(lambda: served.latest)
    app = make_app(
        visible,
        lambda: "the first scrape of 13 sites",
        registry(visible, lambda: NUMBERS),
        VisiblePast(stored, visible) if stored else None,
        of_projects=registry(visible, None),
        seen=visibility,
        reload=lambda: None,
        alerts=VisibleAlerts(alerts, visible) if alerts else None,
        alertmanager=alertmanager,
        exchange=_last_exchange,
    )
    guarded = GuardedServer(
        app,
        load_settings(
            web_config=path, change_token=CHANGE_TOKEN, audit_log=audit_log, caller_seconds=3600
        ),
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=lambda: asyncio.run(guarded.serve(listener)))
    thread.start()
    try:
        yield Tenants(url, served, stored, audit_log)
    finally:
        guarded.stop()
        thread.join()
