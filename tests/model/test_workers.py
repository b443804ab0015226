"""Threads, processes and programs that work outside the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from exporter.model.workers import (
    BlockingCalls,
    BrokenProcessPool,
    Program,
    ProgramError,
    WorkerProcess,
)


async def test_blocking_calls_leave_the_loop_free_and_keep_their_limit() -> None:
    calls, running, most = BlockingCalls(2, "test"), 0, 0
    lock, release = threading.Lock(), threading.Event()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(30)
        with lock:
            running -= 1
        return number

    tasks = [asyncio.create_task(calls.run(work, n)) for n in range(5)]
    while running < 2:  # noqa: ASYNC110 - threads set it
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    release.set()
    assert await asyncio.gather(*tasks) == list(range(5))
    assert most == 2


async def test_a_blocking_call_raises_where_it_is_awaited() -> None:
    def fail() -> None:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        await BlockingCalls(1, "test").run(fail)


def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_program() -> None:
    code = (
        "import asyncio, time\n"
        "from exporter.model.workers import BlockingCalls\n"
        "async def main():\n"
        "    try:\n"
        "        await asyncio.wait_for(BlockingCalls(1, 't').run(time.sleep, 600), 0.1)\n"
        "    except TimeoutError:\n"
        "        print('left')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "left\n"


async def test_a_worker_process_is_kept_and_replaced_when_it_dies() -> None:
    worker = WorkerProcess()
    try:
        first = await worker.run(os.getpid)
        assert first != os.getpid()
        assert await worker.run(os.getpid) == first
        with pytest.raises(BrokenProcessPool):
            await worker.run(os.kill, first, signal.SIGKILL)
        assert await worker.run(os.getpid) != first
    finally:
        worker.close()


async def test_a_worker_process_goes_on_after_what_needs_too_much_memory() -> None:
    worker = WorkerProcess(512 * 1024**2)
    try:
        first = await worker.run(os.getpid)
        with pytest.raises(MemoryError):
            await worker.run(bytearray, 1024**3)
        assert await worker.run(os.getpid) == first
    finally:
        worker.close()


async def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(ProgramError, match="No module named"):
        await Program("exporter.no_such_module").output(b"", 60)
    with pytest.raises(ProgramError, match="exit code 1"):
        async for _ in Program("exporter.no_such_module").lines(b""):
            pass


async def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutError):
        await Program("tests.model.endless").output(b"", 0.5)
