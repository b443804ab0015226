"""What can be said of the dependencies: hashes, consistency, published vulnerabilities."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
PATIENCE_SECONDS = 180.0
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?==\S+")


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
    command = [program, "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    command += ["--format", "json", "--requirement", str(ROOT / LOCKS[0])]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        told, found = published(done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        told, found = published("", f"no answer in {PATIENCE_SECONDS:g} s")
    print(f"published vulnerabilities: {told}")
    return int(found)


def published(answer: str, errors: str) -> tuple[str, bool]:
    """What an answer of pip-audit says in words, and whether there is a vulnerability.

    Parameters
    ----------
    answer : str
        Its JSON; anything else means that it could not ask.
    errors : str
        What it wrote to standard error.
    """
    try:
        packages = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        lines = errors.strip().splitlines()
        return f"NOT checked, the database cannot be asked: {(lines or ['no answer'])[-1]}", False
    vulnerable = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in "
        f"{', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    unknown = sum("skip_reason" in package for package in packages)
    told = [f"{len(packages) - unknown} packages checked"]
    if unknown:
        told.append(f"{unknown} NOT checked, the database that is reached does not have them")
    return "\n  ".join(["; ".join(told), *vulnerable]), bool(vulnerable)


if __name__ == "__main__":
    sys.exit(main())
