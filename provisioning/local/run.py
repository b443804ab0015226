"""The course of one run: start everything, do something with it, stop everything."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

from provisioning.alertmanager.render import SettingsError
from provisioning.local import servers
from provisioning.local.lock import AlreadyRunningError, RunLock
from provisioning.local.stack import (
    PYTHON_ENVIRONMENT,
    ROOT,
    FolderInUseError,
    NotReadyError,
    Stack,
    build,
    fresh_folder,
)
from provisioning.local.supervision import END_WITH_PARENT, DiedError, alive

TITLES = {
    "simulator": "Simulated sites",
    "influxdb": "InfluxDB",
    "mosquitto": "Mosquitto",
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "exporter": "Exporter",
    "grafana": "Grafana",
}
DASHBOARD_SECONDS = 15.0


class InterruptedRunError(Exception):
    """Somebody asked the run to end."""


def default_folder() -> Path:
    """Folder of a run: FLEETSCOPE_DEMO_DIR, else .fleetscope/demo in the checkout."""
    named = os.environ.get("FLEETSCOPE_DEMO_DIR")
    return Path(named).resolve() if named else ROOT / ".fleetscope" / "demo"


class Run:
    """One run of the stack in one folder, under its lock."""

    def __init__(self, folder: Path, console: Console) -> None:
        self.folder = folder
        self.console = console
        self.stop_asked = threading.Event()

    def pause(self, seconds: float) -> None:
        """Sleep, or raise :class:`InterruptedRunError` as soon as the run is to end."""
        if self.stop_asked.wait(seconds):
            raise InterruptedRunError

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked.set()

    def refuse_a_second(self) -> None:
        """Raise at once if another run holds the folder.

        Raises
        ------
        AlreadyRunningError
            With what that run printed of itself.
        """
        holder = RunLock(self.folder).holder()
        if holder is not None:
            raise AlreadyRunningError(holder)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and a closed terminal end the run in order."""
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._ask_to_stop) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def stack(
        self,
        found: Mapping[str, Path],
        *,
        scenario: str,
        grafana: tuple[Path, Path] | None = None,
        usual_ports: bool = True,
        dispatch: str = "dry",
        past: bool = True,
    ) -> Iterator[Stack]:
        """Start everything and wait until all of it answers; stop everything at the end.

        ``past`` gives the sites two weeks of powers, which takes minutes for a thousand of them.

        Raises
        ------
        AlreadyRunningError, FolderInUseError, DiedError, NotReadyError, InterruptedRunError
            See these.
        """
        with RunLock(self.folder) as lock:
            former = lock.read()
            lock.publish({**former, "process_id": os.getpid(), "addresses": {}})
            self._wait_for_former(former)
            fresh_folder(self.folder)
            stack = build(
                self.folder,
                found,
                scenario=scenario,
                grafana=grafana,
                usual_ports=usual_ports,
                dispatch=dispatch,
            )
            try:
                # It would find no site and no InfluxDB yet, and call the sites offline.
                stack.supervisor.start(later={"exporter"})
                writer = _past_of(stack) if past else None
                lock.publish(
                    {
                        "process_id": os.getpid(),
                        "supervisor_id": stack.supervisor.process_id,
                        "addresses": {n: p.url for n, p in stack.programs.items()},
                    }
                )
                for name, program in stack.programs.items():
                    if name == "exporter":
                        # Its first forecasts are made of what is stored by then.
                        self._wait_for_past(writer)
                        stack.supervisor.start_program(name)
                    self._wait_ready(stack, name, program.port)
                yield stack
            finally:
                self._stop(stack)

    def _wait_for_former(self, former: Mapping[str, object]) -> None:
        """A run that was killed leaves its supervisor stopping the rest for some seconds."""
        process_id = former.get("supervisor_id")
        deadline = time.monotonic() + 90.0
        while (
            isinstance(process_id, int)
            and alive(process_id)
            and _working_directory(process_id) == self.folder
            and time.monotonic() < deadline
        ):
            self.pause(0.2)

    def _wait_ready(self, stack: Stack, name: str, port: int) -> None:
        title = TITLES[name]
        if self.console.is_terminal:
            with self.console.status(f"{title} on port {port} ..."):
                waited = stack.wait_ready(name, pause=self.pause)
        else:
            waited = stack.wait_ready(name, pause=self.pause)
        self.console.print(f"[green]✓[/] {title:<16} port {port:<6} {waited:5.1f} s")

    def _wait_for_past(self, writer: subprocess.Popen[bytes] | None) -> None:
        while writer is not None and writer.poll() is None:
            self.pause(0.05)
        if writer is not None and writer.returncode:
            self.console.print("[yellow]![/] The sites have no past, so there are no forecasts.")

    def _stop(self, stack: Stack) -> None:
        self.console.print("Stopping: the exporter first, then the rest.")
        left = stack.supervisor.stop()
        if left:
            names = ", ".join(f"{name} (process {number})" for number, name in left.items())
            self.console.print(f"[red]✗[/] Still running: {names}")
        else:
            self.console.print("[green]✓[/] Nothing is left running.")


def _past_of(stack: Stack) -> subprocess.Popen[bytes] | None:
    """Begin to write the past of the sites; it ends by itself, with this process at the latest."""
    return _filling(stack, "past", "--scenario", stack.scenario)


def begin_portfolio(stack: Stack) -> subprocess.Popen[bytes] | None:
    """Begin to make the portfolio, which the exporter then publishes; it ends as the past does."""
    return _filling(stack, "portfolio", "--folder", str(stack.folder / "portfolio"))


def _filling(stack: Stack, module: str, *options: str) -> subprocess.Popen[bytes] | None:
    """Run a module that fills InfluxDB; None where there is none."""
    influxdb = stack.url("influxdb")
    if influxdb is None:
        return None
    with (stack.supervisor.logs / f"{module}.log").open("wb") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-S", "-E", str(END_WITH_PARENT), str(os.getpid())),
                *(sys.executable, "-m", f"provisioning.local.{module}"),
                *(*options, "--influxdb", influxdb),
            ],
            cwd=ROOT,
            env={**os.environ, **PYTHON_ENVIRONMENT},
            stdout=log,
            stderr=log,
        )


def _working_directory(process_id: int) -> Path | None:
    try:
        return Path(f"/proc/{process_id}/cwd").readlink()
    except OSError:
        return None


def addresses(programs: Mapping[str, str]) -> Table:
    """Table of where everything answers."""
    table = Table(title="Fleetscope", title_justify="left")
    table.add_column("what")
    table.add_column("address", no_wrap=True)
    for name, url in programs.items():
        table.add_row(TITLES.get(name, name), url)
    return table


def guarded(console: Console, folder: Path, action: Callable[[], int]) -> int:
    """Run ``action`` and turn what may go wrong into a sentence and an exit status."""
    try:
        return action()
    except AlreadyRunningError as error:
        console.print(f"A run in {folder} is going on already. `make demo` runs once at a time.")
        console.print(addresses(error.run.get("addresses", {})))
        return 1
    except (DiedError, NotReadyError, FolderInUseError, SettingsError) as error:
        console.print(f"[red]✗[/] {error}", markup=True, highlight=False)
        return 1
    except subprocess.CalledProcessError as error:
        console.print(f"[red]✗[/] {error}", highlight=False)
        return 1
    except InterruptedRunError:
        return 0


def status_command(stack: Stack, *words: str) -> list[str]:
    """Command line of the text dashboard."""
    url = stack.url("exporter")
    assert url is not None
    return [sys.executable, "-m", "exporter", "status", "--url", url, *words]


def show_dashboard(run: Run, stack: Stack, seconds: float | None) -> None:
    """The live text dashboard until the time is up or somebody ends it.

    In a terminal it redraws itself; elsewhere it is printed every 15 s and once at the end.

    Raises
    ------
    DiedError
        A program ended by itself meanwhile.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    live: subprocess.Popen[bytes] | None = None
    if run.console.is_terminal:
        live = subprocess.Popen(
            [
                *(sys.executable, "-S", "-E", str(END_WITH_PARENT), str(os.getpid())),
                *status_command(stack, "--watch"),
            ],
            env=environment,
        )
    next_print = time.monotonic()
    try:
        while deadline is None or time.monotonic() < deadline:
            stack.supervisor.check()
            if live is None and time.monotonic() >= next_print:
                subprocess.run(status_command(stack), env=environment, check=False)
                next_print = time.monotonic() + DASHBOARD_SECONDS
            if live is not None and live.poll() is not None:
                break
            left = 1.0 if deadline is None else deadline - time.monotonic()
            run.pause(max(0.0, min(1.0, left)))
    finally:
        if live is not None:
            live.terminate()
            live.wait()
    if live is None:
        subprocess.run(status_command(stack), env=environment, check=False)


def find_or_install(console: Console) -> dict[str, Path]:
    """The servers, installed from Debian where absent; says what stays missing and why."""

    def say(sentence: str) -> None:
        console.print(sentence)

    try:
        return servers.ensure(say)
    except servers.InstallError as error:
        console.print(f"[yellow]![/] {error}", highlight=False)
        return servers.find_all()
