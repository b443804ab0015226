"""The demo as a person runs it: second start, Ctrl-C, kill -9, a server that dies."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning.local.lock import RunLock
from provisioning.local.stack import ROOT
from tests.stack.conftest import write_scenario

pytestmark = pytest.mark.stack

LIMIT = 120.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; fails after two minutes."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Demo:
    """One demo in a process of its own, with a terminal or without."""

    def __init__(self, folder: Path, scenario: str, *, terminal: bool, seconds: str = "") -> None:
        self.folder = folder
        self.output = ""
        self.environment = {
            **os.environ,
            "FLEETSCOPE_DEMO_DIR": str(folder),
            "DEMO_SECONDS": seconds,
            "TERM": "xterm",
            "COLUMNS": "200",
        }
        self.environment.pop("GRAFANA_HOME", None)
        self.command = [
            *(sys.executable, "-m", "provisioning.local", "demo"),
            *("--random-ports", "--scenario", scenario),
        ]
        read_end, write_end = pty.openpty() if terminal else os.pipe()
        self._terminal = read_end
        self.process = subprocess.Popen(
            # With --ctty the terminal is its own, so that Ctrl-C reaches it as a signal.
            ["setsid", "--ctty", *self.command] if terminal else self.command,
            cwd=ROOT,
            env=self.environment,
            stdin=write_end if terminal else subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=not terminal,
        )
        os.close(write_end)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                got = os.read(self._terminal, 65536)
            except OSError:  # what a pseudo-terminal says at its end
                return
            if not got:
                return
            self.output += got.decode("utf-8", "replace")

    def wait_for(self, text: str) -> None:
        """Wait until the demo has written ``text``."""
        until(
            lambda: text in self.output or self.process.poll() is not None,
            f"no {text!r} in:\n{self.output}",
        )
        assert text in self.output, self.output

    def type(self, keys: bytes) -> None:
        """Type on its terminal."""
        os.write(self._terminal, keys)

    def end(self) -> int:
        """Exit status once it has ended and all of its output is read."""
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return status

    def processes(self) -> list[str]:
        """Command lines of processes that belong to it, apart from itself."""
        marks = [str(self.folder), *RunLock(self.folder).read().get("addresses", {}).values()]
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) in {os.getpid(), self.process.pid}:
                continue
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                where = str((entry / "cwd").readlink())
            except OSError:
                continue
            if where.startswith(str(self.folder)) or any(mark in words for mark in marks):
                found.append(words)
        return found

    def nothing_is_left(self) -> bool:
        """Whether nothing of it runs and its lock is free."""
        return not self.processes() and RunLock(self.folder).holder() is None


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    return write_scenario(tmp_path / "scenario.yaml", interval_seconds=2, sites=2)


@pytest.fixture
def start(
    found_servers: dict[str, Path], tmp_path: Path, scenario: str
) -> Iterator[Callable[..., Demo]]:
    demos: list[Demo] = []

    def begin(*, terminal: bool = False, seconds: str = "") -> Demo:
        demos.append(Demo(tmp_path / "demo", scenario, terminal=terminal, seconds=seconds))
        return demos[-1]

    yield begin
    for demo in demos:
        demo.process.kill()
        demo.end()


def test_ctrl_c_leaves_nothing_running_and_a_second_start_is_refused(
    start: Callable[..., Demo],
) -> None:
    demo = start(terminal=True)
    demo.wait_for("Ctrl-C stops everything")
    demo.wait_for("Alpha")
    assert len(demo.processes()) >= 6
    second = subprocess.run(
        demo.command, cwd=ROOT, env=demo.environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert "going on already" in second.stdout
    for url in RunLock(demo.folder).read()["addresses"].values():
        assert url in second.stdout
    assert demo.process.poll() is None
    demo.type(b"\x03")
    assert demo.end() == 0
    assert "Nothing is left running" in demo.output
    assert demo.processes() == []
    assert demo.nothing_is_left()


def test_kill_9_leaves_nothing_running_and_the_next_start_works(
    start: Callable[..., Demo],
) -> None:
    killed = start()
    killed.wait_for("Alertmanager")
    assert len(killed.processes()) >= 5
    killed.process.send_signal(signal.SIGKILL)
    after = start(seconds="1")
    assert after.end() == 0, after.output
    until(after.nothing_is_left, f"left: {after.processes()}")
    assert "Nothing is left running" in after.output
    assert "Alpha" in after.output


def test_kill_9_alone_is_enough(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.wait_for("Alertmanager")
    demo.process.send_signal(signal.SIGKILL)
    demo.end()
    until(demo.nothing_is_left, "processes left")


def test_a_server_that_dies_ends_the_demo_with_its_last_lines(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.wait_for("Alertmanager")
    (influxd,) = (line for line in demo.processes() if "influxd -config" in line)
    victim = next(
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and influxd.encode().split() == _words(entry)
    )
    os.kill(victim, signal.SIGKILL)
    assert demo.end() == 1
    assert "influxdb ended by itself" in demo.output
    assert "Listening for signals" in demo.output
    assert demo.nothing_is_left()


def _words(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").split()
    except OSError:
        return []
