"""``python -m provisioning.local demo|smoke|stop|status|servers``."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Annotated

import typer
from rich.console import Console

from provisioning.local import servers
from provisioning.local.demo import demo as run_demo
from provisioning.local.lock import RunLock
from provisioning.local.run import addresses, default_folder, find_or_install
from provisioning.local.smoke import smoke as run_smoke
from provisioning.local.web import RequestError, get

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
console = Console()

Scenario = Annotated[str, typer.Option(help="Scenario of the simulated sites: a name or a file.")]
RandomPorts = Annotated[
    bool, typer.Option("--random-ports", help="Keep off the servers' well-known ports.")
]


@app.command()
def demo(scenario: Scenario = "demo", random_ports: RandomPorts = False) -> None:
    """Run everything with simulated sites and show the dashboard."""
    raise typer.Exit(run_demo(console, scenario=scenario, usual_ports=not random_ports))


@app.command()
def smoke(scenario: Scenario = "demo") -> None:
    """Run everything without a dashboard, check it from outside, and stop."""
    raise typer.Exit(run_smoke(console, scenario=scenario))


@app.command()
def stop() -> None:
    """Stop a run that is going on in this folder."""
    lock = RunLock(default_folder())
    run = lock.holder()
    if run is None:
        console.print("Nothing is running.")
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(run["process_id"]), signal.SIGTERM)
    deadline = time.monotonic() + 90.0
    while lock.holder() is not None:
        if time.monotonic() > deadline:
            console.print("[red]✗[/] The run has not ended within 90 s.")
            raise typer.Exit(1)
        time.sleep(0.2)
    console.print("Stopped.")


@app.command()
def status() -> None:
    """Tell what is running in this folder, and where; exit status 3 if nothing is."""
    run = RunLock(default_folder()).holder()
    if run is None:
        console.print("Nothing is running.")
        raise typer.Exit(3)
    console.print(addresses(run.get("addresses", {})))
    exporter = run.get("addresses", {}).get("exporter")
    if exporter:
        try:
            get(f"{exporter}/readyz", timeout=5.0)
        except RequestError as error:
            console.print(f"[red]✗[/] The exporter is not ready: {error}", highlight=False)
            raise typer.Exit(1) from error
        console.print("[green]✓[/] The exporter is ready.")


@app.command(name="servers")
def install_servers() -> None:
    """Install Debian's servers where they are absent, and say which are here."""
    found = find_or_install(console)
    for server in servers.SERVERS:
        where = found.get(server.name)
        console.print(f"{server.name}: {where or 'absent'}", highlight=False)
    if len(found) < len(servers.SERVERS):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
