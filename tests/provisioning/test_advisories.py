"""The advisory file: made from a repository in the OSV schema, and compared with the lock files."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioning.advisories import AdvisoryError, Flaw, collect, flaws, load, pinned
from provisioning.audit import by_file

WHEN = datetime(2026, 11, 1, tzinfo=UTC)


def advisory(name: str, events: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    ranges = [
        {"type": "GIT", "repo": "https://example.com/x", "events": [{"introduced": "0"}]},
        {"type": "ECOSYSTEM", "events": events},
    ]
    package = {"ecosystem": "PyPI", "name": name}
    affected = [{"package": package, "ranges": ranges, "versions": more.pop("versions", [])}]
    return {"id": "PYSEC-2026-1", "modified": "2026-01-01", "affected": affected} | more


def database(folder: Path, *documents: dict[str, Any]) -> Path:
    for number, document in enumerate(documents):
        name = document["affected"][0]["package"]["name"]
        path = folder / "vulns" / name.lower() / f"PYSEC-{number}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document), "utf-8")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        date = {"GIT_COMMITTER_DATE": WHEN.isoformat(), "PATH": "/usr/bin:/bin"}
        subprocess.run(["git", "-C", folder, *who, *command], check=True, env=date)
    return folder


FIXED = [{"introduced": "1.0"}, {"fixed": "1.5"}, {"introduced": "2.0"}, {"last_affected": "2.3"}]


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        *[("0.9", False), ("1.0", True), ("1.4.9", True), ("1.5", False), ("1.9", False)],
        *[("2.0", True), ("2.3", True), ("2.3.1", False), ("1.10", False), ("1.5rc1", True)],
        ("7.7", True),
    ],
)
def test_a_version_is_compared_as_the_schema_says(
    tmp_path: Path, version: str, affected: bool
) -> None:
    folder = database(tmp_path, advisory("Some.Name", FIXED, versions=["7.7"]))
    file = collect(folder, ["some_name"])
    found = list(flaws(file, {"some-name": {version}}))
    flaw = Flaw("some-name", version, "PYSEC-2026-1", ("1.5",))
    assert found == ([flaw] if affected else [])


def test_only_packages_of_the_lock_files_are_kept(tmp_path: Path) -> None:
    every = [{"introduced": "0"}]
    withdrawn = advisory("aiohttp", every, withdrawn="2026-02-02T00:00:00Z")
    folder = database(tmp_path, advisory("aiohttp", FIXED), advisory("other", every), withdrawn)
    file = collect(folder, pinned(["aiohttp[speedups]==1.2 \\\n    --hash=sha256:0\n"]))
    assert [one["affected"][0]["package"]["name"] for one in file["advisories"]] == ["aiohttp"]
    assert file["advisories_in_database"] == 3
    assert datetime.fromisoformat(file["date"]) == WHEN
    assert len(file["commit"]) == 40


def test_a_folder_without_advisories_makes_no_file(tmp_path: Path) -> None:
    folder = database(tmp_path, advisory("aiohttp", FIXED))
    with pytest.raises(AdvisoryError, match="not a git repository"):
        collect(tmp_path.parent, ["aiohttp"])
    subprocess.run(["git", "-C", folder, "mv", "vulns", "elsewhere"], check=True)
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", "-C", folder, *who, "commit", "-qm", "x"], check=True)
    with pytest.raises(AdvisoryError, match="holds no advisories"):
        collect(folder, ["aiohttp"])


def test_the_audit_says_the_date_and_does_not_take_an_old_file_for_a_check(tmp_path: Path) -> None:
    path = tmp_path / "advisories.json"
    file = collect(database(tmp_path / "db", advisory("aiohttp", FIXED)), ["aiohttp"])
    path.write_text(json.dumps(file), "utf-8")
    fresh = by_file(path, {"aiohttp": {"1.5"}}, WHEN + timedelta(days=29))
    assert (fresh.vulnerable, fresh.unchecked) == (False, False)
    assert "1 packages compared with advisories.json as of 2026-11-01" in fresh.sentence
    flawed = by_file(path, {"aiohttp": {"1.2"}}, WHEN + timedelta(days=29))
    assert flawed.vulnerable
    assert "aiohttp 1.2: PYSEC-2026-1, fixed in 1.5" in flawed.sentence
    old = by_file(path, {"aiohttp": {"1.5"}}, WHEN + timedelta(days=31))
    assert old.unchecked
    assert "31 days old: NOT checked against what came later" in old.sentence


@pytest.mark.parametrize("text", ["", "[]", '{"advisories": 1}', '{"advisories": [{}]}'])
def test_no_file_and_a_damaged_one_are_no_check(tmp_path: Path, text: str) -> None:
    path = tmp_path / "advisories.json"
    absent = by_file(path, {}, WHEN)
    assert absent.unchecked
    assert "there is no advisories.json; `make advisories` writes it" in absent.sentence
    path.write_text(text, "utf-8")
    assert by_file(path, {}, WHEN).unchecked


def test_the_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "advisories.json"
    path.write_text('{"advisories": []}', "utf-8")
    assert load(path) == {"advisories": []}
