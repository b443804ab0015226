"""Starting another process of the exporter, and being one: it never outlives its parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys

from exporter.model.workers import end_with_parent
from exporter.serve.channel import Channel


class Child:
    """A module of this package as a process, and the channel to it.

    Attributes
    ----------
    process : asyncio.subprocess.Process
    channel : Channel
    """

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.process = process
        self.channel = channel

    @classmethod
    async def start(cls, module: str, *sockets: socket.socket) -> Child:
        """Start a process that holds these sockets too, in this order."""
        own, its = socket.socketpair()
        with its:
            given = [its.fileno(), *(s.fileno() for s in sockets)]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, str(os.getpid()), *map(str, given)),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=given,
            )
        return cls(process, await Channel.over(own))

    async def end(self, seconds: float) -> None:
        """Wait for its end, and kill it if it takes longer."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), seconds)
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        self.channel.close()


def inherited() -> list[socket.socket]:
    """The sockets that :meth:`Child.start` gave this process, its end of the channel first.

    From now on the process is killed when its parent dies, and leaves all signals to it.
    """
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    parent, *given = map(int, sys.argv[1:])
    # Elsewhere than on Linux the end of the channel is the only sign.
    end_with_parent()
    if os.getppid() != parent:
        raise SystemExit(1)
    return [socket.socket(fileno=number) for number in given]
