"""Reads what others publish: a file, or the answer of an address."""

from __future__ import annotations

from pathlib import Path

from exporter.model.http import HttpClient, RequestError

LONGEST_SECONDS = 30.0
LARGEST_BYTES = 16 * 1024 * 1024


class FetchError(Exception):
    """Nothing was read; the text says why."""


def fetched(http: HttpClient, file: Path | None, url: str | None) -> bytes:
    """What a file holds, or an address answers; one of the two is given. Blocks.

    Raises
    ------
    FetchError
    """
    if file is not None:
        try:
            if file.stat().st_size > LARGEST_BYTES:
                raise FetchError("the file is larger than 16 MiB")
            return file.read_bytes()
        except OSError as error:
            raise FetchError(f"the file cannot be read: {error.strerror}") from error
    assert url is not None  # one of the two is given
    try:
        reply = http.request("GET", url, seconds=LONGEST_SECONDS, largest=LARGEST_BYTES)
    except RequestError as error:
        raise FetchError(str(error)) from error
    if reply.status != 200:
        raise FetchError(f"{url} answered {reply.status}")
    return reply.body


def file_stamp(path: Path) -> int:
    """What changes when a file does; 0 for an absent one."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
