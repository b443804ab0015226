"""Free TCP ports on the loopback address."""

from __future__ import annotations

import secrets
import socket

LOOPBACK = "127.0.0.1"
# Below the range that Linux hands out to outgoing connections (32768 and up by default), so that
# nothing takes a port between its choice here and its use by a server.
FIRST, LAST = 20_000, 31_999


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
            trial.listen(1)
        except OSError:
            return False
    return True


class Ports:
    """Hands out ports, none of them twice."""

    def __init__(self, *, usual: bool) -> None:
        """``usual`` prefers the port that people know a server by, where it is free."""
        self._usual = usual
        self._taken: set[int] = set()

    def pick(self, usual: int) -> int:
        """A free port: ``usual`` itself if wanted and free, else one from 20000 to 31999.

        Raises
        ------
        OSError
            A thousand ports tried, all in use.
        """
        if self._usual and usual not in self._taken and is_free(usual):
            self._taken.add(usual)
            return usual
        for _ in range(1000):
            port = FIRST + secrets.randbelow(LAST - FIRST + 1)
            if port not in self._taken and is_free(port):
                self._taken.add(port)
                return port
        raise OSError("no free port on 127.0.0.1 between 20000 and 31999")
