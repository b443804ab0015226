"""The advisory file: what ``make audit`` compares with where the network does not answer.

``python -m provisioning.advisories`` writes ``advisories.json`` from a copy of the advisory
database of the Python Packaging Authority (https://github.com/pypa/advisory-database), whose files
are YAML in the OSV schema (https://ossf.github.io/osv-schema/). It fetches one with git, or reads
the one that ADVISORY_DATABASE names. Of each advisory on a package of the lock files the file keeps
``id``, ``modified``, ``aliases`` and ``affected`` (package, ranges of versions, versions) as they
are, beside the commit and date of the copy. Nothing in it is written by hand.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parent.parent
FILE = ROOT / "advisories.json"
DATABASE = "https://github.com/pypa/advisory-database"
OLDEST_DAYS = 30
GIT_SECONDS = 300.0
_PINNED = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")


class AdvisoryError(Exception):
    """There is no advisory file, or none can be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A published vulnerability of a package in the lock files.

    Attributes
    ----------
    package, version, identifier : str
    fixed_in : tuple of str
        Versions that have it no more.
    """

    package: str
    version: str
    identifier: str
    fixed_in: tuple[str, ...]


def normalised(name: str) -> str:
    """A package's name as PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(texts: Iterable[str]) -> dict[str, set[str]]:
    """Versions of each package in lock files."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for name, version in _PINNED.findall(text):
            found.setdefault(normalised(name), set()).add(version)
    return found


def collect(folder: Path, packages: Iterable[str]) -> dict[str, Any]:
    """What the advisory file holds of a copy of the database.

    Parameters
    ----------
    folder : Path
        A git repository, with or without a work tree.
    packages : iterable of str

    Raises
    ------
    AdvisoryError
    """
    commit, date = _git(folder, "log", "-1", "--format=%H %cI").split()
    wanted = {normalised(name) for name in packages}
    listed = _git(folder, "ls-tree", "-r", "--name-only", "HEAD", "vulns/").splitlines()
    if not listed:
        raise AdvisoryError(f"{folder} holds no advisories: there is no folder vulns")
    advisories = []
    for path in listed:
        if path.endswith(".yaml") and normalised(path.split("/")[1]) in wanted:
            document = yaml.load(_git(folder, "show", f"HEAD:{path}"), Loader=yaml.CSafeLoader)
            if "withdrawn" not in document:
                advisories.append(_kept(document, wanted))
    return {
        "database": DATABASE,
        "commit": commit,
        "date": date,
        "advisories_in_database": len(listed),
        "advisories": sorted(advisories, key=lambda one: str(one["id"])),
    }


def _kept(document: Mapping[str, Any], wanted: set[str]) -> dict[str, Any]:
    affected = [
        {
            "package": one["package"],
            "ranges": [r for r in one.get("ranges", ()) if r.get("type") == "ECOSYSTEM"],
            "versions": [str(version) for version in one.get("versions", ())],
        }
        for one in document.get("affected", ())
        if normalised(one["package"]["name"]) in wanted
    ]
    return {
        "id": document["id"],
        "modified": str(document.get("modified", "")),
        "aliases": document.get("aliases", []),
        "affected": affected,
    }


def flaws(file: Mapping[str, Any], packages: Mapping[str, set[str]]) -> Iterator[Flaw]:
    """Advisories that apply to versions in lock files.

    Raises
    ------
    AdvisoryError
        The file is not what :func:`collect` makes.
    """
    try:
        for advisory in file["advisories"]:
            for one in advisory["affected"]:
                name = normalised(one["package"]["name"])
                for version in sorted(packages.get(name, ())):
                    if _affects(one, version):
                        yield Flaw(name, version, str(advisory["id"]), _fixes(one))
    except (KeyError, TypeError, AttributeError, InvalidVersion) as error:
        raise AdvisoryError(f"the advisory file is damaged: {error!r}") from error


def _affects(affected: Mapping[str, Any], version: str) -> bool:
    """By the OSV schema: listed, or inside a range of the ecosystem's order of versions."""
    if version in affected["versions"]:
        return True
    return any(_is_inside(one["events"], Version(version)) for one in affected["ranges"])


def _is_inside(events: Iterable[Mapping[str, Any]], at: Version) -> bool:
    inside = False
    for event in sorted(events, key=_place):
        ((kind, _),) = event.items()
        if kind == "introduced" and at >= _place(event):
            inside = True
        elif (kind == "fixed" and at >= _place(event)) or (
            kind == "last_affected" and at > _place(event)
        ):
            inside = False
    return inside


def _place(event: Mapping[str, Any]) -> Version:
    return Version(str(next(iter(event.values()))))


def _fixes(affected: Mapping[str, Any]) -> tuple[str, ...]:
    events = (event for one in affected["ranges"] for event in one["events"])
    return tuple(str(event["fixed"]) for event in events if "fixed" in event)


def load(path: Path = FILE) -> dict[str, Any]:
    """The advisory file.

    Raises
    ------
    AdvisoryError
        It is absent, or not such a file.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise AdvisoryError(f"there is no {path.name}; `make advisories` writes it") from None
    except (OSError, ValueError) as error:
        raise AdvisoryError(f"{path.name} cannot be read: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("advisories"), list):
        raise AdvisoryError(f"{path.name} is not an advisory file")
    return found


def age_days(file: Mapping[str, Any], now: datetime) -> float:
    """Days since the copy of the database was made.

    Raises
    ------
    AdvisoryError
    """
    try:
        return (now - datetime.fromisoformat(file["date"])).total_seconds() / 86_400
    except (KeyError, TypeError, ValueError) as error:
        raise AdvisoryError("the advisory file has no date") from error


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AdvisoryError(f"git: {error}") from error
    if done.returncode:
        raise AdvisoryError((done.stderr.strip().splitlines() or ["git failed"])[-1])
    return done.stdout


def main() -> int:
    """Write the advisory file; 0 if that went well."""
    from provisioning.audit import LOCKS

    packages = pinned((ROOT / name).read_text("utf-8") for name in LOCKS)
    try:
        with tempfile.TemporaryDirectory() as name:
            given = os.environ.get("ADVISORY_DATABASE")
            folder = Path(given) if given else Path(name) / "database"
            if not given:
                _git(Path(name), "clone", "--quiet", "--depth=1", "--bare", DATABASE, str(folder))
            found = collect(folder, packages)
    except AdvisoryError as error:
        print(f"no advisory file was written: {error}", file=sys.stderr)
        return 1
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    age = age_days(found, datetime.now(UTC))
    print(
        f"{FILE.name}: {len(found['advisories'])} of {found['advisories_in_database']} advisories "
        f"are on packages here; as of {found['date'][:10]}, {age:.0f} days old"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
