"""Small file systems that fill up and fail; to mount them needs root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def _run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Path]:
    """A file system of its own in memory; skips where this machine does not let us mount one."""
    folder.mkdir(exist_ok=True)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    if os.geteuid() != 0 or not _run(*mount):
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(ballast: Path) -> None:
    """Take all the room of a disk."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@contextlib.contextmanager
def failing_disk(folder: Path) -> Iterator[Path]:
    """16 MB of ext4 in a file beside it, that :func:`turn_read_only` makes fail."""
    folder.mkdir(exist_ok=True)
    image = _image(folder)
    with image.open("wb") as file:
        file.truncate(16 * 2**20)
    made = os.geteuid() == 0 and _run("mkfs.ext4", "-q", "-F", str(image))
    if not made or not _mount(folder):
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def turn_read_only(folder: Path) -> None:
    """What ext4 does with ``errors=remount-ro`` when its disk fails: open files fail too."""
    found = subprocess.run(
        ["losetup", "-n", "-O", "NAME", "-j", str(_image(folder))],
        check=True,
        capture_output=True,
        text=True,
    )
    Path("/sys/fs/ext4", Path(found.stdout.strip()).name, "trigger_fs_error").write_text("1")


def mend(folder: Path) -> None:
    """Check and mount it again; nothing may have a file of it open."""
    subprocess.run(["umount", str(folder)], check=True)
    subprocess.run(["e2fsck", "-p", "-f", str(_image(folder))], check=False, capture_output=True)
    assert _mount(folder)


def _image(folder: Path) -> Path:
    return folder.with_name(folder.name + ".ext4")


def _mount(folder: Path) -> bool:
    return _run("mount", "-o", "loop,errors=remount-ro", str(_image(folder)), str(folder))
