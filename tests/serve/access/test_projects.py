"""Every route of the OpenAPI document, asked by every role and project, against a table."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import yaml

from exporter.ask.answerer import EXAMPLES
from exporter.ask.query import What
from exporter.deliver.alertmanager import Alertmanager
from exporter.history.alert_history import AlertHistory
from exporter.history.influxql import InfluxQL
from exporter.serve.access.roles import Action
from exporter.serve.access.visible import VisibleAssessment, delivering
from exporter.serve.access.visible_past import VisiblePast
from tests import service_process
from tests.history.prometheus import prometheus
from tests.serve.access import tenants
from tests.serve.access.conftest import hashed
from tests.serve.access.issuer import AUDIENCE, issuing
from tests.serve.access.tenants import CALLERS, PROJECTS, Tenants
from tests.serve.api.alertmanager import alertmanager
from tests.serve.api.influx import influx

pytestmark = pytest.mark.stack

SITE = "{site}"
# For each route its action, None where a sign-in is enough, and the requests that are tried.
# {site} is a site of the caller's, of another's, and one that does not exist.
ROUTES: dict[tuple[str, str], tuple[Action | str | None, list[str]]] = {
    ("get", "/healthz"): ("open", [""]),
    ("get", "/readyz"): ("open", [""]),
    ("get", "/api/v1"): (None, [""]),
    ("post", "/-/reload"): (Action.RELOAD, [""]),
    ("get", "/metrics"): (Action.READ, [""]),
    ("get", "/api/v1/fleet"): (Action.READ, [""]),
    ("get", "/api/v1/issues"): (Action.READ, ["", "?severity=critical&limit=3"]),
    ("get", "/api/v1/sites"): (
        Action.READ,
        ["", "?view=brief&sort=name", "?q=plant", "?attention=true&limit=2", "?project=north"],
    ),
    ("get", "/api/v1/sites/{site_id}"): (Action.READ, [""]),
    ("get", "/api/v1/sites/{site_id}/packs"): (Action.READ, [""]),
    ("get", "/api/v1/sites/{site_id}/cells"): (Action.READ, [""]),
    ("get", "/api/v1/sites/{site_id}/exchange"): (Action.READ, [""]),
    ("get", "/api/v1/ranking"): (Action.READ, ["", "?by=soh_percent", "?by=performance"]),
    ("get", "/api/v1/outliers"): (Action.READ, ["", "?all=true"]),
    ("get", "/api/v1/compare"): (Action.READ, [f"?site={SITE}"]),
    ("get", "/api/v1/history"): (
        Action.READ,
        [f"?site={SITE}&metric=soc_percent", f"?site={SITE}&metric=score&since=3h"],
    ),
    ("get", "/api/v1/energy"): (Action.READ, ["?period=6h", f"?site={SITE}&period=6h"]),
    ("get", "/api/v1/forecast"): (Action.READ, [f"?site={SITE}", f"?site={SITE}&lead=6h"]),
    ("get", "/api/v1/savings"): (Action.READ, [f"?site={SITE}"]),
    ("get", "/api/v1/forecast/fleet"): (Action.READ, [""]),
    ("get", "/api/v1/plan"): (Action.READ, [f"?site={SITE}"]),
    ("get", "/api/v1/portfolio/sites"): (Action.READ, [""]),
    ("get", "/api/v1/portfolio/sites/{site_id}"): (Action.READ, [""]),
    ("get", "/api/v1/portfolio/sites/{site_id}/kpis"): (Action.READ, [""]),
    ("get", "/api/v1/portfolio/kpis"): (Action.READ, ["", f"?site={SITE}"]),
    **{
        ("get", f"/api/v1/portfolio/{path}"): (
            Action.READ,
            ["", f"?site={SITE}&period=2026-03", "?period=2026-03&by=month"],
        )
        for path in (
            *("revenue", "losses", "events", "sla", "quality", "battery-health", "dispatch"),
            *("benchmark", "pipeline"),
        )
    },
    ("get", "/api/v1/portfolio/telemetry"): (
        Action.READ,
        ["", f"?site={SITE}&period=2026-03", "?period=2026-03", "?period=2026-03&format=parquet"],
    ),
    ("get", "/api/v1/surface"): (
        Action.READ,
        [f"?site={SITE}", f"?site={SITE}&quantity=temperature&period=630d"],
    ),
    ("get", "/api/v1/alerts"): (Action.READ, [f"?site={SITE}"]),
    ("post", "/api/v1/alerts/silence"): (Action.SILENCE, [""]),
    ("post", "/api/v1/alerts/expire"): (Action.SILENCE, [""]),
    ("get", "/api/v1/search"): (Action.READ, ["", "?q=plant", "?q=soutmark", "?q=critical"]),
    ("get", "/api/v1/report"): (
        Action.READ,
        ["?days=0.25", "?days=0.25&format=html", "?days=30"],
    ),
    ("get", "/api/v1/events"): (Action.READ, [""]),
    ("get", "/api/v1/query"): (
        Action.READ,
        [
            *(f"?what={what.value}&period=6h" for what in What if what is not What.COST),
            *(f"?what={what.value}" for what in What),
            f"?what=site&site={SITE}",
            f"?what=contact&site={SITE}",
            f"?what=history&metric=soc&site={SITE}&period=6h",
            f"?what=value&metric=pv_energy&site={SITE}&period=6h",
            "?what=value&metric=soc&filter=region=nowhere",
        ],
    ),
    ("get", "/api/v1/timeline"): (Action.READ, ["", "?since=6h", f"?site={SITE}"]),
    ("get", "/api/v1/ask"): (
        Action.READ,
        [
            *(f"?q={quote(example)}" for example in EXAMPLES.values()),
            f"?q=how%20is%20{SITE}",
            "?q=how%20many%20sites%20are%20offline",
            "?q=compare%20regions%20by%20score",
            "?q=how%20is%20plant",
            "?q=whom%20do%20I%20call%20about%20plant",
        ],
    ),
    ("get", "/api/v1/names"): (Action.READ, [""]),
    ("get", "/api/v1/aggregate"): (Action.READ, ["", f"?site={SITE}", "?region=nowhere"]),
    ("get", "/api/v1/aggregate/history"): (
        Action.READ,
        ["?figure=grid_power_w", f"?figure=soc_percent&site={SITE}"],
    ),
    ("post", "/api/v1/dispatch"): (Action.ORDER, [""]),
    ("get", "/api/v1/dispatch/logs"): (Action.READ, [""]),
    ("get", "/api/v1/dispatch/events"): (Action.READ, [""]),
    ("get", "/api/v1/dispatch/{dispatch}"): (Action.READ, [""]),
    ("post", "/api/v1/dispatch/{dispatch}/approve"): (Action.ORDER, [""]),
    ("post", "/api/v1/plan/approve"): (Action.ORDER, [""]),
    ("post", "/api/v1/plan/withdraw"): (Action.ORDER, [""]),
    ("get", "/api/v1/orders"): (Action.READ, [""]),
    ("get", "/api/v1/orders/{order}"): (Action.READ, [""]),
    ("post", "/api/v1/orders/{order}/cancel"): (Action.ORDER, [""]),
}


# They may also say that there is no answer, or that the request has no body.
QUESTIONS = (
    "/api/v1/savings",
    "/api/v1/alerts/silence",
    "/api/v1/alerts/expire",
    "/api/v1/query",
    "/api/v1/ask",
    "/api/v1/timeline",
    *(
        path
        for _, path in ROUTES
        if path.startswith(("/api/v1/dispatch", "/api/v1/orders", "/api/v1/plan/"))
    ),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    folder = tmp_path_factory.mktemp("tenants")
    fleet, now = tenants.fleet(), time.time()
    samples = tenants.alert_samples(fleet, now)
    with (
        influx(folder) as server,
        prometheus(folder, samples) as alerts,
        alertmanager(folder) as manager,
    ):
        stored = InfluxQL(server.url, "fleet", {})
        source = Alertmanager(manager.url, {})
        with tenants.serving(
            folder, stored, AlertHistory(alerts), source, folder / "audit.jsonl"
        ) as found:
            server.write(tenants.stored_lines(found.served.fleet, found.served.latest.time))
            server.query('CREATE RETENTION POLICY "portfolio" ON "fleet" DURATION 0s REPLICATION 1')
            server.write(tenants.portfolio_lines(found.served.fleet), "portfolio")
            yield found


def seen_marks(caller: str) -> set[str]:
    found = CALLERS[caller]
    return {mark for project, mark in PROJECTS.items() if found.may(Action.READ, project)}


def contact_marks(caller: str) -> set[str]:
    found = CALLERS[caller]
    return {mark for project, mark in PROJECTS.items() if found.may(Action.CONTACTS, project)}


def read(reply: requests.Response) -> str:
    """The body; of a stream its first event."""
    if "event-stream" not in reply.headers.get("Content-Type", ""):
        return reply.text
    lines = []
    for line in reply.iter_lines(decode_unicode=True):
        if not line:
            break
        lines.append(line)
    reply.close()
    return "\n".join(lines)


def is_audited(running: Tenants, caller: str, reply: requests.Response) -> bool:
    """Whether the audit log says that this caller saw contacts at this path."""
    path = str(reply.request.path_url).partition("?")[0]
    seen = {"event": "contacts_read", "name": caller, "path": path}
    return any(seen.items() <= event.items() for event in running.audited())


def marks_of(text: str) -> set[str]:
    return {mark for mark in PROJECTS.values() if mark in text.lower()}


def test_the_table_has_every_route(running: Tenants) -> None:
    paths = running.ask("all_viewer", "get", "/openapi.json").json()["paths"]
    assert {(m, p) for p, operations in paths.items() for m in operations} == set(ROUTES)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_every_route_as_every_caller(running: Tenants, route: tuple[str, str], caller: str) -> None:
    method, path = route
    action, requests_tried = ROUTES[route]
    who = CALLERS[caller]
    allowed = action in ("open", None) or (isinstance(action, Action) and who.may_anywhere(action))
    own = sorted(seen_marks(caller))
    for tried in requests_tried:
        if "{site" in path + tried:
            continue
        reply = running.ask(caller, method, path + tried, stream=True)
        text = read(reply)
        if path == "/readyz":
            assert reply.status_code == 503
            assert ("13 sites" in text) is (CALLERS[caller].visibility.projects is None)
        elif allowed:
            answered = {200, 202} | ({404, 422} if path in QUESTIONS else set())
            assert reply.status_code in answered, (tried, text[:300])
        else:
            assert reply.status_code == 403, tried
        assert marks_of(text) <= set(own), tried
        shown = {mark for mark in PROJECTS.values() if f"person {mark}" in text.lower()}
        assert shown <= contact_marks(caller), tried
        assert is_audited(running, caller, reply) or not shown, tried


OWN = {"south_viewer": "southmark", "south_admin": "southmark", "north_viewer": "northmark"}


@pytest.mark.parametrize("caller", [*OWN, "empty"])
def test_a_foreign_site_answers_as_an_unknown_one(running: Tenants, caller: str) -> None:
    own = OWN.get(caller)
    for (method, path), (_, requests_tried) in ROUTES.items():
        for tried in requests_tried:
            target = (path + tried).replace("{site_id}", SITE)
            if SITE not in target:
                continue
            if own is not None:
                reply = running.ask(caller, method, target.replace(SITE, f"{own}-1"))
                # What is not configured answers nobody.
                off = reply.status_code == 503 and "is not set" in reply.text
                assert reply.status_code == 200 or off, (target, reply.text)
                # What belongs to no site is shown to those alone who see every project.
                nameless = off or path in (
                    *("/api/v1/aggregate", "/api/v1/portfolio/benchmark"),
                    "/api/v1/portfolio/pipeline",
                )
                assert nameless or marks_of(reply.text) == {own}, (target, reply.text)
                shown = f"person {own}" in reply.text.lower()
                assert is_audited(running, caller, reply) or not shown, target
            for mark in set(PROJECTS.values()) - {own}:
                foreign, unknown = f"{mark}-0", f"{mark}-9"
                one = running.ask(caller, method, target.replace(SITE, foreign))
                other = running.ask(caller, method, target.replace(SITE, unknown))
                assert one.status_code == other.status_code >= 400, target
                assert without_session(one.text).replace(foreign, unknown) == without_session(
                    other.text
                ), target
                # A near miss does not lead to it either.
                near = running.ask(caller, method, target.replace(SITE, foreign[:-3] + "-0"))
                assert marks_of(near.text) <= {own}, target


def without_session(text: str) -> str:
    """A refusal, without its session and the caller's own sites that come close."""
    found = json.loads(text)
    for name in ("session", "suggestions"):
        found.pop(name, None)
    found["detail"] = found["detail"].partition("; did you mean")[0]
    return json.dumps(found)


def test_counts_ranks_and_medians_are_of_the_callers_sites(running: Tenants) -> None:
    for caller, count in (("south_viewer", 6), ("both", 12), ("all_viewer", 13), ("empty", 0)):
        fleet = running.ask(caller, "get", "/api/v1/fleet").json()
        assert fleet["sites"] == sum(fleet["counts"].values()) == count
        sites = running.ask(caller, "get", "/api/v1/sites").json()
        assert sites["total"] == count
        for rank in ("attention_rank", "performance_rank"):
            assert sorted(site[rank] for site in sites["sites"]) == list(range(1, count + 1))
        metrics = running.ask(caller, "get", "/metrics").text
        assert f"fleetscope_fleet_sites {float(count)}" in metrics
        whole = caller == "all_viewer"
        assert ("fleetscope_spool_bytes" in metrics) is whole
        assert ("process_cpu_seconds_total" in metrics) is whole
        names = running.ask(caller, "get", "/api/v1/names").json()["sites"]
        assert len(names) == count


def test_sites_are_found_by_their_project(running: Tenants) -> None:
    for caller, counts in (
        ("all_viewer", {"south": 6, "north": 6}),
        ("south_viewer", {"south": 6, "north": 0}),
    ):
        for project, count in counts.items():
            found = running.ask(caller, "get", f"/api/v1/sites?project={project}").json()
            assert [site["project"] for site in found["sites"]] == [project] * count


def test_the_past_of_others_is_in_no_figure(running: Tenants) -> None:
    """Sums and means over all stored sites would have them."""

    def asked(caller: str, path: str) -> Any:
        return running.ask(caller, "get", path).json()

    score = {}
    energy = {}
    for caller in ("south_viewer", "north_viewer", "both", "all_viewer"):
        report = asked(caller, "/api/v1/report?days=0.25")
        score[caller] = report["score_values"][0]
        energy[caller] = sum(v for v in report["energy_by_day"]["discharged_kwh"] if v)
        timeline = json.dumps(asked(caller, "/api/v1/timeline?since=6h"))
        assert ("13 sites" in timeline) is (caller == "all_viewer")
    assert score["south_viewer"] - score["north_viewer"] == pytest.approx(30)
    assert score["both"] == pytest.approx((score["south_viewer"] + score["north_viewer"]) / 2)
    parts = energy["south_viewer"] + energy["north_viewer"]
    assert 0 < parts == pytest.approx(energy["both"], rel=1e-3)
    assert energy["both"] < energy["all_viewer"]


def test_alerts_are_those_on_the_callers_sites(running: Tenants) -> None:
    for caller, count in (("south_viewer", 6), ("both", 12), ("all_viewer", 14), ("empty", None)):
        for path in ("?what=alerts", "?what=alerts&period=3h"):
            reply = running.ask(caller, "get", f"/api/v1/query{path}")
            if count is None:
                assert reply.status_code == 422
                continue
            rows = reply.json()["tables"][0]["rows"]
            assert len(rows) == count
            fleet_wide = {row["alert"] for row in rows if not row["site"]}
            assert fleet_wide == ({"AlertOnTheFleet"} if caller == "all_viewer" else set())


def test_a_session_of_another_is_no_session(running: Tenants) -> None:
    first = running.ask("north_viewer", "get", "/api/v1/ask?q=how%20is%20northmark-1").json()
    follow = f"/api/v1/ask?q=why&session={first['session']}"
    assert marks_of(running.ask("south_viewer", "get", follow).text) <= {"southmark"}
    assert running.ask("south_viewer", "get", follow).json().get("session") != first["session"]
    assert marks_of(running.ask("north_viewer", "get", follow).text) == {"northmark"}


def test_contacts_go_by_role_in_each_project(running: Tenants) -> None:
    for caller in CALLERS:
        if caller == "third":
            continue
        text = running.ask(caller, "get", "/metrics").text
        for mark in PROJECTS.values():
            assert (f'contact="Person {mark}"' in text) is (mark in contact_marks(caller))


def test_the_token_for_changes_reads_all_and_sees_no_contacts(running: Tenants) -> None:
    assert running.ask("token", "get", "/api/v1/fleet").json()["sites"] == 13
    assert "Person" not in running.ask("token", "get", "/metrics").text
    assert running.ask("token", "post", "/-/reload").status_code == 202


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_no_role_in_a_project_changes_the_installation(running: Tenants, method: str) -> None:
    for caller in CALLERS:
        for path in ("/-/reload", "/api/v1/sites", "/api/v1/anything"):
            reply = running.ask(caller, method, path)
            reloads = (caller, method, path) == ("all_admin", "POST", "/-/reload")
            refused = (403, 404, 405) if caller == "all_admin" else (403, 405)
            assert reply.status_code in ((202,) if reloads else refused), (caller, path)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.net"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_site_cannot_use_a_sign_in(
    running: Tenants, headers: dict[str, str]
) -> None:
    reply = running.ask("all_admin", "post", "/-/reload", headers=headers)
    assert reply.status_code == 403
    same = {"Origin": running.url}
    assert running.ask("all_admin", "post", "/-/reload", headers=same).status_code == 202


@pytest.mark.parametrize(("projects", "count"), [(("south",), 6), ((), 13), (("west",), 0)])
async def test_deliveries_are_of_the_projects_that_their_file_names(
    running: Tenants, projects: tuple[str, ...], count: int
) -> None:
    visible = VisibleAssessment(lambda: running.served.latest)
    database = running.stored
    assert database is not None
    with delivering("report", projects):
        seen = visible()
        past = VisiblePast(database, visible)
        stored = await past.select('SELECT last("online") FROM "site" WHERE time > 0 GROUP BY *')
    assert len(seen.fleet.sites) == len(stored) == count
    assert all(site.contact for site in seen.fleet.sites)
    with pytest.raises(LookupError):
        visible()


def test_workers_show_no_more_than_the_server(tmp_path: Path) -> None:
    """The same through all processes, where questions are answered by another one."""
    fleet = tmp_path / "fleet.json"
    sites = [
        {"id": f"{mark}-{n}", "api_endpoint": "http://127.0.0.1:9", "project": project}
        for project, mark in PROJECTS.items()
        for n in range(2)
    ]
    fleet.write_text(json.dumps({"sites": sites}), "utf-8")
    roles = {"anna": {"south": "viewer"}, "ops": {"*": "viewer"}}
    users = {name: hashed("pw") for name in roles}
    web = tmp_path / "web.yml"
    web.write_text(yaml.safe_dump({"basic_auth_users": users, "roles": roles}), "utf-8")
    with service_process.serving(fleet, web_config=str(web)) as service:

        def asked(path: str, name: str) -> set[str]:
            reply = requests.get(service.url + path, auth=(name, "pw"), timeout=60)
            assert reply.status_code == 200, reply.text
            return marks_of(reply.text)

        paths = ("/api/v1/query?what=rank", "/api/v1/ask?q=how+are+all+sites", "/metrics")
        for path in paths:
            # A site has no rank before it was asked once.
            all_seen = partial(lambda p: asked(p, "ops") == set(PROJECTS.values()), path)
            service_process.until(all_seen)
            assert asked(path, "anna") == {"southmark"}
        assert requests.get(service.url + path, timeout=60).status_code == 401


def test_other_roles_count_at_once_for_whoever_is_connected(tmp_path: Path) -> None:
    fleet, web = tmp_path / "fleet.json", tmp_path / "web.yml"
    sites = [
        {"id": f"{mark}-0", "api_endpoint": "http://127.0.0.1:9", "project": project}
        for project, mark in PROJECTS.items()
    ]
    fleet.write_text(json.dumps({"sites": sites}), "utf-8")
    users = {"anna": hashed("pw")}

    def configure(project: str) -> None:
        new = tmp_path / "web.new"
        roles = {"anna": {project: "viewer"}}
        new.write_text(yaml.safe_dump({"basic_auth_users": users, "roles": roles}), "utf-8")
        new.replace(web)

    configure("south")
    with service_process.serving(fleet, web_config=str(web)) as service:
        sign_in = {"auth": ("anna", "pw"), "timeout": 60}
        stream = requests.get(f"{service.url}/api/v1/events", stream=True, **sign_in)
        lines = stream.iter_lines(decode_unicode=True)
        first = [next(lines) for _ in range(3)]
        assert marks_of(" ".join(first)) == {"southmark"}
        configure("north")

        def names() -> set[str]:
            # A connection may reach the server that ends.
            with contextlib.suppress(requests.ConnectionError):
                return marks_of(requests.get(f"{service.url}/api/v1/names", **sign_in).text)
            return set()

        service_process.until(lambda: names() == {"northmark"})
        # What was open with the earlier roles ends, and never shows anything else.
        rest = []
        with contextlib.suppress(requests.RequestException):
            rest.extend(lines)
        assert marks_of(" ".join(rest)) <= {"southmark"}


def test_a_stream_ends_with_its_token(tmp_path: Path) -> None:
    with issuing() as issuer:
        rule = {"claim": "groups", "value": "/staff", "project": "south", "role": "viewer"}
        oidc = {"issuer": issuer.url, "audience": AUDIENCE, "roles": [rule], "leeway": "0"}
        with tenants.serving(tmp_path, oidc=oidc) as running:
            token = issuer.token(exp=int(time.time()) + 5)
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{running.url}/api/v1/events"
            stream = requests.get(url, headers=headers, stream=True, timeout=60)
            assert stream.status_code == 200
            # The iteration ends because the server ends it.
            assert marks_of("".join(stream.iter_lines(decode_unicode=True))) == {"southmark"}
            assert requests.get(url, headers=headers, timeout=60).status_code == 401
