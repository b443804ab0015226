"""``make demo``: everything with simulated sites, and the dashboard in the terminal."""

from __future__ import annotations

import os
import secrets
import subprocess
import threading
import time
from pathlib import Path

from rich.console import Console

from provisioning.local import servers
from provisioning.local.orders import order_both_ways
from provisioning.local.run import (
    Run,
    addresses,
    begin_portfolio,
    default_folder,
    find_or_install,
    guarded,
    show_dashboard,
)
from provisioning.local.stack import ROOT

COMPOSE_SECRETS = (
    "FLEETSCOPE_INFLUXDB_TOKEN",
    "FLEETSCOPE_INFLUXDB_ADMIN_PASSWORD",
    "FLEETSCOPE_GRAFANA_ADMIN_PASSWORD",
)


def duration() -> float | None:
    """Seconds that the demo runs, from DEMO_SECONDS; None without an end.

    Raises
    ------
    SystemExit
        DEMO_SECONDS is not a number above 0.
    """
    text = os.environ.get("DEMO_SECONDS", "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise SystemExit(f"DEMO_SECONDS={text}: expected seconds, such as 90")
    return seconds


def demo(console: Console, *, scenario: str, usual_ports: bool = True) -> int:
    """Run the demo until Ctrl-C, SIGTERM or DEMO_SECONDS; returns the exit status."""
    seconds = duration()
    folder = default_folder()
    run = Run(folder, console)

    def action() -> int:
        run.refuse_a_second()
        found = find_or_install(console)
        absent = [server.name for server in servers.SERVERS if server.name not in found]
        if absent and servers.docker_answers():
            console.print(f"Without {', '.join(absent)} here; a Docker engine answers, so it runs.")
            return _with_docker(run, folder, seconds)
        grafana = servers.find_grafana()
        if absent:
            console.print(f"[yellow]![/] Left out, since not installed: {', '.join(absent)}.")
        if grafana is None:
            console.print(
                "[yellow]![/] Grafana is left out: none in PATH, and GRAFANA_HOME names none."
            )
        with run.stack(found, scenario=scenario, grafana=grafana, usual_ports=usual_ports) as stack:
            order_both_ways(stack)
            begin_portfolio(stack)
            pages = {name: p.url + (p.page or "") for name, p in stack.programs.items()}
            console.print(addresses(pages))
            end = "" if seconds is None else f" It ends by itself after {seconds:.0f} s."
            console.print(f"Logs: {stack.supervisor.logs}. Ctrl-C stops everything.{end}")
            show_dashboard(run, stack, seconds)
        return 0

    with run.signals():
        return guarded(console, folder, action)


def _with_docker(run: Run, folder: Path, seconds: float | None) -> int:
    """The same demo by docker compose, with passwords made for this run."""
    environment_file = folder.with_name("compose.env")
    environment_file.parent.mkdir(parents=True, exist_ok=True)
    environment_file.touch(mode=0o600)
    environment_file.write_text(
        "".join(f"{name}={secrets.token_urlsafe(24)}\n" for name in COMPOSE_SECRETS)
        + "COMPOSE_PROFILES=demo\nFLEETSCOPE_SITE_SECRETS_FILE=/fleet/site-secrets.yaml\n",
        "utf-8",
    )
    # A project of its own: what somebody keeps running from this checkout stays as it is.
    compose = [
        *("docker", "compose", "--project-name", "fleetscope-demo"),
        *("--env-file", str(environment_file)),
    ]
    process = subprocess.Popen([*compose, "up", "--build"], cwd=ROOT)
    deadline = None if seconds is None else time.monotonic() + seconds
    waiting = threading.Event()
    try:
        while process.poll() is None and not run.stop_asked.is_set():
            if deadline is not None and time.monotonic() > deadline:
                break
            waiting.wait(0.5)
    finally:
        # Volumes hold passwords of this run only, so the next run could not open them.
        subprocess.run([*compose, "down", "--volumes"], cwd=ROOT, check=False)
        failed = process.wait() if process.poll() is None else process.returncode
    return 0 if run.stop_asked.is_set() or deadline is not None else int(failed != 0)
