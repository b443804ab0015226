"""What can be said of the dependencies: hashes, consistency, published vulnerabilities."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?==\S+")
# What pip-audit says where its database cannot be reached, or does not know the packages.
_UNREACHABLE = re.compile(r"could not be audited|ConnectionError|Failed to|ServiceError", re.I)


def unpinned(text: str) -> list[str]:
    """Requirements of a lock file that lack an exact version or a SHA-256 hash."""
    wrong = []
    for entry in re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n?", "", text).strip()):
        requirement = entry.partition("\\")[0].strip()
        if not _PINNED.match(requirement) or "--hash=sha256:" not in entry:
            wrong.append(requirement)
    return wrong


def main() -> int:
    """Check and tell; 0 if nothing was found, 1 otherwise."""
    found = 0
    for name in LOCKS:
        for requirement in unpinned((ROOT / name).read_text("utf-8")):
            print(f"{name}: {requirement} has no exact version and hash")
            found = 1
    check = [sys.executable, "-m", "pip", "check"]
    consistent = subprocess.run(check, check=False, capture_output=True, text=True)
    if consistent.returncode:
        print(consistent.stdout + consistent.stderr, end="")
        found = 1
    return _published() or found


def _published() -> int:
    # Beside the interpreter first: a virtual environment need not be active.
    here = str(Path(sys.executable).parent)
    program = shutil.which("pip-audit", path=here) or shutil.which("pip-audit")
    if program is None:
        print("published vulnerabilities: NOT checked, pip-audit is not installed")
        return 0
    command = [program, "--disable-pip", "--require-hashes", "-r", str(ROOT / LOCKS[0])]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if _UNREACHABLE.search(done.stdout + done.stderr):
        print("published vulnerabilities: NOT checked, the database cannot be reached from here")
        return 1 if "Found" in done.stderr + done.stdout else 0
    print(done.stdout + done.stderr, end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
