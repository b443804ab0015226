"""Run a command that ends when its parent does.

``python end_with_parent.py PARENT COMMAND...`` asks the kernel to send SIGTERM to this process as
soon as its parent dies, however it dies, and then becomes COMMAND. PARENT is the parent's process
id, or 0 for whichever process started this one. Linux only (prctl(2), PR_SET_PDEATHSIG);
elsewhere the command runs on without its parent.

It stands alone, without imports from this package, so that a process starts in little time.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have the kernel end this process with ``parent``, 0 for the present one.

    Raises
    ------
    OSError
        The kernel refuses.
    ProcessLookupError
        The parent died before.
    """
    if not sys.platform.startswith("linux"):
        return
    expected = parent or os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    # The signal is sent for a death after the call only.
    if os.getppid() != expected:
        raise ProcessLookupError(f"parent {expected} has gone")


def main(arguments: list[str]) -> None:
    """Bind to the parent, then become the command."""
    end_with(int(arguments[0]))
    try:
        os.execvp(arguments[1], arguments[1:])  # noqa: S606
    except OSError as error:
        raise SystemExit(f"{arguments[1]}: {error.strerror}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
