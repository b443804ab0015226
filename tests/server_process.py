"""A server of a test's own, from its start until it answers to its end."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def server_process(
    arguments: list[str], ready_url: str, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a folder, with its output in ``log``, until the block ends.

    Raises
    ------
    AssertionError
        It ended before it answered, with its output.
    """
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                urllib.request.urlopen(ready_url, timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()
