"""Full detail and roll-ups read back from InfluxDB, by InfluxQL, which 1.x and 2.x answer alike.

Answers are streamed in chunks, so that neither side holds more than one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.history.rollups.aggregate import Before, FloatArray, IntArray, Samples
from exporter.model.levels import LEVELS
from exporter.store.connection import Connection
from exporter.store.influx import (
    InfluxClient,
    Part,
    Tags,
    any_of,
    between_ms,
    name,
    retention_seconds,
)

ANSWER_SECONDS = 120.0
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Lookback:
    """How far back samples before a range are looked for, and how many of the last are read."""

    milliseconds: int
    samples: int = 1


class Source:
    """One database, read only."""

    def __init__(self, connection: Connection) -> None:
        self._client = InfluxClient(connection)

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def ask(self, statement: str) -> Iterator[Part]:
        """As :meth:`exporter.store.influx.InfluxClient.stream`."""
        return self._client.stream(statement, ANSWER_SECONDS)

    def samples(
        self, measurement: str, fields: Iterable[str], texts: Iterable[str], where: str
    ) -> tuple[list[Tags], Samples]:
        """Full detail of a measurement: the tags of every series, by number, and the samples."""
        numeric, worded = list(fields), list(texts)
        selected = ", ".join(name(field) for field in (*numeric, *worded))
        statement = f'SELECT {selected} FROM "raw".{name(measurement)} WHERE {where} GROUP BY *'  # noqa: S608
        tags: list[Tags] = []
        numbers: list[IntArray] = []
        blocks: list[FloatArray] = []
        words: list[list[Any]] = [[] for _ in worded]
        for part in self.ask(statement):
            if not tags or tags[-1] != part.tags:
                tags.append(part.tags)
            rows = part.rows
            if worded:
                for place, column in enumerate(words):
                    column += [row[1 + len(numeric) + place] for row in rows]
                rows = [row[: 1 + len(numeric)] for row in rows]
            block = np.array(rows, dtype=np.float64)
            blocks.append(block)
            numbers.append(np.full(len(block), len(tags) - 1, dtype=np.int64))
        table = np.concatenate(blocks) if blocks else np.empty((0, 1 + len(numeric)))
        values = {field: table[:, 1 + place] for place, field in enumerate(numeric)}
        texts_found = {}
        for label, column in zip(worded, words, strict=True):
            texts_found[label] = np.empty(len(column), dtype=object)
            texts_found[label][:] = column
        series = np.concatenate(numbers) if numbers else np.empty(0, dtype=np.int64)
        return tags, Samples(series, table[:, 0].astype(np.int64), values, texts_found)

    def before(
        self,
        measurement: str,
        wanted: Mapping[str, Lookback],
        counters: Iterable[str],
        where: str,
        start_ms: int,
    ) -> dict[str, dict[Tags, list[tuple[int, float]]]]:
        """Times and values of the last samples of each field before the range, by tags, in order.

        The shortest roll-up has the last one of a counter still when full detail has expired.
        """
        asked = [(f, "raw", f, lookback.samples) for f, lookback in wanted.items()]
        # Full detail comes last and wins.
        asked = [(f, LEVELS[0].name, f"{f}_last", 1) for f in counters] + asked
        statements = [
            f"SELECT {name(column)} FROM {name(level)}.{name(measurement)} WHERE {where} "  # noqa: S608
            f"AND {between_ms(start_ms - wanted[field].milliseconds, start_ms)} GROUP BY * "
            f"ORDER BY time DESC LIMIT {most}"
            for field, level, column, most in asked
        ]
        found: dict[str, dict[Tags, list[tuple[int, float]]]] = {field: {} for field in wanted}
        for part in self.ask("; ".join(statements)) if statements else ():
            rows = [(int(time), float(value)) for time, value in reversed(part.rows)]
            found[asked[part.statement][0]][part.tags] = rows
        return found

    def counts(
        self,
        measurement: str,
        fields: Iterable[str],
        start_ms: int,
        stop_ms: int,
        bucket: str,
        *,
        counters: bool = False,
    ) -> dict[tuple[str, int], int]:
        """Number of values of full detail by site and beginning of the bucket; none is left out.

        A bucket of counters holds its end and not its beginning.
        """
        selected = ", ".join(f"count({name(field)})" for field in fields)
        later = int(counters)
        return self._totals(selected, "raw", measurement, start_ms, stop_ms, bucket, later)

    def rolled(
        self, level: str, measurement: str, start_ms: int, stop_ms: int, bucket: str
    ) -> dict[tuple[str, int], int]:
        """Number of values that the rows of a roll-up were made of, in the same form."""
        return self._totals('sum("samples")', level, measurement, start_ms, stop_ms, bucket)

    def _totals(
        self,
        selected: str,
        level: str,
        measurement: str,
        start_ms: int,
        stop_ms: int,
        bucket: str,
        later_ms: int = 0,
    ) -> dict[tuple[str, int], int]:
        statement = (
            f"SELECT {selected} FROM {name(level)}.{name(measurement)} "  # noqa: S608
            f"WHERE {between_ms(start_ms + later_ms, stop_ms + later_ms)} "
            f'GROUP BY time({bucket}, {later_ms}ms), "site" fill(none)'
        )
        found = {}
        for part in self.ask(statement):
            site = dict(part.tags).get("site", "")
            for time, *numbers in part.rows:
                total = sum(int(n) for n in numbers if n is not None)
                if total:
                    found[site, int(time) - later_ms] = total
        return found

    def next_time(self, measurement: str, site: str, after_ms: int, until_ms: int) -> int | None:
        """Unix milliseconds of the first row of a site at or after a moment, None without one."""
        statement = (
            f'SELECT * FROM "raw".{name(measurement)} WHERE {any_of("site", [site])} '  # noqa: S608
            f"AND {between_ms(after_ms, until_ms)} ORDER BY time LIMIT 1"
        )
        for part in self.ask(statement):
            return int(part.rows[0][0])
        return None

    def span(self, measurement: str, field: str, site: str | None) -> tuple[int, int] | None:
        """Unix milliseconds of the first and last row of a field; None without one."""
        where = f" WHERE {any_of('site', [site])}" if site else ""
        source = f'FROM "raw".{name(measurement)}{where}'
        found = [
            int(part.rows[0][0])
            for part in self.ask(
                f"SELECT first({name(field)}) {source}; SELECT last({name(field)}) {source}"
            )
        ]
        return (found[0], found[1]) if len(found) == 2 else None

    def retention(self) -> dict[str, int | None]:
        """As :func:`exporter.store.influx.retention_seconds`."""
        return retention_seconds(self._client)


def before_arrays(
    found: Mapping[Tags, list[tuple[int, float]]], tags: list[Tags]
) -> tuple[Before, list[Tags]]:
    """``found`` by number of the series; series with nothing since get numbers at the end.

    Returns
    -------
    tuple of (Before, tags that were added)
    """
    number = {tag: place for place, tag in enumerate(tags)}
    added = [tag for tag in found if tag not in number]
    number.update({tag: len(tags) + place for place, tag in enumerate(added)})
    items = sorted((number[tag], *sample) for tag, samples in found.items() for sample in samples)
    table = np.array(items, dtype=np.float64).reshape(-1, 3)
    return (
        Before(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]),
        added,
    )
