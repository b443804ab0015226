"""The ways to run work outside the event loop: a thread, a process that stays, a program that ends.

Threads are for blocking I/O. Whatever computes for longer than some milliseconds, or may exhaust
memory, runs in a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

__all__ = [
    "BlockingCalls",
    "BrokenProcessPool",
    "Program",
    "WorkerProcess",
    "end_with_parent",
    "limit_data",
]

P = ParamSpec("P")
T = TypeVar("T")
NICENESS = 10
_SET_PARENT_DEATH_SIGNAL = 1
_LONGEST_LINE = 64 * 1024 * 1024


class BlockingCalls:
    """Runs blocking calls in daemon threads, at most ``most`` at once.

    A cancelled caller leaves its thread behind: the call must bound its own time. Daemon threads do
    not delay the end of the program, as those of an executor do.
    """

    def __init__(self, most: int, name: str) -> None:
        self._room = asyncio.Semaphore(most)
        self._name = name

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the call, or what it raised."""
        async with self._room:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[T] = loop.create_future()

            def settle(result: T | None, error: BaseException | None) -> None:
                if future.done():
                    return
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(result)  # type: ignore[arg-type]

            def work() -> None:
                result, raised = None, None
                try:
                    result = function(*args, **kwargs)
                except BaseException as error:
                    raised = error
                # The loop is closed where the caller's program has ended.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(settle, result, raised)

            threading.Thread(target=work, name=self._name, daemon=True).start()
            return await future


class WorkerProcess:
    """One process at low priority, started at the first call and again if it died.

    It ends with its parent. Functions and arguments must be picklable.

    Parameters
    ----------
    most_bytes : int, optional
        Of data in its memory; what needs more raises MemoryError, or ends the process.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._most_bytes = most_bytes

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in the process.

        Raises
        ------
        BrokenProcessPool
            The process died; the next call starts another.
        """
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                1, mp_context=context, initializer=_begin, initargs=(self._most_bytes,)
            )
        try:
            return await asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))
        except BrokenProcessPool:
            self._pool = None
            raise

    def close(self) -> None:
        """End the process; unfinished work is lost. Blocks for up to five seconds."""
        if self._pool is not None:
            processes = list((self._pool._processes or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
                process.join(5)
            self._pool = None


def _begin(most_bytes: int | None) -> None:
    # Ctrl-C reaches the whole process group; the parent ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    if most_bytes is not None:
        limit_data(most_bytes)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_with_parent() -> None:
    """Have the system kill this process when the thread that started it ends, on Linux."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def limit_data(most: int) -> None:
    """Limit the data of this process to so many bytes, or to what it is allowed anyway."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


class ProgramError(Exception):
    """A program that failed; the text is the last line of its standard error, or its exit code."""


class Program:
    """A module of this package run as a program of its own: input on stdin, results on stdout.

    Arguments and environment can be read by others, so input goes through stdin. The memory of the
    work is free when the program ends.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None

    async def _start(self, stderr: int | None) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=_LONGEST_LINE,
        )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def output(self, given: bytes, seconds: float) -> bytes:
        """All that it writes.

        Raises
        ------
        TimeoutError
        ProgramError
        """
        process = await self._start(asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(seconds):
                written, said = await process.communicate(given)
        finally:
            await self._end()
        if process.returncode != 0:
            lines = said.decode("utf-8", "replace").strip().splitlines()
            raise ProgramError(lines[-1] if lines else f"exit code {process.returncode}")
        return written

    async def lines(self, given: bytes) -> AsyncGenerator[bytes, None]:
        """Its lines as it writes them.

        Raises
        ------
        OSError
            It cannot be started.
        ProgramError
            After the last line, where it failed.
        """
        process = await self._start(None)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(given)
            process.stdin.close()
            async for line in process.stdout:
                yield line
            if code := await process.wait():
                raise ProgramError(f"exit code {code}")
        finally:
            await self._end()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
