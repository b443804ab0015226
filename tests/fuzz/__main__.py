"""``python -m tests.fuzz``: hostile inputs by number, with hypothesis or guided by coverage.

Environment: FUZZ_INPUTS (100000), FUZZ_TARGET (all of them), FUZZ_ENGINE (hypothesis, or atheris
where that is installed), FUZZ_SEED (0).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings

INPUTS = int(os.environ.get("FUZZ_INPUTS", "100000"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
ENGINE = os.environ.get("FUZZ_ENGINE", "hypothesis")


def with_hypothesis(target: Any) -> None:
    """Inputs as hypothesis makes them up; the smallest one that fails is printed."""
    settings(
        max_examples=INPUTS,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )(seed(SEED)(target))()


def with_atheris(name: str) -> None:
    """Inputs that lead to code not seen before; atheris ends the process itself."""
    import atheris

    with atheris.instrument_imports(include=["exporter", "scoring"]):
        from tests.fuzz.targets import TARGETS

    made: Any = settings(deadline=None, database=None)(TARGETS[name])
    arguments = [sys.argv[0], f"-runs={INPUTS}", f"-seed={SEED + 1}", "-verbosity=0"]
    atheris.Setup(arguments, made.hypothesis.fuzz_one_input)
    atheris.Fuzz()


def main() -> int:
    """Run the targets, each in a process of its own with atheris; 1 if one fails."""
    if len(sys.argv) > 1:
        with_atheris(sys.argv[1])
        return 0
    from tests.fuzz.targets import TARGETS

    chosen = os.environ.get("FUZZ_TARGET")
    failed = 0
    for name in [chosen] if chosen else TARGETS:
        started = time.monotonic()
        if ENGINE == "atheris":
            failed |= subprocess.run([sys.executable, "-m", "tests.fuzz", name]).returncode  # noqa: PLW1510
        else:
            with_hypothesis(TARGETS[name])
        seconds = time.monotonic() - started
        print(f"{name}: {INPUTS} inputs, seed {SEED}, {ENGINE}, {seconds:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
