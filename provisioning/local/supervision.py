"""Start, watch and stop a group of programs under supervisord."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.local.ports import LOOPBACK

END_WITH_PARENT = Path(__file__).with_name("end_with_parent.py")
FOREIGN_SETTINGS = ("FLEETSCOPE_", "INFLUXDB_", "GF_")
RPC_ERRORS = (OSError, http.client.HTTPException, xmlrpc.client.Error)


@dataclass(frozen=True)
class Program:
    """One program: how it is started, and where it answers when it is ready.

    ``ready`` is the path that answers 2xx from then on, empty where it speaks no HTTP and accepts
    connections from then on; ``page`` the address for people if it has
    one, ``stop_rank`` the order of stopping (lowest first, equal ones together).
    """

    name: str
    command: Sequence[str]
    port: int
    ready: str
    page: str | None = None
    stop_rank: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Its base address."""
        return f"{self.scheme}://{LOOPBACK}:{self.port}"


class DiedError(Exception):
    """A program ended by itself; the message has its last lines."""

    def __init__(self, name: str, last_lines: str) -> None:
        super().__init__(f"{name} ended by itself. Its last lines:\n{last_lines}")
        self.name = name


def _escape(value: str) -> str:
    return value.replace("%", "%%")


def _environment(values: Mapping[str, str]) -> str:
    for key, value in values.items():
        if re.search(r'["\n]|\s[;#]|^\'|\'$', value):
            raise ValueError(f"{key}: supervisord cannot pass on the value {value!r}")
    return ",".join(f'{key}="{_escape(value)}"' for key, value in values.items())


def alive(process_id: int) -> bool:
    """Whether a process of this id exists and has not ended (a zombie has)."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text("ascii", "replace")
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, 0)
            return True
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


class Supervisor:
    """supervisord over a group of programs, in a session of its own.

    It and its programs end when the process that called :meth:`start` does, even by SIGKILL, and
    supervisord's death ends its programs.

    Parameters
    ----------
    folder : Path
        Where its configuration and everybody's log files go; must exist.
    port : int
        Free loopback port for its own control interface.
    programs : sequence of Program
        In order of starting.
    """

    def __init__(self, folder: Path, port: int, programs: Sequence[Program]) -> None:
        self.folder = folder
        self.programs = list(programs)
        self.config = folder / "supervisord.conf"
        self.logs = folder / "logs"
        self._port = port
        self._password = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self._started: set[str] = set()
        self._seen: dict[int, str] = {}

    @property
    def process_id(self) -> int | None:
        """supervisord's process id once started."""
        return self._process.pid if self._process else None

    def start(self, *, later: Collection[str] = ()) -> None:
        """Start supervisord and the programs, without waiting until they are ready.

        Parameters
        ----------
        later : collection of str
            Programs that :meth:`start_program` starts once others are ready.

        Raises
        ------
        DiedError
            supervisord or a program could not be started.
        """
        self.logs.mkdir(exist_ok=True)
        self.config.touch(mode=0o600)
        self.config.write_text(self._render(), "utf-8")
        with (self.logs / "supervisord.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-S", "-E", str(END_WITH_PARENT), str(os.getpid())),
                    *(sys.executable, "-m", "supervisor.supervisord", "-n", "-c", self.config.name),
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # The caller's own settings of these servers are not meant for this run.
                env={k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_SETTINGS)},
                start_new_session=True,
            )
        self._await_control()
        for program in self.programs:
            if program.name not in later:
                self.start_program(program.name)
        self.check()

    def start_program(self, name: str) -> None:
        """Start one program, without waiting until it is ready.

        Raises
        ------
        DiedError
            It could not be started.
        """
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            raise DiedError(name, fault.faultString) from fault
        self._started.add(name)

    def check(self) -> None:
        """Raise if a program has ended.

        Raises
        ------
        DiedError
            The first program found that was started and runs no more.
        """
        try:
            found = self._call("getAllProcessInfo")
        except RPC_ERRORS as error:
            raise DiedError("supervisord", self.last_lines("supervisord")) from error
        for info in found:
            if info["pid"]:
                self._seen[info["pid"]] = info["name"]
        for info in found:
            running = info["statename"] in {"STARTING", "RUNNING"}
            if info["name"] in self._started and not running:
                raise DiedError(info["name"], self.last_lines(info["name"]))

    def last_lines(self, name: str, count: int = 15) -> str:
        """The end of a program's log."""
        try:
            lines = (self.logs / f"{name}.log").read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return "(nothing logged)"
        return "\n".join(lines[-count:]) or "(nothing logged)"

    def signal(self, name: str, signal_name: str) -> None:
        """Send a signal such as ``HUP`` to one program."""
        self._call("signalProcess", name, signal_name)

    def stop(self) -> dict[int, str]:
        """Stop every program by rank, then supervisord. Safe to call in any state.

        Returns
        -------
        dict
            What could not be ended: process id to name. Empty when all is well.
        """
        process = self._process
        if process is None:
            return {}
        with contextlib.suppress(*RPC_ERRORS):
            for info in self._call("getAllProcessInfo"):
                if info["pid"]:
                    self._seen[info["pid"]] = info["name"]
            for rank in sorted({program.stop_rank for program in self.programs}):
                self._stop_rank(rank)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        left = self._wait_for_the_end(5.0)
        for process_id in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        return self._wait_for_the_end(5.0) if left else {}

    def _stop_rank(self, rank: int) -> None:
        names = [program.name for program in self.programs if program.stop_rank == rank]
        for name in names:
            with contextlib.suppress(xmlrpc.client.Fault):
                self._call("stopProcess", name, False)
        ended = {"STOPPED", "EXITED", "FATAL", "UNKNOWN"}
        deadline = time.monotonic() + 25.0
        while time.monotonic() < deadline:
            states = {info["name"]: info["statename"] for info in self._call("getAllProcessInfo")}
            if all(states.get(name) in ended for name in names):
                return
            time.sleep(0.1)

    def _wait_for_the_end(self, seconds: float) -> dict[int, str]:
        deadline = time.monotonic() + seconds
        while True:
            left = {pid: name for pid, name in self._seen.items() if alive(pid)}
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.1)

    def _call(self, method: str, *arguments: Any) -> Any:
        address = f"http://fleetscope:{self._password}@{LOOPBACK}:{self._port}/RPC2"
        with xmlrpc.client.ServerProxy(address) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _await_control(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 60.0
        while True:
            try:
                self._call("getState")
            except RPC_ERRORS as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise DiedError("supervisord", self.last_lines("supervisord")) from error
                time.sleep(0.1)
            else:
                return

    def _render(self) -> str:
        sections = [
            "[supervisord]",
            "nodaemon = true",
            # It tells standard output too, where what it says before it has read this goes.
            "logfile = /dev/null",
            "logfile_maxbytes = 0",
            # Relative to the folder, its working directory: supervisord expands a % in some
            # paths twice.
            "pidfile = supervisord.pid",
            f"childlogdir = {self.logs.name}",
            *(["user = root"] if os.geteuid() == 0 else []),
            "[inet_http_server]",
            f"port = {LOOPBACK}:{self._port}",
            "username = fleetscope",
            f"password = {self._password}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        ]
        last = max((program.stop_rank for program in self.programs), default=0)
        for program in self.programs:
            command = [sys.executable, "-S", "-E", str(END_WITH_PARENT), "0", *program.command]
            sections += [
                f"[program:{program.name}]",
                f"command = {_escape(shlex.join(command))}",
                f"environment = {_environment(program.environment)}",
                # On SIGTERM supervisord stops the highest priority first.
                f"priority = {100 + last - program.stop_rank}",
                "autostart = false",
                "autorestart = false",
                "startsecs = 0",
                "startretries = 0",
                "stopwaitsecs = 15",
                "killasgroup = true",
                "redirect_stderr = true",
                f"stdout_logfile = {self.logs.name}/{program.name}.log",
                "stdout_logfile_maxbytes = 50MB",
                "stdout_logfile_backups = 1",
            ]
        return "\n".join(sections) + "\n"
