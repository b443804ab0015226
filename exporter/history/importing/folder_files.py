"""The files of a folder that may be recordings."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (".csv", ".txt", ".tsv", ".parquet", ".pq")


def find_files(folder: Path) -> list[Path]:
    """Every file below a folder whose suffix is known, in order of name; or the one file given."""
    if folder.is_file():
        return [folder]
    found = [p for p in folder.rglob("*") if p.is_file() and _suffix(p) in SUFFIXES]
    return sorted(found, key=lambda p: [_sortable(part) for part in p.relative_to(folder).parts])


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def _sortable(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts]
