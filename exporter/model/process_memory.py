"""How a long-running process of the exporter keeps its memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc

# Of glibc's malloc.h: how much free memory at the end of the heap goes back to the system, from
# which size on a block is memory of its own, and how many heaps threads share.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 256 * 1024
TRIM_SECONDS = 60.0
"""How often a process with a large fleet should return what it no longer uses."""


def spare_collections() -> None:
    """Look for cycles of garbage rarely, and never among what stays.

    A large fleet keeps millions of objects, and a full search among them stops all polling for
    most of a second; what a scrape leaves behind is freed without one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def return_large_blocks() -> None:
    """Give every large block back to the system as soon as it is free.

    By default glibc learns from the first large blocks to keep the next ones in its heaps, where
    publications, batches and expositions of many megabytes leave holes. Does nothing where the C
    library is another one.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _LARGE_BYTES)
        mallopt(_ARENA_MAX, 2)


def return_free_pages() -> None:
    """Give back the pages that are free between small blocks; takes some milliseconds.

    What a scrape needs for a moment lies between what stays, so that the heap never shrinks at its
    end. Does nothing where the C library is another one.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
