"""Generated files: written, or compared with what is on disk."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def write_or_compare(files: Mapping[str, str], folder: Path, arguments: list[str]) -> int:
    """Write the files that differ; with ``--check`` only name them. The exit code.

    Parameters
    ----------
    files : mapping
        From name to text.
    folder : Path
    arguments : list of str
        Of the command line.
    """
    check = "--check" in arguments
    different = []
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        different.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and different:
        print(f"not as generated: {', '.join(different)}; run make generate", file=sys.stderr)
        return 1
    return 0
