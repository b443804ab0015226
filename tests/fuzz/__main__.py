"""``python -m tests.fuzz``: hostile inputs by number, with hypothesis or guided by coverage.

Environment: FUZZ_INPUTS (100000, by each engine), FUZZ_TARGET (all of them: those of
``targets.py``, ``api`` and ``roles``), FUZZ_ENGINE
(``hypothesis`` or ``atheris``; both), FUZZ_SEED (0).
"""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings

INPUTS = int(os.environ.get("FUZZ_INPUTS", "100000"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
ENGINE = os.environ.get("FUZZ_ENGINE")
API = "api"
ROLES = "roles"
# What hypothesis remembers of its examples grows with their number; so it begins anew after some.
ROUND = 10_000


def with_hypothesis(name: str, number: int, calls: int) -> None:
    """Inputs as hypothesis makes them up; the smallest one that fails is printed."""
    from tests.fuzz.targets import TARGETS

    target: Any = TARGETS[name]
    settings(
        max_examples=calls,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )(seed(number)(target))()


def with_atheris(name: str) -> None:
    """Inputs that lead to code not seen before; atheris ends the process itself."""
    import atheris

    with atheris.instrument_imports(include=["exporter", "scoring", "yaml"]):
        from tests.fuzz.targets import GUIDED

    take, first = GUIDED[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(first):
            Path(folder, str(number)).write_bytes(data)
        options = [f"-runs={INPUTS}", f"-seed={SEED + 1}", "-max_len=20000", "-verbosity=0"]
        prefix = f"-artifact_prefix={tempfile.gettempdir()}/fleetscope-{name}-"
        atheris.Setup([sys.argv[0], *options, prefix, folder], take)
        atheris.Fuzz()


def apart(*arguments: str) -> int:
    """Run one of both in a process of its own: 1 if it failed, which it then has told."""
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout + done.stderr)
    return int(done.returncode != 0)


def main() -> int:
    """Run every target by every engine; 1 if one fails."""
    match sys.argv[1:]:
        case ["hypothesis", name, number, calls]:
            with_hypothesis(name, int(number), int(calls))
            return 0
        case ["atheris", name]:
            with_atheris(name)
            return 0
    from tests.fuzz.targets import GUIDED, INPUTS_EACH, TARGETS

    chosen = os.environ.get("FUZZ_TARGET")
    guided = importlib.util.find_spec("atheris") is not None
    if not guided:
        print("guided by coverage: NOT run, atheris is not installed")
    failed = 0
    if chosen in (None, API) and ENGINE != "atheris":
        from tests.fuzz.api import exercise_all

        started = time.monotonic()
        exercise_all(INPUTS, SEED)
        tell(API, "schemathesis", started)
    if chosen in (None, ROLES) and ENGINE != "atheris":
        from tests.fuzz.api import exercise_roles

        started = time.monotonic()
        statuses = exercise_roles(INPUTS, SEED)
        tell(ROLES, "schemathesis", started)
        print(f"  {statuses.total()} answers: {dict(sorted(statuses.items()))}", flush=True)
    for name in [n for n in TARGETS if chosen in (None, n)]:
        if ENGINE != "atheris":
            started = time.monotonic()
            calls = math.ceil(INPUTS / INPUTS_EACH.get(name, 1))
            for first in range(0, calls, ROUND):
                number = f"{SEED * 1_000_000 + first}"
                failed |= apart("hypothesis", name, number, f"{min(ROUND, calls - first)}")
            tell(name, "hypothesis", started)
        if ENGINE != "hypothesis" and guided and name in GUIDED:
            started = time.monotonic()
            failed |= apart("atheris", name)
            tell(name, "atheris", started)
    return failed


def tell(name: str, engine: str, started: float) -> None:
    """One line for each target and engine."""
    seconds = time.monotonic() - started
    print(f"{name}: {INPUTS} inputs, seed {SEED}, {engine}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
