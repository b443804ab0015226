"""What runs, where, and with which configuration files."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from provisioning.alertmanager.render import render, write
from provisioning.local.ports import LOOPBACK, Ports
from provisioning.local.supervision import Program, Supervisor
from provisioning.local.web import RequestError, get

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "provisioning"
HOME_DASHBOARD = ROOT / "grafana" / "dashboards" / "Fleet" / "fleetscope-overview.json"
TARIFFS = Path(__file__).with_name("tariffs.yaml")
MARK = ".fleetscope-run"
BOOKS, CONTRACTS = "books.sqlite", "contracts.yaml"
"""Names of the portfolio's files."""
READY_SECONDS = 120.0
# The oldest Alertmanager that this runs; what it reads, later ones read too.
ALERTMANAGER = (0, 25)
PYTHON_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class FolderInUseError(Exception):
    """The run's folder holds something that no run made; it is left alone."""


class NotReadyError(Exception):
    """A program runs and does not answer in time."""


def fresh_folder(folder: Path) -> None:
    """Make an empty folder for a run, removing what an earlier run left in it.

    Raises
    ------
    FolderInUseError
        It holds files and is not marked as a run's folder.
    """
    if folder.exists():
        if not (folder / MARK).is_file() and any(folder.iterdir()):
            raise FolderInUseError(
                f"{folder} holds files of somebody else; choose another FLEETSCOPE_DEMO_DIR"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("Made by provisioning.local; removed by its next run.\n", "utf-8")


@dataclass(frozen=True)
class Stack:
    """Everything of one run, by name, in order of starting."""

    folder: Path
    programs: Mapping[str, Program]
    supervisor: Supervisor
    scenario: str
    token: str = field(default="", repr=False)
    """Whatever changes state at the exporter needs it."""

    def url(self, name: str) -> str | None:
        """Base address of a program, None if it is left out."""
        program = self.programs.get(name)
        return program.url if program else None

    @property
    def fleet_file(self) -> Path:
        """The fleet file that the exporter reads."""
        return self.folder / "fleet.yaml"

    def wait_ready(
        self,
        name: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        limit: float = READY_SECONDS,
    ) -> float:
        """Wait until a program answers.

        Parameters
        ----------
        name : str
            A key of ``programs``.
        pause : callable
            Called with seconds between two tries; may raise to give up.
        limit : float
            Seconds after which it counts as failed.

        Returns
        -------
        float
            Seconds waited.

        Raises
        ------
        DiedError
            A program ended by itself meanwhile.
        NotReadyError
            The limit passed.
        """
        program = self.programs[name]
        started = time.monotonic()
        while True:
            try:
                _answers(program)
            except (RequestError, OSError) as error:
                self.supervisor.check()
                if time.monotonic() - started > limit:
                    raise NotReadyError(
                        f"{name} does not answer after {limit:.0f} s ({error}). "
                        f"Its last lines:\n{self.supervisor.last_lines(name)}"
                    ) from error
                pause(0.2)
            else:
                return time.monotonic() - started


def _answers(program: Program) -> None:
    """Ask a program whether it is ready; raises where it is not."""
    if program.ready:
        get(program.url + program.ready, timeout=5.0)
    else:
        socket.create_connection((LOOPBACK, program.port), timeout=5.0).close()


def build(
    folder: Path,
    servers: Mapping[str, Path],
    *,
    scenario: str = "demo",
    grafana: tuple[Path, Path] | None = None,
    usual_ports: bool = True,
    dispatch: str = "dry",
) -> Stack:
    """Choose ports and write every configuration file of a run. Starts nothing.

    Parameters
    ----------
    folder : Path
        Made by :func:`fresh_folder`.
    servers : mapping
        Executables by server name, as ``servers.find_all`` gives them; what is absent is left out.
    scenario : str
        Scenario of the simulator: a name that ships with it, or a file.
    grafana : tuple of Path, optional
        Grafana's executable and home folder.
    usual_ports : bool
        Prefer each server's well-known port where it is free.
    dispatch : str
        FLEETSCOPE_DISPATCH of the exporter. ``dry`` judges and keeps orders and reaches no device.

    Raises
    ------
    subprocess.CalledProcessError
        The simulator refuses the scenario.
    SettingsError
        A variable that says where alerts go cannot be used.
    """
    ports = Ports(usual=usual_ports)
    simulator_port = ports.pick(8088)
    programs = []
    if "Mosquitto" in servers:
        programs.append(_mosquitto(folder, servers["Mosquitto"], ports.pick(1883)))
    broker = programs[0] if programs else None
    modbus_port = ports.pick(1502)
    secrets_file = folder / "site-secrets.yaml"
    programs.append(_simulator(simulator_port, scenario, broker, modbus_port, secrets_file))
    if "InfluxDB" in servers:
        programs.append(_influxdb(folder, servers["InfluxDB"], ports.pick(8086), ports.pick(8089)))
    exporter_port = ports.pick(9797)
    alertmanager_port = ports.pick(9093) if "Alertmanager" in servers else None
    grafana_port = ports.pick(3000)
    if "Prometheus" in servers:
        programs.append(
            _prometheus(
                folder, servers["Prometheus"], ports.pick(9090), exporter_port, alertmanager_port
            )
        )
    if alertmanager_port is not None:
        programs.append(
            _alertmanager(folder, servers["Alertmanager"], alertmanager_port, grafana_port)
        )
    urls = {program.name: program.url for program in programs}
    if grafana is not None:
        urls["grafana"] = f"http://{LOOPBACK}:{grafana_port}"
    token = secrets.token_urlsafe(18)
    programs.append(_exporter(folder, exporter_port, urls, token, dispatch))
    if grafana is not None:
        programs.append(grafana_program(folder, grafana, grafana_port, urls))
    stack = Stack(
        folder=folder,
        programs={program.name: program for program in programs},
        supervisor=Supervisor(folder, ports.pick(9001), programs),
        scenario=scenario,
        token=token,
    )
    subprocess.run(
        [
            *(sys.executable, "-m", "simulator", "fleet", "--scenario", scenario),
            *("--base-url", urls["simulator"], "--output", str(stack.fleet_file)),
            *(("--mqtt-url", broker.url) if broker else ()),
            *("--modbus-url", f"modbus://{LOOPBACK}:{modbus_port}"),
            *("--secrets", str(secrets_file), "--push-url", f"http://{LOOPBACK}:{exporter_port}"),
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return stack


def _mosquitto(folder: Path, executable: Path, port: int) -> Program:
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} {LOOPBACK}\nallow_anonymous true\n", "utf-8")
    return Program(
        name="mosquitto",
        command=[str(executable), "-c", str(config)],
        port=port,
        ready="",
        scheme="mqtt",
    )


def _simulator(
    port: int, scenario: str, broker: Program | None, modbus_port: int, secrets_file: Path
) -> Program:
    return Program(
        name="simulator",
        command=[
            *(sys.executable, "-m", "simulator", "serve"),
            *("--scenario", scenario, "--listen", f"{LOOPBACK}:{port}"),
            *(("--mqtt", f"{LOOPBACK}:{broker.port}") if broker else ()),
            *("--modbus", f"{LOOPBACK}:{modbus_port}", "--secrets", str(secrets_file)),
        ],
        port=port,
        ready="/_control",
        environment=PYTHON_ENVIRONMENT,
    )


def _influxdb(folder: Path, executable: Path, port: int, rpc_port: int) -> Program:
    data = folder / "influxdb"
    config = folder / "influxdb.conf"
    config.write_text(
        f"""reporting-disabled = true
bind-address = "{LOOPBACK}:{rpc_port}"

[meta]
dir = "{data}/meta"

[data]
dir = "{data}/data"
wal-dir = "{data}/wal"
index-version = "tsi1"
query-log-enabled = false

[monitor]
store-enabled = false

[http]
bind-address = "{LOOPBACK}:{port}"
log-enabled = false
""",
        "utf-8",
    )
    return Program(
        name="influxdb",
        command=[str(executable), "-config", str(config)],
        port=port,
        ready="/ping",
    )


def _prometheus(
    folder: Path, executable: Path, port: int, exporter_port: int, alertmanager_port: int | None
) -> Program:
    own = folder / "prometheus"
    own.mkdir()
    # Links, so that a rule edited in the checkout is in force after a reload.
    for name in ("prometheus.yml", "rules"):
        (own / name).symlink_to(PROVISIONING / "prometheus" / name)
    targets = own / "targets"
    targets.mkdir()
    _write_targets(targets / "exporter.yml", exporter_port)
    if alertmanager_port is not None:
        _write_targets(targets / "alertmanager.yml", alertmanager_port)
    return Program(
        name="prometheus",
        command=[
            str(executable),
            f"--config.file={own / 'prometheus.yml'}",
            f"--storage.tsdb.path={own / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
        ],
        port=port,
        ready="/-/ready",
        page="/alerts",
    )


def _write_targets(path: Path, port: int) -> None:
    path.write_text(yaml.safe_dump([{"targets": [f"{LOOPBACK}:{port}"]}]), "utf-8")


def _alertmanager(folder: Path, executable: Path, port: int, grafana_port: int) -> Program:
    own = folder / "alertmanager"
    links = {"FLEETSCOPE_GRAFANA_URL": f"http://{LOOPBACK}:{grafana_port}"}
    config = write(render({**links, **os.environ}, str(own / "config"), ALERTMANAGER), own)
    return Program(
        name="alertmanager",
        command=[
            str(executable),
            f"--config.file={config}",
            f"--storage.path={own / 'data'}",
            f"--web.external-url=http://{LOOPBACK}:{port}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--cluster.listen-address=",
        ],
        port=port,
        ready="/-/ready",
        page="/",
    )


def _exporter(
    folder: Path, port: int, urls: Mapping[str, str], token: str, dispatch: str
) -> Program:
    environment = dict(PYTHON_ENVIRONMENT)
    environment["FLEETSCOPE_SITE_SECRETS_FILE"] = str(folder / "site-secrets.yaml")
    for name in ("alertmanager", "grafana", "prometheus"):
        if name in urls:
            environment[f"FLEETSCOPE_{name.upper()}_URL"] = urls[name]
    if "influxdb" in urls:
        environment["FLEETSCOPE_INFLUXDB_URL"] = urls["influxdb"]
        environment["FLEETSCOPE_INFLUXDB_API"] = "v1"
        environment["FLEETSCOPE_QUEUE_DIR"] = str(folder / "queue")
        environment["FLEETSCOPE_FORECASTS"] = "true"
        environment["FLEETSCOPE_TARIFFS"] = str(TARIFFS)
        # Made after the start; published by the exporter once they are there.
        environment["FLEETSCOPE_BOOKS"] = str(folder / "portfolio" / BOOKS)
        environment["FLEETSCOPE_CONTRACTS"] = str(folder / "portfolio" / CONTRACTS)
    environment["FLEETSCOPE_DISPATCH"] = dispatch
    environment["FLEETSCOPE_DISPATCH_JOURNAL"] = str(folder / "orders.sqlite")
    environment["FLEETSCOPE_CHANGE_TOKEN"] = token
    return Program(
        name="exporter",
        command=[
            *(sys.executable, "-m", "exporter", "run"),
            *("--fleet", str(folder / "fleet.yaml"), "--listen", f"{LOOPBACK}:{port}"),
        ],
        port=port,
        ready="/readyz",
        page="/",
        # First, so that what it still holds reaches InfluxDB.
        stop_rank=0,
        environment=environment,
    )


def grafana_program(
    folder: Path, grafana: tuple[Path, Path], port: int, urls: Mapping[str, str]
) -> Program:
    """Grafana with what is provisioned, over the data sources whose addresses are given by name."""
    executable, home = grafana
    own = folder / "grafana"
    own.mkdir()
    subcommand = ["server"] if executable.name == "grafana" else []
    return Program(
        name="grafana",
        command=[str(executable), *subcommand, "--homepath", str(home)],
        port=port,
        ready="/api/health",
        page="/",
        environment={
            "GF_SERVER_HTTP_ADDR": LOOPBACK,
            "GF_SERVER_HTTP_PORT": str(port),
            "GF_PATHS_DATA": str(own / "data"),
            "GF_PATHS_LOGS": str(own / "logs"),
            "GF_PATHS_PLUGINS": str(own / "plugins"),
            "GF_PATHS_PROVISIONING": str(PROVISIONING / "grafana"),
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
            "GF_PLUGINS_PREINSTALL_DISABLED": "true",
            # Before the first look at what is provisioned, alerts would go to Grafana's own mail.
            "GF_UNIFIED_ALERTING_ALERTMANAGER_CONFIG_POLL_INTERVAL": "10s",
            "GF_AUTH_ANONYMOUS_ENABLED": "true",
            "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
            "GF_SECURITY_ADMIN_PASSWORD": secrets.token_urlsafe(18),
            "FLEETSCOPE_PROMETHEUS_URL": urls.get("prometheus", ""),
            "FLEETSCOPE_INFLUXDB_URL": urls.get("influxdb", ""),
            "FLEETSCOPE_INFLUXDB_TOKEN": "",
            "FLEETSCOPE_ALERTMANAGER_URL": urls.get("alertmanager", ""),
            # These servers ask nobody who they are.
            "FLEETSCOPE_PROMETHEUS_USERNAME": "",
            "FLEETSCOPE_PROMETHEUS_PASSWORD": "",
            "FLEETSCOPE_ALERTMANAGER_USERNAME": "",
            "FLEETSCOPE_ALERTMANAGER_PASSWORD": "",
            "FLEETSCOPE_DASHBOARDS_PATH": str(ROOT / "grafana" / "dashboards"),
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(HOME_DASHBOARD),
            "GF_NEWS_NEWS_FEED_ENABLED": "false",
            "GF_SERVER_ENABLE_GZIP": "true",
        },
    )
