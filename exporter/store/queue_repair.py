"""Puts a new file with the good records in the place of a damaged one."""

from __future__ import annotations

from pathlib import Path

from exporter.store import queue_recovery
from exporter.store.queue import Books, DropOrder
from exporter.store.queue_file import Store


def rescue(
    path: Path,
    order: DropOrder,
    skip: frozenset[int] = frozenset(),
    notes: Books | None = None,
) -> int:
    """Put a new file with the good records of a damaged one in its place.

    Parameters
    ----------
    path : Path
    order : str
    skip : frozenset of int
        Numbers of records that are settled, as ``notes`` say.
    notes : Books, optional
        What is not in the books of the file yet.

    Returns
    -------
    int
        Points that wait in it.
    """
    new = path.with_name(path.name + ".new")
    _remove(new)
    pages = queue_recovery.Pages(path)
    # No limit: what is too much is dropped by the next commit, in its order.
    store = Store(new, 2**62, float("inf"), order)
    try:
        store.open()
        books = queue_recovery.books(pages)
        if books is not None and notes is not None:
            books.add(notes)
        kept = (batch for batch in queue_recovery.batches(pages) if batch.number not in skip)
        waiting = store.restore(kept, books)
        store.close()
    except BaseException:
        store.close()
        _remove(new)
        raise
    finally:
        pages.close()
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    new.replace(path)
    return waiting


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
