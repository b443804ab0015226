"""Where the collector's time goes, by stage: samples of its main thread taken by py-spy."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

# A sample belongs to the first stage of which a frame, from the innermost one outwards, names the
# file; of two stages that name it, to the upper one.
STAGES: dict[str, tuple[str, ...]] = {
    "parse": ("transport/http/json_client.py",),
    "http": ("aiohttp/", "transport/http/", "yarl/", "multidict/"),
    "driver": ("drivers/venus/", "drivers/identity.py"),
    "state": ("collect/state.py", "collect/battery_state.py", "collect/site_window.py"),
    "poller": ("collect/poller.py", "collect/timers.py"),
    "assess": ("exporter/assess/", "scoring/"),
    "publish": ("serve/channel.py", "serve/publication.py", "serve/supervisor.py"),
    "lines": ("store/line_protocol.py", "store/cell_cadence.py", "store/cell_lines.py"),
    "store": ("exporter/store/",),
}
RATE = 200


async def profile(pid: int, seconds: float) -> dict[str, Any] | None:
    """Shares of samples by stage and thread, and the functions that were seen most.

    None where py-spy is absent; ``PY_SPY`` names it where it is not in the PATH.
    """
    program = os.environ.get("PY_SPY") or shutil.which("py-spy")
    if program is None:
        return None
    with tempfile.NamedTemporaryFile(suffix=".txt") as output:
        process = await asyncio.create_subprocess_exec(
            *(program, "record", "--pid", str(pid), "--duration", f"{seconds:.0f}"),
            *("--rate", str(RATE), "--format", "raw", "--threads", "--full-filenames"),
            *("--nonblocking", "--output", output.name),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await process.wait()
        raw = await asyncio.to_thread(Path(output.name).read_text, "utf-8")
        return _summary(raw, RATE * seconds)


def _summary(raw: str, most: float) -> dict[str, Any]:
    stages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        main = any("MainThread" in frame for frame in frames[:2])
        stages["threads" if not main else _stage(frames)] += int(count)
        functions[_short(frames[-1])] += int(count)
    return {
        "share_of_core": round(sum(stages.values()) / most, 3),
        "stages": {name: round(count / most, 3) for name, count in stages.most_common()},
        "functions": {name: round(count / most, 3) for name, count in functions.most_common(40)},
    }


def _stage(frames: list[str]) -> str:
    for frame in reversed(frames):
        for stage, parts in STAGES.items():
            if any(part in frame for part in parts):
                return stage
    return "loop"


def _short(frame: str) -> str:
    name, _, place = frame.partition(" (")
    return f"{name} {'/'.join(place.rstrip(')').split('/')[-2:])}"
