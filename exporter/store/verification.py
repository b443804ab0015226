"""Counts what is in InfluxDB against the ledger of the queue."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from exporter.model.levels import RAW
from exporter.store.influx import InfluxClient, NoAnswerError
from exporter.store.queue import Fate
from exporter.store.queue_file import FILE, read_ledger

QUERY_SECONDS = 300.0
# Fields that every point of the subject has, so that counting them counts its points.
_ALWAYS_THERE = {
    "site": "online",
    "site/pv_expected_w": "pv_expected_w",
    "health": "score",
    "issue": "active",
    "alarm": "level",
}


class VerifyError(Exception):
    """The ledger or InfluxDB could not be asked; its text says which and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """Points of one subject by the ledger, and those that InfluxDB has."""

    subject: str
    counts: dict[Fate, int]
    stored: int

    @property
    def missing(self) -> int:
        """Points that were written and are not there."""
        return max(self.counts[Fate.WRITTEN] - self.stored, 0)

    @property
    def strange(self) -> int:
        """Points beyond those that were or may have been written: another program's."""
        return max(self.stored - self.counts[Fate.WRITTEN] - self.counts[Fate.SPOOLED], 0)


def ledger(folder: Path, first: datetime, last: datetime) -> dict[str, dict[Fate, int]]:
    """Points by subject and fate of whole minutes: that of ``first``, to the one before ``last``.

    Only full detail: roll-ups are made again and again, and overwrite themselves.

    Raises
    ------
    VerifyError
    """
    path = folder / FILE
    minutes = minute(first), minute(last) - 1
    found: dict[str, Counter[Fate]] = {}
    try:
        if not path.exists():
            raise VerifyError(f"{path} is not there; is this FLEETSCOPE_QUEUE_DIR?")
        for what, fate, points in read_ledger(path, *minutes):
            if not what.startswith("rollup"):
                found.setdefault(what, Counter())[fate] += points
    except sqlite3.Error as error:
        raise VerifyError(f"{path} cannot be read: {error}") from error
    settled = (Fate.WRITTEN, Fate.REJECTED, Fate.DROPPED)
    return {
        what: {fate: counts[fate] for fate in Fate}
        | {Fate.SPOOLED: counts[Fate.PRODUCED] - sum(counts[fate] for fate in settled)}
        for what, counts in found.items()
    }


def minute(time: datetime) -> int:
    """The whole minute of a time, as in the ledger."""
    return int(time.timestamp() // 60)


def stored_points(client: InfluxClient, subject: str, first: datetime, last: datetime) -> int:
    """Points of a subject in InfluxDB in whole minutes, as in :func:`ledger`.

    Raises
    ------
    exporter.store.influx.NoAnswerError
    """
    measurement = subject.partition("/")[0]
    where = f"time >= {minute(first)}m AND time < {minute(last)}m"
    source = f'"{RAW}"."{measurement}" WHERE {where}'
    if subject in _ALWAYS_THERE:
        field = _ALWAYS_THERE[subject]
        counted = client.select(f'SELECT count("{field}") FROM {source}')  # noqa: S608 - names of ours
        return sum(int(row[1]) for series in counted for row in series.rows)
    # No field is in every point: the points themselves are counted as they come.
    every = client.stream(f"SELECT * FROM {source}", QUERY_SECONDS)  # noqa: S608 - names of ours
    return sum(len(part.rows) for part in every)


def verify(folder: Path, client: InfluxClient, first: datetime, last: datetime) -> list[Row]:
    """Compare every subject of the ledger with what is stored; blocks.

    Raises
    ------
    VerifyError
    """
    try:
        return [
            Row(what, counts, stored_points(client, what, first, last))
            for what, counts in sorted(ledger(folder, first, last).items())
        ]
    except NoAnswerError as error:
        raise VerifyError(str(error)) from error
