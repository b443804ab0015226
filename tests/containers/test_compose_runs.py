"""docker-compose.yml on podman: health, confinement, sign-in, tokens, restart and upgrade.

The images of others are stand-ins: what is proven of them is what the compose file asks of them,
not what they are. podman 4.3 does not wait for health, so the order of starting is not proven.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from exporter.model.http import basic
from tests.containers import images
from tests.containers.conftest import START_SECONDS, Running
from tests.containers.engine import ROOT
from tests.service_process import until

pytestmark = pytest.mark.containers

SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
ONE_SHOT = ("setup", "simulated-fleet")
LASTING = sorted(set(SERVICES) - set(ONE_SHOT))
USERS = {
    "influxdb": "1000",
    "prometheus": "65534",
    "alertmanager": "65534",
    "grafana": "472",
    "exporter": "10001",
    "simulator": "10001",
    "mosquitto": "1883",
}
SITES_IN_VRM = 1
ALERT_SECONDS = 600.0
BYTES = {"m": 1024**2, "g": 1024**3}
needs_influxdb2 = pytest.mark.skipif(
    images.influxdb2() is None, reason="InfluxDB 1 has no tokens; INFLUXDB2_BIN names no InfluxDB 2"
)


@pytest.fixture(params=LASTING)
def service(running: Running, request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if SERVICES[name]["image"].partition(":")[0] in running.left_out:
        pytest.skip(f"no stand-in for the image of {name}: GRAFANA_HOME names no Grafana")
    return name


def test_service_becomes_healthy(running: Running, service: str) -> None:
    until(lambda: running.project.healthy(service), START_SECONDS)


@pytest.mark.parametrize("name", ONE_SHOT)
def test_one_shot_ends_well(running: Running, name: str) -> None:
    assert running.project.inspect(name)["State"]["ExitCode"] == 0


def test_service_runs_without_privileges(running: Running, service: str) -> None:
    assert running.project.execute(service, "id", "-u").strip() == USERS[service]
    status = running.project.execute(service, "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts[kind], 16) == 0, kind
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"


def test_service_cannot_write_its_image(running: Running, service: str) -> None:
    assert running.project.inspect(service)["HostConfig"]["ReadonlyRootfs"] is True
    command = (
        "for d in / /etc /usr /var/lib /home; do touch $d/x 2>/dev/null && echo $d; done; true"
    )
    assert running.project.execute(service, "sh", "-c", command) == ""


def test_service_is_limited(running: Running, service: str) -> None:
    asked = SERVICES[service]["mem_limit"]
    files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    found = running.project.execute(service, "sh", "-c", f"cat {files} 2>/dev/null; true")
    assert int(found) == int(asked[:-1]) * BYTES[asked[-1]]
    files = "/sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max"
    found = running.project.execute(service, "sh", "-c", f"cat {files} 2>/dev/null; true")
    assert int(found) == 512


class TestSignIn:
    def test_the_exporter_asks_for_a_password(self, running: Running) -> None:
        assert running.get("exporter", "/healthz")[0] == 200
        for path in ("/", "/metrics", "/api/v1/sites"):
            assert running.get("exporter", path)[0] == 401
            assert running.get("exporter", path, basic("ops", "not-the-password"))[0] == 401
            assert running.get("exporter", path, running.ops())[0] == 200

    def test_prometheus_signs_in_and_sees_contacts(self, running: Running) -> None:
        until(lambda: running.promql('up{job="fleetscope"} == 1'), START_SECONDS)
        until(lambda: running.promql('fleetscope_site_info{phone!=""}'), START_SECONDS)

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("prometheus", "/api/v1/query?query=up"),
            ("prometheus", "/metrics"),
            ("alertmanager", "/api/v2/alerts"),
            ("alertmanager", "/metrics"),
        ],
    )
    def test_prometheus_and_alertmanager_ask_for_a_password(
        self, running: Running, name: str, path: str
    ) -> None:
        assert running.get(name, path)[0] == 401
        assert running.get(name, path, basic("ops", "not-the-password"))[0] == 401
        assert running.get(name, path, running.ops())[0] == 200

    def test_the_exporter_asks_prometheus_and_alertmanager(self, running: Running) -> None:
        site = "/api/v1/alerts?site=site_alpha"
        until(lambda: running.get("exporter", site, running.ops())[0] == 200, START_SECONDS)
        asked = "/api/v1/query?what=alerts"
        until(lambda: running.get("exporter", asked, running.ops())[0] == 200, START_SECONDS)

    @pytest.mark.parametrize(
        "path",
        [
            "fleetscope-prometheus/api/v1/query?query=up",
            "fleetscope-alertmanager/api/v2/alerts",
        ],
    )
    def test_grafana_signs_in(self, running: Running, path: str) -> None:
        if "grafana/grafana" in running.left_out:
            pytest.skip("GRAFANA_HOME names no Grafana")
        sign_in = basic("admin", running.secrets["FLEETSCOPE_GRAFANA_ADMIN_PASSWORD"])
        asked = f"/api/datasources/proxy/uid/{path}"
        until(lambda: running.get("grafana", asked, sign_in)[0] == 200, START_SECONDS)

    def test_a_command_in_the_container_signs_in(self, running: Running) -> None:
        # Its exit code says that sites need attention.
        shown = running.project.execute("exporter", "fleetscope", "status", check=False)
        assert "Alpha" in shown

    def test_a_container_sees_its_own_secrets_only(self, running: Running) -> None:
        listed = running.project.execute("prometheus", "ls", "/secrets").split()
        assert listed == ["health", "password", "web-config.yml"]
        listed = running.project.execute("alertmanager", "ls", "/secrets").split()
        assert listed == ["health", "web-config.yml"]
        listed = running.project.execute("exporter", "ls", "/secrets").split()
        own = {"influxdb-token", "ops-password", "password", "web-config.yml"}
        assert set(listed) <= own

    def test_no_secret_is_logged(self, running: Running) -> None:
        files = ("/secrets/ops-password", "/secrets/influxdb-token", "/secrets/password")
        kept = {
            running.project.execute("exporter", "cat", file, check=False).strip() for file in files
        }
        kept |= {value for name, value in running.secrets.items() if name.startswith("FLEETSCOPE")}
        logged = ("setup", "exporter", "prometheus", "alertmanager")
        logs = "".join(running.project.log(name) for name in logged)
        assert not [secret for secret in kept - {""} if secret in logs]


@needs_influxdb2
class TestTokens:
    def test_only_the_setup_has_the_admin_token(self, running: Running) -> None:
        admin = running.secrets["FLEETSCOPE_INFLUXDB_TOKEN"]
        for name in ("exporter", "prometheus", "simulator", "mosquitto"):
            assert admin not in running.project.execute(name, "cat", "/proc/1/environ")
            assert admin not in json.dumps(running.project.inspect(name))

    def test_the_exporter_cannot_make_tokens(self, running: Running) -> None:
        token = running.project.execute("exporter", "cat", "/secrets/influxdb-token")
        assert token != running.secrets["FLEETSCOPE_INFLUXDB_TOKEN"]
        headers = {"Authorization": f"Token {token}"}
        assert '"admin"' not in running.get("influxdb", "/api/v2/users", headers)[1]
        status, body = running.get("influxdb", "/api/v2/authorizations", headers)
        assert status != 200 or json.loads(body)["authorizations"] == []

    def test_grafana_reads_with_a_token_that_writes_nothing(self, running: Running) -> None:
        if "grafana/grafana" in running.left_out:
            pytest.skip("GRAFANA_HOME names no Grafana")
        token = running.project.execute("grafana", "cat", "/secrets/influxdb-token")
        assert running.influxql(token, "SHOW MEASUREMENTS")
        written = running.project.execute(
            "exporter",
            *("python", "-c", _WRITE, token),
            check=False,
        )
        assert written.strip() in {"401", "403"}

    def test_grafana_finds_readings(self, running: Running) -> None:
        if "grafana/grafana" in running.left_out:
            pytest.skip("GRAFANA_HOME names no Grafana")
        sign_in = basic("admin", running.secrets["FLEETSCOPE_GRAFANA_ADMIN_PASSWORD"])
        path = "/api/datasources/proxy/uid/fleetscope-influxdb/query?db=fleet&q="
        question = "SELECT%20count(online)%20FROM%20raw.site"

        def found() -> bool:
            status, body = running.get("grafana", path + question, sign_in)
            return status == 200 and "series" in body

        until(found, START_SECONDS)
        boards = json.loads(running.get("grafana", "/api/search?type=dash-db", sign_in)[1])
        assert {"fleetscope-overview", "fleetscope-site"} <= {board["uid"] for board in boards}


_WRITE = """
import sys, urllib.error, urllib.request
url = "http://influxdb:8086/api/v2/write?org=fleetscope&bucket=fleet/raw"
request = urllib.request.Request(url, b"test x=1", {"Authorization": "Token " + sys.argv[1]})
try:
    print(urllib.request.urlopen(request, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_the_alert_of_the_offline_site_arrives(running: Running) -> None:
    """Prometheus signs in at Alertmanager; on a busy machine an alert takes its time to fire."""

    def found() -> bool:
        alerts = running.get("alertmanager", "/api/v2/alerts", running.ops())[1]
        return "FleetscopeSiteOffline" in alerts

    until(lambda: running.promql('ALERTS{alertstate="firing"}'), ALERT_SECONDS)
    until(found, ALERT_SECONDS)


def test_what_waited_in_the_queue_survives_the_upgrade(running: Running) -> None:
    if not running.is_upgraded:
        pytest.skip(
            "this history has one version of docker-compose.yml; podman cannot upgrade from it"
        )
    log = running.project.log("exporter")
    found = re.search(r"(\d+) points wait in the queue from before", log)
    assert found is not None
    assert int(found[1]) > 0
    until(lambda: running.metric('points_total{fate="spooled"}') == 0, START_SECONDS)
    assert running.metric('points_total{fate="dropped"}') == 0
    assert running.metric('points_total{fate="rejected"}') == 0


def test_a_second_start_keeps_passwords_and_tokens(running: Running) -> None:
    files = ["/secrets/ops-password", "/secrets/password", "/secrets/web-config.yml"]
    if images.influxdb2() is not None:
        files.append("/secrets/influxdb-token")
    before = running.project.execute("exporter", "cat", *files)
    running.project.engine.run("start", "--attach", running.project.container("setup"))
    assert running.project.inspect("setup")["State"]["ExitCode"] == 0
    assert running.project.execute("exporter", "cat", *files) == before


def test_no_process_stays_behind(running: Running) -> None:
    """Workers of a server that was killed are the init process's to reap."""
    script = """
import os, pathlib, signal, time
def processes():
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            state, parent = path.joinpath("stat").read_text().rpartition(")")[2].split()[:2]
            words = path.joinpath("cmdline").read_bytes().replace(b"\\0", b" ").decode()
        except OSError:
            continue
        found[int(path.name)] = (state, int(parent), words)
    return found
before = processes()
named = [n for n, (_, _, words) in before.items() if "fleetscope run" in words and n != 1]
service = min(named)
children = [n for n, (_, parent, words) in before.items() if parent == service]
for child in children:
    os.kill(child, signal.SIGKILL)
end = time.monotonic() + 120
while (left := sum(n in processes() for n in children)) and time.monotonic() < end:
    time.sleep(0.2)
print(len(children), left)
"""
    killed, left = running.project.execute("exporter", "python", "-c", script).split()
    assert int(killed) > 0
    assert int(left) == 0
    until(lambda: running.project.healthy("exporter"), START_SECONDS)


def test_nothing_is_lost_when_the_exporter_is_killed_while_influxdb_is_down(
    running: Running,
) -> None:
    running.project.compose("stop", "influxdb")
    until(lambda: running.metric('points_total{fate="spooled"}'), START_SECONDS)
    running.project.compose("kill", "exporter")
    running.project.compose("start", "influxdb")
    running.project.compose("start", "exporter")
    until(lambda: running.metric('points_total{fate="spooled"}') == 0, START_SECONDS)
    since = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    report = running.project.execute(
        "exporter", "fleetscope", "verify", "--from", since, check=False
    )
    # What the site in VRM reported last is written again by the second start: the same point.
    lost = re.search(r"(\d+) points were written and are not in InfluxDB", report)
    assert "Everything that was written is in InfluxDB." in report or lost is not None, report
    assert lost is None or int(lost[1]) <= SITES_IN_VRM, report
