"""Audits the dependencies: hashes, consistency, published vulnerabilities.

pip-audit asks the database. Where it does not answer, the advisory file of
:mod:`provisioning.advisories` stands in, if it is there and at most 30 days old. An audit that
could not check every package fails, unless ``AUDIT_UNCHECKED=allow`` says that an unchecked package
may pass, as on a machine without a way to the database.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from provisioning.advisories import (
    FILE,
    OLDEST_DAYS,
    AdvisoryError,
    age_days,
    flaws,
    load,
    pinned,
)

ROOT = Path(__file__).parent.parent
LOCKS = (
    "requirements.lock",
    "requirements-core.lock",
    "requirements-dev.lock",
    "requirements-build.lock",
)
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
    """Print what was found; 0 if every check passed, 1 otherwise."""
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
    result = _published()
    if result.unchecked:
        print(f"published vulnerabilities: {result.sentence}")
        texts = [(ROOT / name).read_text("utf-8") for name in LOCKS]
        result = by_file(FILE, pinned(texts), datetime.now(UTC))
    print(f"published vulnerabilities: {result.sentence}")
    if result.unchecked and os.environ.get("AUDIT_UNCHECKED") != "allow":
        print("audit: failed, since not every package was checked; AUDIT_UNCHECKED=allow passes it")
        found = 1
    elif result.unchecked:
        print("audit: passed WITHOUT a check of every package (AUDIT_UNCHECKED=allow)")
    return found or int(result.vulnerable)


@dataclass(frozen=True, slots=True)
class Published:
    """What the database of published vulnerabilities says.

    Attributes
    ----------
    sentence : str
        The result for a person, with one line for each vulnerability.
    vulnerable : bool
        Some package has a published vulnerability.
    unchecked : bool
        Some package, or all of them, could not be checked.
    """

    sentence: str
    vulnerable: bool = False
    unchecked: bool = False


def by_file(path: Path, packages: Mapping[str, set[str]], now: datetime) -> Published:
    """What the advisory file says of the packages.

    Parameters
    ----------
    path : Path
    packages : mapping of name to versions
    now : datetime
    """
    try:
        file = load(path)
        days = age_days(file, now)
        found = list(flaws(file, packages))
    except AdvisoryError as error:
        return Published(f"NOT checked by a file either: {error}", unchecked=True)
    lines = [
        f"{one.package} {one.version}: {one.identifier}, fixed in "
        f"{', '.join(one.fixed_in) or 'no version yet'}"
        for one in found
    ]
    is_old = days > OLDEST_DAYS
    age = f"{len(packages)} packages compared with {path.name} as of {str(file['date'])[:10]}"
    if is_old:
        age += f", which is {days:.0f} days old: NOT checked against what came later"
    return Published("\n  ".join([age, *lines]), bool(found), is_old)


def _published() -> Published:
    # Beside the interpreter first: a virtual environment need not be active.
    here = str(Path(sys.executable).parent)
    program = shutil.which("pip-audit", path=here) or shutil.which("pip-audit")
    if program is None:
        return Published("NOT checked, pip-audit is not installed", unchecked=True)
    command = [program, "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    command += ["--format", "json", "--requirement", str(ROOT / LOCKS[0])]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return published("", f"no answer in {PATIENCE_SECONDS:g} s")
    return published(done.stdout, done.stderr)


def published(answer: str, errors: str) -> Published:
    """What an answer of pip-audit means.

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
        reason = (errors.strip().splitlines() or ["no answer"])[-1]
        return Published(f"NOT checked, the database cannot be asked: {reason}", unchecked=True)
    vulnerable = [
        f"{package['name']} {package['version']}: {flaw['id']}, fixed in "
        f"{', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    unknown = sum("skip_reason" in package for package in packages)
    counts = [f"{len(packages) - unknown} packages checked"]
    if unknown:
        counts.append(f"{unknown} NOT checked, the database does not know them")
    sentence = "\n  ".join(["; ".join(counts), *vulnerable])
    return Published(sentence, bool(vulnerable), unknown > 0 or not packages)


if __name__ == "__main__":
    sys.exit(main())
