"""A real Prometheus on a free port that holds given samples of the past."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ENOUGH_SECONDS = 180.0


@contextlib.contextmanager
def prometheus(folder: Path, samples: Iterable[str]) -> Iterator[str]:
    """Start one over samples in the OpenMetrics format and give its URL; skip without a program.

    Parameters
    ----------
    folder : Path
    samples : iterable of str
        Such as ``up{site="a"} 1 1773844200``, those of a metric together, in order of time.
    """
    program, tool = shutil.which("prometheus"), shutil.which("promtool")
    if program is None or tool is None:
        pytest.skip("no prometheus and promtool in PATH; `make servers` installs them")
    text, data = folder / "samples.txt", folder / "data"
    text.write_text("\n".join([*samples, "# EOF", ""]), "utf-8")
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)],
        check=True,
        capture_output=True,
    )
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=20y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(f"{url}/-/ready", process)
        yield url
    finally:
        process.terminate()
        process.wait(ENOUGH_SECONDS)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + ENOUGH_SECONDS
    while process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        assert time.monotonic() < end, "Prometheus does not answer"
        time.sleep(0.1)
    raise AssertionError(f"prometheus ended with {process.returncode}")
