"""The parts of provisioning.local, with real processes and without servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.local.demo import duration
from provisioning.local.lock import AlreadyRunningError, RunLock
from provisioning.local.ports import FIRST, LAST, LOOPBACK, Ports, is_free
from provisioning.local.stack import (
    MARK,
    FolderInUseError,
    NotReadyError,
    Stack,
    fresh_folder,
)
from provisioning.local.supervision import END_WITH_PARENT, DiedError, Program, Supervisor, alive
from provisioning.local.web import RequestError, get, get_json

ROOT = Path(__file__).parents[2]


def web_program(name: str, ports: Ports, stop_rank: int = 1) -> Program:
    """A web server out of the standard library."""
    port = ports.pick(0)
    command = [sys.executable, "-m", "http.server", "--bind", LOOPBACK, str(port)]
    return Program(name=name, command=command, port=port, ready="/", stop_rank=stop_rank)


def stack_of(folder: Path, programs: list[Program], ports: Ports) -> Stack:
    """A stack of any programs."""
    supervisor = Supervisor(folder, ports.pick(0), programs)
    return Stack(folder, {p.name: p for p in programs}, supervisor, "none")


def start(stack: Stack) -> None:
    """Start a stack and wait until all of it answers."""
    stack.supervisor.start()
    for name in stack.programs:
        stack.wait_ready(name)


def wait_until_gone(process_ids: list[int]) -> None:
    """Fail unless all of the processes end within 20 s."""
    deadline = time.monotonic() + 20.0
    while any(alive(process_id) for process_id in process_ids):
        assert time.monotonic() < deadline, "still running"
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run with 100% space"
    fresh_folder(path)
    return path


@pytest.fixture
def pair(folder: Path) -> Iterator[Stack]:
    ports = Ports(usual=False)
    programs = [web_program("first", ports, 0), web_program("second", ports)]
    stack = stack_of(folder, programs, ports)
    yield stack
    assert stack.supervisor.stop() == {}


class TestPorts:
    def test_a_port_in_use_is_not_free(self) -> None:
        with socket.create_server((LOOPBACK, 0)) as server:
            port = server.getsockname()[1]
            assert not is_free(port)
            assert Ports(usual=True).pick(port) != port

    def test_the_usual_port_is_given_once(self) -> None:
        ports = Ports(usual=True)
        usual = Ports(usual=False).pick(0)
        assert ports.pick(usual) == usual
        assert ports.pick(usual) != usual

    def test_chosen_ports_keep_off_outgoing_connections(self) -> None:
        ports = Ports(usual=False)
        picked = [ports.pick(9090) for _ in range(50)]
        assert len(set(picked)) == 50
        assert all(FIRST <= port <= LAST for port in picked)


class TestRunLock:
    def test_the_second_is_told_of_the_first(self, tmp_path: Path) -> None:
        first, second = RunLock(tmp_path / "demo"), RunLock(tmp_path / "demo")
        with first:
            first.publish({"addresses": {"exporter": "http://127.0.0.1:1"}, "longer": "x" * 99})
            first.publish({"process_id": 1})
            with pytest.raises(AlreadyRunningError) as caught, second:
                pass
            assert caught.value.run == {"process_id": 1}
            assert second.holder() == {"process_id": 1}
        assert second.holder() is None
        with second:
            pass

    def test_nobody_holds_a_lock_that_never_was(self, tmp_path: Path) -> None:
        assert RunLock(tmp_path / "demo").holder() is None

    def test_only_the_holder_publishes(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="without the lock"):
            RunLock(tmp_path / "demo").publish({})

    def test_death_of_the_holder_frees_it(self, tmp_path: Path) -> None:
        code = (
            "import sys, time; from pathlib import Path\n"
            "from provisioning.local.lock import RunLock\n"
            "with RunLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "demo")], stdout=subprocess.PIPE, cwd=ROOT
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            lock = RunLock(tmp_path / "demo")
            assert lock.holder() == {}
            holder.kill()
            holder.wait()
            assert lock.holder() is None


class TestFreshFolder:
    def test_leftovers_of_a_run_are_removed(self, tmp_path: Path) -> None:
        folder = tmp_path / "demo"
        fresh_folder(folder)
        (folder / "old").write_text("x")
        fresh_folder(folder)
        assert [path.name for path in folder.iterdir()] == [MARK]

    def test_files_of_somebody_else_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "letter").write_text("dear")
        with pytest.raises(FolderInUseError):
            fresh_folder(tmp_path)
        assert (tmp_path / "letter").read_text() == "dear"


class TestEndWithParent:
    def test_command_ends_with_its_parent(self) -> None:
        code = (
            "import os, subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, sys.argv[1], str(os.getpid()),"
            " sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'],"
            " stdout=subprocess.PIPE, start_new_session=True)\n"
            "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(END_WITH_PARENT)], stdout=subprocess.PIPE
        ) as parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            assert alive(child)
            parent.kill()
            parent.wait()
            wait_until_gone([child])

    def test_a_parent_that_has_gone_is_noticed(self) -> None:
        done = subprocess.run(
            [sys.executable, str(END_WITH_PARENT), "999999999", "true"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "has gone" in done.stderr


class TestSupervisor:
    def test_programs_answer_and_stop_in_order(self, pair: Stack) -> None:
        start(pair)
        assert all(get(program.url) for program in pair.programs.values())
        assert pair.supervisor.stop() == {}
        log = (pair.supervisor.logs / "supervisord.log").read_text()
        assert 0 < log.index("stopped: first") < log.index("stopped: second")
        assert all(is_free(program.port) for program in pair.programs.values())

    def test_a_later_program_waits_for_its_call(self, pair: Stack) -> None:
        pair.supervisor.start(later={"first"})
        pair.wait_ready("second")
        pair.supervisor.check()
        assert is_free(pair.programs["first"].port)
        pair.supervisor.start_program("first")
        pair.wait_ready("first")

    def test_without_its_control_interface_the_order_is_the_same(self, pair: Stack) -> None:
        start(pair)
        supervisor_id = pair.supervisor.process_id
        assert supervisor_id is not None
        os.kill(supervisor_id, signal.SIGTERM)
        assert pair.supervisor.stop() == {}
        log = (pair.supervisor.logs / "supervisord.log").read_text()
        assert 0 < log.index("stopped: first") < log.index("stopped: second")

    def test_death_of_supervisord_ends_its_programs(self, pair: Stack) -> None:
        start(pair)
        supervisor_id = pair.supervisor.process_id
        assert supervisor_id is not None
        os.kill(supervisor_id, signal.SIGKILL)
        wait_until_gone(list(pair.supervisor._seen))
        with pytest.raises(DiedError, match="supervisord"):
            pair.supervisor.check()

    def test_a_program_that_ends_is_told_with_its_last_lines(self, folder: Path) -> None:
        ports = Ports(usual=False)
        code = "import sys; print('cannot open the fleet file'); sys.exit(3)"
        failing = Program("failing", [sys.executable, "-c", code], ports.pick(0), "/")
        stack = stack_of(folder, [failing], ports)
        try:
            with pytest.raises(DiedError, match="cannot open the fleet file"):
                start(stack)
        finally:
            assert stack.supervisor.stop() == {}

    def test_a_command_that_does_not_exist_is_told(self, folder: Path) -> None:
        ports = Ports(usual=False)
        stack = stack_of(folder, [Program("none", ["/nonexistent"], ports.pick(0), "/")], ports)
        try:
            with pytest.raises(DiedError, match="/nonexistent"):
                start(stack)
        finally:
            assert stack.supervisor.stop() == {}

    def test_a_program_that_never_answers_is_given_up(self, folder: Path) -> None:
        ports = Ports(usual=False)
        sleeping = Program(
            "sleeping", [sys.executable, "-c", "import time; time.sleep(60)"], ports.pick(0), "/"
        )
        stack = stack_of(folder, [sleeping], ports)
        try:
            stack.supervisor.start()
            with pytest.raises(NotReadyError, match="sleeping does not answer"):
                stack.wait_ready("sleeping", limit=0.3)
        finally:
            assert stack.supervisor.stop() == {}

    def test_environment_reaches_the_program_as_it_is(self, folder: Path) -> None:
        ports = Ports(usual=False)
        value = "50% of a path, b = c; 'd' e"
        code = "import os, time; print(repr(os.environ['ODD']), flush=True); time.sleep(60)"
        program = Program(
            "odd", [sys.executable, "-c", code], ports.pick(0), "/", environment={"ODD": value}
        )
        stack = stack_of(folder, [program], ports)
        try:
            stack.supervisor.start()
            deadline = time.monotonic() + 20.0
            while stack.supervisor.last_lines("odd") == "(nothing logged)":
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert stack.supervisor.last_lines("odd") == repr(value)
        finally:
            assert stack.supervisor.stop() == {}

    @pytest.mark.parametrize("value", ['a "b"', "a\nb", "a ;b", "a #b", "'a'"])
    def test_a_value_that_would_be_cut_is_refused(self, folder: Path, value: str) -> None:
        program = Program("odd", ["true"], 1, "/", environment={"ODD": value})
        with pytest.raises(ValueError, match="ODD"):
            Supervisor(folder, 1, [program]).start()


class TestWeb:
    def test_refusal_and_nonsense_are_told(self, pair: Stack) -> None:
        pair.supervisor.start()
        pair.wait_ready("first")
        url = pair.programs["first"].url
        with pytest.raises(RequestError, match="status 404"):
            get(f"{url}/nothing")
        with pytest.raises(RequestError, match="not JSON"):
            get_json(url)
        with pytest.raises(RequestError):
            get(f"http://{LOOPBACK}:{Ports(usual=False).pick(0)}")


class TestDuration:
    @pytest.mark.parametrize(("text", "seconds"), [("", None), ("90", 90.0), ("0.5", 0.5)])
    def test_it_is_read(
        self, monkeypatch: pytest.MonkeyPatch, text: str, seconds: float | None
    ) -> None:
        monkeypatch.setenv("DEMO_SECONDS", text)
        assert duration() == seconds

    @pytest.mark.parametrize("text", ["soon", "-1", "0", "inf", "nan"])
    def test_nonsense_is_refused(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("DEMO_SECONDS", text)
        with pytest.raises(SystemExit, match="DEMO_SECONDS"):
            duration()
